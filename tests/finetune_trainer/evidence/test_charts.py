"""Curves on the report page: few points, and none of them a lie."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.evidence.charts import (
    BUCKETS,
    Best,
    Bucket,
    Curve,
    buckets,
    histogram,
    interval_mark,
    loss_chart,
    smoothed,
    smoothing_window,
    ticks,
)

NUMBERS = st.floats(min_value=-1e6, max_value=1e6)


def a_curve(values: list[float]) -> Curve:
    return Curve(list(range(1, len(values) + 1)), values)


@given(st.lists(NUMBERS, min_size=1, max_size=300), st.integers(3, 40))
def test_a_curve_in_few_points_keeps_its_ends_its_extremes_and_every_step(values: list[float], at_most: int) -> None:
    found = buckets(a_curve(values), at_most=at_most)

    assert len(found) <= max(at_most, 0)
    assert (found[0].first, found[0].mean) == (1, values[0])
    assert (found[-1].last, found[-1].mean) == (len(values), values[-1])
    assert min(one.low for one in found) == min(values)
    assert max(one.high for one in found) == max(values)
    assert all(one.low <= one.mean + 1e-6 and one.mean - 1e-6 <= one.high for one in found)
    covered = [step for one in found for step in range(int(one.first), int(one.last) + 1)]
    assert covered == list(range(1, len(values) + 1))


def test_a_bucket_holds_mean_lowest_and_highest_of_its_steps() -> None:
    found = buckets(a_curve([9, 1, 2, 6, 4, 4, 4, 0]), at_most=4)

    assert found == [Bucket(1, 1, 9, 9, 9), Bucket(2, 4, 3, 1, 6), Bucket(5, 7, 4, 4, 4), Bucket(8, 8, 0, 0, 0)]


def test_a_spike_of_one_step_among_a_hundred_thousand_is_drawn() -> None:
    values = [1.0] * 100_000
    values[70_123] = 9.0

    chart = loss_chart(a_curve(values), Curve([], []), best=None, words="")

    band = re.search(r'class="band" d="([^"]+)"', chart)
    assert band is not None
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ (-?[\d.]+)", band[1])]
    # The y axis goes from 0 at least to 9 at least, so the spike stands in the uppermost ninth and the rest below.
    assert min(heights) < 1000 / 9 < max(heights)


def test_a_short_curve_is_drawn_as_it_is() -> None:
    chart = loss_chart(a_curve([3.0, 2.0, 1.0]), Curve([], []), best=None, words="")

    assert "band" not in chart
    assert 'd="M0.0 0.0L500.0 500.0L1000.0 1000.0"' in chart


@pytest.mark.parametrize(("points", "window"), [(1, 1), (23, 1), (24, 3), (73, 7), (1200, 101)])
def test_the_longer_a_curve_the_wider_its_smoothing(points: int, window: int) -> None:
    assert smoothing_window(points) == window


def test_smoothing_is_centred_and_keeps_both_ends() -> None:
    values = [float(i % 2) for i in range(24)]

    found = smoothed(a_curve(values))

    assert found.values[0] == 0
    assert found.values[-1] == 1
    assert found.values[1] == pytest.approx(1 / 3)
    assert found.values[2] == pytest.approx(2 / 3)


@given(st.lists(NUMBERS, min_size=1, max_size=100))
def test_smoothing_never_leaves_the_range_of_what_was_measured(values: list[float]) -> None:
    found = smoothed(a_curve(values)).values

    slack = 1e-6 * max(1.0, *map(abs, values))
    assert min(values) - slack <= min(found)
    assert max(found) <= max(values) + slack


@given(NUMBERS, NUMBERS, st.integers(2, 8))
def test_ticks_are_round_ascending_few_and_enclose_the_values(one: float, other: float, about: int) -> None:
    low, high = min(one, other), max(one, other)

    found = ticks(low, high, about=about)

    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    assert found == sorted(set(found))
    assert 2 <= len(found) <= 2 * about + 2


def test_ticks_are_one_two_or_five_times_a_power_of_ten_apart() -> None:
    assert ticks(0.26, 2.1) == [0, 0.5, 1, 1.5, 2, 2.5]
    assert ticks(1, 73, about=6) == [0, 20, 40, 60, 80]
    assert ticks(0, 2e-4, about=3) == [0, 1e-4, 2e-4]


def test_bars_begin_at_the_floor_and_their_heights_are_their_counts() -> None:
    chart = histogram([4, 2], [0, 10, 20], marks=[("median", 5)], words="two bars")

    bars = [float(top) for top in re.findall(r"1000V([\d.]+)H", chart)]
    assert bars == [0.0, 500.0]
    assert 'class="mark median" d="M250.0 0V1000"' in chart
    assert "<title>10 to 20: 2</title>" in chart


def test_a_falling_loss_lies_on_the_better_side_and_a_falling_accuracy_on_the_worse() -> None:
    def value_at(mark: str) -> float:
        found = re.search(r'class="value" d="M([\d.]+) ', mark)
        assert found is not None
        return float(found[1])

    assert value_at(interval_mark(-0.5, -0.6, -0.4, lower_is_better=True, tone="good")) > 500
    assert value_at(interval_mark(-0.5, -0.6, -0.4, lower_is_better=False, tone="bad")) < 500
    assert value_at(interval_mark(0.0, 0.0, 0.0, lower_is_better=False, tone="neutral")) == 500


def test_words_of_a_chart_are_escaped() -> None:
    hostile = '"><script>alert(1)</script>'

    chart = loss_chart(a_curve([1.0, 2.0]), Curve([], []), best=Best(1, hostile), words=hostile)

    assert "<script" not in chart
    assert chart.count("&lt;script&gt;") == 2


def test_a_curve_of_a_hundred_thousand_steps_has_no_more_points_than_are_seen() -> None:
    values = [math.exp(-i / 1e5) for i in range(100_000)]

    chart = loss_chart(a_curve(values), a_curve(values), best=None, words="")

    assert chart.count("L") < 6 * BUCKETS
    assert len(chart) < 60_000
