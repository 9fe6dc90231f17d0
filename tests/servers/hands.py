"""Hands that fetch and publish with little patience, for tests: what is the same in every call is said once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from finetune_api.contract.trainer_config import Mounts
from finetune_trainer.sources import Credentials, DataFile, FetchedModel, Patience, fetch_files, fetch_model, publish
from servers.samples import LAST


@dataclass
class Hands:
    """Works in `folder` with the variables of `environment`.

    Notes in `slept` how long it would have waited, in `beats` when bytes got on.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    mounts: Mounts = field(default_factory=Mounts)
    slept: list[float] = field(default_factory=list)
    beats: list[None] = field(default_factory=list)
    patience: Patience = field(default_factory=Patience)
    prefix: str = ""

    def __post_init__(self) -> None:
        self.patience = Patience(attempts=4, first_wait=1.0, total_wait=30.0, timeout=60.0, sleep=self.slept.append)

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.environment, self.prefix)

    def less_patient(self, *, attempts: int = 2, timeout: float = 60.0) -> Hands:
        """The same hands, which give up sooner. For an answer they wait briefly only where a server is to give none."""
        self.patience = replace(self.patience, attempts=attempts, timeout=timeout)
        return self

    def files(self, uri: str, *, revision: str = "main", field: str = "spec.datasets[0].uri") -> list[DataFile]:
        return fetch_files(
            uri,
            self.folder / "raw",
            revision=revision,
            credentials=self.credentials,
            mounts=self.mounts,
            field=field,
            patience=self.patience,
        )

    def model(self, uri: str, *, revision: str = "main", trust_remote_code: bool = False) -> FetchedModel:
        return fetch_model(
            uri,
            self.folder / "model",
            revision=revision,
            trust_remote_code=trust_remote_code,
            credentials=self.credentials,
            mounts=self.mounts,
            field="spec.model.uri",
            patience=self.patience,
        )

    def publish(self, directory: Path, uri: str, *, last: tuple[str, ...] = LAST) -> None:
        publish(
            directory,
            uri,
            credentials=self.credentials,
            mounts=self.mounts,
            field="spec.output.uri",
            last=last,
            patience=self.patience,
            beat=lambda: self.beats.append(None),
        )
