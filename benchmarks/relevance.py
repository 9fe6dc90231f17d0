"""How well relevance tells examples of a topic from others: our letter sequences beside the words that DSIR counts.

    python benchmarks/relevance.py

On three of the examples' own data sets, whose rows have a topic. For each topic examples are scored by a line of keywords, and
by five rows of the topic, which are then left out. Told is the probability that an example of the topic is scored above one of
another (area under the curve; 0.5 is chance), as mean over the topics, with the lowest. What is counted and how it is smoothed
was chosen on the tickets alone; clauses and reports were looked at afterwards.
"""

from __future__ import annotations

import csv
import json
import random
import re
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from finetune_trainer.data.weighting.relevance import BUCKETS, counted, hashed_ngrams, log_ratios, scores

EXAMPLES = Path(__file__).parent.parent / "examples"
Rows = list[tuple[str, str]]
Featurizer = Callable[[str], np.ndarray]

TICKETS = {
    "zahlung": "Zahlung, Abschlag, Lastschrift, Bankverbindung, Konto, Guthaben",
    "rechnung": "Fragen zur Rechnung und zum Verbrauch, zu Preisen und Netzentgelt",
    "vertrag": "Vertrag kündigen oder wechseln, Laufzeit, Tarif",
    "umzug": "Umzug und neue Adresse",
    "zaehler": "Zählerstand ablesen und melden",
    "stoerung": "Stromausfall, Störung, kein Strom",
    "portal": "Anmeldung im Kundenportal, Passwort",
    "technik": "Wallbox, Photovoltaik, Einspeisung, Wärmepumpe",
}
CLAUSES = {
    "liability": "Haftung, Schadensersatz, Fahrlässigkeit; liability, damages, negligence",
    "termination": "Kündigung, Laufzeit, Frist; termination, term, notice period",
    "confidentiality": "Geheimhaltung, vertrauliche Informationen; confidentiality, confidential information",
    "payment": "Zahlung, Rechnung, Verzug; payment, invoice, default",
    "data_protection": "Datenschutz, personenbezogene Daten; data protection, personal data",
    "governing_law": "anwendbares Recht, Gerichtsstand; governing law, jurisdiction",
    "intellectual_property": "Urheberrecht, Nutzungsrechte, Patente; copyright, licence, patents",
    "warranty": "Gewährleistung, Mängel, Nacherfüllung; warranty, defects, remedy",
}
REPORTS = {
    "cardiology": "Herz, Blutdruck, Puls, Echokardiographie; heart, blood pressure, pulse",
    "orthopaedics": "Knie, Hüfte, Gelenk, Fraktur; knee, hip, joint, fracture",
    "gastroenterology": "Magen, Darm, Leber, Endoskopie; stomach, bowel, liver, endoscopy",
    "endocrinology": "Schilddrüse, Diabetes, Hormone; thyroid, diabetes, hormones",
    "pneumology": "Lunge, Atmung, Husten; lungs, breathing, cough",
    "neurology": "Kopfschmerz, Nerven, Schlaganfall; headache, nerves, stroke",
    "dermatology": "Haut, Ausschlag, Ekzem; skin, rash, eczema",
    "urology": "Niere, Blase, Harn; kidney, bladder, urine",
}


def corpora() -> dict[str, tuple[Rows, dict[str, str]]]:
    """Texts with their topics, and what describes the topics."""
    with (EXAMPLES / "support/tickets.csv").open(encoding="utf-8") as file:
        tickets = [(f"{row['description']}\n{row['reply']}", row["tags"]) for row in csv.DictReader(file)]
    clauses = [(row["text"], row["kind"]) for row in _jsonl("legal/clauses.jsonl")]
    reports = [(f"{row['report']}\n{row['assessment']}", row["department"]) for row in _jsonl("medicine/reports.jsonl")]
    return {"tickets": (tickets, TICKETS), "clauses": (clauses, CLAUSES), "reports": (reports, REPORTS)}


def _jsonl(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (EXAMPLES / name).read_text(encoding="utf-8").splitlines()]


def words_and_pairs(text: str) -> np.ndarray:
    """What DSIR counts: hashed words and pairs of words."""
    words = re.findall(r"\w+", text.casefold())
    pairs = [" ".join(pair) for pair in pairwise(words)]
    return np.array([zlib.crc32(one.encode()) % BUCKETS for one in (*words, *pairs)], np.uint16)


def area(found: np.ndarray, of_topic: np.ndarray) -> float:
    """Probability that one of the topic is above one that is not, ties counting half."""
    above = found[of_topic][:, None] - found[~of_topic][None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def measured(rows: Rows, described: dict[str, str], featurize: Featurizer) -> tuple[list[float], list[float]]:
    """Areas of each topic, by description and by five rows."""
    texts = [featurize(text) for text, _ in rows]
    topics = np.array([topic for _, topic in rows])
    sizes = np.array([len(text) for text in texts])
    everything = np.concatenate(texts)
    background = counted(everything)
    by_words, by_rows = [], []
    for topic, words in described.items():
        found = scores(everything, sizes, log_ratios(counted(featurize(words)), background))
        by_words.append(area(found, topics == topic))
        members = np.flatnonzero(topics == topic).tolist()
        shown = random.Random(topic).sample(members, 5)
        target = counted(np.concatenate([texts[index] for index in shown]))
        rest = np.setdiff1d(np.arange(len(rows)), shown)
        found = scores(everything, sizes, log_ratios(target, background))
        by_rows.append(area(found[rest], topics[rest] == topic))
    return by_words, by_rows


def main() -> None:
    """Print a line per corpus and contender."""
    print(f"{'corpus':<10}{'rows':>5}  {'counted':<22}{'keywords':>18}{'five rows':>18}")
    for name, (rows, described) in corpora().items():
        for contender, featurize in (("letters (ours)", hashed_ngrams), ("words, pairs (DSIR)", words_and_pairs)):
            columns = [f"{np.mean(found):.3f} ({min(found):.2f})" for found in measured(rows, described, featurize)]
            print(f"{name:<10}{len(rows):>5}  {contender:<22}{columns[0]:>18}{columns[1]:>18}")


if __name__ == "__main__":
    main()
