"""The CustomResourceDefinition as a dict, from the models alone.

`make crds` writes it to crds/finetunejobs.yaml; a test compares. What a person sees in `kubectl get` stands here too.
"""

from __future__ import annotations

from typing import Any

from finetune_api import meta
from finetune_api.schema import structural_schema
from finetune_api.v1alpha1.job import FineTuneJob, FineTuneJobSpec
from finetune_api.v1alpha1.status import FineTuneJobStatus

_COLUMNS = (
    ("Phase", "string", ".status.phase", "Where the job is", 0),
    ("Progress", "integer", ".status.progress.percent", "Percent of the running stage", 0),
    ("ETA", "string", ".status.progress.eta", "Time left in the running stage", 0),
    ("Base", "number", ".status.evaluation.score.base", "Main metric of the base model", 0),
    ("Tuned", "number", ".status.evaluation.score.tuned", "Main metric of the tuned model", 0),
    ("Verdict", "string", ".status.evaluation.verdict", "Tuned against base, from the 95 % interval", 0),
    ("Restarts", "integer", ".status.restarts.total", "Attempts after the first", 0),
    ("Age", "date", ".metadata.creationTimestamp", "Since creation", 0),
    ("Model", "string", ".spec.model.uri", "Base model", 1),
    ("Step", "integer", ".status.progress.step", "Optimizer steps done", 1),
    ("Loss", "number", ".status.progress.loss", "Training loss", 1),
    ("GPUs", "integer", ".status.plan.worldSize", "Training processes", 1),
)


def custom_resource_definition() -> dict[str, Any]:
    """The CRD, as plain JSON types in the order in which a person reads it.

    Raises: SchemaError if a model says something that Kubernetes cannot express.
    """
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{meta.PLURAL}.{meta.GROUP}"},
        "spec": {
            "group": meta.GROUP,
            "scope": "Namespaced",
            "names": {
                "plural": meta.PLURAL,
                "singular": meta.SINGULAR,
                "kind": meta.KIND,
                "listKind": f"{meta.KIND}List",
                "shortNames": [meta.SHORT_NAME],
                "categories": [meta.CATEGORY],
            },
            "versions": [
                {
                    "name": meta.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".status.phase"}],
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def _root() -> dict[str, Any]:
    status = structural_schema(FineTuneJobStatus, "status", defaults=False)
    # A job that nobody has looked at yet counts as in progress for GitOps tools: generations begin at 1.
    status["default"] = {"observedGeneration": 0}
    return {
        "type": "object",
        "description": " ".join((FineTuneJob.__doc__ or "").split()),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},  # nothing more may be said; rules see name and generateName alone
            "spec": structural_schema(FineTuneJobSpec, "spec"),
            "status": status,
        },
        "x-kubernetes-validations": [rule.validation() for rule in FineTuneJob.constraints],
    }


def _column(name: str, kind: str, path: str, description: str, priority: int) -> dict[str, Any]:
    wide = {"priority": priority} if priority else {}
    return {"name": name, "type": kind, "jsonPath": path, "description": description, **wide}
