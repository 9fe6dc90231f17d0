"""`finetune prepare`: what becomes of data, with the real stage as a process, and without a manifest or a model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from command_line import finetune
from rows import write_jsonl
from tiny import tiny_causal_lm

ROWS = [
    {"question": "Wo ist die Rechnung?", "answer": "Im Portal.\u0007", "prio": "high"},
    {"question": "Wo ist die Rechnung?", "answer": "Im Portal.", "prio": "high"},
    {"question": "Wie kündige ich?", "answer": "Mit einer E-Mail an den Service.", "prio": "low"},
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    return tmp_path


def examples(path: Path) -> list[list[str]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [[message["content"] for message in row["messages"]] for row in rows]


def test_a_file_alone_is_enough_to_see_what_becomes_of_it(folder: Path) -> None:
    ran = finetune("prepare", "rows.jsonl", "--report", "--write", "clean.jsonl")

    assert ran.code == 0, ran.err
    assert "3 rows read, 2 examples kept: 2 train" in ran.out
    assert "taken for prompt_completion" in ran.out
    table = " ".join(ran.out.split())
    assert "copy of another example 1" in table
    assert "control characters removed 1" in table
    assert f"report {folder}/data-report/data.html" in table
    assert examples(folder / "clean.jsonl") == [
        ["Wo ist die Rechnung?", "Im Portal."],
        ["Wie kündige ich?", "Mit einer E-Mail an den Service."],
    ]
    assert "Data report" in (folder / "data-report/data.html").read_text(encoding="utf-8")
    assert "Rechnung" not in (folder / "data-report/data.json").read_text(encoding="utf-8"), "numbers, never content"


def test_for_programs_the_report_is_json_and_alone_on_stdout(folder: Path) -> None:
    ran = finetune("prepare", "rows.jsonl", "--output", "json")

    found = json.loads(ran.out)
    assert found["report"]["unit"] == "characters"
    assert found["report"]["summary"]["examples"] == {"read": 3, "kept": 2, "droppedByReason": {"duplicate": 1}}
    assert Path(found["paths"]["report"]).is_file()


def test_fields_settings_and_several_files_are_what_a_manifest_would_say(folder: Path) -> None:
    write_jsonl(folder / "more.jsonl", [{"question": "<b>Neu</b>?", "answer": "Ja", "prio": "high"}])

    ran = finetune(
        *("prepare", "rows.jsonl", "more.jsonl", "--format", "prompt_completion", "--output", "json", "--write", "out.jsonl"),
        *("--field", "prompt=question", "--field", "completion=answer", "--set", "clean.html=true"),
        *("--set", "weighting.rules=[{field: prio, equals: low, weight: 0.5}]"),
    )

    assert ran.code == 0, ran.err
    report = json.loads(ran.out)["report"]
    assert [(one["rows"], one["kept"]) for one in report["datasets"]] == [(3, 2), (1, 1)]
    assert examples(folder / "out.jsonl")[-1] == ["Neu?", "Ja"]
    assert (report["splits"]["train"]["weights"]["p0"], report["splits"]["train"]["weights"]["p100"]) == (0.5, 1.0)


def test_a_manifest_is_prepared_for_its_model_and_run_would_continue(folder: Path) -> None:
    model = tiny_causal_lm(folder / "model")
    path = folder / "job.yaml"
    datasets = [{"uri": "file://rows.jsonl"}]
    spec: dict[str, Any] = {
        "model": {"uri": f"file://{model}"},
        "datasets": datasets,
        "output": {"uri": "file://out"},
        "preparation": {"split": {"validation": 0, "test": 0}},
    }
    raw = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "support"}, "spec": spec}
    path.write_text(json.dumps(raw), encoding="utf-8")

    with_model = finetune("prepare", "job.yaml", "--output", "json")
    without = finetune("prepare", "job.yaml", "--write", "out.jsonl", "--output", "json")

    assert (with_model.code, without.code) == (0, 0), with_model.err + without.err
    assert json.loads(with_model.out)["report"]["unit"] == "tokens"
    assert (folder / ".finetune/support/data/train/tokens.bin").is_file()
    assert json.loads(without.out)["workspace"] == str(folder / ".finetune/support-data")
    assert len(examples(folder / "out.jsonl")) == 2


def test_a_row_that_must_be_mended_ends_it_with_its_place_and_leaves_no_file(folder: Path) -> None:
    write_jsonl(folder / "bad.jsonl", [*ROWS, {"question": "Und jetzt?"}])

    ran = finetune("prepare", "bad.jsonl", "--write", "out.jsonl")

    assert ran.code == 1
    assert 'bad.jsonl line 4 has no field "answer"' in ran.err
    assert ran.out == ""
    assert list(folder.glob("out.jsonl*")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.jsonl"], 2, "nowhere.jsonl: no such file"),
        (["rows.jsonl", "job.yaml"], 2, "job.yaml is a manifest: name one manifest, or files of data"),
        (["job.yaml", "--task", "chat"], 2, "--task is for files of data"),
        (["rows.jsonl", "--write", "out.csv"], 2, "must end with .jsonl or .jsonl.gz"),
        (["rows.jsonl", "--write", "gone/out.jsonl"], 2, "there is no directory"),
        (["rows.jsonl", "--write", "out.jsonl", "--model", "hf://a/b"], 2, "--write needs data that was prepared without"),
        (["rows.jsonl", "--field", "prompt"], 2, "--field prompt: MEANING=NAME is needed"),
        (["rows.jsonl", "--field", "ask=question"], 2, "known are messages, prompt"),
        (["rows.jsonl", "--set", "clean.hmtl=true"], 1, 'Did you mean "html"?'),
        (["rows.jsonl", "--set", "clean={"], 2, "is no value in YAML"),
        (["rows.jsonl", "--set", "clean.html.deep=1", "--set", "clean.html=1"], 1, "clean.html"),
    ],
)
def test_wrong_use_is_told_before_anything_is_made(folder: Path, arguments: list[str], code: int, said: str) -> None:
    ran = finetune("prepare", *arguments)

    assert ran.code == code
    assert said in ran.err, ran.err
    assert not (folder / ".finetune").exists()


def test_the_workspace_of_a_job_is_left_alone(folder: Path) -> None:
    (folder / "ws").mkdir()
    (folder / "ws/job.json").write_text("{}", encoding="utf-8")

    ran = finetune("prepare", "rows.jsonl", "--workspace", "ws")

    assert ran.code == 2
    assert "is the workspace of a job" in ran.err


def test_again_from_the_beginning_empties_its_own_workspace_and_no_other(folder: Path) -> None:
    (folder / "photos").mkdir()
    (folder / "photos/cat.jpg").touch()
    assert finetune("prepare", "rows.jsonl").code == 0
    (folder / ".finetune/rows-data/old").touch()

    again = finetune("prepare", "rows.jsonl", "--fresh")
    photos = finetune("prepare", "rows.jsonl", "--fresh", "--workspace", "photos")

    assert again.code == 0, again.err
    assert not (folder / ".finetune/rows-data/old").exists()
    assert (photos.code, (folder / "photos/cat.jpg").exists()) == (2, True)


def test_ctrl_c_ends_it_with_nothing_half_written(folder: Path) -> None:
    row = json.dumps({"prompt": "Frage " * 20, "completion": "Antwort " * 40})
    (folder / "big.jsonl").write_text("".join(row[:-1] + f', "n": {n}}}\n' for n in range(60_000)), encoding="utf-8")
    command = [sys.executable, "-m", "finetune_cli.main", "prepare", "big.jsonl", "--write", "out.jsonl"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while not list(folder.glob(".finetune/big-data/preparing-*")):
            assert time.monotonic() < deadline, "it did not begin within five minutes"
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()

    assert (process.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    assert not list(folder.glob("out.jsonl*"))
    assert not (folder / ".finetune/big-data/data").exists()


def test_who_names_files_is_told_of_options_and_not_of_a_manifest(folder: Path) -> None:
    write_jsonl(folder / "export.jsonl", [{"Frage": "Wie?", "Antwort": "So."}])

    ran = finetune("prepare", "export.jsonl")

    assert ran.code == 1
    assert "has the fields Frage, Antwort" in ran.err
    assert "--field MEANING=NAME" in ran.err
    assert "spec.datasets" not in ran.err


def test_texts_with_a_label_are_no_running_text_without_a_word(folder: Path) -> None:
    write_jsonl(folder / "classes.jsonl", [{"text": f"Anfrage {n}", "label": "ab"[n % 2]} for n in range(8)])

    ran = finetune("prepare", "classes.jsonl", "--output", "json")

    assert ran.code == 0, ran.err
    said = "is the task classification meant?"
    assert any(said in warning for warning in json.loads(ran.out)["report"]["warnings"])
    ran = finetune("prepare", "classes.jsonl", "--task", "classification", "--fresh", "--output", "json")
    assert not any(said in warning for warning in json.loads(ran.out)["report"]["warnings"])
