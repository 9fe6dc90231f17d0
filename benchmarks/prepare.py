"""Preparing data for training: our stage and TRL's own preparation on the same rows; and memory over the number of rows.

    make demo                                        (obtains the model, of which the tokenizer is used here)
    .venv-trl/bin/python benchmarks/prepare.py       (as made for benchmarks/trainer.py)

Both render the chat template, tokenise, mark what has loss, and pack. Ours also reads JSON, corrects texts, removes copies,
splits by group and writes a report; TRL's gets its rows in memory. Counted are CPU-seconds of all processes and threads. Of our
stage the difference between two sizes is taken, which leaves out the start; the start is shown too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
import texts
from orders import a_job, measured_prepare, orders

from finetune_operator.brain.stages import Stage

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "examples" / "quickstart" / "workspace" / "model"
MAX_LENGTH = 256


def manifest(model: Path, data: Path) -> dict[str, Any]:
    """A job of which only the prepare stage runs."""
    return a_job(model, data, preparation={"maxLength": MAX_LENGTH, "overlong": "drop"})


def ours(model: Path, rows: int) -> dict[str, float]:
    """CPU-seconds, wall seconds and peak memory of the prepare stage as a process."""
    with tempfile.TemporaryDirectory() as scratch:
        data, workspace = Path(scratch, "rows.jsonl"), Path(scratch, "workspace")
        texts.write_many(data, rows)
        workspace.mkdir()
        config = orders(manifest(model, data), Stage.PREPARE, workspace)
        report, figures = measured_prepare(config, workspace)
    if not report:
        sys.exit("prepare left no report")
    return figures


def trl(model: Path, rows: int) -> None:
    """Worker: TRL's preparation of the same rows, in this process; prints CPU-seconds as JSON."""
    import logging

    from datasets import Dataset, disable_caching
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    logging.disable(logging.WARNING)
    disable_caching()
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch, "rows.jsonl")
        texts.write_many(data, rows)
        conversations = [
            {
                "prompt": [{"role": "user", "content": row["prompt"]}],
                "completion": [{"role": "assistant", "content": row["completion"]}],
            }
            for row in map(json.loads, data.read_text().splitlines())
        ]
        tokenizer = AutoTokenizer.from_pretrained(model)
        tiny = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
        )
        seconds: list[float] = []

        class Timed(SFTTrainer):  # type: ignore[misc]
            def _prepare_dataset(self, *arguments: Any, **named: Any) -> Any:
                begin = sum(os.times()[:4])
                prepared = super()._prepare_dataset(*arguments, **named)
                seconds.append(sum(os.times()[:4]) - begin)
                return prepared

        settings = SFTConfig(
            output_dir=scratch, packing=True, max_length=MAX_LENGTH, use_cpu=True, bf16=False, report_to=[], disable_tqdm=True
        )
        Timed(
            model=LlamaForCausalLM(tiny),
            args=settings,
            train_dataset=Dataset.from_list(conversations),
            processing_class=tokenizer,
        )
    print(json.dumps({"cpu_seconds": sum(seconds)}))


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--rows", type=int, default=100_000, help="for ours; TRL, whose start is not counted, gets a fifth")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="rows to show memory for")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        trl(arguments.model, arguments.rows)
        return
    print(measure.machine())
    small = max(100, arguments.rows // 10)
    starts, rates, theirs = [], [], []
    for _ in range(arguments.repeats):
        few, many = ours(arguments.model, small), ours(arguments.model, arguments.rows)
        per_row = (many["cpu_seconds"] - few["cpu_seconds"]) / (arguments.rows - small)
        rates.append(1 / per_row)
        starts.append(few["cpu_seconds"] - small * per_row)
        named = ("--worker", "--model", arguments.model, "--rows", arguments.rows // 5)
        theirs.append(arguments.rows // 5 / measure.child(__file__, *named)["cpu_seconds"])
    ratio = statistics.median(rates) / statistics.median(theirs)
    measure.table(
        ("preparation", "examples per CPU-second", "ours is", "start, CPU-seconds"),
        [
            ("ours, the whole stage", measure.spread(rates), "", measure.spread(starts)),
            ("TRL, rows in memory", measure.spread(theirs), f"{ratio:.1f}x", ""),
        ],
    )
    print(f"\nwanted: at least 4x; reached: {ratio:.1f}x\n")
    found = [(rows, ours(arguments.model, rows)) for rows in arguments.memory]
    measure.table(
        ("rows", "anonymous memory, MiB", "with mapped files, MiB", "CPU-seconds", "wall seconds"),
        [
            (f"{rows:,}", *(f"{it[name]:,.0f}" for name in ("anonymous_mib", "peak_mib", "cpu_seconds", "seconds")))
            for rows, it in found
        ],
    )


if __name__ == "__main__":
    main()
