"""Every `auto` becomes a value, each with a reason that a person can read; what cannot be run is refused with numbers."""

from __future__ import annotations

import io
from typing import Any

import pytest

from builders import a_job, a_node, a_plan, a_workstation, some_data, some_facts
from finetune_api.contract.facts import ModelFacts
from finetune_api.errors import InvalidSpec
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Facts
from finetune_cli.console import print_plan
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.plan import Plan
from golden import assert_golden
from known_models import an_encoder, llama_8b, llama_70b, smollm_135m


def chosen(made: Plan) -> dict[str, Any]:
    return {choice.field: choice.value for choice in made.choices}


def reason(made: Plan, field: str) -> str:
    return next(choice.reason for choice in made.choices if choice.field == field)


# ---------------------------------------------------------------- whole plans, to be read

GPUS_2_X_8 = {"nodes": 2, "gpusPerNode": 8}
LONG = llama_8b().model_copy(update={"context_length": 131_072})

JOBS: dict[str, tuple[FineTuneJob, Facts | None, Machine]] = {
    "chat-lora-2x8-gpus": (a_job(resources=GPUS_2_X_8), some_facts(data=some_data(20_000)), a_node()),
    "classification": (
        a_job(task="classification", resources={"gpusPerNode": 1}),
        some_facts(an_encoder(), some_data(4000, mean=90, longest=480, supervised=0.01)),
        a_node(),
    ),
    "full-on-a-workstation": (
        a_job(method={"type": "full"}, resources={"nodes": 2, "gpusPerNode": 0}),
        some_facts(smollm_135m(), some_data(600, mean=200, longest=900)),
        a_workstation(cpu_bf16=True),
    ),
    "long-context": (
        a_job(resources={"gpusPerNode": 8}),
        some_facts(LONG, some_data(3000, mean=20_000, longest=60_000)),
        a_node(),
    ),
    "before-prepare": (a_job(resources=GPUS_2_X_8), None, a_node()),
}


@pytest.mark.parametrize("name", JOBS)
def test_the_plan_reads_as_it_was_agreed(name: str) -> None:
    job, facts, machine = JOBS[name]
    page = io.StringIO()
    print_plan(a_plan(job, facts, machine), page, name=name)
    assert_golden(f"plan/{name}.txt", "".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines()))


# ---------------------------------------------------------------- what is open, and what is not

ALL_AUTO = {
    "training.precision",
    "preparation.split.validation",
    "preparation.split.test",
    "output.format",
    "evaluation.metrics",
    "training.batchSize",
    "training.epochs",
    "training.learningRate",
    "method.lora.rank",
    "method.lora.alpha",
    "tokens per micro-batch",
    "deepspeed.zeroStage",
    "deepspeed.offload",
    "training.gradientCheckpointing",
}


def test_whatever_the_manifest_leaves_open_is_chosen_once_and_with_a_reason() -> None:
    made = a_plan(a_job(), some_facts())
    assert len(made.choices) == len(ALL_AUTO)
    assert set(chosen(made)) == ALL_AUTO
    assert all(choice.reason for choice in made.choices)


