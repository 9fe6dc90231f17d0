"""The reconciler with a cluster in memory and a kubelet of ours, and whole lives of jobs as stories."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar, cast

from builders import a_node, a_result
from cluster.witness import Witness
from fakes import Clock, Crash, FakeCluster, Fault, Kubelet, is_over, stamp
from finetune_api.contract.result import StageError, StageResult
from finetune_api.errors import ClusterError, Conflict
from finetune_api.v1alpha1.status import FineTuneJobStatus, Phase
from finetune_operator.brain.stages import Stage
from finetune_operator.brain.transitions import Transition
from finetune_operator.kinds import CHILD_JOB, CONFIG_MAP, FINE_TUNE_JOB, POD, Manifest, Ref, owner_uid
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
        self.made_ready: list[str] = []
        self.most_pod_sets = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """A new process, that remembers nothing."""

        async def ready(namespace: str) -> None:
            self.made_ready.append(namespace)

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

    def report(self, step: int, **more: Any) -> None:
        """A trainer reports, and it is written into the status."""
        version = self.cluster.objects[Ref(FINE_TUNE_JOB, *KEY)]["metadata"]["resourceVersion"]
        said = {"step": step, "totalSteps": 10_000, "updatedAt": stamp(self.clock.now), **more}
        run(self.cluster.apply_progress(KEY.namespace, KEY.name, said, version=version))

    @property
    def status(self) -> FineTuneJobStatus:
        return self.cluster.status(Ref(FINE_TUNE_JOB, *KEY))

    def children(self) -> set[str]:
        return {job["metadata"]["name"] for job in self.cluster.all(CHILD_JOB)}


def stages_done(number: int) -> Callable[[Life], None]:
    """So many stages are done and the pods of the next one run."""

    def story(life: Life) -> None:
        for _ in range(number):
            life.go_on()
        life.walk()
        life.kubelet.start_pods()
        life.walk()

    return story


def is_job(manifest: Manifest) -> bool:
    return manifest["kind"] == "Job"


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


def be_taken_back(life: Life, child: Ref) -> None:
    """A queue preempts a child Job that runs, until the last of its pods is gone."""
    life.kubelet.take_back(child)
    life.walk()
    life.clock.pass_by(seconds=40)
    life.kubelet.end_told_pods()
    life.walk()
    life.kubelet.let_go()
    life.walk()


def be_taken_back_and_succeed(life: Life) -> None:
    """Its queue preempts it, and lets it go on an hour later."""
    life.cluster.submit(scheduling={"queueName": "gpu"}, resources={"nodes": 2, "gpusPerNode": 8})
    life.go_on()
    life.kubelet.start_pods()
    life.walk()
    child = Ref(CHILD_JOB, KEY.namespace, f"{KEY.name}-train-1")
    be_taken_back(life, child)
    life.clock.pass_by(hours=1)
    life.cluster.objects[child]["spec"]["suspend"] = False
    for _ in range(3):
        life.go_on()


LIVES = {
    "succeeds": (succeed, Phase.SUCCEEDED),
    "is rejected": (be_rejected, Phase.REJECTED),
    "fails": (fail_in_the_data, Phase.FAILED),
    "loses a node": (lose_a_node_and_succeed, Phase.SUCCEEDED),
    "is suspended": (pause_and_succeed, Phase.SUCCEEDED),
    "is preempted by its queue": (be_taken_back_and_succeed, Phase.SUCCEEDED),
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


def witness_of(life: Life) -> Witness:
    """Somebody who saw every version that was written."""
    dumped = [status.model_dump(mode="json", by_alias=True, exclude_none=True) for status in life.cluster.statuses]
    return Witness([{"status": status} for status in dumped])
