"""What the pods of a stage may reach, and who may reach them.

Prepare reads foreign hosts and publish writes to one; training and evaluation, which see everything, reach nobody. A
NetworkPolicy knows pods, addresses and ports but no host names: "the model hub only" is port 443 anywhere. It exists
before the first pod does, since a pod that starts earlier would be unprotected for a moment.
"""

from __future__ import annotations

from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.stages import STAGES, Stage
from finetune_operator.render.child import Manifest, child_metadata, stage_labels, stage_name
from finetune_operator.render.settings import RenderSettings
from finetune_operator.render.sources import sources

_OUTSIDE = ("hf", "https", "s3", "presidio+http", "presidio+https", "tcp", "tls")
_NAMESPACE = "kubernetes.io/metadata.name"


def network_policy(job: FineTuneJob, stage: Stage, settings: RenderSettings) -> Manifest:
    """The policy that all attempts of a stage share. What no rule allows is denied, in both directions."""
    own = {"podSelector": {"matchLabels": stage_labels(job, stage)}}
    distributed = STAGES[stage].distributed and job.spec.resources.nodes > 1
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": child_metadata(job, stage_name(job.name, stage), stage_labels(job, stage)),
        "spec": {
            "podSelector": own["podSelector"],
            "policyTypes": ["Ingress", "Egress"],
            # The ranks' rendezvous and gloo ask nobody for a password: only the job's own pods may knock.
            "ingress": [{"from": [own]}] if distributed else [],
            "egress": _egress(job, stage, settings, own if distributed else None),
        },
    }


def _egress(job: FineTuneJob, stage: Stage, settings: RenderSettings, peers: Manifest | None) -> list[Manifest]:
    if job.spec.network.egress == "allow":
        return [{}]
    rules = [_names(settings), _operator(settings)]
    if peers:
        rules.append({"to": [peers]})
    return [*rules, *_services(job, stage), *_outside(job, stage), *(dict(rule) for rule in job.spec.network.allow)]


def _names(settings: RenderSettings) -> Manifest:
    """Name servers: the cluster's pods, and node-local ones that are no pods."""
    pods = _pods(settings.dns_namespace, dict(settings.dns_labels))
    addresses = [{"ipBlock": {"cidr": cidr}} for cidr in settings.dns_addresses]
    ports = [{"protocol": protocol, "port": port} for port in settings.dns_ports for protocol in ("UDP", "TCP")]
    return {"to": [pods, *addresses], "ports": ports}


def _operator(settings: RenderSettings) -> Manifest:
    """The progress server. Policies are applied after a Service is translated: to its pods and their port."""
    to = _pods(settings.operator_namespace, dict(settings.operator_labels))
    return {"to": [to], "ports": [{"protocol": "TCP", "port": settings.progress_port}]}


def _pods(namespace: str, labels: dict[str, str]) -> Manifest:
    return {
        "namespaceSelector": {"matchLabels": {_NAMESPACE: namespace}},
        "podSelector": {"matchLabels": labels},
    }


def _services(job: FineTuneJob, stage: Stage) -> list[Manifest]:
    """Namespaces of the services that the stage's URIs name, with all ports: policies are applied after a Service is
    translated, and which port its pods listen on stands nowhere here."""
    names = {source.service_namespace for source in sources(job, stage)}
    to: list[Manifest] = [{"namespaceSelector": {"matchLabels": {_NAMESPACE: name}}} for name in sorted(filter(None, names))]
    to += [{"podSelector": {}}] if "" in names else []
    return [{"to": to, "ports": [{"protocol": "TCP"}]}] if to else []


def _outside(job: FineTuneJob, stage: Stage) -> list[Manifest]:
    """Ports of the hosts that the stage's URIs name. A bucket's endpoint may have any: it stands in a Secret."""
    outside = [source for source in sources(job, stage) if source.scheme in _OUTSIDE and not source.is_surely_inside]
    ports = [source.port for source in outside]
    if None in ports:
        return [{"ports": [{"protocol": "TCP"}]}]
    known = sorted({port for port in ports if port is not None})
    return [{"ports": [{"protocol": "TCP", "port": port} for port in known]}] if known else []