def test_whatever_the_manifest_says_is_kept_and_is_no_choice() -> None:
    said = a_job(
        training={
            "precision": "fp32",
            "batchSize": 24,
            "epochs": 4,
            "learningRate": 0.0003,
            "gradientCheckpointing": "always",
        },
        method={"lora": {"rank": 64, "alpha": 16}},
        deepspeed={"zeroStage": 2, "offload": "optimizer"},
        preparation={"split": {"validation": 0.05, "test": 0.2}},
        evaluation={"metrics": ["loss"]},
        output={"uri": "pvc://models/a", "format": "merged"},
        resources=GPUS_2_X_8,
    )
    made = a_plan(said, some_facts(smollm_135m()))
    assert set(chosen(made)) == {"tokens per micro-batch"}
    assert made.schedule is not None
    assert made.layout is not None
    assert (made.precision, made.validation_share, made.test_share) == ("fp32", 0.05, 0.2)
    assert (made.output_format, made.metrics) == ("merged", ("loss",))
    assert (made.schedule.batch_size, made.schedule.learning_rate) == (24, 0.0003)
    assert made.schedule.total_steps == 4 * (2000 // 24)
    assert (made.schedule.lora_rank, made.schedule.lora_alpha) == (64, 16)
    assert (made.layout.zero_stage, made.layout.offload, made.layout.gradient_checkpointing) == (2, "optimizer", True)


def test_before_prepare_only_what_the_manifest_tells_is_planned() -> None:
    made = a_plan(a_job())
    assert made.complete is False
    assert (made.layout, made.schedule, made.memory_gib, made.seconds) == (None, None, None, None)
    assert set(chosen(made)) < ALL_AUTO


def test_facts_without_data_are_no_facts() -> None:
    assert a_plan(a_job(), Facts(model=llama_8b())).complete is False


def test_the_same_input_makes_the_same_plan() -> None:
    job, facts, machine = JOBS["chat-lora-2x8-gpus"]
    assert a_plan(job, facts, machine) == a_plan(job, facts, machine)


# ---------------------------------------------------------------- processes


@pytest.mark.parametrize(
    ("resources", "machine", "device", "nodes", "processes", "threads"),
    [
        ({"nodes": 2, "gpusPerNode": 8}, a_node(), "cuda", 2, 8, 2),
        ({"nodes": 3, "gpusPerNode": 0}, a_node(), "cpu", 3, 1, 16),
        ({"nodes": 1, "gpusPerNode": 64}, a_node(cpu_cores=16, gpus=64), "cuda", 1, 64, 1),
        # Locally there is one node, and what was asked becomes processes, as many as there is room for.
        ({"nodes": 2, "gpusPerNode": 8}, a_workstation(), "cpu", 1, 2, 2),
        ({"nodes": 9, "gpusPerNode": 0}, a_workstation(), "cpu", 1, 4, 1),
        ({"nodes": 1, "gpusPerNode": 4}, a_workstation(gpus=2), "cuda", 1, 2, 1),
        ({"nodes": 2, "gpusPerNode": 1}, a_workstation(gpus=4), "cuda", 1, 2, 1),
        ({"nodes": 2, "gpusPerNode": 0}, a_workstation(gpus=4), "cpu", 1, 2, 2),
    ],
)
def test_what_was_asked_becomes_processes_on_what_there_is(
    resources: dict[str, int], machine: Machine, device: str, nodes: int, processes: int, threads: int
) -> None:
    topology = a_plan(a_job(resources=resources), machine=machine).topology
    assert (topology.device, topology.nodes) == (device, nodes)
    assert (topology.processes_per_node, topology.threads_per_process) == (processes, threads)
    assert topology.world_size == nodes * processes


def test_a_local_plan_says_what_became_of_the_gpus_that_were_asked() -> None:
    made = a_plan(a_job(resources=GPUS_2_X_8), machine=a_workstation(gpus=1))
    assert reason(made, "training processes") == "2 x 8 asked, this machine has 1 GPU"
    made = a_plan(a_job(resources=GPUS_2_X_8), machine=a_workstation())
    assert reason(made, "training processes") == "nodes become processes; this machine has no GPU"


# ---------------------------------------------------------------- single choices


@pytest.mark.parametrize(
    ("gpus", "machine", "precision", "why"),
    [
        (1, a_node(), "bf16", "the GPU multiplies bf16 natively"),
        (1, a_node(gpu_bf16=False), "fp32", "the GPU has no native bf16 products"),
        (0, a_node(cpu_bf16=True), "bf16", "the CPU multiplies bf16 natively"),
        (0, a_node(cpu_bf16=False), "fp32", "the CPU has no native bf16 products"),
    ],
)
def test_bf16_is_used_where_the_hardware_has_it(gpus: int, machine: Machine, precision: str, why: str) -> None:
    made = a_plan(a_job(resources={"gpusPerNode": gpus}), machine=machine)
    assert (made.precision, reason(made, "training.precision")) == (precision, why)


@pytest.mark.parametrize("role", ["validation", "test"])
def test_a_dataset_of_the_user_takes_the_place_of_a_held_out_share(role: str) -> None:
    data = [{"uri": "s3://a/train"}, {"uri": "s3://a/held-out", "role": role}]
    made = a_plan(a_job(datasets=data))
    shares = {"validation": made.validation_share, "test": made.test_share}
    assert shares == {"validation": 0.1, "test": 0.1} | {role: 0.0}
    assert reason(made, f"preparation.split.{role}") == f"a dataset has the role {role}"


def test_a_share_of_zero_is_a_share_and_not_left_open() -> None:
    made = a_plan(a_job(preparation={"split": {"validation": 0, "test": 0}}))
    assert (made.validation_share, made.test_share) == (0.0, 0.0)


def test_data_of_which_no_example_is_held_out_is_not_trained_on() -> None:
    """Evaluation could say nothing, and would say so after all of the training."""
    data = some_data(2000)
    nothing = data.model_copy(update={"test": data.test.model_copy(update={"examples": 0})})
    with pytest.raises(InvalidSpec, match=r"spec\.preparation\.split\.test: left no example for the test set"):
        a_plan(a_job(), some_facts(data=nothing))
    with pytest.raises(InvalidSpec, match=r"spec\.preparation\.split\.test: is 0"):
        a_plan(a_job(preparation={"split": {"test": 0}}), some_facts(data=nothing))


@pytest.mark.parametrize(("method", "output"), [("lora", "adapter"), ("full", "merged")])
def test_what_is_published_follows_the_method(method: str, output: str) -> None:
    assert a_plan(a_job(method={"type": method})).output_format == output


def test_every_metric_of_the_task_is_measured() -> None:
    assert a_plan(a_job(task="classification")).metrics == ("loss", "accuracy", "macro_f1")


def test_without_written_answers_no_metric_of_answers_is_measured() -> None:
    no_answers = {"generation": {"examples": 0}}
    made = a_plan(a_job(evaluation=no_answers))
    assert made.metrics == ("loss", "perplexity", "token_accuracy")
    assert reason(made, "evaluation.metrics").endswith("without written answers (evaluation.generation.examples is 0)")
    classified = a_plan(a_job(task="classification", evaluation=no_answers))
    assert classified.metrics == ("loss", "accuracy", "macro_f1")
    assert reason(classified, "evaluation.metrics") == "all that the task classification has"


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("task", "model", "sentence"),
    [
        (
            "chat",
            an_encoder(),
            "spec.model.uri: BertModel reads text but does not write it; chat needs a causal language model",
        ),
        (
            "classification",
            llama_8b(),
            "spec.model.uri: LlamaForCausalLM is no encoder; classification needs a BERT-class model",
        ),
    ],
)
def test_a_model_that_cannot_do_the_task_is_refused_by_its_field(task: str, model: ModelFacts, sentence: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        a_plan(a_job(task=task), some_facts(model))
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("job", "model", "machine", "unit"),
    [
        (a_job(resources={"gpusPerNode": 1}, deepspeed={"offload": "none"}), llama_70b(), a_node(), "GPU"),
        (a_job(method={"type": "full"}, resources={"gpusPerNode": 0}), llama_8b(), a_workstation(), "process"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers_and_what_to_do(
    job: FineTuneJob, model: ModelFacts, machine: Machine, unit: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        a_plan(job, some_facts(model), machine)
    (problem,) = refused.value.problems
    assert problem.field == "spec.resources"
    assert f"GiB per {unit} on 1 of them; there are" in problem.message
    assert f"Use more {unit}" in problem.message


@pytest.mark.parametrize(
    ("job", "machine", "sentence"),
    [
        (
            a_job(resources={"gpusPerNode": 8}),
            a_node(),
            "70.6B parameters in bf16 take 142.5 GiB of one GPU, which has 72.0 usable of 80.0.",
        ),
        (
            a_job(resources={"nodes": 8, "gpusPerNode": 0}, deepspeed={"zeroStage": 3}),
            a_node(memory_gib=160.0, gpus=0),
            "70.6B parameters in fp32 take 282.3 GiB of one process, which has 144.0 usable of 160.0.",
        ),
    ],
    ids=["GPUs", "CPUs"],
)
def test_what_can_only_be_trained_in_pieces_is_refused_before_it_is_trained(
    job: FineTuneJob, machine: Machine, sentence: str
) -> None:
    """70,553,706,496 parameters of 2 or 4 bytes, 7 % more, and the runtime."""
    with pytest.raises(InvalidSpec) as refused:
        a_plan(job, some_facts(llama_70b()), machine)
    (problem,) = refused.value.problems
    assert problem.field == "spec.model.uri"
    assert problem.message.startswith(sentence)
    assert "evaluate cannot: it would fail after all of the training" in problem.message
    assert ("training.precision bf16" in problem.message) == ("fp32" in sentence)


def test_what_fits_one_gpu_as_a_whole_is_trained_in_pieces() -> None:
    assert a_plan(a_job(resources={"gpusPerNode": 8}), some_facts(llama_70b()), a_node(gpu_memory_gib=192.0)).complete


# ---------------------------------------------------------------- warnings


def test_a_batch_smaller_than_the_ranks_is_said_to_leave_some_idle() -> None:
    made = a_plan(a_job(resources=GPUS_2_X_8, training={"batchSize": 10}), some_facts())
    assert "A batch of 10 examples leaves 6 of 16 processes idle in every step" in made.warnings[-1]


def test_steps_too_small_to_keep_a_gpu_busy_are_said() -> None:
    # 16 examples of 100 tokens over 16 GPUs: 100 tokens for each.
    made = a_plan(a_job(resources=GPUS_2_X_8), some_facts(data=some_data(2000, mean=100, longest=400)))
    assert made.warnings[-1].startswith("A step holds about 100 tokens per GPU, too few to keep it busy")


def test_a_plan_without_trouble_has_no_warnings() -> None:
    assert a_plan(a_job(), some_facts()).warnings == ()


# ---------------------------------------------------------------- time


def test_twice_the_gpus_halve_the_expected_time_of_the_same_steps() -> None:
    def seconds(gpus: int) -> float:
        job = a_job(resources={"gpusPerNode": gpus}, training={"batchSize": 32, "gradientCheckpointing": "always"})
        expected = a_plan(job, some_facts()).seconds
        assert expected is not None
        return expected

    assert seconds(4) == pytest.approx(2 * seconds(8))


def test_on_a_cpu_the_time_follows_the_rate_that_prepare_measured() -> None:
    job = a_job(resources={"gpusPerNode": 0}, training={"precision": "fp32"})
    facts = some_facts(smollm_135m())
    assert facts.machine is not None
    twice = facts.model_copy(update={"machine": facts.machine.model_copy(update={"gflops_fp32": 100.0})})
    slow, fast = (a_plan(job, found, a_workstation()).seconds for found in (facts, twice))
    assert slow is not None
    assert fast == pytest.approx(slow / 2)


def test_on_a_cpu_of_unknown_speed_no_time_is_promised() -> None:
    facts = some_facts(smollm_135m()).model_copy(update={"machine": None})
    assert a_plan(a_job(resources={"gpusPerNode": 0}), facts, a_workstation()).seconds is None
