"""What the rules found, changed and left out, with examples that show the shape of a text and not its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune_api.contract.data_words import change, explained, language, reason
from finetune_trainer.evidence.page_words import shown

_RULES_SHOWN = 100
_SAMPLES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class RuleSample:
    """One example before and after a rule, redacted."""

    place: str
    before: str
    after: str | None
    """None: the row was left out."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one rule did."""

    name: str
    """As the manifest or the report calls it."""
    words: str
    explained: str
    changed: str
    left_out: str
    samples: list[RuleSample]


def rules(report: Mapping[str, Any]) -> list[Rule]:
    """Every rule that did something, those of which a person should know most first.

    Args:
        report: the data report.
    """
    said = [one for one in report.get("rules") or [] if one.get("changed") or one.get("dropped")]
    found = [_rule(one) for one in sorted(said, key=lambda one: -(one.get("dropped") or 0) - (one.get("changed") or 0))]
    named = {one.name for one in found}
    for name, count in (report.get("cleaned") or {}).items():
        if name not in named:
            found.append(Rule(name, change(name), explained(name), shown(count), "", []))
    return found[:_RULES_SHOWN]


def _rule(one: Mapping[str, Any]) -> Rule:
    name, changed, dropped = str(one.get("name", "")), one.get("changed") or 0, one.get("dropped") or 0
    return Rule(
        name=name,
        words=change(name) if changed else reason(name),
        explained=explained(name),
        changed=shown(changed) if changed else "",
        left_out=shown(dropped) if dropped else "",
        samples=[_sample(sample) for sample in (one.get("samples") or [])[:_SAMPLES_SHOWN]],
    )


def _sample(sample: Mapping[str, Any]) -> RuleSample:
    place = f"{sample.get('dataset', '')}, {sample.get('file', '')} line {shown(sample.get('line'))}"
    found = str(sample.get("found") or "")
    place = f"{place}: {language(found)}" if found else place
    after = sample.get("after")
    return RuleSample(place, str(sample.get("before") or ""), None if after is None else str(after))
