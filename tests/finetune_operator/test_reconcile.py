"""Whole lives of jobs against a cluster in memory, with every call failing once: before its effect, after it, or for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar, cast

import pytest

from builders import a_node, a_result, an_evaluation
from fakes import Clock, Crash, FakeCluster, Fault, Kubelet, When, an_invalid, is_over
from finetune_api.contract.result import StageError, StageResult
from finetune_api.errors import ClusterError, Conflict
from finetune_api.v1alpha1.status import FineTuneJobStatus, Phase
from finetune_operator.brain.stages import Stage
from finetune_operator.brain.transitions import Transition
from finetune_operator.kinds import CHILD_JOB, CLAIM, CONFIG_MAP, EVENT, FINE_TUNE_JOB, OUR_EVENT, POD, Manifest, Ref, owner_uid
from finetune_operator.queue import Key
from finetune_operator.reconcile import Reconciler
from finetune_operator.render import RenderSettings

T = TypeVar("T")
KEY = Key("ml", "support")
AT_ONCE = timedelta(0)
SETTINGS = RenderSettings(
    trainer_image="trainer",
    machine=a_node(),
    operator_namespace="finetune-system",
    operator_labels={"app": "finetune-operator"},
    progress_url="https://progress",
    progress_port=8443,
    ca_config_map="ca",
    token_audience="progress",
)


def run(call: Coroutine[Any, Any, T]) -> T:
    """The result of a call in which nothing ever waits: an event loop for each would take most of the time."""
    try:
        call.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise AssertionError("it waits for something")


class Life:
    """One operator, one cluster, and what happens to them."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.clock = Clock()
        self.cluster = FakeCluster(self.clock, fault=fault)
        self.kubelet = Kubelet(self.cluster)
        self.told: list[Transition] = []
        self.most_pod_sets = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """A new process, that remembers nothing."""

        async def ready(namespace: str) -> None:
            """There is nothing to make ready."""

        self.reconciler = Reconciler(
            self.cluster, SETTINGS, self.clock, ready, lambda key, transition: self.told.append(transition)
        )

    def walk(self, times: int = 12) -> timedelta | None:
        """Reconcile as the workers do: again at once where that is asked for, and after an error."""
        again: timedelta | None = AT_ONCE
        for _ in range(times):
            try:
                again = run(self.reconciler.reconcile(KEY))
            except (ClusterError, Conflict):
                again = AT_ONCE
            except Crash:
                self.begin_anew()
                again = AT_ONCE
            self._look()
            if again is None or again > AT_ONCE:
                return again
        raise AssertionError("it asks for another look for ever")

    def _look(self) -> None:
        """What must always hold."""
        busy = {owner_uid(pod) for pod in self.cluster.all(POD) if not is_over(pod)}
        waiting = {job["metadata"]["uid"] for job in self.cluster.all(CHILD_JOB) if not job.get("status")}
        self.most_pod_sets = max(self.most_pod_sets, len(busy | waiting))

    def go_on(self, code: int = 0, result: StageResult | None = None, **status: Any) -> None:
        """One stage: its pods start and end."""
        self.walk()
        self.clock.pass_by(seconds=5)
        self.kubelet.start_pods()
        self.walk()
        self.clock.pass_by(minutes=5)
        self.kubelet.end_pods(code, result, **status)
        self.walk()

    @property
    def status(self) -> FineTuneJobStatus:
        return self.cluster.status(Ref(FINE_TUNE_JOB, *KEY))

    def children(self) -> set[str]:
        return {job["metadata"]["name"] for job in self.cluster.all(CHILD_JOB)}


def succeed(life: Life) -> None:
    life.cluster.submit()
    for _ in Stage:
        life.go_on()


def be_rejected(life: Life) -> None:
    life.cluster.submit()
    life.go_on()
    life.go_on()
    life.go_on(result=a_result("evaluate", passed=False))


def fail_in_the_data(life: Life) -> None:
    life.cluster.submit()
    error = StageError(error_class="DataError", message='tickets.jsonl line 1204 has no field "answer"')
    life.go_on(65, StageResult(stage="prepare", error=error))


