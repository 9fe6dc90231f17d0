"""Job, plan and attempt -> the orders of one stage (contract/trainer_config.py), with nothing left open."""

from __future__ import annotations

from finetune_api.contract.trainer_config import (
    CONFIG_VERSION,
    DatasetInput,
    DetectorInput,
    EvaluateConfig,
    JobIdentity,
    LoraConfig,
    ModelInput,
    Mounts,
    PlannedValue,
    PrepareConfig,
    PublishConfig,
    TrainConfig,
    TrainerConfig,
)
from finetune_api.v1alpha1.data import DocumentSettings, FieldMapping, MailSettings
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.preparation import NEAR_SIMILARITY
from finetune_api.v1alpha1.weighting import REFERENCE_FIELD, Reference
from finetune_operator.brain.plan import Plan
from finetune_operator.brain.retries import smaller_plans
from finetune_operator.brain.stages import STAGES, Stage
from finetune_operator.brain.written import as_written

_ANSWERS_AT_ONCE = 16
_LESS_AT_A_TIME = 4
"""After evaluate ran out of memory, of which there is one retry: a quarter of the tokens and of the answers."""


def configure(
    job: FineTuneJob, plan: Plan, stage: Stage, attempt: int, *, workspace: str, mounts: Mounts | None = None
) -> TrainerConfig:
    """The orders of one attempt of one stage.

    Args:
        workspace: the directory as the stage sees it.
        mounts: where the stage finds claims and config maps.
    Raises: ValueError if the plan is not complete and the stage needs it; decide never starts such a stage.
    """
    spec = job.spec
    tuned: str = "merged" if spec.method.type == "full" else "adapter"
    common = {
        "version": CONFIG_VERSION,
        "stage": str(stage),
        "job": JobIdentity(name=job.name, namespace=job.metadata.namespace or "", uid=job.metadata.uid or "", attempt=attempt),
        "task": spec.task,
        "workspace": workspace,
        "mounts": mounts or Mounts(),
        "model": ModelInput(
            uri=spec.model.uri,
            revision=spec.model.revision,
            trust_remote_code=spec.model.trust_remote_code,
            chat_template=spec.model.chat_template,
        ),
        "gpus": _gpus(plan, stage),
    }
    match stage:
        case Stage.PREPARE:
            return TrainerConfig(**common, prepare=_prepare(job, plan))
        case Stage.TRAIN:
            return TrainerConfig(**common, train=_train(job, plan))
        case Stage.EVALUATE:
            return TrainerConfig(**common, evaluate=_evaluate(job, plan, tuned))
        case Stage.PUBLISH:
            publish = PublishConfig(
                uri=spec.output.uri,
                format=plan.output_format,
                tuned=tuned,
                precision=plan.precision,
                seed=spec.training.seed,
            )
            return TrainerConfig(**common, publish=publish)


def _gpus(plan: Plan, stage: Stage) -> int:
    """What each pod of a stage is given: one per process in training, one in all for the stage that is one process."""
    needs = STAGES[stage]
    if plan.topology.device == "cpu" or not needs.accelerator:
        return 0
    return plan.topology.processes_per_node if needs.distributed else 1


