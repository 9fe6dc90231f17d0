"""Whether a pod may be placed on a node: its labels, its taints, whether it takes pods at all.

As documented for nodeSelector, node affinity and tolerations (https://kubernetes.io/docs/concepts/scheduling-eviction/).
"""

from __future__ import annotations

from collections.abc import Sequence

from finetune_operator.kinds import Manifest

_REPELS = ("NoSchedule", "NoExecute")
_OF_A_STATE = "node.kubernetes.io/"
"""Taints that come and go with a node's health, or with a cordon."""


def why_not_there(node: Manifest, pod: Manifest, *, now: bool) -> str | None:
    """Why not, in a few words; None if nothing speaks against it.

    Args:
        pod: the spec of a pod.
        now: whether what will pass counts too, such as a cordon or a node that is not ready.
    """
    labels = node["metadata"].get("labels") or {}
    spec = node.get("spec") or {}
    if now and spec.get("unschedulable"):
        return "takes no pods (cordoned)"
    for name, value in (pod.get("nodeSelector") or {}).items():
        if labels.get(name) != value:
            return f"without the label {name}={value}"
    wanted = ((pod.get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if wanted and not any(_matches(term, labels, node["metadata"]["name"]) for term in wanted.get("nodeSelectorTerms") or ()):
        return "outside of the node affinity"
    for taint in spec.get("taints") or ():
        if not now and str(taint.get("key")).startswith(_OF_A_STATE):
            continue
        if taint.get("effect") in _REPELS and not any(_tolerates(one, taint) for one in pod.get("tolerations") or ()):
            return f"with the taint {taint.get('key')}"
    return None


def _matches(term: Manifest, labels: Manifest, name: str) -> bool:
    """Whether all of a term holds; an empty term matches nothing."""
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(_holds(one, labels.get(one.get("key"))) for one in expressions) and all(_holds(one, name) for one in fields)


def _holds(expression: Manifest, value: str | None) -> bool:
    values: Sequence[str] = expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as order:
            try:
                number, bound = int(value or ""), int(values[0])
            except (ValueError, IndexError):
                return False
            return number > bound if order == "Gt" else number < bound
        case _:
            return False


def _tolerates(toleration: Manifest, taint: Manifest) -> bool:
    effect, key = toleration.get("effect"), toleration.get("key")
    if effect and effect != taint.get("effect"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return not key or key == taint.get("key")
    return bool(key == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or ""))