def lose_a_node_and_succeed(life: Life) -> None:
    life.cluster.submit(resources={"nodes": 2, "gpusPerNode": 8})
    life.go_on()
    life.go_on(143, conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}])
    for _ in range(3):
        life.go_on()


def pause_and_succeed(life: Life) -> None:
    ref = life.cluster.submit()
    life.go_on()
    life.kubelet.start_pods()
    life.walk()
    life.cluster.set_policy(ref, suspend=True)
    life.walk()
    life.clock.pass_by(seconds=130)
    life.kubelet.let_go()
    life.walk()
    life.clock.pass_by(hours=3)
    life.cluster.set_policy(ref, suspend=False)
    for _ in range(3):
        life.go_on()


LIVES = {
    "succeeds": (succeed, Phase.SUCCEEDED),
    "is rejected": (be_rejected, Phase.REJECTED),
    "fails": (fail_in_the_data, Phase.FAILED),
    "loses a node": (lose_a_node_and_succeed, Phase.SUCCEEDED),
    "is suspended": (pause_and_succeed, Phase.SUCCEEDED),
}


def lived(story: Callable[[Life], None], fault: Fault | None = None) -> Life:
    life = Life(fault)
    story(life)
    life.clock.pass_by(seconds=10)
    life.walk()
    return life


def gist(life: Life) -> tuple[object, ...]:
    """What must come out the same: all of the status but the times, and which children exist."""
    status = life.status.model_dump(mode="json", exclude={"conditions": {"__all__": {"last_transition_time"}}})
    return status, life.children(), {m["metadata"]["name"] for m in life.cluster.all(CONFIG_MAP)}


@pytest.mark.parametrize("name", LIVES)
def test_a_job_lives_to_its_end(name: str) -> None:
    story, phase = LIVES[name]
    life = lived(story)
    assert life.status.phase is phase
    assert life.most_pod_sets == 1
    assert life.walk() is None, "an ended job asks for nothing"


def test_the_stages_run_one_after_another_as_children_of_their_own() -> None:
    life = lived(succeed)
    assert life.children() == {"support-prepare-1", "support-train-1", "support-evaluate-1", "support-publish-1"}
    assert [job["metadata"]["name"] for job in life.cluster.all(CLAIM)] == ["support-workspace"]
    assert life.status.output is not None
    assert life.status.evaluation is not None
    assert life.status.evaluation.score == an_evaluation().score


