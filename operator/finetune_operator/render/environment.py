"""Environment variables of a stage: its defaults, what the user adds, and what nobody may change, in this order.

Credentials are not here: they come from Secrets by reference, each under the prefix of its URI.
"""

from __future__ import annotations

from finetune_api import meta
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.plan import Plan
from finetune_operator.brain.stages import STAGES, Stage
from finetune_operator.render.child import Manifest
from finetune_operator.render.claim import workspace_path
from finetune_operator.render.resources import room
from finetune_operator.render.service import RENDEZVOUS_PORT, first_pod
from finetune_operator.render.settings import RenderSettings
from finetune_operator.render.volumes import CA_PATH, CACHE, TMP, TOKEN_PATH

_COMPLETION_INDEX = "JOB_COMPLETION_INDEX"
"""Set in every container by the Job controller, unless somebody else has set it: so nobody may."""


def environment(job: FineTuneJob, plan: Plan, attempt: AttemptName, settings: RenderSettings) -> list[Manifest]:
    """The container's `env`, each name once: a later entry of the same name would win.

    What stages rely on (ranks, where reports go, the workspace) is ours whatever the user says; what we only propose is the
    user's to replace.
    """
    fixed = {**_reports(job, settings), **_ranks(job, plan, attempt), meta.WORKSPACE_VARIABLE: workspace_path(job)}
    template = job.spec.pod_template
    said = [dict(entry) for entry in (template.env if template else ())]
    said = [entry for entry in said if entry.get("name") not in {*fixed, _COMPLETION_INDEX}]
    named = {entry.get("name") for entry in said}
    defaults = {k: v for k, v in _defaults(job, plan, attempt, settings).items() if k not in named}
    own = [{"name": name, "value": value} for name, value in fixed.items()]
    return [*({"name": name, "value": value} for name, value in defaults.items()), *said, *own, *_node_rank(job, attempt)]


def _defaults(job: FineTuneJob, plan: Plan, attempt: AttemptName, settings: RenderSettings) -> dict[str, str]:
    """What suits a pod with a read-only root; a user may know better."""
    found = {
        "HOME": TMP,
        "XDG_CACHE_HOME": CACHE,
        "HF_HOME": f"{CACHE}/huggingface",
        "TORCHINDUCTOR_CACHE_DIR": f"{CACHE}/inductor",
        "TRITON_CACHE_DIR": f"{CACHE}/triton",
        "MPLCONFIGDIR": f"{CACHE}/matplotlib",
        "PYTHONUNBUFFERED": "1",
    }
    reserved = room(job, plan, attempt.stage, settings)
    if reserved.gpus == 0:
        # A GPU node's runtime shows all its GPUs to a pod that asked for none, if the image says so.
        found |= {"DS_ACCELERATOR": "cpu", "NVIDIA_VISIBLE_DEVICES": "void"}
    if not STAGES[attempt.stage].distributed:
        # Libraries count the node's cores, of which this pod has a few; the launcher says it to its ranks itself.
        found["OMP_NUM_THREADS"] = str(reserved.threads)
    elif job.spec.resources.nodes > 1:
        found |= {"GLOO_SOCKET_IFNAME": "eth0", "NCCL_SOCKET_IFNAME": "eth0"}
    return found


def _reports(job: FineTuneJob, settings: RenderSettings) -> dict[str, str]:
    path = meta.PROGRESS_PATH.format(namespace=job.metadata.namespace, name=job.name)
    return {
        meta.PROGRESS_URL_VARIABLE: settings.progress_url.rstrip("/") + path,
        meta.PROGRESS_CA_VARIABLE: CA_PATH,
        meta.PROGRESS_TOKEN_VARIABLE: TOKEN_PATH,
    }


def _ranks(job: FineTuneJob, plan: Plan, attempt: AttemptName) -> dict[str, str]:
    """Where rank 0 is, and for a program of the user's how many there are, in the words of torchrun."""
    if not STAGES[attempt.stage].distributed:
        return {}
    several = job.spec.resources.nodes > 1
    found = {"MASTER_ADDR": first_pod(job, attempt), "MASTER_PORT": str(RENDEZVOUS_PORT)} if several else {}
    if job.spec.command is None:
        return found
    return {
        **found,
        meta.CONFIG_VARIABLE: meta.CONFIG_PATH,
        meta.ATTEMPT_VARIABLE: str(attempt.number),
        "PET_NNODES": str(plan.topology.nodes),
        "PET_NPROC_PER_NODE": str(plan.topology.processes_per_node),
        "PET_MASTER_ADDR": first_pod(job, attempt),
        "PET_MASTER_PORT": str(RENDEZVOUS_PORT),
    }


def _node_rank(job: FineTuneJob, attempt: AttemptName) -> list[Manifest]:
    if job.spec.command is None or attempt.stage is not Stage.TRAIN:
        return []
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    return [{"name": "PET_NODE_RANK", "valueFrom": {"fieldRef": {"fieldPath": index}}}]
