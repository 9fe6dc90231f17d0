"""prepare: what comes out of good data, and the sentence that each kind of bad input ends in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stages
from finetune_api.contract.result import StageError
from finetune_trainer.data.selection.split import group_number, prompt_group
from finetune_trainer.data.store import open_documents
from rows import chats, write_jsonl

GOOD = chats(60)
NEIGHBOURS = ("Schmidt", "Weber", "Wagner", "Becker", "Hoffmann", "Schulz", "Koch", "Richter", "Klein", "Wolf", "Neumann")


@pytest.fixture
def job(causal_lm: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A job over rows that the test writes."""

    def make(rows: Any, *, name: str = "tickets.jsonl", dataset: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        file = tmp_path / "data" / name
        file.parent.mkdir(exist_ok=True)
        if isinstance(rows, bytes):
            file.write_bytes(rows)
        else:
            write_jsonl(file, rows)
        datasets = [{"name": "tickets", "uri": f"file://{file}", **(dataset or {})}]
        preparation = {"maxLength": 200, **spec.pop("preparation", {})}
        return stages.manifest(causal_lm, datasets, tmp_path / "out", preparation=preparation, **spec)

    return make


def error_of(end: stages.Ended) -> StageError:
    assert end.result is not None, end.log
    assert end.result.error is not None
    return end.result.error


def refused(raw: dict[str, Any], workspace: Path, code: int, **environment: str) -> StageError:
    """Run prepare on bad input: an error, no traceback, nothing that looks whole."""
    end = stages.prepare(raw, workspace, **environment)
    assert end.code == code, end.log
    assert "Traceback" not in end.log
    assert not (workspace / "data").exists()
    return error_of(end)


# ---------------------------------------------------------------- good input


def test_the_tokens_of_an_example_are_its_conversation_with_loss_on_the_answer_alone(prepared: Path, causal_lm: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(causal_lm)
    data = open_documents(prepared / "data/train")
    asked = {row["prompt"]: row["completion"] for row in chats(120)}
    for index in range(len(data)):
        ids, mask = data.ids(index), data.mask(index)
        prompt, answer = tokenizer.decode(ids[~mask]), tokenizer.decode(ids[mask])
        question = prompt.removeprefix("<|im_start|>user\n").removesuffix("<|im_end|>\n<|im_start|>assistant\n")
        assert answer == asked[question] + "<|im_end|>"
        assert data.examples["prompt"][index] == (~mask).sum()


def test_groups_stay_together_and_weights_reach_the_examples(prepared: Path) -> None:
    splits = {name: open_documents(prepared / "data" / name) for name in ("train", "validation", "test")}
    groups = {name: set(d.examples["group"].tolist()) for name, d in splits.items()}
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["validation"]
    assert not groups["validation"] & groups["test"]
    assert set(splits["train"].examples["weight"].tolist()) == {0.5, 1.0, 2.0}
    assert sum(map(len, splits.values())) == 120


def test_of_anonymous_data_no_number_of_a_group_leads_to_a_customer(job: Any, tmp_path: Path) -> None:
    customers = {row["customer"] for row in GOOD}
    splits = {"validation": 0.2, "test": 0.2, "groupBy": "customer", "seed": 5}
    kept = []
    for name, anonymize in (("as it is", {}), ("anonymous", {"anonymize": {"strategy": "surrogate", "maxResidualRate": 1}})):
        raw = job(GOOD, preparation={"split": splits, "deduplicate": "none", **anonymize})
        end = stages.prepare(raw, tmp_path / name, ANONYMIZE_KEY="a key of sixteen characters")
        assert end.code == 0, end.log
        data = {split: open_documents(tmp_path / name / "data" / split).examples for split in ("train", "validation", "test")}
        kept.append({split: list(zip(one["line"], one["group"], strict=True)) for split, one in data.items()})
    plain, anonymous = kept
    guessed = {group_number(customer, seed=5) for customer in customers}
    assert {group for pairs in plain.values() for _, group in pairs} == guessed
    assert not {group for pairs in anonymous.values() for _, group in pairs} & guessed
    # The same rows are held out, and the same ones belong together.
    assert all([line for line, _ in plain[split]] == [line for line, _ in anonymous[split]] for split in plain)
    both = {(one, two) for split in plain for (_, one), (_, two) in zip(plain[split], anonymous[split], strict=True)}
    assert len(both) == len(customers)


@pytest.mark.parametrize("strategy", ["surrogate", "hash", "mask"])
def test_without_a_key_another_run_holds_out_the_same_rows_though_it_replaces_people_otherwise(
    job: Any, tmp_path: Path, strategy: str
) -> None:
    people = [f"{given} {surname}" for given in ("Anna", "Peter", "Sabine", "Klaus") for surname in NEIGHBOURS]
    rows = [{"prompt": f"Ich heiße {who}. Wo ist Paket {n}?", "completion": f"Im Lager {n}."} for n, who in enumerate(people)]
    rows += [row | {"completion": f"{row['completion']} Und nun?"} for row in rows[::5]]
    anonymize = {"strategy": strategy, "maxResidualRate": 1}
    raw = job(rows, preparation={"split": {"validation": 0.2, "test": 0.2, "seed": 5}, "anonymize": anonymize})
    lines, tokens, groups = [], [], []
    for name in ("one", "other"):
        end = stages.prepare(raw, tmp_path / name)
        assert end.code == 0, end.log
        splits = {split: open_documents(tmp_path / name / "data" / split) for split in ("train", "validation", "test")}
        lines.append({split: one.examples["line"].tolist() for split, one in splits.items()})
        groups.append({group for one in splits.values() for group in one.examples["group"].tolist()})
        tokens.append([one.tokens.tobytes() for one in splits.values()])

    assert sum(map(len, lines[0].values())) == len(rows)
    assert lines[0] == lines[1]
    assert (tokens[0] == tokens[1]) == (strategy == "mask"), "only a key makes a difference"
    # What is kept of a group is nothing by which somebody could try who asked.
    guessed = {group_number(prompt_group(row["prompt"]), seed=5) for row in rows}
    assert not guessed & (groups[0] | groups[1])
    assert not groups[0] & groups[1]


def test_the_data_report_accounts_for_every_row(job: Any, tmp_path: Path) -> None:
    rows = [
        *GOOD,
        GOOD[0],
        {"prompt": "x", "completion": "y<|im_end|>"},
        {"prompt": "long", "completion": " ".join(map(str, range(400)))},
    ]
    end = stages.prepare(
        job(rows, preparation={"weighting": {"rules": [{"field": "customer", "equals": "c3", "weight": 0}]}}), tmp_path / "w"
    )
    assert end.code == 0, end.log
    report = json.loads((tmp_path / "w/reports/data.json").read_text())
    counts = report["summary"]["examples"]
    dropped = counts["droppedByReason"]
    zero = sum(row["customer"] == "c3" for row in GOOD)
    assert dropped == {
        "duplicate": 1,
        "holds a control token of the model": 1,
        "too_long": 1,
        "weight_zero": dropped["weight_zero"],
    }
    assert 0 < dropped["weight_zero"] <= zero
    assert counts["read"] == 63 == counts["kept"] + sum(dropped.values())
    assert sum(split["examples"] for split in report["splits"].values()) == counts["kept"]
    text = json.dumps(report)
    assert "invoice" not in text, "a report holds no content"
    assert "personal data was not looked for" in report["anonymization"]


def test_of_the_heaviest_example_the_question_is_shown_and_not_the_system_prompt(job: Any, tmp_path: Path) -> None:
    turns = [("system", "You help."), ("user", "Where is my parcel?"), ("assistant", "At the post office.")]
    messages = [{"role": role, "content": text} for role, text in turns]
    rows = [{"messages": messages, "nr": 1}]
    rows += [{"messages": [{"role": "user", "content": f"Q {n}?"}, messages[2]], "nr": 0} for n in range(40)]
    weighting = {"rules": [{"field": "nr", "atLeast": 1, "weight": 3}]}
    preparation = {"weighting": weighting, "anonymize": {"strategy": "mask"}, "split": {"validation": 0, "test": 0}}

    end = stages.prepare(job(rows, preparation=preparation), tmp_path / "w")

    assert end.code == 0, end.log
    report = json.loads((tmp_path / "w/reports/data.json").read_text())
    assert report["heaviest"][0]["text"] == "Where is my parcel? → At the post office."


def test_the_same_data_gives_the_same_digest_and_other_data_another_one(job: Any, tmp_path: Path) -> None:
    digests = []
    for number, rows in enumerate([GOOD, GOOD, [{**GOOD[0], "completion": "Changed."}, *GOOD[1:]]]):
        end = stages.prepare(job(rows), tmp_path / f"w{number}")
        assert end.result is not None
        assert end.result.data is not None
        digests.append(end.result.data.digest)
    assert digests[0] == digests[1] != digests[2]


def test_facts_tell_the_plan_what_it_needs_to_know(prepared: Path) -> None:
    result = json.loads((prepared / "prepare-result.json").read_text())
    data, model = result["data"], result["model"]
    train = open_documents(prepared / "data/train")
    assert data["train"]["examples"] == len(train)
    assert data["train"]["tokens"] == int(train.lengths.sum())
    assert data["train"]["squaredTokens"] == int((train.lengths**2).sum())
    # A Llama of 2 layers and width 64: counted by hand.
    attention = 64 * 64 * 2 + 64 * 32 * 2
    assert model["parameters"] == 2 * model["vocabulary"] * 64 + 2 * (attention + 3 * 64 * 160 + 2 * 64) + 64
    assert model["loraSizes"] == 2 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 160))
    assert result["machine"]["gflopsFp32"] > 0


