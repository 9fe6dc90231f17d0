"""The report of a run on one page, for the three who must agree before a model is used.

A data scientist asks whether training helped and whether the curve is healthy. An expert reads answers of base and tuned
model side by side. A data protection officer or auditor asks what was trained on, what was dropped and why, and what nobody
looked for. All three get the same file, by mail or from a disk, years later and without a network: so it holds no script,
loads nothing, and forbids both by its content security policy. Texts of the data stand in it; they are escaped here, and
their control characters made visible.

The page says what the reports hold and computes no score of its own. What a report lacks is left out, or its absence said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune_api.contract.trainer_config import CONFIG_VERSION
from finetune_trainer.evidence.page_data import Data, data_view
from finetune_trainer.evidence.page_origin import Origin, origin
from finetune_trainer.evidence.page_samples import samples
from finetune_trainer.evidence.page_scores import MetricRow, ScoreTable, class_tables, score_tables
from finetune_trainer.evidence.page_templates import render
from finetune_trainer.evidence.page_training import curves, method, training_facts
from finetune_trainer.evidence.page_words import NARROW, counted, duration, model_name, printable, shortened, shown

_VERDICTS = {
    "Improved": ("good", "Better than its base", "The model is better than its base."),
    "Inconclusive": ("neutral", "No clear difference from its base", "The model shows no clear difference from its base."),
    "Regressed": ("bad", "Worse than its base", "The model is worse than its base."),
}
"""Tone, title, and the same as a sentence."""

_NO_VERDICT = ("neutral", "Not compared with its base", "The model was not compared with its base.")


def render_page(value: dict[str, Any]) -> str:
    """The report as one HTML file without scripts, external resources or requests.

    Args:
        value: job, model, created (as it shall be read), evaluation, data, training (with journal and validations) and
            plan and provenance, as `write_reports` gathers them. Each may be missing or empty.
    """
    value = printable(value)
    job, model = value.get("job") or {}, value.get("model") or {}
    evaluation, training = value.get("evaluation") or {}, value.get("training") or {}
    task = str(job.get("task", ""))
    tables = score_tables(evaluation)
    data = data_view(value.get("data") or {}, task=task)
    came_from = origin(value.get("provenance") or {})
    return render(
        "page_template.html.jinja",
        name=str(job.get("name", "")) or "unnamed job",
        namespace=str(job.get("namespace", "")),
        task=task,
        model=_model(model),
        created=str(value.get("created", "")),
        headline=_headline(evaluation, tables),
        tiles=_tiles(evaluation, training, data, model),
        gates=(evaluation.get("summary") or {}).get("gates"),
        tables=tables,
        how=_how_measured(evaluation, compared=any(table.compared for table in tables)),
        classes=class_tables(evaluation),
        curves=curves(training, task=task),
        samples=samples(evaluation, classification=task == "classification"),
        data=data,
        plan=[(shown(one.get("field")), shown(one.get("value")), shown(one.get("reason"))) for one in value.get("plan") or []],
        facts=training_facts(training),
        origin=came_from,
        limits=_limits(evaluation, data, tables, came_from),
        contract=CONFIG_VERSION,
        has_evaluation=bool(evaluation),
        has_training=bool(training.get("orders") or training.get("steps")),
    )


def _model(model: Mapping[str, Any]) -> str:
    """The base model with its revision, which means something on a hub alone."""
    uri = str(model.get("uri", ""))
    revision = f" at revision {model['revision']}" if uri.startswith("hf://") and model.get("revision") else ""
    return model_name(uri) + revision if uri else ""


# ---------------------------------------------------------------- the result in words


@dataclass(frozen=True, slots=True)
class Headline:
    """What somebody reads who reads nothing else."""

    tone: str
    title: str
    sentences: list[str]
    score: MetricRow | None
    """The main metric."""


def _headline(evaluation: Mapping[str, Any], tables: Sequence[ScoreTable]) -> Headline:
    summary = evaluation.get("summary") or {}
    if not summary:
        return Headline("neutral", "Not evaluated", ["This run has no evaluation report."], None)
    verdict = str(summary.get("verdict"))
    tone, title, in_short = _VERDICTS.get(verdict, _NO_VERDICT)
    sentences = []
    gates = summary.get("gates") or []
    if summary.get("passed") is False:
        missed = sum(not gate.get("passed") for gate in gates)
        tone, title = "bad", f"Rejected: {missed} of {counted(len(gates), 'gate')} not kept"
        sentences.append(f"Nothing is published. {in_short}")
    rows = {row.name: row for row in tables[0].rows} if tables else {}
    main = rows.get((summary.get("score") or {}).get("metric", ""))
    if main is not None:
        sentences.append(_told(main, verdict, summary))
    if tables and tables[0].compared and len(tables[0].rows) > 1:
        sentences.append(f"Of {counted(len(tables[0].rows), 'metric')}: {tables[0].tally()}.")
    sentences += [f"On the suite “{shortened(one.name, 60)}”: {one.tally()}." for one in tables[1:] if one.compared]
    return Headline(tone, title, sentences, main)


def _told(row: MetricRow, verdict: str, summary: Mapping[str, Any]) -> str:
    """The main metric in two sentences."""
    on = f"On {counted(summary['examples'], 'held-out example')}" if summary.get("examples") is not None else "Measured"
    direction = f" ({row.direction})" if row.direction else ""
    if verdict not in _VERDICTS:
        unknown = "It was not compared with its base, so nobody can say whether training helped."
        return f"{on}, the tuned model's {row.name} is {row.tuned}{direction}. {unknown}"
    if row.base == row.tuned:
        course = f"stayed at {row.tuned}"
    else:
        rose = summary["tuned"][row.name] > summary["base"][row.name]
        course = f"{'rose' if rose else 'fell'} from {row.base} to {row.tuned}"
    side = {
        "Improved": "lies wholly on the better side of zero",
        "Regressed": "lies wholly on the worse side of zero",
        "Inconclusive": "holds zero, so chance alone may explain it",
    }[verdict]
    return f"{on}, {row.name} {course}{direction}. The 95{NARROW}% interval of the difference, {row.interval}, {side}."


def _tiles(
    evaluation: Mapping[str, Any], training: Mapping[str, Any], data: Data | None, model: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """The main facts: a term, its value, and a remark."""
    tiles = [("Base model", model_name(str(model["uri"])), "")] if model.get("uri") else []
    if data is not None:
        if data.train is not None:
            tiles.append(("Trained on", f"{data.train.examples} examples", f"{data.train.tokens} tokens"))
        tiles.append(
            ("Rows kept", f"{data.kept} of {data.read}", next((fate.share for fate in data.fates if fate.kind == "kept"), ""))
        )
    if training.get("orders"):
        lora = training["orders"].get("lora")
        steps = counted(training["steps"], "step") if training.get("steps") else ""
        tiles.append(("Method", f"LoRA, rank {shown(lora.get('rank'))}" if lora else method(training), steps))
    examples = (evaluation.get("summary") or {}).get("examples")
    if examples is not None:
        seconds = evaluation.get("seconds") or {}
        took = f"scored in {duration(sum(seconds.values()))}" if seconds else ""
        tiles.append(("Compared on", counted(examples, "held-out example"), took))
    return tiles


def _how_measured(evaluation: Mapping[str, Any], *, compared: bool) -> list[str]:
    """What one must know to measure the same again."""
    decoding = evaluation.get("decoding") or {}
    lines = []
    if evaluation.get("interval") and compared:
        lines.append(f"Interval of a difference: {evaluation['interval']}. Both models saw the same examples.")
    if decoding.get("answered"):
        limit = decoding.get("maxNewTokens")
        limited = f", at most {counted(limit, 'token')} long" if limit else ""
        lines.append(f"Answers: {decoding.get('method', 'unknown')} decoding{limited}, {decoding['answered']:,} per model.")
    if evaluation.get("precision"):
        lines.append(f"Arithmetic: {evaluation['precision']}.")
    if compared:
        lines.append("Better and worse mean that the whole interval lies on one side of zero.")
    return lines


# ---------------------------------------------------------------- what was not looked for


def _limits(
    evaluation: Mapping[str, Any], data: Data | None, tables: Sequence[ScoreTable], came_from: Origin | None
) -> list[str]:
    """What this report does not show; an auditor reads it first."""
    lines = []
    if data is not None and not data.personal.was_searched:
        lines.append("Personal data was not looked for. The page does not say whether there is any.")
    if evaluation:
        lines.append("Scores hold for examples like the held-out ones; nothing is said about others.")
        if len(tables) == 1:
            lines.append("Whether general abilities were lost was not measured: the job had no suite.")
        if not (evaluation.get("summary") or {}).get("verdict"):
            lines.append("The tuned model was not compared with its base.")
    lines.append("The tuned model may repeat its training data. No test for that was made.")
    if came_from is not None and came_from.unlicensed:
        named = ", ".join(came_from.unlicensed)
        lines.append(f"Under which licence it may be used is not stated for {named} (fields `license` of the manifest).")
    return lines
