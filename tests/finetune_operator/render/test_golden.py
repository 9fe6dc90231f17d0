"""Manifests as they are sent, whole: what a person reads before trusting the operator with a cluster."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from builders import a_plan
from finetune_api.v1alpha1.job import FineTuneJob
from finetune_operator.brain.decide import AttemptName
from finetune_operator.brain.machine import Machine
from finetune_operator.brain.stages import Stage
from finetune_operator.render import render
from golden import assert_golden
from rendered import CLASSIFICATION, EVERYTHING, GPU_NODE, OWN_TRAINER, QUICKSTART, SMALL_NODE, settings


class _Readable(yaml.SafeDumper):
    """Texts of several lines as such, and no anchors where a value occurs twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Readable.add_representer(str, _text)


@pytest.mark.parametrize(
    ("job", "stage", "number", "node"),
    [
        *((QUICKSTART, stage, 1, SMALL_NODE) for stage in Stage),
        (CLASSIFICATION, Stage.TRAIN, 2, SMALL_NODE),
        (OWN_TRAINER, Stage.TRAIN, 1, GPU_NODE),
        (OWN_TRAINER, Stage.EVALUATE, 1, GPU_NODE),
        (EVERYTHING, Stage.PREPARE, 1, GPU_NODE),
        (EVERYTHING, Stage.TRAIN, 3, GPU_NODE),
        (EVERYTHING, Stage.PUBLISH, 1, GPU_NODE),
    ],
    ids=lambda value: value.name if isinstance(value, FineTuneJob) else None,
)
def test_the_manifests_of_an_attempt_read_as_they_were_agreed(
    job: FineTuneJob, stage: Stage, number: int, node: Machine
) -> None:
    attempt = AttemptName(stage, number)
    manifests = render(job, a_plan(job, machine=node), attempt, settings(node))
    text = yaml.dump_all(manifests, Dumper=_Readable, sort_keys=False, width=120, explicit_start=True)
    kind = {QUICKSTART.name: "quickstart", EVERYTHING.name: "everything"}.get(job.name, job.name)
    assert_golden(f"manifests/{kind}/{stage}-{number}.yaml", text)
