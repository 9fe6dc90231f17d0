"""Quantities as Kubernetes writes them, as numbers; what one node can never hold."""

from __future__ import annotations

import pytest

from builders import a_job, a_node, a_plan, a_workstation, some_facts
from finetune_api.errors import InvalidSpec
from finetune_operator.brain.machine import Machine, gibibytes, whole_cores


@pytest.mark.parametrize(("said", "filled"), [(4, 4), ("4", 4), ("1.5", 1), ("2500m", 2), ("500m", 1), ("0", 1)])
def test_threads_have_a_core_each_and_there_is_at_least_one(said: int | str, filled: int) -> None:
    assert whole_cores(said) == filled


@pytest.mark.parametrize(
    ("said", "gib"),
    [(2**31, 2.0), ("8Gi", 8.0), ("1.5Gi", 1.5), ("512Mi", 0.5), ("1Ti", 1024.0), ("2147483648000m", 2.0), ("64G", 59.6)],
)
def test_memory_is_counted_in_binary_units_whatever_it_is_written_in(said: int | str, gib: float) -> None:
    assert gibibytes(said) == pytest.approx(gib, abs=0.01)


@pytest.mark.parametrize("cpu", ["16Gi", "4k"])
def test_cores_that_an_older_definition_let_pass_are_the_manifests_mistake(cpu: str) -> None:
    """A job that is stored already; elsewhere the API server and `finetune validate` refuse it."""
    job = a_job()
    wrong = job.spec.resources.model_copy(update={"cpu": cpu})
    job = job.model_copy(update={"spec": job.spec.model_copy(update={"resources": wrong})})
    with pytest.raises(InvalidSpec) as refused:
        a_plan(job)
    (problem,) = refused.value.problems
    assert problem.field == "spec.resources.cpu"
    assert problem.message.startswith(f"{cpu} is no number of cores")


# ---------------------------------------------------------------- what no node can hold

NODE = a_node(cpu_cores=16, memory_gib=128.0, gpus=8)


@pytest.mark.parametrize(
    ("resources", "field", "sentence"),
    [
        ({"gpusPerNode": 9}, "gpusPerNode", "9 on one node, which has 8 by the operator's installation"),
        ({"gpusPerNode": 0, "cpu": "16500m"}, "cpu", "16500m on one node, which has 16 by the operator's installation"),
        ({"gpusPerNode": 0, "memory": "129Gi"}, "memory", "129Gi on one node, which has 128Gi by the operator's installation"),
    ],
)
def test_what_no_node_can_hold_is_refused_with_both_numbers_and_the_charts_value(
    resources: dict[str, int | str], field: str, sentence: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        a_plan(a_job(resources=resources), machine=NODE)
    (problem,) = refused.value.problems
    assert problem.field == f"spec.resources.{field}"
    assert problem.message.startswith(sentence)
    value = {"gpusPerNode": "gpus", "cpu": "cpuCores", "memory": "memoryGiB"}[field]
    assert problem.message.endswith(f"have node.{value} of the chart raised")


def test_everything_that_is_too_much_is_told_at_once() -> None:
    with pytest.raises(InvalidSpec) as refused:
        a_plan(a_job(resources={"gpusPerNode": 9, "cpu": 17, "memory": "1Ti"}), machine=NODE)
    assert [problem.field.rpartition(".")[2] for problem in refused.value.problems] == ["gpusPerNode", "cpu", "memory"]


@pytest.mark.parametrize(
    ("resources", "machine"),
    [
        ({"gpusPerNode": 8, "cpu": 16, "memory": "128Gi"}, NODE),
        # Seven slices each, so that eight GPUs offer 56 of them.
        ({"gpusPerNode": 14, "gpuResource": "nvidia.com/mig-1g.10gb"}, NODE),
        # One machine takes what there is: nodes become processes.
        ({"gpusPerNode": 9, "cpu": 17, "memory": "1Ti"}, a_workstation()),
    ],
    ids=["a whole node", "slices of GPUs", "one machine"],
)
def test_what_fits_is_planned(resources: dict[str, int | str], machine: Machine) -> None:
    assert a_plan(a_job(resources=resources), machine=machine).topology.world_size > 0


def test_a_job_that_has_come_to_its_training_is_not_stopped_by_a_charts_value() -> None:
    """It runs, or waits as it would have before: a wrong value of the installation must not end it."""
    job = a_job(resources={"gpusPerNode": 8})
    assert a_plan(job, some_facts(), a_node(gpus=4)).complete
