"""How an attempt ended: which pod is to blame, and what its surroundings say.

When a gang dies, one pod has a cause and the others have consequences: they lose a peer (75), or the Job's controller tells
them to stop (143, or 137 when they took too long). Counting failures, or taking the first that is listed, would blame a
survivor and charge the user for a drained node.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from finetune_api.contract.exit_codes import ExitCode, blame
from finetune_api.contract.result import StageResult, decode
from finetune_operator.brain.observation import Exit, ExitReason
from finetune_operator.observe.objects import Pod, attempt_of, holds, last, moment
from finetune_operator.render.child import Manifest

_REFUSED = (
    "UnexpectedAdmissionError",
    "NodeAffinity",
    "NodeName",
    "NodePorts",
    "NodeLost",
    "NodeShutdown",
    "Terminated",
    "Shutdown",
)
_OUT_OF_NODE = "OutOf"
"""Beginning of the reasons with which a kubelet turns a pod away that was placed too late: OutOfcpu, OutOfnvidia.com/gpu."""
_BY_KUBELET = "TerminationByKubelet"
_NOT_STARTED = ("StartError", "ContainerCannotRun")
_CODE = re.compile(r"failed with exit code (\d+)")
_DISRUPTED = re.compile(r"Pod \S+/(\S+) has condition DisruptionTarget")
_WORDS = {
    "PreemptionByScheduler": "preempted by a pod of higher priority",
    "EvictionByEvictionAPI": "evicted, as when a node is drained",
    "DeletionByTaintManager": "its node was lost or tainted",
    "DeletionByDeviceTaintManager": "a device of its node was tainted",
    "DeletionByPodGC": "its node is gone",
    _BY_KUBELET: "its node was shut down",
}


def exit_of(child: Manifest, pods: Sequence[Pod], *, width: int, foreign: bool) -> Exit:
    """How an attempt ended of which nothing runs any more.

    Args:
        child: the child Job; its condition is the last witness where the pods are gone.
        pods: those that are still there.
        width: how many there were to be.
        foreign: whether the program is the user's own, which need not leave a result.
    """
    failed = [pod for pod in pods if pod.phase != "Succeeded"]
    ended_well = [pod for pod in pods if pod.phase == "Succeeded"]
    if not failed and (holds(child, "SuccessCriteriaMet", "Complete") or len(ended_well) >= width):
        return _good_end(child, ended_well, width, foreign)
    candidates = sorted(failed, key=lambda pod: _guilt(pod, pods))
    culprit = candidates[0] if candidates else None
    if culprit is None or _is_survivor(culprit):
        witness = _from_condition(child) or _from_absence(pods, width)
        if witness:
            return witness
    return _bad_end(culprit) if culprit else Exit(None, ExitReason.VANISHED, detail="its pods are gone")


def _good_end(child: Manifest, pods: Sequence[Pod], width: int, foreign: bool) -> Exit:
    """Every pod succeeded, says Kubernetes. It says so too of a pod that was deleted and exits 0 on SIGTERM."""
    name = attempt_of(child)
    leader = next((pod for pod in pods if pod.index == 0), None)
    result = _result(leader) if leader else None
    deleted = next((pod for pod in pods if pod.gone_by and not _has_finished(pod, foreign)), None)
    if deleted or (len({pod.index for pod in pods}) < width and (leader is None or foreign)):
        what = f"the pod {deleted.name} was deleted" if deleted else "a pod was deleted"
        return Exit(
            None, ExitReason.DISRUPTED, detail=f"{what} before its work was done", pod=deleted.name if deleted else None
        )
    if result is None and foreign and name:
        result = StageResult(stage=name.stage, attempt=name.number)
    assert leader is not None
    return Exit(int(ExitCode.DONE), result=result, pod=leader.name, node=leader.node)


def _has_finished(pod: Pod, foreign: bool) -> bool:
    """Whether a pod that was told to stop and exited 0 had done its work before."""
    result = _result(pod)
    if result is not None:
        return result.error is None
    # By its node's clock too, which may have been set right meanwhile: work that is not done must never count as done.
    finished, told = last(pod.finished_at, moment((pod.terminated or {}).get("finishedAt"))), pod.told_at
    # Whole seconds: who ends in the second in which it is told to most likely ends because of it.
    return foreign and finished is not None and told is not None and finished < told


def _guilt(pod: Pod, pods: Sequence[Pod]) -> tuple[int, str, int]:
    """The smaller, the more likely the cause."""
    code = _code(pod)
    finished = pod.finished_at
    others = [other for other in pods if other is not pod and other.phase == "Failed"]
    consequence = pod.gone_by is not None and any(
        other.finished_at and pod.told_at and other.finished_at <= pod.told_at for other in others
    )
    disrupted = holds(pod.raw, "DisruptionTarget") is not None or pod.reason is not None
    if consequence and not disrupted:
        order = 5
    elif pod.gone_by is None and code is not None and blame(code) <= 1:
        order = 0
    elif disrupted:
        order = 1
    elif pod.gone_by is not None:
        order = 2
    else:
        order = 4 if code == ExitCode.TRANSIENT else 3
    return order, finished.isoformat() if finished else "", pod.index


def _is_survivor(pod: Pod) -> bool:
    """Whether it ended only because another one did."""
    return _code(pod) == ExitCode.TRANSIENT and holds(pod.raw, "DisruptionTarget") is None


def _bad_end(pod: Pod) -> Exit:
    told = pod.terminated or {}
    reason, detail = _reason(pod)
    if detail is None and told.get("reason") in _NOT_STARTED:
        detail = f"its program could not be started: {told.get('message') or told.get('reason')}"
    return Exit(_code(pod), reason, _result(pod), detail, pod.name, pod.node)


def _reason(pod: Pod) -> tuple[ExitReason, str | None]:
    told = pod.terminated or {}
    disruption = holds(pod.raw, "DisruptionTarget")
    if told.get("reason") == "OOMKilled":
        return ExitReason.OUT_OF_MEMORY, f"its memory limit was exceeded (OOMKilled) on {pod.node}"
    if pod.reason == "Evicted" and (disruption is None or disruption.get("reason") == _BY_KUBELET):
        return ExitReason.EVICTED, f"evicted by {pod.node}: {pod.status.get('message') or 'it ran short of a resource'}"
    if disruption is not None:
        why = str(disruption.get("reason") or "")
        return ExitReason.DISRUPTED, f"{_WORDS.get(why, why)} ({pod.node}): {disruption.get('message') or why}"
    if pod.reason in _REFUSED or (pod.reason or "").startswith(_OUT_OF_NODE):
        return ExitReason.DISRUPTED, f"{pod.node} did not take or keep it ({pod.reason}): {pod.status.get('message') or ''}"
    if pod.gone_by is not None:
        return ExitReason.DISRUPTED, "its pod was deleted"
    if pod.terminated is None:
        said = pod.status.get("message") or pod.reason or "nothing tells why"
        return ExitReason.VANISHED, f"it ended without an exit code: {said}"
    return ExitReason.EXITED, None


def _from_condition(child: Manifest) -> Exit | None:
    """What the failure policy's own words tell of a pod that is gone."""
    failure = holds(child, "FailureTarget", "Failed") or {}
    said = str(failure.get("message") or "")
    if found := _DISRUPTED.search(said):
        return Exit(None, ExitReason.DISRUPTED, detail=f"disrupted: {said}", pod=found[1])
    if found := _CODE.search(said):
        return Exit(int(found[1]), detail=None)
    return None


def _from_absence(pods: Sequence[Pod], width: int) -> Exit | None:
    """A pod that is not there any more was deleted: those that fail by themselves stay."""
    missing = sorted(set(range(width)) - {pod.index for pod in pods})
    return Exit(None, ExitReason.DISRUPTED, detail=f"pod {missing[0]} was deleted") if missing else None


def _code(pod: Pod) -> int | None:
    code = (pod.terminated or {}).get("exitCode")
    return int(code) if code is not None else None


def _result(pod: Pod) -> StageResult | None:
    return decode(str((pod.terminated or {}).get("message") or ""))
