"""The fastest layout that fits, and after memory ran out a smaller one: down to the smallest, and then no further."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import strategies
from builders import a_job, a_node, a_plan, a_workstation, some_data, some_facts
from finetune_api.contract.facts import DataFacts, ModelFacts
from finetune_api.errors import InvalidSpec
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.memory import Layout
from finetune_operator.brain.plan import Plan
from known_models import llama_8b, llama_70b, smollm_135m

CPU = {"gpusPerNode": 0}


def laid_out(
    model: ModelFacts | None = None,
    data: DataFacts | None = None,
    *,
    gpus: int = 1,
    machine: Machine | None = None,
    smaller: int = 0,
    **spec: Any,
) -> Plan:
    job = a_job(**{"resources": {"gpusPerNode": gpus}, **spec})
    return a_plan(job, some_facts(model, data), machine, smaller=smaller)


def layout_of(made: Plan) -> Layout:
    assert made.layout is not None
    return made.layout


def gib(made: Plan) -> float:
    assert made.memory_gib is not None
    return made.memory_gib


# ---------------------------------------------------------------- the order of the ways


def test_a_small_model_is_simply_trained_in_long_rows() -> None:
    assert layout_of(laid_out(smollm_135m())) == Layout(1, "none", gradient_checkpointing=False, tokens=32768)


def test_rows_shrink_before_anything_is_recomputed() -> None:
    made = laid_out(llama_8b())
    assert layout_of(made) == Layout(1, "none", gradient_checkpointing=False, tokens=4096)


def test_recomputation_comes_before_rows_too_short_for_a_gpu() -> None:
    made = laid_out(llama_8b(), some_data(longest=200), machine=a_node(gpu_memory_gib=32.0))
    assert layout_of(made).gradient_checkpointing is True
    assert layout_of(made).tokens >= 2048


def test_states_are_spread_where_they_would_not_fit() -> None:
    made = laid_out(llama_8b(), gpus=8, method={"type": "full"})
    assert layout_of(made).zero_stage == 2  # 16 GB weights whole, 2 GB gradients and 12 GB moments of an eighth each
    assert layout_of(made).offload == "none"


def test_a_model_larger_than_a_gpu_is_partitioned() -> None:
    """In training, where its gradients and activations come on top; whole it just fits, or evaluate could not measure it."""
    whole = llama_70b().model_copy(update={"parameters": 33_000_000_000})
    assert layout_of(laid_out(whole, gpus=8)).zero_stage == 3


def test_the_hosts_memory_is_the_last_way() -> None:
    made = laid_out(llama_8b(), method={"type": "full"})
    assert layout_of(made).offload == "optimizer"  # weights and gradients are 32 GB, the moments would be 96 more
    assert next(c.reason for c in made.choices if c.field == "deepspeed.offload") == "fits only so"


def test_a_manifest_that_offloads_in_the_cluster_runs_on_a_workstation_without_that() -> None:
    job = {"resources": CPU, "deepspeed": {"offload": "parameters"}}
    made, usual = (laid_out(smollm_135m(), machine=a_workstation(), **spec) for spec in (job, {"resources": CPU}))
    assert layout_of(made) == layout_of(usual)
    assert made.memory_gib == usual.memory_gib
    choice = next(choice for choice in made.choices if choice.field == "deepspeed.offload")
    assert (choice.value, choice.reason) == ("none", "a CPU has no other memory to offload to")


def test_nothing_is_offloaded_from_a_cpu_to_itself() -> None:
    with pytest.raises(InvalidSpec):
        laid_out(llama_8b(), resources=CPU, machine=a_workstation(), method={"type": "full"})


def test_a_cpu_gets_rows_of_a_thousand_tokens_unless_an_example_is_longer() -> None:
    for longest, tokens in ((900, 1024), (1500, 1500)):
        made = laid_out(smollm_135m(), some_data(longest=longest), resources=CPU, machine=a_workstation(memory_gib=64.0))
        assert layout_of(made).tokens == tokens


def test_processes_of_one_machine_share_its_memory() -> None:
    shared = {"resources": {"nodes": 4, "gpusPerNode": 0}}
    made = laid_out(smollm_135m(), some_data(longest=500), machine=a_workstation(memory_gib=16.0), **shared)
    assert made.available_gib == 4.0


@pytest.mark.parametrize(("said", "available"), [("8Gi", 8.0), ("64Gi", 16.0), (None, 16.0)])
def test_on_a_cpu_the_memory_of_the_manifest_counts_where_it_is_less_than_the_nodes(said: str | None, available: float) -> None:
    node = a_node(gpus=0, memory_gib=16.0)
    made = laid_out(smollm_135m(), some_data(longest=500), machine=node, resources={**CPU, "nodes": 4, "memory": said})
    assert made.available_gib == available
    assert gib(made) <= 0.9 * available


def test_memory_that_the_manifest_bounds_too_tightly_is_refused_at_that_field() -> None:
    with pytest.raises(InvalidSpec) as refused:
        laid_out(smollm_135m(), machine=a_node(gpus=0), method={"type": "full"}, resources={**CPU, "memory": "2Gi"})
    (problem,) = refused.value.problems
    assert problem.field == "spec.resources.memory"
    assert "there are 1.8 usable of 2.0. Give them more, use more processes" in problem.message


def test_a_program_of_the_users_may_need_less_than_ours() -> None:
    own = {"image": "registry.example/own:1", "command": ["train"]}
    assert laid_out(smollm_135m(), machine=a_node(gpus=0), resources={**CPU, "memory": "256Mi"}, **own).available_gib == 128.0


def test_the_memory_of_a_pod_is_not_that_of_its_gpus() -> None:
    assert laid_out(llama_8b(), resources={"gpusPerNode": 1, "memory": "8Gi"}).available_gib == 80.0


# ---------------------------------------------------------------- what the manifest says


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"deepspeed": {"zeroStage": 3}}, {"zero_stage": 3}),
        ({"deepspeed": {"zeroStage": 0}}, {"zero_stage": 0}),
        ({"deepspeed": {"offload": "optimizer"}}, {"offload": "optimizer"}),
        ({"deepspeed": {"offload": "parameters"}}, {"offload": "parameters", "zero_stage": 3}),
        ({"training": {"gradientCheckpointing": "always"}}, {"gradient_checkpointing": True}),
    ],
)
def test_what_the_manifest_says_is_done(spec: dict[str, Any], wanted: dict[str, Any]) -> None:
    layout = layout_of(laid_out(smollm_135m(), gpus=2, **spec))
    assert {key: getattr(layout, key) for key in wanted} == wanted


def test_what_the_manifest_forbids_is_not_done_even_if_nothing_else_fits() -> None:
    long = some_data(longest=32_000)
    assert layout_of(laid_out(llama_8b(), long)).gradient_checkpointing is True
    with pytest.raises(InvalidSpec):
        laid_out(llama_8b(), long, training={"gradientCheckpointing": "never"}, deepspeed={"offload": "none"})


# ---------------------------------------------------------------- always

any_job = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
gpus = st.sampled_from([1, 2, 8, 16])
methods = st.sampled_from(["lora", "full"])


@cache
def job_on(gpus: int, method: str) -> FineTuneJob:
    return a_job(resources={"gpusPerNode": gpus}, method={"type": method})


def if_it_fits(model: ModelFacts, data: DataFacts, gpus: int, method: str, *, smaller: int = 0) -> Plan | None:
    try:
        return a_plan(job_on(gpus, method), some_facts(model, data), smaller=smaller)
    except InvalidSpec:
        return None


@any_job
@given(strategies.models(), strategies.data(), gpus, methods)
def test_what_is_planned_fits_and_takes_the_longest_example(model: ModelFacts, data: DataFacts, gpus: int, method: str) -> None:
    made = if_it_fits(model, data, gpus, method)
    assume(made is not None)
    assert made is not None
    assert gib(made) <= 0.9 * 80.0 + 0.1  # rounded to a tenth
    assert layout_of(made).tokens >= data.train.longest


@any_job
@given(strategies.models(), strategies.data(), gpus, methods)
def test_what_fits_on_some_gpus_fits_on_more(model: ModelFacts, data: DataFacts, gpus: int, method: str) -> None:
    if if_it_fits(model, data, gpus, method):
        assert if_it_fits(model, data, 2 * gpus, method)


@any_job
@given(strategies.models(), strategies.data(), gpus, methods)
def test_each_plan_after_memory_ran_out_is_smaller_until_there_is_no_smaller_one(
    model: ModelFacts, data: DataFacts, gpus: int, method: str
) -> None:
    assume(if_it_fits(model, data, gpus, method) is not None)
    made = [if_it_fits(model, data, gpus, method, smaller=times) for times in (0, 1, 2, 3, 99, 100)]
    fitting = [one for one in made if one]
    assert len(fitting) == len(made), "a plan that fits has a smaller one that fits, or stays"
    layouts = [layout_of(one) for one in fitting]
    sizes = [gib(one) for one in fitting]
    assert sizes == sorted(sizes, reverse=True)
    assert all(a != b for a, b in pairwise(layouts[:4]) if a != layouts[-1])
    assert layouts[-2] == layouts[-1]


def test_a_smaller_plan_takes_a_tenth_less_where_it_can_and_says_why() -> None:
    first, second = laid_out(llama_8b()), laid_out(llama_8b(), smaller=1)
    assert gib(second) <= 0.9 * gib(first) + 0.1
    reason = next(choice.reason for choice in second.choices if choice.field == "tokens per micro-batch")
    assert reason == "memory ran out 1 time before"


def test_a_smaller_plan_trains_the_same_steps_on_the_same_batches() -> None:
    assert laid_out(llama_8b(), smaller=2).schedule == laid_out(llama_8b()).schedule
