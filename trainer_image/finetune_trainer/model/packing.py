"""Whether documents of a model may share a row: tried on the model itself before the first step.

Soft caps, attention sinks, windows, state-space layers: what keeps documents apart in a packed row differs by architecture,
and where it does not, training goes on with a wrong model and no error. So two short documents are run packed and one by
one, by the model's own forward pass, and the outputs are compared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch

from finetune_api.errors import UserError
from finetune_trainer.environment import lost_peer, out_of_memory
from finetune_trainer.model.attention import UnsupportedAttention
from finetune_trainer.model.batch import MicroBatch
from finetune_trainer.model.heads import CausalHead, Head

log = logging.getLogger(__name__)

_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1}
"""Largest difference of a document's outputs, root mean square over their standard deviation. Measured on a 135M model:
0.00 and 0.02 for rounding, 0.6 for a document that sees its neighbour."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether rows may be shared, and why not."""

    packed: bool
    reason: str


def _alone(*values: int) -> tuple[int, ...]:
    """What the only rank agrees on with itself."""
    return values


def check_packing(
    head: Head,
    *,
    asked: Literal["auto", "always", "never"],
    packed_attention: str,
    longest: int,
    on_gpu: bool,
    agree: Callable[..., tuple[int, ...]] = _alone,
) -> Verdict:
    """Decide whether documents share rows. Leaves the model set to the attention that goes with the answer.

    Args:
        head: the model, in its final precision; collective under ZeRO-3, so every rank must call.
        asked: from the manifest.
        packed_attention: name of our attention in transformers' registry.
        longest: tokens of the longest document.
        on_gpu: whether kernels with windows exist.
        agree: gives the largest of each value over all ranks: what one of them cannot pack, none does, since their rows and
            collectives must match.
    Raises: UserError if packing was demanded and the model cannot.
    """
    reason = "the manifest says never" if asked == "never" else _difference(head, packed_attention, longest, on_gpu)
    if agree(reason is not None)[0] and reason is None:
        reason = "another rank cannot"
    if reason is None:
        head.inner.set_attn_implementation(packed_attention)
        if isinstance(head, CausalHead):
            head.in_pieces = not agree(not _pieces_agree(head))[0]
        return Verdict(True, "packed and unpacked outputs agree")
    if asked == "always":
        raise UserError(
            f"documents of this model cannot share a row: {reason}", field="spec.training.packing", hint="Say auto or never."
        )
    head.inner.set_attn_implementation(head.own_attention)
    log.warning("one document per row: %s", reason)
    return Verdict(False, reason)


def _difference(head: Head, packed_attention: str, longest: int, on_gpu: bool) -> str | None:
    """Why documents must not share a row; None if they may."""
    window = getattr(head.inner.config, "sliding_window", None)
    if window and longest > window and (not on_gpu or _attention_dropout(head)):
        kind = "attention with dropout" if on_gpu else "the CPU's attention"
        return f"examples of {longest} tokens exceed the sliding window of {window}, which {kind} does not know"
    training = head.training
    head.eval()
    try:
        with torch.no_grad():
            head.inner.set_attn_implementation(head.own_attention)
            alone = [head.reference_logits(_probe(head, (length,))) for length in _LENGTHS]
            head.inner.set_attn_implementation(packed_attention)
            # Said to be as long as the data are, so that a window is tried where they need it.
            together = head.logits(replace(_probe(head, _LENGTHS), longest=max(longest, *_LENGTHS)))
    except (UnsupportedAttention, RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        if out_of_memory(error) or lost_peer(error):
            raise  # neither says anything of the model
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"
    finally:
        head.train(training)
    if sum(len(outputs) for outputs in alone) != len(together):
        return f"there are {len(together)} outputs packed and {sum(map(len, alone))} one by one"
    limit = _TOLERANCE[alone[0].dtype]
    pairs = zip(alone, together.split([len(outputs) for outputs in alone]), strict=True)
    worst = max(_distance(expected.float(), found.float()) for expected, found in pairs)
    log.info("packed against one by one: outputs differ by %.1e of their spread (limit %.0e)", worst, limit)
    return None if worst <= limit else f"outputs differ by {worst:.2g} of their spread (limit {limit})"


def _attention_dropout(head: Head) -> float:
    """Dropout of attention weights in training, by either of the names that configurations give it."""
    config = head.inner.config
    return float(getattr(config, "attention_dropout", 0) or getattr(config, "attention_probs_dropout_prob", 0) or 0)


def _distance(expected: torch.Tensor, found: torch.Tensor) -> float:
    """Root mean square difference, in standard deviations of what was expected."""
    return float((found - expected).square().mean().sqrt() / expected.std(correction=0).clamp(min=1e-6))


_LENGTHS = (7, 12)


def _probe(head: Head, lengths: tuple[int, ...]) -> MicroBatch:
    """A row of documents with fixed, unequal tokens; the one of each length is the same in every row."""
    device = next(head.parameters()).device
    vocabulary = head.inner.config.vocab_size
    documents = [(torch.arange(length) * 7919 + length * 104_729) % vocabulary for length in lengths]
    starts = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    count = len(lengths) if head.classification else sum(lengths)
    probe = MicroBatch(
        input_ids=torch.cat(documents)[None],
        position_ids=torch.cat([torch.arange(length) for length in lengths])[None] + head.first_position,
        bounds=torch.tensor(starts, dtype=torch.int32),
        longest=max(lengths),
        predicting=torch.arange(count),
        targets=torch.zeros(count, dtype=torch.int64),
        weights=torch.ones(count),
        document=torch.zeros(count, dtype=torch.int64),
    )
    return probe.to(device)


def _pieces_agree(head: CausalHead) -> bool:
    """Whether the output layer alone gives the logits that the model gives: some scale or cap them in between."""
    training = head.training
    head.eval()
    try:
        with torch.no_grad():
            probe = _probe(head, _LENGTHS)
            return torch.allclose(head.logits_in_pieces(probe).float(), head.logits(probe).float(), rtol=1e-3, atol=1e-3)
    except (TypeError, AttributeError, NotImplementedError):
        return False
    finally:
        head.train(training)
