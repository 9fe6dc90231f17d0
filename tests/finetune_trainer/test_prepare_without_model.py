"""Data prepared without a model: the same rules, lengths in characters, and the examples as text again."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import stages
from finetune_api.contract.trainer_config import WITHOUT_MODEL
from finetune_operator.brain.stages import Stage
from rows import write_jsonl

UNLIMITED = {"maxLength": 1_048_576, "overlong": "drop", "split": {"validation": 0, "test": 0}}


def prepare(data: Path, workspace: Path, target: Path | None = None, **spec: Any) -> stages.Ended:
    preparation = {**UNLIMITED, **spec.pop("preparation", {})}
    raw = stages.manifest(Path("/none"), [{"uri": f"file://{data}"}], workspace / "out", preparation=preparation, **spec)
    config = stages.orders(raw, Stage.PREPARE, workspace, write_examples=str(target) if target else None)
    config = config.model_copy(update={"model": config.model.model_copy(update={"uri": WITHOUT_MODEL})})
    return stages.run_here(config, workspace / "prepare-1")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_conversations_come_back_as_they_went_in(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "Antworte kurz."},
        {"role": "user", "content": "Wie geht das?\n\n- so?\n- oder so? 🙂"},
        {"role": "assistant", "content": "So."},
        {"role": "user", "content": "Danke"},
        {"role": "assistant", "content": "Gern, Ä𝔸"},
    ]
    data = write_jsonl(tmp_path / "chats.jsonl", [{"messages": turns}, {"messages": turns[1:3]}])

    end = prepare(data, tmp_path / "ws", tmp_path / "out.jsonl")

    assert end.code == 0, end.log
    rows = lines(tmp_path / "out.jsonl")
    assert [row["messages"] for row in rows] == [turns, turns[1:3]]
    assert [(row["line"], row["split"], row["weight"], row["dataset"]) for row in rows] == [
        (1, "train", 1.0, "data-1"),
        (2, "train", 1.0, "data-1"),
    ]


def test_an_answer_that_is_not_learned_stays_so(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "weight": 0},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    data = write_jsonl(tmp_path / "chats.jsonl", [{"messages": turns}])

    prepare(data, tmp_path / "ws", tmp_path / "out.jsonl")

    assert lines(tmp_path / "out.jsonl")[0]["messages"] == turns


def test_where_nothing_is_left_the_message_says_why(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "b"}]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)

    none_used = prepare(data, tmp_path / "one", preparation={"clean": {"minCharacters": 5}})
    none_left = prepare(
        data, tmp_path / "two", preparation={"weighting": {"rules": [{"field": "prompt", "equals": "a", "weight": 0}]}}
    )

    assert none_used.code == none_left.code == 65
    assert "no row of any dataset could be used; left out: shorter than clean.minCharacters (2)" in none_used.log
    assert "no training example is left; left out: weight 0 (2)" in none_left.log


def test_lengths_are_characters_and_no_model_is_spoken_of(tmp_path: Path) -> None:
    data = write_jsonl(
        tmp_path / "texts.jsonl", [{"text": "zwölf Bäume!"}, {"text": "".join(map(chr, range(0x4E00, 0x4E00 + 5000)))}]
    )

    end = prepare(data, tmp_path / "ws")

    assert end.code == 0, end.log
    assert end.result is not None
    assert end.result.data is not None
    assert end.result.model is None
    assert end.result.data.train.longest == 5000 + 1  # the mark at its end
    assert not (tmp_path / "ws/data/model.json").exists()


def test_texts_to_classify_keep_their_label(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "texts.jsonl", [{"text": "rot", "label": "farbe"}, {"text": "drei", "label": "zahl"}])

    end = prepare(data, tmp_path / "ws", tmp_path / "out.jsonl.gz", task="classification")

    assert end.code == 0, end.log
    rows = [json.loads(line) for line in gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()).splitlines()]
    assert [(row["text"], row["label"]) for row in rows] == [("rot", "farbe"), ("drei", "zahl")]


def test_no_library_for_models_is_loaded(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b"}])
    assert prepare(data, tmp_path / "ws").code == 0
    orders = tmp_path / "ws/prepare-1/job.json"
    program = (
        "import sys; from finetune_trainer.__main__ import main; code = main(['prepare', '--config', sys.argv[1]]);"
        " print(code, [name for name in ('torch', 'transformers', 'deepspeed') if name in sys.modules])"
    )

    ran = subprocess.run([sys.executable, "-c", program, str(orders)], capture_output=True, text=True, check=True, timeout=300)

    assert ran.stdout.strip() == "0 []", "whoever looks at data waits for none of them"


def test_what_the_rules_leave_out_is_not_written(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)

    prepare(data, tmp_path / "ws", tmp_path / "out.jsonl")

    assert [row["messages"][0]["content"] for row in lines(tmp_path / "out.jsonl")] == ["a", "c"]


def test_a_row_that_holds_our_marks_is_left_out_like_any_control_token(tmp_path: Path) -> None:
    rows = [{"prompt": "a\U0010fff3\U0010fff2b", "completion": "c"}, {"prompt": "d", "completion": "e"}]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)

    end = prepare(data, tmp_path / "ws", tmp_path / "out.jsonl")

    assert end.result is not None
    assert end.result.prepared is not None
    assert end.result.prepared.examples.dropped_by_reason == {"holds a control token of the model": 1}
    assert len(lines(tmp_path / "out.jsonl")) == 1
