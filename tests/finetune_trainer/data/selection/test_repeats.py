"""What leaves because other examples exist, by whole runs of prepare: who stays, who goes, what the report says."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_api.contract.trainer_config import WITHOUT_MODEL
from finetune_operator.brain.stages import Stage
from planted import edited, long_texts
from rows import write_jsonl

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came of it."""

    splits: dict[str, list[str]]
    """Per split the questions, or texts, in the order of the alphabet."""
    weights: dict[str, float]
    dropped: dict[str, int]
    report: dict[str, Any]

    def of(self, *splits: str) -> set[str]:
        return {text for name in splits for text in self.splits.get(name, [])}


def prepare(root: Path, datasets: list[dict[str, Any]], *, task: str = "chat", **preparation: Any) -> Prepared:
    """Prepare datasets: role, files (name to rows) each."""
    sources = []
    for number, dataset in enumerate(datasets):
        folder = root / f"data-{number}"
        for name, rows in dataset["files"].items():
            write_jsonl(folder / name, rows)
        sources.append({"name": dataset["name"], "uri": f"file://{folder}", "role": dataset.get("role", "train")})
    said = {"maxLength": 1_000_000, "overlong": "drop", "split": {"validation": 0, "test": 0}, **preparation}
    raw = stages.manifest(Path("/none"), sources, root / "out", preparation=said, task=task)
    workspace = root / "workspace"
    config = stages.orders(raw, Stage.PREPARE, workspace, write_examples=str(root / "out.jsonl"))
    config = config.model_copy(update={"model": config.model.model_copy(update={"uri": WITHOUT_MODEL})})
    end = stages.run_here(config, workspace / "prepare-1")
    assert end.code == 0, end.log
    splits: dict[str, list[str]] = {}
    weights: dict[str, float] = {}
    for line in (root / "out.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = row["text"] if "text" in row else row["messages"][0]["content"]
        splits.setdefault(row["split"], []).append(text)
        weights[text] = row["weight"]
    report = json.loads((workspace / "reports" / "data.json").read_text(encoding="utf-8"))
    dropped = report["summary"]["examples"]["droppedByReason"]
    return Prepared({name: sorted(found) for name, found in splits.items()}, weights, dropped, report)


def asked(*questions: str, answer: str = "Here is what to do, step by step, until it works again.") -> Rows:
    return [{"prompt": question, "completion": f"{answer} {number}"} for number, question in enumerate(questions)]


def texts(*values: str) -> Rows:
    return [{"text": value} for value in values]


# ---------------------------------------------------------------- near-duplicates within and across datasets


def test_planted_copies_leave_within_a_dataset_across_datasets_and_for_the_sake_of_exams(tmp_path: Path) -> None:
    originals, chance = long_texts(300), random.Random(3)
    within = [edited(text, chance) for text in originals[:60]]
    across = [edited(text, chance) for text in originals[60:130]]
    betraying = [edited(text, chance) for text in originals[200:270]]
    found = prepare(
        tmp_path,
        [
            {"name": "tickets", "files": {"a.jsonl": texts(*originals[:200], *within)}},
            {"name": "mails", "files": {"a.jsonl": texts(*across, *betraying)}},
            {"name": "exam", "role": "test", "files": {"a.jsonl": texts(*originals[200:250])}},
            {"name": "tuning", "role": "validation", "files": {"a.jsonl": texts(*originals[250:])}},
        ],
        deduplicate="near",
    )
    assert found.dropped == {"near_duplicate": 130, "near_held_out_data": 70}
    assert len(found.splits["train"]) == 200
    assert found.of("test", "validation") == set(originals[200:])
    assert found.report["compared"].startswith(
        "Copies and near-duplicates were looked for, from 75% of shared pairs of words on"
    )
    assert found.report["contamination"] == [
        {"dataset": "mails", "exam": "exam", "reason": "near_held_out_data", "examples": 50},
        {"dataset": "mails", "exam": "tuning", "reason": "near_held_out_data", "examples": 20},
    ]


def test_with_exact_the_same_copies_stay(tmp_path: Path) -> None:
    originals, chance = long_texts(20), random.Random(3)
    rows = texts(*originals, *(edited(text, chance) for text in originals), originals[0])
    found = prepare(tmp_path, [{"name": "tickets", "files": {"a.jsonl": rows}}])
    assert found.dropped == {"duplicate": 1}


# ---------------------------------------------------------------- one split, whatever the order


def test_the_same_examples_are_in_the_same_split_in_every_order_of_files_and_rows(tmp_path: Path) -> None:
    originals, chance = long_texts(250), random.Random(4)
    rows = [{"text": text, "customer": f"c{number % 40}"} for number, text in enumerate(originals)]
    rows += [{"text": edited(text, chance), "customer": f"c{number % 37}"} for number, text in enumerate(originals[:90])]
    rows += [{"text": text, "customer": f"c{number % 31}", "weight": 2} for number, text in enumerate(originals[:40])]
    split = {"validation": 0.1, "test": 0.2, "groupBy": "customer"}
    found = []
    for order in range(3):
        random.Random(order).shuffle(rows)
        files = {f"{name}.jsonl": rows[begin::4] for begin, name in enumerate(random.Random(order).sample("abcdefgh", 4))}
        found.append(prepare(tmp_path / str(order), [{"name": "all", "files": files}], deduplicate="near", split=split))
    assert found[0].dropped == {"duplicate": 40, "near_duplicate": 90}
    assert found[0].splits == found[1].splits == found[2].splits
    assert found[0].weights == found[1].weights == found[2].weights
    assert min(map(len, found[0].splits.values())) >= 15


def test_other_answers_to_nearly_the_same_question_are_on_one_side(tmp_path: Path) -> None:
    """60 long questions, each asked three times with small differences and answered differently: nothing leaves."""
    chance = random.Random(6)
    rows = []
    for number, text in enumerate(long_texts(60)):
        for variant, answer in enumerate(("Yes.", "That depends on the contract.", "Certainly not today.")):
            question = edited(text, chance, words=1) if variant else text
            rows.append({"prompt": f"{question} Case{number}", "completion": answer})
    found = prepare(
        tmp_path, [{"name": "all", "files": {"a.jsonl": rows}}], deduplicate="near", split={"validation": 0.2, "test": 0.2}
    )
    assert found.dropped == {}
    sides = {name: {text.lower().rsplit("case", 1)[1] for text in questions} for name, questions in found.splits.items()}
    assert sum(map(len, sides.values())) == 60
    assert len(sides["test"]) == len(sides["validation"]) == 12


def test_variations_on_one_theme_do_not_fill_the_exam(tmp_path: Path) -> None:
    """With this seed the whole of 40 would be the first to be held out."""
    theme, *others = long_texts(61)
    rows = [{"prompt": f"{theme} {number}", "completion": f"answer number {number}"} for number in range(40)]
    rows += asked(*others)
    found = prepare(
        tmp_path,
        [{"name": "all", "files": {"a.jsonl": rows}}],
        deduplicate="near",
        split={"validation": 0.1, "test": 0.1, "seed": 0},
    )
    assert {text for text in found.of("test", "validation") if text.startswith(theme)} == set()
    assert len(found.of("test")) == 10


# ---------------------------------------------------------------- groups that an exam knows


def test_what_shares_its_question_or_its_group_with_an_exam_leaves_the_training_data(tmp_path: Path) -> None:
    train = [
        {"prompt": "How do I print?", "completion": "Press the green button.", "customer": "c1"},
        {"prompt": "Why is it slow?", "completion": "Too many files.", "customer": "c2"},
        {"prompt": "Who are you?", "completion": "Support.", "customer": "c3"},
    ]
    exam = [
        {"prompt": "how do I  PRINT?", "completion": "Use the menu."},
        {"prompt": "Is it broken?", "completion": "No.", "customer": "c2"},
    ]
    datasets = [
        {"name": "tickets", "files": {"a.jsonl": train}},
        {"name": "exam", "role": "test", "files": {"a.jsonl": exam}},
    ]
    split = {"validation": 0, "groupBy": "customer"}
    found = prepare(tmp_path / "exact", datasets, split=split)
    assert found.splits == {"train": ["Who are you?"], "test": ["Is it broken?", "how do I  PRINT?"]}
    assert found.report["contamination"] == [
        {"dataset": "tickets", "exam": "exam", "reason": "group_in_held_out_data", "examples": 2}
    ]
    assert prepare(tmp_path / "none", datasets, split=split, deduplicate="none").dropped == {}


# ---------------------------------------------------------------- contradictions

MIXED = [
    *[{"text": "Cancel my contract", "label": "cancel"}] * 3,
    {"text": "cancel  my CONTRACT", "label": "billing"},
    {"text": "Hello", "label": "greeting"},
    {"text": "Hello", "label": "other"},
    {"text": "My bill is wrong", "label": "billing"},
    {"text": "What is this", "label": "other"},
]


@pytest.mark.parametrize(
    ("resolve", "left", "stay"),
    [
        ("majority", 3, ["Cancel my contract", "My bill is wrong", "What is this"]),
        ("drop", 6, ["My bill is wrong", "What is this"]),
        ("keep", 0, ["Cancel my contract", "Hello", "Hello", "My bill is wrong", "What is this", "cancel  my CONTRACT"]),
    ],
)
def test_one_text_with_different_labels(tmp_path: Path, resolve: str, left: int, stay: list[str]) -> None:
    found = prepare(
        tmp_path,
        [{"name": "tickets", "files": {"a.jsonl": MIXED}}],
        task="classification",
        clean={"whitespace": False},
        contradictions={"resolve": resolve},
    )
    assert found.splits == {"train": stay}
    assert found.dropped.get("contradictory_label", 0) == left


def test_labels_of_an_exam_are_not_outvoted(tmp_path: Path) -> None:
    found = prepare(
        tmp_path,
        [
            {"name": "tickets", "files": {"a.jsonl": MIXED}},
            {"name": "exam", "role": "test", "files": {"a.jsonl": [{"text": "Hello", "label": "other"}, *MIXED[3:4]]}},
        ],
        task="classification",
    )
    assert found.splits["test"] == ["Hello", "cancel  my CONTRACT"]
    assert found.splits["train"] == ["My bill is wrong", "What is this"]


def test_short_answers_count_as_labels_where_they_are_said_to(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Is it open on Sunday?", "completion": "Yes."},
        {"prompt": "Is it open on Sunday?", "completion": "No, it is not!"},
        {"prompt": "Is it open on Monday?", "completion": "Yes."},
        {"prompt": "Is it open on Monday?", "completion": "yes"},
        {"prompt": "Where is it?", "completion": "In the street behind the old town hall, on the left."},
        {"prompt": "Where is it?", "completion": "Ask at the desk on the ground floor; they have a map."},
    ]
    datasets = [{"name": "desk", "files": {"a.jsonl": rows}}]
    assert prepare(tmp_path / "off", datasets).dropped == {}
    found = prepare(tmp_path / "on", datasets, contradictions={"answerWords": 4})
    assert found.dropped == {"contradictory_label": 2}
    assert "Is it open on Sunday?" not in found.of("train")
