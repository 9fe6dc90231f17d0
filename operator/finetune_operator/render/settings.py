"""What the installation says about every child alike: images, where to report, who the operator is, how names are resolved.

The operator reads it from its environment once (settings.py above); rendering gets it as a value, so that a golden file
depends on nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from finetune_operator.brain.machine import Machine


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """Values of the installation."""

    trainer_image: str
    machine: Machine
    """What one node offers to a pod: the same value that the plan was made with."""
    operator_namespace: str
    operator_labels: Mapping[str, str]
    """Labels of the operator's pods; a NetworkPolicy selects them, because it sees pods and never Services."""
    progress_url: str
    """Base of the progress server, as in https://finetune-operator.finetune-system.svc:8443; the job's path is appended."""
    progress_port: int
    """Port of the progress server's container, which a NetworkPolicy sees behind the Service."""
    ca_config_map: str
    """ConfigMap in the job's namespace whose key ca.crt holds the certificates to trust; kept there by the operator."""
    token_audience: str
    token_seconds: int = 3600
    """Life of a progress token; the kubelet renews it at 80 %."""
    light_cpu: str = "1"
    """CPU of prepare and publish."""
    light_memory: str = "4Gi"
    """Memory of prepare and publish."""
    workspace_size: str = "50Gi"
    """Size of a claim where a job says none: it is made before anybody knows how large the model is."""
    storage_class_name: str | None = None
    """Storage class of such a claim; None: the cluster's default."""
    fs_group: int | None = 65532
    """Group that owns the volumes, so that a pod without root can write them. None where the cluster assigns one, as
    OpenShift does."""
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    grace_seconds: int = 120
    """How long a pod that is told to stop may go on: its longest step and a checkpoint have to fit."""
    lost_node_seconds: int = 30
    """How long a pod stays bound to a node that is not ready or does not answer; Kubernetes' default is 300."""
    dns_namespace: str = "kube-system"
    dns_labels: Mapping[str, str] = field(default_factory=lambda: {"k8s-app": "kube-dns"})
    dns_addresses: tuple[str, ...] = ("169.254.20.10/32",)
    """Name servers that are no pods, such as node-local DNS."""
    dns_ports: tuple[int, ...] = (53,)
    """Ports on which the name servers listen: a NetworkPolicy is applied after a Service is translated."""
