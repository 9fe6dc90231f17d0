"""Labels that hold personal data.

A label is no text of an example, so nothing replaces what it says: it becomes the name of a class, stands in the configuration
of the model, goes where the model goes and is what the model answers. A surrogate would not do: nobody could tell whom it
means, and the model would still have learned to tell people apart. So somebody has to choose other names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from finetune_api.errors import DataError
from finetune_trainer.data.anonymize import Anonymizer, Found, leftovers
from finetune_trainer.data.anonymize.glance import Glance
from finetune_trainer.data.inputs.formats import Example
from finetune_trainer.sources import printable

_WAY_OUT = (
    "Give the classes names that lead to nobody (a team, a product, a number) before the rows come here, name another field"
    " as the label, or leave the dataset out."
)


@dataclass(frozen=True, slots=True)
class PersonalLabels:
    """How many labels of a dataset hold something, and of which kinds; never what."""

    dataset: str
    place: str
    """Of the dataset in the manifest."""
    column: str
    """The field with the label."""
    labels: int
    holding: int
    kinds: Counter[str] = field(default_factory=Counter)
    """Items by kind."""

    @property
    def told(self) -> str:
        """In a sentence without an end: who, how many, of what kinds."""
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.kinds.most_common())
        of = f'{self.holding:,} of {self.labels:,} labels in the field "{printable(self.column)}"'
        return f'dataset "{self.dataset}": {of} hold personal data ({kinds})'


def found_in(labels: Sequence[str], anonymizer: Anonymizer) -> tuple[int, Counter[str]]:
    """How many labels hold what would be replaced in a text, or what the second look would find; items by kind."""
    counted, anonymizer.count = anonymizer.count, Found()
    try:
        examples = [Example(text=label) for label in labels]
        results = anonymizer.all(examples, [""] * len(examples))
        first = anonymizer.count
    finally:
        anonymizer.count = counted
    kinds, holding = Counter(first.found), first.changed
    for label in (label for label, one, other in zip(labels, examples, results, strict=True) if one is other):
        if left := leftovers(label):
            kinds.update(left)
            holding += 1
    return min(holding, len(labels)), kinds


def glimpsed_in(labels: Iterable[str], glance: Glance) -> tuple[int, Counter[str]]:
    """How many labels seem to hold something where nobody asked; labels by kind."""
    seen = glance(Example(text=label) for label in labels)
    return seen.holding, seen.kinds


def refuse(found: Sequence[PersonalLabels]) -> None:
    """End the run where personal data is to be replaced and stands in labels, which nothing replaces.

    Raises: DataError with datasets, fields, kinds and numbers, never with a label.
    """
    if not found:
        return
    what = "and labels are not replaced: they become names of classes in the model and go where it goes"
    raise DataError(
        "\n".join(f"{one.told}, {what}." for one in found),
        field=f"{found[0].place}.fields.label" if len(found) == 1 else None,
        hint=f"{_WAY_OUT} A kind that is none of a person here can be left out of preparation.anonymize.entities.",
    )


def warned(found: Iterable[PersonalLabels]) -> list[str]:
    """The same for people who did not ask for anonymisation, as sentences of the report."""
    return [
        f'Of the dataset "{one.dataset}", {one.holding:,} of {one.labels:,} labels in the field "{printable(one.column)}" seem'
        f" to hold personal data ({', '.join(f'{kind} {count:,}' for kind, count in one.kinds.most_common())}): they become"
        f" names of classes in the configuration of the model and are published with it. {_WAY_OUT}"
        for one in found
    ]
