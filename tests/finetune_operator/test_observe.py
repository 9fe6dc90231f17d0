"""What is seen of attempts that wait, run, or belong to somebody else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from api_objects import CREATED, IMAGE, a_child, a_condition, an_event, ended, running, unplaced, waiting
from builders import NOON, a_decision, after, an_attempt
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_api.v1alpha1.status import Phase, Progress
from finetune_operator.brain.observation import AttemptSeen, AttemptState, Observation
from finetune_operator.brain.stages import Stage
from finetune_operator.observe import observe
from finetune_operator.render import Manifest
from rendered import stored

JOB = stored()
BOUND_FOR_GOOD = "a startup deadline that is over"


def seen_of(
    *pods: Manifest, child: Manifest | None = None, events: tuple[Manifest, ...] = (), job: FineTuneJob = JOB
) -> AttemptSeen:
    (found,) = observe(job, [child or a_child()], pods, events, NOON).attempts
    return found


# ---------------------------------------------------------------- at work


def test_an_attempt_runs_once_all_of_its_pods_do() -> None:
    found = seen_of(running(0, since=after(minutes=-9)), running(1, since=after(minutes=-8)))
    assert (found.state, found.started_at) == (AttemptState.RUNNING, after(minutes=-8))


def test_an_attempt_of_which_one_pod_is_missing_has_not_begun() -> None:
    found = seen_of(running(0))
    assert (found.state, found.started_at, found.waiting_since) == (AttemptState.WAITING, None, CREATED)


def a_reporting_job(reported: float, *, number: int = 1) -> FineTuneJob:
    progress = Progress(step=40, total_steps=1200, updated_at=after(minutes=reported), resumed_from_step=20)
    status = JOB.status.model_copy(update={"progress": progress, "attempts": (an_attempt(number=number),)})
    return JOB.model_copy(update={"status": status})


def test_the_newest_report_belongs_to_the_attempt_that_runs() -> None:
    found = seen_of(running(0), running(1), job=a_reporting_job(-1))
    assert found.progress is not None
    assert (found.progress.step, found.resumed_from_step) == (40, 20)


@pytest.mark.parametrize("job", [a_reporting_job(-11), a_reporting_job(-1, number=2)])
def test_a_report_of_another_attempt_is_no_report_of_this_one(job: FineTuneJob) -> None:
    assert seen_of(running(0), running(1), job=job).progress is None


# ---------------------------------------------------------------- waiting for room


def test_a_full_cluster_is_waited_for_in_its_own_words() -> None:
    said = "0/3 nodes are available: 2 Insufficient nvidia.com/gpu, 1 node(s) had untolerated taint."
    found = seen_of(running(0), unplaced(1, said, at=after(minutes=-5)))
    assert (found.state, found.waiting_since) == (AttemptState.WAITING, after(minutes=-5))
    assert found.waits_for == f"room: {said.rstrip('.')}"
    assert found.half_since == after(minutes=-9)  # since then the other pod holds a machine


def test_a_quota_that_others_use_is_waited_for() -> None:
    child = a_child()
    said = 'Error creating: pods "support-train-1-1-x" is forbidden: exceeded quota: team, requested: cpu=2, used: cpu=9'
    found = seen_of(running(0), child=child, events=(an_event(child, "FailedCreate", said),))
    assert found.state is AttemptState.WAITING
    assert found.waits_for == "exceeded quota: team, requested: cpu=2, used: cpu=9"


def test_a_queue_that_has_not_admitted_the_job_is_waited_for_by_name() -> None:
    held = a_condition("Suspended", at=after(minutes=-3))
    child = a_child(suspended=True, conditions=(held,), labels={"kueue.x-k8s.io/queue-name": "gpu-queue"})
    found = seen_of(child=child)
    assert (found.state, found.waiting_since) == (AttemptState.WAITING, after(minutes=-3))
    assert found.waits_for == 'admission by the queue "gpu-queue"'


def test_a_scheduling_gate_is_no_failure() -> None:
    found = seen_of(unplaced(0, reason="SchedulingGated"), unplaced(1, reason="SchedulingGated"))
    assert (found.state, found.half_since) == (AttemptState.WAITING, None)


# ---------------------------------------------------------------- unable to start


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [
        ("ErrImagePull", "not found", f"the image {IMAGE} cannot be pulled (ErrImagePull): not found"),
        ("ImagePullBackOff", "Back-off pulling image", "ImagePullBackOff"),
        ("CreateContainerConfigError", 'secret "hub" not found', 'secret "hub" not found'),
        ("CreateContainerConfigError", "couldn't find key HF_TOKEN", "couldn't find key HF_TOKEN"),
        ("CreateContainerError", "no such device", "no such device"),
    ],
)
def test_a_container_that_cannot_be_made_blocks_with_its_reason(reason: str, message: str, words: str) -> None:
    found = seen_of(waiting(0, reason, message), running(1))
    assert (found.state, found.waiting_since) == (AttemptState.BLOCKED, CREATED + timedelta(seconds=1))
    assert words in (found.waits_for or "")


@pytest.mark.parametrize("reason", ["FailedMount", "FailedAttachVolume"])
def test_a_volume_that_cannot_be_mounted_is_told_by_the_pods_events_alone(reason: str) -> None:
    pod = waiting(0)
    said = 'MountVolume.SetUp failed for volume "finetune-config-map-0" : configmap "exam" not found'
    earlier = an_event(pod, reason, "an older one", at=after(minutes=-3))
    found = seen_of(pod, running(1), events=(earlier, an_event(pod, reason, said), an_event(pod, "Pulling", "Pulling image")))
    assert (found.state, found.waits_for) == (AttemptState.BLOCKED, said)


@pytest.mark.parametrize(
    "said",
    [
        'persistentvolumeclaim "documents" not found',
        "pod has unbound immediate PersistentVolumeClaims. preemption: 0/2 nodes are available",
        "0/2 nodes are available: 1 node(s) had volume node affinity conflict",
    ],
)
def test_a_claim_that_cannot_be_used_is_no_lack_of_room(said: str) -> None:
    found = seen_of(unplaced(0, said), running(1))
    assert found.state is AttemptState.BLOCKED
    assert said in (found.waits_for or "")
    assert ("spec.scheduling" in (found.waits_for or "")) == ("affinity" in said)


def test_a_pod_that_is_just_starting_has_the_startup_deadline() -> None:
    found = seen_of(waiting(0), waiting(1))
    assert (found.state, found.waits_for) == (
        AttemptState.BLOCKED,
        "its containers to start on node-0: images are pulled and volumes mounted",
    )


@pytest.mark.parametrize(
    "pods",
    [
        [],
        [waiting(0), waiting(1)],
        [running(0), waiting(1)],
        [unplaced(0), unplaced(1)],
    ],
    ids=["no pods yet", "creating", "one runs", "not placed yet"],
)
def test_a_start_like_any_other_is_no_wait(pods: list[Manifest]) -> None:
    (found,) = observe(JOB, [a_child()], pods, [], CREATED + timedelta(seconds=30)).attempts
    assert (found.state, found.started_at) == (AttemptState.RUNNING, None)


def test_a_lack_of_room_is_told_at_once_though_another_pod_is_starting() -> None:
    pods = [waiting(0), unplaced(1, "0/2 nodes are available: 2 Insufficient cpu.")]
    (found,) = observe(JOB, [a_child()], pods, [], CREATED + timedelta(seconds=30)).attempts
    assert found.state is AttemptState.WAITING


def test_of_two_troubles_the_worse_is_told() -> None:
    found = seen_of(unplaced(0, "0/2 nodes are available: 2 Insufficient cpu."), waiting(1, "ErrImagePull", "not found"))
    assert "cannot be pulled" in (found.waits_for or "")


def _forbidden(child: Manifest, said: str) -> Manifest:
    return an_event(child, "FailedCreate", f'Error creating: pods "support-train-1-0-x" is forbidden: {said}')


@pytest.mark.parametrize(
    "said",
    [
        'violates PodSecurity "restricted:latest": hostPath volumes (volume "x")',
        "no PriorityClass with name training was found",
        'error looking up service account team/trainer: serviceaccount "trainer" not found',
    ],
)
def test_what_is_forbidden_ends_the_job_at_once_in_the_servers_words(said: str) -> None:
    child = a_child()
    job = JOB.model_copy(update={"status": JOB.status.model_copy(update={"attempts": (an_attempt(started=None),)})})
    found = seen_of(child=child, events=(_forbidden(child, said),))
    assert (found.state, found.waits_for) == (AttemptState.BLOCKED, said)
    waited = NOON - (found.waiting_since or NOON)
    assert waited.total_seconds() == job.spec.run_policy.startup_deadline_seconds, BOUND_FOR_GOOD


@pytest.mark.parametrize(
    "pod",
    [
        waiting(0, "InvalidImageName", "couldn't parse image name"),
        waiting(0, "ErrImageNeverPull", "image is not present"),
        waiting(0, "CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
    ],
)
def test_what_never_heals_is_not_waited_for(pod: Manifest) -> None:
    found = seen_of(pod, running(1))
    assert NOON - (found.waiting_since or NOON) == timedelta(seconds=1800), BOUND_FOR_GOOD


def test_what_may_heal_is_waited_for() -> None:
    found = seen_of(waiting(0, "ErrImagePull", "not found"), running(1))
    assert NOON - (found.waiting_since or NOON) < timedelta(minutes=10)


# ---------------------------------------------------------------- not of this attempt


@pytest.mark.parametrize("pods", [[], [running(0), running(1)]], ids=["nothing of it runs", "its pods run"])
def test_a_predecessors_child_is_none_of_ours_nor_are_its_pods(pods: list[Manifest]) -> None:
    orphan = a_child()
    orphan["metadata"]["ownerReferences"] = []
    assert observe(JOB, [a_child(owner="uid-of-another")], pods, [], NOON) == Observation()
    assert observe(JOB, [orphan], pods, [], NOON) == Observation()


def test_a_pod_of_a_predecessor_is_none_of_an_attempts_pods() -> None:
    stranger = running(1)
    stranger["metadata"]["ownerReferences"][0]["uid"] = "uid-of-another"
    children = [a_child(width=1)]
    found = observe(JOB, children, [running(0), stranger], [], NOON).find(Stage.TRAIN, 1)
    assert found is not None
    assert found.state is AttemptState.RUNNING


def test_pods_that_outlive_their_job_are_waited_for_as_long_as_they_were_given() -> None:
    (found,) = observe(JOB, [], [running(0, deleted_at=after(seconds=-10)), ended(1, 143)], [], NOON).attempts
    assert (found.stage, found.number, found.state) == (Stage.TRAIN, 1, AttemptState.ENDING)
    assert found.ending_since == after(seconds=110)


@pytest.mark.parametrize(
    "pod",
    [
        running(0, deleted_at=after(seconds=-151)),
        running(0, deleted_at=NOON, conditions=(a_condition("Ready", "False", at=after(seconds=-30)),)),
        ended(0, 143, deleted_at=after(seconds=-10)),
    ],
    ids=["overdue", "lost", "ended"],
)
def test_a_pod_without_a_job_that_is_stranded_or_has_ended_holds_nothing_up(pod: Manifest) -> None:
    assert observe(JOB, [], [pod], [], NOON) == Observation()


def test_a_pod_that_only_wears_our_labels_holds_nothing_up() -> None:
    stranger = running(0)
    stranger["metadata"]["ownerReferences"] = []
    assert observe(JOB, [], [stranger], [], NOON) == Observation()


def test_an_object_whose_labels_name_no_attempt_is_none_of_ours() -> None:
    child = a_child()
    child["metadata"]["labels"] = {"finetune.dev/job": "support", "finetune.dev/stage": "serve", "finetune.dev/attempt": "1"}
    assert observe(JOB, [child], [], [], NOON) == Observation()


def test_objects_with_nothing_in_them_are_read() -> None:
    child = a_child()
    child["status"], child["spec"] = {}, {}
    pod = running(0)
    pod["status"] = {}
    assert seen_of(pod, child=child).state is AttemptState.WAITING


def test_the_status_says_what_is_waited_for() -> None:
    status = JOB.status.model_copy(update={"attempts": (an_attempt("prepare", started=None),), "phase": Phase.PREPARING})
    job = JOB.model_copy(update={"status": status})
    child = a_child("prepare", width=1)
    pod = unplaced(0, "0/3 nodes are available: 3 Insufficient cpu.")
    pod["metadata"]["ownerReferences"][0]["uid"] = child["metadata"]["uid"]
    decision = a_decision(job, observe(job, [child], [pod], [], NOON))
    assert decision.status.message == "prepare waits: room: 0/3 nodes are available: 3 Insufficient cpu."