@pytest.mark.parametrize("error", [None, Crash], ids=["error", "crash"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", LIVES)
def test_whichever_call_fails_the_job_ends_alike(name: str, when: When, error: type[BaseException] | None) -> None:
    story, _ = LIVES[name]
    wanted = lived(story)
    events = Counter(wanted.cluster.said())
    assert len(wanted.cluster.calls) > 10
    for number in range(1, len(wanted.cluster.calls) + 1):
        fault = Fault(number, when, error) if error else Fault(number, when)
        life = lived(story, fault)
        place = f"call {number} ({wanted.cluster.calls[number - 1]}) failed {when}"
        assert gist(life) == gist(wanted), place
        assert life.most_pod_sets == 1, f"{place}: two attempts ran at once"
        assert statuses_only_move_forward(life), place
        orphans = [r for r in life.cluster.objects if r.kind not in (FINE_TUNE_JOB, OUR_EVENT) and not has_owner(life, r)]
        assert not orphans, place
        if error is None:
            assert Counter(life.cluster.said()) == events, f"{place}: each transition is told once"
            assert [t.reason for t in life.told] == [t.reason for t in wanted.told], place
        else:
            assert not Counter(life.cluster.said()) - events, f"{place}: no transition is told twice"


def has_owner(life: Life, ref: Ref) -> bool:
    uids = {found["metadata"]["uid"] for found in life.cluster.objects.values()}
    return owner_uid(life.cluster.objects[ref]) in uids


def statuses_only_move_forward(life: Life) -> bool:
    done: set[str] = set()
    ended = False
    for status in life.cluster.statuses:
        now = {c.type for c in status.conditions if c.status == "True" and c.reason == "Completed"}
        over = bool(status.phase and status.phase.terminal)
        if not done <= now or (ended and not over):
            return False
        done, ended = now, over
    return True


def test_a_job_that_does_not_change_costs_reads_alone() -> None:
    life = Life()
    life.cluster.submit()
    life.walk()
    life.kubelet.start_pods()
    life.walk()
    before = len(life.cluster.calls)
    again = life.walk()
    assert [call.split()[0] for call in life.cluster.calls[before:]] == ["get", "get", "find"]
    assert again == timedelta(minutes=5)


def test_an_attempt_is_noted_before_it_exists() -> None:
    life = Life()
    life.cluster.submit()
    life.walk()
    kinds = [call.split()[0] + " " + call.split()[1] for call in life.cluster.calls]
    assert kinds.index("patch_status FineTuneJob") < kinds.index("create Job")
    assert kinds[-1] == "create Event", "Events come last and hold nothing up"


def test_suspending_stops_the_pods_and_keeps_the_stages_done() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.go_on()
    life.kubelet.start_pods()
    life.cluster.set_policy(ref, suspend=True)
    assert life.walk() == timedelta(seconds=10)
    assert life.children() == {"support-prepare-1"}
    life.kubelet.let_go()
    life.walk()
    assert life.status.phase is Phase.SUSPENDED
    assert life.status.attempts[-1].reason == "Suspended"
    assert life.status.attempts[-1].charged is False
    life.cluster.set_policy(ref, suspend=False)
    life.walk()
    assert life.children() == {"support-prepare-1", "support-train-2"}


@pytest.mark.parametrize("stages_done", range(5))
def test_a_deleted_job_takes_everything_with_it_and_nothing_else(stages_done: int) -> None:
    life = Life()
    ref = life.cluster.submit()
    other = life.cluster.submit("other")
    for _ in range(stages_done):
        life.go_on()
    life.walk()
    life.kubelet.start_pods()
    life.walk()
    life.cluster.remove(ref)
    life.kubelet.let_go()
    assert life.walk() is None
    assert [found for found in life.cluster.objects if found.kind != OUR_EVENT] == [other]


def test_a_job_that_is_being_deleted_is_left_alone() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.cluster.objects[ref]["metadata"]["deletionTimestamp"] = "2026-11-30T12:00:00Z"
    assert life.walk() is None
    assert life.cluster.calls == ["get FineTuneJob ml/support"]


def test_a_job_is_removed_when_its_time_after_the_end_is_over() -> None:
    life = Life()
    life.cluster.submit(runPolicy={"ttlSecondsAfterFinished": 3600})
    for _ in Stage:
        life.go_on()
    assert life.walk() == timedelta(hours=1)
    life.clock.pass_by(minutes=59)
    assert life.walk() == timedelta(minutes=1)
    life.clock.pass_by(minutes=1)
    assert life.walk() is None
    assert [ref for ref in life.cluster.objects if ref.kind != OUR_EVENT] == []


def test_another_job_of_the_name_is_not_removed_in_its_place() -> None:
    life = Life()
    ref = life.cluster.submit(runPolicy={"ttlSecondsAfterFinished": 0})
    life.cluster.objects[ref]["status"] = {"phase": "Failed", "completionTime": "2026-11-30T11:00:00Z"}
    life.cluster.objects[ref]["metadata"]["uid"] = "old"

    async def replaced() -> None:
        raw = await life.cluster.get(ref)
        life.cluster.objects[ref]["metadata"]["uid"] = "new"
        await life.cluster.delete(ref, uid=raw["metadata"]["uid"])

    run(replaced())
    assert ref in life.cluster.objects


def test_children_of_a_predecessor_are_waited_for_and_never_adopted() -> None:
    life = Life()
    life.cluster.submit()
    life.walk()
    claim = Ref(CLAIM, "ml", "support-workspace")
    life.cluster.objects[claim]["metadata"]["ownerReferences"][0]["uid"] = "predecessor"
    life.cluster.remove(Ref(CHILD_JOB, "ml", "support-prepare-1"))
    life.cluster.objects[Ref(FINE_TUNE_JOB, *KEY)]["status"]["attempts"] = [{"stage": "prepare", "number": 1}]
    assert life.walk() == timedelta(seconds=10)
    assert life.status.phase is Phase.PENDING
    assert "support-workspace exists already and belongs to somebody else" in (life.status.message or "")
    assert life.children() == set()
    life.cluster.remove(claim)
    life.walk()
    assert life.children() == {"support-prepare-1"}


def test_what_the_server_calls_invalid_fails_at_once_in_its_words() -> None:
    life = Life()
    life.cluster.refuse = lambda manifest: an_invalid("spec.template.spec.tolerations[0]: bad") if is_job(manifest) else None
    life.cluster.submit()
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert "spec.template.spec.tolerations[0]: bad" in (life.status.message or "")


def is_job(manifest: Manifest) -> bool:
    return manifest["kind"] == "Job"


def test_a_spec_that_a_newer_server_let_through_fails_with_its_problems() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.cluster.objects[ref]["spec"]["method"] = {"type": "telepathy"}
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert "spec.method.type: must be one of" in (life.status.message or "")


def test_what_only_one_machine_can_do_fails_at_once_with_the_field() -> None:
    life = Life()
    life.cluster.submit(model={"uri": "file://model"})
    life.walk()
    assert life.status.phase is Phase.FAILED
    assert "spec.model.uri: file://model is relative" in (life.status.message or "")
    assert life.children() == set()


def test_fields_of_a_newer_status_stay() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.cluster.objects[ref]["status"]["novelty"] = {"a": 1}
    life.walk()
    assert life.cluster.objects[ref]["status"]["novelty"] == {"a": 1}


def test_progress_is_left_to_its_own_writer_and_taken_away_with_its_attempt() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.walk()
    life.clock.pass_by(seconds=5)
    life.kubelet.start_pods()
    life.walk()
    raw = life.cluster.objects[ref]
    report = {"step": 7, "percent": 3, "updatedAt": "2026-11-30T12:00:06Z"}
    run(life.cluster.apply_progress("ml", "support", report, version=raw["metadata"]["resourceVersion"]))
    writes = len(life.cluster.statuses)
    life.clock.pass_by(seconds=5)
    life.walk()
    assert len(life.cluster.statuses) == writes, "a report is no reason to write"
    assert life.status.progress is not None
    life.kubelet.end_pods()
    life.walk()
    assert life.status.progress is None


def test_a_quota_that_keeps_pods_away_is_read_from_the_events() -> None:
    life = Life()
    life.cluster.submit()
    life.walk()
    child = life.cluster.objects[Ref(CHILD_JOB, "ml", "support-prepare-1")]
    child["status"] = {"startTime": "2026-11-30T12:00:00Z"}
    life.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e", "namespace": "ml"},
            "involvedObject": {"uid": child["metadata"]["uid"]},
            "reason": "FailedCreate",
            "message": 'Error creating: pods "x" is forbidden: exceeded quota: rq, requested: requests.cpu=3',
            "lastTimestamp": "2026-11-30T12:00:01Z",
        }
    )
    assert life.walk() == timedelta(seconds=10)
    assert "events" not in life.cluster.calls, "in the first seconds pods may simply not be there yet"
    life.clock.pass_by(seconds=11)
    life.walk()
    assert "exceeded quota: rq" in (life.status.message or "")
    assert EVENT not in {ref.kind for ref in life.cluster.made if ref.name != "e"}


def test_a_job_that_lost_its_status_does_not_run_beside_a_child_it_forgot() -> None:
    life = Life()
    ref = life.cluster.submit()
    life.go_on()
    life.go_on(143)
    life.kubelet.start_pods()
    life.walk()
    assert life.children() == {"support-prepare-1", "support-train-1", "support-train-2"}
    life.cluster.remove(Ref(CHILD_JOB, "ml", "support-train-1"))
    life.clock.pass_by(minutes=2)
    life.cluster.objects[ref]["status"] = {"observedGeneration": 0}
    life.walk()
    assert life.children() == {"support-prepare-1"}, "what it does not know is stopped first"
    life.clock.pass_by(minutes=3)
    life.kubelet.let_go()
    for _ in Stage:
        life.go_on()
    assert life.status.phase is Phase.SUCCEEDED
    assert life.most_pod_sets == 1
