"""finetune validate --cluster: quotas, limits and nodes against what the pods of each stage ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from preflight import (
    MAPS,
    NODES,
    QUOTAS,
    RANGES,
    a_node,
    a_quota,
    found,
)
from servers.beside import Beside

if TYPE_CHECKING:
    from conftest import Desk


GPUS = {"nodes": 2, "gpusPerNode": 4}


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        (a_quota({"requests.nvidia.com/gpu": "8"}, {"requests.nvidia.com/gpu": "0"}), None),
        (
            a_quota({"requests.nvidia.com/gpu": "7"}),
            (
                "problems",
                "spec.resources.gpusPerNode",
                'train needs 8 of requests.nvidia.com/gpu; the quota "q" allows 7 in all',
            ),
        ),
        (
            a_quota({"requests.nvidia.com/gpu": "8"}, {"requests.nvidia.com/gpu": "2"}),
            (
                "warnings",
                "spec.resources.gpusPerNode",
                'train needs 8 of requests.nvidia.com/gpu; 2 of the 8 of the quota "q" are in use: it would wait',
            ),
        ),
        (
            a_quota({"requests.storage": "10Gi"}),
            (
                "problems",
                "spec.workspace.size",
                'the workspace needs 50Gi of requests.storage; the quota "q" allows 10Gi in all',
            ),
        ),
        (a_quota({"pods": "1"}, scopes=["BestEffort"]), None),
        (
            a_quota({"pods": "1"}, scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}),
            None,
        ),
        (
            a_quota({"pods": "1"}, scopes=["NotTerminating"]),
            ("problems", "spec.resources.nodes", 'train needs 2 of pods; the quota "q" allows 1 in all'),
        ),
    ],
)
def test_quotas_are_compared_with_the_most_that_a_stage_needs(
    desk: Desk, fit: Beside, quota: dict[str, Any], expected: tuple[str, str, str] | None
) -> None:
    fit.put(QUOTAS, quota)
    told = found(desk, resources=GPUS)
    everything = {(kind, *one) for kind, ones in told.items() for one in ones}
    assert everything == ({expected} if expected else set())


def test_limit_ranges_name_the_stages_whose_pods_would_be_refused(desk: Desk, fit: Beside) -> None:
    limits = [{"type": "Container", "max": {"memory": "3Gi"}}, {"type": "PersistentVolumeClaim", "max": {"storage": "5Gi"}}]
    fit.put(RANGES, {"metadata": {"name": "small"}, "spec": {"limits": limits}})
    problems = found(desk, resources={"gpusPerNode": 1, "memory": "8Gi"})["problems"]
    assert (
        "spec.resources.memory",
        'pods of train ask for 8Gi of memory; the limit range "small" allows at most 3Gi',
    ) in problems
    assert (
        "",
        'pods of prepare, evaluate and publish ask for 4Gi of memory; the limit range "small" allows at most 3Gi',
    ) in problems
    assert (
        "spec.workspace.size",
        'the workspace asks for 50Gi of storage; the limit range "small" allows at most 5Gi',
    ) in problems


# ---------------------------------------------------------------- nodes


TAINT = {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}
TOLERATION = {"key": "gpu", "operator": "Equal", "value": "yes"}


@pytest.mark.parametrize(
    ("nodes", "spec", "expected"),
    [
        ([a_node(gpus=2)], {"resources": {"gpusPerNode": 4}}, "at most 2"),
        ([a_node(gpus=4)], {"resources": {"nodes": 2, "gpusPerNode": 4}}, "there is room for 1 of 2 pods of train"),
        ([a_node(gpus=8)], {"resources": {"nodes": 2, "gpusPerNode": 4}}, None),
        ([a_node("n1"), a_node("n2", gpus=1)], {"resources": {"gpusPerNode": 4}}, None),
        ([a_node(**TAINT)], {}, "1 with the taint gpu"),
        ([a_node(**TAINT)], {"scheduling": {"tolerations": [TOLERATION]}}, None),
        ([a_node(**TAINT)], {"scheduling": {"tolerations": [{**TOLERATION, "value": "no"}]}}, "1 with the taint gpu"),
        ([a_node(**TAINT)], {"scheduling": {"tolerations": [{"operator": "Exists"}]}}, None),
        ([a_node()], {"scheduling": {"nodeSelector": {"zone": "b"}}}, "1 without the label zone=b"),
        ([a_node(labels={"zone": "b"})], {"scheduling": {"nodeSelector": {"zone": "b"}}}, None),
        ([], {}, "the cluster has no nodes"),
    ],
)
def test_nodes_are_compared_with_what_the_pods_ask_for(
    desk: Desk, fit: Beside, nodes: list[Any], spec: dict[str, Any], expected: str | None
) -> None:
    fit.drop(NODES, "n1", "")
    for node in nodes:
        fit.put(NODES, node)
    told = found(desk, **spec)
    if expected is None:
        assert told["problems"] == set()
    else:
        assert any(expected in message for _, message in told["problems"])


def test_of_all_that_nodes_lack_the_accelerator_is_blamed(desk: Desk, fit: Beside) -> None:
    fit.put(NODES, a_node(gpus=2, memory="1Gi"))
    problems = found(desk, resources={"gpusPerNode": 4})["problems"]
    (of_train,) = [(field, message) for field, message in problems if "pods of train" in message]
    assert of_train[0] == "spec.resources.gpusPerNode"
    assert "of memory (a node has at most 1Gi), 4 of nvidia.com/gpu (a node has at most 2)" in of_train[1]


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [
        ("In", ["b", "c"], True),
        ("In", ["c"], False),
        ("NotIn", ["b"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
        ("Gt", ["4"], False),
    ],
)
def test_node_affinity_is_understood(desk: Desk, fit: Beside, operator: str, values: list[str], fits: bool) -> None:
    fit.put(NODES, a_node(labels={"zone": "b"}))
    term = {"matchExpressions": [{"key": "zone", "operator": operator, "values": values}]}
    wanted = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    told = found(desk, scheduling={"affinity": wanted})["problems"]
    assert (told == set()) is fits
    assert fits or all("outside of the node affinity" in message for _, message in told)


@pytest.mark.parametrize(
    "state", [{"unschedulable": True}, {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]}]
)
def test_a_node_that_takes_no_pods_for_now_makes_the_job_wait(desk: Desk, fit: Beside, state: dict[str, Any]) -> None:
    fit.put(NODES, a_node(**state))
    told = found(desk)
    assert told["problems"] == set()
    assert ("", "now there is room for 0 of 1 pods of prepare, train, evaluate and publish: they would wait") in told[
        "warnings"
    ]


def test_nodes_that_are_busy_make_the_job_wait(desk: Desk, fit: Beside) -> None:
    container = {"resources": {"requests": {"nvidia.com/gpu": "5"}}}
    busy = {"spec": {"nodeName": "n1", "containers": [container]}, "status": {"phase": "Running"}}
    fit.put(("v1", "pods"), {"metadata": {"name": "other", "namespace": "theirs"}, **busy})
    told = found(desk, resources={"gpusPerNode": 4})
    assert (told["problems"], told["warnings"]) == (
        set(),
        {("", "now there is room for 0 of 1 pods of train: they would wait")},
    )


def test_where_nodes_are_added_on_demand_too_few_of_them_are_no_problem(desk: Desk, fit: Beside) -> None:
    fit.put(MAPS, {"metadata": {"name": "cluster-autoscaler-status", "namespace": "kube-system"}})
    told = found(desk, resources={"nodes": 3, "gpusPerNode": 8}, workspace={"claimName": "models"})
    assert any("the cluster can add nodes" in message for _, message in told["warnings"])
    assert not any(field == "spec.resources.nodes" for field, _ in told["problems"])
