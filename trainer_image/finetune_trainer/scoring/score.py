"""Scores of every example of a test set, by one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from finetune_trainer.data.store import Documents
from finetune_trainer.data.tokens.pack import rows_for_step, rows_one_by_one
from finetune_trainer.model.batch import micro_batch
from finetune_trainer.model.heads import Head
from finetune_trainer.scoring.generate import Answer, Exchange
from finetune_trainer.scoring.metrics import Scores, answer_chrf, same_text


@torch.no_grad()
def score(head: Head, data: Documents, *, packed: bool, budget_tokens: int, beat: Callable[[], None] = lambda: None) -> Scores:
    """Losses and choices for every example, without writing answers.

    Args:
        head: in evaluation mode.
        packed: whether documents share rows.
        budget_tokens: tokens per row.
        beat: called after each row: a test set may take hours.
    """
    count = len(data)
    nll, correct = np.zeros(count), np.zeros(count)
    predicted = np.full(count, -1, dtype=np.int64)
    device = next(head.parameters()).device
    rows = (
        rows_for_step(data.lengths, world_size=1, budget_tokens=budget_tokens)
        if packed
        else rows_one_by_one(count, world_size=1)
    )
    for row in rows:
        if not row:
            continue
        batch = micro_batch(data, row, classification=head.classification, first_position=head.first_position).to(device)
        document = np.asarray(row)[batch.document.cpu().numpy()]
        for piece, logits in head.pieces(batch):
            losses = torch.nn.functional.cross_entropy(logits.float(), batch.targets[piece], reduction="none")
            chosen = logits.argmax(-1)
            where = document[piece]
            np.add.at(nll, where, losses.double().cpu().numpy())
            np.add.at(correct, where, (chosen == batch.targets[piece]).double().cpu().numpy())
            if head.classification:
                predicted[where] = chosen.cpu().numpy()
        beat()
    targets = np.ones(count) if head.classification else data.examples["supervised"].astype(np.float64)
    return Scores(
        nll=nll,
        targets=targets,
        correct=correct,
        generated=np.zeros(count, dtype=bool),
        exact=np.zeros(count),
        chrf=np.zeros(count),
        ended=np.zeros(count),
        label=data.examples["label"].astype(np.int64),
        predicted=predicted,
    )


def add_answers(scores: Scores, asked: Sequence[Exchange], answers: Sequence[Answer], references: Sequence[str]) -> None:
    """Put the scores of written answers beside the others.

    Args:
        scores: written in place, where an exchange says.
        asked, answers, references: of the same exchanges, in the same order.
    """
    for one, answer, reference in zip(asked, answers, references, strict=True):
        scores.generated[one.index] = True
        scores.exact[one.index] = same_text(answer.text, reference)
        scores.chrf[one.index] = answer_chrf(answer.text, reference)
        scores.ended[one.index] = answer.ended
