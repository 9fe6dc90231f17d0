"""What the server itself says: the job applied, and a pod of each kind created, without anything being kept.

All that stands between a manifest and a pod has its say this way, also what we do not know of: schema, rules, admission
webhooks, Pod Security, policies of the company.
"""

from __future__ import annotations

from finetune_api.errors import ClusterError
from finetune_cli.cluster.api import Api
from finetune_cli.cluster.kinds import QUOTA
from finetune_cli.cluster.preflight.findings import Finding, problem, unseen, warning
from finetune_cli.cluster.preflight.subject import Need, Subject, told
from finetune_operator.brain.stages import Stage
from finetune_operator.kinds import FINE_TUNE_JOB, POD

_REFUSALS = (400, 403, 409, 422)


async def apply(api: Api, subject: Subject) -> list[Finding]:
    """The job, as `kubectl apply --server-side --dry-run=server` would try it."""
    metadata = {**(subject.raw.get("metadata") or {}), "namespace": subject.namespace}
    manifest = {**subject.raw, "metadata": metadata}
    manifest.pop("status", None)
    try:
        await api.try_apply(FINE_TUNE_JOB, manifest)
    except ClusterError as error:
        if error.status not in _REFUSALS:
            raise
        if error.status == 403 and "cannot patch resource" in error.message:
            return [unseen("", "what the server makes of the manifest: you may not apply FineTuneJobs there")]
        if error.causes:
            return [problem(cause.field, cause.message) for cause in error.causes]
        return [problem("", f"the server refuses the job: {_words(error)}")]
    return []


async def pods(api: Api, subject: Subject) -> list[Finding]:
    """A pod of the first stage and one of training; those of the others differ from them in size alone."""
    tried = [need for need in subject.needs if need.stage in (Stage.PREPARE, Stage.TRAIN)]
    return list(told([(need.stage, finding) for need in tried for finding in await _pod(api, subject, need)]))


async def _pod(api: Api, subject: Subject, need: Need) -> list[Finding]:
    metadata = {**need.template["metadata"], "generateName": f"{subject.job.name}-trial-", "namespace": subject.namespace}
    try:
        await api.create(POD, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": need.spec}, dry_run=True)
    except ClusterError as error:
        if error.status not in _REFUSALS:
            raise
        if error.status == 403 and "cannot create resource" in error.message:
            return [unseen("", "whether the namespace takes the pods: you may not try to create one (the operator may)")]
        if "exceeded quota" in error.message:  # where quotas may be read it is known already, and how much is missing
            seen = await api.may("list", QUOTA, subject.namespace)
            return [] if seen else [warning("", f"{{pods}} would wait: {_words(error)}")]
        return [problem("", f"namespace {subject.namespace} refuses {{pods}}: {_words(error)}")]
    return []


def _words(error: ClusterError) -> str:
    return error.message.partition("is forbidden: ")[2] or error.message
