"""What somebody should read before training on prepared data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from finetune_api.contract.summary import DataSummary
from finetune_api.v1alpha1.weighting import WeightRule
from finetune_trainer.data.weighting.weights import condition

_FEW = 10
"""Fewer examples of a class than this are few."""
_NAMED = 5
"""Classes that a warning names."""


def data_warnings(
    summary: DataSummary, splits: dict[str, dict[str, Any]], labels: dict[str, dict[str, int]], *, has_prompts: bool = True
) -> Sequence[str]:
    """What somebody should read before training on it.

    Args:
        has_prompts: whether there are texts without loss at all: running text has none.
    """
    warnings = []
    train = splits["train"]
    dropped = sum(summary.examples.dropped_by_reason.values())
    if dropped > 0.2 * max(1, summary.examples.read):
        warnings.append(f"{dropped:,} of {summary.examples.read:,} rows were left out; see the reasons.")
    share = train["supervisedTokens"] / max(1, train["tokens"])
    if not labels and has_prompts and share > 0.98:
        warnings.append(f"{share:.0%} of the training tokens have loss: prompts hardly count, or are trained too.")
    if train["weights"]["effectiveSampleSize"] < 0.5 * train["examples"]:
        effective = train["weights"]["effectiveSampleSize"]
        warnings.append(f"The weights leave an effective sample of {effective:,.0f} of {train['examples']:,} examples.")
    for label, counts in labels.items():
        if not counts.get("train"):
            warnings.append(f'The class "{label}" has no training example.')
    warnings += _thin_classes(labels, has_exam=bool(splits["test"]["examples"]))
    for name in ("validation", "test"):
        if 0 < splits[name]["examples"] < 30:
            warnings.append(f"The {name} split has only {splits[name]['examples']} examples: its scores are rough.")
    return warnings


def _thin_classes(labels: Mapping[str, Mapping[str, int]], *, has_exam: bool) -> Iterator[str]:
    """Classes of which too little is known: a score of 1.0 on an exam of one class is no score."""
    few = [label for label, counts in labels.items() if 0 < counts.get("train", 0) < _FEW]
    if few:
        whose = f"{len(few):,} classes have" if len(few) > 1 else "1 class has"
        yield f"{whose} fewer than {_FEW} training examples: {_first(few)}."
    untested = [label for label, counts in labels.items() if not counts.get("test")]
    if untested and has_exam:
        yield (
            f"{len(untested):,} of {len(labels):,} classes have no test example, so no score says anything about them:"
            f" {_first(untested)}."
        )


def _first(labels: Sequence[str]) -> str:
    named = ", ".join(f'"{label}"' for label in labels[:_NAMED])
    return f"{named} and {len(labels) - _NAMED:,} more" if len(labels) > _NAMED else named


def rules_without_rows(rules: Sequence[WeightRule], matched: Mapping[int, int]) -> list[str]:
    """Rules that matched no row of any dataset: a word of them is misspelt more often than not."""
    return [
        f'The weight rule "{condition(rule)}" matched no row: is the field or the value misspelt?'
        for number, rule in enumerate(rules)
        if not matched.get(number)
    ]


def unmarked_answers(answers: Mapping[str, int], fields: Mapping[str, str]) -> list[str]:
    """Answers of which nobody knows whether customers saw them: a note for colleagues that is trained on is said to customers.

    Args:
        answers: by dataset.
        fields: where each dataset stands in the manifest.
    """
    return [
        f'Dataset "{name}": the export (Jira as CSV) does not say which comments were internal, so all {count:,} of them that'
        " are not the customer's are learned as answers. The REST export says it. To use no comment, name the columns of"
        f" question and answer with {fields[name]}.fields.prompt and {fields[name]}.fields.completion."
        for name, count in answers.items()
    ]


def guessed_threads(threads: Mapping[str, int], fields: Mapping[str, str]) -> list[str]:
    """Conversations of mail in which a customer's message may be learned as an answer.

    Args:
        threads: by dataset.
        fields: where each dataset stands in the manifest.
    """
    return [
        f'Dataset "{name}": {count:,} {"conversation" if count == 1 else "conversations"} of three or more people'
        f" {'was' if count == 1 else 'were'} put together by subject, or by a message that is not there. Whoever did not begin"
        " counts as answering, so what a customer wrote may be learned as an answer: say whose messages are answers with"
        f" {fields[name]}.mail.insideDomains."
        for name, count in threads.items()
    ]
