"""The job as evidence: what can be asked for again, and nothing that opens a door."""

from __future__ import annotations

import json

from builders import a_job
from finetune_api.parse import parse_job
from finetune_operator.brain.written import as_written


def test_what_is_written_can_be_asked_for_again() -> None:
    job = a_job(
        datasets=[{"uri": "s3://a/b.jsonl", "fields": {"prompt": "Frage"}, "license": "internal"}],
        preparation={"weighting": {"rules": [{"field": "Priorität", "equals": "hoch", "weight": 2}]}},
        evaluation={"gates": [{"metric": "loss", "minImprovement": 0.1}]},
    )
    again = parse_job(as_written(job))
    for block in ("task", "model", "datasets", "preparation", "method", "training", "evaluation", "resources", "output"):
        assert getattr(again.spec, block) == getattr(job.spec, block)


def test_neither_signatures_of_uris_nor_the_environment_of_pods_are_evidence() -> None:
    job = a_job(
        model={"uri": "https://host/model.gguf?signature=s3cret"},
        datasets=[{"uri": "https://host/a.csv?token=s3cret"}],
        podTemplate={"env": [{"name": "PASSWORD", "value": "s3cret"}]},
    )
    said = as_written(job)
    assert "s3cret" not in json.dumps(said)
    assert said["spec"]["model"]["uri"] == "https://host/model.gguf"
