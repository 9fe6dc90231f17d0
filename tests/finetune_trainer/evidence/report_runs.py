"""Runs for tests of the report page: what the stages leave behind, in small numbers that can be checked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

SHARES = {"token_accuracy": 0.06, "exact_match": 0.0, "accuracy": 0.2, "macro_f1": 0.1}


def a_run(**parts: Any) -> dict[str, Any]:
    """Everything that `write_reports` gives to the page; parts replace those of a chat run that improved."""
    run: dict[str, Any] = {
        "job": {"name": "support", "namespace": "ml", "task": "chat"},
        "model": {"uri": "hf://corp/small-1b", "revision": "0123abc"},
        "created": "2026-11-30 09:14 UTC",
        "evaluation": an_evaluation(),
        "data": data(),
        "training": training(steps=40, validate_every=10),
        "plan": [
            {"field": "training.learningRate", "value": 2e-4, "reason": "1.2B parameters, LoRA"},
            {"field": "training.gradientCheckpointing", "value": False, "reason": "fits without"},
        ],
    }
    return run | parts


def a_classification(table: Sequence[Sequence[int]], labels: Sequence[str], **parts: Any) -> dict[str, Any]:
    """A classification run with this confusion of the tuned model; its base put everything into the first class."""
    of = [sum(row) for row in table]
    base = [[n] + [0] * (len(row) - 1) for n, row in zip(of, table, strict=True)]
    one = a_set({"accuracy": (0.3, 0.8, 0.4, 0.6), "loss": (1.5, 0.6, -1.0, -0.8)}, examples=sum(of)) | {
        "labels": list(labels),
        "confusion": {"tuned": [list(row) for row in table], "base": base},
        "majorityShare": max(of) / max(1, sum(of)),
    }
    samples = [{"prompt": "where is my invoice", "reference": labels[0], "base": labels[-1], "tuned": labels[0]}]
    evaluation = an_evaluation(sets=[one], main="accuracy", samples=samples)
    return a_run(job={"name": "routing", "namespace": "", "task": "classification"}, evaluation=evaluation) | parts


def a_set(scores: dict[str, tuple[float, float, float, float]], *, name: str = "test", examples: int = 200) -> dict[str, Any]:
    """One test set. Per metric: base, tuned, and both ends of the interval of their difference."""
    return {
        "name": name,
        "examples": examples,
        "groups": examples // 2,
        "answered": 12,
        "base": {metric: base for metric, (base, _, _, _) in scores.items()},
        "tuned": {metric: tuned for metric, (_, tuned, _, _) in scores.items()},
        "delta": {metric: {"value": tuned - base, "ci95": [low, high]} for metric, (base, tuned, low, high) in scores.items()},
    }


def an_evaluation(
    *,
    sets: Sequence[dict[str, Any]] | None = None,
    main: str = "loss",
    verdict: str | None = "Improved",
    gates: Sequence[dict[str, Any]] = (),
    samples: Sequence[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The evaluation report."""
    if sets is None:
        sets = [a_set({"loss": (3.7, 3.1, -0.65, -0.52), "chrf": (0.19, 0.15, -0.09, 0.03)})]
    if samples is None:
        samples = [a_sample("How do I reset it?", "Hold the button.", "I am happy to help.", "Hold the button for 5 s.")]
    test = sets[0]
    return {
        "summary": {
            "examples": test["examples"],
            "score": {"metric": main, "base": test["base"].get(main), "tuned": test["tuned"][main]},
            **{key: test[key] for key in ("base", "tuned", "delta")},
            "gates": list(gates),
            "passed": all(gate["passed"] for gate in gates),
            "verdict": verdict,
        },
        "sets": list(sets),
        "samples": list(samples),
        "decoding": {"method": "greedy", "maxNewTokens": 130, "answered": 12},
        "precision": "bf16",
        "interval": "95 %, paired bootstrap over groups, 2,000 resamples",
        "seconds": {"base": 60.0, "tuned": 61.5},
    }


