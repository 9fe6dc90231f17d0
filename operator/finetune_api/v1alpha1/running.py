"""Where and under which limits a job runs: resources, scheduling, pods, workspace, network, run policy."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from finetune_api.model import CpuQuantity, Model, ObjectName, Quantity, Rule, Text

Raw = dict[str, Any]
"""Part of a pod as Kubernetes defines it: passed through unread, or a newer Kubernetes' fields would be lost."""

Seconds = Annotated[int, Field(ge=1, le=2**31 - 1)]
RawList = Annotated[tuple[Raw, ...], Field(max_length=64)]
Names = dict[str, str]


class Resources(Model):
    """Machines for training."""

    nodes: Annotated[int, Field(ge=1, le=1000)] = 1
    """Pods that train together, one per machine. On one machine without a cluster: processes."""
    gpus_per_node: Annotated[int, Field(ge=0, le=64)] = 1
    """GPUs per pod, one training process each; 0 trains on the CPU."""
    gpu_resource: Text = "nvidia.com/gpu"
    """Name of the extended resource that stands for one GPU."""
    cpu: CpuQuantity | None = None
    """CPU of a training pod. Left out: derived from the plan."""
    memory: Quantity | None = None
    """Memory of a training pod. Left out: derived from the plan."""
    shared_memory: Quantity | None = None
    """Size of /dev/shm. Left out: derived from the plan."""


class Scheduling(Model):
    """Which nodes and which queue."""

    queue_name: ObjectName | None = None
    """Kueue LocalQueue that admits the pods."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""
    scheduler_name: ObjectName | None = None
    """Scheduler of the pods."""
    node_selector: Annotated[Names, Field(max_length=32)] | None = None
    """Labels a node must have."""
    tolerations: RawList = ()
    """Tolerations, as in a pod."""
    affinity: Raw | None = None
    """Affinity, as in a pod."""


class PodTemplate(Model):
    """What may be added to the pods. Nothing here can loosen their security settings."""

    labels: Annotated[Names, Field(max_length=32)] | None = None
    """Further labels."""
    annotations: Annotated[Names, Field(max_length=32)] | None = None
    """Further annotations."""
    env: RawList = ()
    """Further environment variables, as in a container."""
    env_from: RawList = ()
    """Environment from secrets and config maps, as in a container."""
    volumes: RawList = ()
    """Further volumes, as in a pod."""
    volume_mounts: RawList = ()
    """Where the further volumes appear, as in a container."""
    image_pull_secrets: Annotated[tuple[ObjectName, ...], Field(max_length=16)] = ()
    """Secrets for the image registry."""
    service_account_name: ObjectName | None = None
    """Service account of the pods. Its token is not mounted."""
    runtime_class_name: ObjectName | None = None
    """Runtime class of the pods."""


class Workspace(Model):
    """Volume that the stages share: model, tokens, checkpoints, reports."""

    claim_name: ObjectName | None = None
    """Existing claim. More than one node needs a claim that several nodes can mount (ReadWriteMany)."""
    size: Quantity | None = None
    """Size of a claim made for this job and removed with it. Left out: what the operator was installed with."""
    storage_class_name: ObjectName | None = None
    """Storage class of the claim made for this job. Left out: what the operator was installed with."""
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"] | None = None
    """Access mode of the claim made for this job. Left out: ReadWriteMany when there is more than one node."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.claimName) || (!has(self.size) && !has(self.storageClassName) && !has(self.accessMode))",
            holds=lambda w: w.claim_name is None or (w.size, w.storage_class_name, w.access_mode) == (None, None, None),
            message="claimName names an existing claim; size, storageClassName and accessMode are for a new one",
            field="claimName",
        ),
    )


class Network(Model):
    """What the pods may reach."""

    egress: Literal["deny", "allow"] = "deny"
    """deny: training and evaluation reach nothing but each other, DNS and the operator."""
    allow: RawList = ()
    """Further egress rules, as in a NetworkPolicy."""


class RunPolicy(Model):
    """Limits in time and number, and the two switches that may change later."""

    suspend: bool = False
    """Stop the job and keep what was reached; false again continues it. May change after creation."""
    max_restarts: Annotated[int, Field(ge=0, le=1000)] = 3
    """Restarts after failures, over all stages. Disruptions (drain, preemption, lost node) are not charged."""
    active_deadline_seconds: Seconds | None = None
    """Longest time over all stages and attempts, suspension not counted."""
    startup_deadline_seconds: Seconds = 1800
    """How long an attempt may be unable to start (image, volume, permission) before the job fails with the reason."""
    queue_deadline_seconds: Seconds | None = None
    """How long an attempt may wait for room. Left out: without limit."""
    stall_timeout_seconds: Seconds = 1800
    """An attempt that reports no further step for so long is restarted."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """Delete the job so long after its end. May change after creation. A job kept in Git would be created and trained
    again by the next sync."""

    mutable: ClassVar[tuple[str, ...] | None] = ("suspend", "ttlSecondsAfterFinished")
    path: ClassVar[str] = "spec.runPolicy"
