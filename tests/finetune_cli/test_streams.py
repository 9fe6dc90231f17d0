"""What a shell may do to standard input and output: an answer, a sentence or silence, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from builders import a_manifest
from finetune_api.crd import custom_resource_definition

if TYPE_CHECKING:
    from conftest import Desk, Ran

ASCII = {**os.environ, "PYTHONIOENCODING": "ascii"}


def in_a_shell(desk: Desk, arguments: str, redirection: str = "") -> Ran:
    command = f"{sys.executable} -m finetune_cli.main {arguments} {redirection}"
    return desk.ended(subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))


def test_closed_input_is_an_empty_manifest(desk: Desk) -> None:
    ran = in_a_shell(desk, "validate -", "<&-")
    assert (ran.code, ran.err) == (2, "standard input holds 0 FineTuneJobs; one is needed\n")


def test_an_answer_that_nobody_wants_is_not_given(desk: Desk) -> None:
    path = desk.manifest()
    assert in_a_shell(desk, f"validate {path}", ">&-").code == 0
    ran = in_a_shell(desk, f"validate {path} --output xml", "2>&-")
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", ["crd", "validate support.yaml"])  # more than a buffer holds, and less
def test_a_full_disk_is_told(desk: Desk, arguments: str) -> None:
    desk.manifest()
    ran = in_a_shell(desk, arguments, "> /dev/full")
    assert (ran.code, ran.err) == (2, "finetune: the answer could not be written: No space left on device\n")


def test_an_encoding_without_umlauts_loses_nothing_that_a_program_reads(desk: Desk) -> None:
    whole = custom_resource_definition()
    as_yaml = desk.ended(desk.start("crd", env=ASCII))
    as_json = desk.ended(desk.start("crd", "--output", "json", env=ASCII))
    assert (yaml.safe_load(as_yaml.out), json.loads(as_json.out)) == (whole, whole)


def test_a_report_for_programs_is_json_in_any_encoding(desk: Desk) -> None:
    desk.finetune("run", desk.manifest())
    evaluation = {"samples": [{"prompt": "K\u00fcndigung?"}]}
    place = desk.workspace / "reports" / "evaluation.json"
    place.parent.mkdir()
    place.write_text(json.dumps(evaluation, ensure_ascii=False), encoding="utf-8")
    ran = desk.ended(desk.start("report", "support", "--output", "json", env=ASCII))
    assert (ran.code, ran.json) == (0, evaluation)


def test_an_encoding_without_umlauts_keeps_no_sentence_back(desk: Desk) -> None:
    os.rename(desk.manifest(), desk.folder / "k\u00fcche.yaml")  # noqa: PTH104
    ran = desk.ended(desk.start("validate", "k\u00fcche.yaml", env=ASCII))
    assert (ran.code, ran.out, ran.err) == (0, "k\\xfcche.yaml: finetunejob support is valid\n", "")


def test_a_manifest_from_standard_input_is_utf_8_whatever_the_locale(desk: Desk) -> None:
    manifest = a_manifest(model={"uri": "hf://a/b", "license": "f\u00fcr alle"})
    path = desk.folder / "job.yaml"
    for encoding, code in (("utf-8", 0), ("latin-1", 2)):
        path.write_text(json.dumps(manifest, ensure_ascii=False), encoding=encoding)
        with path.open("rb") as file:
            ran = desk.ended(desk.start("validate", "-", stdin=file, env={**os.environ, "PYTHONIOENCODING": "latin-1"}))
        assert (ran.code, "standard input is not UTF-8 (line 1)" in ran.err) == (code, code == 2), ran.err
