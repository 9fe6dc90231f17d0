"""What the URIs of a job mean for its pods: which claims and config maps a stage mounts, and whom it must be able to reach.

A stage gets what it reads and nothing else: a Secret or a volume that training does not need is not there to be leaked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from finetune_api.contract.trainer_config import Mounts
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.stages import Stage

CLAIMS = "/mnt/claims"
CONFIG_MAPS = "/mnt/config-maps"
HTTP_PORT = 80
HTTPS_PORT = 443
_SERVICES = ("presidio+http", "presidio+https", "tcp", "tls")
"""Schemes whose host may be a Service of the cluster."""


@dataclass(frozen=True, slots=True)
class Source:
    """One URI that a stage reads or writes.

    Args:
        prefix: of the environment variables in which its credentials stand, as in the trainer's orders.
        written: whether the stage writes there.
        secret: name of the Secret with credentials.
    """

    uri: str
    prefix: str
    secret: str | None = None
    written: bool = False

    @property
    def scheme(self) -> str:
        """What stands before `://`."""
        return self.uri.partition("://")[0]

    @property
    def place(self) -> str:
        """What stands between `://` and the first slash: host, bucket, claim or config map."""
        return self.uri.partition("://")[2].partition("/")[0]

    @property
    def port(self) -> int | None:
        """The port it is reached at. None for a bucket: its endpoint stands in a Secret, which is never read here."""
        if self.scheme == "s3":
            return None
        try:
            return urlsplit(self.uri).port or (HTTP_PORT if self.scheme == "presidio+http" else HTTPS_PORT)
        except ValueError:  # no number: the stage says so, with the field
            return HTTPS_PORT

    @property
    def service_namespace(self) -> str | None:
        """The namespace of the Service that the host names as pods do: service, service.namespace, or with .svc and what
        follows it. Empty for the job's own, None where the host is no such name."""
        parts = self.place.partition(":")[0].split(".")
        if self.scheme not in _SERVICES or (len(parts) > 2 and parts[2] != "svc"):
            return None
        return parts[1] if len(parts) > 1 else ""

    @property
    def is_surely_inside(self) -> bool:
        """Whether the host can be nothing but a Service; service.namespace could be a domain as well."""
        return self.service_namespace is not None and self.place.count(".") != 1


def sources(job: FineTuneJob, stage: Stage) -> list[Source]:
    """Everything a stage reads or writes outside the workspace.

    The base model of a claim is read in place, through links in the workspace: so every stage mounts that claim, though only
    prepare goes to a hub or a bucket.
    """
    model = Source(job.spec.model.uri, "MODEL_", job.spec.model.secret_name)
    in_place = [Source(model.uri, model.prefix)] if model.scheme == "pvc" else []
    match stage:
        case Stage.PREPARE:
            return [model, *_data(job)]
        case Stage.TRAIN | Stage.EVALUATE:
            return in_place
        case Stage.PUBLISH:
            return [*in_place, Source(job.spec.output.uri, "OUTPUT_", job.spec.output.secret_name, written=True)]


def _data(job: FineTuneJob) -> Iterator[Source]:
    for index, dataset in enumerate(job.spec.datasets):
        yield Source(dataset.uri, f"DATASET_{index}_", dataset.secret_name)
    for index, suite in enumerate(job.spec.evaluation.suites):
        yield Source(suite.uri, f"SUITE_{index}_", suite.secret_name)
    for index, detector in enumerate(job.spec.preparation.anonymize.detectors):
        yield Source(detector.uri, f"DETECTOR_{index}_", detector.secret_name)
    if (reference := job.spec.preparation.weighting.reference) is not None:
        yield Source(reference.uri, "REFERENCE_", reference.secret_name)
    if (dask := job.spec.preparation.engine.dask) is not None:
        yield Source(dask.address, "ENGINE_", dask.secret_name)


def claims(job: FineTuneJob, stage: Stage) -> dict[str, bool]:
    """Claims that a stage mounts beside its workspace, each with whether it writes there."""
    found: dict[str, bool] = {}
    for source in sources(job, stage):
        if source.scheme == "pvc" and source.place:
            found[source.place] = found.get(source.place, False) or source.written
    return found


def config_maps(job: FineTuneJob, stage: Stage) -> list[str]:
    """Config maps that a stage mounts."""
    return list(dict.fromkeys(s.place for s in sources(job, stage) if s.scheme == "configMap" and s.place))


def mounts(job: FineTuneJob, stage: Stage) -> Mounts:
    """Where the stage finds its claims and config maps, for its orders."""
    return Mounts(
        claims={name: f"{CLAIMS}/{name}" for name in claims(job, stage)},
        config_maps={name: f"{CONFIG_MAPS}/{name}" for name in config_maps(job, stage)},
    )


def secrets(job: FineTuneJob, stage: Stage) -> list[tuple[str, str]]:
    """Prefix and name of each Secret whose keys become environment variables of a stage."""
    found = [(source.prefix, source.secret) for source in sources(job, stage) if source.secret]
    key = job.spec.preparation.anonymize.secret_name
    return [*found, ("ANONYMIZE_", key)] if key and stage is Stage.PREPARE else found
