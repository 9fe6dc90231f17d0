"""Tickets of an invented energy supplier, Nordlicht Energie: an export of its help desk, with all that people write into one.

A topic has what customers write and what agents answer. Around it stand what real tickets hold: names, telephone numbers, bank
accounts, addresses, customer numbers, signatures, broken umlauts, pasted HTML, tickets that were sent twice or by mistake.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from invented.people import Dice, Person, german

COUNT = 120
_AGENTS = ("Jule Brandt", "Tarek Aydın", "Hauke Reimers", "Sina Wolff")


@dataclass(frozen=True, slots=True)
class _Topic:
    subject: str
    tag: str
    asked: tuple[str, ...]
    answered: tuple[str, ...]
    fits: tuple[int, ...]
    """Which answer belongs to each question."""


_TOPICS = (
    _Topic(
        "Neue Bankverbindung",
        "zahlung",
        (
            "bitte buchen Sie den Abschlag ab sofort von meinem neuen Konto ab: {iban}. Das alte Konto ist gekündigt.",
            "ich habe die Bank gewechselt. Die neue IBAN lautet {iban}. Gilt das schon für den nächsten Monat?",
            "können Sie meine Bankverbindung ändern? {iban}, Kontoinhaber {name}.",
        ),
        (
            "vielen Dank, die neue Bankverbindung ist eingetragen. Der nächste Abschlag wird bereits von diesem Konto abgebucht.",
            "die Änderung ist gespeichert. Weil die Lastschrift für diesen Monat schon angekündigt war, buchen wir erst ab dem"
            " kommenden Monat vom neuen Konto ab.",
        ),
        (0, 1, 0),
    ),
    _Topic(
        "Umzug anmelden",
        "umzug",
        (
            "wir ziehen zum Monatsende um. Die neue Adresse ist {street}, {place}. Was müssen wir tun?",
            "ich möchte meinen Vertrag in die neue Wohnung mitnehmen: {street} in {place}. Geht das?",
            "Umzug am 15., neue Anschrift {street}, {place}. Den Zählerstand der alten Wohnung schicke ich noch.",
        ),
        (
            "der Umzug ist vorgemerkt. Bitte lesen Sie am Tag der Übergabe beide Zähler ab und schicken Sie uns die Stände"
            " zusammen mit der neuen Zählernummer.",
            "Ihr Vertrag zieht mit, der Preis bleibt gleich. Wir brauchen noch den Tag der Schlüsselübergabe und die Nummer des"
            " Zählers in der neuen Wohnung; sie steht auf dem Gerät.",
        ),
        (0, 1, 0),
    ),
    _Topic(
        "Rechnung zu hoch",
        "rechnung",
        (
            "meine Jahresrechnung ist doppelt so hoch wie im Vorjahr, obwohl sich nichts geändert hat. Bitte prüfen Sie das.",
            "ich soll 412,60 Euro nachzahlen. Der Zählerstand auf der Rechnung stimmt nicht, bei mir steht deutlich weniger.",
            "warum ist die Nachzahlung so hoch? Ich erreiche Sie telefonisch nicht, bitte rufen Sie mich an: {phone}.",
        ),
        (
            "der Stand auf Ihrer Rechnung war geschätzt. Bitte schicken Sie uns ein Foto des Zählers, dann rechnen wir neu ab und"
            " die Nachzahlung entfällt oder sinkt entsprechend.",
            "wir haben die Rechnung geprüft: Der Verbrauch ist um ein Drittel gestiegen, der Rest kommt vom neuen Netzentgelt. Auf"
            " Wunsch zahlen Sie in drei Raten ohne Zinsen.",
        ),
        (1, 0, 1),
    ),
    _Topic(
        "Zählerstand melden",
        "zaehler",
        (
            "der Stand meines Zählers ist heute 48213, Zählernummer 1EMH00{meter}. Reicht Ihnen das so?",
            "Ablesung vom Sonntag: 20577 kWh. Im Portal kam eine Fehlermeldung, deshalb auf diesem Weg.",
            "ich bekomme das Formular zur Ablesung nicht geöffnet. Der Zähler steht bei 9310, Kundennummer {number}.",
        ),
        (
            "danke, der Stand ist eingetragen und passt zum bisherigen Verbrauch. Sie müssen nichts weiter tun.",
            "wir haben den Stand übernommen. Das Portal nimmt nur ganze Zahlen ohne Punkt an, daran lag vermutlich die Meldung.",
        ),
        (0, 1, 0),
    ),
    _Topic(
        "Abschlag ändern",
        "zahlung",
        (
            "ich wohne jetzt allein und verbrauche weniger. Können Sie den Abschlag von 140 auf 95 Euro senken?",
            "bitte erhöhen Sie meinen Abschlag auf 180 Euro, ich habe seit dem Winter eine Wärmepumpe.",
            "im Portal kann ich den Abschlag nur um zehn Prozent ändern. Geht bei Ihnen mehr? Kundennummer {number}.",
        ),
        (
            "der neue Abschlag gilt ab dem nächsten Ersten. Läuft der Verbrauch anders als gedacht, melden Sie sich gern noch"
            " einmal, bevor die Jahresrechnung kommt.",
            "wir haben den Abschlag angepasst. Mehr als ein Drittel Änderung auf einmal nehmen wir nur mit aktuellem"
            " Zählerstand vor; bitte schicken Sie ihn uns bis Freitag.",
        ),
        (0, 1, 1),
    ),
    _Topic(
        "Kündigung bestätigen",
        "vertrag",
        (
            "ich habe vor drei Wochen gekündigt und keine Bestätigung bekommen. Bitte schicken Sie sie an {email}.",
            "hiermit kündige ich meinen Vertrag {number} zum nächstmöglichen Termin und bitte um Bestätigung.",
            "nach der Preiserhöhung möchte ich mein Sonderkündigungsrecht nutzen. Bis wann muss das Schreiben bei Ihnen sein?",
        ),
        (
            "Ihre Kündigung ist eingegangen. Die Belieferung endet zum Monatsletzten; die Bestätigung geht heute per E-Mail an"
            " Sie. Die Schlussrechnung folgt innerhalb von sechs Wochen.",
            "bei einer Preiserhöhung können Sie ohne Frist bis zu dem Tag kündigen, an dem der neue Preis gilt. Eine E-Mail"
            " genügt, eine Unterschrift ist nicht nötig.",
        ),
        (0, 0, 1),
    ),
    _Topic(
        "Stromausfall",
        "stoerung",
        (
            "seit heute früh haben wir in der {street} keinen Strom. Die Nachbarn auch nicht. Wann geht es weiter?",
            "bei uns fällt jeden Abend kurz der Strom aus, {street} in {place}. Der Elektriker findet nichts.",
            "nur in unserer Wohnung ist alles dunkel, im Treppenhaus brennt Licht. Rückruf bitte unter {phone}.",
        ),
        (
            "die Störung ist dem Netzbetreiber gemeldet, ein Kabel wurde bei Bauarbeiten beschädigt. Der Strom soll bis"
            " 14 Uhr wieder da sein.",
            "wenn im Haus sonst Licht brennt, liegt es meist am Schutzschalter in Ihrer Verteilung. Bleibt er nach dem"
            " Einschalten nicht oben, rufen Sie bitte einen Elektriker und stecken Sie vorher alle Geräte aus.",
        ),
        (0, 1, 1),
    ),
    _Topic(
        "Zugang zum Kundenportal",
        "portal",
        (
            "ich komme nicht mehr ins Portal. Das neue Kennwort kommt nie an, meine Adresse ist {email}.",
            "nach der Anmeldung sehe ich die Daten einer fremden Person. Das kann doch nicht sein!",
            "die Mail zum Zurücksetzen geht an meine alte Adresse. Richtig ist {email}.",
        ),
        (
            "wir haben die E-Mail-Adresse berichtigt, ein Buchstabe war vertauscht. Bitte fordern Sie das Kennwort noch einmal an.",
            "danke für den Hinweis. Der Zugang ist gesperrt und unser Datenschutz prüft den Fall; Sie bekommen heute noch einen"
            " Anruf. Bitte melden Sie sich bis dahin nicht an.",
        ),
        (0, 1, 0),
    ),
    _Topic(
        "Guthaben auszahlen",
        "rechnung",
        (
            "laut Rechnung habe ich 86,20 Euro Guthaben. Bitte überweisen Sie es auf {iban}.",
            "mein Vater {name} ist verstorben. Wohin wird sein Guthaben gezahlt, und wie melde ich den Anschluss ab?",
            "das Guthaben aus der Schlussrechnung fehlt seit acht Wochen. Langsam werde ich ungeduldig.",
        ),
        (
            "das Guthaben ist angewiesen und in zwei bis drei Werktagen auf Ihrem Konto.",
            "unser herzliches Beileid. Bitte schicken Sie uns eine Kopie der Sterbeurkunde; das Guthaben zahlen wir dann an die"
            " Erben aus, und den Anschluss melden wir ohne Frist ab.",
        ),
        (0, 1, 0),
    ),
    _Topic(
        "Photovoltaik anschließen",
        "technik",
        (
            "wir haben ein Balkonkraftwerk mit 800 Watt gekauft. Muss ich das bei Ihnen oder beim Netzbetreiber melden?",
            "unsere Anlage auf dem Dach, {street}, wird nächste Woche fertig. Wer tauscht den Zähler?",
            "der neue Zähler zeigt 2.8.0, und die Zahl steigt. Ist das die Einspeisung?",
        ),
        (
            "ein Balkonkraftwerk melden Sie nur im Marktstammdatenregister an. Läuft Ihr Zähler noch rückwärts, tauscht ihn der"
            " Netzbetreiber kostenlos; einspeisen dürfen Sie bis dahin trotzdem.",
            "ja: 1.8.0 ist der Bezug, 2.8.0 die Einspeisung. Für Zähler und Vergütung ist Ihr Netzbetreiber zuständig, wir leiten"
            " die Anmeldung gern weiter.",
        ),
        (0, 1, 1),
    ),
    _Topic(
        "Lastschrift zurückgegeben",
        "zahlung",
        (
            "meine Bank hat die Abbuchung zurückgegeben, jetzt soll ich 4,50 Euro Gebühr zahlen. Das war nicht meine Schuld.",
            "ich habe die Mahnung bekommen, aber längst überwiesen, von {iban}. Bitte stornieren Sie die Mahnkosten.",
            "können wir eine Ratenzahlung vereinbaren? Im Moment schaffe ich höchstens 50 Euro im Monat.",
        ),
        (
            "Ihre Zahlung ist inzwischen da, die Mahnung hat sich damit überschnitten. Die Mahnkosten haben wir storniert.",
            "eine Ratenzahlung über sechs Monate ist möglich. Sie bekommen die Vereinbarung heute per E-Mail; solange Sie sich"
            " daran halten, wird nichts gesperrt.",
        ),
        (0, 0, 1),
    ),
    _Topic(
        "Fragen zum Tarif",
        "vertrag",
        (
            "was ist der Unterschied zwischen Nordlicht Fix und Nordlicht Flex? Ich verbrauche etwa 3200 kWh im Jahr.",
            "lohnt sich Ihr Nachttarif für ein Elektroauto? Geladen wird zwischen 22 und 5 Uhr.",
            "meine Preisgarantie endet im März. Welches Angebot können Sie mir machen? Vertrag {number}.",
        ),
        (
            "bei Fix bleibt der Preis 24 Monate gleich, bei Flex folgt er jeden Monat dem Markt. Wer ruhig schlafen will, nimmt Fix;"
            " wer seinen Verbrauch verschieben kann, spart mit Flex.",
            "für Autos, die nachts laden, ist der Nachttarif ab etwa 6000 Kilometern im Jahr günstiger. Sie brauchen dafür einen"
            " Zähler mit zwei Zählwerken.",
        ),
        (0, 1, 0),
    ),
)  # fmt: skip

_OPENINGS = ("Guten Tag,", "Hallo,", "Sehr geehrte Damen und Herren,", "Moin,", "Hallo liebes Team,")
_ASIDES = (
    "Ich bin seit vielen Jahren Kunde bei Ihnen.",
    "Am Telefon hing ich 25 Minuten in der Warteschleife.",
    "Auf meine letzte Nachricht kam keine Antwort.",
    "Bitte antworten Sie per E-Mail, tagsüber bin ich nicht zu erreichen.",
    "Die App auf dem Handy zeigt mir dazu nichts an.",
    "Mein Nachbar hatte kürzlich dasselbe Anliegen.",
    "Es eilt nicht, aber ich hätte gern Klarheit.",
    "Das Schreiben von Ihnen lege ich als Foto bei.",
    "Unterlagen reiche ich auf Wunsch gern nach.",
    "In Ihren häufigen Fragen habe ich dazu nichts gefunden.",
    "Meine Frau kümmert sich sonst darum, ist aber verreist.",
    "Ich schreibe Ihnen vom Rechner meiner Tochter.",
)
_CLOSINGS = ("Mit freundlichen Grüßen", "Viele Grüße", "Danke und Gruß", "Freundliche Grüße")


def tickets() -> Iterator[dict[str, object]]:
    """The export: a row per ticket."""
    number, when = 70_400, datetime(2026, 3, 2, 8, 10, tzinfo=UTC)
    for index in range(COUNT):
        dice = Dice(f"support {index}")
        when += timedelta(minutes=17 + dice.below(400))
        number += 1 + dice.below(9)
        person, agent = german(dice), dice.pick(_AGENTS)
        topic = _TOPICS[index % len(_TOPICS)]
        which = (index // len(_TOPICS)) % len(topic.asked)
        question = _question(topic.asked[which], person, dice)
        urgent = topic.tag == "stoerung" or dice.below(7) == 0
        yield {
            "ticket_id": number,
            "created_at": f"{when:%Y-%m-%dT%H:%M:%SZ}",
            "status": "solved",
            "priority": "urgent" if urgent else dice.pick(("low", "normal", "normal", "high")),
            "channel": dice.pick(("email", "email", "web", "chat")),
            "tags": topic.tag,
            "customer_id": person.number,
            "requester": person.name,
            "subject": topic.subject,
            "description": _as_received(question, index),
            "reply": _answer(topic.answered[topic.fits[which]], person, agent, dice),
        }
    yield from _odd_ones(number, when)


def _question(text: str, person: Person, dice: Dice) -> str:
    """A message as people write it: greeting, matter, and a signature that says too much."""
    matter = text.format(
        iban=person.iban,
        name=person.name,
        phone=person.phone,
        email=person.email,
        street=person.street,
        place=person.place,
        number=person.number,
        meter=f"{dice.below(10**8):08d}",
    )
    matter = " ".join([matter, *dice.some(_ASIDES, dice.below(3))])
    signature = [dice.pick(_CLOSINGS), person.name]
    if dice.below(3) == 0:
        signature += [person.street, person.place]
    if dice.below(2) == 0:
        signature.append(f"Tel. {person.phone}")
    if dice.below(4) == 0:
        signature.append(person.email)
    return f"{dice.pick(_OPENINGS)}\n\n{matter}\n\n" + "\n".join(signature)


def _answer(answer: str, person: Person, agent: str, dice: Dice) -> str:
    """The agent's reply."""
    return (
        f"Guten Tag {person.title} {person.family},\n\n{answer}\n\n"
        f"{dice.pick(('Mit freundlichen Grüßen', 'Freundliche Grüße'))}\n{agent}\nNordlicht Energie, Kundenservice"
    )


