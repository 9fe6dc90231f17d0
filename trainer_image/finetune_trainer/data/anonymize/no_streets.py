"""What ends, begins or counts like an address and is none: During 3 months, Steckplatz 2, 500 GB Drive, 10000 Downloads."""

from __future__ import annotations

import re

_STEMS = """
ring: spring bring herring earring ehering o-ring dichtring kolbenring sprengring
 schlüsselring gummiring sicherungsring kreisring boxring
steig: bahnsteig bussteig bürgersteig gehsteig
wall: firewall paywall drywall videowall schutzwall
ufer: käufer läufer säufer raufer anrufer ausrufer zurufer
damm: staudamm
gasse: rettungsgasse
straße: fertigungsstraße produktionsstraße montagestraße waschstraße lackierstraße datenstraße
platz: speicherplatz steckplatz arbeitsplatz parkplatz stellplatz sitzplatz stehplatz lagerplatz lagerstellplatz liegeplatz
 tabellenplatz startplatz ehrenplatz spitzenplatz schlafplatz studienplatz ausbildungsplatz praktikumsplatz pflegeplatz
 therapieplatz betreuungsplatz kitaplatz kita-platz krippenplatz heimplatz fensterplatz gangplatz listenplatz einsatzplatz
 zuschauerplatz hotelplatz tennisplatz rastplatz ladeplatz palettenplatz regalplatz medaillenplatz podestplatz
 schreibtischplatz
weg: arbeitsweg lösungsweg heimweg rückweg hinweg umweg ausweg irrweg fluchtweg rettungsweg verkehrsweg transportweg rechtsweg
 dienstweg lernweg federweg bremsweg anfahrtsweg anfahrtweg wanderweg fahrtweg gehweg radweg übertragungsweg vertriebsweg
 bestellweg zahlungsweg rechenweg lieferweg laufweg verfahrweg stellweg schaltweg kommunikationsweg
pfad: dateipfad suchpfad lernpfad zielpfad ordnerpfad netzwerkpfad klickpfad verzeichnispfad installationspfad entwicklungspfad
 trampelpfad menüpfad speicherpfad unterpfad quellpfad karrierepfad
str.: registr. illustr. administr. magistr. demonstr. konstr.
"""
_NO_STREET = re.compile(
    "(?:"
    + "|".join(re.escape(stem) for line in _STEMS.replace("\n ", " ").strip().split("\n") for stem in line.split()[1:])
    # Anstieg, but neither Rathausstieg nor Steinstieg.
    + r"|(?:an|auf|zu|(?<!h)aus|(?<!gr)ab|(?<!ba)um)stieg|(?<![^\W\d_])einstieg|(?:quer|wieder|berufs|seiten|neu)einstieg"
    # English: what ends in -ring there has a vowel before it, as few names of rings have.
    + r"|(?<!o)string|(?<!a)uring|[oi]ring|(?:ea|ha|ca|pa|ra|ta)ring"
    + r"|(?<!heid)(?<!weid)(?<!haid)(?<!lind)(?<!buch)(?<!mühl)(?<!se)ering"
    + r")s?\Z"
)
"""How words end that end like streets, in small letters."""
_RINGS = frozenset(("europaring", "martharing"))
"""Streets that end as the words above do."""

_PREPOSITIONS = """
An Ab Auf Aus Bei Für Gegen Hinter In Ist Mit Nach Oder Ohne Per Pro Seit Um Und Unter Von Vor War Was Wie Wo Zu Über
"""
PREPOSITIONS = frozenset(_PREPOSITIONS.split())
"""Before a bare Platz or Weg they make no name: Auf Platz 3."""
_COUNTED = (
    r"[KMGT]i?B|[KMG]?Hz|[KMGT]?[Bb]it(?:/s)?|km(?:/h)?|cm|mm|m²|qm|m|kg|mg|ml|kWh?|Wh|Watt|Volt|Zoll|EUR|Euro|USD|Dollar|Cent|Franken"
    r"|Prozent(?:punkte?)?|Punkte?n?|Stunden?|Std\.?|Minuten?|Min\.?|Sekunden?|Sek\.?|Tagen?|Wochen?|Monaten?|Jahren?|Meter|Kilometer"
    r"|Mal|mal|Personen|Stück|Uhr|Grad|hours?|minutes?|seconds?|days?|weeks?|months?|years?|times|percent|points?|miles?|feet|inch(?:es)?"
)
COUNTED = re.compile(rf"[ ]?(?:[%‰°€$£]|(?:{_COUNTED})(?!\w))|[.,:]\d{{1,2}}(?!\d)")
"""Behind a number it says that the number counts or measures."""

