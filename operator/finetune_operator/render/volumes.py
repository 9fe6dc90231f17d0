"""Volumes of a stage's pod and where they appear. Our names begin with `finetune-`, so that a user's never meet them."""

from __future__ import annotations

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.plan import Plan
from finetune_operator.render.child import Manifest, child_name
from finetune_operator.render.claim import WORKSPACE, used_claim
from finetune_operator.render.config_map import ORDERS_FOLDER
from finetune_operator.render.resources import room
from finetune_operator.render.settings import RenderSettings
from finetune_operator.render.sources import CLAIMS, CONFIG_MAPS, claims, config_maps

TMP = "/tmp"
CACHE = f"{TMP}/cache"
SHARED_MEMORY = "/dev/shm"
REPORTING = "/var/run/finetune"
TOKEN_PATH = f"{REPORTING}/token"
CA_PATH = f"{REPORTING}/ca.crt"
OUR_PREFIX = "finetune-"
OUR_PLACES = (WORKSPACE, ORDERS_FOLDER, REPORTING, TMP, SHARED_MEMORY, CLAIMS, CONFIG_MAPS)
"""Where nothing of the user's may be mounted."""

_WORKSPACE = f"{OUR_PREFIX}workspace"
_ORDERS = f"{OUR_PREFIX}orders"
_REPORTING = f"{OUR_PREFIX}reporting"
_TMP = f"{OUR_PREFIX}tmp"
_SHARED_MEMORY = f"{OUR_PREFIX}shared-memory"


def volumes(job: FineTuneJob, plan: Plan, attempt: AttemptName, settings: RenderSettings) -> list[Manifest]:
    """Our volumes of the pod, none twice: a claim that is workspace and source at once is one of them."""
    found: list[Manifest] = [
        {"name": _WORKSPACE, "persistentVolumeClaim": {"claimName": used_claim(job)}},
        {"name": _ORDERS, "configMap": {"name": child_name(job.name, attempt)}},
        {"name": _REPORTING, "projected": {"sources": _reporting(settings)}},
        {"name": _TMP, "emptyDir": {}},
    ]
    shared = room(job, plan, attempt.stage, settings).shared_memory
    if shared is not None:
        found.append({"name": _SHARED_MEMORY, "emptyDir": {"medium": "Memory", "sizeLimit": shared}})
    found += [
        {"name": _name("claim", index), "persistentVolumeClaim": {"claimName": claim}}
        for index, claim in enumerate(_further_claims(job, attempt))
    ]
    found += [
        {"name": _name("config-map", index), "configMap": {"name": name}}
        for index, name in enumerate(config_maps(job, attempt.stage))
    ]
    return found


def volume_mounts(job: FineTuneJob, plan: Plan, attempt: AttemptName, settings: RenderSettings) -> list[Manifest]:
    """Where the container sees `volumes`; claims and config maps that are only read are mounted so."""
    found: list[Manifest] = [
        {"name": _WORKSPACE, "mountPath": WORKSPACE},
        {"name": _ORDERS, "mountPath": ORDERS_FOLDER, "readOnly": True},
        {"name": _REPORTING, "mountPath": REPORTING, "readOnly": True},
        {"name": _TMP, "mountPath": TMP},
    ]
    if room(job, plan, attempt.stage, settings).shared_memory is not None:
        found.append({"name": _SHARED_MEMORY, "mountPath": SHARED_MEMORY})
    further = _further_claims(job, attempt)
    for claim, written in claims(job, attempt.stage).items():
        name = _name("claim", further.index(claim)) if claim in further else _WORKSPACE
        found.append({"name": name, "mountPath": f"{CLAIMS}/{claim}", **({} if written else {"readOnly": True})})
    found += [
        {"name": _name("config-map", index), "mountPath": f"{CONFIG_MAPS}/{name}", "readOnly": True}
        for index, name in enumerate(config_maps(job, attempt.stage))
    ]
    return found


def _further_claims(job: FineTuneJob, attempt: AttemptName) -> list[str]:
    """Claims beside the workspace: a claim that is both is one volume with two mounts."""
    return [name for name in claims(job, attempt.stage) if name != used_claim(job)]


def _reporting(settings: RenderSettings) -> list[Manifest]:
    """A token for the progress server alone, and the certificates by which that is known.

    The certificates are optional: a pod that cannot report still trains, one that cannot start does not.
    """
    token = {"audience": settings.token_audience, "expirationSeconds": settings.token_seconds, "path": "token"}
    authority = {"name": settings.ca_config_map, "optional": True, "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    return [{"serviceAccountToken": token}, {"configMap": authority}]


def _name(kind: str, index: int) -> str:
    return f"{OUR_PREFIX}{kind}-{index}"
