"""What a job says about weights, and what its examples weigh in the end."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

import stages
from finetune_api.contract.trainer_config import WITHOUT_MODEL
from finetune_operator.brain.stages import Stage
from rows import write_jsonl

UNLIMITED = {"maxLength": 1_048_576, "overlong": "drop", "split": {"validation": 0, "test": 0}}
BILLS = ["Why is my invoice so high?", "When is the payment due?", "May I pay the invoice in two parts?", "The bill is wrong."]
TALK = ["What is the weather like?", "Do you know a good film?", "Where do cats sleep?", "Who won the game on Sunday?"]


def prepare(
    data: list[Any], root: Path, weighting: dict[str, Any], *, dataset: dict[str, Any] | None = None, **preparation: Any
) -> stages.Ended:
    """Prepare files or datasets without a model, which is quick; the examples go to out.jsonl."""
    datasets = [{"uri": f"file://{one}", **(dataset or {})} if isinstance(one, Path) else one for one in data]
    said = {**UNLIMITED, "weighting": weighting, **preparation}
    raw = stages.manifest(Path("/none"), datasets, root / "out", preparation=said)
    root.mkdir(parents=True, exist_ok=True)
    config = stages.orders(raw, Stage.PREPARE, root, write_examples=str(root / "out.jsonl"))
    config = config.model_copy(update={"model": config.model.model_copy(update={"uri": WITHOUT_MODEL})})
    return stages.run_here(config, root / "prepare-1")


def weights(root: Path) -> dict[str, float]:
    """Weight by question, as written."""
    rows = [json.loads(line) for line in (root / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    return {row["messages"][0]["content"]: row["weight"] for row in rows}


def report(root: Path) -> dict[str, Any]:
    return json.loads((root / "reports/data.json").read_text(encoding="utf-8"))


def questions(count: int) -> list[dict[str, Any]]:
    """Half of them about bills; no two alike."""
    asked = [text for pair in zip(BILLS, TALK, strict=True) for text in pair]
    return [{"prompt": f"{asked[n % 8]} ({n})", "completion": f"Answer number {n}.", "nr": n} for n in range(count)]


def test_a_weight_is_the_product_of_its_factors_within_bounds(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "completion": "b", "w": 3, "priority": "high", "score": 5},
        {"prompt": "c", "completion": "d", "w": 0.5, "priority": "low", "score": 1},
        {"prompt": "e", "completion": "f", "w": 1, "priority": "high", "score": 3},
        {"prompt": "g", "completion": "h", "w": 0, "priority": "high", "score": 5},
        {"prompt": "i", "completion": "j"},
    ]
    weighting = {
        "rules": [{"field": "priority", "oneOf": ["high", "urgent"], "weight": 2}],
        "quality": {"field": "score", "worst": 1, "best": 5, "min": 0.5, "max": 1.5},
        "bounds": {"min": 0.4, "max": 8},
    }
    data = write_jsonl(tmp_path / "rows.jsonl", rows)

    end = prepare([data], tmp_path, weighting, dataset={"fields": {"weight": "w"}})

    assert end.code == 0, end.log
    # 3 * 2 * 1.5 = 9, at most 8; 0.5 * 0.5 = 0.25, at least 0.4; 1 * 2 * 1; 0 stays out; nothing said is 1.
    assert weights(tmp_path) == {"a": 8.0, "c": 0.4, "e": 2.0, "i": 1.0}
    told = report(tmp_path)["weighting"]
    assert told["components"] == {
        "own": {"mean": 1.375, "lowest": 0.5, "highest": 3.0},
        "rules": {"mean": 1.5, "lowest": 1.0, "highest": 2.0},
        "quality": {"mean": 1.0, "lowest": 0.5, "highest": 1.5},
    }
    assert told["rules"] == [{"condition": "priority is one of high, urgent", "weight": 2.0, "rows": 3}]
    assert (told["bounds"], told["clipped"]) == ({"min": 0.4, "max": 8.0}, 2)
    assert report(tmp_path)["summary"]["examples"]["droppedByReason"] == {"weight_zero": 1}


def test_a_held_out_example_of_weight_zero_keeps_it_whatever_the_bounds(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b", "n": 1}])
    exam = write_jsonl(tmp_path / "exam.jsonl", [{"prompt": f"q{n}", "completion": "b", "n": n} for n in range(2)])
    datasets = [{"uri": f"file://{data}"}, {"uri": f"file://{exam}", "role": "test"}]
    weighting = {"rules": [{"field": "n", "atMost": 0, "weight": 0}], "bounds": {"min": 0.5}}

    assert prepare(datasets, tmp_path, weighting).code == 0

    assert weights(tmp_path) == {"a": 1.0, "q0": 0.0, "q1": 1.0}


def test_normalized_weights_have_the_mean_one_and_the_same_proportions(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{n}", "completion": f"a{n}", "n": n} for n in range(4)]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)

    prepare([data], tmp_path, {"rules": [{"field": "n", "atLeast": 2, "weight": 7}], "normalize": True})

    assert weights(tmp_path) == {"q0": 0.25, "q1": 0.25, "q2": 1.75, "q3": 1.75}
    assert report(tmp_path)["weighting"]["dividedBy"] == 4.0


@pytest.mark.parametrize("by", ["description", "reference"])
def test_what_resembles_what_matters_weighs_more(by: str, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", questions(80))
    shown = [{"question": f"{text} {n}", "answer": "Pay the invoice or the bill."} for n in range(3) for text in BILLS]
    reference = write_jsonl(tmp_path / "reference.jsonl", shown)
    relevance = {
        "description": {"description": "invoice, payment, bill, pay"},
        "reference": {"reference": {"uri": f"file://{reference}"}},
    }[by]

    # Reference rows lack the field by which training rows are grouped, and need none.
    end = prepare([data], tmp_path, {"relevance": relevance}, split={"validation": 0, "test": 0, "groupBy": "nr"})

    assert end.code == 0, end.log
    found = weights(tmp_path)
    assert len(found) == 80
    bills, talk = ([w for q, w in found.items() if q.split(" (")[0] in texts] for texts in (BILLS, TALK))
    assert min(bills) > max(talk)
    assert 0.5 <= min(talk) < 1 < max(bills) <= 2
    assert sorted(found.values())[39] == 1.0, "the middle example keeps its weight"
    compared = "a description of 4 words" if by == "description" else "12 reference rows"
    assert report(tmp_path)["weighting"]["comparedWith"] == compared
    assert report(tmp_path)["summary"]["examples"]["read"] == 80, "reference rows are not among the data"


def test_neither_the_order_of_rows_nor_of_files_changes_a_weight(tmp_path: Path) -> None:
    rows = questions(60)
    weighting = {
        "rules": [{"field": "nr", "atMost": 9, "weight": 1.7}],
        "relevance": {"description": "invoice, payment"},
        "quality": {},
        "normalize": True,
    }
    one = write_jsonl(tmp_path / "one.jsonl", rows)
    shuffled = list(rows)
    random.Random(1).shuffle(shuffled)
    parts = [write_jsonl(tmp_path / f"{name}.jsonl", part) for name, part in (("b", shuffled[:13]), ("a", shuffled[13:]))]

    for number, data in enumerate(([one], parts, parts[::-1])):
        assert prepare(data, tmp_path / str(number), weighting).code == 0

    assert weights(tmp_path / "0") == weights(tmp_path / "1") == weights(tmp_path / "2")
    assert len(set(weights(tmp_path / "0").values())) > 5


def test_held_out_examples_are_measured_by_the_training_examples(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", questions(100))
    prepare([data], tmp_path / "all", {"relevance": {"description": "invoice"}})
    prepare([data], tmp_path / "half", {"relevance": {"description": "invoice"}}, split={"validation": 0, "test": 0.5})

    rows = [json.loads(line) for line in (tmp_path / "half/out.jsonl").read_text().splitlines()]
    trained = sorted(row["weight"] for row in rows if row["split"] == "train")
    assert trained[(len(trained) - 1) // 2] == 1.0
    assert weights(tmp_path / "all") != weights(tmp_path / "half")
    assert {math.isclose(row["weight"], 1.0) for row in rows if row["split"] == "test"} >= {False}


def test_several_examples_of_one_text_weigh_the_same(tmp_path: Path) -> None:
    texts = [{"text": " ".join(f"{word}{n}" for n in range(400))} for word in ("invoice", "payment", "cat", "dog")]
    data = write_jsonl(tmp_path / "texts.jsonl", texts)

    end = prepare([data], tmp_path, {"relevance": {"description": "invoice payment"}}, maxLength=500, overlong="truncate")

    assert end.code == 0, end.log
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    found = {(row["line"], row["weight"]) for row in rows}
    assert len(rows) > len(found) == 4
    by_line = dict(found)
    assert min(by_line[1], by_line[2]) > max(by_line[3], by_line[4])


# ---------------------------------------------------------------- mistakes


def error_of(end: stages.Ended) -> str:
    assert end.code == 65, end.log
    assert end.result is not None
    assert end.result.error is not None
    assert "Traceback" not in end.log
    return f"{end.result.error.field}: {end.result.error.message}"


def test_a_date_that_is_none_is_told_with_file_line_and_number_of_rows(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{n}", "completion": "a", "day": "2026-01-01" if n else "soon"} for n in range(3)] * 2
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    rule = {"field": "day", "halfLifeDays": 30, "asOf": "2026-11-30", "weight": 1}

    said = error_of(prepare([data], tmp_path, {"rules": [rule]}))

    assert 'rows.jsonl line 1 field "day" is no date such as 2026-11-30, as preparation.weighting.rules[0] needs it' in said
    assert "(2 of 6 rows)" in said
    assert "soon" not in said


def test_reference_rows_that_must_be_mended_are_told_by_their_place(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", questions(8))
    reference = write_jsonl(tmp_path / "shown.jsonl", [{"prompt": "a", "completion": "b"}, {"prompt": "a"}])

    said = error_of(prepare([data], tmp_path, {"relevance": {"reference": {"uri": f"file://{reference}"}}}))

    assert said.startswith("spec.preparation.weighting.relevance.reference: ")
    assert 'shown.jsonl line 2 has no field "completion"' in said


def test_a_description_without_a_word_is_refused(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", questions(8))
    end = prepare([data], tmp_path, {"relevance": {"description": "..., ?"}})
    assert end.code == 64
    assert "spec.preparation.weighting.relevance.description: the description holds no word" in end.log


def test_a_rule_that_matches_no_row_is_warned_of(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", questions(8))
    prepare([data], tmp_path, {"rules": [{"field": "priorty", "equals": "high", "weight": 2}]})
    assert (
        'The weight rule "priorty equals high" matched no row: is the field or the value misspelt?'
        in (report(tmp_path)["warnings"])
    )


# ---------------------------------------------------------------- both ends in the report


def ends(root: Path) -> tuple[list[str], list[str]]:
    told = report(root)
    return [one["text"] for one in told["heaviest"]], [one["text"] for one in told["lightest"]]


def test_both_ends_are_shown_without_their_content(tmp_path: Path) -> None:
    rows = [{"prompt": f"Is the Invoice {n} paid?", "completion": "Yes: 12 EUR.", "n": n} for n in range(5)]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)

    prepare(
        [data], tmp_path, {"rules": [{"field": "n", "atMost": 0, "weight": 3}, {"field": "n", "atLeast": 4, "weight": 0.1}]}
    )

    told = report(tmp_path)
    assert [told["heaviest"][0][key] for key in ("file", "line", "weight")] == ["rows.jsonl", 1, 3.0]
    assert [told["lightest"][0][key] for key in ("file", "line", "weight")] == ["rows.jsonl", 5, 0.1]
    assert ends(tmp_path)[0][0] == "Xx xxx Xxxxxxx 0 xxxx? → Xxx: 00 XXX."
    assert [len(side) for side in ends(tmp_path)] == [3, 3]
    assert "nvoice" not in json.dumps(told)
    assert "nvoice" not in (tmp_path / "reports/data.html").read_text(encoding="utf-8")


def test_where_personal_data_was_replaced_both_ends_are_masked_and_readable(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Dear Mrs Anna Miller, is invoice {n} paid?", "completion": f"Write to anna{n}@example.com please.", "n": n}
        for n in range(4)
    ]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)

    end = prepare(
        [data],
        tmp_path,
        {"rules": [{"field": "n", "atMost": 0, "weight": 3}]},
        anonymize={"strategy": "surrogate", "languages": ["en"]},
    )

    assert end.code == 0, end.log
    assert ends(tmp_path)[0][0] == "Dear Mrs [PERSON], is invoice 0 paid? → Write to [EMAIL] please."


def test_what_a_second_look_still_finds_is_covered_whole(tmp_path: Path) -> None:
    rows = [{"prompt": f"Question {n}?", "completion": f"Write to anna.k{n}@firma-nord.de please.", "n": n} for n in range(4)]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    anonymize = {"strategy": "mask", "entities": ["PHONE"], "maxResidualRate": 1}

    prepare([data], tmp_path, {"rules": [{"field": "n", "atMost": 0, "weight": 3}]}, anonymize=anonymize)

    assert ends(tmp_path)[0][0] == "Xxxxxxxx 0? → Xxxxx xx xxxx.x0@xxxxx-xxxx.xx xxxxxx."


def test_what_was_asked_for_is_told_also_where_it_changed_nothing(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", questions(40))
    rules = [{"field": "nr", "atLeast": 0, "weight": 1}]

    assert prepare([data], tmp_path, {"rules": rules}).code == 0

    assert report(tmp_path)["weighting"]["components"] == {"rules": {"mean": 1.0, "lowest": 1.0, "highest": 1.0}}
