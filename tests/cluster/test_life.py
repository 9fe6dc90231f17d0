"""Whole lives of jobs on two real nodes: prepared, trained by two pods, measured, published; refused; deleted at any moment."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from cluster import life
from cluster.kube import wait_for
from cluster.machine import PROJECT
from cluster.witness import events_of, watched
from cluster.workloads import a_pod

pytestmark = pytest.mark.node_access


def kubectl(place: life.Workplace, *arguments: str) -> str:
    return place.kube.kubectl(*arguments, "-n", place.namespace.name).stdout


def test_a_job_of_two_nodes_is_prepared_trained_measured_and_published(place: life.Workplace) -> None:
    job = place.apply("whole", evaluation={"gates": [{"metric": "loss", "minImprovement": 0.01}]})
    with watched(job) as witness:
        pods = job.until_running("train", pods=2)
        assert {pod["spec"]["nodeName"] for pod in pods} == {"node1", "node2"}
        status = job.until("Succeeded")
        kubectl(place, "wait", "--for=condition=Complete", "ftj/whole", "--timeout=60s")
        wait_for(lambda: witness.phases and witness.phases[-1] == "Succeeded", what="the end seen by the witness")

    # An attempt whose pod waits for its volume is Pending again for a moment; no stage is entered twice, as goes_back sees.
    phases = list(dict.fromkeys(phase for phase in witness.phases if phase != "Pending"))
    assert phases == ["Preparing", "Training", "Evaluating", "Publishing", "Succeeded"]
    assert witness.goes_back() == []
    assert [(a["stage"], a["number"], a["reason"]) for a in job.attempts] == [
        (stage, 1, "Completed") for stage in ("prepare", "train", "evaluate", "publish")
    ]
    assert job.restarts == (0, 0)
    assert status["data"]["examples"]["read"] == 120
    evaluation = status["evaluation"]
    assert evaluation["verdict"] == "Improved"
    low, high = evaluation["delta"]["loss"]["ci95"]
    assert low <= evaluation["delta"]["loss"]["value"] <= high < 0
    assert evaluation["gates"][0]["passed"] is True
    assert status["output"]["uri"] == "pvc://inputs/published/whole"
    assert {"adapter_model.safetensors", "README.md"} <= set(place.sh("ls /inputs/published/whole").split())
    told = {"Started", "Completed", "Succeeded"}  # after the status: nothing is said before it is true
    wait_for(lambda: told <= {event["reason"] for event in events_of(job)}, what="the last Event")
    events = events_of(job)
    assert _each_once(events), [(event["reason"], event["message"]) for event in events]

    row = kubectl(place, "get", "ftj", "whole").splitlines()
    assert row[0].split() == ["NAME", "PHASE", "PROGRESS", "ETA", "BASE", "TUNED", "VERDICT", "RESTARTS", "AGE"]
    assert {"Succeeded", "Improved", "0"} <= set(row[1].split())
    assert "Succeeded" in kubectl(place, "describe", "ftj", "whole")


def test_the_quickstart_runs_as_it_stands_but_for_a_smaller_model(place: life.Workplace) -> None:
    folder = PROJECT / "examples" / "quickstart"
    (claim, _) = yaml.safe_load_all((folder / "claim.yaml").read_text(encoding="utf-8"))
    place.namespace.create(claim)
    place.namespace.create(a_pod("loader", place.image, claims={"quickstart": "/data", "inputs": "/inputs"}))
    place.namespace.until_running("loader")
    bring = "cp -r /inputs/model /data/model && sed 's/customer/module/' /inputs/chats.jsonl > /data/python-docs.jsonl"
    place.namespace.exec("loader", "sh", "-c", bring)
    manifest = yaml.safe_load((folder / "job.yaml").read_text(encoding="utf-8"))
    manifest["spec"]["model"]["uri"] = "pvc://quickstart/model"
    manifest["spec"]["evaluation"]["gates"] = [{"metric": "loss", "minImprovement": 0.0}]
    place.namespace.create(manifest)
    job = life.Job(place.namespace, "quickstart")
    status = job.until("Succeeded", seconds=180)
    assert status["plan"]["worldSize"] == 2
    assert status["output"]["uri"] == "pvc://quickstart/adapter"
    assert "adapter_model.safetensors" in place.namespace.exec("loader", "ls", "/data/adapter")


def _each_once(events: list[dict[str, Any]]) -> bool:
    """Whether no transition was told twice: no two Events say the same, and none was repeated."""
    told = [(event["reason"], event["message"]) for event in events]
    return len(told) == len(set(told)) and all(event.get("count", 1) in (None, 1) for event in events)


def test_a_gate_that_says_no_rejects_the_job_and_nothing_is_tried_again(place: life.Workplace) -> None:
    job = place.apply("refused", resources={"nodes": 1}, evaluation={"gates": [{"metric": "loss", "minImprovement": 50}]})
    status = job.until("Rejected")
    assert job.condition("Failed") is not None
    assert job.condition("Failed")["reason"] == "Rejected"  # type: ignore[index]
    assert job.has("Complete") is False
    assert "at least 50 is required" in status["message"]
    assert [attempt["number"] for attempt in job.of("evaluate")] == [1]
    assert job.of("publish") == []
    assert place.sh("ls /inputs/published 2>/dev/null || true").split().count("refused") == 0


def test_a_broken_row_fails_the_job_at_once_with_its_file_and_line(place: life.Workplace) -> None:
    place.sh("head -n 40 /inputs/chats.jsonl > /inputs/broken.jsonl; echo '{\"prompt\": ' >> /inputs/broken.jsonl")
    job = place.apply("mistaken", datasets=[{"name": "chats", "uri": "pvc://inputs/broken.jsonl"}])
    status = job.until("Failed")
    assert "broken.jsonl line 41 broken JSON" in status["message"]
    assert [(a["reason"], a["exitCode"]) for a in job.attempts] == [("UserError", 65)] or job.attempts[0]["exitCode"] == 65
    assert len(job.attempts) == 1
    assert job.of("train") == []


def test_a_job_deleted_in_any_phase_takes_all_that_it_made_and_nothing_else(place: life.Workplace) -> None:
    before = _others(place)
    alone = {"nodes": 1}
    phases = ("Preparing", "Training", "Evaluating", "Succeeded")
    new = place.apply("gone-new", resources=alone)
    new.delete()
    jobs = {
        phase: place.apply(f"gone-{phase.lower()}", resources=alone, training={"maxSteps": 3000 if phase == "Training" else 3})
        for phase in phases
    }
    awaited = dict(jobs)

    def all_deleted() -> bool:
        """Looks at all of them again and again: a phase may be over while another job is still awaited."""
        for phase, job in list(awaited.items()):
            if job.status.get("phase") == phase:
                assert job.children()
                job.delete()
                del awaited[phase]
        return not awaited

    wait_for(all_deleted, what="each phase of its job", seconds=240)
    for job in (new, *jobs.values()):
        job.until_gone()
    assert _others(place) == before


def _others(place: life.Workplace) -> list[str]:
    """Everything in the namespace that is no FineTuneJob's and lasts."""
    kinds = ("ConfigMap", "PersistentVolumeClaim", "Secret", "Service", "NetworkPolicy", "ServiceAccount", "Pod", "Job")
    found = [
        (kind, one["metadata"]["name"])
        for kind in kinds
        for one in place.namespace.list(kind)
        if "finetune.dev/job" not in one["metadata"].get("labels", {})
    ]
    return sorted(json.dumps(one) for one in found)
