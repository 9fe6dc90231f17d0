"""From rows to a published model that anybody can load: all weights trained, and classification."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

import stages
from builders import NOON
from finetune_api.contract.trainer_config import TrainerConfig
from finetune_api.contract.workspace import Workspace
from finetune_operator.brain.stages import Stage
from finetune_trainer import prepare, publish
from finetune_trainer.reporting import ProgressReporter
from plain import held_out, plain_classes, plain_loss
from rows import write_jsonl
from tiny import tiny_encoder


def go(raw: dict[str, Any], workspace: Path, *stages_to_run: Stage, **changes: Any) -> list[stages.Ended]:
    """Run stages one after another; `changes` go into the orders of train."""
    ends = []
    for stage in stages_to_run:
        config = stages.orders(raw, stage, workspace, **(changes if stage == Stage.TRAIN else {}))
        run = stages.train_here if stage == Stage.TRAIN else stages.run_here
        ends.append(run(config, workspace / f"{stage}-1"))
        assert ends[-1].code == 0, ends[-1].log
    return ends


def evaluation(workspace: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((workspace / "reports/evaluation.json").read_text())["summary"]
    return summary


# ---------------------------------------------------------------- all weights


@pytest.fixture(scope="module")
def tuned(chat_manifest: dict[str, Any], prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Workspace and publication of a chat model of which all weights were trained."""
    folder = tmp_path_factory.mktemp("full")
    workspace = Path(shutil.copytree(prepared, folder / "workspace", symlinks=True))
    spec = {
        **chat_manifest["spec"],
        "method": {"type": "full"},
        "resources": {"nodes": 1},
        "output": {"uri": f"file://{folder}/out"},
    }
    raw = {**chat_manifest, "spec": spec}
    go(raw, workspace, Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH, total_steps=10, evaluation_steps=5)
    return workspace, folder / "out"


def test_a_fully_tuned_model_loads_in_plain_transformers_with_the_loss_that_was_measured(
    tuned: tuple[Path, Path], causal_lm: Path
) -> None:
    workspace, out = tuned
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    base = AutoModelForCausalLM.from_pretrained(causal_lm, dtype=torch.float32).eval()

    said = evaluation(workspace)
    assert plain_loss(model, workspace) == pytest.approx(said["tuned"]["loss"], abs=1e-4)
    assert plain_loss(base, workspace) == pytest.approx(said["base"]["loss"], abs=1e-4)
    assert said["tuned"]["loss"] < said["base"]["loss"] - 0.1


def test_a_published_model_gives_the_logits_of_the_step_that_was_kept(tuned: tuple[Path, Path]) -> None:
    from safetensors.torch import load_file

    workspace, out = tuned
    best = json.loads((workspace / "reports/training.json").read_text())["bestStep"]
    (file,) = (workspace / f"checkpoints/1/step-{best:08d}").glob("*.safetensors")
    masters = {n.split("|")[0].removeprefix("model."): w for n, w in load_file(file).items() if n.endswith("|weight")}
    of_checkpoint = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    of_checkpoint.load_state_dict(masters)
    published = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)

    with torch.no_grad():
        for ids, _, _ in held_out(workspace):
            assert torch.equal(published(input_ids=ids[None]).logits, of_checkpoint(input_ids=ids[None]).logits)


def test_a_published_model_brings_its_tokenizer_and_chat_template(tuned: tuple[Path, Path], causal_lm: Path) -> None:
    _, out = tuned
    mine, base = AutoTokenizer.from_pretrained(out), AutoTokenizer.from_pretrained(causal_lm)
    chat = [{"role": "user", "content": "How do I reset my password?"}]
    assert mine.apply_chat_template(chat, add_generation_prompt=True) == base.apply_chat_template(
        chat, add_generation_prompt=True
    )
    assert {"config.json", "model.safetensors", "manifest.json", "README.md"} <= {path.name for path in out.iterdir()}


def signs_of_life(stage: Callable[..., object], config: TrainerConfig, workspace: Path) -> int:
    """How many reports a stage left, where a minute passes from each look at the clock to the next."""
    looks = itertools.count()
    reporter = ProgressReporter({}, now=lambda: NOON + timedelta(minutes=next(looks)))
    stage(config, Workspace(workspace), reporter, dict(os.environ), now=NOON)
    return next(looks)


