"""Which rules match a row, what its fields are taken for, and what weights amount to."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_api.v1alpha1.weighting import WeightRule
from finetune_trainer.data.inputs.formats import UnusableRow
from finetune_trainer.data.weighting.weights import FieldRules, condition, effective_sample_size


def factor(row: dict[str, Any], **rule: Any) -> float:
    """What one rule of weight 2 on the field x makes of a row."""
    return FieldRules([WeightRule.model_validate({"field": "x", "weight": 2.0, **rule})])(row)


@pytest.mark.parametrize(
    ("value", "rule", "matches"),
    [
        ("high", {"oneOf": ["urgent", "high"]}, True),
        ("low", {"oneOf": ["urgent", "high"]}, False),
        (3, {"oneOf": ["3", "4"]}, True),
        (2.0, {"equals": "2"}, True),
        (2, {"equals": "2.0"}, True),
        (Decimal("2.50"), {"oneOf": ["x", "2.5"]}, True),
        (0.1, {"equals": "0.1"}, True),
        ([1, 2.0], {"equals": "2"}, True),
        (2.5, {"equals": "2"}, False),
        (7.0, {"equals": "007"}, False),
        ("2.0", {"equals": "2"}, False),
        (True, {"equals": "1"}, False),
        (float("nan"), {"equals": "1"}, False),
        (["vip", "web"], {"equals": "vip"}, True),
        (["vip", "web"], {"oneOf": ["mail", "phone"]}, False),
        ("Re: INVOICE 12", {"contains": "invoice"}, True),
        (["a", "my invoice"], {"contains": "Invoice"}, True),
        ("Straße", {"contains": "STRASSE"}, True),
        ("bill", {"contains": "invoice"}, False),
        ("x", {"present": True}, True),
        (0, {"present": True}, True),
        (False, {"present": True}, True),
        (" ", {"present": True}, False),
        ([], {"present": False}, True),
        (None, {"present": False}, True),
        ("x", {"present": False}, False),
        (4, {"atLeast": 4}, True),
        ("4.5", {"atLeast": 4, "atMost": 5}, True),
        (Decimal("5.01"), {"atLeast": 4, "atMost": 5}, False),
        (-1, {"atMost": 0}, True),
        ("2026-01-31", {"since": "2026-01-31", "until": "2026-01-31"}, True),
        ("2026-01-31T23:59:59Z", {"until": "2026-01-31"}, True),
        ("2026-02-01T00:30:00+01:00", {"until": "2026-01-31"}, True),
        ("01.02.2026", {"until": "2026-01-31"}, False),
        ("31.01.2026 08:15", {"until": "2026-01-31"}, True),
        (date(2026, 1, 30), {"since": "2026-01-31"}, False),
        (datetime(2026, 1, 31, 12), {"since": "2026-01-31"}, True),  # noqa: DTZ001 - as Parquet has it
        ("0001-01-01T00:00:00+14:00", {"until": "2026-01-31"}, True),
    ],
)
def test_a_rule_matches_by_its_condition(value: Any, rule: dict[str, Any], matches: bool) -> None:
    assert factor({"x": value}, **rule) == (2.0 if matches else 1.0)


@pytest.mark.parametrize(
    "rule", [{"equals": "a"}, {"contains": "a"}, {"present": True}, {"atMost": 3}, {"since": "2026-01-01"}, {"oneOf": ["None"]}]
)
def test_a_row_without_the_field_meets_no_condition(rule: dict[str, Any]) -> None:
    assert factor({"y": 1}, **rule) == factor({"x": None}, **rule) == 1.0


@pytest.mark.parametrize(
    ("rule", "value", "reason"),
    [
        ({"atLeast": 3}, "4,5", 'field "x" is no number, as preparation.weighting.rules[0] needs it'),
        ({"atLeast": 3}, True, "is no number"),
        ({"atLeast": 3}, "nan", "is no number"),
        ({"atLeast": 3}, 10**400, "is no number"),
        ({"atLeast": 3}, {"a": 1}, "is no number"),
        ({"since": "2026-01-01"}, "01/02/2026", 'field "x" is no date such as 2026-11-30, as preparation.weighting.rules[0]'),
        ({"since": "2026-01-01"}, 1767225600, "is no date"),
        ({"until": "2026-01-01"}, "20260101", "is no date"),
        ({"halfLifeDays": 9, "asOf": "2026-01-01"}, "yesterday", "is no date"),
        ({"halfLifeDays": 9, "asOf": "2026-01-01"}, "2026-02-30", "is no date"),
    ],
)
def test_a_value_that_cannot_be_compared_must_be_mended(rule: dict[str, Any], value: Any, reason: str) -> None:
    with pytest.raises(UnusableRow) as caught:
        factor({"x": value}, **rule)
    assert reason in caught.value.reason
    assert not caught.value.drop
    assert str(value) not in caught.value.reason, "a reason reaches the log, a value must not"


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-11-30", 2.0),
        ("2026-12-24", 2.0),  # younger than the day from which ages count
        ("2026-11-20", 1.0),
        ("2026-11-10T23:59:59Z", 0.5),
        ("2026-11-10T00:00:00Z", 0.5),
        ("1970-01-01", 2e-6),
        (None, 1.0),
    ],
)
def test_a_weight_halves_with_every_half_life(day: str | None, expected: float) -> None:
    assert factor({"x": day}, halfLifeDays=10, asOf="2026-11-30") == expected


def test_a_day_between_two_half_lives_lies_between_their_weights() -> None:
    assert factor({"x": "2026-11-25"}, halfLifeDays=10, asOf="2026-11-30") == pytest.approx(2 * 0.5**0.5, rel=1e-6)


def test_rules_tell_how_many_rows_they_matched() -> None:
    rules = FieldRules([WeightRule(field="a", equals="1", weight=2), WeightRule(field="b", equals="2", weight=3)])
    assert [rules(row) for row in ({"a": 1}, {"a": 1, "b": 2}, {"b": 3})] == [2.0, 6.0, 1.0]
    assert rules.matched == {0: 2, 1: 1}


def test_conditions_are_told_in_words() -> None:
    def words(**rule: Any) -> str:
        return condition(WeightRule.model_validate({"field": "x", "weight": 2.0, **rule}))

    assert words(equals="high") == "x equals high"
    assert words(oneOf=["a", "b"]) == "x is one of a, b"
    assert words(contains="vip") == "x contains vip"
    assert (words(present=True), words(present=False)) == ("x is there", "x is missing or empty")
    assert words(atLeast=3, atMost=4.5) == "x is at least 3 and is at most 4.5"
    assert words(until="2026-01-31") == "x is until 2026-01-31"
    assert words(halfLifeDays=365, asOf="2026-11-30") == "x loses half its weight every 365 days before 2026-11-30"


def test_a_29th_of_february_is_the_first_of_march_where_there_is_none() -> None:
    assert factor({"x": datetime(2027, 3, 1, tzinfo=UTC)}, since="2027-02-29") == 2.0
    assert factor({"x": "2027-02-28"}, since="2027-02-29") == 1.0


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes(timezones=st.timezones()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
CONDITIONS: list[dict[str, Any]] = [
    {"equals": "a"},
    {"contains": "a"},
    {"present": True},
    {"atLeast": 0},
    {"since": "2026-01-01", "until": "2026-12-31"},
    {"halfLifeDays": 0.001, "asOf": "2026-11-30"},
]


@settings(deadline=None)
@given(st.sampled_from(CONDITIONS), ANYTHING)
def test_whatever_a_field_holds_gives_a_factor_or_a_reason(rule: dict[str, Any], value: Any) -> None:
    try:
        found = factor({"x": value}, **rule)
    except UnusableRow:
        return
    assert 0 < found <= 2


def test_weights_of_matching_rules_multiply() -> None:
    weight = FieldRules(
        [
            WeightRule(field="priority", equals="high", weight=2.0),
            WeightRule(field="meta.source", equals="expert", weight=3.0),
            WeightRule(field="spam", equals="true", weight=0.0),
        ]
    )
    assert weight({"priority": "high", "meta": {"source": "expert"}}) == 6.0
    assert weight({"priority": "low"}) == 1.0
    assert weight({"priority": "high", "spam": True}) == 0.0


def test_the_effective_sample_size_counts_equal_weights_fully_and_a_dominant_one_alone() -> None:
    assert effective_sample_size(np.full(10, 0.3, np.float32)) == pytest.approx(10)
    assert effective_sample_size(np.array([1, 0, 0, 0], np.float32)) == pytest.approx(1)
    assert effective_sample_size(np.array([1, 1, 2], np.float32)) == pytest.approx(16 / 6)
