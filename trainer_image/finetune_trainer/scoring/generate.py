"""Answers, written greedily in batches by base and tuned model alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from finetune_trainer.data.store import Documents

_PROMPT_TOKENS = 2048
"""Most tokens of a batch's prompts, with padding, for each answer of a full batch: a few long ones can need more memory than
training did."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked, and what should be answered."""

    index: int
    prompt: NDArray[np.int64]
    """Token ids."""
    reference: NDArray[np.int64]
    """Token ids, with the end token."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote."""

    text: str
    ended: bool
    """Whether it stopped by itself."""


def exchanges(data: Documents, *, at_most: int, seed: int) -> list[Exchange]:
    """Examples to be answered, each up to its last answer: a choice that is the same for every model.

    Running text has no question, so it is left out.
    """
    candidates = np.flatnonzero(data.examples["prompt"] > 1)
    chosen = np.sort(np.random.default_rng(seed).permutation(candidates)[:at_most])
    found = []
    for index in chosen.tolist():
        ids, mask = data.ids(index), data.mask(index)
        end = int(np.flatnonzero(mask)[-1]) + 1
        begin = end
        while begin > 0 and mask[begin - 1]:
            begin -= 1
        found.append(Exchange(index, ids[:begin], ids[begin:end]))
    return found


def longest_answer(asked: Sequence[Exchange], *, said: int | None) -> int:
    """Limit of an answer in tokens: said, or the longest reference and a quarter more, at most 1,024."""
    if said is not None:
        return said
    return min(1024, max((len(one.reference) * 5 // 4 for one in asked), default=1))


@torch.no_grad()
def answer(
    model: Any,
    tokenizer: Any,
    asked: Sequence[Exchange],
    *,
    max_new_tokens: int,
    at_once: int,
    stops: Sequence[int],
    beat: Callable[[], None] = lambda: None,
) -> list[Answer]:
    """Let a model answer, always choosing the likeliest token.

    Longest prompts first, so that a batch wastes little padding; answers come back in the order of the questions.

    Args:
        model: with transformers' own attention, in evaluation mode.
        at_once: most answers that are written side by side.
        stops: token ids that end an answer.
        beat: called after each batch.
    """
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0]
    order = sorted(range(len(asked)), key=lambda i: -len(asked[i].prompt))
    answers: dict[int, Answer] = {}
    device = next(model.parameters()).device
    begin = 0
    while begin < len(order):
        longest = len(asked[order[begin]].prompt)
        batch = order[begin : begin + max(1, min(at_once, at_once * _PROMPT_TOKENS // longest))]
        begin += len(batch)
        ids = torch.full((len(batch), longest), pad)
        mask = torch.zeros((len(batch), longest), dtype=torch.long)
        for row, i in enumerate(batch):  # padded on the left: an answer follows its prompt directly
            prompt = torch.from_numpy(asked[i].prompt)
            ids[row, longest - len(prompt) :] = prompt
            mask[row, longest - len(prompt) :] = 1
        written = model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            do_sample=False,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=1.0,
            max_new_tokens=max_new_tokens,
            eos_token_id=list(stops),
            pad_token_id=pad,
        )
        for row, i in enumerate(batch):
            answers[i] = _read(written[row, longest:].tolist(), tokenizer, stops)
        beat()
    return [answers[i] for i in range(len(asked))]


def _read(ids: list[int], tokenizer: Any, stops: Sequence[int]) -> Answer:
    end = next((position for position, token in enumerate(ids) if token in stops), None)
    text = tokenizer.decode(ids[:end], skip_special_tokens=True)
    return Answer(text.strip(), ended=end is not None)
