"""finetune report in a cluster: a pod that reads the workspace and goes, and what a person hears where that cannot be."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from api_objects import running
from builders import a_job, a_manifest
from finetune_api.v1alpha1.status import Phase
from finetune_operator.render import Manifest
from rendered import UID, children, stored
from servers.api import Answer
from servers.beside import Beside
from servers.for_people import packed

if TYPE_CHECKING:
    from conftest import Desk

FTJS, PODS, JOBS = ("finetune.dev/v1alpha1", "finetunejobs"), ("v1", "pods"), ("batch/v1", "jobs")
CLAIMS = ("v1", "persistentvolumeclaims")
REPORTS = {"report.html": b"<p>", "evaluation.json": b'{"whole": true}', "data.json": b"{}", "plan.json": b"{}"}


def submit(
    cluster: Beside, *, at: str | None = "publish", phase: Phase = Phase.SUCCEEDED, claim: bool = True, **spec: Any
) -> None:
    """A job with its workspace, the child Job of its evaluation, and reports in the workspace."""
    manifest = a_manifest(**spec)
    status = a_job(at=at, **spec).status.model_copy(update={"phase": phase})
    told = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    metadata = {"name": "support", "namespace": "ml", "uid": UID}
    cluster.put(FTJS, {**manifest, "metadata": metadata, "status": told})
    if claim:
        cluster.put(CLAIMS, {"metadata": {"name": "support-workspace", "namespace": "ml"}})
    child = child_of("evaluate", **spec)
    cluster.put(JOBS, child)
    cluster.api.reports = dict(REPORTS)


def child_of(stage: str, **spec: Any) -> Manifest:
    from finetune_operator.brain.stages import Stage

    child: Manifest = children(stored(**spec), Stage(stage))["Job"]
    child["metadata"]["namespace"] = "ml"
    return child


def readers(cluster: Beside) -> list[Manifest]:
    """Pods that were made, whether or not they are still there."""
    return [
        body for method, url, _, body in cluster.api.requests if method == "POST" and url.partition("?")[0].endswith("/pods")
    ]


def left(cluster: Beside) -> list[str]:
    return [name for (resource, _, name) in cluster.api.objects if resource == PODS]


# ---------------------------------------------------------------- what comes


def test_scores_come_from_the_status_without_any_pod(desk: Desk, cluster: Beside) -> None:
    submit(cluster)
    ran = desk.finetune("report", "support", "-n", "ml")
    assert (ran.code, ran.err) == (0, "")
    assert "Verdict: Improved (loss)" in ran.out
    assert ran.out.endswith("The reports: finetune report --to DIR\n")
    assert readers(cluster) == []


def test_reports_are_written_into_a_folder_and_the_pod_is_gone(desk: Desk, cluster: Beside) -> None:
    submit(cluster)
    ran = desk.finetune("report", "support", "--cluster", "--to", "here/reports")
    assert (ran.code, ran.err) == (0, "")
    assert set(ran.out.split()) == {f"here/reports/{name}" for name in REPORTS}
    assert {path.name: path.read_bytes() for path in Path("here/reports").iterdir()} == REPORTS
    assert (len(readers(cluster)), left(cluster)) == (1, [])


@pytest.mark.parametrize(("name", "content"), [("a/page.html", b"<p>"), ("scores.json", b'{"whole": true}')])
def test_one_report_is_written_under_the_name_that_is_said(desk: Desk, cluster: Beside, name: str, content: bytes) -> None:
    submit(cluster)
    assert desk.finetune("report", "support", "--cluster", "--to", name).out == f"{name}\n"
    assert Path(name).read_bytes() == content


def test_the_whole_evaluation_for_programs(desk: Desk, cluster: Beside) -> None:
    submit(cluster)
    assert desk.finetune("report", "support", "--cluster", "-o", "json").json == {"whole": True}


def test_a_job_without_an_evaluation_gives_what_it_has(desk: Desk, cluster: Beside) -> None:
    submit(cluster, at="train", phase=Phase.FAILED)
    cluster.api.reports = {"data.json": b"{}"}
    ran = desk.finetune("report", "support", "--cluster", "--to", "out")
    assert (ran.code, ran.out) == (0, "out/data.json\n")
    assert "has not been evaluated (yet)" in ran.err
    for arguments in (("--to", "page.html"), ("-o", "json"), ()):
        assert desk.finetune("report", "support", "--cluster", *arguments).code == 2
    assert not Path("page.html").exists()


# ---------------------------------------------------------------- the pod


def test_the_pod_sees_the_workspace_read_only_and_nothing_else(desk: Desk, cluster: Beside) -> None:
    submit(cluster, scheduling={"nodeSelector": {"zone": "a"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]})
    desk.finetune("report", "support", "--cluster", "--to", "out")
    (pod,) = readers(cluster)
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "registry.example/finetune-trainer:0.1.0"
    assert container["volumeMounts"] == [{"name": "workspace", "mountPath": "/workspace", "readOnly": True}]
    assert [volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"]] == ["support-workspace"]
    assert "envFrom" not in container
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert (spec["nodeSelector"], spec["activeDeadlineSeconds"]) == ({"zone": "a"}, 300)
    assert {"key": "gpu", "operator": "Exists"} in spec["tolerations"]
    assert pod["metadata"]["ownerReferences"][0]["uid"] == UID
    assert "finetune.dev/job" not in pod["metadata"]["labels"], "the operator would take it for a stage's"


def test_a_workspace_of_the_users_own_is_read_in_the_jobs_folder(desk: Desk, cluster: Beside) -> None:
    submit(cluster, workspace={"claimName": "scratch"})
    cluster.put(CLAIMS, {"metadata": {"name": "scratch", "namespace": "ml"}})
    desk.finetune("report", "support", "--cluster", "--to", "out")
    (asked,) = cluster.asked("GET", "/exec?")
    assert f"/workspace/support-{UID[:8]}/reports&" in asked[1]


def test_while_a_pod_of_the_job_runs_the_volume_is_read_on_its_node(desk: Desk, cluster: Beside) -> None:
    submit(cluster, at="train", phase=Phase.TRAINING)
    busy = running(0, node="node-7")
    busy["metadata"]["namespace"] = "ml"
    cluster.put(PODS, busy)
    desk.finetune("report", "support", "--cluster", "--to", "out")
    affinity = readers(cluster)[0]["spec"]["affinity"]["nodeAffinity"]
    assert '"values": ["node-7"]' in json.dumps(affinity)


def test_a_foreign_training_image_is_not_asked_to_have_python(desk: Desk, cluster: Beside) -> None:
    own = {"image": "registry.example/theirs:1", "command": ["./train"]}
    submit(cluster, **own)
    train = child_of("train", **own)
    train["metadata"]["creationTimestamp"] = "2030-01-01T00:00:00Z"
    cluster.put(JOBS, train)
    desk.finetune("report", "support", "--cluster", "--to", "out")
    assert readers(cluster)[0]["spec"]["containers"][0]["image"] == "registry.example/finetune-trainer:0.1.0"


def test_without_a_child_job_an_image_can_be_named(desk: Desk, cluster: Beside) -> None:
    submit(cluster)
    cluster.drop(JOBS, "support-evaluate-1")
    ran = desk.finetune("report", "support", "--cluster", "--to", "out")
    assert (ran.code, "Name one that has Python, such as the trainer's, with --image." in ran.err) == (2, True)
    assert desk.finetune("report", "support", "--cluster", "--to", "out", "--image", "python:3.12").code == 0
    assert readers(cluster)[0]["spec"]["containers"][0]["image"] == "python:3.12"


# ---------------------------------------------------------------- trouble: nothing is left behind


def test_a_claim_that_is_gone_is_said_with_where_the_model_lies(desk: Desk, cluster: Beside) -> None:
    submit(cluster, claim=False)
    ran = desk.finetune("report", "support", "--cluster", "--to", "out")
    assert "the claim support-workspace with the workspace of support is gone, and the reports with it." in ran.err
    assert readers(cluster) == []


@pytest.mark.parametrize(
    "denied", [("create", "pods"), ("create", "pods/exec"), ("get", "pods/exec"), ("delete", "pods"), ("list", "jobs")]
)
def test_a_right_that_is_missing_is_named_before_anything_is_made(desk: Desk, cluster: Beside, denied: tuple[str, str]) -> None:
    submit(cluster)
    cluster.api.denied.add(denied)
    ran = desk.finetune("report", "support", "--cluster", "--to", "out")
    assert f"reading the workspace takes a pod, and you may not {' '.join(denied)} in namespace ml" in ran.err
    assert readers(cluster) == []


def status_of_a_pod(**container: Any) -> dict[str, Any]:
    placed = {"type": "PodScheduled", "status": "True"}
    return {"phase": "Pending", "conditions": [placed], "containerStatuses": [{"name": "trainer", "state": container}]}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (status_of_a_pod(waiting={"reason": "InvalidImageName", "message": "bad"}), "cannot be pulled (InvalidImageName): bad"),
        (
            {"phase": "Failed", "message": "The node was low on resource: memory."},
            "ended: The node was low on resource: memory.",
        ),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes"}]},
            "room: 0/2",
        ),
    ],
)
def test_a_pod_that_cannot_start_says_why_and_is_removed(
    desk: Desk, cluster: Beside, monkeypatch: pytest.MonkeyPatch, status: dict[str, Any], expected: str
) -> None:
    monkeypatch.setattr("finetune_cli.cluster.fetching.START_SECONDS", 0.3)
    submit(cluster)
    cluster.api.new_pods = status
    ran = desk.finetune("report", "support", "--cluster", "--to", "out")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert expected in ran.err
    assert left(cluster) == []


def test_what_the_namespace_refuses_is_said_in_its_words(desk: Desk, cluster: Beside) -> None:
    submit(cluster)
    words = b'{"kind":"Status","code":403,"reason":"Forbidden","message":"pods \\"x\\" is forbidden: exceeded quota: pods"}'
    cluster.api.instead.append(Answer(403, method="POST", part="/pods?", body=words))
    ran = desk.finetune("report", "support", "--cluster", "--to", "out")
    assert "namespace ml takes no pod that could read the workspace: exceeded quota: pods" in ran.err


@pytest.mark.parametrize(
    "sent",
    [b"", b"\x1f\x8b no tar", packed(REPORTS)[:60], packed({"../../evil": b"x", "/etc/evil": b"x", "notes.txt": b"x"})],
    ids=["nothing", "no archive", "half of one", "names of its own"],
)
def test_what_is_no_report_is_not_written(desk: Desk, cluster: Beside, sent: bytes) -> None:
    submit(cluster)
    cluster.api.instead_of_reports = sent
    ran = desk.finetune("report", "support", "--cluster", "--to", "out")
    assert (ran.code, ran.out, "Traceback" in ran.err) == (2, "", False)
    assert not Path("out").exists()
    assert left(cluster) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_is_stopped_removes_the_pod_first(desk: Desk, cluster: Beside, number: signal.Signals) -> None:
    submit(cluster)
    cluster.api.new_pods = status_of_a_pod(waiting={"reason": "ContainerCreating"})
    process = desk.start("report", "support", "--cluster", "--to", "out")
    desk.until(lambda: bool(left(cluster)))
    process.send_signal(number)
    ran = desk.ended(process)
    assert (ran.code, ran.err, left(cluster)) == (130, "", [])


def test_what_a_killed_reader_left_is_cleared_away(desk: Desk, cluster: Beside) -> None:
    submit(cluster)
    old = {"name": "support-reader-old", "namespace": "ml", "labels": {"finetune.dev/reader": "support"}}
    cluster.put(PODS, {"metadata": old, "status": {"phase": "Failed"}})
    busy = {"name": "support-reader-busy", "namespace": "ml", "labels": {"finetune.dev/reader": "support"}}
    cluster.put(PODS, {"metadata": busy, "status": {"phase": "Running"}})
    assert desk.finetune("report", "support", "--cluster", "--to", "out").code == 0
    assert left(cluster) == ["support-reader-busy"]


# ---------------------------------------------------------------- on this machine


def test_local_reports_are_copied(desk: Desk) -> None:
    desk.tell(evaluate_1={"files": {f"reports/{name}": text.decode() for name, text in REPORTS.items()}})
    desk.finetune("run", desk.manifest())
    assert desk.finetune("report", "support", "--to", "copy").code == 0
    assert {path.name for path in Path("copy").iterdir()} >= set(REPORTS)
    assert desk.finetune("report", "support", "--to", "p.html").out == "p.html\n"
    assert desk.finetune("report", "support", "--to", "x", "-o", "json").code == 2


def test_a_place_that_cannot_be_written_is_one_sentence(desk: Desk) -> None:
    desk.tell(evaluate_1={"files": {"reports/evaluation.json": "{}"}})
    desk.finetune("run", desk.manifest())
    Path("file").write_text("")
    ran = desk.finetune("report", "support", "--to", "file/below")
    assert (ran.code, ran.err) == (2, "finetune: file/below cannot be written: Not a directory\n")
