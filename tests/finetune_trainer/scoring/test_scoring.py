"""Scores by hand, intervals that mean what they say, and gates with their reasons."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune_api.v1alpha1.evaluation import METRIC_TRAITS, Gate, Metric
from finetune_trainer.scoring.compare import Difference, compare, measure, verdict
from finetune_trainer.scoring.gates import Measured, judge
from finetune_trainer.scoring.metrics import METRICS, Scores, answer_chrf, confusion, same_text
from finetune_trainer.scoring.samples import without_template

ALL = tuple(Metric)


def scores(count: int = 4, **columns: Any) -> Scores:
    """Per-example scores; what a test does not name is zero."""
    base: dict[str, Any] = {name: np.zeros(count) for name in ("nll", "targets", "correct", "exact", "chrf", "ended")}
    base |= {"targets": np.ones(count), "generated": np.zeros(count, bool)}
    base |= {"label": np.full(count, -1), "predicted": np.full(count, -1)}
    given = {name: np.asarray(value) for name, value in columns.items()}
    return Scores(**{**base, **given})


def value(metric: Metric, **columns: Any) -> float:
    made = scores(len(next(iter(columns.values()))), **columns)
    return METRICS[metric](made, np.ones(len(made.nll)))


def test_every_metric_of_the_contract_has_a_function() -> None:
    assert set(METRICS) == set(Metric) == set(METRIC_TRAITS)


def test_loss_counts_tokens_and_not_examples() -> None:
    # 6 nats over 3 tokens and 1 nat over 1 token: 7 / 4, not (2 + 1) / 2.
    assert value(Metric.LOSS, nll=[6.0, 1.0], targets=[3.0, 1.0]) == pytest.approx(1.75)
    assert value(Metric.PERPLEXITY, nll=[6.0, 1.0], targets=[3.0, 1.0]) == pytest.approx(math.exp(1.75))
    assert value(Metric.TOKEN_ACCURACY, correct=[2.0, 0.0], targets=[3.0, 1.0]) == pytest.approx(0.5)


def test_metrics_of_answers_look_at_answered_examples_alone() -> None:
    answered = {"generated": [True, True, False], "exact": [1.0, 0.0, 9.0], "chrf": [0.8, 0.4, 9.0], "ended": [1.0, 1.0, 9.0]}
    assert value(Metric.EXACT_MATCH, **answered) == pytest.approx(0.5)
    assert value(Metric.CHRF, **answered) == pytest.approx(0.6)
    assert value(Metric.ENDS_BY_ITSELF, **answered) == pytest.approx(1.0)


def test_accuracy_and_macro_f1_by_hand() -> None:
    # truth 0 0 0 1 1 2, choice 0 0 1 1 1 1: F1 of 0 is 2*2/(3+2), of 1 is 2*2/(2+4), of 2 is 0.
    columns = {"label": [0, 0, 0, 1, 1, 2], "predicted": [0, 0, 1, 1, 1, 1]}
    assert value(Metric.ACCURACY, **columns) == pytest.approx(4 / 6)
    assert value(Metric.MACRO_F1, **columns) == pytest.approx((0.8 + 2 / 3 + 0.0) / 3)
    table = confusion(scores(6, **columns), np.ones(6))
    assert table.tolist() == [[2, 1, 0], [0, 2, 0], [0, 1, 0]]


def test_a_class_that_nobody_has_and_nobody_chose_does_not_count() -> None:
    assert value(Metric.MACRO_F1, label=[0, 3], predicted=[0, 3]) == 1.0


def test_what_was_not_measured_is_left_out() -> None:
    assert set(measure(scores(nll=[1.0, 1.0, 1.0, 1.0], label=[0, 0, 1, 1], predicted=[0, 0, 1, 1]), ALL)) == {
        Metric.LOSS,
        Metric.PERPLEXITY,
        Metric.TOKEN_ACCURACY,
        Metric.ACCURACY,
        Metric.MACRO_F1,
    }


def test_identical_answers_score_one_and_unrelated_ones_nearly_zero() -> None:
    assert answer_chrf("Drücken Sie Strg+C.", "Drücken Sie Strg+C.") == pytest.approx(1.0)
    assert answer_chrf("xyz", "Drücken Sie Strg+C.") < 0.05
    assert same_text(" a\n b ", "a b")
    assert not same_text("a c", "a b")


# ---------------------------------------------------------------- intervals


def noisy(count: int, shift: float, *, seed: int) -> tuple[Scores, Scores]:
    chance = np.random.default_rng(seed)
    base = chance.normal(3.0, 1.0, count)
    return scores(count, nll=base), scores(count, nll=base - shift + chance.normal(0, 0.3, count))


def test_the_interval_holds_the_true_difference_about_19_times_in_20() -> None:
    hits = 0
    for seed in range(60):
        base, tuned = noisy(40, 0.1, seed=seed)
        found = compare(base, tuned, np.arange(40, dtype=np.uint64), [Metric.LOSS], seed=seed)[Metric.LOSS]
        hits += found.low <= -0.1 <= found.high
    assert 50 <= hits <= 60


def test_pairing_finds_a_small_difference_between_very_unequal_examples() -> None:
    base, tuned = noisy(200, 0.1, seed=1)
    found = compare(base, tuned, np.arange(200, dtype=np.uint64), [Metric.LOSS], seed=1)[Metric.LOSS]
    assert found.high < 0, "unpaired, the spread of 1 nat between examples would hide it"
    assert verdict(found, Metric.LOSS) == "Improved"


def test_examples_of_one_group_are_one_witness() -> None:
    base, tuned = noisy(40, 0.1, seed=2)
    alone = compare(base, tuned, np.arange(40, dtype=np.uint64), [Metric.LOSS], seed=3)[Metric.LOSS]
    # The same examples ten times over, as ten copies in each group, are worth no more than once.
    many = [scores(400, nll=np.tile(one.nll, 10)) for one in (base, tuned)]
    grouped = compare(many[0], many[1], np.tile(np.arange(40, dtype=np.uint64), 10), [Metric.LOSS], seed=3)[Metric.LOSS]
    apart = compare(many[0], many[1], np.arange(400, dtype=np.uint64), [Metric.LOSS], seed=3)[Metric.LOSS]
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))
    assert apart.high - apart.low < 0.5 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval() -> None:
    base, tuned = noisy(30, 0.1, seed=4)
    groups = np.arange(30, dtype=np.uint64)
    assert compare(base, tuned, groups, [Metric.LOSS], seed=5) == compare(base, tuned, groups, [Metric.LOSS], seed=5)


@pytest.mark.parametrize(
    ("metric", "low", "high", "said"),
    [
        (Metric.LOSS, -0.5, -0.1, "Improved"),
        (Metric.LOSS, -0.5, 0.1, "Inconclusive"),
        (Metric.LOSS, 0.1, 0.5, "Regressed"),
        (Metric.ACCURACY, 0.1, 0.5, "Improved"),
        (Metric.ACCURACY, -0.1, 0.5, "Inconclusive"),
        (Metric.ACCURACY, -0.5, -0.1, "Regressed"),
        (Metric.ACCURACY, 0.0, 0.0, "Inconclusive"),
    ],
)
def test_the_verdict_needs_the_whole_interval_on_one_side_of_zero(metric: Metric, low: float, high: float, said: str) -> None:
    assert verdict(Difference((low + high) / 2, low, high), metric) == said


def test_a_single_group_is_no_proof_however_many_examples_it_has() -> None:
    base, tuned = noisy(40, 0.5, seed=6)
    found = compare(base, tuned, np.zeros(40, dtype=np.uint64), [Metric.LOSS], seed=7)[Metric.LOSS]
    assert found.low == found.high < 0
    assert verdict(found, Metric.LOSS, witnesses=1) == "Inconclusive"


# ---------------------------------------------------------------- gates


MEASURED: dict[str | None, Measured] = {
    None: Measured({Metric.LOSS: 2.0}, {Metric.LOSS: 1.9}, {Metric.LOSS: Difference(-0.1, -0.15, -0.05)}),
    "general": Measured(
        {Metric.EXACT_MATCH: 0.712}, {Metric.EXACT_MATCH: 0.681}, {Metric.EXACT_MATCH: Difference(-0.031, -0.048, -0.014)}
    ),
}


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        (Gate(metric=Metric.LOSS, min_improvement=0.1), True),
        (Gate(metric=Metric.LOSS, min_improvement=0.11), False),
        (Gate(metric=Metric.LOSS, max_regression=0.0), True),
        (Gate(metric=Metric.LOSS, max_value=1.9), True),
        (Gate(metric=Metric.LOSS, max_value=1.8), False),
        (Gate(metric=Metric.LOSS, min_value=2.0), False),
        (Gate(metric=Metric.EXACT_MATCH, suite="general", max_regression=0.04), True),
        (Gate(metric=Metric.EXACT_MATCH, suite="general", max_regression=0.01), False),
        (Gate(metric=Metric.EXACT_MATCH, suite="general", min_improvement=0.0), False),
    ],
)
def test_a_gate_is_kept_or_not_by_the_difference_in_the_better_direction(gate: Gate, passed: bool) -> None:
    assert judge(gate, MEASURED).passed is passed


def test_a_broken_gate_names_metric_place_numbers_interval_and_bound() -> None:
    gate = Gate(metric=Metric.EXACT_MATCH, suite="general", max_regression=0.01)
    assert judge(gate, MEASURED).reason == (
        'exact_match on "general" got worse by 0.031 (0.712 -> 0.681, 95 % interval of the difference -0.048 to -0.014);'
        " it may get worse by at most 0.01."
    )


def test_a_gate_on_what_was_not_measured_is_not_kept() -> None:
    found = judge(Gate(metric=Metric.CHRF, min_value=0.1), MEASURED)
    assert not found.passed
    assert "was not measured" in found.reason


def test_a_gate_on_a_difference_to_what_was_not_measured_is_not_kept() -> None:
    lost = Measured({}, {Metric.LOSS: 1.9}, {})  # the base model's loss was no finite number
    found = judge(Gate(metric=Metric.LOSS, min_improvement=0.1), {None: lost})
    assert not found.passed
    assert "base model was not measured" in found.reason


def test_what_the_template_adds_is_no_part_of_a_prompt_and_a_greeting_that_all_share_is(causal_lm: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(causal_lm)
    asked = ["Good morning,\nwhere is my invoice?\nRegards", "Good morning,\nthe printer is broken\nRegards"]

    def decoded(*turns: str) -> str:
        chat = [{"role": "user" if n % 2 == 0 else "assistant", "content": turn} for n, turn in enumerate(turns)]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return str(tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True))

    assert without_template([decoded(text) for text in asked], tokenizer) == asked
    (several,) = without_template([decoded("One?", "Two.", "Three?")], tokenizer)
    assert several.startswith("One?")
    assert several.endswith("Three?")
    assert without_template([], tokenizer) == []
    tokenizer.chat_template = None
    assert without_template(["only one"], tokenizer) == ["only one"]


def test_no_more_answers_are_written_at_once_than_was_said_and_fewer_to_long_questions(
    causal_lm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from finetune_trainer.scoring import generate

    model, tokenizer = AutoModelForCausalLM.from_pretrained(causal_lm).eval(), AutoTokenizer.from_pretrained(causal_lm)
    chance = np.random.default_rng(0)
    asked = [generate.Exchange(i, chance.integers(5, 300, 4 + i), np.zeros(1, np.int64)) for i in range(5)]
    sizes: list[int] = []
    ask = model.generate
    monkeypatch.setattr(model, "generate", lambda **given: sizes.append(len(given["input_ids"])) or ask(**given))
    beats: list[int] = []

    def answers(at_once: int) -> list[generate.Answer]:
        sizes.clear()
        beats.clear()
        limits: dict[str, Any] = {"max_new_tokens": 4, "at_once": at_once, "stops": [2]}
        return generate.answer(model, tokenizer, asked, **limits, beat=lambda: beats.append(len(sizes)))

    together = answers(16)
    assert sizes == [5]
    assert answers(2) == together
    assert sizes == [2, 2, 1]
    monkeypatch.setattr(generate, "_PROMPT_TOKENS", 2)  # for each of seven: 14, and the questions have 8, 7, 6, 5, 4
    assert answers(7) == together
    assert sizes == [1, 2, 2]
    assert beats == [1, 2, 3], "a sign of life after each batch"
