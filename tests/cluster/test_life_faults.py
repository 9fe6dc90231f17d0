"""Training through faults of pods, nodes and the control plane: what the status says of each, who pays, where it goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest

from cluster import faults, life, own_trainers
from cluster.kube import ApiError, Kube, Manifest, wait_for
from cluster.machine import Machine
from cluster.witness import watched
from cluster.workloads import a_config_map

pytestmark = pytest.mark.node_access

ONE = {"nodes": 1, "cpu": "200m", "memory": "256Mi"}
TWO = {"nodes": 2, "cpu": "200m", "memory": "256Mi"}


def end_of(attempt: dict[str, object]) -> tuple[object, object]:
    return attempt["reason"], attempt["charged"]


def test_pods_that_are_deleted_evicted_and_drained_are_started_again_and_nobody_pays(place: life.Workplace, kube: Kube) -> None:
    wish = {"resources": ONE, "scheduling": life.RATHER_ON_NODE_2}
    job = place.apply("disturbed", **wish, **own_trainers.steady(place.image, code_on_term=0))
    (pod,) = job.until_running("train")
    job.until_step(1)  # it listens by now
    faults.delete_pod(place.namespace, pod["metadata"]["name"])
    # It exits 0 when it is told to stop, and has not done its work all the same.
    assert end_of(job.until_attempt_ended("train")) == ("Disruption", False)
    (pod,) = job.until_running("train", 2)
    faults.evict_pod(place.namespace, pod["metadata"]["name"])
    assert end_of(job.until_attempt_ended("train", 2)) == ("Disruption", False)
    (pod,) = job.until_running("train", 3)
    assert faults.number_of(pod) == 2
    with faults.drained(kube, 2):
        assert end_of(job.until_attempt_ended("train", 3)) == ("Disruption", False)
        (again,) = job.until_running("train", 4)
        assert faults.number_of(again) == 1
    assert job.restarts == (3, 0)
    job.delete()


def test_a_trainer_that_reports_no_step_any_more_is_started_again_and_pays(place: life.Workplace) -> None:
    job = place.apply("hanging", resources=ONE, runPolicy={"stallTimeoutSeconds": 6}, **own_trainers.hanging(place.image))
    attempt = job.until_attempt_ended("train", seconds=90)
    assert end_of(attempt) == ("Stall", True)
    job.until_running("train", 2)
    assert job.restarts[1] == 1
    job.delete()


def test_a_child_that_a_strangers_finalizer_holds_gives_its_machine_up(place: life.Workplace) -> None:
    """Suspended, its pods go first; the job is deleted, and nothing is left but what the stranger holds."""
    job = place.apply("held", resources=ONE, **own_trainers.steady(place.image))
    job.until_running("train")
    child = job.child("train")
    assert child is not None
    name = child["metadata"]["name"]
    hold = partial(place.kube.merge, "Job", name, namespace=place.namespace.name)
    hold({"metadata": {"finalizers": ["example.org/archive"]}})
    job.patch({"runPolicy": {"suspend": True}})
    wait_for(lambda: not job.pods("train"), what="the pods of the held child gone")
    held = place.namespace.get("Job", name)["metadata"]
    assert held["deletionTimestamp"]
    assert "example.org/archive" in held["finalizers"]
    job.delete()
    wait_for(lambda: job.namespace.find("FineTuneJob", job.name) is None, what="the job gone")
    assert place.namespace.find("Job", name)
    hold({"metadata": {"finalizers": None}})
    job.until_gone()


LOSSES: dict[str, Callable[[Machine, Kube, int], AbstractContextManager[None]]] = {
    "killed": faults.node_killed,
    "kubelet-stopped": faults.kubelet_stopped,
    "cut-off": faults.node_cut_off,
    "frozen": faults.node_frozen,
}


@pytest.mark.parametrize("how", LOSSES)
def test_a_lost_node_costs_an_attempt_nobody_pays_and_what_comes_back_harms_nothing(
    place: life.Workplace, machine: Machine, kube: Kube, how: str
) -> None:
    job = place.apply(f"lost-{how}", resources=TWO, **own_trainers.steady(place.image))
    pods = job.until_running("train", pods=2)
    assert {faults.number_of(pod) for pod in pods} == {1, 2}
    (lost,) = (pod["metadata"]["name"] for pod in pods if faults.number_of(pod) == 2)
    with LOSSES[how](machine, kube, 2):
        faults.until_not_ready(kube, 2)
        wait_for(lambda: "deletionTimestamp" in place.namespace.get("Pod", lost)["metadata"], what="the pod given up")
        attempt = job.until_attempt_ended("train", seconds=120)
        assert end_of(attempt) == ("Disruption", False)
        again = job.until_running("train", 2, pods=2, seconds=120)
        assert {faults.number_of(pod) for pod in again} == {1}
        assert place.namespace.find("Pod", lost), "it stays Terminating as long as its kubelet is silent"
    # The lost node is back: what still ran there wrote into the first attempt's folder and nowhere else, and is ended.
    wait_for(lambda: not job.pods("train", 1), what="the pods of the lost attempt gone", seconds=90)
    folder = "/workspace/checkpoints"

    def written() -> list[str] | None:
        show = f"ls {folder}; cat {folder}/2/lines-0 | head -n 3"
        said = place.namespace.exec(again[0]["metadata"]["name"], "sh", "-c", show).split()
        return said if len(said) >= 5 else None

    assert wait_for(written, what="three lines of the second attempt") == ["1", "2", "1", "2", "3"]
    assert {pod["status"]["phase"] for pod in job.pods("train", 2)} == {"Running"}
    assert job.restarts == (1, 0)
    job.delete()


@pytest.mark.parametrize(("component", "seconds"), [("kube-apiserver", 60), ("etcd", 20)])
def test_a_control_plane_that_is_away_costs_nothing_and_what_it_was_told_is_not_forgotten(
    place: life.Workplace, machine: Machine, kube: Kube, component: str, seconds: float
) -> None:
    kept, lost = f"kept-by-{component}", f"lost-by-{component}"
    place.namespace.create(a_config_map(kept, text="before"))
    job = place.apply(f"without-{component}", resources=ONE, **own_trainers.steady(place.image))
    job.until_running("train")
    job.until_step(1)
    (pod,) = job.pods("train")
    # What an outage before this one has cost, where nodes were taken for lost after it, is not counted here.
    seen, restarts = job.status["progress"]["step"], job.restarts
    with faults.component_stopped(machine, kube, component):
        with pytest.raises(ApiError):
            place.namespace.create(a_config_map(lost, text="during"))
        time.sleep(seconds)  # the length of the outage is what is tested
    job.until_step(seen + 3, seconds=180)
    assert [(a["stage"], a["number"], a.get("reason")) for a in job.of("train")][-1][:2] == ("train", 1)
    assert job.restarts == restarts
    assert place.namespace.get("ConfigMap", kept)["data"] == {"text": "before"}
    assert place.namespace.find("ConfigMap", lost) is None
    (before,), (after,) = (found["status"]["containerStatuses"] for found in (pod, *job.pods("train")))
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)
    job.delete()
    for node in (1, 2):
        faults.until_whole(machine, kube, node)


def test_an_operator_that_is_killed_twenty_times_loses_nothing_and_starts_nothing_twice(
    place: life.Workplace, machine: Machine, kube: Kube
) -> None:
    job = place.apply("unattended", resources={"nodes": 1})
    chance = random.Random(17)
    kills = 0
    with watched(job) as witness:
        while kills < 20:
            assert job.status.get("phase") not in life.ENDED, f"the job ended after {kills} kills"
            kills += _kill(machine, kube, chance.choice)
            time.sleep(chance.uniform(0.5, 2.5))  # any moment of the job and of the operator's start
        job.until("Succeeded", seconds=240)
        wait_for(lambda: witness.phases[-1] == "Succeeded", what="the end seen by the witness")
    assert witness.goes_back() == []
    assert [(a["stage"], a["number"]) for a in job.attempts] == [(s, 1) for s in ("prepare", "train", "evaluate", "publish")]
    assert job.restarts == (0, 0)


def _kill(machine: Machine, kube: Kube, choose: Callable[[list[Manifest]], Manifest]) -> int:
    """SIGKILL to one of the operator's processes; 0 if none could be found just now.

    Its pod goes too: the next one starts at once instead of after the kubelet's growing pause.
    """
    try:
        pod = choose(life.operator_pods(kube))
        faults.kill_container(machine, pod)
    except (ApiError, RuntimeError, LookupError):  # none runs, or it has just ended
        return 0
    kube.delete("Pod", pod["metadata"]["name"], namespace=life.SYSTEM, grace_seconds=0)
    return 1


def test_when_the_leader_is_killed_the_other_replica_acts(place: life.Workplace, machine: Machine, kube: Kube) -> None:
    def killed() -> str | None:
        """Who led, once that one is killed; it may change while it is looked for."""
        holder = life.leader(kube)

        def it(pods: list[Manifest]) -> Manifest:
            for pod in pods:
                if holder.startswith(pod["metadata"]["name"]):
                    return pod
            raise LookupError(holder)

        return holder if _kill(machine, kube, it) else None

    before = wait_for(killed, what="the leader killed")
    wait_for(lambda: life.leader(kube) not in ("", before), what="another leader", seconds=60)
    job = place.apply("successor", resources=ONE, **own_trainers.steady(place.image))
    job.until_running("train")
    job.delete()