def a_sample(prompt: str, reference: str, base: str | None, tuned: str, *, ended: bool = True) -> dict[str, Any]:
    """Answers to one prompt."""
    return {"prompt": prompt, "reference": reference, "base": base, "tuned": tuned, "tunedEnded": ended}


def training(*, steps: int, validate_every: int = 0, total: int | None = None) -> dict[str, Any]:
    """A training report with its journal: the loss falls from about 3 to about 1, with one spike."""
    journal = [
        {
            "attempt": 1,
            "step": step,
            "loss": 1 + 2 * math.exp(-4 * step / steps) + 0.1 * math.sin(step * 1.7) + (4.0 if step == steps // 2 + 1 else 0.0),
            "learningRate": 2e-4 * (1 - step / (steps + 1)),
            "gradientNorm": 0.5 + 0.1 * math.cos(step),
            "tokens": 4096,
            "seconds": 0.5,
        }
        for step in range(1, steps + 1)
    ]
    validated = range(validate_every, steps + 1, validate_every) if validate_every else ()
    return {
        "steps": steps,
        "bestStep": max(validated, default=steps),
        "validationLoss": 1.1 if validate_every else None,
        "packing": True,
        "worldSize": 2,
        "orders": {
            "lora": {"rank": 16, "alpha": 32, "dropout": 0.0, "targetModules": ["all-linear"]},
            "nodes": 1,
            "totalSteps": total or steps,
            "batchSize": 32,
            "tokensPerMicroBatch": 8192,
            "learningRate": 2e-4,
            "warmupSteps": 3,
            "scheduler": "cosine",
            "weightDecay": 0.01,
            "maxGradNorm": 1.0,
            "precision": "bf16",
            "gradientCheckpointing": False,
            "zeroStage": 2,
            "offload": "none",
            "estimatedMemoryGiB": 21.4,
            "seed": 17,
        },
        "journal": journal,
        "validations": [{"attempt": 1, "step": s, "validationLoss": 1.1 + 20 / (s + 10)} for s in validated],
    }


def data() -> dict[str, Any]:
    """A data report: 1,000 rows, 900 kept."""
    return {
        "summary": {
            "examples": {"read": 1000, "kept": 900, "droppedByReason": {"too_long": 60, "duplicate": 40}},
            "weights": {"effectiveSampleSize": 640.0, "lowest": 0.5, "highest": 2.0},
            "split": {"train": 700, "validation": 100, "test": 100},
            "redactions": {},
            "digest": "sha256:" + "ab" * 32,
        },
        "datasets": [
            {
                "name": "tickets",
                "uri": "s3://corp/support/tickets.jsonl",
                "revision": None,
                "files": 1,
                "rows": 1000,
                "format": "prompt_completion",
                "because": "the first row has prompt from 'question', completion from 'answer'",
                "dropped": {"too_long": 60, "duplicate": 40},
            }
        ],
        "cleaned": {"whitespace": 62},
        "anonymization": "none: personal data was not looked for and not changed",
        "max_length": {"tokens": 256, "said": "auto", "overlong": 60, "answeredWith": "drop"},
        "splits": {name: a_split(examples) for name, examples in (("train", 700), ("validation", 100), ("test", 100))},
        "labels": {},
        "template": {"digest": "cd" * 32, "turnByTurn": 0},
        "shape_of_an_example": [
            {"token": "<|im_start|>", "id": 1, "supervised": False},
            {"contentTokens": 18, "supervised": False},
            {"contentTokens": 133, "supervised": True},
            {"token": "<|im_end|>", "id": 2, "supervised": True},
        ],
        "warnings": ["100 of 1,000 rows were left out; see the reasons."],
    }


def a_split(examples: int) -> dict[str, Any]:
    """One split in numbers."""
    return {
        "examples": examples,
        "tokens": examples * 100,
        "supervisedTokens": examples * 70,
        "groups": examples // 2,
        "lengths": {"p0": 46.0, "p50": 97.0, "p95": 224.85, "p100": 256.0},
        "lengthHistogram": {"counts": [examples // 2, examples // 4, examples // 4], "edges": [46.0, 116.0, 186.0, 256.0]},
        "weights": {"effectiveSampleSize": examples * 0.9},
    }