def test_what_follows_the_last_row_shows_that_it_goes_on(chat_manifest: dict[str, Any], tmp_path: Path) -> None:
    """Comparing, writing, hashing: with millions of rows longer than a stall may last."""
    assert signs_of_life(prepare.run, stages.orders(chat_manifest, Stage.PREPARE, tmp_path), tmp_path) > 10


def test_a_publication_shows_that_it_goes_on(tuned: tuple[Path, Path], chat_manifest: dict[str, Any], tmp_path: Path) -> None:
    workspace, out = tuned
    raw = {
        **chat_manifest,
        "spec": {**chat_manifest["spec"], "method": {"type": "full"}, "output": {"uri": f"file://{tmp_path}/out"}},
    }
    files = len([path for path in out.iterdir() if path.is_file()])
    assert signs_of_life(publish.run, stages.orders(raw, Stage.PUBLISH, workspace), workspace) > 2 * files, "hashed, and copied"


def test_the_report_tells_the_memory_that_was_planned_and_that_was_taken(tuned: tuple[Path, Path]) -> None:
    workspace, _ = tuned
    (taken,) = re.findall(r"planned [\d.]+ GiB, measured ([\d.]+) GiB", (workspace / "reports/report.html").read_text())
    assert 0.1 < float(taken) < 100


def test_a_stranger_can_check_what_the_model_came_from_and_make_it_again(
    tuned: tuple[Path, Path], chat_manifest: dict[str, Any]
) -> None:
    workspace, out = tuned
    came_from = json.loads((out / "manifest.json").read_text())["provenance"]
    (dataset,) = came_from["datasets"]
    data = Path(chat_manifest["spec"]["datasets"][0]["uri"].removeprefix("file://"))
    of_file = sha256(data.read_bytes()).hexdigest()
    lines = f"{data.name}\0{of_file}\n"
    assert dataset["digest"] == f"sha256:{sha256(lines.encode()).hexdigest()}"
    assert (dataset["files"], dataset["bytes"]) == (1, data.stat().st_size)
    assert json.loads((workspace / "reports/data.json").read_text())["datasets"][0]["contents"] == [
        {"name": data.name, "bytes": data.stat().st_size, "sha256": of_file}
    ]
    assert came_from["prepared"]["digest"] == json.loads((workspace / "data/manifest.json").read_text())["digest"]
    assert came_from["base"]["digest"] == json.loads((workspace / "data/model.json").read_text())["digest"]
    assert came_from["seeds"] == {"split": 17, "training": 17, "evaluation": 17}
    assert came_from["software"]["torch"] == torch.__version__.split("+")[0]
    assert stages.orders(came_from["manifest"], Stage.TRAIN, workspace) == stages.orders(
        chat_manifest | {"spec": chat_manifest["spec"] | {"method": {"type": "full"}, "resources": {"nodes": 1}}},
        Stage.TRAIN,
        workspace,
    ), "the manifest that stands there gives the same orders"


def test_the_card_says_on_how_many_examples_each_score_stands_and_what_was_read(tuned: tuple[Path, Path]) -> None:
    workspace, out = tuned
    card = (out / "README.md").read_text(encoding="utf-8")
    said = evaluation(workspace)
    assert said["answered"] == 4 < said["examples"]
    examples = {cells[1].strip(): cells[5].strip() for line in card.splitlines() if len(cells := line.split("|")) > 6}
    assert (examples["loss"], examples["chrf"]) == (str(said["examples"]), "4")
    digest = json.loads((workspace / "reports/data.json").read_text())["datasets"][0]["digest"]
    assert digest in card
    assert "licence: not stated" in card


# ---------------------------------------------------------------- classes


WORDS = {"billing": ["invoice", "account", "month"], "printing": ["printer", "error", "print"]}


def tickets(count: int) -> list[dict[str, Any]]:
    """Texts whose class shows in one word of three."""
    chance = random.Random(3)
    found = []
    for number in range(count):
        label = chance.choice(sorted(WORDS))
        words = [chance.choice(WORDS[label]), "please", chance.choice(["turn", "open", "press"]), str(number)]
        chance.shuffle(words)
        found.append({"text": " ".join(words), "label": label})
    return found


