"""A manifest means here what it means to kubectl: its own answers, kept in a table, and what the two read differently.

The table (golden/kubectl_yaml.json) holds the answers of the reader inside kubectl, and the program that gave them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import a_manifest
from finetune_api.errors import UserError
from finetune_cli.manifest import read_manifest, read_yaml
from golden import FOLDER

CASES: list[dict[str, Any]] = json.loads((FOLDER / "kubectl_yaml.json").read_text(encoding="utf-8"))["cases"]

STRICTER = {
    # Text keys alone, each once: a number and the text of it are one key in JSON.
    '1: a\n"1": b\n',
    'true: a\n"true": b\n',
    'y: a\n"true": b\n',
    # An anchor is a name for one thing.
    "a: &x 1\nb: &x 2\nc: *x\n",
    # Tags that mean nothing in JSON.
    "a: !!binary aGk=\n",
    "a: !!timestamp 2024-01-01\n",
    "a: !foo b\n",
    "a: !!set {b}\n",
    "a: !!omap [b: 1]\n",
    "a: !!python/object:os.system x\n",
    # Words no manifest holds.
    "a: <<\n",
    "a: b\tc\n",
}
"""Refused here with the place, though kubectl takes it."""
LAXER = {
    "%FOO bar\n---\na: 1\n",  # unknown directives are passed over, as YAML asks for
    '{"a":"\\/"}\n',  # valid JSON, which kubectl reads with another reader
    "a: !!int 1.0\n",
    "a: ! 5\n",
}
"""Taken here, though kubectl refuses it or reads text."""

ALIKE = [case for case in CASES if case["yaml"] not in STRICTER | LAXER]


@pytest.mark.parametrize("case", [case for case in ALIKE if "error" not in case], ids=lambda case: repr(case["yaml"]))
def test_it_is_read_as_kubectl_reads_it(case: dict[str, Any]) -> None:
    (read,) = read_yaml(case["yaml"]) or [None]
    # As text: 1 and true, or 1 and 1.0, are equal in Python and not in a manifest.
    assert json.dumps(read, sort_keys=True) == json.dumps(case["json"], sort_keys=True)


@pytest.mark.parametrize("case", [case for case in ALIKE if "error" in case], ids=lambda case: repr(case["yaml"]))
def test_what_kubectl_refuses_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml(case["yaml"])


@pytest.mark.parametrize("text", sorted(STRICTER))
def test_what_is_refused_only_here_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError) as refused:
        read_yaml(text)
    assert refused.value.problem_mark is not None


@pytest.mark.parametrize("text", sorted(LAXER))
def test_what_is_taken_only_here_is_still_taken(text: str) -> None:
    assert set(read_yaml(text)[0]) == {"a"}


def test_the_table_has_every_case_that_is_listed_as_different() -> None:
    assert {case["yaml"] for case in CASES} >= STRICTER | LAXER


# ---------------------------------------------------------------- files


def a_file(folder: Path, content: str | bytes) -> str:
    path = folder / "job.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


JOB = yaml.safe_dump(a_manifest())
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tickets}\ndata: {rows.jsonl: '{}'}\n"


def test_one_job_among_other_documents_is_found_with_its_config_maps(tmp_path: Path) -> None:
    other = "apiVersion: v1\nkind: Secret\nmetadata: {name: token}\n"
    manifest = read_manifest(a_file(tmp_path, f"{CONFIG_MAP}---\n{other}---\n# a comment\n---\n{JOB}"))
    assert manifest.raw == a_manifest()
    assert manifest.config_maps == {"tickets": {"rows.jsonl": "{}"}}
    assert manifest.folder == tmp_path


def test_windows_and_macs_write_manifests_too(tmp_path: Path) -> None:
    assert read_manifest(a_file(tmp_path, JOB.replace("\n", "\r\n"))).raw == a_manifest()
    assert read_manifest(a_file(tmp_path, b"\xef\xbb\xbf" + JOB.encode())).raw == a_manifest()


def test_json_is_a_manifest(tmp_path: Path) -> None:
    assert read_manifest(a_file(tmp_path, json.dumps(a_manifest()))).raw == a_manifest()


def test_what_is_no_job_goes_to_the_validator_which_knows_what_is_missing(tmp_path: Path) -> None:
    assert read_manifest(a_file(tmp_path, "kind: FinetuneJob\n")).raw == {"kind": "FinetuneJob"}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "{path} holds 0 FineTuneJobs; one is needed"),
        ("# nothing\n---\n---\n", "{path} holds 0 FineTuneJobs; one is needed"),
        (f"{JOB}---\n{JOB}", "{path} holds 2 FineTuneJobs; one is needed"),
        (f"{CONFIG_MAP}---\n{CONFIG_MAP}", "{path} holds 0 FineTuneJobs; one is needed"),
        (b"# \xc3\xbc\na: \xff\n", "{path} is not UTF-8 (line 2). Save it as UTF-8."),
        (b"\xff\xfea\x00", "{path} is not UTF-8 (line 1)"),
        (b"#" * (16 * 2**20 + 1), "{path} is larger than 16 MiB, which no manifest is"),
        ("spec: [1\n", "{path} line 2, column 1: expected ',' or ']', but got '<stream end>'"),
        ("spec:\n\tmodel: x\n", "{path} line 2, column 1: found character '\\t' that cannot start any token"),
        ("a: 1\na: 2\n", '{path} line 2, column 1: the key "a" stands twice in one mapping'),
        ("a: .nan\n", "{path} line 1, column 4: .nan is no number that JSON knows"),
        ("[" * 3000, "{path} is nested too deeply"),
        (BOMB, "{path}: its aliases stand for more than 1,000,000 values"),
        ("a: \x00\n", "{path}: unacceptable character #x0000: special characters are not allowed"),
        (f"kind: ConfigMap\nmetadata: {{name: ../x}}\n---\n{JOB}", "{path}: a ConfigMap needs metadata.name"),
        (f"kind: ConfigMap\nmetadata: {{name: x}}\ndata: {{a: 1}}\n---\n{JOB}", "{path}: a ConfigMap needs metadata.name"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    path = a_file(tmp_path, content)
    with pytest.raises(UserError) as refused:
        read_manifest(path)
    assert str(refused.value).startswith(sentence.replace("{path}", path))


@pytest.mark.parametrize(("name", "sentence"), [("absent.yaml", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path, name: str, sentence: str) -> None:
    path = str(tmp_path / name)
    with pytest.raises(UserError) as refused:
        read_manifest(path)
    assert str(refused.value) == f"{path}: {sentence}"