def test_running_text_is_cut_into_pieces_and_all_of_it_has_loss(job: Any, tmp_path: Path) -> None:
    raw = job([{"text": " ".join(f"word{n}" for n in range(300))}, *({"text": f"Text {n}."} for n in range(40))])
    end = stages.prepare(raw, tmp_path / "w")
    assert end.code == 0, end.log
    splits = [open_documents(tmp_path / "w/data" / name) for name in ("train", "validation", "test")]
    assert max(int(d.lengths.max()) for d in splits) == 200
    for documents in splits:
        assert (documents.examples["supervised"] == documents.examples["length"] - 1).all()


def test_a_classification_set_has_its_labels_in_alphabetical_order(encoder: Path, tmp_path: Path) -> None:
    rows = [{"text": f"text {n} about {label}", "label": label} for n in range(30) for label in ("zebra", "ant")]
    file = write_jsonl(tmp_path / "x.jsonl", rows)
    raw = stages.manifest(
        encoder, [{"uri": f"file://{file}"}], tmp_path / "out", task="classification", method={"type": "full"}
    )
    end = stages.prepare(raw, tmp_path / "w")
    assert end.code == 0, end.log
    manifest = json.loads((tmp_path / "w/data/manifest.json").read_text())
    assert manifest["labels"] == ["ant", "zebra"]
    train = open_documents(tmp_path / "w/data/train")
    assert set(train.examples["label"].tolist()) == {0, 1}
    assert set(np.asarray(train.tokens[train.examples["offset"]])) == {2}, "each text begins with [CLS]"


