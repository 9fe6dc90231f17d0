"""Plan + attempt -> manifests, one module per kind of child. Pure: what is rendered depends on the arguments alone.

Children are created once and never changed afterwards: a second apply would take fields back from Kueue or end in 422.
So everything an attempt needs stands in its manifests from the beginning, and comes in an order in which nothing waits for
something that does not exist yet: what a pod mounts and what shields it, before the Job that makes the pod.
"""

from __future__ import annotations

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.plan import Plan
from finetune_operator.brain.stages import STAGES
from finetune_operator.render.check import check
from finetune_operator.render.child import Manifest, child_name
from finetune_operator.render.claim import workspace_claim
from finetune_operator.render.config_map import orders
from finetune_operator.render.job import child_job
from finetune_operator.render.network_policy import network_policy
from finetune_operator.render.service import headless_service
from finetune_operator.render.settings import RenderSettings

__all__ = ["Manifest", "RenderSettings", "check", "child_name", "render"]


def render(job: FineTuneJob, plan: Plan, attempt: AttemptName, settings: RenderSettings) -> list[Manifest]:
    """Everything one attempt of one stage needs, in the order in which it is to be created; the child Job comes last.

    What earlier attempts need too (the workspace's claim, the headless Service, the stage's NetworkPolicy) is rendered
    each time, under the same name: that it exists already and is owned by the same job counts as created.

    Args:
        job: with metadata.uid and metadata.namespace, as the API server gave it; one that `check` has let pass.
        plan: complete, unless the stage is prepare.
    Raises: ValueError if the plan is not complete and the stage needs it; decide never starts such a stage.
    """
    claim = workspace_claim(job, settings)
    has_peers = STAGES[attempt.stage].distributed and job.spec.resources.nodes > 1
    return [
        *([claim] if claim else []),
        network_policy(job, attempt.stage, settings),
        *([headless_service(job)] if has_peers else []),
        orders(job, plan, attempt),
        child_job(job, plan, attempt, settings),
    ]
