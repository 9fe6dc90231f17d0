"""Quotas and limit ranges of the namespace: what it will never grant, and what it would not grant now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from finetune_cli.cluster.api import Api
from finetune_cli.cluster.kinds import LIMIT_RANGE, QUOTA
from finetune_cli.cluster.preflight.findings import Finding, problem, unseen, warning
from finetune_cli.cluster.preflight.subject import ORDINARY, Amounts, Subject, amount, amounts, field_of, shown, told
from finetune_operator.brain.stages import STAGES
from finetune_operator.kinds import Manifest

_STORAGE_FIELD = "spec.workspace.size"
_OF_CLASS = ".storageclass.storage.k8s.io/"


async def quotas(api: Api, subject: Subject) -> list[Finding]:
    """Against every ResourceQuota that would count the job's objects."""
    found: list[Finding] = []
    for quota in await api.find_all(QUOTA, subject.namespace):
        name = quota["metadata"]["name"]
        counted = _counts(quota, subject)
        if counted is None:
            found.append(unseen("", f'whether the quota "{name}" counts the job: its scope is one that is not known here'))
        elif counted:
            found += _against(quota, subject)
    return found


def _counts(quota: Manifest, subject: Subject) -> bool | None:
    """Whether a quota is about pods such as ours; None where that cannot be told."""
    spec = quota.get("spec") or {}
    terms = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    for term in terms:
        match term.get("scopeName"):
            case "NotTerminating" | "NotBestEffort":
                continue
            case "Terminating" | "BestEffort":
                return False
            case "PriorityClass":
                if not _has_priority(term, subject.job.spec.scheduling.priority_class_name):
                    return False
            case _:
                return None
    return True


def _has_priority(term: Manifest, name: str | None) -> bool:
    values = term.get("values") or ()
    match term.get("operator"):
        case "In":
            return name in values
        case "NotIn":
            return name not in values
        case "DoesNotExist":
            return name is None
        case _:
            return name is not None


def _against(quota: Manifest, subject: Subject) -> Iterator[Finding]:
    name = quota["metadata"]["name"]
    hard, used = amounts(quota["spec"].get("hard") or {}), amounts((quota.get("status") or {}).get("used") or {})
    for key, (need, field, what) in _needed(subject).items():
        limit = hard.get(key)
        if limit is None or need == 0:
            continue
        if need > limit:
            yield problem(field, f'{what} {shown(key, need)} of {key}; the quota "{name}" allows {shown(key, limit)} in all')
        elif need > limit - used.get(key, Decimal(0)):
            taken = f'{shown(key, used[key])} of the {shown(key, limit)} of the quota "{name}" are in use'
            yield warning(field, f"{what} {shown(key, need)} of {key}; {taken}: it would wait")


def _needed(subject: Subject) -> dict[str, tuple[Decimal, str, str]]:
    """By key of a quota: the most that any stage needs, the field that says so, and the words for it."""
    found: dict[str, tuple[Decimal, str, str]] = {}

    def need(key: str, value: Decimal, field: str, what: str) -> None:
        if key not in found or value > found[key][0]:
            found[key] = (value, field, what)

    for one in subject.needs:
        what = f"{one.stage} needs"
        for key in ("pods", "count/pods"):
            need(key, Decimal(one.pods), "spec.resources.nodes" if one.pods > 1 else "", what)
        for resource, each in one.each.items():
            for key in _keys(resource):
                need(key, each * one.pods, field_of(resource, one.stage), what)
    children = Decimal(len(STAGES))
    for key, count in (("count/jobs.batch", children), ("count/configmaps", children), ("configmaps", children)):
        need(key, count, "", "the job's stages need")
    need("count/finetunejobs.finetune.dev", Decimal(1), "", "the job needs")
    if subject.claim is not None:
        spec = subject.claim["spec"]
        size = amount(spec["resources"]["requests"]["storage"])
        what = "the workspace needs"
        for prefix in ("", *([spec["storageClassName"] + _OF_CLASS] if "storageClassName" in spec else [])):
            need(f"{prefix}requests.storage", size, _STORAGE_FIELD, what)
            need(f"{prefix}persistentvolumeclaims", Decimal(1), "spec.workspace", what)
        need("count/persistentvolumeclaims", Decimal(1), "spec.workspace", what)
    return found


def _keys(resource: str) -> tuple[str, ...]:
    """Names under which a quota may bound a resource; requests equal limits here."""
    if resource in ORDINARY:
        return (resource, f"requests.{resource}", f"limits.{resource}")
    return (f"requests.{resource}", f"limits.{resource}")


async def limit_ranges(api: Api, subject: Subject) -> list[Finding]:
    """Against every LimitRange: the server would refuse each pod, or the claim."""
    found: list[Finding] = []
    for limits in await api.find_all(LIMIT_RANGE, subject.namespace):
        name = limits["metadata"]["name"]
        for item in (limits.get("spec") or {}).get("limits") or ():
            match item.get("type"):
                case "Container" | "Pod":  # one container is the whole pod
                    found += told(
                        (one.stage, replace(finding, field=field_of(resource, one.stage)))
                        for one in subject.needs
                        for resource, finding in _bounds(item, one.each, name, "{pods} ask for")
                    )
                case "PersistentVolumeClaim" if subject.claim is not None:
                    asked = amounts(subject.claim["spec"]["resources"]["requests"])
                    found += [finding for _, finding in _bounds(item, asked, name, "the workspace asks for")]
    return found


def _bounds(item: Manifest, asked: Amounts, name: str, what: str) -> Iterator[tuple[str, Finding]]:
    """By resource: what the range would not grant."""
    least, most = amounts(item.get("min") or {}), amounts(item.get("max") or {})
    for resource, value in asked.items():
        if resource in most and value > most[resource]:
            bound = f"allows at most {shown(resource, most[resource])}"
        elif resource in least and value < least[resource]:
            bound = f"asks for at least {shown(resource, least[resource])}"
        else:
            continue
        words = f'{what} {shown(resource, value)} of {resource}; the limit range "{name}" {bound}'
        yield resource, problem(_STORAGE_FIELD, words)
