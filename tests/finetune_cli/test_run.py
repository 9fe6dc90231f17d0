"""`finetune run`: a whole job on one machine, with the ends and the words that a person or a script goes by."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Desk

BUG: dict[str, Any] = {"exit": 1}


def a_mistake(message: str = "row 7 has no answer") -> dict[str, Any]:
    return {"exit": 65, "error": {"class": "DataError", "message": message, "field": "spec.datasets[0]", "hint": "Map it."}}


# ---------------------------------------------------------------- how a run ends


def test_a_whole_job_runs_and_says_each_thing_once(desk: Desk) -> None:
    ran = desk.finetune("run", desk.manifest())
    assert ran.code == 0
    assert ran.told == [
        "prepare attempt 1 starts",
        "prepare is done",
        "train attempt 1 starts",
        "train is done",
        "evaluate attempt 1 starts",
        "evaluate is done",
        "publish attempt 1 starts",
        "publish is done",
        "Published to pvc://models/support. Verdict: Improved.",
    ]
    assert "Base against tuned on 250 held-out examples" in ran.out
    assert "Gate kept: loss fell by 0.610 (1.920 -> 1.310); gates[0] asks for 0.020." in ran.out
    assert "Succeeded: Published to pvc://models/support. Verdict: Improved." in ran.out
    assert f"logs       {desk.workspace}/attempts" in ran.out


def test_off_a_terminal_there_are_plain_lines_and_no_control_characters(desk: Desk) -> None:
    ran = desk.finetune("run", desk.manifest())
    assert "\x1b" not in ran.err + ran.out
    assert all(line[:9].replace(":", "").strip().isdigit() for line in ran.err.splitlines())


def test_for_programs_the_result_is_json_and_alone_on_stdout(desk: Desk) -> None:
    ran = desk.finetune("run", desk.manifest(), "--output", "json")
    assert ran.json["name"] == "support"
    assert ran.json["status"]["phase"] == "Succeeded"
    assert ran.json["status"]["evaluation"]["score"] == {"metric": "loss", "base": 1.92, "tuned": 1.31}
    assert ran.json["paths"]["published"] == "pvc://models/support"


def test_a_job_that_is_done_is_not_run_again(desk: Desk) -> None:
    manifest = desk.manifest()
    desk.finetune("run", manifest)
    again = desk.finetune("run", manifest)
    assert (again.code, again.told) == (0, [])
    assert "Succeeded" in again.out


def test_a_folder_with_a_blank_a_percent_sign_and_an_umlaut_is_a_place_like_any_other(desk: Desk) -> None:
    folder = desk.folder / "Übung 50 % #1?"
    folder.mkdir()
    written = Path(desk.manifest(model={"uri": "file://modell"}, datasets=[{"uri": "file://../a%20b/*.csv"}]))
    manifest = str(written.rename(folder / "job.yaml"))
    assert desk.finetune("run", manifest).code == 0
    assert desk.finetune("run", manifest).code == 0, "the job can be read again"
    orders = json.loads((desk.workspace / "attempts" / "prepare-1" / "config.json").read_text(encoding="utf-8"))
    assert orders["model"]["uri"] == f"file://{desk.folder}/Übung%2050%20%25%20%231%3F/modell"
    assert orders["prepare"]["datasets"][0]["uri"] == f"file://{desk.folder}/a%20b/*.csv"


def test_an_output_that_is_taken_is_said_before_anything_runs(desk: Desk) -> None:
    taken = desk.folder / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("mine", encoding="utf-8")
    (desk.folder / "claim").mkdir()
    shutil.copytree(taken, desk.folder / "claim" / "taken")
    for uri, more in (("file://taken", ()), ("pvc://models/taken", ("--claim", f"models={desk.folder}/claim"))):
        ran = desk.finetune("run", desk.manifest(output={"uri": uri}), "--fresh", *more)
        assert ran.code == 2
        assert "spec.output.uri: " in ran.err
        assert "holds files that are no publication" in ran.err
        assert not (desk.workspace / "attempts").exists()
    (taken / "manifest.json").write_text("{}", encoding="utf-8")
    assert desk.finetune("run", desk.manifest(output={"uri": "file://taken"})).code == 0


def test_a_broken_gate_is_an_exit_code_of_its_own_and_stays_so(desk: Desk) -> None:
    desk.tell(passed=False)
    for _ in range(2):
        ran = desk.finetune("run", desk.manifest())
        assert ran.code == 3
        assert "Gate NOT KEPT: loss fell by 0.010 (1.920 -> 1.910); gates[0] asks for 0.020." in ran.out
    assert "publish-1" not in desk.attempts


def test_a_users_mistake_fails_at_once_with_field_and_hint(desk: Desk) -> None:
    desk.tell(prepare_1=a_mistake())
    ran = desk.finetune("run", desk.manifest())
    assert ran.code == 1
    assert ran.told[1] == "prepare attempt 1 ended: spec.datasets[0]: row 7 has no answer. Map it."
    assert ran.err.count("row 7 has no answer") == 1
    assert "Failed: prepare attempt 1: spec.datasets[0]: row 7 has no answer. Map it." in ran.out
    assert desk.attempts == {"prepare-1"}


def test_running_a_failed_job_again_begins_at_the_stage_that_failed(desk: Desk) -> None:
    desk.tell(train_1=a_mistake())
    manifest = desk.manifest()
    assert desk.finetune("run", manifest).code == 1
    desk.tell()
    ran = desk.finetune("run", manifest)
    assert (ran.code, ran.told[0]) == (0, "train attempt 2 starts")
    assert desk.attempts == {"prepare-1", "train-1", "train-2", "evaluate-1", "publish-1"}


def test_a_crash_is_tried_again_until_the_restarts_are_used_up(desk: Desk) -> None:
    desk.tell(train_1={"exit": 1}, train_2={"exit": 139}, train_3={"exit": 1})
    ran = desk.finetune("run", desk.manifest(runPolicy={"maxRestarts": 1}))
    assert ran.code == 1
    assert "(no restarts left: runPolicy.maxRestarts is 1)" in ran.out
    assert desk.attempts == {"prepare-1", "train-1", "train-2"}


def test_running_it_again_by_hand_brings_new_restarts(desk: Desk) -> None:
    manifest = desk.manifest(runPolicy={"maxRestarts": 0})
    for number in (1, 2, 3):
        desk.tell(**{f"train_{number}": BUG})
        assert desk.finetune("run", manifest).code == 1
    assert [a.number for a in desk.job.status.attempts if a.stage == "train"] == [1, 2, 3]
    assert desk.job.status.attempts[1].message == "Unknown: exit code 1; the log has the traceback; run again by hand"


def test_a_stage_that_exits_0_without_its_word_is_not_done(desk: Desk) -> None:
    desk.tell(train_1={"silent": True})
    ran = desk.finetune("run", desk.manifest())
    assert "train attempt 1 ended: it exited 0 without a result, so its work is not done." in ran.told
    assert (ran.code, "train-2" in desk.attempts) == (0, True)


def test_memory_that_ran_out_gets_a_smaller_plan(desk: Desk) -> None:
    desk.tell(train_1={"exit": 71, "error": {"class": "OutOfMemory", "message": "memory ran out in step 1"}})
    assert desk.finetune("run", desk.manifest()).code == 0
    first, second = (desk.orders(name)["train"] for name in ("train-1", "train-2"))
    assert second["estimatedMemoryGiB"] <= first["estimatedMemoryGiB"]
    assert second["tokensPerMicroBatch"] < first["tokensPerMicroBatch"]


def test_running_it_again_by_hand_keeps_the_plan_of_what_was_trained(desk: Desk) -> None:
    full = {"exit": 71, "error": {"class": "OutOfMemory", "message": "memory ran out in step 1"}}
    desk.tell(train_1=full, evaluate_1={"exit": 64})
    assert desk.finetune("run", desk.manifest()).code == 1
    assert desk.finetune("run", desk.manifest()).code == 0
    tried, trained = (desk.orders(name)["train"]["tokensPerMicroBatch"] for name in ("train-1", "train-2"))
    planned = {one["field"]: one["value"] for one in desk.orders("evaluate-2")["evaluate"]["plan"]}
    assert planned["tokens per micro-batch"] == trained < tried


def test_an_evaluation_out_of_memory_is_tried_with_less_at_a_time(desk: Desk) -> None:
    desk.tell(evaluate_1={"exit": 71, "error": {"class": "OutOfMemory", "message": "memory ran out"}})
    assert desk.finetune("run", desk.manifest()).code == 0
    first, second = (desk.orders(name)["evaluate"] for name in ("evaluate-1", "evaluate-2"))
    assert (second["tokensPerMicroBatch"], second["answersAtOnce"]) == (first["tokensPerMicroBatch"] // 4, 4)
    assert second["plan"] == first["plan"]


# ---------------------------------------------------------------- what a stage is told


def test_each_attempt_keeps_its_orders_and_its_log(desk: Desk) -> None:
    desk.finetune("run", desk.manifest())
    assert desk.orders("train-1")["train"]["totalSteps"] == 75  # 200 examples in batches of 8, three times
    assert desk.orders("train-1")["workspace"] == str(desk.workspace)
    log = (desk.workspace / "attempts" / "train-1" / "log.txt").read_text(encoding="utf-8")
    assert log == "train attempt 1 at work\n"


def test_relative_paths_are_meant_from_the_manifests_directory(desk: Desk) -> None:
    data = [{"uri": "file://data/rows.jsonl"}, {"uri": "file:///absolute.jsonl", "role": "test"}]
    anonymize = {"strategy": "mask", "detectors": [{"uri": "file://tagger"}]}
    preparation = {"weighting": {"relevance": {"reference": {"uri": "file://shown.jsonl"}}}, "anonymize": anonymize}
    job = desk.manifest(datasets=data, model={"uri": "file://model"}, output={"uri": "file://out"}, preparation=preparation)
    desk.finetune("run", job)
    uris = [dataset["uri"] for dataset in desk.orders("prepare-1")["prepare"]["datasets"]]
    assert uris == [f"file://{desk.folder}/data/rows.jsonl", "file:///absolute.jsonl"]
    assert desk.orders("prepare-1")["prepare"]["reference"]["uri"] == f"file://{desk.folder}/shown.jsonl"
    assert desk.orders("prepare-1")["prepare"]["detectors"][0]["uri"] == f"file://{desk.folder}/tagger"
    assert desk.orders("prepare-1")["model"]["uri"] == f"file://{desk.folder}/model"
    assert desk.orders("publish-1")["publish"]["uri"] == f"file://{desk.folder}/out"


def test_claims_and_config_maps_are_directories_and_small_data_may_stand_in_the_manifest(desk: Desk) -> None:
    path = desk.folder / "support.yaml"
    desk.manifest(datasets=[{"uri": "configMap://rows/a.jsonl"}])
    config_map = {"kind": "ConfigMap", "metadata": {"name": "rows"}, "data": {"a.jsonl": "{}\n"}}
    path.write_text(f"{json.dumps(config_map)}\n---\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    assert desk.finetune("run", str(path), "--claim", f"models={desk.folder}").code == 0
    mounts = desk.orders("prepare-1")["mounts"]
    assert mounts["claims"] == {"models": str(desk.folder)}
    unpacked = desk.workspace / "config-maps" / "rows"
    assert mounts["configMaps"] == {"rows": str(unpacked)}
    assert (unpacked / "a.jsonl").read_text(encoding="utf-8") == "{}\n"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--claim", "models"), "finetune: --claim models: NAME=DIR is needed\n"),
        (("--claim", "=x"), "finetune: --claim =x: NAME=DIR is needed\n"),
        (("--config-map", "a=absent"), "finetune: --config-map a=absent: there is no directory absent\n"),
    ],
)
def test_a_directory_that_is_not_there_is_wrong_use(desk: Desk, given: tuple[str, ...], sentence: str) -> None:
    ran = desk.finetune("run", desk.manifest(), *given)
    assert (ran.code, ran.err) == (2, sentence)


def test_progress_of_a_stage_is_shown_and_kept(desk: Desk) -> None:
    numbers = {"current_step": 5, "total_steps": 10, "loss": 1.5, "tokens_per_second": 4321}
    desk.tell(train_1={"report": numbers, "exit": 1})
    ran = desk.finetune("run", desk.manifest())
    assert desk.job.status.attempts[1].last_step == 5
    assert any(line.startswith("train attempt 1 ended at step 5: exit code 1") for line in ran.told)


# ---------------------------------------------------------------- what a run refuses


def test_an_invalid_manifest_names_every_problem_and_makes_no_workspace(desk: Desk) -> None:
    ran = desk.finetune("run", desk.manifest(task="dance", training={"epochs": 0}))
    assert ran.code == 1
    assert [line.split(":")[0] for line in ran.err.splitlines()] == ["spec.task", "spec.training.epochs"]
    assert not desk.workspace.exists()


def test_an_image_alone_has_no_meaning_here(desk: Desk) -> None:
    ran = desk.finetune("run", desk.manifest(image="mine:1"))
    assert (ran.code, ran.err) == (1, "spec.image: runs in a cluster only; leave it out for a local run\n")


def test_a_model_that_cannot_do_the_task_fails_the_job_with_its_field(desk: Desk) -> None:
    ran = desk.finetune("run", desk.manifest(task="classification"))
    assert ran.code == 1
    assert "Failed: spec.model.uri: LlamaForCausalLM is no encoder; classification needs a BERT-class model" in ran.out
    assert desk.attempts == {"prepare-1"}


def test_a_suspended_manifest_starts_nothing(desk: Desk) -> None:
    ran = desk.finetune("run", desk.manifest(runPolicy={"suspend": True}))
    assert (ran.code, ran.told) == (130, ["Suspended; what was reached is kept."])
    assert desk.finetune("run", desk.manifest()).code == 0
