"""The command line on a real cluster: jobs as they run, pods' logs, reports out of a claim, a look ahead on real nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import life
from cluster.kube import Manifest, path_of, wait_for
from cluster.machine import PROJECT
from cluster.training import copy_in
from cluster.workloads import a_pod
from rows import chats, write_jsonl

pytestmark = pytest.mark.node_access
BIN = Path(sys.executable).parent


def finetune(place: life.Workplace, *arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a verb on the workplace's namespace."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig or place.kube.kubeconfig)}
    command = [str(BIN / "finetune"), *arguments, "-n", place.namespace.name]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)


def start(place: life.Workplace, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "KUBECONFIG": str(place.kube.kubeconfig)}
    command = [str(BIN / "finetune"), *arguments, "-n", place.namespace.name]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def whole(place: life.Workplace) -> Iterator[tuple[life.Job, dict[str, str]]]:
    """A job of two nodes that was looked at while it trained; what was seen then."""
    # Steps enough for those who look; of their weights the best are kept, however early they were reached.
    job = place.apply("seen", training={"maxSteps": 200, "earlyStopping": {"patience": 0}})
    following, watching = start(place, "logs", "seen", "--follow"), start(place, "status", "seen", "--watch")
    try:
        job.until_running("train", pods=2)
        job.until_step(1)
        looks = {"row": ("status",), "story": ("status", "seen"), "logs": ("logs", "seen", "--stage", "train")}
        # All at once: each takes seconds to start, and the training goes on.
        looking = {name: start(place, *arguments) for name, arguments in looks.items()}
        seen = {name: process.communicate(timeout=300)[0] for name, process in looking.items()}
        job.until("Succeeded", seconds=240)
        seen["followed"], seen["told"] = following.communicate(timeout=300)
        seen["watched"], _ = watching.communicate(timeout=300)
        seen["codes"] = f"{following.returncode} {watching.returncode}"
        yield job, seen
    finally:
        for process in (following, watching):
            if process.poll() is None:
                process.kill()


def test_a_job_that_trains_is_a_row_and_a_story(whole: tuple[life.Job, dict[str, str]]) -> None:
    _, seen = whole
    header, row = seen["row"].splitlines()
    assert header.split()[:3] == ["NAME", "PHASE", "PROGRESS"]
    assert row.split()[:2] == ["seen", "Training"]
    assert row.split()[2].endswith("%")
    assert seen["story"].startswith("seen: Training in namespace ")
    assert "step " in seen["story"]
    assert "120 rows read" in seen["story"]


def log_with_times(place: life.Workplace, pod: Manifest) -> str:
    path = path_of("Pod", place.namespace.name, pod["metadata"]["name"]) + "/log"
    return str(place.kube.request("GET", path, timestamps="true"))


def test_logs_of_two_pods_are_one_log_in_the_order_of_time(place: life.Workplace) -> None:
    say = "print(n, os.environ['PET_NODE_RANK'], time.time(), flush=True)"
    talk = f"import os, time\nfor n in range(5):\n    {say}\n    time.sleep(0.3)"
    job = place.apply("talks", image=place.image, command=["python", "-c", talk])
    job.until("Failed")  # it leaves no adapter
    assert job.status["message"].startswith("evaluate attempt 1: ")
    lines = [line.partition(" | ") for line in finetune(place, "logs", "talks", "--stage", "train").stdout.splitlines()]
    assert {(origin, text.split()[1]) for origin, _, text in lines} == {("train-1-0", "0"), ("train-1-1", "1")}
    # The time of a line is when its node's runtime has read it, however long after it was said.
    stamped = [line.split(" ", 1) for pod in job.pods("train") for line in log_with_times(place, pod).splitlines()]
    assert [text for _, _, text in lines] == [text for _, text in sorted(stamped)]
    assert len(lines) == 10
    alone = finetune(place, "logs", "talks", "--stage", "train", "--rank", "1").stdout.splitlines()
    assert [line.split()[:2] for line in alone] == [[str(n), "1"] for n in range(5)]


def test_logs_are_followed_from_stage_to_stage_to_the_end(whole: tuple[life.Job, dict[str, str]]) -> None:
    _, seen = whole
    announced = [line for line in seen["told"].splitlines() if line.startswith("--- ")]
    stages = list(dict.fromkeys(line.split()[1] for line in announced))
    assert stages[-3:] == ["train", "evaluate", "publish"]
    assert seen["told"].splitlines()[-1].startswith("seen: Succeeded. Published to ")
    assert seen["codes"] == "0 0"
    phases = [line.split()[1] for line in seen["watched"].splitlines()[1:]]
    assert phases[-1] == "Succeeded"
    assert "Training" in phases


def test_a_story_of_the_end_has_scores_attempts_and_output(
    place: life.Workplace, whole: tuple[life.Job, dict[str, str]]
) -> None:
    out = finetune(place, "status", "seen").stdout
    for said in ("Verdict: Improved", "95 % interval", "pvc://inputs/published/seen", "Complete", "publish"):
        assert said in out
    assert finetune(place, "status", "seen", "--watch").returncode == 0


def test_reports_come_out_of_the_claim_after_the_end(
    place: life.Workplace, whole: tuple[life.Job, dict[str, str]], tmp_path: Path
) -> None:
    ran = finetune(place, "report", "seen", "--to", str(tmp_path / "out"))
    assert (ran.returncode, ran.stderr) == (0, "")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written >= {"report.html", "evaluation.json", "data.json"}
    assert "seen" in (tmp_path / "out/report.html").read_text()
    assert json.loads((tmp_path / "out/evaluation.json").read_text())["summary"]["verdict"] == "Improved"
    assert json.loads(finetune(place, "report", "seen", "-o", "json").stdout)["summary"]["examples"] > 0
    wait_for(lambda: not place.namespace.list("Pod", "finetune.dev/reader"), what="no reader left")


def test_as_a_plugin_of_kubectl(place: life.Workplace, whole: tuple[life.Job, dict[str, str]]) -> None:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(place.kube.kubeconfig), "PATH": path}
    command = [place.kube.kubectl_path, "finetune", "status", "seen", "-n", place.namespace.name]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert (ran.returncode, ran.stdout.splitlines()[0][:15]) == (0, "seen: Succeeded")


def test_in_a_pod_its_own_account_is_used(place: life.Workplace, whole: tuple[life.Job, dict[str, str]]) -> None:
    rules = [{"apiGroups": ["finetune.dev"], "resources": ["finetunejobs"], "verbs": ["get", "list"]}]
    place.namespace.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "asker"}})
    account = {"kind": "ServiceAccount", "name": "asker", "namespace": place.namespace.name}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    rbac = "rbac.authorization.k8s.io/v1"
    place.namespace.create({"apiVersion": rbac, "kind": "Role", "metadata": {"name": "reader"}, "rules": rules})
    binding = {
        "apiVersion": rbac,
        "kind": "RoleBinding",
        "metadata": {"name": "reader"},
        "roleRef": role,
        "subjects": [account],
    }
    place.namespace.create(binding)
    command = ["python", "-m", "finetune_cli.main", "status", "seen", "--cluster"]
    place.namespace.create(
        a_pod("asking", life.OPERATOR_IMAGE, command, serviceAccountName="asker", automountServiceAccountToken=True)
    )
    place.namespace.until_ended("asking")
    assert place.namespace.log("asking").startswith(f"seen: Succeeded in namespace {place.namespace.name}, this pod's cluster")


# ---------------------------------------------------------------- a look ahead


def written(place: life.Workplace, folder: Path, **changes: Any) -> str:
    """A manifest like those of the workplace, as a file."""
    blocks = {
        "model": {"uri": "pvc://inputs/model"},
        "datasets": [{"uri": "pvc://inputs/chats.jsonl"}],
        "resources": {"nodes": 2, "gpusPerNode": 0, "cpu": "500m", "memory": "2Gi"},
        "workspace": {"accessMode": "ReadWriteMany", "size": "1Gi"},
        "output": {"uri": "pvc://inputs/published/ahead"},
        **changes,
    }
    manifest = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "ahead"}, "spec": blocks}
    path = folder / "job.yaml"
    path.write_text(json.dumps(manifest))
    return str(path)


def test_a_job_that_fits_is_said_to_fit_and_nothing_is_left(place: life.Workplace, tmp_path: Path) -> None:
    ran = finetune(place, "validate", written(place, tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert "is valid and fits " in ran.stdout
    assert "(Pod Security restricted), operator 0.1.0 in finetune-system" in ran.stdout
    assert place.namespace.find("FineTuneJob", "ahead") is None


def test_what_the_cluster_lacks_is_named_by_field(place: life.Workplace, tmp_path: Path) -> None:
    changes = {
        "model": {"uri": "hf://a/b", "secretName": "hub"},
        "resources": {"nodes": 2, "gpusPerNode": 16},
        "workspace": {"storageClassName": "fast"},
        "scheduling": {"priorityClassName": "high"},
        "podTemplate": {"serviceAccountName": "robot"},
    }
    ran = finetune(place, "validate", "-o", "json", written(place, tmp_path, **changes))
    assert ran.returncode == 1
    fields = {one["field"] for one in json.loads(ran.stdout)[0]["problems"]}
    assert fields >= {
        "spec.model.secretName",
        "spec.resources.gpusPerNode",
        "spec.workspace.storageClassName",
        "spec.scheduling.priorityClassName",
        "spec.podTemplate.serviceAccountName",
    }


def test_a_key_that_a_secret_lacks_is_named_without_reading_it(place: life.Workplace, tmp_path: Path) -> None:
    place.namespace.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "bucket"},
            "stringData": {"AWS_ACCESS_KEY_ID": "a", "x": "hidden"},
        }
    )
    ran = finetune(place, "validate", written(place, tmp_path, datasets=[{"uri": "s3://b/rows.jsonl", "secretName": "bucket"}]))
    assert 'Secret "bucket" has no key AWS_SECRET_ACCESS_KEY' in ran.stderr
    assert "hidden" not in ran.stdout + ran.stderr


def test_who_may_see_little_is_told_what_was_not_looked_at(place: life.Workplace, tmp_path: Path) -> None:
    token = place.kube.kubectl("create", "token", "default", "-n", place.namespace.name).stdout.strip()
    config = yaml.safe_load(place.kube.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    ran = finetune(place, "validate", written(place, tmp_path), kubeconfig=path)
    assert ran.returncode == 1
    assert f"you may not create FineTuneJobs in namespace {place.namespace.name}" in ran.stderr
    assert ran.stderr.count("not looked at: ") >= 4
    assert finetune(place, "status", kubeconfig=path).stderr.startswith("finetune: not allowed: User ")


# ---------------------------------------------------------------- a trainer of the user's own


def test_the_example_of_an_own_trainer_runs_to_its_end(place: life.Workplace, tmp_path: Path) -> None:
    example = PROJECT / "examples" / "own-trainer"
    program = (example / "own_trainer.py").read_text()
    place.namespace.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own-trainer"}, "data": {"own_trainer.py": program}}
    )
    write_jsonl(tmp_path / "python-docs.jsonl", [{**row, "module": row["customer"]} for row in chats(60)])
    copy_in(place.namespace, "keeper", tmp_path, "/inputs")
    manifest = yaml.safe_load((example / "job.yaml").read_text())
    spec = manifest["spec"]
    spec["model"]["uri"], spec["image"] = "pvc://inputs/model", place.image
    spec["workspace"] = {"size": "1Gi"}
    spec["resources"] |= {"cpu": "750m", "memory": "2Gi"}
    spec["training"]["maxSteps"] = 400
    spec["podTemplate"]["env"].append({"name": "SAVE_STEPS", "value": "5"})
    place.namespace.create(manifest)
    job = life.Job(place.namespace, "own-trainer")

    job.until_step(5)  # transformers has reported to the operator
    (pod,) = job.pods("train")
    place.namespace.delete("Pod", pod["metadata"]["name"])
    first = job.until_attempt_ended("train")
    assert (first["reason"], first["charged"], first["exitCode"]) == ("Disruption", False, 143)

    status = job.until("Succeeded", seconds=240)
    assert [attempt["number"] for attempt in job.of("train")] == [1, 2]
    assert status["evaluation"]["verdict"] is not None
    assert "adapter_model.safetensors" in place.sh("ls /inputs/own-adapter")
    log = finetune(place, "logs", "own-trainer", "--stage", "train").stdout
    assert "'loss'" in log
