"""What the data report says of personal data: how it was looked for and what was found, or what a glance saw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune_api.contract.data_words import entity
from finetune_trainer.data.anonymize import DETECTORS
from finetune_trainer.data.anonymize.glance import Glimpsed
from finetune_trainer.data.correction.personal_labels import warned
from finetune_trainer.data.ingest import Ingest
from finetune_trainer.evidence.measured import SOURCE, quality


def personal_warnings(ingest: Ingest) -> Iterator[str]:
    """What somebody should read who did not ask for anonymisation."""
    seen = ingest.glimpsed
    if seen.holding:
        yield (
            f"Personal data was not looked for, but {seen.holding:,} of the first {seen.examples:,} examples seem to hold some:"
            " set preparation.anonymize.strategy, or look at them."
        )
    if ingest.personal is None:
        yield from warned(ingest.personal_labels())


def anonymization(ingest: Ingest) -> str:
    """In a sentence, for the model card and the page."""
    done = ingest.personal
    if done is None:
        return f"none: personal data was not looked for and not changed{_glimpsed(ingest.glimpsed)}"
    left = (
        f"a second pass found {done.leaking:,} of {done.looked_at:,} examples with something left"
        if done.leaking
        else (f"a second pass found nothing left in {done.looked_at:,} examples")
    )
    return f"{ingest.settings.anonymize.strategy}: {sum(done.found.values()):,} personal items were replaced; {left}"


def _glimpsed(seen: Glimpsed) -> str:
    """What a glance at the first examples says, as the end of a sentence."""
    if not seen.examples:
        return ""
    kinds = ", ".join(f"{entity(kind)} {count:,}" for kind, count in seen.kinds.most_common())
    some = f"{seen.holding:,} seem to hold some ({kinds})" if seen.holding else "none seems to hold any"
    return f"; of the first {seen.examples:,} examples {some}"


def personal_details(ingest: Ingest) -> dict[str, Any]:
    """How personal data was looked for, and what a second look still found."""
    done, said = ingest.personal, ingest.settings.anonymize
    if done is None:
        seen = ingest.glimpsed
        kinds = dict(seen.kinds.most_common())
        return {"glance": {"examples": seen.examples, "holding": seen.holding, "kinds": kinds}} if seen.examples else {}
    declared = [f"declared pattern {pattern.name}" for pattern in said.patterns]
    return {
        "strategy": said.strategy,
        "detectors": [*DETECTORS, *declared, *(detector.told for detector in ingest.detectors)],
        "examplesChanged": done.changed,
        "residual": {
            "rate": round(done.residual_rate, 6),
            "items": sum(done.left.values()),
            "examples": done.looked_at,
            "kinds": dict(done.left.most_common()),
            "allowed": said.max_residual_rate,
        },
        "keyForgotten": ingest.differs_from_run_to_run,
        "quality": quality(),
        "qualitySource": SOURCE,
    }