def _prepare(job: FineTuneJob, plan: Plan) -> PrepareConfig:
    spec = job.spec
    split = spec.preparation.split.model_copy(update={"validation": plan.validation_share, "test": plan.test_share})
    near = spec.preparation.near_similarity
    if near is None and spec.preparation.deduplicate == "near":
        near = NEAR_SIMILARITY
    datasets = [
        DatasetInput(
            name=dataset.name or f"data-{index + 1}",
            field=f"spec.datasets[{index}]",
            uri=dataset.uri,
            revision=dataset.revision or "main",
            role=dataset.role or "train",
            format=dataset.format or "auto",
            fields=dataset.fields or FieldMapping(),
            mail=dataset.mail or MailSettings(),
            documents=dataset.documents or DocumentSettings(),
            weight=dataset.weight or 1.0,
            environment_prefix=f"DATASET_{index}_",
        )
        for index, dataset in enumerate(spec.datasets)
    ]
    suites = [
        DatasetInput(
            name=suite.name,
            field=f"spec.evaluation.suites[{index}]",
            uri=suite.uri,
            role="suite",
            format=suite.format or "auto",
            fields=suite.fields or FieldMapping(),
            environment_prefix=f"SUITE_{index}_",
        )
        for index, suite in enumerate(spec.evaluation.suites)
    ]
    detectors = [
        DetectorInput(
            field=f"spec.preparation.anonymize.detectors[{index}]",
            uri=detector.uri,
            revision=detector.revision or "main",
            labels=detector.labels,
            min_score=detector.min_score or 0.5,
            environment_prefix=f"DETECTOR_{index}_",
        )
        for index, detector in enumerate(spec.preparation.anonymize.detectors)
    ]
    reference = spec.preparation.weighting.reference
    return PrepareConfig(
        datasets=(*datasets, *suites),
        detectors=tuple(detectors),
        reference=_reference(reference) if reference is not None else None,
        preparation=spec.preparation.model_copy(update={"split": split, "near_similarity": near}),
        seed=spec.training.seed,
    )


def _reference(said: Reference) -> DatasetInput:
    return DatasetInput(
        name="reference",
        field=REFERENCE_FIELD,
        uri=said.uri,
        revision=said.revision or "main",
        role="reference",
        format=said.format or "auto",
        fields=said.fields or FieldMapping(),
        environment_prefix="REFERENCE_",
    )


def _train(job: FineTuneJob, plan: Plan) -> TrainConfig:
    schedule, layout = plan.schedule, plan.layout
    if schedule is None or layout is None:
        raise ValueError("train cannot be configured before prepare has reported its facts")
    spec, training = job.spec, job.spec.training
    lora = LoraConfig(
        rank=schedule.lora_rank,
        alpha=schedule.lora_alpha,
        dropout=spec.method.lora.dropout,
        target_modules=spec.method.lora.target_modules,
    )
    return TrainConfig(
        lora=None if spec.method.type == "full" else lora,
        world_size=plan.topology.world_size,
        nodes=plan.topology.nodes,
        processes_per_node=plan.topology.processes_per_node,
        threads_per_process=plan.topology.threads_per_process,
        total_steps=schedule.total_steps,
        batch_size=schedule.batch_size,
        tokens_per_micro_batch=layout.tokens,
        learning_rate=schedule.learning_rate,
        warmup_steps=schedule.warmup_steps,
        scheduler=training.scheduler,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        precision=plan.precision,
        packing=training.packing,
        gradient_checkpointing=layout.gradient_checkpointing,
        zero_stage=layout.zero_stage,
        offload=layout.offload,
        deepspeed=spec.deepspeed.config,
        evaluation_steps=schedule.evaluation_steps,
        patience=training.early_stopping.patience,
        checkpoint_seconds=training.checkpoint_minutes * 60,
        stall_seconds=float(spec.run_policy.stall_timeout_seconds),
        estimated_memory_gi_b=plan.memory_gib,
        seed=training.seed,
    )


def _evaluate(job: FineTuneJob, plan: Plan, tuned: str) -> EvaluateConfig:
    if plan.layout is None:
        raise ValueError("evaluate cannot be configured before prepare has reported its facts")
    evaluation = job.spec.evaluation
    # Of its own: how the model was trained has been done, and stands in the report as it was.
    less = _LESS_AT_A_TIME ** smaller_plans(job.status, Stage.EVALUATE)
    return EvaluateConfig(
        tuned=tuned,
        baseline=evaluation.baseline,
        metrics=plan.metrics,
        samples=evaluation.samples,
        generated_examples=max(evaluation.generation.examples, evaluation.samples) if evaluation.generation.examples else 0,
        answers_at_once=max(1, _ANSWERS_AT_ONCE // less),
        max_new_tokens=evaluation.generation.max_new_tokens,
        gates=evaluation.gates,
        precision=plan.precision,
        tokens_per_micro_batch=max(1, plan.layout.tokens // less),
        seed=job.spec.training.seed,
        plan=tuple(PlannedValue(field=c.field, value=c.value, reason=c.reason) for c in plan.choices),
        manifest=as_written(job),
    )
