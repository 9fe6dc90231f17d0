"""The examples whose data lies beside them run from `finetune run` to a published model, each with its own manifest.

Only what CI cannot have is replaced: the model, by one of a few hundred kilobytes, and the number of steps.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune_cli.manifest import read_yaml
from rows import chats, write_jsonl
from tiny import tiny_causal_lm, tiny_encoder

EXAMPLES = Path(__file__).parents[2] / "examples"
WITHOUT_PEOPLE = ("support", "medicine")
"""Examples that show anonymisation."""
WITH_DATA = ("support", "finance", "legal", "medicine")


def test_the_committed_data_is_what_the_program_writes() -> None:
    program = "import json, make_data; print(json.dumps(make_data.files()))"
    out = subprocess.run([sys.executable, "-c", program], cwd=EXAMPLES, capture_output=True, text=True, check=True, timeout=300)
    written: dict[str, str] = json.loads(out.stdout)
    assert set(written) == {
        str(path.relative_to(EXAMPLES)) for name in WITH_DATA for path in (EXAMPLES / name).glob("*.[cj]s*")
    }
    for name, text in written.items():
        assert (EXAMPLES / name).read_text(encoding="utf-8") == text, f"{name}: run python examples/make_data.py"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {"chat": tiny_causal_lm(folder / "chat", positions=1024), "classification": tiny_encoder(folder / "encoder")}


@pytest.mark.parametrize("name", WITH_DATA)
def test_an_example_runs_as_it_is_but_for_its_model(name: str, models: dict[str, Path], tmp_path: Path) -> None:
    manifest = shortened(name, models, tmp_path)

    ended = run(manifest, tmp_path / "workspace")

    assert ended.returncode == 0, ended.stderr + logs(tmp_path / "workspace")
    status = json.loads(ended.stdout)["status"]
    assert status["phase"] == "Succeeded"
    assert status["data"]["split"]["test"] > 0
    if name in WITHOUT_PEOPLE:
        assert status["data"]["residualRate"] == 0
        assert min(status["data"]["redactions"][kind] for kind in ("PERSON", "ADDRESS", "PHONE", "EMAIL")) > 30
    assert list((tmp_path / "out").glob("*.safetensors")), "a model was published"


def test_a_trainer_of_your_own_runs_on_one_machine_with_the_manifest_of_the_cluster(tmp_path: Path) -> None:
    folder, inputs = tmp_path / "example", tmp_path / "inputs"
    shutil.copytree(EXAMPLES / "own-trainer", folder)
    tiny_causal_lm(inputs / "model")
    write_jsonl(inputs / "python-docs.jsonl", [{**row, "module": row["customer"]} for row in chats(60)])
    manifest = folder / "job.yaml"
    text = manifest.read_text(encoding="utf-8").replace("SmolLM2-135M-Instruct.Q4_1.gguf", "model")
    manifest.write_text(text.replace("maxSteps: 20", "maxSteps: 4"), encoding="utf-8")

    ended = run(manifest, tmp_path / "workspace", "--claim", f"inputs={inputs}")

    assert ended.returncode == 0, ended.stderr + logs(tmp_path / "workspace")
    status = json.loads(ended.stdout)["status"]
    assert (status["phase"], status["evaluation"]["verdict"] is not None) == ("Succeeded", True)
    assert (inputs / "own-adapter" / "adapter_model.safetensors").is_file()
    assert "by a program of the publisher's own" in (inputs / "own-adapter" / "README.md").read_text(encoding="utf-8")


def shortened(name: str, models: dict[str, Path], folder: Path) -> Path:
    """The example's manifest with a tiny model, four steps and an output of the test's own."""
    (raw,) = read_yaml((EXAMPLES / name / "job.yaml").read_text(encoding="utf-8"))
    spec: dict[str, Any] = raw["spec"]
    spec["model"]["uri"] = f"file://{models[spec.get('task', 'chat')]}"
    for dataset in spec["datasets"]:
        dataset["uri"] = f"file://{EXAMPLES / name / dataset['uri'].removeprefix('file://')}"
    spec["training"] = {"maxSteps": 4, "batchSize": 8, "precision": "fp32", "evaluationsPerEpoch": 1}
    if "generation" in spec.get("evaluation", {}):
        spec["evaluation"]["generation"] = {"examples": 2, "maxNewTokens": 8}
    spec["output"]["uri"] = f"file://{folder / 'out'}"
    path = folder / "job.yaml"
    path.write_text(json.dumps(raw), encoding="utf-8")
    return path


def run(manifest: Path, workspace: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finetune_cli.main", "run", str(manifest), "--workspace", str(workspace)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1"}
    return subprocess.run(
        [*command, *options, "--output", "json"], env=environment, capture_output=True, text=True, check=False, timeout=900
    )


def logs(workspace: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8")[-3000:] for log in sorted(workspace.glob("attempts/*/log.txt")))
