"""From a packed row to the loss of its documents: one head for models that write, one for models that classify.

Only positions that predict a supervised token reach the output layer: with half of the tokens supervised that halves what
is often the largest tensor of all. Both heads are modules, so that DeepSpeed wraps them with the model inside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from finetune_trainer.model.batch import MicroBatch
from finetune_trainer.model.loss import frozen_head_loss

_ROWS_AT_ONCE = 4096
_COUNT_FROM_PADDING = ("roberta", "xlm-roberta", "camembert")
"""Encoders whose positions begin after the padding token's number."""


class Head(torch.nn.Module, ABC):
    """A model with its way of computing losses.

    Args:
        model: as loaded, or wrapped by PEFT.
    """

    classification: bool

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.own_attention: str = self.inner.config._attn_implementation
        """Name of transformers' own attention for this model: not every architecture has the same one."""

    @property
    def inner(self) -> PreTrainedModel:
        """The model without PEFT's wrapper; its layers keep their adapters."""
        model = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        assert isinstance(model, PreTrainedModel)
        return model

    @property
    def first_position(self) -> int:
        """Position of a document's first token."""
        config = self.inner.config
        return config.pad_token_id + 1 if config.model_type in _COUNT_FROM_PADDING else 0

    def forward(self, batch: MicroBatch) -> torch.Tensor:
        """Sum over targets of weight times negative log-likelihood: shape (), float32."""
        return (self.losses(batch) * batch.weights).sum()

    def losses(self, batch: MicroBatch) -> torch.Tensor:
        """Negative log-likelihood of each target: shape (targets,), float32."""
        return cross_entropy(self.logits(batch).float(), batch.targets, reduction="none")

    @abstractmethod
    def logits(self, batch: MicroBatch) -> torch.Tensor:
        """Outputs for each target, packed: shape (targets, vocabulary or classes)."""

    def pieces(self, batch: MicroBatch) -> Iterator[tuple[slice, torch.Tensor]]:
        """The same, a piece at a time: which targets, and their outputs."""
        yield slice(None), self.logits(batch)

    @abstractmethod
    def reference_logits(self, batch: MicroBatch) -> torch.Tensor:
        """The same for a row of one document, by the model's own forward pass and attention: what packing must agree with."""


class CausalHead(Head):
    """Predicts the next token of each document."""

    classification = False
    in_pieces = False
    """Whether the output layer may be applied to hidden states in pieces; set once that was seen to give the same logits
    (packing.py), since some models scale or cap them in between."""

    def forward(self, batch: MicroBatch) -> torch.Tensor:
        """The same sum, shape (), float32; from pieces of logits, never held together, where the output layer allows it."""
        layer = self.inner.get_output_embeddings()
        # Under ZeRO-3 the weight is empty outside of the layer's own forward pass.
        if not self.in_pieces or layer.weight.requires_grad or hasattr(layer.weight, "ds_id"):
            return super().forward(batch)
        hidden = self._hidden(batch)[batch.predicting]
        return frozen_head_loss(hidden, layer.weight, layer.bias, batch.targets, batch.weights)

    def losses(self, batch: MicroBatch) -> torch.Tensor:
        """Negative log-likelihood, shape (targets,), float32; many are computed in pieces, and again in the backward pass."""
        if len(batch.targets) <= _ROWS_AT_ONCE or not self.in_pieces:
            return super().losses(batch)
        hidden = self._hidden(batch)
        pieces = zip(batch.predicting.split(_ROWS_AT_ONCE), batch.targets.split(_ROWS_AT_ONCE), strict=True)
        return torch.cat([checkpoint(self._piece, hidden[where], targets, use_reentrant=False) for where, targets in pieces])

    def _piece(self, rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return cross_entropy(self.inner.get_output_embeddings()(rows).float(), targets, reduction="none")

    def _hidden(self, batch: MicroBatch) -> torch.Tensor:
        hidden: torch.Tensor = self.inner.get_decoder()(**_packed(batch), use_cache=False)[0][0]
        return hidden

    def logits(self, batch: MicroBatch) -> torch.Tensor:
        """Outputs of the positions that predict a supervised token: shape (targets, vocabulary)."""
        outputs = self.model(**_packed(batch), use_cache=False, logits_to_keep=batch.predicting)
        logits: torch.Tensor = outputs.logits[0]
        return logits

    def pieces(self, batch: MicroBatch) -> Iterator[tuple[slice, torch.Tensor]]:
        """Outputs of many targets in pieces: all at once they can be larger than everything that training needed."""
        if len(batch.targets) <= _ROWS_AT_ONCE or not self.in_pieces:
            yield from super().pieces(batch)
            return
        hidden, layer = self._hidden(batch), self.inner.get_output_embeddings()
        for begin in range(0, len(batch.targets), _ROWS_AT_ONCE):
            where = slice(begin, begin + _ROWS_AT_ONCE)
            yield where, layer(hidden[batch.predicting[where]])

    def logits_in_pieces(self, batch: MicroBatch) -> torch.Tensor:
        """The same, shape (targets, vocabulary), from hidden states and the output layer alone."""
        logits: torch.Tensor = self.inner.get_output_embeddings()(self._hidden(batch)[batch.predicting])
        return logits

    def reference_logits(self, batch: MicroBatch) -> torch.Tensor:
        """Outputs of one document without packing."""
        outputs = self.model(input_ids=batch.input_ids, use_cache=False)
        logits: torch.Tensor = outputs.logits[0, batch.predicting]
        return logits


class ClassifierHead(Head):
    """Chooses one class for each document, from its first token.

    An encoder's head expects one sequence per row of a batch. So the hidden states of the packed row are regrouped just
    before the head, documents becoming the batch, and the model's own head does the rest, whatever it is made of.
    """

    classification = True

    def logits(self, batch: MicroBatch) -> torch.Tensor:
        """Outputs for each document: shape (documents, classes)."""
        with self._regrouped(batch.bounds[:-1].long()):
            logits: torch.Tensor = self.model(**_packed(batch)).logits
        return logits

    def reference_logits(self, batch: MicroBatch) -> torch.Tensor:
        """Outputs of one document without packing."""
        logits: torch.Tensor = self.model(input_ids=batch.input_ids).logits
        return logits

    @contextmanager
    def _regrouped(self, first: torch.Tensor) -> Iterator[None]:
        encoder = self.inner.base_model
        pooler = getattr(encoder, "pooler", None)
        if pooler is not None:
            handle = pooler.register_forward_pre_hook(lambda _, inputs: (inputs[0][0, first][:, None], *inputs[1:]))
        else:
            handle = encoder.register_forward_hook(lambda _, __, outputs: _first_tokens(outputs, first))
        try:
            yield
        finally:
            handle.remove()


def _first_tokens(outputs: Any, first: torch.Tensor) -> Any:
    outputs[0 if isinstance(outputs, tuple) else "last_hidden_state"] = outputs[0][0, first][:, None]
    return outputs


def _packed(batch: MicroBatch) -> dict[str, Any]:
    """What the packed attention needs to know, as transformers passes it through to it."""
    return {
        "input_ids": batch.input_ids,
        "position_ids": batch.position_ids,
        "cu_seq_lens_q": batch.bounds,
        "cu_seq_lens_k": batch.bounds,
        "max_length_q": batch.longest,
        "max_length_k": batch.longest,
    }
