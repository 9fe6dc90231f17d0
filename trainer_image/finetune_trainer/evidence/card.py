"""The model card: what a reader of the published model must know, from the reports and from nothing else.

It claims no more than was measured. Where something was not looked for, personal data for one, it says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from finetune_api.contract.data_words import reason
from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.v1alpha1.evaluation import METRIC_TRAITS
from finetune_trainer.evidence.page_origin import repeats
from finetune_trainer.evidence.page_words import counted, model_name

_GENERATED = {str(metric) for metric, traits in METRIC_TRAITS.items() if traits.generated}
_EXPLAINED = {
    "loss": "nats per reference token; lower is better",
    "perplexity": "exp(loss); lower is better",
    "token_accuracy": "share of reference tokens predicted",
    "exact_match": "share of answers equal to the reference",
    "chrf": "character n-gram F-score of answers",
    "ends_by_itself": "share of answers that the model ended itself",
    "accuracy": "share of examples classified correctly",
    "macro_f1": "F1 averaged over classes",
}


def model_card(
    config: TrainerConfig,
    *,
    data: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    evaluation: Mapping[str, Any],
    model: Mapping[str, Any],
    origin: Mapping[str, Any],
    now: datetime,
) -> str:
    """The card as Markdown with the metadata block that model hubs read.

    Args:
        config: orders of publish.
        data: the data report.
        training: the training report; None where a program of the user's trained, which need not write one.
        evaluation: the evaluation report.
        model: facts of the base model.
        origin: what provenance.json holds; empty where evaluation did not write it.
        now: time of publication, aware.
    """
    assert config.publish is not None
    base = model_name(config.model.uri)
    commit = f" at commit {model['revision']}" if model.get("revision") else ""
    adapter = config.publish.format == "adapter"
    front = ["---", f"base_model: {base}", f"library_name: {'peft' if adapter else 'transformers'}"]
    front += [f"license: {json.dumps(origin['license'], ensure_ascii=False)}"] if origin.get("license") else []
    hubs = [one["uri"].removeprefix("hf://") for one in origin.get("datasets") or [] if one["uri"].startswith("hf://")]
    front += ["datasets:", *(f"- {'/'.join(name.split('/')[:2])}" for name in hubs)] if hubs else []
    front += ["tags:", "- finetune-operator", *(["- lora"] if _is_lora(training, adapter=adapter) else []), "---"]
    lines = [
        *front,
        "",
        f"# {config.job.name}",
        "",
        f"{'A LoRA adapter for' if adapter else 'A model tuned from'} `{base}`{commit}, for the task {config.task}.",
        f"Published {now:%Y-%m-%d %H:%M} UTC.",
        "",
        "## Measured",
        "",
        *_measured(evaluation),
        "",
        "## Trained",
        "",
        *_trained(training),
        "",
        "## Data",
        "",
        *_data(data, origin),
        "",
        "## Base",
        "",
        f"- {base}{commit}, {model['architecture']}, {model['parameters']:,} parameters",
        f"- weights {model['digest']}",
        f"- licence: {(origin.get('base') or {}).get('license') or 'not stated by the publisher'}",
        *([f"- chat template sha256:{model['templateDigest']}"] if model.get("templateDigest") else []),
        "",
        "## Limits",
        "",
        *_limits(config, data, evaluation),
        "",
        "## To check it, or to make it again",
        "",
        *_again(origin),
        "",
    ]
    return "\n".join(lines)


def _measured(evaluation: Mapping[str, Any]) -> list[str]:
    summary = evaluation["summary"]
    lines = [
        f"On {summary['examples']:,} held-out examples that were not trained on. Verdict: "
        f"**{summary.get('verdict') or 'not compared with the base'}**.",
        "",
        "| metric | base | tuned | difference (95 % interval) | examples | |",
        "|---|---|---|---|---|---|",
    ]
    answered = next((one.get("answered") for one in evaluation["sets"] if one["name"] == "test"), None)
    for metric, tuned in summary["tuned"].items():
        base = summary["base"].get(metric)
        delta = summary["delta"].get(metric)
        interval = f"{delta['value']:+.4f} ({delta['ci95'][0]:+.4f} to {delta['ci95'][1]:+.4f})" if delta else ""
        shown = f"{base:.4f}" if base is not None else ""
        on = answered if metric in _GENERATED and answered is not None else summary["examples"]
        lines.append(f"| {metric} | {shown} | {tuned:.4f} | {interval} | {on:,} | {_EXPLAINED.get(metric, '')} |")
    lines += ["", f"Interval: {evaluation['interval']}. Decoding: {evaluation['decoding']['method']}."]
    return lines + [f"- gate: {gate['reason']}" for gate in summary["gates"]]


def _is_lora(training: Mapping[str, Any] | None, *, adapter: bool) -> bool:
    return adapter if training is None else bool(training["orders"].get("lora"))


def _trained(training: Mapping[str, Any] | None) -> list[str]:
    if training is None:
        return ["- by a program of the publisher's own, which left no report of how"]
    orders = training["orders"]
    lora = orders.get("lora")
    method = (
        f"LoRA, rank {lora['rank']}, alpha {lora['alpha']}, dropout {lora['dropout']:g}, on {', '.join(lora['targetModules'])}"
        if lora
        else "all weights"
    )
    return [
        f"- {method}",
        f"- {training['steps']} steps of {orders['batchSize']} examples, weights of step {training['bestStep']}",
        f"- learning rate {orders['learningRate']:g}, {orders['scheduler']}, {orders['warmupSteps']} warm-up steps",
        f"- weight decay {orders['weightDecay']:g}, clipping {orders['maxGradNorm']:g}, {orders['precision']}, seed"
        f" {orders['seed']}",
    ]


def _data(data: Mapping[str, Any], origin: Mapping[str, Any]) -> list[str]:
    summary = data["summary"]
    counts = summary["examples"]
    dropped = ", ".join(f"{reason(name)} ({count:,})" for name, count in counts["droppedByReason"].items())
    split = summary["split"]
    suites = f", {split['suites']:,} in suites" if split.get("suites") else ""
    return [
        *(_source(source, origin) for source in data["datasets"]),
        f"- kept {counts['kept']:,} of {counts['read']:,}{f'; left out: {dropped}' if dropped else ''}",
        f"- {split['train']:,} to train on, {split['validation']:,} for validation, {split['test']:,} for the"
        f" comparison{suites}",
        f"- personal data: {data['anonymization']}",
        f"- prepared data {summary['digest']}",
    ]


def _source(source: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    """One dataset: what it was, by digest, and by what right it was used."""
    known: Mapping[str, Any] = next((one for one in origin.get("datasets") or [] if one["name"] == source["name"]), {})
    where = f" from {model_name(source['uri'])}"
    commit = f" at commit {source['revision']}" if source.get("revision") else ""
    read = f", {counted(source['files'], 'file')} of {source.get('bytes', 0):,} bytes, {source.get('digest')}"
    files = read if source.get("digest") else ""
    return (
        f"- {source['name']}{where}{commit}: {source['rows']:,} rows, {source['format']}{files}; licence:"
        f" {known.get('license') or 'not stated'}"
    )


def _again(origin: Mapping[str, Any]) -> list[str]:
    """How a stranger goes about it."""
    if not origin:
        return ["Nothing was recorded of how it was made."]
    seeds = ", ".join(f"{name} {seed}" for name, seed in origin["seeds"].items() if seed is not None)
    versions = ", ".join(f"{name} {version}" for name, version in origin["software"].items())
    return [
        "`manifest.json` lists every published file with its SHA-256, and under `provenance` the digests of all inputs and the"
        " whole manifest of the job. Saved as `job.json`, that manifest is run by `finetune run job.json`, with the same data"
        " at the same places.",
        "",
        f"- seeds: {seeds}",
        f"- made with {versions}",
        f"- {repeats(origin)}",
    ]


def _limits(config: TrainerConfig, data: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[str]:
    lines = [
        "- What was measured holds for examples like the held-out ones; nothing is said about others.",
        "- The tuned model may repeat its training data. No test for that was made.",
    ]
    if not any(one["name"] != "test" for one in evaluation["sets"]):
        lines.append("- Whether general abilities were lost was not measured: the job had no suite.")
    if not evaluation["summary"].get("verdict"):
        lines.append("- It was not compared with its base.")
    assert config.publish is not None
    if config.publish.format == "adapter":
        lines.append("- It belongs to the base named above, with exactly these weights; on another it means nothing.")
    return lines + [f"- {warning}" for warning in data.get("warnings", [])]
