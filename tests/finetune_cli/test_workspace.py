"""A workspace belongs to one job: a changed manifest, a damaged file or a directory of somebody else never mix with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from builders import a_job
from finetune_cli.main import main

if TYPE_CHECKING:
    from conftest import Desk


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"training": {"seed": 18}}, "spec.training.seed"),
        ({"task": "classification"}, "spec.task"),
        ({"datasets": [{"uri": "s3://corp/support/tickets.jsonl", "weight": 2}]}, "spec.datasets[0].weight"),
        ({"datasets": [{"uri": "s3://a/b"}, {"uri": "s3://a/c"}]}, "spec.datasets"),
        ({"runPolicy": {"maxRestarts": 4}}, "spec.runPolicy.maxRestarts"),
        ({"evaluation": {"generation": {"maxNewTokens": 5}}}, "spec.evaluation.generation.maxNewTokens"),
    ],
)
def test_a_changed_manifest_is_refused_by_the_field_that_differs(desk: Desk, changed: dict[str, Any], field: str) -> None:
    assert desk.finetune("run", desk.manifest(runPolicy={"suspend": True})).code == 130
    ran = desk.finetune("run", desk.manifest(**changed))
    assert ran.code == 2
    assert ran.err == (
        f"finetune: the workspace {desk.workspace} holds another job: {field} differs."
        " A changed job is a new job: name another --workspace, or begin anew with finetune run --fresh.\n"
    )


@pytest.mark.parametrize("policy", [{"ttlSecondsAfterFinished": 60}, {"suspend": False}])
def test_what_may_change_in_a_cluster_may_change_here(desk: Desk, policy: dict[str, Any]) -> None:
    assert desk.finetune("run", desk.manifest(runPolicy={"suspend": True})).code == 130
    assert desk.finetune("run", desk.manifest(runPolicy=policy)).code == 0


def test_fresh_forgets_what_was_reached_and_begins_anew(desk: Desk) -> None:
    desk.finetune("run", desk.manifest())
    (desk.workspace / "adapter").mkdir()
    desk.tell(prepare_1={"exit": 64})
    ran = desk.finetune("run", desk.manifest(training={"seed": 18}), "--fresh")
    assert ran.code == 1
    assert desk.attempts == {"prepare-1"}
    assert not (desk.workspace / "adapter").exists()


def test_fresh_empties_no_directory_that_is_no_workspace(desk: Desk) -> None:
    (desk.folder / "home").mkdir()
    (desk.folder / "home" / "thesis.txt").write_text("years of work", encoding="utf-8")
    ran = desk.finetune("run", desk.manifest(), "--workspace", "home", "--fresh")
    assert (ran.code, "is not a workspace of a job, so --fresh does not empty it" in ran.err) == (2, True)
    assert (desk.folder / "home" / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_fresh_removes_a_link_and_not_what_it_points_to(desk: Desk) -> None:
    desk.finetune("run", desk.manifest())
    treasure = desk.folder / "treasure"
    treasure.mkdir()
    (desk.workspace / "data").symlink_to(treasure)
    assert desk.finetune("run", desk.manifest(), "--fresh").code == 0
    assert treasure.is_dir()
    assert not (desk.workspace / "data").exists()


@pytest.mark.parametrize("content", ["{", '{"kind": "FineTuneJob"}', ""])
def test_a_damaged_state_is_said_to_be_so_and_fresh_helps(desk: Desk, content: str) -> None:
    desk.finetune("run", desk.manifest(runPolicy={"suspend": True}))
    (desk.workspace / "job.json").write_text(content, encoding="utf-8")
    for command in (("run", desk.manifest()), ("status",), ("status", "support")):
        ran = desk.finetune(*command)
        assert (ran.code, "job.json is damaged, or of another version of finetune. Begin anew" in ran.err) == (2, True)
    assert desk.finetune("run", desk.manifest(), "--fresh").code == 0


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_file_in_the_way_of_the_workspace_is_wrong_use(desk: Desk, command: str) -> None:
    (desk.folder / ".finetune").write_text("", encoding="utf-8")
    ran = desk.finetune(command, desk.manifest(), *(("--prepare",) if command == "plan" else ()))
    assert ran.code == 2
    assert ran.err == (
        f"finetune: the workspace {desk.workspace} cannot be written: Not a directory. Name another with --workspace.\n"
    )


def test_a_workspace_that_cannot_be_written_is_wrong_use(desk: Desk) -> None:
    ran = desk.finetune("run", desk.manifest(), "--workspace", "/proc/nothing")
    assert (ran.code, "the workspace /proc/nothing cannot be written" in ran.err) == (2, True)


def test_a_full_disk_or_a_lost_directory_under_way_is_no_traceback(desk: Desk) -> None:
    for in_the_way in ("job.writing/x", "attempts/train-1/log.txt/x"):
        desk.tell(prepare_1={"files": {in_the_way: ""}})  # where the status is written aside, and where a log begins
        ran = desk.finetune("run", desk.manifest(), "--fresh")
        assert ran.code == 2
        assert ran.err.splitlines()[-1] == (
            f"finetune: the workspace {desk.workspace} cannot be written: Is a directory."
            " What was reached is kept; run again when it can."
        )


def test_words_left_by_an_earlier_life_of_the_workspace_are_not_taken_for_an_answer(desk: Desk) -> None:
    desk.finetune("run", desk.manifest())
    (desk.workspace / "job.json").unlink()
    desk.tell(prepare_1={"silent": True})
    ran = desk.finetune("run", desk.manifest())
    assert ran.told[1] == "prepare attempt 1 ended: it exited 0 without a result, so its work is not done."


def test_the_state_is_a_manifest_with_its_status_as_kubectl_would_show_it(desk: Desk) -> None:
    desk.finetune("run", desk.manifest())
    state = json.loads((desk.workspace / "job.json").read_text(encoding="utf-8"))
    assert (state["apiVersion"], state["kind"], state["metadata"]["name"]) == (
        "finetune.dev/v1alpha1",
        "FineTuneJob",
        "support",
    )
    assert state["status"]["phase"] == "Succeeded"
    assert not list(Path(desk.workspace).glob("*.writing"))


def test_one_damaged_workspace_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("broken", "whole"):
        (tmp_path / ".finetune" / name).mkdir(parents=True)
    (tmp_path / ".finetune" / "broken" / "job.json").write_text("{", encoding="utf-8")
    whole = a_job(name="whole").model_dump_json(by_alias=True, exclude_none=True)
    (tmp_path / ".finetune" / "whole" / "job.json").write_text(whole, encoding="utf-8")

    code = main(["status"])

    said = capsys.readouterr()
    assert code == 2
    assert "whole" in said.out
    assert ".finetune/broken/job.json is damaged" in said.err
