"""A weight changes the gradient of a step exactly as it is documented, whatever rows the step is packed into.

    L = sum_i w_i sum_{t in S_i} -log p(t)  /  sum_i w_i |S_i|         (train.py)

The engine's part, spread over ranks and ZeRO stages, is in test_gradients.py; here is what one process adds up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from finetune_trainer.data.store import EXAMPLE, Documents
from finetune_trainer.data.tokens.pack import rows_for_step
from finetune_trainer.model import attention
from finetune_trainer.model.batch import micro_batch
from finetune_trainer.model.heads import CausalHead, ClassifierHead, Head
from finetune_trainer.model.load import load_causal_lm, load_classifier

attention.register()
LENGTHS = [40, 7, 23, 12, 31, 5, 18, 9]
WEIGHTS = [1.0, 0.5, 3.0, 0.001, 7.25, 1000.0, 2.0, 0.1]


def a_step(weights: list[float], *, labels: bool = False) -> Documents:
    """Documents of unequal length, of which another half of the tokens each is learned."""
    chance = np.random.default_rng(3)
    lengths = LENGTHS[: len(weights)]
    examples = np.zeros(len(lengths), EXAMPLE)
    examples["length"], examples["weight"] = lengths, weights
    examples["offset"] = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    examples["label"] = chance.integers(0, 3, len(lengths)) if labels else -1
    mask = chance.integers(0, 2, sum(lengths)).astype(np.uint8)
    mask[examples["offset"]] = 0
    mask[examples["offset"] + 1] = 1
    examples["supervised"] = np.add.reduceat(mask.astype(np.int64), examples["offset"])
    return Documents(chance.integers(0, 380, sum(lengths)).astype(np.uint32), mask, examples)


def gradient_of_the_step(head: Head, data: Documents, indices: list[int] | None = None) -> torch.Tensor:
    """As training adds it up: packed rows of at most 48 tokens, each divided by the step's weighted number of targets."""
    chosen = list(range(len(data))) if indices is None else indices
    head.inner.set_attn_implementation(attention.PACKED)
    head.zero_grad()
    targets = np.ones(len(chosen)) if head.classification else data.examples["supervised"][chosen]
    weight_sum = float((data.examples["weight"][chosen].astype(np.float64) * targets).sum())
    rows = rows_for_step(data.lengths[chosen], world_size=1, budget_tokens=48)
    assert any(len(row) > 1 for row in rows)
    for row in rows:
        batch = micro_batch(
            data,
            [chosen[i] for i in row],
            classification=head.classification,
            first_position=head.first_position,
        )
        (head(batch) / weight_sum).backward()
    return flat(head)


def flat(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None]).clone()


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.fixture
def head(causal_lm: Path) -> CausalHead:
    return CausalHead(load_causal_lm(causal_lm, precision="fp32"))


@pytest.mark.parametrize("output_layer", ["trained", "frozen"])
def test_the_gradient_is_that_of_the_documented_loss(head: CausalHead, causal_lm: Path, output_layer: str) -> None:
    data = a_step(WEIGHTS)
    plain = AutoModelForCausalLM.from_pretrained(causal_lm, dtype=torch.float32)
    for model in (plain, head.inner):
        model.get_output_embeddings().requires_grad_(output_layer == "trained")
    head.in_pieces = True  # a frozen output layer is then applied by frozen_head_loss

    above, below = torch.zeros(()), 0.0
    for index, weight in enumerate(WEIGHTS):
        ids, learned = torch.from_numpy(data.ids(index)), np.flatnonzero(data.mask(index))
        logits = plain(input_ids=ids[None]).logits[0]
        above = above + weight * cross_entropy(logits[learned - 1], ids[learned], reduction="sum")
        below += weight * len(learned)
    (above / below).backward()

    assert relative_error(gradient_of_the_step(head, data), flat(plain)) < 1e-5


def test_a_class_counts_once_per_example_however_long_its_text_is(encoder: Path) -> None:
    data = a_step(WEIGHTS, labels=True)
    head = ClassifierHead(load_classifier(encoder, labels=["a", "b", "c"], precision="fp32", seed=1))
    head.eval()  # dropout would draw other numbers in a packed row
    plain = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=3, dtype=torch.float32).eval()
    plain.load_state_dict(head.inner.state_dict())

    above = torch.zeros(())
    for index, weight in enumerate(WEIGHTS):
        logits = plain(input_ids=torch.from_numpy(data.ids(index))[None]).logits
        label = torch.tensor([int(data.examples["label"][index])])
        above = above + weight * cross_entropy(logits, label, reduction="sum")
    (above / sum(WEIGHTS)).backward()

    assert relative_error(gradient_of_the_step(head, data), flat(plain)) < 1e-5


def test_an_example_of_weight_two_counts_as_if_it_stood_there_twice(head: CausalHead) -> None:
    weighted, once = a_step([1.0, 2.0, 1.0]), a_step([1.0, 1.0, 1.0])

    found, wanted = gradient_of_the_step(head, weighted), gradient_of_the_step(head, once, [0, 1, 1, 2])

    assert relative_error(found, wanted) < 1e-5


def test_a_factor_on_all_weights_changes_nothing(head: CausalHead) -> None:
    found = gradient_of_the_step(head, a_step([7 * weight for weight in WEIGHTS]))
    assert relative_error(found, gradient_of_the_step(head, a_step(WEIGHTS))) < 1e-5


def test_other_weights_do_change_it(head: CausalHead) -> None:
    found = gradient_of_the_step(head, a_step([*WEIGHTS[:-1], 1000.0]))
    assert relative_error(found, gradient_of_the_step(head, a_step(WEIGHTS))) > 0.1
