"""Prepared data in few numbers: those that the plan is made from, and those that stand in the status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from finetune_api.contract.facts import DataFacts, SplitFacts
from finetune_api.contract.summary import DataSummary, ExampleCounts, SplitCounts, WeightSummary
from finetune_trainer.data.anonymize import Found
from finetune_trainer.data.problems import Problems
from finetune_trainer.data.store import Documents
from finetune_trainer.data.weighting.weights import effective_sample_size

OTHER_REASONS = "other_reasons"
_REASONS = 12
"""Reasons in the summary."""


def data_facts(
    splits: Mapping[str, Documents], digest: str, max_length: int, labels: int, mixing: Sequence[float]
) -> DataFacts:
    """Counts of all splits, for the plan.

    Args:
        splits: by name.
        labels: how many classes there are.
        mixing: weight of each dataset, in the order in which examples count them.
    """
    return DataFacts(
        digest=digest,
        max_length=max_length,
        train=_split_facts(splits["train"], mixing),
        validation=_split_facts(splits["validation"]),
        test=_split_facts(splits["test"]),
        suites={name.removeprefix("suite-"): _split_facts(d) for name, d in splits.items() if name.startswith("suite-")},
        labels=labels,
    )


def _split_facts(documents: Documents, mixing: Sequence[float] | None = None) -> SplitFacts:
    """Counts of one split; of the training split as often as one epoch sees each example."""
    lengths = documents.lengths.astype(np.float64)
    times = np.ones(len(documents)) if mixing is None else np.asarray(mixing, float)[documents.examples["dataset"]]
    supervised = documents.examples["supervised"].astype(np.float64)
    return SplitFacts(
        examples=round(float(times.sum())),
        tokens=round(float((lengths * times).sum())),
        supervised_tokens=round(float((supervised * times).sum())),
        longest=int(lengths.max(initial=0)),
        squared_tokens=round(float((lengths**2 * times).sum())),
    )


def data_summary(
    splits: Mapping[str, Documents], problems: Problems, digest: str, personal: Found | None = None
) -> DataSummary:
    """What was read, kept and dropped, for the status."""
    weights = np.asarray(splits["train"].examples["weight"], dtype=np.float32)
    return DataSummary(
        examples=ExampleCounts(
            read=sum(problems.read.values()),
            kept=sum(map(len, splits.values())),
            dropped_by_reason=_most_frequent(problems.dropped),
        ),
        tokens=sum(int(d.lengths.sum()) for d in splits.values()),
        redactions=dict(personal.found.most_common()) if personal else {},
        residual_rate=round(personal.residual_rate, 6) if personal else None,
        weights=WeightSummary(
            effective_sample_size=round(effective_sample_size(weights), 1),
            lowest=round(float(weights.min()), 4),
            highest=round(float(weights.max()), 4),
        ),
        split=SplitCounts(
            train=len(splits["train"]),
            validation=len(splits["validation"]),
            test=len(splits["test"]),
            suites=sum(len(documents) for name, documents in splits.items() if name.startswith("suite-")),
        ),
        digest=digest,
    )


def _most_frequent(dropped: Counter[str]) -> dict[str, int]:
    """Reasons, few enough for a termination message; the others as one, so that the numbers add up."""
    found = dict(dropped.most_common(_REASONS))
    others = dropped.total() - sum(found.values())
    return found | ({OTHER_REASONS: others} if others else {})
