"""What a job will ask of a cluster, from the same functions that will ask for it: the pods of its stages and its claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_cli.cluster.preflight.findings import Finding
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.machine import large_enough
from finetune_operator.brain.plan import Plan, plan
from finetune_operator.brain.stages import STAGES, Stage
from finetune_operator.kinds import Manifest
from finetune_operator.render.check import check
from finetune_operator.render.claim import workspace_claim
from finetune_operator.render.pod import pod_template
from finetune_operator.settings import Settings

Amounts = dict[str, Decimal]

ORDINARY = ("cpu", "memory")
"""Resources that every node has; all others that a stage asks for are accelerators."""


@dataclass(frozen=True, slots=True)
class Need:
    """The pods of one stage."""

    stage: Stage
    pods: int
    each: Amounts
    """What one of them asks for; of memory at least that, before prepare has measured the model."""
    template: Manifest

    @property
    def spec(self) -> Manifest:
        """Of a pod."""
        spec: Manifest = self.template["spec"]
        return spec


@dataclass(frozen=True, slots=True)
class Subject:
    """A job and what it needs.

    Args:
        job: with the namespace it is meant for.
        raw: as the person wrote it.
    """

    job: FineTuneJob
    raw: Manifest
    plan: Plan
    settings: Settings
    needs: tuple[Need, ...]
    claim: Manifest | None
    """The claim that will be made for it; None if it names one."""

    @property
    def namespace(self) -> str:
        """Where it will run."""
        return self.job.metadata.namespace or ""


def subject(job: FineTuneJob, raw: Manifest, settings: Settings) -> Subject:
    """Plan and render a job that nobody has seen yet; what is beyond a node too, so that all the rest is looked at.

    Raises: InvalidSpec for what no cluster could do.
    """
    check(job)
    planned = plan(job.spec, None, large_enough(settings.machine, job.spec.resources))
    needs = tuple(_need(job, planned, stage, settings) for stage in STAGES)
    return Subject(job, raw, planned, settings, needs, workspace_claim(job, settings.render))


def _need(job: FineTuneJob, planned: Plan, stage: Stage, settings: Settings) -> Need:
    template = pod_template(job, planned, AttemptName(stage, 1), settings.render)
    (container,) = template["spec"]["containers"]
    each = amounts(container["resources"]["requests"])
    return Need(stage, job.spec.resources.nodes if STAGES[stage].distributed else 1, each, template)


def amounts(quantities: Manifest) -> Amounts:
    """Kubernetes' quantities as numbers; what is none is left out."""
    found = {}
    for name, quantity in quantities.items():
        try:
            found[name] = amount(quantity)
        except ValueError:
            continue
    return found


def amount(quantity: Any) -> Decimal:
    """A quantity such as 4, 500m or 16Gi as a number. Raises: ValueError."""
    value: Decimal = parse_quantity(quantity)  # type: ignore[no-untyped-call]
    return value


def shown(resource: str, value: Decimal) -> str:
    """An amount as a person writes it."""
    if resource.endswith(("memory", "storage")):
        return f"{value / 2**30:.4g}Gi"
    return f"{value.normalize():f}"


def field_of(resource: str, stage: Stage) -> str:
    """Where the manifest says how much of it; empty where it follows from the plan or the installation."""
    if resource not in ORDINARY:
        return "spec.resources.gpusPerNode"
    return f"spec.resources.{resource}" if stage is Stage.TRAIN else ""


def told(found: Iterable[tuple[Stage, Finding]]) -> Iterator[Finding]:
    """What is the same of several stages, said once: `{pods}` in a message stands for their pods."""
    stages: dict[Finding, list[str]] = {}
    for stage, finding in found:
        stages.setdefault(finding, []).append(str(stage))
    for finding, names in stages.items():
        *others, last = names
        pods = f"pods of {', '.join(others)} and {last}" if others else f"pods of {last}"
        yield replace(finding, message=finding.message.replace("{pods}", pods))