def _as_received(text: str, index: int) -> str:
    """Every twentieth message went through a system that took UTF-8 for Latin-1, every fifteenth is HTML."""
    if index % 20 == 7:
        return text.encode("utf-8").decode("latin-1")
    if index % 15 == 4:
        return "".join("<p>" + part.replace("\n", "<br>") + "</p>\n" for part in text.split("\n\n"))
    return text


def _odd_ones(number: int, when: datetime) -> Iterator[dict[str, object]]:
    """What every export has: a ticket that was sent twice, tests, an empty reply, an agent who gives up."""
    person = german(Dice("support odd"))
    usual: dict[str, object] = {
        "created_at": f"{when:%Y-%m-%dT%H:%M:%SZ}",
        "status": "solved",
        "priority": "normal",
        "channel": "web",
        "tags": "sonstiges",
        "customer_id": person.number,
        "requester": person.name,
    }
    twice = {
        "subject": "Mahnung",
        "description": "Guten Tag,\n\nich habe gestern eine Mahnung erhalten, die Rechnung aber schon am 3. bezahlt."
        f" Bitte prüfen Sie das.\n\n{person.name}\nTel. {person.phone}",
        "reply": f"Guten Tag {person.title} {person.family},\n\nIhre Zahlung ist eingegangen, die Mahnung ist gegenstandslos."
        "\n\nFreundliche Grüße\nSina Wolff\nNordlicht Energie, Kundenservice",
    }
    rows: list[dict[str, object]] = [
        twice,
        twice,
        {"subject": "test", "description": "test test test", "reply": "test"},
        {
            "subject": "Testticket",
            "description": "Lorem ipsum dolor sit amet, consectetur adipiscing elit.",
            "reply": "Lorem ipsum",
        },
        {
            "subject": "Anfrage",
            "description": "Guten Tag, können Sie mir den Netzplan meiner Straße schicken?",
            "reply": "Dazu kann ich leider nichts sagen.",
        },
        {
            "subject": "Invoice",
            "description": "Hello, could you please send me the invoice for March in English? Thank you very much.",
            "reply": "Hello, the invoice in English is attached. Kind regards, Nordlicht Energie",
        },
    ]
    for offset, row in enumerate(rows, start=1):
        yield {"ticket_id": number + offset, **usual, **row}
