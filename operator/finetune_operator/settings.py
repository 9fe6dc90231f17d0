"""What the installation says: read from the environment once, checked at once.

A chart value that is wrong has to end the process with its name, not a job three hours later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetune_api.errors import InvalidSpec, Problem
from finetune_api.model import CORES
from finetune_operator.brain.machine import Machine
from finetune_operator.render import RenderSettings

PREFIX = "FINETUNE_"
_JSON_FIELDS = frozenset(
    {"operator_labels", "image_pull_secrets", "watch_namespaces", "dns_labels", "dns_addresses", "dns_ports"}
)


class Settings(BaseModel):
    """One field per environment variable: `FINETUNE_` and the field's name in capitals. Lists and maps are JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Annotated[str, Field(min_length=1)]
    """Namespace of the operator itself."""
    pod_name: Annotated[str, Field(min_length=1)]
    """Name of this replica's pod."""
    trainer_image: Annotated[str, Field(min_length=1)]
    """Image of the stages where a job names none."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """For the stages' pods."""
    image_pull_secrets: tuple[str, ...] = ()
    """For the stages' pods, in the job's namespace."""
    operator_labels: dict[str, str]
    """Labels of the operator's pods, for NetworkPolicies."""
    watch_namespaces: tuple[str, ...] = ()
    """Namespaces to serve; none: all."""

    progress_service: Annotated[str, Field(min_length=1)] = "finetune-operator-progress"
    """Service in front of the progress server."""
    progress_service_port: Annotated[int, Field(ge=1, le=65535)] = 8443
    """Port of that Service."""
    progress_port: Annotated[int, Field(ge=0, le=65535)] = 8443
    """Port on which the progress server listens."""
    probe_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of probes and metrics."""
    token_audience: str = "finetune.dev/progress"
    """Audience of the stages' progress tokens."""
    ca_config_map: str = "finetune-progress-ca"
    """ConfigMap in each job's namespace that holds the certificates to trust."""
    ca_secret: str = "finetune-operator-progress-ca"
    """Secret in the operator's namespace that holds the authority's key."""
    lease_name: str = "finetune-operator"
    """Lease in the operator's namespace."""

    node_cpu_cores: Annotated[int, Field(ge=1)] = 16
    """CPU cores that one node offers to pods."""
    node_memory_gib: Annotated[float, Field(gt=0)] = 64.0
    """Memory that one node offers to pods."""
    node_gpus: Annotated[int, Field(ge=0)] = 8
    """GPUs of one node."""
    gpu_memory_gib: Annotated[float, Field(gt=0)] = 80.0
    """Memory of one GPU."""
    gpu_tflops: Annotated[float, Field(gt=0)] = 989.0
    """Dense bf16 peak of one GPU, in 10^12 operations per second."""
    gpu_bf16: bool = True
    """Whether its GPUs multiply bf16 natively."""
    cpu_bf16: bool = False
    """Whether its CPUs do."""
    light_cpu: Annotated[str, Field(pattern=CORES)] = "1"
    """CPU of the pods that prepare and publish."""
    light_memory: str = "4Gi"
    """Memory of these pods."""
    workspace_size: str = "50Gi"
    """Size of a job's workspace where the job says none."""
    storage_class_name: str = ""
    """Storage class of a job's workspace where the job says none; empty: the cluster's default."""
    fs_group: Annotated[int, Field(ge=0)] = 65532
    """Group that owns the volumes of the stages' pods; 0 where the cluster assigns one, as OpenShift does."""
    grace_seconds: Annotated[int, Field(ge=1)] = 120
    """How long a pod that is told to stop may go on."""
    lost_node_seconds: Annotated[int, Field(ge=0)] = 30
    """How long a pod stays bound to a node that does not answer."""
    dns_namespace: str = "kube-system"
    """Namespace of the cluster's name servers."""
    dns_labels: dict[str, str] = Field(default_factory=lambda: {"k8s-app": "kube-dns"})
    """Labels of their pods."""
    dns_addresses: tuple[str, ...] = ("169.254.20.10/32",)
    """Name servers that are no pods."""
    dns_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = (53,)
    """Ports on which name servers listen; a NetworkPolicy sees those of the pods, not the Service's."""

    workers: Annotated[int, Field(ge=1, le=256)] = 16
    """Jobs that are looked at at the same time."""
    api_calls_per_second: Annotated[float, Field(gt=0)] = 500.0
    """Most calls to the API server for reconciling, in the mean; twice that in a burst."""
    progress_writes_per_second: Annotated[int, Field(ge=1)] = 200
    """Most writes of status.progress over all jobs: a thousand jobs, each every five seconds."""
    progress_seconds: Annotated[float, Field(gt=0)] = 4.0
    """Least time between two writes of one job's progress. Less than the five seconds between two reports of the protocol's
    clients: else each would wait for its turn, longer every time, until the next is there too."""
    metrics_jobs: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Most jobs with metrics of their own, named in labels; 0: none."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""
    kubeconfig: Path | None = None
    """For a process outside of the cluster; in a pod its service account is used."""

    @property
    def machine(self) -> Machine:
        """What one node offers."""
        return Machine(
            cpu_cores=self.node_cpu_cores,
            memory_gib=self.node_memory_gib,
            gpus=self.node_gpus,
            gpu_memory_gib=self.gpu_memory_gib,
            gpu_tflops=self.gpu_tflops,
            gpu_bf16=self.gpu_bf16,
            cpu_bf16=self.cpu_bf16,
        )

    @property
    def progress_names(self) -> tuple[str, ...]:
        """DNS names of the progress server, the one in its URL first."""
        service = f"{self.progress_service}.{self.namespace}"
        return (f"{service}.svc", service, f"{service}.svc.cluster.local")

    @property
    def render(self) -> RenderSettings:
        """What is rendered into every child."""
        return RenderSettings(
            trainer_image=self.trainer_image,
            machine=self.machine,
            operator_namespace=self.namespace,
            operator_labels=self.operator_labels,
            progress_url=f"https://{self.progress_names[0]}:{self.progress_service_port}",
            progress_port=self.progress_port,
            ca_config_map=self.ca_config_map,
            token_audience=self.token_audience,
            light_cpu=self.light_cpu,
            light_memory=self.light_memory,
            workspace_size=self.workspace_size,
            storage_class_name=self.storage_class_name or None,
            fs_group=self.fs_group or None,
            image_pull_policy=self.image_pull_policy,
            image_pull_secrets=self.image_pull_secrets,
            grace_seconds=self.grace_seconds,
            lost_node_seconds=self.lost_node_seconds,
            dns_namespace=self.dns_namespace,
            dns_labels=self.dns_labels,
            dns_addresses=self.dns_addresses,
            dns_ports=self.dns_ports,
        )


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that the environment holds.

    Raises: InvalidSpec that names every variable which is missing, wrong or unknown.
    """
    said: dict[str, Any] = {}
    problems = []
    for variable, text in environment.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in Settings.model_fields:
            problems.append(Problem(variable, "no such setting"))
        elif name in _JSON_FIELDS:
            try:
                said[name] = json.loads(text)
            except ValueError:
                problems.append(Problem(variable, "is not JSON"))
        else:
            said[name] = text
    try:
        settings = Settings.model_validate(said)
    except ValidationError as error:
        named = {problem.field for problem in problems}
        for detail in error.errors(include_url=False):
            variable = PREFIX + str(detail["loc"][0]).upper()
            if variable not in named:
                problems.append(Problem(variable, detail["msg"]))
        raise InvalidSpec(problems) from None
    if problems:
        raise InvalidSpec(problems)
    return settings
