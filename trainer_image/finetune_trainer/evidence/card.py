"""The model card: what a reader of the published model must know, from the reports and from nothing else.

It claims no more than was measured. Where something was not looked for, personal data for one, it says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from finetune_api.contract.trainer_config import TrainerConfig

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
    training: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    model: Mapping[str, Any],
    now: datetime,
) -> str:
    """The card as Markdown with the metadata block that model hubs read.

    Args:
        config: orders of publish.
        data: the data report.
        training: the training report.
        evaluation: the evaluation report.
        model: facts of the base model.
        now: time of publication, aware.
    """
    assert config.publish is not None
    base = _shown(config.model.uri)
    commit = f" at commit {model['revision']}" if model.get("revision") else ""
    adapter = config.publish.format == "adapter"
    front = ["---", f"base_model: {base}", f"library_name: {'peft' if adapter else 'transformers'}"]
    front += ["tags:", "- finetune-operator", *(["- lora"] if training["orders"].get("lora") else []), "---"]
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
        *_data(data),
        "",
        "## Base",
        "",
        f"- {base}{commit}, {model['architecture']}, {model['parameters']:,} parameters",
        f"- weights {model['digest']}",
        *([f"- chat template sha256:{model['templateDigest']}"] if model.get("templateDigest") else []),
        "",
        "## Limits",
        "",
        *_limits(config, data, evaluation),
        "",
    ]
    return "\n".join(lines)


def _shown(uri: str) -> str:
    """A model as readers know it: a path of somebody's machine means nothing to them but its last part."""
    uri = uri.split("?")[0]
    return Path(uri).name if uri.startswith("file://") else uri.removeprefix("hf://")


def _measured(evaluation: Mapping[str, Any]) -> list[str]:
    summary = evaluation["summary"]
    lines = [
        f"On {summary['examples']:,} held-out examples that were not trained on. Verdict: "
        f"**{summary.get('verdict') or 'not compared with the base'}**.",
        "",
        "| metric | base | tuned | difference (95 % interval) | |",
        "|---|---|---|---|---|",
    ]
    for metric, tuned in summary["tuned"].items():
        base = summary["base"].get(metric)
        delta = summary["delta"].get(metric)
        interval = f"{delta['value']:+.4f} ({delta['ci95'][0]:+.4f} to {delta['ci95'][1]:+.4f})" if delta else ""
        shown = f"{base:.4f}" if base is not None else ""
        lines.append(f"| {metric} | {shown} | {tuned:.4f} | {interval} | {_EXPLAINED.get(metric, '')} |")
    lines += ["", f"Interval: {evaluation['interval']}. Decoding: {evaluation['decoding']['method']}."]
    return lines + [f"- gate: {gate['reason']}" for gate in summary["gates"]]


def _trained(training: Mapping[str, Any]) -> list[str]:
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


def _data(data: Mapping[str, Any]) -> list[str]:
    summary = data["summary"]
    counts = summary["examples"]
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in counts["droppedByReason"].items())
    split = summary["split"]
    return [
        *(f"- {source['name']}: {source['rows']:,} rows, {source['format']}" for source in data["datasets"]),
        f"- kept {counts['kept']:,} of {counts['read']:,}{f'; left out: {dropped}' if dropped else ''}",
        f"- {split['train']:,} to train on, {split['validation']:,} for validation, {split['test']:,} for the comparison",
        f"- personal data: {data['anonymization']}",
        f"- {summary['digest']}",
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
