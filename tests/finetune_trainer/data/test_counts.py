"""Whatever a batch counts is still there when its counts are added to those before."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

from finetune_trainer.data.anonymize import Found
from finetune_trainer.data.anonymize.glance import Glimpsed
from finetune_trainer.data.correction.tally import SAMPLES, Sample, Tally
from finetune_trainer.data.counts import Counts
from finetune_trainer.data.problems import Problems


def of_a_batch(line: int = 1) -> Counts:
    """Something of everything."""
    problems = Problems(read=Counter(a=10))
    problems.drop("a", "too long", 2)
    problems.must_mend("a", "spec.datasets[0]", "a.jsonl", line, "is empty")
    sample = Sample("a", "a.jsonl", line, "x", None)
    return Counts(
        problems,
        Tally(Counter(html=1), Counter(refusals=2), {"refusals": [sample, sample]}, Counter(de=3)),
        Found(Counter(PERSON=4), Counter(EMAIL=1), changed=3, looked_at=8, leaking=1, places=[f"a.jsonl line {line}"]),
        Counter({0: 5}),
        Glimpsed(7, 6, Counter(IBAN=6)),
        turn_by_turn=2,
        unmarked=Counter(a=9),
        guessed=Counter(a=3),
    )


def test_nothing_that_is_counted_is_left_out_of_the_sum() -> None:
    full = of_a_batch()
    assert all(getattr(full, one.name) != getattr(Counts(), one.name) for one in fields(Counts)), "of a new field, too"
    assert not [
        one.name for part in (full.tally, full.personal, full.glimpsed) for one in fields(part) if not getattr(part, one.name)
    ]

    merged = Counts(personal=Found())
    merged.merge(full)

    assert merged == full


def test_numbers_are_added_and_the_first_places_stay() -> None:
    merged = of_a_batch()
    merged.merge(of_a_batch(line=700))

    assert merged.problems.read == {"a": 20}
    assert merged.problems.dropped == {"too long": 4}
    assert merged.problems.dropped_of == {"a": {"too long": 4}}
    assert merged.tally.changed == {"html": 2}
    assert merged.tally.dropped == {"refusals": 4}
    assert merged.tally.languages == {"de": 6}
    assert [one.line for one in merged.tally.samples["refusals"]] == [1, 1, 700][:SAMPLES]
    assert merged.personal == Found(
        Counter(PERSON=8), Counter(EMAIL=2), changed=6, looked_at=16, leaking=2, places=["a.jsonl line 1", "a.jsonl line 700"]
    )
    assert merged.matched == {0: 10}
    assert merged.glimpsed == Glimpsed(14, 12, Counter(IBAN=12))
    assert (merged.turn_by_turn, merged.unmarked, merged.guessed) == (4, {"a": 18}, {"a": 6})
