"""Where things lie in the workspace that the stages share (design section 5, item 6).

A zombie of an attempt that was given up may still write. So each attempt writes checkpoints into a directory of its
own, and everything else is written aside and then renamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths below the root of a workspace. Pure: nothing is created or read here."""

    root: Path

    @property
    def model(self) -> Path:
        """The base model in Hugging Face layout."""
        return self.root / "model"

    @property
    def data(self) -> Path:
        """Tokens and their index, one directory per split."""
        return self.root / "data"

    @property
    def checkpoints(self) -> Path:
        """One directory per attempt of train."""
        return self.root / "checkpoints"

    def attempt_checkpoints(self, attempt: int) -> Path:
        """Checkpoints of one attempt."""
        return self.checkpoints / str(attempt)

    @property
    def metrics(self) -> Path:
        """A JSON object per line: what training measured."""
        return self.root / "metrics.jsonl"

    @property
    def adapter(self) -> Path:
        """The tuned LoRA adapter, in PEFT layout."""
        return self.root / "adapter"

    @property
    def merged(self) -> Path:
        """The tuned model, where all weights were trained, in Hugging Face layout."""
        return self.root / "merged"

    @property
    def reports(self) -> Path:
        """Reports for people and programs."""
        return self.root / "reports"

    @property
    def data_report(self) -> Path:
        """What became of the rows."""
        return self.reports / "data.json"

    @property
    def data_page(self) -> Path:
        """The same on a page of its own."""
        return self.reports / "data.html"

    @property
    def training_report(self) -> Path:
        """How training went."""
        return self.reports / "training.json"

    @property
    def evaluation_report(self) -> Path:
        """Base against tuned, with samples."""
        return self.reports / "evaluation.json"

    @property
    def plan_report(self) -> Path:
        """Every resolved value with its reason."""
        return self.reports / "plan.json"

    @property
    def provenance(self) -> Path:
        """What the tuned model came from: digests of inputs and outputs, seeds, versions, the manifest."""
        return self.reports / "provenance.json"

    @property
    def html_report(self) -> Path:
        """Everything on one page."""
        return self.reports / "report.html"

    @property
    def publication(self) -> Path:
        """What is uploaded, as it is uploaded."""
        return self.root / "publication"
