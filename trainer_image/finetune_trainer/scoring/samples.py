"""Answers of base and tuned model side by side, in words, for an expert to judge.

Numbers do not tell whether an answer is right. So some test examples stand in the report as people wrote them: the question
without its chat template, what should have been said, and what each model said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from finetune_trainer.data.store import Documents
from finetune_trainer.scoring.generate import Answer, Exchange
from finetune_trainer.scoring.metrics import Scores


def answered_samples(
    asked: Sequence[Exchange],
    references: Sequence[str],
    base: Sequence[Answer] | None,
    tuned: Sequence[Answer],
    tokenizer: Any,
    *,
    at_most: int,
) -> list[dict[str, Any]]:
    """The first exchanges with their answers, as plain JSON types.

    Args:
        asked: every question of the test set; references, base, tuned: what belongs to it, in the same order.
        base: None where the base model was not asked.
        tokenizer: of the model.
    """
    prompts = without_template([tokenizer.decode(one.prompt, skip_special_tokens=True) for one in asked], tokenizer)
    return [
        {
            "prompt": prompts[number],
            "reference": references[number],
            "base": base[number].text if base is not None else None,
            "baseEnded": base[number].ended if base is not None else None,
            "tuned": tuned[number].text,
            "tunedEnded": tuned[number].ended,
        }
        for number in range(min(at_most, len(asked)))
    ]


def classified_samples(
    data: Documents, base: Scores | None, tuned: Scores, labels: Sequence[str], tokenizer: Any, *, at_most: int
) -> list[dict[str, Any]]:
    """Examples with their classes, those that the tuned model got wrong first, as plain JSON types.

    Args:
        data: the test set; base, tuned: scores of each of its examples.
        base: None where the base model was not asked.
        labels: names of the classes, by their numbers.
        tokenizer: of the model.
    """
    wrong = np.flatnonzero(tuned.predicted != tuned.label)
    right = np.flatnonzero(tuned.predicted == tuned.label)
    chosen: Sequence[int] = np.concatenate([wrong, right])[:at_most].tolist()
    return [
        {
            "prompt": tokenizer.decode(data.ids(i), skip_special_tokens=True),
            "reference": labels[int(tuned.label[i])],
            "base": labels[int(base.predicted[i])] if base is not None else None,
            "tuned": labels[int(tuned.predicted[i])],
        }
        for i in chosen
    ]


_PROBE = "01 question 10"


def without_template(prompts: Sequence[str], tokenizer: Any) -> list[str]:
    """Prompts as people wrote them: without what the chat template says before and after a first question.

    What all prompts happen to share, a greeting for one, is their content and stays: an expert judges the question that was
    asked.

    Args:
        prompts: decoded without control tokens.
        tokenizer: of the model.
    """
    head, tail = _around_a_question(tokenizer)
    return [prompt.removeprefix(head).removesuffix(tail).strip() for prompt in prompts]


def _around_a_question(tokenizer: Any) -> tuple[str, str]:
    if not tokenizer.chat_template:
        return "", ""
    question = [{"role": "user", "content": _PROBE}]
    rendered = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    head, probe, tail = tokenizer.decode(ids, skip_special_tokens=True).partition(_PROBE)
    return (head, tail) if probe else ("", "")