_NO_WAY = """
GB TB MB KB GiB TiB MiB Gb Mb GHz MHz Hz Watt Volt Inch Zoll Euro EUR USD Dollar Dollars Percent Prozent Million Millions
Billion Billions Thousand Mio Mrd Bit Byte Bytes Hours Minutes Days Weeks Months Years Meters Herr Herrn Frau Mr Mrs Ms Miss
Prof Professor Januar Februar März Juni Juli Oktober November Dezember January February October December Uhr Stück
"""
NO_WAY = frozenset(_NO_WAY.split())
"""Between the number and Street, Drive or Court they tell that it is no address: 500 GB Drive."""
NO_WAYS = re.compile(
    r"(?:Hard|Flash|Disk|Disc|Thumb|Google|USB|SSD|HDD|NVMe|Optical|Tape|State|Test|DVD|CD|Zip|Pen|Network|Shared|System|External"
    r"|Internal|Floppy|Virtual|Cloud|Wheel) Drive|(?:Supreme|District|High|Federal|Appeals|Tennis|Food|Circuit|Superior"
    r"|Magistrate|Basketball|Moot) Court|(?:Last|Work|Safe|Next) Place|(?:Table|Header|First|Last|Next|Data|Top|Bottom) Row"
    r"|(?:Full|Inner|Vicious) Circle|(?:Short|Same|Right|Best|Easy|Hard|Only|Wrong|Quick|Third|Two|One) Way"
    r"|(?:Random|Space|Code) Walk|(?:Least|Latin|Chi|Perfect|Magic) Square|(?:Auto|Market|Door|Soft) Close\Z"
)
"""Of things and courts of law, not of streets."""
COUNTS_BEFORE = re.compile(
    r"(?i:chapter|section|step|figure|fig\.|table|level|part|page|volume|issue|version|windows|season|episode|act|scene|exercise|lesson"
    r"|question|slide|item|phase|kapitel|abschnitt|schritt|seite|teil|zimmer|raum|platz|nr\.|no\.|#)[ ]?\Z"
)
"""Before a number with capitals behind it: Chapter 5 The Long Walk."""

_MORE_COUNTED = """
Fällen Datensätzen Haushalten Betrieben Unternehmen Kunden Teilen Stimmen Einträgen Zeilen Nutzern Personen Menschen
Kilometern Beobachtungen Fotos Bildern Dokumenten Dateien Antworten Bewerbungen Bewerbern Proben Stunden Wörtern Zeichen
Seiten Artikeln Zellen Gemeinden Ländern Städten Orten Quellen Texten Sätzen Beispielen Tweets Posts Interviews Patienten
Probanden Schülern Mitgliedern Büchern Werken Stücken Einzelteilen Bauteilen Pixeln Knoten Punkten Messungen Daten Tests
Spielen Metern Fuß Litern Downloads Zyklen Aufrufe Aufrufen Klicks Views Zugriffe Zugriffen Likes Follower Followern
Abonnenten Bücher Bilder Mails Nachrichten Sätze Texte Beispiele Fragen Bestellungen Produkte Produkten Betten Plätze
Arbeitsplätze Jobs Studenten Studierende Studierenden Schüler Wohnungen Häuser Autos Fahrzeuge Fahrzeugen Sekunden Wochen
Monate Jahre Jahren Milliarden Millionen Worte Worten Hektar Kalorien Lumen Pixel Byte Bytes Zloty Kronen Pfund Yen Rubel
Forint Items Rows Records Users People
"""
COUNTED_BY_THOUSANDS = frozenset(_MORE_COUNTED.split())
"""Further nouns behind numbers of five digits."""


def is_no_street(word: str) -> bool:
    """Whether a word that ends as streets do is none: Steckplatz, Umsatzanstieg, During."""
    small = word.lower().replace("strasse", "straße")
    return small not in _RINGS and _NO_STREET.search(small) is not None
