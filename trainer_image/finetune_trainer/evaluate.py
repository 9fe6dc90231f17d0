"""Stage 3: base and tuned model on the same held-out examples, compared, judged, reported.

    python -m finetune_trainer evaluate --config job.json

The tuned model is loaded as anybody would load it, with plain PEFT or plain transformers, from the files that will be
published: what is measured here is what a reader gets.
"""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import torch

from finetune_api.contract.result import StageResult
from finetune_api.contract.summary import Delta, EvaluationSummary, GateResult, Score
from finetune_api.contract.trainer_config import EvaluateConfig, TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_api.errors import DataError, UserError
from finetune_api.v1alpha1.evaluation import MAIN_METRIC, METRIC_TRAITS, Metric
from finetune_trainer.data.correction.names_shown import names_shown
from finetune_trainer.data.store import Documents, open_documents
from finetune_trainer.environment import sees_gpu
from finetune_trainer.evidence.evaluation_report import write_reports
from finetune_trainer.model import attention
from finetune_trainer.model.files import load_tokenizer, stop_ids
from finetune_trainer.model.heads import CausalHead, ClassifierHead, Head
from finetune_trainer.model.load import load_causal_lm, load_classifier
from finetune_trainer.model.packing import check_packing
from finetune_trainer.reporting import ProgressReporter
from finetune_trainer.scoring.compare import Difference, compare, measure, verdict
from finetune_trainer.scoring.gates import Measured, judge
from finetune_trainer.scoring.generate import Answer, Exchange, answer, exchanges, longest_answer
from finetune_trainer.scoring.metrics import Scores, confusion
from finetune_trainer.scoring.samples import answered_samples, classified_samples
from finetune_trainer.scoring.score import add_answers, score

log = logging.getLogger(__name__)

TEST = "test"


def run(
    config: TrainerConfig, workspace: Workspace, reporter: ProgressReporter, environment: Mapping[str, str], *, now: datetime
) -> StageResult:
    """Evaluate, judge and report.

    Args:
        environment: of this process; says whether GPUs are left alone.
    Raises: DataError if there is no test example; Transient if a GPU that was asked for is missing; UserError and OutOfMemory
        as in finetune_api.errors.
    """
    assert config.evaluate is not None
    on_gpu = sees_gpu(environment, expected=config.gpus)
    sets = _test_sets(workspace)
    evaluation = _Evaluation(config, config.evaluate, workspace, sets, reporter, on_gpu=on_gpu)
    evaluation.measure_models()
    summary = evaluation.summary()
    write_reports(config, workspace, evaluation.report(summary), now=now)
    return StageResult(stage="evaluate", attempt=config.job.attempt, evaluation=summary)


@dataclass(slots=True)
class _TestSet:
    """One test set with what base and tuned model made of it."""

    name: str
    data: Documents
    asked: list[Exchange] = field(default_factory=list)
    limit: int = 0
    references: list[str] = field(default_factory=list)
    scores: dict[str, Scores] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    base: dict[Metric, float] = field(default_factory=dict)
    tuned: dict[Metric, float] = field(default_factory=dict)
    differences: dict[Metric, Difference] = field(default_factory=dict)


def _test_sets(workspace: Workspace) -> list[_TestSet]:
    """The held-out test split and the suites."""
    test = open_documents(workspace.data / TEST)
    if not len(test):
        raise DataError(
            "there is no test example, so base and tuned model cannot be compared",
            field="spec.preparation.split.test",
            hint="Hold out a share, or give a dataset of the role test.",
        )
    suites = sorted(path.name for path in workspace.data.glob("suite-*"))
    return [_TestSet(TEST, test), *(_TestSet(n.removeprefix("suite-"), open_documents(workspace.data / n)) for n in suites)]


