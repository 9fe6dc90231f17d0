"""finetune validate --cluster: the operator that is installed, the queue, and what the API server itself refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from preflight import (
    DEPLOYMENTS,
    QUOTAS,
    a_quota,
    an_operator,
    found,
    validate,
)
from servers.api import Answer
from servers.beside import Beside

if TYPE_CHECKING:
    from conftest import Desk


def test_the_settings_of_the_installation_count(desk: Desk, fit: Beside) -> None:
    fit.put(DEPLOYMENTS, an_operator(STORAGE_CLASS_NAME="chosen", WORKSPACE_SIZE="7Gi", UNKNOWN_TO_US="x"))
    fit.put(QUOTAS, a_quota({"requests.storage": "5Gi"}))
    problems = found(desk)["problems"]
    assert ("spec.workspace.size", 'the workspace needs 7Gi of requests.storage; the quota "q" allows 5Gi in all') in problems
    assert ("spec.workspace.storageClassName", 'there is no storage class "chosen"; there is usual (default)') in problems


def test_what_no_node_of_the_installation_has_is_a_problem_and_where_it_cannot_be_seen_a_warning(
    desk: Desk, fit: Beside
) -> None:
    """The chart's default is 8 GPUs, and nobody has said that it is what this installation has."""
    fit.put(DEPLOYMENTS, an_operator(NODE_GPUS="4"))
    field, resources = "spec.resources.gpusPerNode", {"gpusPerNode": 16}
    told = found(desk, resources=resources, scheduling={"priorityClassName": "absent"})
    assert any("16 on one node, which has 4" in message for where, message in told["problems"] if where == field)
    assert "spec.scheduling.priorityClassName" in dict(told["problems"]), "and all the rest is looked at"
    fit.api.instead.append(Answer(403, times=9, part="/deployments", body=refused("deployments is forbidden", code=403)))
    told = found(desk, resources=resources)
    assert not any("by the operator's installation" in message for _, message in told["problems"])
    assert any("16 on one node, which has 8" in message for where, message in told["warnings"] if where == field)


@pytest.mark.parametrize(
    ("operator", "kind", "expected"),
    [
        (None, "problems", "nobody would carry out the job"),
        (an_operator(WATCH_NAMESPACES='["a", "b"]'), "problems", "the operator serves the namespaces a, b alone, and not ml"),
        ({**an_operator(), "status": {}}, "warnings", "no pod of it is ready"),
    ],
)
def test_an_operator_that_would_not_act_is_told(desk: Desk, fit: Beside, operator: Any, kind: str, expected: str) -> None:
    if operator is None:
        fit.drop(DEPLOYMENTS, "finetune-operator", "finetune-system")
    else:
        fit.put(DEPLOYMENTS, operator)
    assert any(expected in message for _, message in found(desk)[kind])


def a_queue(**active: str) -> bytes:
    return json.dumps({"metadata": {"name": "q"}, "status": {"conditions": [{"type": "Active", **active}]}}).encode()


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        (Answer(200, times=9, part="/localqueues/q", body=a_queue(status="True")), None),
        (
            Answer(200, times=9, part="/localqueues/q", body=a_queue(status="False", message="the ClusterQueue is stopped")),
            ("warnings", 'the queue "q" admits nothing now: the ClusterQueue is stopped'),
        ),
        (
            Answer(404, times=9, part="/localqueues/q", body=b'{"reason": "NotFound", "message": "not found"}'),
            ("problems", 'there is no LocalQueue "q" in namespace ml: the job would wait for ever'),
        ),
    ],
)
def test_the_queue_is_one_that_admits(desk: Desk, fit: Beside, queue: Answer, expected: tuple[str, str] | None) -> None:
    fit.api.instead += [queue, Answer(200, times=9, part="/apis/kueue.x-k8s.io/v1beta1", body=b"{}")]
    told = found(desk, scheduling={"queueName": "q"})
    everything = {
        (kind, message) for kind, ones in told.items() for field, message in ones if field == "spec.scheduling.queueName"
    }
    assert everything == ({expected} if expected else set())


def test_a_namespace_that_is_not_there_is_the_only_finding_about_it(desk: Desk, fit: Beside) -> None:
    ran = desk.finetune("validate", "-n", "absent", desk.manifest())
    assert (ran.code, ran.err.splitlines()[0]) == (1, "metadata.namespace: there is no namespace absent")


def test_a_definition_that_is_not_installed_is_told(desk: Desk, fit: Beside) -> None:
    fit.api.instead.append(Answer(404, times=99, part="/apis/finetune.dev", body=b"404 page not found"))
    assert any("knows no FineTuneJobs; install the operator's chart" in message for _, message in found(desk)["problems"])


def test_another_version_of_the_resource_is_told(desk: Desk, fit: Beside) -> None:
    fit.api.instead.append(Answer(404, times=99, part="/apis/finetune.dev/v1alpha1", body=b"404 page not found"))
    fit.api.instead.append(Answer(200, times=9, part="/apis/finetune.dev", body=b'{"versions": [{"version": "v1"}]}'))
    assert ("apiVersion", "the cluster serves finetune.dev as v1, and this program speaks v1alpha1") in found(desk)["problems"]


# ---------------------------------------------------------------- what the server says


def refused(message: str, causes: list[dict[str, str]] | None = None, code: int = 422) -> bytes:
    details = {"causes": causes or []}
    return json.dumps({"kind": "Status", "code": code, "reason": "Invalid", "message": message, "details": details}).encode()


def test_what_the_server_refuses_is_told_by_field(desk: Desk, fit: Beside) -> None:
    causes = [{"field": "spec.runPolicy", "message": "Invalid value: is immutable"}, {"field": "spec.x", "message": "unknown"}]
    fit.api.instead.append(Answer(422, method="PATCH", body=refused("is invalid", causes)))
    assert found(desk)["problems"] == {("spec.runPolicy", "Invalid value: is immutable"), ("spec.x", "unknown")}


def test_pods_that_the_namespace_refuses_are_told_once(desk: Desk, fit: Beside) -> None:
    words = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes'
    fit.api.instead.append(Answer(403, times=2, method="POST", part="/pods?", body=refused(words, code=403)))
    expected = 'namespace ml refuses pods of prepare and train: violates PodSecurity "restricted:latest": hostPath volumes'
    assert found(desk)["problems"] == {("", expected)}


def test_what_may_not_be_seen_is_told_and_is_no_problem(desk: Desk, fit: Beside) -> None:
    words = 'nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope'
    fit.api.instead.append(Answer(403, times=9, part="/api/v1/nodes", body=refused(words, code=403)))
    ran = validate(desk)
    assert ran.code == 0
    assert ran.err == 'not looked at: nodes: User "eve" cannot list resource "nodes" in API group "" at the cluster scope\n'


def test_who_may_not_submit_is_told(desk: Desk, fit: Beside) -> None:
    fit.api.denied.add(("create", "finetunejobs"))
    assert found(desk)["problems"] == {("", "you may not create FineTuneJobs in namespace ml")}
