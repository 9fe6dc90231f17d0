"""Short medical reports, German and English, with the assessment that a doctor writes at their end.

The patients do not exist. A report has what identifies a real one: name, date of birth, address, insurance number, the doctors'
names, a telephone number. Findings fit their assessment, but are written by engineers: nothing here is medical advice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from invented.people import Dice, Person, english, german

PER_CASE = 3
"""Patients per case and language."""


@dataclass(frozen=True, slots=True)
class _Case:
    department: str
    german: tuple[str, str, str]
    """Complaint, finding, assessment."""
    english: tuple[str, str, str]


_CASES = (
    _Case(
        "cardiology",
        ("Belastungsabhängige Atemnot seit {weeks} Wochen, nachts zwei Kissen.",
         "Blutdruck {high}/85 mmHg, Puls 88. Unterschenkelödeme beidseits. Echo: Auswurffraktion {fraction} %.",
         "Chronische Herzschwäche mit verminderter Auswurffraktion, derzeit gestaut. Entwässernde Therapie, Kontrolle des Gewichts"
         " täglich, Wiedervorstellung in zwei Wochen."),
        ("Breathless on exertion for {weeks} weeks, sleeps on two pillows.",
         "Blood pressure {high}/85 mmHg, pulse 88. Oedema of both lower legs. Echo: ejection fraction {fraction} %.",
         "Chronic heart failure with reduced ejection fraction, congested at present. Diuretics, daily weights, review in two weeks."),
    ),
    _Case(
        "cardiology",
        ("Herzstolpern und innere Unruhe seit gestern Abend.",
         "EKG: absolute Arrhythmie, Frequenz {rate}/min, keine Ischämiezeichen. Schilddrüsenwerte unauffällig.",
         "Erstmals festgestelltes Vorhofflimmern. Frequenzkontrolle und Blutverdünnung begonnen, Herzultraschall in dieser Woche."),
        ("Palpitations and restlessness since last night.",
         "ECG: irregularly irregular rhythm, rate {rate}/min, no ischaemia. Thyroid tests normal.",
         "New atrial fibrillation. Rate control and anticoagulation started, echocardiogram this week."),
    ),
    _Case(
        "pneumology",
        ("Husten mit gelbem Auswurf und Fieber bis 39 Grad seit {days} Tagen.",
         "Rasselgeräusche rechts basal. CRP {crp} mg/l. Röntgen: Verschattung im rechten Unterlappen.",
         "Ambulant erworbene Lungenentzündung rechts. Antibiotikum für sieben Tage, viel trinken, Kontrolle bei ausbleibender"
         " Besserung nach 48 Stunden."),
        ("Cough with yellow sputum and fever up to 39 degrees for {days} days.",
         "Crackles at the right base. CRP {crp} mg/l. Chest X-ray: opacity in the right lower lobe.",
         "Community-acquired pneumonia on the right. Antibiotic for seven days, fluids, review if not better after 48 hours."),
    ),
    _Case(
        "orthopaedics",
        ("Kreuzschmerz mit Ausstrahlung in das linke Bein seit {weeks} Wochen.",
         "Zeichen nach Lasègue links bei 40 Grad positiv, Fußheberkraft erhalten, kein Taubheitsgefühl im Reithosenbereich.",
         "Reizung der Nervenwurzel L5 links ohne Ausfälle. Schmerzmittel, Krankengymnastik, Bildgebung nur bei Verschlechterung."),
        ("Low back pain radiating into the left leg for {weeks} weeks.",
         "Straight leg raise positive at 40 degrees on the left, foot strength normal, no saddle anaesthesia.",
         "Irritation of the left L5 nerve root without deficit. Pain relief, physiotherapy, imaging only if it gets worse."),
    ),
    _Case(
        "orthopaedics",
        ("Sturz auf die ausgestreckte Hand beim Radfahren, Schmerz am Handgelenk.",
         "Schwellung und Druckschmerz über der Speiche. Röntgen: nicht verschobener Bruch der distalen Speiche.",
         "Distaler Speichenbruch ohne Verschiebung. Gips für {weeks} Wochen, Röntgenkontrolle nach einer Woche."),
        ("Fall on the outstretched hand while cycling, painful wrist.",
         "Swelling and tenderness over the radius. X-ray: undisplaced fracture of the distal radius.",
         "Undisplaced distal radius fracture. Cast for {weeks} weeks, repeat X-ray after one week."),
    ),
    _Case(
        "gastroenterology",
        ("Krampfartige Schmerzen im rechten Oberbauch nach fettem Essen.",
         "Druckschmerz rechts, kein Fieber. Ultraschall: mehrere Steine in der Gallenblase, Wand zart. Bilirubin normal.",
         "Gallensteine mit Koliken, keine Entzündung. Fettarme Kost, Vorstellung in der Chirurgie zur geplanten Entfernung."),
        ("Cramping pain in the right upper abdomen after fatty meals.",
         "Tenderness on the right, no fever. Ultrasound: several gallstones, thin wall. Bilirubin normal.",
         "Gallstones with biliary colic, no inflammation. Low-fat diet, surgical referral for elective removal."),
    ),
    _Case(
        "gastroenterology",
        ("Sodbrennen seit {weeks} Wochen, vor allem nachts.",
         "Abdomen weich. Magenspiegelung: Rötung der unteren Speiseröhre, kein Geschwür, Gewebeproben unauffällig.",
         "Refluxkrankheit mit leichter Entzündung der Speiseröhre. Säureblocker für acht Wochen, Kopfende des Bettes erhöhen."),
        ("Heartburn for {weeks} weeks, mostly at night.",
         "Soft abdomen. Gastroscopy: redness of the lower oesophagus, no ulcer, biopsies normal.",
         "Reflux disease with mild oesophagitis. Acid suppression for eight weeks, raise the head of the bed."),
    ),
    _Case(
        "endocrinology",
        ("Starker Durst und häufiges Wasserlassen seit {weeks} Wochen, vier Kilogramm Gewichtsverlust.",
         "Blutzucker {sugar} mg/dl, HbA1c 9,8 %, Ketone negativ, Nierenwerte normal.",
         "Neu entdeckter Diabetes Typ 2. Metformin begonnen, Schulung und Ernährungsberatung, Augenarzttermin vereinbart."),
        ("Thirst and frequent urination for {weeks} weeks, lost four kilograms.",
         "Glucose {sugar} mg/dl, HbA1c 9.8 %, no ketones, normal kidney function.",
         "New type 2 diabetes. Metformin started, education and dietary advice, eye examination arranged."),
    ),
    _Case(
        "endocrinology",
        ("Müdigkeit, Frieren und Gewichtszunahme über Monate.",
         "Haut trocken, Puls 54. TSH {tsh} mU/l, freies T4 erniedrigt, Antikörper erhöht.",
         "Schilddrüsenunterfunktion bei Autoimmunentzündung. Schilddrüsenhormon begonnen, TSH in sechs Wochen."),
        ("Tired, cold and gaining weight over months.",
         "Dry skin, pulse 54. TSH {tsh} mU/l, low free T4, raised antibodies.",
         "Hypothyroidism due to autoimmune thyroiditis. Thyroxine started, TSH in six weeks."),
    ),
    _Case(
        "neurology",
        ("Pochender Kopfschmerz links mit Übelkeit, etwa {days} Tage im Monat, Licht stört.",
         "Neurologisch unauffällig, Augenhintergrund scharf begrenzt, Blutdruck normal.",
         "Migräne ohne Aura. Triptan bei Anfall, Kopfschmerztagebuch, Vorbeugung mit Betablocker besprochen."),
        ("Throbbing headache on the left with nausea, about {days} days a month, light hurts.",
         "Normal neurological examination, sharp optic discs, normal blood pressure.",
         "Migraine without aura. Triptan for attacks, headache diary, prevention with a beta blocker discussed."),
    ),
    _Case(
        "dermatology",
        ("Juckende, schuppende Stellen an Ellenbogen und Knien seit {weeks} Wochen.",
         "Scharf begrenzte, gerötete Herde mit silbriger Schuppung, Nägel mit Tüpfeln, Gelenke frei.",
         "Schuppenflechte vom Plaque-Typ. Salbe mit Vitamin-D-Abkömmling und Kortison, Hautpflege, Kontrolle in sechs Wochen."),
        ("Itchy scaling patches on elbows and knees for {weeks} weeks.",
         "Sharply bordered red plaques with silvery scale, pitted nails, no joint involvement.",
         "Plaque psoriasis. Ointment with a vitamin D analogue and a steroid, emollients, review in six weeks."),
    ),
    _Case(
        "urology",
        ("Brennen beim Wasserlassen seit {days} Tagen, kein Fieber.",
         "Nierenlager frei. Urin: Leukozyten und Nitrit positiv.",
         "Unkomplizierte Blasenentzündung. Einmalgabe eines Antibiotikums, reichlich trinken, Urinkultur angelegt."),
        ("Burning on passing urine for {days} days, no fever.",
         "No flank tenderness. Urine: leucocytes and nitrite positive.",
         "Uncomplicated cystitis. Single dose of an antibiotic, plenty of fluids, urine culture sent."),
    ),
)  # fmt: skip

_DOCTORS = ("Dr. Wittkamp", "Dr. Sörensen", "Dr. Arslan", "Dr. Heidkamp")
_ENGLISH_DOCTORS = ("Dr Pemberley", "Dr Akintola", "Dr Whitcombe", "Dr Rasmussen")


def reports() -> Iterator[dict[str, object]]:
    """A row per report."""
    for number, case in enumerate(_CASES):
        for language in ("de", "en"):
            for index in range(PER_CASE):
                dice = Dice(f"medicine {number} {language} {index}")
                person = german(dice) if language == "de" else english(dice)
                yield {
                    "report": _report(case, person, language, dice),
                    "assessment": (case.german if language == "de" else case.english)[2].format(weeks=dice.pick((4, 5, 6))),
                    "department": case.department,
                    "language": language,
                    "case": f"F{number:02d}",
                }


def _report(case: _Case, person: Person, language: str, dice: Dice) -> str:
    complaint, finding, _ = case.german if language == "de" else case.english
    values = {
        "weeks": dice.pick((2, 3, 6, 8)),
        "days": dice.pick((3, 4, 5)),
        "high": 130 + dice.below(40),
        "fraction": 28 + dice.below(12),
        "rate": 112 + dice.below(40),
        "crp": 60 + dice.below(120),
        "sugar": 240 + dice.below(120),
        "tsh": 12 + dice.below(30),
    }
    seen = date(2026, 1, 7) + timedelta(days=dice.below(200))
    insurance = f"{'ABCDEFGHJKLM'[dice.below(12)]}{dice.below(10**9):09d}"
    if language == "de":
        return (
            f"Patient: {person.family}, {person.first}, geb. {person.born:%d.%m.%Y}\n"
            f"Anschrift: {person.street}, {person.place}\nVersichertennummer: {insurance}\nUntersuchung am {seen:%d.%m.%Y},"
            f" {dice.pick(_DOCTORS)}\n\nAnamnese: {complaint.format(**values)}\nBefund: {finding.format(**values)}\n"
            f"Rückfragen der Praxis an {person.title} {person.family}, Telefon {person.phone}."
        )
    return (
        f"Patient: {person.title} {person.name}, date of birth {person.born:%d %B %Y}\nAddress: {person.street}, {person.place}\n"
        f"Seen on {seen:%d %B %Y} by {dice.pick(_ENGLISH_DOCTORS)}\n\nHistory: {complaint.format(**values)}\n"
        f"Findings: {finding.format(**values)}\nContact for appointments: {person.phone}, {person.email}"
    )
