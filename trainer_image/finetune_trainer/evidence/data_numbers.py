"""Numbers of prepared examples, for the data report: how long, how heavy, how built. Never what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.store import Documents
from finetune_trainer.data.weighting.weights import effective_sample_size

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_BINS = 24
_EXTREMES = 3


@dataclass(frozen=True, slots=True)
class Extremes:
    """Examples at both ends of the weights: dataset, file, line, weight, length, text of each."""

    heaviest: list[dict[str, Any]]
    lightest: list[dict[str, Any]]


def split_report(documents: Documents) -> dict[str, Any]:
    """Numbers of one split: tokens, share with loss, quantiles of length and weight, a histogram of lengths."""
    if not len(documents):
        return {"examples": 0, "tokens": 0}
    lengths = documents.lengths
    supervised = documents.examples["supervised"].astype(np.int64)
    weights = np.asarray(documents.examples["weight"], dtype=np.float32)
    return {
        "examples": len(documents),
        "tokens": int(lengths.sum()),
        "supervisedTokens": int(supervised.sum()),
        "groups": len(np.unique(documents.examples["group"])),
        "lengths": _quantiles(lengths),
        "lengthHistogram": _histogram(lengths),
        "weights": {**_quantiles(weights), "effectiveSampleSize": round(effective_sample_size(weights), 1)},
        **({"weightHistogram": _histogram(weights)} if weights.min() != weights.max() else {}),
    }


def _histogram(values: NDArray[Any]) -> dict[str, list[float]]:
    counts, edges = np.histogram(values, bins=_BINS)
    return {"counts": counts.tolist(), "edges": [round(float(edge), 3) for edge in edges]}


def extremes(
    documents: Documents, datasets: Sequence[str], files: Sequence[Sequence[str]], excerpt: Callable[[Documents, int], str]
) -> Extremes:
    """The three heaviest and the three lightest examples; nothing where all weigh the same.

    Args:
        documents: one split.
        datasets: names, by number.
        files: names of the files of each dataset, by number.
        excerpt: a few words of an example, without personal data.
    """
    weights = documents.examples["weight"] if len(documents) else np.zeros(0, np.float32)
    if not len(weights) or weights.min() == weights.max():
        return Extremes([], [])
    # Stable, so that of equal weights the first stand here on every machine.
    order = np.argsort(weights, kind="stable")
    heaviest = np.argsort(-weights, kind="stable")[:_EXTREMES]

    def told(index: int) -> dict[str, Any]:
        record = documents.examples[index]
        dataset = int(record["dataset"])
        return {
            "dataset": datasets[dataset],
            "file": files[dataset][int(record["file"])],
            "line": int(record["line"]),
            "weight": round(float(record["weight"]), 4),
            "length": int(record["length"]),
            "text": excerpt(documents, index),
        }

    return Extremes([told(int(i)) for i in heaviest], [told(int(i)) for i in order[:_EXTREMES]])


def _quantiles(values: NDArray[Any]) -> dict[str, float]:
    found = np.quantile(values, _QUANTILES)
    return {f"p{quantile * 100:g}": round(float(value), 4) for quantile, value in zip(_QUANTILES, found, strict=True)}


def example_shape(documents: Documents, tokenizer: Any) -> list[dict[str, Any]]:
    """How an example is built, without its content: shows a doubled begin token or a missing end token at a glance."""
    if not len(documents):
        return []
    ids, mask = documents.ids(0), documents.mask(0)
    special = set(tokenizer.all_special_ids)
    pieces: list[dict[str, Any]] = []
    hidden = 0
    for token, supervised in zip(ids.tolist(), mask.tolist(), strict=True):
        same = bool(pieces) and pieces[-1]["supervised"] == supervised and not pieces[-1].get("token")
        if token in special:
            pieces.append({"token": tokenizer.convert_ids_to_tokens(token), "id": token, "supervised": supervised})
        elif same:
            hidden = pieces[-1]["contentTokens"] + 1
            pieces[-1]["contentTokens"] = hidden
        else:
            pieces.append({"contentTokens": 1, "supervised": supervised})
    return pieces
