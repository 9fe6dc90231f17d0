"""Completion of `kubectl finetune`, as kubectl asks for it: the words so far, candidates, a directive."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import pytest

from builders import a_manifest
from finetune_cli import completion
from finetune_cli.completion import main
from servers.api import Answer
from servers.beside import Beside

if TYPE_CHECKING:
    from conftest import Desk

FTJS = ("finetune.dev/v1alpha1", "finetunejobs")


def completed(*words: str) -> tuple[list[str], str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(list(words)) == 0
    *found, directive = out.getvalue().splitlines()
    return [line.partition("\t")[0] for line in found], directive


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("",), ["validate", "status", "logs", "report"]),
        (("st",), ["status"]),
        (("logs", "support", "--stage", ""), ["prepare", "train", "evaluate", "publish"]),
        (("logs", "support", "-s", "e"), ["evaluate"]),
        (("logs", "--pre"), ["--previous"]),
        (("status", "--all"), ["--all-namespaces"]),
    ],
)
def test_verbs_options_and_their_values_are_offered(words: tuple[str, ...], expected: list[str]) -> None:
    assert completed(*words) == (expected, ":4")


def test_files_are_the_shells_own_business() -> None:
    assert completed("validate", "") == ([], ":0")


def test_names_of_jobs_come_from_the_namespace_that_is_named(
    desk: Desk, cluster: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "_PATIENCE_SECONDS", 60.0)  # not this test's to keep
    for name, namespace in (("support", "ml"), ("chat", "ml"), ("other", "elsewhere")):
        manifest = a_manifest(name)
        manifest["metadata"]["namespace"] = namespace
        cluster.put(FTJS, manifest)
    assert completed("status", "") == (["chat", "support"], ":4")
    assert completed("logs", "-f", "-n", "elsewhere", "") == (["other"], ":4")


def test_a_cluster_that_does_not_answer_offers_nothing_and_says_nothing(desk: Desk, cluster: Beside) -> None:
    cluster.api.instead.append(Answer(401, times=9))
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        assert completed("status", "") == ([], ":4")
    assert err.getvalue() == ""
