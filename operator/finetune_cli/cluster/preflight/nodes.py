"""Whether any node could ever hold a pod of the job, and whether one could now.

The scheduler's own filters decide in the end and know more (topology, ports, volumes); these are those of them that
depend on the manifest: labels, taints, and what a node has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from finetune_api.errors import ClusterError
from finetune_cli.cluster.api import Api
from finetune_cli.cluster.kinds import NODE
from finetune_cli.cluster.preflight.findings import Finding, problem, warning
from finetune_cli.cluster.preflight.placement import why_not_there
from finetune_cli.cluster.preflight.subject import ORDINARY, Amounts, Need, Subject, amounts, field_of, shown, told
from finetune_operator.kinds import CONFIG_MAP, POD, Manifest

_AUTOSCALER = ("kube-system", "cluster-autoscaler-status")
_KARPENTER = "karpenter.sh/v1"


async def nodes(api: Api, subject: Subject) -> list[Finding]:
    """A finding for each stage that would have no place."""
    known = await api.find_all(NODE)
    if not known:
        return [problem("", "the cluster has no nodes")]
    never = list(told((need.stage, finding) for need in subject.needs if (finding := _never(known, need))))
    if never:
        if await _grows(api):
            return [warning(one.field, f"{one.message}; the cluster can add nodes, which was not looked into") for one in never]
        return never
    free = await _free(api, known)
    if free is None:
        return []
    return list(told((need.stage, finding) for need in subject.needs if (finding := _not_now(known, free, need))))


def _never(known: list[Manifest], need: Need) -> Finding | None:
    """Why not even empty and healthy nodes would do; None if they would."""
    room = 0
    reasons: Counter[str] = Counter()
    most: Amounts = {}
    for node in known:
        has = amounts((node.get("status") or {}).get("allocatable") or {})
        why = why_not_there(node, need.spec, now=False)
        if why is not None:
            reasons[why] += 1
            continue
        lacking = [resource for resource, value in need.each.items() if value > has.get(resource, Decimal(0))]
        for resource in lacking:
            most[resource] = max(most.get(resource, Decimal(0)), has.get(resource, Decimal(0)))
        if lacking:
            reasons[f"with too little {' and '.join(lacking)}"] += 1
        else:
            room += _times(has, need.each)
    if room >= need.pods:
        return None
    seen = ", ".join(f"{count} {why}" for why, count in reasons.most_common())
    nodes = f"{len(known)} node{'s' if len(known) > 1 else ''}{f': {seen}' if seen else ''}"
    if room:
        return problem("spec.resources.nodes", f"there is room for {room} of {need.pods} {{pods}} ({nodes})")
    asked = ", ".join(
        f"{shown(name, need.each[name])} of {name} (a node has at most {shown(name, has)})" for name, has in most.items()
    )
    # Without the accelerators a job is another job; the rest follows from them.
    blamed = next((name for name in most if name not in ORDINARY), next(iter(most), None))
    field = field_of(blamed, need.stage) if blamed else "spec.scheduling"
    return problem(field, f"no node can hold {{pods}}{f', which ask for {asked}' if asked else ''} ({nodes})")


def _not_now(known: list[Manifest], free: dict[str, Amounts], need: Need) -> Finding | None:
    """Whether there is no room at this moment."""
    fitting = [node for node in known if why_not_there(node, need.spec, now=True) is None]
    room = sum(_times(free[node["metadata"]["name"]], need.each) for node in fitting)
    if room >= need.pods:
        return None
    return warning("", f"now there is room for {room} of {need.pods} {{pods}}: they would wait")


def _times(has: Amounts, each: Amounts) -> int:
    """How many pods fit."""
    return int(min((has.get(name, Decimal(0)) // value for name, value in each.items() if value > 0), default=Decimal(1)))


async def _free(api: Api, known: list[Manifest]) -> dict[str, Amounts] | None:
    """What the nodes' pods leave; None where not all pods may be listed."""
    try:
        pods = await api.find_all(POD, fields="status.phase!=Succeeded,status.phase!=Failed")
    except ClusterError as error:
        if error.status == 403:
            return None
        raise
    free = {node["metadata"]["name"]: amounts((node.get("status") or {}).get("allocatable") or {}) for node in known}
    for pod in pods:
        has = free.get(str((pod.get("spec") or {}).get("nodeName")))
        if has is not None:
            for resource, value in _requests(pod).items():
                has[resource] = has.get(resource, Decimal(0)) - value
    return {name: {resource: max(Decimal(0), value) for resource, value in has.items()} for name, has in free.items()}


def _requests(pod: Manifest) -> Amounts:
    """What the scheduler counts: the containers together, or the largest that runs before them."""
    spec = pod["spec"]
    total = _sum(one for one in spec.get("containers") or ())
    for one in spec.get("initContainers") or ():
        for resource, value in amounts((one.get("resources") or {}).get("requests") or {}).items():
            total[resource] = max(total.get(resource, Decimal(0)), value)
    return total


def _sum(containers: Iterable[Manifest]) -> Amounts:
    total: Amounts = {}
    for one in containers:
        for resource, value in amounts((one.get("resources") or {}).get("requests") or {}).items():
            total[resource] = total.get(resource, Decimal(0)) + value
    return total


async def _grows(api: Api) -> bool:
    """Whether something adds nodes when they are needed, as far as we may see."""
    namespace, name = _AUTOSCALER
    try:
        return await api.metadata(CONFIG_MAP, name, namespace) is not None or await api.serves(_KARPENTER)
    except ClusterError as error:
        if error.status == 403:
            return await api.serves(_KARPENTER)
        raise
