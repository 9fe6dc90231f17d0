"""Jobs that are deleted, in every phase: everything of theirs goes, nothing else, and nothing is made anew."""

from __future__ import annotations

from datetime import timedelta

import pytest

from builders import a_result
from finetune_api import meta
from finetune_api.errors import Refused
from finetune_api.v1alpha1.status import Phase
from finetune_operator.kinds import FINE_TUNE_JOB, OUR_EVENT, Ref
from finetune_operator.queue import Key
from lives import KEY, Life, is_job, run, stages_done


def suspended(life: Life) -> None:
    stages_done(1)(life)
    life.cluster.set_policy(Ref(FINE_TUNE_JOB, *KEY), suspend=True)
    life.walk()
    life.kubelet.let_go()
    life.walk()


def suspended_while_its_pods_still_end(life: Life) -> None:
    stages_done(1)(life)
    life.cluster.set_policy(Ref(FINE_TUNE_JOB, *KEY), suspend=True)
    life.walk()


def failed(life: Life) -> None:
    life.go_on()
    life.go_on(64)


def rejected(life: Life) -> None:
    stages_done(2)(life)
    life.go_on(result=a_result("evaluate", passed=False))


def refused(life: Life) -> None:
    life.cluster.refuse = lambda manifest: Refused("no", status=403) if is_job(manifest) else None
    life.walk()


PHASES = {
    "New": (lambda life: None, None),
    "Pending": (refused, Phase.PENDING),
    "Preparing": (stages_done(0), Phase.PREPARING),
    "Training": (stages_done(1), Phase.TRAINING),
    "Evaluating": (stages_done(2), Phase.EVALUATING),
    "Publishing": (stages_done(3), Phase.PUBLISHING),
    "Succeeded": (stages_done(4), Phase.SUCCEEDED),
    "Rejected": (rejected, Phase.REJECTED),
    "Failed": (failed, Phase.FAILED),
    "Suspended": (suspended, Phase.SUSPENDED),
    "being suspended": (suspended_while_its_pods_still_end, Phase.SUSPENDED),
}


@pytest.mark.parametrize("name", PHASES)
def test_a_deleted_job_takes_everything_with_it_and_nothing_else(name: str) -> None:
    life = Life()
    life.cluster.submit("other", resources={"nodes": 2})
    run(life.reconciler.reconcile(Key("ml", "other")))
    strangers = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "labels": {meta.JOB_LABEL: "support"}}}
    life.cluster.put({**strangers, "metadata": {**strangers["metadata"], "namespace": "ml"}})
    ref = life.cluster.submit(resources={"nodes": 2})
    story, phase = PHASES[name]
    story(life)
    assert life.status.phase is phase
    kept = [found for found in life.cluster.objects if found.kind != OUR_EVENT]
    others = {found for found in kept if found.name.startswith(("other", "mine"))}
    assert {"other", "other-prepare-1", "mine"} <= {found.name for found in others}
    life.cluster.remove(ref)
    life.kubelet.let_go()
    before = len(life.cluster.calls)
    assert life.walk() is None
    assert life.cluster.calls[before:] == ["get FineTuneJob ml/support"], "and nothing is made anew"
    assert {found for found in life.cluster.objects if found.kind != OUR_EVENT} == others


def being_deleted(life: Life, finalizer: str) -> None:
    """kubectl delete, and somebody's finalizer."""
    raw = life.cluster.objects[Ref(FINE_TUNE_JOB, *KEY)]
    metadata = {**raw["metadata"], "deletionTimestamp": "2026-11-30T12:00:00Z", "finalizers": [finalizer], "generation": 2}
    life.cluster.put({**raw, "metadata": metadata})


@pytest.mark.parametrize("name", ["Preparing", "Training", "Evaluating", "Publishing"])
def test_a_deleted_job_that_somebody_holds_gives_its_machines_up(name: str) -> None:
    """The garbage collector would stop its pods when whoever holds it has let go: days later, perhaps never."""
    life = Life()
    life.cluster.submit()
    story, _ = PHASES[name]
    story(life)
    begun = life.children()
    being_deleted(life, "archive.example/keep")
    assert life.walk() == timedelta(seconds=10)
    assert begun - life.children() == {f"support-{life.status.attempts[-1].stage}-1"}
    assert life.status.message == "Being deleted; its pods are told to stop."
    life.kubelet.let_go()
    assert life.walk() is None, "whoever holds it tells when it lets go"
    assert "nothing of it runs any more" in (life.status.message or "")
    assert life.status.observed_generation == 2
    last = life.status.attempts[-1]
    assert (last.reason, last.charged, bool(last.finished_at)) == ("Deleted", False, True)
    assert life.told[-1].reason == "AttemptStopped"
    assert life.walk() is None
    assert begun > life.children(), "and nothing is begun anew"


@pytest.mark.parametrize("name", ["New", "Pending", "Suspended", "Succeeded", "Failed"])
def test_a_deleted_job_of_which_nothing_runs_begins_nothing_while_somebody_holds_it(name: str) -> None:
    life = Life()
    life.cluster.submit(runPolicy={"ttlSecondsAfterFinished": 0} if name == "New" else {})
    story, phase = PHASES[name]
    story(life)
    begun = life.children()
    being_deleted(life, "archive.example/keep")
    life.clock.pass_by(hours=1)
    life.cluster.refuse = lambda manifest: None
    assert life.walk() is None
    assert (life.children(), life.status.phase) == (begun, phase)


def test_whoever_deletes_a_job_and_wants_its_children_keeps_them() -> None:
    """kubectl delete --cascade=orphan."""
    life = Life()
    life.cluster.submit()
    stages_done(1)(life)
    begun = life.children()
    being_deleted(life, "orphan")
    assert life.walk() is None
    assert life.children() == begun


def test_a_job_whose_manifest_bears_the_word_orphan_is_a_job_like_any_other() -> None:
    """The API server takes `finalizers: [orphan]` from everybody; it means something when the job is deleted."""
    life = Life()
    ref = life.cluster.submit()
    life.cluster.objects[ref]["metadata"]["finalizers"] = ["orphan"]
    life.walk()
    assert life.children() == {"support-prepare-1"}