class _Evaluation:
    def __init__(
        self,
        config: TrainerConfig,
        orders: EvaluateConfig,
        workspace: Workspace,
        sets: list[_TestSet],
        reporter: ProgressReporter,
        *,
        on_gpu: bool,
    ) -> None:
        self.config, self.orders, self.workspace, self.sets, self.reporter = config, orders, workspace, sets, reporter
        self.on_gpu = on_gpu
        self.classification = config.task == "classification"
        manifest = json.loads((workspace.data / "manifest.json").read_text(encoding="utf-8"))
        self.labels = list(names_shown(manifest["labels"], "class").values())
        self.tokenizer = load_tokenizer(workspace.model, trust_remote_code=config.model.trust_remote_code)
        self.stops = stop_ids(workspace.model, self.tokenizer)
        self.seconds: dict[str, float] = {}
        self.gates: list[GateResult] = []
        self._answers_wanted = any(METRIC_TRAITS[m].generated for m in orders.metrics) or orders.samples > 0
        if not self.classification and self._answers_wanted:
            for one in sets:
                self._choose_questions(one)

    def _choose_questions(self, one: _TestSet) -> None:
        one.asked = exchanges(one.data, at_most=self.orders.generated_examples, seed=self.orders.seed)
        one.limit = longest_answer(one.asked, said=self.orders.max_new_tokens)
        one.references = [self.tokenizer.decode(e.reference, skip_special_tokens=True).strip() for e in one.asked]

    # ------------------------------------------------------------ measuring

    def measure_models(self) -> None:
        """Score base and tuned model on every test set.

        Raises: UserError if training left no model, as a program of somebody's own may.
        """
        self._check_tuned()
        attention.register()
        if self.on_gpu:
            torch.cuda.set_device(0)
        if self.orders.tuned == "adapter":
            head = self._head(self.workspace.model, adapter=True)
            if self.orders.baseline:
                with head.model.disable_adapter():
                    self._measure("base", head)
            self._measure("tuned", head)
        else:
            if self.orders.baseline:
                self._measure("base", self._head(self.workspace.model, adapter=False))
                gc.collect()  # the memory that the plan reserved holds one model
            self._measure("tuned", self._head(self.workspace.merged, adapter=False))
        for one in self.sets:
            one.tuned = measure(one.scores["tuned"], self.orders.metrics)
            if self.orders.baseline:
                one.base = measure(one.scores["base"], self.orders.metrics)
                groups = np.asarray(one.data.examples["group"])
                one.differences = compare(
                    one.scores["base"], one.scores["tuned"], groups, self.orders.metrics, seed=self.orders.seed
                )
        measured: Mapping[str | None, Measured] = {
            None if one.name == TEST else one.name: Measured(one.base, one.tuned, one.differences) for one in self.sets
        }
        self.gates = [judge(gate, measured) for gate in self.orders.gates]

    def _check_tuned(self) -> None:
        adapter = self.orders.tuned == "adapter"
        folder, needed = (self.workspace.adapter, "adapter_config.json") if adapter else (self.workspace.merged, "config.json")
        if not (folder / needed).is_file():
            raise UserError(
                f"training left no {needed} in the workspace's directory {folder.name}, so there is no tuned model to measure",
                field="spec.command",
                hint="A program of your own must save its model there before it exits 0: see the contract.",
            )

    def _head(self, folder: Any, *, adapter: bool) -> Head:
        trusted = self.config.model.trust_remote_code
        if self.classification:
            model: Any = load_classifier(
                folder,
                labels=self.labels,
                precision=self.orders.precision,
                seed=self.orders.seed,
                trust_remote_code=trusted,
            )
        else:
            model = load_causal_lm(folder, precision=self.orders.precision, trust_remote_code=trusted)
        if adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, self.workspace.adapter)
        if self.on_gpu:
            model.to("cuda")
        head: Head = ClassifierHead(model) if self.classification else CausalHead(model)
        return head.eval()

    def _measure(self, who: str, head: Head) -> None:
        begin = time.monotonic()
        longest = max(int(one.data.lengths.max(initial=1)) for one in self.sets)
        packing = check_packing(head, asked="auto", packed_attention=attention.PACKED, longest=longest, on_gpu=self.on_gpu)
        for number, one in enumerate(self.sets):
            budget, beat = self.orders.tokens_per_micro_batch, self.reporter.repeat
            scores = score(head, one.data, packed=packing.packed, budget_tokens=budget, beat=beat)
            if one.asked:
                with _own_attention(head, packing.packed):
                    answers = answer(
                        head.model,
                        self.tokenizer,
                        one.asked,
                        max_new_tokens=one.limit,
                        at_once=self.orders.answers_at_once,
                        stops=self.stops,
                        beat=beat,
                    )
                add_answers(scores, one.asked, answers, one.references)
                one.answers[who] = answers
            one.scores[who] = scores
            done = (number + 1) / len(self.sets) * 50 + (50 if who == "tuned" and self.orders.baseline else 0)
            self.reporter.report(percent=min(99, int(done)), metrics={})
        self.seconds[who] = round(time.monotonic() - begin, 1)
        log.info("%s scored in %.1f s", who, self.seconds[who])

    # ------------------------------------------------------------ saying

    def summary(self) -> EvaluationSummary:
        """The comparison, for the status."""
        test, main = self.sets[0], MAIN_METRIC[self.config.task]
        if main not in test.tuned:  # the manifest chose metrics without the main one
            main = next(iter(test.tuned))
        difference = test.differences.get(main)
        return EvaluationSummary(
            examples=len(test.data),
            answered=None if self.classification else len(test.asked),
            score=Score(metric=str(main), base=_rounded(test.base.get(main)), tuned=round(test.tuned[main], 4)),
            base={str(metric): round(value, 6) for metric, value in test.base.items()},
            tuned={str(metric): round(value, 6) for metric, value in test.tuned.items()},
            delta={
                str(metric): Delta(value=round(found.value, 6), ci95=(round(found.low, 6), round(found.high, 6)))
                for metric, found in test.differences.items()
            },
            gates=tuple(self.gates),
            passed=all(gate.passed for gate in self.gates),
            verdict=verdict(difference, main, witnesses=_groups(test.data)) if difference else None,
        )

    def report(self, summary: EvaluationSummary) -> dict[str, Any]:
        """Everything that was measured, with samples to read."""
        return {
            "summary": summary.model_dump(mode="json", by_alias=True),
            "sets": [self._set_report(one) for one in self.sets],
            "samples": self._samples(self.sets[0]),
            "decoding": {"method": "greedy", "maxNewTokens": self.sets[0].limit, "answered": len(self.sets[0].asked)},
            "precision": self.orders.precision,
            "interval": "95 %, paired bootstrap over groups, 2,000 resamples",
            "seconds": self.seconds,
        }

    def _set_report(self, one: _TestSet) -> dict[str, Any]:
        value: dict[str, Any] = {
            "name": one.name,
            "examples": len(one.data),
            "groups": _groups(one.data),
            "answered": len(one.asked),
            "base": {str(metric): v for metric, v in one.base.items()},
            "tuned": {str(metric): v for metric, v in one.tuned.items()},
            "delta": {str(m): {"value": d.value, "ci95": [d.low, d.high]} for m, d in one.differences.items()},
        }
        if self.classification:
            once = np.ones(len(one.data))
            value["labels"] = self.labels
            value["confusion"] = {who: confusion(scores, once).astype(int).tolist() for who, scores in one.scores.items()}
            value["majorityShare"] = float(np.bincount(one.scores["tuned"].label).max() / max(1, len(one.data)))
        return value

    def _samples(self, one: _TestSet) -> list[dict[str, Any]]:
        at_most = self.orders.samples
        if self.classification:
            base, tuned = one.scores.get("base"), one.scores["tuned"]
            return classified_samples(one.data, base, tuned, self.labels, self.tokenizer, at_most=at_most)
        written = one.answers.get("base"), one.answers.get("tuned", [])
        return answered_samples(one.asked, one.references, *written, self.tokenizer, at_most=at_most)


@contextmanager
def _own_attention(head: Head, packed: bool) -> Iterator[None]:
    """Transformers' own attention while answers are written, ours again afterwards."""
    head.inner.set_attn_implementation(head.own_attention)
    try:
        yield
    finally:
        if packed:
            head.inner.set_attn_implementation(attention.PACKED)


def _groups(data: Documents) -> int:
    return len(np.unique(data.examples["group"]))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