@pytest.fixture(scope="module")
def routing(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    data = write_jsonl(tmp_path_factory.mktemp("tickets") / "tickets.jsonl", tickets(240))

    def make(out: Path, *, base: Path = encoder, **spec: Any) -> dict[str, Any]:
        return stages.manifest(
            base,
            [{"uri": f"file://{data}"}],
            out,
            task="classification",
            training={"batchSize": 16, "maxSteps": 40, "learningRate": 0.005, "precision": "fp32"},
            resources={"nodes": 1},
            **spec,
        )

    return make


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_published_classifier_chooses_by_name_what_the_report_counted(
    method: str, routing: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    raw = routing(tmp_path / "out", method={"type": method})
    raw["spec"]["output"]["format"] = "merged"
    assert stages.prepare(raw, workspace).code == 0
    go(raw, workspace, Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH)

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()

    assert model.config.id2label == {0: "billing", 1: "printing"}
    assert model.config.label2id == {"billing": 0, "printing": 1}
    chosen, true = plain_classes(model, workspace)
    right = [name == ["billing", "printing"][label] for name, label in zip(chosen, true, strict=True)]
    said = evaluation(workspace)
    assert sum(right) / len(right) == pytest.approx(said["tuned"]["accuracy"], abs=1e-6)
    assert said["tuned"]["accuracy"] > 0.75 > said["base"]["accuracy"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    text = tokenizer("please open the printer, there is an error", return_tensors="pt")
    assert model.config.id2label[int(model(**text).logits.argmax())] == "printing"


def test_an_adapter_of_a_classifier_loads_in_plain_peft(
    routing: Callable[..., dict[str, Any]], encoder: Path, tmp_path: Path
) -> None:
    from peft import PeftModel

    workspace = tmp_path / "workspace"
    raw = routing(tmp_path / "out", method={"type": "lora"})
    assert stages.prepare(raw, workspace).code == 0
    go(raw, workspace, Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH)

    names = {0: "billing", 1: "printing"}
    base = AutoModelForSequenceClassification.from_pretrained(encoder, dtype=torch.float32, num_labels=2, id2label=names)
    model = PeftModel.from_pretrained(base, tmp_path / "out").eval()

    chosen, true = plain_classes(model, workspace)
    right = [name == names[label] for name, label in zip(chosen, true, strict=True)]
    assert sum(right) / len(right) == pytest.approx(evaluation(workspace)["tuned"]["accuracy"], abs=1e-6)


def scores_of(model: Any, workspace: Path) -> torch.Tensor:
    """Outputs of each held-out example alone: shape (examples, classes)."""
    with torch.no_grad():
        return torch.cat([model.eval()(input_ids=ids[None]).logits for ids, _, _ in held_out(workspace)])


def test_an_encoder_without_a_pooler_is_published_with_the_one_that_was_trained(
    routing: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """Pretrained on masked words, an encoder has no pooler in its files: who loads it gets one of random numbers."""
    from peft import PeftModel

    base = tiny_encoder(tmp_path / "base", pooler=False)
    workspace = tmp_path / "workspace"
    raw = routing(tmp_path / "adapter", base=base, method={"type": "lora"})
    assert stages.prepare(raw, workspace).code == 0
    go(raw, workspace, Stage.TRAIN, Stage.EVALUATE, Stage.PUBLISH)
    raw["spec"]["output"] = {"uri": f"file://{tmp_path}/merged", "format": "merged"}
    go(raw, workspace, Stage.PUBLISH)

    torch.manual_seed(12345)  # a stranger's
    stranger = AutoModelForSequenceClassification.from_pretrained(base, dtype=torch.float32, num_labels=2)
    of_adapter = scores_of(PeftModel.from_pretrained(stranger, tmp_path / "adapter"), workspace)
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    torch.testing.assert_close(scores_of(merged, workspace), of_adapter, rtol=1e-4, atol=1e-4)

    true = torch.tensor([label for *_, label in held_out(workspace)])
    said = evaluation(workspace)
    assert float((of_adapter.argmax(1) == true).float().mean()) == pytest.approx(said["tuned"]["accuracy"], abs=1e-6)
    assert float(torch.nn.functional.cross_entropy(of_adapter, true)) == pytest.approx(said["tuned"]["loss"], abs=1e-4)
    assert said["tuned"]["loss"] < said["base"]["loss"]
