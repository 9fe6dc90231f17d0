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
from finetune_trainer.evidence.page_scores import MetricRow, ScoreTable, class_tables, score_tables
from finetune_trainer.evidence.page_templates import render
from finetune_trainer.evidence.page_training import curves, method, training_facts
from finetune_trainer.evidence.page_words import NARROW, counted, duration, model_name, printable, shortened, shown

_OPEN_SAMPLES = 5
_OPEN_CHARACTERS = 700
_SAMPLE_CHARACTERS = 6_000
_ALL_CHARACTERS = 1_500_000
"""Texts of all samples together. A page that a telephone cannot open is read by nobody."""

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
        samples=_samples(evaluation, classification=task == "classification"),
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


# ---------------------------------------------------------------- samples


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the data: what is seen, what unfolds, and how much only the report file holds."""

    begins: str
    goes_on: str
    further: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands beside the prompt."""

    title: str
    who: str
    text: Text | None
    """None: there is none."""
    remark: str
    tone: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One held-out example with its answers."""

    number: int
    prompt: Text
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Samples:
    """Examples to read."""

    first: list[Sample]
    folded: list[Sample]
    left_out: int
    order: str


def _samples(evaluation: Mapping[str, Any], *, classification: bool) -> Samples:
    """Samples until their texts are longer together than a page should be; the others are counted."""
    found: list[Sample] = []
    samples = evaluation.get("samples") or []
    limit = (evaluation.get("decoding") or {}).get("maxNewTokens")
    room = _ALL_CHARACTERS
    for index, sample in enumerate(samples):
        texts = (str(sample.get(key) or "") for key in ("prompt", "reference", "base", "tuned"))
        room -= sum(min(len(text), _SAMPLE_CHARACTERS) for text in texts)
        if room < 0 and found:
            break
        answers = _classified(sample) if classification else _answered(sample, limit)
        found.append(Sample(index + 1, _text(sample.get("prompt")), answers))
    order = (
        "Examples that the tuned model put into the wrong class come first."
        if classification
        else "The first of the test examples that were drawn by chance and answered; nobody picked them by hand."
    )
    return Samples(found[:_OPEN_SAMPLES], found[_OPEN_SAMPLES:], len(samples) - len(found), order)


def _answered(sample: Mapping[str, Any], limit: int | None) -> list[Answer]:
    answers = [Answer("Reference", "reference", _text(sample.get("reference")), "", "neutral")]
    for title, who in (("Base", "base"), ("Tuned", "tuned")):
        text, ended = sample.get(who), sample.get(f"{who}Ended")
        cut = f"cut off at {counted(limit, 'token')}" if limit else "cut off at the limit"
        remark = "" if ended is None else "ended by itself" if ended else cut
        tone = "neutral" if ended is None else "good" if ended else "bad"
        answers.append(Answer(title, who, None if text is None else _text(text), remark, tone))
    return answers


def _classified(sample: Mapping[str, Any]) -> list[Answer]:
    truth = sample.get("reference")
    answers = [Answer("True class", "reference", _text(truth), "", "neutral")]
    for title, who in (("Base chose", "base"), ("Tuned chose", "tuned")):
        chosen = sample.get(who)
        remark = "" if chosen is None else "right" if chosen == truth else "wrong"
        tone = {"right": "good", "wrong": "bad"}.get(remark, "neutral")
        answers.append(Answer(title, who, None if chosen is None else _text(chosen), remark, tone))
    return answers


def _text(text: Any) -> Text:
    """A long text folds after its first part, at a space if there is one near."""
    text = "" if text is None else str(text)
    shown_part = text[:_SAMPLE_CHARACTERS]
    if len(shown_part) <= _OPEN_CHARACTERS * 1.2:
        return Text(shown_part, "", len(text) - len(shown_part))
    at = max(shown_part.rfind(" ", _OPEN_CHARACTERS - 60, _OPEN_CHARACTERS), shown_part.rfind("\n", 0, _OPEN_CHARACTERS))
    at = at + 1 if at > _OPEN_CHARACTERS // 2 else _OPEN_CHARACTERS
    return Text(shown_part[:at], shown_part[at:], len(text) - len(shown_part))


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
