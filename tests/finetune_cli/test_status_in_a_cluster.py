"""finetune status against an API server: rows, one job's story, changes as they come, and every reason for no answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from builders import NOON, a_job, a_manifest, an_attempt
from finetune_api.v1alpha1.status import FineTuneJobStatus, Phase, Progress
from servers.api import Answer
from servers.beside import Beside, write_kubeconfig

if TYPE_CHECKING:
    from conftest import Desk

FTJS = ("finetune.dev/v1alpha1", "finetunejobs")
NOT_A_PAGE = b"404 page not found\n"


def submit(cluster: Beside, name: str = "support", *, namespace: str = "ml", status: FineTuneJobStatus | None = None) -> None:
    """Put a job into the cluster."""
    manifest = a_manifest(name)
    manifest["metadata"]["namespace"] = namespace
    told = status.model_dump(mode="json", by_alias=True, exclude_none=True) if status else {"observedGeneration": 0}
    cluster.put(FTJS, {**manifest, "status": told})


def training() -> FineTuneJobStatus:
    """At work, after a restart."""
    lost = an_attempt(reason="Disruption", message="node gpu-07 was drained", step=400, exit_code=143, charged=False)
    open_one = an_attempt(number=2, finished=None)
    status = a_job(at="train", attempts=[lost, open_one]).status
    progress = Progress(
        step=420, total_steps=1200, percent=35, loss=1.0321, tokens_per_second=4100, eta_seconds=840, eta="14m", updated_at=NOON
    )
    restarts = status.restarts.model_copy(update={"total": 1})
    return status.model_copy(
        update={"progress": progress, "restarts": restarts, "phase": Phase.TRAINING, "message": "train is running"}
    )


def done() -> FineTuneJobStatus:
    status = a_job(at="publish").status
    return status.model_copy(update={"phase": Phase.SUCCEEDED, "message": "Published."})


# ---------------------------------------------------------------- rows


def test_every_job_of_the_namespace_is_a_row(desk: Desk, cluster: Beside) -> None:
    submit(cluster, status=training())
    submit(cluster, "chat", status=done())
    submit(cluster, "other", namespace="elsewhere")
    ran = desk.finetune("status", "--cluster")
    header, chat, support = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert header.split() == ["NAME", "PHASE", "PROGRESS", "ETA", "BASE", "TUNED", "VERDICT", "RESTARTS", "AGE"]
    assert chat.split()[:6] == ["chat", "Succeeded", "1.92", "1.31", "Improved", "0"]
    assert support.split()[:5] == ["support", "Training", "35%", "14m", "1"]
    assert all(len(line) <= 80 for line in (header, chat, support))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("-n", "elsewhere"), {"other"}),
        (("--namespace", "elsewhere"), {"other"}),
        (("--context", "there"), {"other"}),
        (("--context", "there", "-n", "ml"), {"support"}),
        (("-A",), {"other", "support"}),
    ],
)
def test_the_namespace_is_the_one_that_is_named(
    desk: Desk, cluster: Beside, options: tuple[str, ...], expected: set[str]
) -> None:
    submit(cluster)
    submit(cluster, "other", namespace="elsewhere")
    rows = desk.finetune("status", *options, "--output", "json").json
    assert {row["name"] for row in rows} == expected


def test_jobs_of_all_namespaces_say_whose_they_are(desk: Desk, cluster: Beside) -> None:
    submit(cluster)
    submit(cluster, "other", namespace="elsewhere")
    rows = [line.split()[:3] for line in desk.finetune("status", "-A").out.splitlines()]
    assert rows == [["NAMESPACE", "NAME", "PHASE"], ["elsewhere", "other", "Pending"], ["ml", "support", "Pending"]]


def test_without_a_word_of_a_cluster_this_machine_is_meant(desk: Desk, cluster: Beside) -> None:
    submit(cluster)
    assert desk.finetune("status").out == "No jobs here. In a cluster: name it with -n NAMESPACE, --context or --cluster.\n"
    assert cluster.api.requests == []


def test_as_a_plugin_of_kubectl_a_cluster_is_meant(desk: Desk, cluster: Beside) -> None:
    submit(cluster)
    ran = desk.finetune("status", plugin=True)
    assert ran.out.splitlines()[1].split()[0] == "support"
    assert desk.finetune("--help", plugin=True).out.startswith("usage: kubectl finetune ")
    said = desk.finetune("status", "--help", plugin=True).out
    assert "--workspace" not in said
    assert "without them this machine is meant" not in said
    assert "--namespace" in said


def test_where_there_are_no_jobs_it_is_said_of_which_place(desk: Desk, cluster: Beside) -> None:
    place = f"(context here ({cluster.api.url}))"
    assert desk.finetune("status", "--cluster").out == f"No jobs in namespace ml {place}.\n"
    assert desk.finetune("status", "-A").out == f"No jobs in any namespace {place}.\n"


# ---------------------------------------------------------------- one job


def test_one_job_tells_what_broke_and_where(desk: Desk, cluster: Beside) -> None:
    submit(cluster, status=training())
    ran = desk.finetune("status", "support", "-n", "ml")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[:3] == [
        f"support: Training in namespace ml, context here ({cluster.api.url})",
        "train is running",
        lines[2],
    ]
    assert lines[2].startswith("step 420/1200, loss 1.032, 4,100 tokens/s, 14m left, reported ")
    assert "Restarts: 1 (0 of 3 charged)." in lines
    attempts = lines[lines.index("Attempts") :]
    assert attempts[1].split() == ["STAGE", "ATTEMPT", "END", "CODE", "CHARGED", "STEPS", "TOOK", "NODE"]
    row = next(i for i, line in enumerate(attempts) if "Disruption" in line)
    assert attempts[row].split()[:8] == ["train", "1", "Disruption", "143", "no", "0", "to", "400"]
    assert attempts[row + 1].strip() == "node gpu-07 was drained"
    assert attempts[row + 2].split()[:3] == ["train", "2", "running"] or attempts[row + 3].split()[:3] == [
        "train",
        "2",
        "running",
    ]


def test_one_job_that_has_ended_tells_what_came_out(desk: Desk, cluster: Beside) -> None:
    submit(cluster, status=done())
    out = desk.finetune("status", "support", "--cluster").out
    for said in (
        "Conditions\n",
        "Attempts\n",
        "Data\n",
        "rows read",
        "Base against tuned on 250",
        "95 % interval",
        "Verdict: Improved (loss)",
    ):
        assert said in out
    assert "Unknown" not in out, "what is undecided is left out"


def test_one_job_for_programs_is_json(desk: Desk, cluster: Beside) -> None:
    submit(cluster, status=training())
    told = desk.finetune("status", "support", "--cluster", "-o", "json").json
    assert (told["name"], told["namespace"], told["status"]["progress"]["step"]) == ("support", "ml", 420)


def test_a_job_that_nobody_serves_says_so(desk: Desk, cluster: Beside) -> None:
    submit(cluster)
    assert "Nobody has looked at it yet" in desk.finetune("status", "support", "--cluster").out


def test_a_job_whose_spec_is_of_another_version_still_has_a_status(desk: Desk, cluster: Beside) -> None:
    manifest = {**a_manifest(task="dance"), "status": {"phase": "Failed", "message": "spec.task: must be chat"}}
    del manifest["spec"]["model"]
    cluster.put(FTJS, manifest)
    ran = desk.finetune("status", "support", "--cluster")
    assert (ran.code, ran.out.splitlines()[1]) == (0, "spec.task: must be chat")


# ---------------------------------------------------------------- watching


def test_a_watched_job_is_followed_to_its_end_and_its_end_is_the_exit_code(desk: Desk, cluster: Beside) -> None:
    submit(cluster, status=training())
    watching = desk.start("status", "support", "--cluster", "--watch")
    desk.until(lambda: bool(cluster.api.watchers))
    submit(cluster, "another", status=training())
    submit(cluster, status=done())
    ran = desk.ended(watching)
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[:2] for line in ran.out.splitlines()] == [
        ["NAME", "PHASE"],
        ["support", "Training"],
        ["support", "Succeeded"],
    ]


@pytest.mark.parametrize(("phase", "code"), [("Rejected", 3), ("Failed", 1)])
def test_a_job_that_did_not_succeed_ends_the_watch_with_its_own_code(
    desk: Desk, cluster: Beside, phase: str, code: int
) -> None:
    submit(cluster, status=done().model_copy(update={"phase": Phase(phase)}))
    assert desk.finetune("status", "support", "--cluster", "--watch").code == code


def test_a_watch_outlives_versions_that_are_too_old(desk: Desk, cluster: Beside) -> None:
    submit(cluster, status=training())
    watching = desk.start("status", "support", "--cluster", "-w")
    desk.until(lambda: bool(cluster.api.watchers))
    cluster.do(cluster.api.expire_watches)
    desk.until(lambda: cluster.api.counts["list finetunejobs"] > 1)
    submit(cluster, status=done())
    assert desk.ended(watching).code == 0


def test_a_watched_job_that_is_deleted_is_said_to_be(desk: Desk, cluster: Beside) -> None:
    submit(cluster, status=training())
    watching = desk.start("status", "support", "--cluster", "-w")
    desk.until(lambda: bool(cluster.api.watchers))
    cluster.drop(FTJS, "support")
    ran = desk.ended(watching)
    assert (ran.code, ran.err) == (2, "finetune: support was deleted\n")


def test_ctrl_c_ends_a_watch_without_a_traceback(desk: Desk, cluster: Beside) -> None:
    import signal

    submit(cluster, status=training())
    watching = desk.start("status", "-A", "--watch")
    desk.until(lambda: bool(cluster.api.watchers))
    watching.send_signal(signal.SIGINT)
    ran = desk.ended(watching)
    assert (ran.code, ran.err) == (130, "")


# ---------------------------------------------------------------- trouble


def test_a_job_that_is_not_there_is_said_with_its_place(desk: Desk, cluster: Beside) -> None:
    ran = desk.finetune("status", "absent", "-n", "ml")
    assert ran.code == 2
    assert ran.err == (
        f"finetune: there is no FineTuneJob absent in namespace ml (context here ({cluster.api.url}))."
        " finetune status -A lists those of all namespaces.\n"
    )


def said(status: int, reason: str, message: str) -> bytes:
    words = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason, "message": message}
    return json.dumps(words).encode()


FORBIDDEN = 'finetunejobs.finetune.dev is forbidden: User "eve" cannot list resource "finetunejobs" in the namespace "ml"'


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            Answer(401, times=9, body=said(401, "Unauthorized", "Unauthorized")),
            "the login to context here ({url}) is not valid",
        ),
        (Answer(403, times=9, body=said(403, "Forbidden", FORBIDDEN)), 'not allowed: User "eve" cannot list resource'),
        (
            Answer(404, times=9, body=NOT_A_PAGE),
            "knows no FineTuneJobs: the definition is not installed. Install the operator's",
        ),
        (Answer(503, times=9, body=b"<html>busy</html>"), "the API server of context here ({url}) answered 503: HTTP 503"),
    ],
)
def test_what_the_server_refuses_is_one_sentence(desk: Desk, cluster: Beside, answer: Answer, expected: str) -> None:
    cluster.api.instead.append(answer)
    ran = desk.finetune("status", "--cluster")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert expected.format(url=cluster.api.url) in ran.err


def in_a_process(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-m", "finetune_cli.main", *arguments]
    usual = {k: v for k, v in os.environ.items() if k not in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST")}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
        env={**usual, "HOME": str(folder), **environment},
    )


def test_a_server_that_is_not_there_is_one_sentence(desk: Desk) -> None:
    path = write_kubeconfig(desk.folder, "http://127.0.0.1:1")
    ran = desk.finetune("status", "--kubeconfig", str(path))
    assert ran.err == "finetune: the API server of context here (http://127.0.0.1:1) does not answer: connection refused\n"


def test_a_name_that_is_not_known_is_one_sentence(desk: Desk) -> None:
    path = write_kubeconfig(desk.folder, "http://api.invalid:6443")
    assert desk.finetune("status", "--kubeconfig", str(path)).err.endswith("does not answer: its name is not known\n")


def test_without_any_cluster_it_is_said_what_was_looked_at(desk: Desk) -> None:
    ran = in_a_process(desk.folder, "status", "--cluster")
    assert ran.returncode == 2
    assert ran.stderr == (
        "finetune: no cluster is configured: KUBECONFIG names no file, ~/.kube/config is not there, and this is no pod."
        " Name a kubeconfig with --kubeconfig.\n"
    )


def test_a_pod_without_a_token_is_told_so(desk: Desk) -> None:
    host = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    ran = in_a_process(desk.folder, "status", "--cluster", **host)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert "this pod has no service account to log in with: Service token file does not exist." in ran.stderr


BAD_LOGIN = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}}


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (None, ("--context", "moon"), "has no context moon; it has here, there"),
        ("a: [", (), "is no kubeconfig: "),
        ("[]", (), "is no kubeconfig\n"),
        ("", (), "is no kubeconfig\n"),
        ("apiVersion: v1\nkind: Config\n", (), "cannot be used: Invalid kube-config"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_one_sentence(
    desk: Desk, text: str | None, options: tuple[str, ...], expected: str
) -> None:
    path = write_kubeconfig(desk.folder, "http://127.0.0.1:1")
    if text is not None:
        path.write_text(text)
    ran = in_a_process(desk.folder, "status", "--cluster", *options, KUBECONFIG=str(path))
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1), ran.stderr
    assert expected in ran.stderr


def test_a_login_program_that_fails_is_told_and_nothing_is_asked(desk: Desk, cluster: Beside) -> None:
    path = write_kubeconfig(desk.folder, cluster.api.url, **BAD_LOGIN)
    ran = desk.finetune("status", "--kubeconfig", str(path))
    assert ran.err == "finetune: logging in to here failed: exec: process returned 1. Log in again, as for kubectl.\n"
    assert cluster.api.requests == []


def test_the_token_of_the_kubeconfig_is_sent(desk: Desk, cluster: Beside) -> None:
    desk.finetune("status", "--cluster")
    assert {request[2]["Authorization"] for request in cluster.api.requests} == {"Bearer secret"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--workspace", "w", "-n", "ml"), "--workspace means this machine and --namespace a cluster; give one of them"),
        (("support", "-A"), "a job is in one namespace: leave out -A, or name it with -n"),
        (("--watch",), "--watch needs a cluster; on this machine finetune run shows the progress itself"),
        (("--kubeconfig", "absent"), "--kubeconfig absent: no such file"),
    ],
)
def test_contradictions_are_wrong_use(desk: Desk, arguments: tuple[str, ...], expected: str) -> None:
    ran = desk.finetune("status", *arguments)
    assert (ran.code, expected in ran.err) == (2, True), ran.err


def test_a_plain_installation_is_told_what_to_install(desk: Desk) -> None:
    hidden = desk.folder / "hidden"
    hidden.mkdir()
    program = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name in ('kubernetes', 'aiohttp') else find(name, *a);"
        "from finetune_cli.main import main; sys.exit(main(['status', '--cluster']))"
    )
    ran: Any = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 2
    assert ran.stderr == (
        "finetune: asking a cluster needs kubernetes and aiohttp, which are not installed."
        " Install the client: pip install 'finetune-operator[cluster]'.\n"
    )
