"""Clauses of contracts, in German and English, each with the kind of clause it is.

A clause is put together from what such clauses say first and what they add, so that no two are alike and each could stand in a
contract. The parties are invented; texts are our own and no advice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from invented.people import Dice, english, german

PER_LANGUAGE = 8
"""Clauses of each kind and language."""

_COMPANIES = ("Brenner Fördertechnik GmbH", "Aurelia Datendienste AG", "Hansen & Töchter KG", "Kiesel Software GmbH")
_ENGLISH_COMPANIES = ("Larkfield Systems Ltd", "Pemberton Freight plc", "Oakridge Analytics Ltd", "Tarn Valley Foods Ltd")


@dataclass(frozen=True, slots=True)
class _Kind:
    """First sentences and what may follow, in both languages."""

    label: str
    german: tuple[str, ...]
    german_more: tuple[str, ...]
    english: tuple[str, ...]
    english_more: tuple[str, ...]


_KINDS = (
    _Kind(
        "liability",
        (
            "Die {company} haftet unbeschränkt für Vorsatz und grobe Fahrlässigkeit.",
            "Für leicht fahrlässige Pflichtverletzungen haftet der Auftragnehmer nur, wenn eine wesentliche Vertragspflicht verletzt ist.",
            "Die Haftung ist der Höhe nach auf {amount} Euro je Schadensfall begrenzt.",
            "Eine Haftung für entgangenen Gewinn und mittelbare Schäden ist ausgeschlossen.",
        ),
        (
            "Schäden aus der Verletzung von Leben, Körper und Gesundheit bleiben davon unberührt.",
            "Im Übrigen ist sie auf den vertragstypischen, vorhersehbaren Schaden beschränkt.",
            "Das gilt auch zugunsten der Mitarbeiter und Erfüllungsgehilfen.",
            "Ansprüche nach dem Produkthaftungsgesetz bleiben bestehen.",
        ),
        (
            "Neither party excludes its liability for death or personal injury caused by negligence.",
            "The total liability of {company} in any contract year shall not exceed {amount} pounds.",
            "The Supplier shall not be liable for loss of profit or any indirect or consequential loss.",
            "Each party shall be liable for damage caused by wilful misconduct or gross negligence without limit.",
        ),
        (
            "The limit applies to all claims taken together, whatever their legal ground.",
            "Nothing in this clause limits liability which cannot be limited by law.",
            "Losses must be notified in writing within ninety days.",
            "The Customer shall take reasonable steps to mitigate its loss.",
        ),
    ),
    _Kind(
        "termination",
        (
            "Der Vertrag kann von beiden Seiten mit einer Frist von {months} Monaten zum Quartalsende gekündigt werden.",
            "Das Recht zur außerordentlichen Kündigung aus wichtigem Grund bleibt unberührt.",
            "Der Vertrag verlängert sich um jeweils ein Jahr, wenn er nicht {months} Monate vor Ablauf gekündigt wird.",
            "Kündigt {person}, so endet der Vertrag mit Ablauf des folgenden Monats.",
        ),
        (
            "Die Kündigung bedarf der Textform.",
            "Ein wichtiger Grund liegt insbesondere vor, wenn der Kunde mit zwei Raten in Verzug ist.",
            "Bereits gezahlte Entgelte für die Zeit nach dem Ende werden erstattet.",
            "Nach dem Ende sind alle überlassenen Unterlagen zurückzugeben.",
        ),
        (
            "Either party may terminate this Agreement by giving {months} months' written notice.",
            "{company} may terminate with immediate effect if the other party becomes insolvent.",
            "This Agreement renews for successive periods of one year unless terminated {months} months before expiry.",
            "A party may terminate if a material breach is not remedied within thirty days of notice.",
        ),
        (
            "Termination does not affect rights accrued before that date.",
            "On termination all access shall be withdrawn and documents returned.",
            "Fees paid for the time after termination shall be refunded.",
            "Notice by e-mail alone is not sufficient.",
        ),
    ),
    _Kind(
        "confidentiality",
        (
            "Die Parteien behandeln alle Informationen, die sie bei der Zusammenarbeit erhalten, vertraulich.",
            "Vertraulich sind insbesondere Preise, Quelltexte und Kundenlisten der {company}.",
            "Der Empfänger darf vertrauliche Unterlagen nur Personen zeigen, die sie für ihre Aufgabe kennen müssen.",
            "Über den Inhalt der Gespräche mit {person} ist Stillschweigen zu bewahren.",
        ),
        (
            "Die Pflicht besteht {months} Monate über das Ende des Vertrags hinaus fort.",
            "Sie gilt nicht für Informationen, die ohne Zutun des Empfängers bekannt wurden.",
            "Muss eine Behörde unterrichtet werden, ist die andere Partei vorher zu informieren.",
            "Für jeden Verstoß ist eine Vertragsstrafe von {amount} Euro zu zahlen.",
        ),
        (
            "Each party shall keep the other's Confidential Information secret and use it for this Agreement alone.",
            "Confidential Information includes prices, source code and customer lists of {company}.",
            "The recipient may disclose it only to staff and advisers who need to know it.",
            "The parties shall not disclose the existence of the negotiations to any third party.",
        ),
        (
            "These obligations survive termination for {months} months.",
            "They do not apply to information which is public without fault of the recipient.",
            "Disclosure required by law is permitted after prior notice where lawful.",
            "Copies shall be destroyed on request and the destruction confirmed.",
        ),
    ),
    _Kind(
        "payment",
        (
            "Rechnungen sind innerhalb von {days} Tagen ohne Abzug zu zahlen.",
            "Die Vergütung beträgt {amount} Euro zuzüglich Umsatzsteuer und ist monatlich im Voraus fällig.",
            "Zahlungen sind auf das Konto {iban} zu leisten.",
            "Bei Zahlung innerhalb von {days} Tagen gewährt die {company} zwei Prozent Skonto.",
        ),
        (
            "Im Verzug werden Zinsen von neun Prozentpunkten über dem Basiszinssatz berechnet.",
            "Aufrechnen kann der Kunde nur mit unbestrittenen oder rechtskräftig festgestellten Forderungen.",
            "Reisekosten werden nach Beleg erstattet.",
            "Die Preise steigen jährlich höchstens mit dem Verbraucherpreisindex.",
        ),
        (
            "Invoices are payable within {days} days of receipt.",
            "The fee of {amount} pounds plus VAT is due monthly in advance.",
            "Payment shall be made to the account {iban} held by {company}.",
            "The Customer shall pay the charges set out in Schedule 2 without set-off.",
        ),
        (
            "Interest accrues on overdue sums at four per cent above base rate.",
            "Disputed amounts may be withheld if the reason is stated in writing.",
            "Reasonable expenses are reimbursed against receipts.",
            "Charges may rise once a year by no more than the retail price index.",
        ),
    ),
    _Kind(
        "data_protection",
        (
            "Der Auftragsverarbeiter verarbeitet personenbezogene Daten nur auf dokumentierte Weisung.",
            "Ansprechpartner für den Datenschutz ist {person}, erreichbar unter {email}.",
            "Verletzungen des Schutzes personenbezogener Daten werden innerhalb von 24 Stunden gemeldet.",
            "Unterauftragnehmer darf die {company} nur mit vorheriger Zustimmung einsetzen.",
        ),
        (
            "Nach Ende des Auftrags werden die Daten gelöscht oder zurückgegeben.",
            "Die technischen und organisatorischen Maßnahmen ergeben sich aus Anlage {number}.",
            "Er unterstützt den Verantwortlichen bei Auskunftsersuchen Betroffener.",
            "Prüfungen vor Ort sind nach Ankündigung zu den üblichen Zeiten möglich.",
        ),
        (
            "The Processor shall process personal data only on documented instructions.",
            "The contact for data protection is {person}, {email}.",
            "Personal data breaches shall be notified within 24 hours of becoming aware.",
            "{company} shall not engage another processor without prior written consent.",
        ),
        (
            "At the end of the services personal data shall be deleted or returned.",
            "Technical and organisational measures are described in Annex {number}.",
            "The Processor assists with requests by data subjects.",
            "Audits may take place on reasonable notice during business hours.",
        ),
    ),
    _Kind(
        "governing_law",
        (
            "Es gilt das Recht der Bundesrepublik Deutschland unter Ausschluss des UN-Kaufrechts.",
            "Ausschließlicher Gerichtsstand für alle Streitigkeiten ist {town}.",
            "Streitigkeiten werden nach der Schiedsgerichtsordnung endgültig entschieden; Ort des Verfahrens ist {town}.",
            "Für Klagen gegen {person} gilt der Gerichtsstand des Wohnsitzes.",
        ),
        (
            "Zwingende Vorschriften zum Schutz von Verbrauchern bleiben unberührt.",
            "Die Sprache des Verfahrens ist Deutsch.",
            "Vor einer Klage sollen die Parteien ein Gespräch auf Leitungsebene führen.",
            "Das gilt auch für Streit über die Wirksamkeit des Vertrags.",
        ),
        (
            "This Agreement is governed by the law of England and Wales.",
            "The courts of {town} shall have exclusive jurisdiction.",
            "Disputes shall be finally settled by arbitration seated in {town}.",
            "The parties submit to the jurisdiction of the courts at the seat of {company}.",
        ),
        (
            "The United Nations Convention on the International Sale of Goods does not apply.",
            "The language of the proceedings is English.",
            "Before starting proceedings the parties shall attempt mediation.",
            "This includes disputes on the validity of this Agreement.",
        ),
    ),
    _Kind(
        "intellectual_property",
        (
            "Der Kunde erhält ein einfaches, zeitlich unbeschränktes Recht zur Nutzung der Software.",
            "Alle Rechte an den Arbeitsergebnissen gehen mit vollständiger Zahlung auf die {company} über.",
            "Vorbestehende Rechte jeder Partei bleiben bei ihr.",
            "Erfindungen, an denen {person} beteiligt ist, werden gemeinsam angemeldet.",
        ),
        (
            "Eine Bearbeitung oder Weitergabe an Dritte ist nicht gestattet.",
            "Der Quelltext wird bei einem Treuhänder hinterlegt.",
            "Marken und Kennzeichen dürfen nicht entfernt werden.",
            "Der Auftragnehmer stellt den Kunden von Ansprüchen Dritter wegen Schutzrechten frei.",
        ),
        (
            "The Customer is granted a non-exclusive, perpetual licence to use the Software.",
            "All intellectual property in the deliverables vests in {company} upon payment.",
            "Each party keeps its rights in materials created before this Agreement.",
            "The Supplier warrants that the deliverables infringe no third party rights.",
        ),
        (
            "The licence may not be assigned or sublicensed.",
            "Source code shall be placed in escrow.",
            "Trade marks shall not be removed or altered.",
            "The Supplier shall indemnify the Customer against claims of infringement.",
        ),
    ),
    _Kind(
        "warranty",
        (
            "Mängel sind innerhalb von {days} Tagen nach Ablieferung schriftlich anzuzeigen.",
            "Die Gewährleistungsfrist beträgt {months} Monate ab Abnahme.",
            "Bei Mängeln leistet die {company} nach ihrer Wahl Nachbesserung oder Ersatz.",
            "Schlägt die Nacherfüllung zweimal fehl, kann der Kunde mindern oder zurücktreten.",
        ),
        (
            "Gebrauchte Teile sind von der Gewährleistung ausgenommen.",
            "Sie entfällt, wenn der Kunde Eingriffe ohne Zustimmung vornimmt.",
            "Die Kosten für Ein- und Ausbau trägt der Lieferant.",
            "Arglistig verschwiegene Mängel verjähren nach den gesetzlichen Fristen.",
        ),
        (
            "The Supplier warrants that the goods will be free from defects for {months} months.",
            "Defects shall be notified in writing within {days} days of delivery.",
            "{company} shall at its option repair or replace defective goods.",
            "If a repair has failed twice the Customer may reject the goods.",
        ),
        (
            "The warranty does not cover normal wear and tear.",
            "It lapses if the goods are modified without consent.",
            "The Supplier bears the cost of removal and refitting.",
            "All other warranties are excluded to the extent permitted by law.",
        ),
    ),
)  # fmt: skip


def clauses() -> Iterator[dict[str, object]]:
    """A row per clause: its text, its kind, its language and the contract it stands in."""
    for kind in _KINDS:
        for language, firsts, more in (("de", kind.german, kind.german_more), ("en", kind.english, kind.english_more)):
            for index in range(PER_LANGUAGE):
                dice = Dice(f"legal {kind.label} {language} {index}")
                added = dice.some(more, 1 + dice.below(2))
                number = f"§ {2 + dice.below(20)} " if language == "de" else f"{2 + dice.below(20)}.{1 + dice.below(6)} "
                text = number + " ".join([firsts[index % len(firsts)], *added])
                yield {
                    "text": _filled(text, language, dice),
                    "kind": kind.label,
                    "language": language,
                    "contract": f"V-{2024 + index % 3}-{1 + dice.below(40):03d}",
                }


def _filled(text: str, language: str, dice: Dice) -> str:
    in_german = language == "de"
    person = german(dice) if in_german else english(dice)
    amount = (10 + dice.below(90)) * 1000
    return text.format(
        company=dice.pick(_COMPANIES if in_german else _ENGLISH_COMPANIES),
        person=f"{person.title} {person.name}",
        email=person.email,
        iban=person.iban,
        amount=f"{amount:,}".replace(",", "." if in_german else ","),
        months=dice.pick((3, 6, 12, 24)),
        days=dice.pick((7, 14, 30)),
        number=1 + dice.below(5),
        town=dice.pick(
            ("Hamburg", "Stuttgart", "Leipzig", "Köln") if in_german else ("London", "Manchester", "Leeds", "Bristol")
        ),
    )
