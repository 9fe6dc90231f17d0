"""Storage as jobs meet it: shared by nodes, slow, full; and the servers of a company that has no internet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster import services, training
from cluster.kube import wait_for
from cluster.machine import Machine
from cluster.namespaces import Namespace
from cluster.test_network import TO_DNS
from cluster.training import SPEC, Training
from cluster.workloads import a_claim, a_config_map, a_pod, no_egress, on_node
from finetune_api.contract.result import decode
from finetune_operator.brain.stages import Stage

WRITE = """
import os, sys, time
begun = time.monotonic()
with open(sys.argv[1], "wb") as file:
    for _ in range(int(sys.argv[2])):
        file.write(bytes(1 << 20))
    file.flush(); os.fsync(file.fileno())
print(time.monotonic() - begun)
"""


def a_writer(namespace: Namespace, image: str, claim: str, **spec: Any) -> str:
    """A pod with the claim at /data."""
    name = f"writer-{claim}"
    namespace.create(a_pod(name, image, claims={claim: "/data"}, **spec))
    namespace.until_running(name)
    return name


def seconds_to_write(namespace: Namespace, pod: str, mebibytes: int) -> float:
    return float(namespace.exec(pod, "python", "-c", WRITE, "/data/x", str(mebibytes)))


@pytest.mark.node_access
def test_what_one_node_writes_another_reads_at_once(namespace: Namespace, trainer_image: str) -> None:
    namespace.create(a_claim("both"))
    for number in (1, 2):
        namespace.create(a_pod(f"on-{number}", trainer_image, claims={"both": "/data"}, nodeSelector=on_node(number)))
    for number in (1, 2):
        namespace.until_running(f"on-{number}")
    namespace.exec("on-1", "sh", "-c", "echo from node 1 > /data/a")
    namespace.exec("on-2", "sh", "-c", "mv /data/a /data/b && echo and 2 >> /data/b")
    assert namespace.exec("on-1", "cat", "/data/b") == "from node 1\nand 2\n"


@pytest.mark.node_access
def test_the_slow_class_is_slow(namespace: Namespace, trainer_image: str) -> None:
    namespace.create(a_claim("quick"))
    namespace.create(a_claim("slow", storage_class="shared-slow"))
    writer = a_writer(namespace, trainer_image, "quick")
    quick = min(seconds_to_write(namespace, writer, 8) for _ in range(3))  # a machine that stalls is not the disk
    slow = seconds_to_write(namespace, a_writer(namespace, trainer_image, "slow"), 8)
    assert slow >= 8 / 4, "8 MiB at 4 MiB/s"
    assert quick < slow


@pytest.mark.node_access
def test_the_small_class_fills_up_and_has_room_again_when_something_is_deleted(
    namespace: Namespace, trainer_image: str
) -> None:
    namespace.create(a_claim("small", storage_class="shared-small"))
    pod = a_writer(namespace, trainer_image, "small")
    told = namespace.kube.kubectl(
        "exec", "-n", namespace.name, pod, "--", "python", "-c", WRITE, "/data/big", "100", check=False
    )
    assert "No space left on device" in told.stderr
    namespace.exec(pod, "rm", "/data/big")
    assert seconds_to_write(namespace, pod, 10) < 30


@pytest.mark.node_access
def test_a_deleted_claim_takes_its_folder_with_it(namespace: Namespace, machine: Machine) -> None:
    namespace.create(a_claim("brief"))
    volume = wait_for(lambda: namespace.get("PersistentVolumeClaim", "brief")["spec"].get("volumeName"), what="the claim bound")
    folder = machine.state / "storage" / "plain" / volume
    assert folder.is_dir()
    namespace.delete("PersistentVolumeClaim", "brief")
    wait_for(lambda: not folder.exists(), what="the folder removed")


@pytest.mark.node_access
def test_a_job_gets_its_model_from_the_company_s_hub_and_its_data_from_its_object_store_and_reaches_nothing_else(
    namespace: Namespace, trainer_image: str, machine: Machine, tmp_path: Path
) -> None:
    for name in ("inputs", "workspace"):
        namespace.create(a_claim(name))
    everything = {**services.S3_CLIENT, **services.HUB_CLIENT}
    namespace.create(a_pod("keeper", trainer_image, claims=training.MOUNTS, environment=everything))
    namespace.until_running("keeper")
    training.make_inputs(tmp_path, model="models/tiny")
    training.copy_in(namespace, "keeper", tmp_path, "/inputs")
    services.start_s3(namespace, machine.program_image("versitygw"))
    services.start_hub(namespace, trainer_image, claim="inputs", folder="models")
    put = """
import boto3
s3 = boto3.client("s3")
s3.create_bucket(Bucket="corp")
s3.upload_file("/inputs/chats.jsonl", "corp", "c.jsonl")
print("done")
"""
    wait_for(lambda: "done" in namespace.exec("keeper", "python", "-c", put), what="the data in the bucket")

    spec = {**SPEC, "model": {"uri": "hf://corp/tiny"}, "datasets": [{"name": "chats", "uri": "s3://corp/c.jsonl"}]}
    job = training.orders(Stage.PREPARE, None, "/workspace/job", spec=spec)
    namespace.create(a_config_map("prepare", job__json=job))
    to_company = {"to": [{"podSelector": {"matchLabels": {"app": name}}} for name in ("s3", "hub")]}
    namespace.create(no_egress("company", {"app": "prepare"}, allow=[TO_DNS, to_company]))
    pod_spec = Training(namespace, trainer_image).pod_spec("prepare", "prepare", everything)
    labels = {"app": "prepare"}
    namespace.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "prepare", "labels": labels}, "spec": pod_spec})
    end = namespace.until_ended("prepare", seconds=180)
    assert end["exitCode"] == 0, namespace.log("prepare")
    result = decode(end["message"])
    assert result is not None
    assert result.prepared is not None
    assert result.prepared.examples.read == 120

    wrong = "import boto3; boto3.client('s3', aws_access_key_id='corp', aws_secret_access_key='wrong').list_buckets()"
    told = namespace.kube.kubectl("exec", "-n", namespace.name, "keeper", "--", "python", "-c", wrong, check=False)
    assert "SignatureDoesNotMatch" in told.stderr, "the store checks who asks"
