"""finetune validate: every mistake of a manifest at once and, on request, everything in a cluster that is in its way."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from finetune_api.errors import FinetuneError, InvalidSpec, UserError
from finetune_api.exam import without_exam
from finetune_api.parse import parse_job
from finetune_cli.manifest import read_manifest
from finetune_cli.where import add_cluster, means_cluster

if TYPE_CHECKING:
    from finetune_api.v1alpha1.job import FineTuneJob
    from finetune_cli.cluster.api import Api
    from finetune_cli.cluster.preflight import Answer as Looked

Answer = dict[str, Any]


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "validate",
        help="check manifests and name every mistake; with --cluster also what a cluster has against them",
        description="Check manifests and name every mistake, each with its field.",
        epilog="With --cluster: definition, operator, quotas, limit ranges, storage, nodes, the objects that are named, the"
        " queue, and what the server itself says to a trial. Nothing is changed, no secret value is read.",
    )
    parser.add_argument("manifest", nargs="+", help="file with a FineTuneJob, or - for standard input")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to answer (default: text)")
    add_cluster(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 if all are valid, 1 if one is not, 2 if one cannot be read."""
    answers = [_check(path) for path in arguments.manifest]
    if means_cluster(arguments):
        _look(arguments, answers)
    if arguments.output == "json":
        from finetune_cli.console import as_json

        shown = [{key: value for key, value in answer.items() if key not in ("code", "job", "raw")} for answer in answers]
        sys.stdout.write(as_json(shown) + "\n")
    else:
        for answer in answers:
            _print(answer)
    return max(int(answer["code"]) for answer in answers)


def _check(path: str) -> Answer:
    try:
        raw = read_manifest(path).raw
        job = parse_job(raw)
        against = [missing] if (missing := without_exam(job.spec)) is not None else []
        if job.spec.pod_template is not None:  # what any cluster's operator would refuse; importing it takes a while
            from finetune_operator.render.check import check_template

            against += check_template(job.spec.pod_template)
        if against:
            raise InvalidSpec(against)
    except InvalidSpec as error:
        # What is said of the whole has no field to be found by.
        problems = [{"field": p.field, "message": p.message if p.field else f"{path}: {p.message}"} for p in error.problems]
        return {"manifest": path, "valid": False, "problems": problems, "code": 1}
    except FinetuneError as error:
        return {"manifest": path, "valid": False, "problems": [{"field": "", "message": str(error)}], "code": 2}
    return {"manifest": path, "valid": True, "problems": [], "code": 0, "job": job, "raw": raw}


def _look(arguments: argparse.Namespace, answers: list[Answer]) -> None:
    """Add what a cluster has against those that are valid; the others could not be rendered."""
    from finetune_cli.cluster.asking import ask

    async def question(api: Api) -> int:
        from finetune_cli.cluster.preflight import preflight

        for answer in answers:
            if answer["valid"]:
                job = _placed(answer["job"], api.namespace, named=arguments.namespace)
                _note(answer, await preflight(api, job, answer["raw"]))
        return 0

    if any(answer["valid"] for answer in answers) and (code := ask(arguments, question)):
        raise SystemExit(code)


def _placed(job: FineTuneJob, usual: str, *, named: str | None) -> FineTuneJob:
    """The job with the namespace it is meant for: the manifest's, or the one of the command line.

    Raises: UserError if the two differ, as kubectl does.
    """
    written = job.metadata.namespace
    if written and named and written != named:
        raise UserError(f"the manifest says namespace {written} and -n {named}; say it once")
    metadata = job.metadata.model_copy(update={"namespace": written or usual})
    return job.model_copy(update={"metadata": metadata})


def _note(answer: Answer, looked: Looked) -> None:
    from finetune_cli.cluster.preflight import Level

    for level, key in ((Level.PROBLEM, "problems"), (Level.WARNING, "warnings"), (Level.UNSEEN, "unseen")):
        answer[key] = [{"field": one.field, "message": one.message} for one in looked.of(level)]
    answer["cluster"] = list(looked.seen)
    answer["valid"] = looked.fits
    answer["code"] = 0 if looked.fits else 1


def _print(answer: Answer) -> None:
    for key, mark in (("problems", ""), ("warnings", "warning: "), ("unseen", "not looked at: ")):
        for one in answer.get(key, ()):
            place = f"{one['field']}: " if one["field"] else ""
            sys.stderr.write(f"{mark}{place}{one['message']}\n")
    against = ", ".join(answer.get("cluster", ()))
    if answer["valid"]:
        fits = f" and fits {against}" if against else ""
        sys.stdout.write(f"{answer['manifest']}: finetunejob {answer['job'].name} is valid{fits}\n")
    elif answer["code"] == 1:
        count = len(answer["problems"])
        told = f" with {against}" if against else ""
        sys.stderr.write(f"{answer['manifest']}: {count} problem{'s' if count > 1 else ''}{told}\n")
