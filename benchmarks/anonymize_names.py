"""Names where nothing says that one follows: sentences and short documents, written before the detectors were tried on them.

Braces mark each name; nothing else in a text is one. Texts of `FIRST` were used afterwards to mend the detectors, those of
`SECOND` too, in that order; what was found at first sight is in docs/benchmarks.md.
"""

from __future__ import annotations

import re

# fmt: off
FIRST = {
    "de": (
        "Gestern Nachmittag war {Burak Yıldırım} bei uns im Lager und hat die Palette abgeholt.",
        "Das Angebot hatte {Katharina Brinkhoff} noch vor Ostern verschickt, seitdem herrscht Funkstille.",
        "Laut {Miroslav Kovačić} ist der Drucker im zweiten Stock seit Mittwoch defekt.",
        "Ohne {Sabine} läuft hier nichts, sie hat als Einzige den Schlüssel zum Archiv.",
        "Bei der Übergabe fehlten {Nguyễn Thị Lan} und {Tobias Rehbein}, beide waren krank gemeldet.",
        "Die Reklamation stammt von {Giulia Ferrante}, die Rechnung ging aber an die Buchhaltung.",
        "Was {Piotr Wiśniewski} im Juni bestellt hat, kam erst im August an.",
        "Dann rief {Annkathrin} noch einmal an und wollte den Termin verschieben.",
        "Vertretung im Urlaub macht {Öztürk}, Durchwahl 22.",
        "{Lennart Pickenpack} hat den Vertrag gekündigt, {Merle Pickenpack} möchte ihn behalten.",
        "Den Zugang braucht künftig auch {Svetlana Morozova} aus der Qualitätssicherung.",
        "Mit {Jörg Hünerfauth} wurde vereinbart, dass die Montage am Freitag beginnt.",
        "Die Kollegin {Fatima Benali} und der Auszubildende {Leon Stüwe} kümmern sich darum.",
        "Wie {João Pinheiro} schon schrieb, ist die Seriennummer unlesbar.",
        "Es haben unterschrieben: {Hartmut Quast}, {Ilse Quast}, {Detlev von Rönne}.",
        "Ich habe die Unterlagen heute {Wiebke} gegeben; {Wiebke} reicht sie weiter.",
        "Kannst du bitte {Aylin Demirtaş} in den Verteiler aufnehmen?",
        "Seit {Gerlinde Mooshammer} in Rente ist, weiß keiner mehr, wo der Ordner steht.",
        "Die Wohnung im dritten Stock links bewohnt {Abdulrahman Al-Masri} mit seiner Familie.",
        "Protokoll der Sitzung vom 3. März\n"
        "Anwesend: {Knut Bärwald}, {Elif Şahin}, {Pál Szabó}\nEntschuldigt: {Trude Willenbrock}",
        "Fahrerin war {Chiara Zumstein}, Beifahrer {Reto Abderhalden}, beide blieben unverletzt.",
        "Frau {Dörte Lüdemann} rief um 9 Uhr an. Später meldete sich {Lüdemann} erneut und nahm die Beschwerde zurück.",
        "Mein Name ist {Zbigniew Kaczmarek}.\nIch warte seit Wochen.\nBitte notieren Sie: {Kaczmarek} will sein Geld zurück.",
        "Sehr geehrter Herr {Osterkamp},\nwir haben {Osterkamp}s Antrag geprüft und abgelehnt.",
        "Patient: {Hannelore Zschiesche}\nDie Aufnahme erfolgte am Abend. {Zschiesche} "
        "klagte über Schwindel. {H. Zschiesche} wurde am Morgen entlassen.",
        "Mieter laut Liste: {Ramona Fuhlendorf} (EG), {Goran Babić} (1. OG), Eheleute {Tiedge} (2. OG)",
        "Nach Rücksprache mit {K.-H. Brüggemann} wird die Frist verlängert.",
        "Das hat mir {Ute} vom Empfang so gesagt, und {Mandy} hat es bestätigt.",
        "Für die Abnahme sind {Yusuf} und {Malte} eingeteilt, die Abnahme der Heizung macht {Steffi}.",
        "Testamentarisch bedacht wurden {Edeltraud Himmelreich} und deren Neffe {Cedric}.",
    ),
    "en": (
        "Yesterday {Tunde Bakare} dropped off the broken router at the front desk.",
        "The quote was sent by {Marjorie Thistlewood} before Easter and nobody has heard back.",
        "According to {Priya Raghunathan} the printer on the second floor has been dead since Wednesday.",
        "Nothing moves here without {Sheila}; she is the only one with a key to the archive.",
        "Neither {Duc Pham} nor {Rosalind Achterberg} came to the handover.",
        "The complaint came from {Giancarlo Bellini}, but billing got the invoice.",
        "What {Agnieszka Wróbel} ordered in June arrived in August.",
        "Then {Bethany} called again and wanted to move the appointment.",
        "Cover during the holidays: {Okonkwo}, extension 22.",
        "{Travis McAllister} cancelled the contract, {Jolene McAllister} wants to keep it.",
        "Access is also needed by {Svetlana Orlova} in quality assurance.",
        "We agreed with {Declan O'Shaughnessy} that the fitting starts on Friday.",
        "Our colleague {Fatoumata Diallo} and the trainee {Hunter Blakemore} are on it.",
        "As {João Figueiredo} already wrote, the serial number cannot be read.",
        "Signed in the presence of {Harold Quimby}, {Edna Quimby} and {Bartholomew de Vries}.",
        "I gave the papers to {Imogen} this morning; {Imogen} will pass them on.",
        "Can you add {Xiaoming Zhao} to the mailing list, please?",
        "Since {Gladys Ormerod} retired nobody knows where the folder is.",
        "The flat on the third floor is let to {Abdulaziz Al-Harbi} and his family.",
        "Minutes of 3 March\nPresent: {Kit Barrowclough}, {Leila Haddad}, {Sanjay Mukherjee}\nApologies: {Trudy Wainscott}",
        "{Chelsea Nakagawa} was driving, {Wyatt Lindqvist} sat beside her, and both were unhurt.",
        "Mrs {Deirdre Lonergan} rang at nine. Later {Lonergan} rang again and withdrew the complaint.",
        "My name is {Zachary Pennypacker}.\nI have been waiting for weeks.\nPlease note: {Pennypacker} wants his money back.",
        "Dear Mr {Osgood},\nwe have looked at {Osgood}'s application and turned it down.",
        "Patient: {Henrietta Zamora}\nAdmitted in the evening. {Zamora} "
        "complained of dizziness. {H. Zamora} was discharged in the morning.",
        "Tenants on the list: {Ramona Fullalove} (ground floor), {Goran Babic} (first floor), {Keisha Tubbs} (second floor)",
        "After a word with {J. R. Brubaker} the deadline was extended.",
        "{Ursula} from reception told me so, and {Mandy} confirmed it.",
        "{Yusuf} and {Craig} are down for the inspection, {Steph} does the boiler.",
        "The will names {Ethelinda Heavenly} and her nephew {Cedric}.",
    ),
}
SECOND = {
    "de": (
        "Heute früh hat {Guðrún} aus Reykjavík geschrieben, die Ersatzteile sind unterwegs.",
        "Für Rückfragen zur Kaution wenden Sie sich bitte direkt an {Hanspeter Zurbuchen}.",
        "Die Schlüssel liegen bei {Ottmar Schlickeisen}, Hinterhaus, zweite Klingel von oben.",
        "Weder {Bambang Setiawan} noch sein Vorgesetzter haben den Vorfall gemeldet.",
        "{Swantje} kommt erst am Donnerstag wieder, bis dahin vertritt sie {Karsten}.",
        "Im Treppenhaus sprach mich {Nomvula Dlamini} auf die kaputte Lampe an.",
        "Den Bericht verfasste {Ricarda Hohenwarter}; gegengelesen hat ihn {Severin Obermoser}.",
        "Nach dem Gespräch mit {Ilka Trautwein-Bock} war {Bock} deutlich ruhiger.",
        "Die Pflegestufe von {Waltraud Kümmerle} wurde hochgesetzt, die von {Egon Kümmerle} nicht.",
        "Hat {Emre} den Toner schon bestellt? Sonst frage ich {Justyna}.",
        "Beschwerde über den Fahrstil: am Steuer saß {Eyjólfur Magnússon}.",
        "Als Erben kommen {Mechthild Pannwitz}, {Siegbert Pannwitz} und die Stadt Görlitz in Betracht.",
        "Kundin: {Lieselotte Abendschein}\nVerlauf: {Abendschein} meldet Ausfall des Routers. Techniker {Kevin} war vor Ort.\n"
        "{L. Abendschein} bestätigt die Reparatur.",
        "Wie besprochen übernimmt ab Montag {Ngozi Umeh} die Frühschicht, {Thabo} die Spätschicht.",
        "Der Hund gehört Familie {Wieczorek} aus dem Erdgeschoss, das weiß auch Oma {Erna}.",
        "Team Süd: {Alma Reuß}, {Dschafar Rahimi}, {Yngve Sandvik}\nTeam Nord: {Corinna Feldhusen}, {Ole Petersen}",
        "Tut mir leid, {Annemarie}, aber das Gutachten von {Pfannenschmidt} liegt noch nicht vor.",
        "Ich habe {Torben} gebeten, {Leyla Kılıç} zurückzurufen.",
        "Zuletzt arbeitete {Josefine Kleinschmidt} in der Abteilung Wareneingang.",
        "Bei {Marlies} und {Heribert Zumbusch} wurde gestern eingebrochen.",
    ),
    "en": (
        "This morning {Sigurlaug} wrote from Iceland that the spare parts are on their way.",
        "For questions about the deposit please turn to {Roderick Applewhite} directly.",
        "The keys are with {Winifred Mossop}, rear building, second bell from the top.",
        "Neither {Bambang Wijaya} nor his superior reported the incident.",
        "{Saoirse} is back on Thursday; until then {Keith} stands in for her.",
        "On the stairs {Nomvula Khumalo} talked to me about the broken lamp.",
        "The report was drawn up by {Rosalie Hathersage} and checked by {Lorcan Brannigan}.",
        "After the talk with {Ingrid Postlethwaite-Booth} we heard nothing from {Booth}.",
        "The care level of {Gwendoline Tapscott} went up, that of {Edgar Tapscott} did not.",
        "Has {Emre} ordered the toner yet? Otherwise I will ask {Justyna}.",
        "Complaint about the driving: {Eyjolfur Magnusson} was at the wheel.",
        "Possible heirs are {Millicent Pargeter}, {Clive Pargeter} and the city of Norwich.",
        "Customer: {Lavinia Eveningstar}\nHistory: {Eveningstar} reports an outage. Engineer {Kevin} was on site.\n"
        "{L. Eveningstar} confirms the repair.",
        "As discussed {Kwabena Ofori} takes the early shift from Monday, {Thabo} the late one.",
        "The dog belongs to the {Wieczorek}s on the ground floor, Grandma {Ethel} knows it too.",
        "Team South: {Alma Rusk}, {Jafar Rahimi}, {Yngve Sandvik}\nTeam North: {Corinne Fieldhouse}, {Oliver Petersen}",
        "Sorry, {Annabel}, but the survey by {Pocklington} has not arrived yet.",
        "I asked {Trevor} to call {Leyla Okumus} back.",
        "Until last year {Josephine Smallbone} worked in the goods-in department.",
        "There was a break-in at {Marge} and {Herbert Zumbach}'s yesterday.",
    ),
}
# fmt: on


def marked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its braces, and where the names stand in it."""
    plain, names, place = "", [], 0
    for mark in re.finditer(r"\{([^{}]+)\}", text):
        plain += text[place : mark.start()]
        names.append((len(plain), len(plain) + len(mark[1])))
        plain += mark[1]
        place = mark.end()
    return plain + text[place:], names
