"""Training throughput of our loop and of TRL's SFTTrainer with DeepSpeed, on the same examples in the same batches.

    make demo                                        (obtains the model)
    python -m venv .venv-trl && .venv-trl/bin/pip install -e '.[trainer]' trl -c constraints.txt
    .venv-trl/bin/python benchmarks/trainer.py [--repeats 3]

Each measurement is a process of its own with one thread, contenders take turns. Counted are CPU-seconds of optimizer steps
after the first, and tokens that are no padding. TRL's best configuration is looked for here: as it comes, without gradient
checkpointing, without padding, and packed. The last table compares our rate with what this machine's matrix products alone
would allow at the same shapes and type.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
import texts
from orders import a_job, prepare

from finetune_trainer.launch import KEEP_MEMORY

ROOT = Path(__file__).parents[1]
WORKERS = str(Path(__file__).with_name("trainer_workers.py"))
MODEL = ROOT / "examples" / "quickstart" / "workspace" / "model"
ON_CPU = {"DS_ACCELERATOR": "cpu", "TORCHDYNAMO_DISABLE": "1"}
CONTENDERS = ("ours", "trl-default", "trl-no-checkpointing", "trl-padding-free", "trl-packed")
BATCH = 8
_ALIKE = {contender: 0.05 if contender == "trl-packed" else 0.01 for contender in CONTENDERS}
"""How far a mean loss may be from ours. TRL's packing makes batches of other examples, so its losses are other losses."""


def manifest(model: Path, data: Path, *, steps: int, max_length: int) -> dict[str, Any]:
    """The job that all contenders do."""
    return a_job(
        model,
        data,
        preparation={"maxLength": max_length, "overlong": "drop", "split": {"validation": 0, "test": 0.02}},
        method={"lora": {"rank": 8}},
        training={"maxSteps": steps, "batchSize": BATCH, "learningRate": 0.001, "evaluationsPerEpoch": 0},
    )


def compare(name: str, job: dict[str, Any], workspace: Path, *, repeats: int) -> float:
    """Measure every contender on one dataset, print the table and return our ratio to TRL's best."""
    prepare(job, workspace)
    (workspace / "manifest.json").write_text(json.dumps(job))
    answers: dict[str, list[dict[str, Any]]] = {contender: [] for contender in CONTENDERS}
    for _ in range(repeats):
        for contender in CONTENDERS:
            answers[contender].append(
                measure.child(WORKERS, contender, workspace, **ON_CPU, **(KEEP_MEMORY if contender == "ours" else {}))
            )
    rates = {contender: [a["tokens"] / a["cpu_seconds"] for a in all_of] for contender, all_of in answers.items()}
    middle = {contender: statistics.median(values) for contender, values in rates.items()}
    best = max((contender for contender in CONTENDERS if contender != "ours"), key=middle.__getitem__)
    print(f"\n### {name}\n")
    measure.table(
        ("contender", "tokens per CPU-second", "ours is", "mean loss", "last loss", "peak GiB"),
        [
            (
                contender + (" (best of TRL)" if contender == best else ""),
                measure.spread(rates[contender]),
                f"{middle['ours'] / middle[contender]:.2f}x",
                f"{answers[contender][0]['mean_loss']:.4f}",
                f"{answers[contender][0]['losses'][-1]:.4f}",
                f"{max(a['peak_gib'] for a in answers[contender]):.2f}",
            )
            for contender in CONTENDERS
        ],
    )
    share(workspace, middle["ours"])
    for contender in CONTENDERS[1:]:
        difference = abs(answers[contender][0]["mean_loss"] / answers["ours"][0]["mean_loss"] - 1)
        if difference > _ALIKE[contender]:
            sys.exit(f"{contender} does not learn the same: its mean loss differs by {difference:.1%}")
    return middle["ours"] / middle[best]


def share(workspace: Path, rate: float) -> None:
    """Print what part of this machine's own matmul rate our loop reaches, and where the rest goes."""
    limit = measure.child(WORKERS, "limit", workspace, **ON_CPU, **KEEP_MEMORY)
    reached = rate * limit["flop_per_token"] / 1e9
    print(
        f"\nMatrix products at these shapes in {limit['precision']}: {limit['gflops']:.0f} GFLOP/s on one core. Our loop: "
        f"{reached:.0f} GFLOP/s, {reached / limit['gflops']:.0%} of it.\nOne step by kind of work: "
        + ", ".join(f"{kind} {part:.0%}" for kind, part in limit["parts"].items())
    )


def main() -> None:
    """Both datasets, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", type=Path, default=MODEL, help="a causal language model in Hugging Face layout")
    parser.add_argument("--only", choices=("short", "uneven"))
    arguments = parser.parse_args()
    if not (arguments.model / "config.json").is_file():
        sys.exit(f"no model at {arguments.model}: make demo obtains it, or name one with --model")
    print(measure.machine())
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.only != "uneven":
            data = Path(scratch, "short.jsonl")
            texts.write_short(data, 160)
            job = manifest(arguments.model, data, steps=10, max_length=256)
            ratio = compare("real short texts", job, Path(scratch, "short"), repeats=arguments.repeats)
            print(f"\nOurs to TRL's best on short texts: {ratio:.2f}x (wanted: at least 1.7x)")
        if arguments.only != "short":
            data = Path(scratch, "uneven.jsonl")
            texts.write_uneven(data, 80)
            job = manifest(arguments.model, data, steps=4, max_length=1024)
            ratio = compare("long uneven conversations", job, Path(scratch, "uneven"), repeats=arguments.repeats)
            print(f"\nOurs to TRL's best on long uneven conversations: {ratio:.2f}x (wanted: at least 2.2x)")


if __name__ == "__main__":
    main()