# ---------------------------------------------------------------- bad data: exit 65 and the place


def test_broken_json_names_file_and_line(job: Any, tmp_path: Path) -> None:
    lines = [json.dumps(row).encode() for row in GOOD]
    lines[41] = lines[41][:-7]
    error = refused(job(b"\n".join(lines)), tmp_path / "w", 65)
    assert 'dataset "tickets": tickets.jsonl line 42 broken JSON at column' in error.message
    assert error.error_class == "DataError"


def test_a_field_that_some_rows_lack_is_named_with_their_number(job: Any, tmp_path: Path) -> None:
    rows = [dict(row) for row in GOOD]
    for number in (10, 20, 30):
        del rows[number]["completion"]
    error = refused(job(rows), tmp_path / "w", 65)
    assert 'tickets.jsonl line 11 has no field "completion" (3 of 60 rows)' in error.message
    assert "Map it with spec.datasets[0].fields" in error.message


def test_rows_of_another_format_are_named_at_the_first_that_differs(job: Any, tmp_path: Path) -> None:
    rows = [*GOOD, {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}]
    error = refused(job(rows), tmp_path / "w", 65)
    assert 'line 61 has no field "prompt" (1 of 61 rows)' in error.message


def test_all_problems_are_told_at_once(job: Any, tmp_path: Path) -> None:
    content = b"\n".join(
        [*(json.dumps(row).encode() for row in GOOD), b"{", b'{"prompt": "a"}', b'{"prompt": "a", "completion": ""}']
    )
    error = refused(job(content), tmp_path / "w", 65)
    assert [line.split('"tickets": ')[1].split(" ")[2] for line in error.message.splitlines()] == ["61", "62", "63"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "tickets.jsonl is empty"),
        (b"\n\n", "tickets.jsonl is empty"),
        (b'{"prompt": "\xff", "completion": "x"}', "line 1 byte 13 of the line is not UTF-8"),
        (b'{"a": 1, "b": 2}', "line 1 has the fields a, b, which fit no format of the task chat"),
        (b"PAR1 but not really", "no Parquet file that can be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(content: bytes, message: str, job: Any, tmp_path: Path) -> None:
    assert message in refused(job(content), tmp_path / "w", 65).message


def test_a_table_of_windows_is_named_with_the_way_to_mend_it(job: Any, tmp_path: Path) -> None:
    error = refused(job("prompt;completion\nWie?;Für Sie schön\n".encode("cp1252"), name="export.csv"), tmp_path / "w", 65)
    assert error.field == "spec.datasets[0].uri"
    assert error.message == 'dataset "tickets": export.csv line 2 is not UTF-8'
    assert "iconv -f WINDOWS-1252 -t UTF-8" in str(error.hint)


def test_a_misspelt_field_is_named_where_the_manifest_says_it(job: Any, tmp_path: Path) -> None:
    rows = [{"Frage": f"Wie {n}?", "Antwort": f"So {n}."} for n in range(20)]
    raw = job(rows, dataset={"fields": {"prompt": "Frage", "completion": "Antwrot"}})
    error = refused(raw, tmp_path / "w", 65)
    assert error.field == "spec.datasets[0].fields.completion"
    assert error.message == 'dataset "tickets": tickets.jsonl line 1 has no field "Antwrot"; it has the fields Frage, Antwort'
    assert error.hint == 'Did you mean "Antwort"?'


def test_a_misspelt_group_is_blamed_on_the_split_and_not_on_the_mapping(job: Any, tmp_path: Path) -> None:
    error = refused(job(GOOD, preparation={"split": {"groupBy": "custmer"}}), tmp_path / "w", 65)
    assert error.message == (
        'dataset "tickets": tickets.jsonl line 1 has no field "custmer", which preparation.split.groupBy names (60 of 60 rows).'
    )


def test_fields_that_say_nothing_are_warned_of_and_the_summary_counts_all_warnings(job: Any, tmp_path: Path) -> None:
    """A misspelt weight would weigh every row 1, and nobody would know."""
    raw = job(GOOD, dataset={"fields": {"weight": "wieght", "label": "priority"}})
    end = stages.prepare(raw, tmp_path / "w")
    assert end.result is not None
    assert end.result.prepared is not None
    report = json.loads((tmp_path / "w/reports/data.json").read_text(encoding="utf-8"))
    said = [warning for warning in report["warnings"] if "fields." in warning]
    assert said == [
        'Dataset "tickets": fields.label names "priority", but prompt completion has no label.',
        'Dataset "tickets": fields.weight names "wieght", which none of the first rows has.',
    ]
    assert report["summary"]["warnings"] == end.result.prepared.warnings == len(report["warnings"])


def test_a_mapped_prompt_gets_no_further_column_that_happens_to_be_called_context(job: Any, tmp_path: Path) -> None:
    rows = [{"frage": f"Wie {n}?", "antwort": f"So {n}.", "context": "internal"} for n in range(20)]
    end = stages.prepare(job(rows, dataset={"fields": {"prompt": "frage", "completion": "antwort"}}), tmp_path / "w")
    assert end.code == 0, end.log
    report = json.loads((tmp_path / "w/reports/data.json").read_text(encoding="utf-8"))
    assert report["datasets"][0]["format"] == "prompt_completion"
    assert "context" not in report["datasets"][0]["because"]


def test_running_text_that_is_all_too_long_is_cut_where_that_was_asked_for(job: Any, tmp_path: Path) -> None:
    rows = [{"text": " ".join(map(str, range(n, n + 300)))} for n in range(20)]
    end = stages.prepare(job(rows, preparation={"overlong": "truncate"}), tmp_path / "w")
    assert end.code == 0, end.log


def test_one_row_that_is_held_out_leaves_nothing_to_train_on_and_it_is_said(job: Any, tmp_path: Path) -> None:
    error = refused(job(GOOD[:1], preparation={"split": {"validation": 0.1, "test": 0.1}}), tmp_path / "w", 65)
    assert error.message == "no training example is left"
    assert error.hint == "Held out: 1. Give more data, smaller shares, or a finer split.groupBy."


def test_rows_that_are_all_too_long_say_how_long_they_are(job: Any, tmp_path: Path) -> None:
    rows = [{"prompt": f"q{n}", "completion": " ".join(map(str, range(300)))} for n in range(20)]
    error = refused(job(rows), tmp_path / "w", 65)
    assert "all 20 examples are longer than maxLength (200 tokens); the longest has" in error.message
    assert error.field == "spec.preparation.maxLength"


def test_a_label_that_only_the_test_data_has_is_named(encoder: Path, tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", [{"text": f"t{n}", "label": "ab"[n % 2]} for n in range(40)])
    test = write_jsonl(tmp_path / "test.jsonl", [{"text": "x", "label": "c"}])
    datasets = [{"uri": f"file://{train}"}, {"uri": f"file://{test}", "role": "test"}]
    error = refused(stages.manifest(encoder, datasets, tmp_path / "out", task="classification"), tmp_path / "w", 65)
    assert 'the label "c" stands in the data of role test, but in no training row' in error.message


def test_content_never_reaches_log_or_error(job: Any, tmp_path: Path) -> None:
    secret = "DE89370400440532013000"
    rows = [{"prompt": f"my IBAN is {secret}", "completion": 5} for _ in range(3)]
    end = stages.prepare(job(rows, dataset={"format": "prompt_completion"}), tmp_path / "w")
    assert end.code == 65
    assert secret not in end.log
    assert secret not in error_of(end).message


# ---------------------------------------------------------------- bad models: exit 64


def test_a_model_directory_without_config_says_what_it_must_hold(job: Any, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights.bin").write_bytes(b"x")
    raw = job(GOOD)
    raw["spec"]["model"]["uri"] = f"file://{tmp_path}/model"
    error = refused(raw, tmp_path / "w", 64)
    assert error.field == "spec.model.uri"
    assert "config.json" in f"{error.message} {error.hint}"


def test_a_model_without_chat_template_is_refused_by_field(job: Any, causal_lm: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(causal_lm, tmp_path / "model"))
    (model / "chat_template.jinja").unlink()
    raw = job(GOOD)
    raw["spec"]["model"]["uri"] = f"file://{model}"
    error = refused(raw, tmp_path / "w", 64)
    assert error.field == "spec.model.chatTemplate"


def test_a_tokenizer_larger_than_the_model_is_refused(job: Any, causal_lm: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    model = Path(shutil.copytree(causal_lm, tmp_path / "model"))
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(model)
    raw = job(GOOD)
    raw["spec"]["model"]["uri"] = f"file://{model}"
    size = len(tokenizer)
    assert f"{size} tokens but the model only {size - 1} rows" in refused(raw, tmp_path / "w", 64).message


def test_a_file_that_is_no_gguf_is_refused(job: Any, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF nonsense")
    raw = job(GOOD)
    raw["spec"]["model"]["uri"] = f"file://{tmp_path}/x.gguf"
    error = refused(raw, tmp_path / "w", 64)
    assert "x.gguf is no GGUF model that can be converted" in error.message


def test_an_encoder_is_refused_for_chat_before_anything_is_trained(encoder: Path, job: Any, tmp_path: Path) -> None:
    raw = job(GOOD)
    raw["spec"]["model"]["uri"] = f"file://{encoder}"
    error = refused(raw, tmp_path / "w", 64)
    assert error.field == "spec.model.chatTemplate"


def test_a_dataset_of_which_nothing_was_kept_is_told_and_all_examples_are_counted(job: Any, tmp_path: Path) -> None:
    exam = write_jsonl(tmp_path / "exam.jsonl", GOOD)
    other = write_jsonl(tmp_path / "other.jsonl", [{"prompt": f"other {n}?", "completion": f"yes {n}"} for n in range(40)])
    raw = job(GOOD)
    raw["spec"]["datasets"].append({"name": "other", "uri": f"file://{other}"})
    raw["spec"]["evaluation"] = {"suites": [{"name": "exam", "uri": f"file://{exam}"}]}

    end = stages.prepare(raw, tmp_path / "w")

    assert end.result is not None
    assert end.result.prepared is not None, end.log
    report = json.loads((tmp_path / "w/reports/data.json").read_text(encoding="utf-8"))
    assert 'Of the dataset "tickets" nothing was kept.' in report["warnings"]
    found = end.result.prepared
    assert found.split.suites == 60
    assert found.split.train + found.split.validation + found.split.test + found.split.suites == found.examples.kept
    assert found.examples.kept + sum(found.examples.dropped_by_reason.values()) == found.examples.read
