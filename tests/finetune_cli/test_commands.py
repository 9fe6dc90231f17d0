"""The commands that look: validate, plan, status, report, crd. Answers on stdout, complaints on stderr, and an exit code."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from finetune_api.crd import custom_resource_definition
from golden import assert_golden

if TYPE_CHECKING:
    from conftest import Desk

COMMANDS = ("validate", "plan", "run", "status", "logs", "report", "crd")

TWELVE_MISTAKES = """
apiVersion: finetune.dev/v1alpha1
kind: FineTuneJob
metadata: {name: Support Bot}
spec:
  task: extraction
  model: {uri: Qwen/Qwen3-8B}
  datasets:
  - {uri: s3://corp/tickets.jsonl, role: training, wieght: 2}
  preparation:
    split: {validation: "0.1"}
    overlong: cut
  method:
    lora: {r: 16}
  traning: {epochs: 3}
  evaluation:
    gates: [{metric: loss}]
  resources: {nodes: 0}
"""


# ---------------------------------------------------------------- help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(desk: Desk, command: str) -> None:
    ran = desk.finetune(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"usage: finetune {command} ")


def test_the_program_names_its_commands_and_exit_codes(desk: Desk) -> None:
    ran = desk.finetune("--help")
    assert all(f"    {command} " in ran.out for command in COMMANDS)
    assert "0 succeeded or valid, 1 failed or invalid, 2 wrong use, 3 rejected by a gate, 130" in " ".join(ran.out.split())


@pytest.mark.parametrize("arguments", [(), ("bake",), ("run",), ("validate",), ("crd", "--output", "xml"), ("run", "a", "b")])
def test_wrong_use_is_exit_code_2_with_a_usage_line(desk: Desk, arguments: tuple[str, ...]) -> None:
    ran = desk.finetune(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("usage: finetune")


# ---------------------------------------------------------------- validate


def test_a_valid_manifest_is_said_to_be_valid(desk: Desk) -> None:
    path = desk.manifest()
    ran = desk.finetune("validate", path)
    assert (ran.code, ran.out, ran.err) == (0, f"{path}: finetunejob support is valid\n", "")


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file(desk: Desk) -> None:
    (desk.folder / "job.yaml").write_text(TWELVE_MISTAKES, encoding="utf-8")
    ran = desk.finetune("validate", "job.yaml")
    assert (ran.code, ran.out) == (1, "")
    assert_golden("validate/twelve-mistakes.txt", ran.err)


def test_mistakes_for_programs_are_json_with_field_and_message(desk: Desk) -> None:
    (desk.folder / "job.yaml").write_text(TWELVE_MISTAKES, encoding="utf-8")
    good = desk.manifest()
    ran = desk.finetune("validate", "job.yaml", good, "--output", "json")
    assert (ran.code, ran.err) == (1, "")
    bad, fine = ran.json
    assert (bad["manifest"], bad["valid"], len(bad["problems"])) == ("job.yaml", False, 12)
    assert bad["problems"][-1] == {"field": "spec.output", "message": "is required"}
    assert fine == {"manifest": good, "valid": True, "problems": []}


def test_a_wrong_name_has_its_field_for_programs_too(desk: Desk) -> None:
    (answer,) = desk.finetune("validate", desk.manifest("support.v1"), "--output", "json").json
    assert [problem["field"] for problem in answer["problems"]] == ["metadata.name"]
    assert answer["problems"][0]["message"].startswith("at most 40 characters")


def test_a_job_that_holds_nothing_out_is_refused_before_anything_runs(desk: Desk) -> None:
    nothing = desk.manifest(preparation={"split": {"test": 0}})
    field = "spec.preparation.split.test: is 0 and no dataset has the role test"
    for verb in ("validate", "run"):
        ran = desk.finetune(verb, nothing)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith(field)
    assert not desk.workspace.exists()
    rows = [{"uri": "s3://corp/a.jsonl"}, {"uri": "s3://corp/exam.jsonl", "role": "test"}]
    assert desk.finetune("validate", desk.manifest(datasets=rows, preparation={"split": {"test": 0}})).code == 0


def test_the_program_says_its_version(desk: Desk) -> None:
    ran = desk.finetune("--version")
    assert ran.code == 0
    assert ran.out.startswith(f"finetune {version('finetune-operator')}")


def test_what_no_cluster_would_give_to_a_pod_is_found_without_one(desk: Desk) -> None:
    template = {
        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
        "volumeMounts": [{"name": "host", "mountPath": "/mnt"}],
    }
    ran = desk.finetune("validate", desk.manifest(podTemplate=template, preparation={"split": {"test": 0}}))
    assert ran.code == 1
    assert "spec.podTemplate.volumes[0].hostPath: is no volume that the restricted Pod Security Standard allows" in ran.err
    assert "spec.preparation.split.test: is 0" in ran.err, "and not before the rest is mended"


def test_a_file_that_is_no_manifest_is_named(desk: Desk) -> None:
    (desk.folder / "list.yaml").write_text("[1, 2]\n")
    ran = desk.finetune("validate", desk.manifest(), "list.yaml")
    assert (ran.code, ran.err.splitlines()[0]) == (1, "list.yaml: a manifest is a mapping, not a list")


@pytest.mark.parametrize("command", ["validate", "plan", "run", "prepare", "status", "report", "crd", "data diff"])
def test_the_answer_for_programs_is_asked_for_alike_everywhere(desk: Desk, command: str) -> None:
    assert "-o {" in desk.finetune(*command.split(), "--help").out


def test_the_worst_of_several_manifests_is_the_exit_code(desk: Desk) -> None:
    ran = desk.finetune("validate", desk.manifest(), desk.manifest("b", task="dance"), "absent.yaml")
    assert ran.code == 2
    assert "absent.yaml: No such file or directory" in ran.err
    assert "spec.task: must be one of" in ran.err
    assert "finetunejob support is valid" in ran.out


def test_a_manifest_may_come_from_standard_input(desk: Desk) -> None:
    with Path(desk.manifest()).open(encoding="utf-8") as manifest:
        ran = desk.ended(desk.start("validate", "-", stdin=manifest))
    assert (ran.code, ran.out) == (0, "-: finetunejob support is valid\n")


# ---------------------------------------------------------------- plan


def test_a_plan_is_made_without_running_or_writing_anything(desk: Desk) -> None:
    ran = desk.finetune("plan", desk.manifest())
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Plan of support\n")
    assert "known after the prepare stage: finetune plan --prepare runs it." in ran.out
    assert not desk.workspace.exists()


def test_plan_prepare_runs_that_stage_alone_and_knows_the_steps(desk: Desk) -> None:
    manifest = desk.manifest()
    ran = desk.finetune("plan", manifest, "--prepare")
    assert (ran.code, ran.told) == (0, ["prepare attempt 1 starts", "prepare is done"])
    assert "Steps: 75 of 8 examples (3 epochs)" in ran.out
    assert desk.job.status.phase == "Preparing"
    for again in (("plan", manifest), ("plan", manifest, "--prepare")):
        ran = desk.finetune(*again)
        assert (ran.err, "Steps: 75 of 8 examples" in ran.out) == ("", True)
    assert desk.finetune("run", manifest).told[0] == "train attempt 1 starts"


def test_a_changed_manifest_is_planned_with_the_data_that_was_counted_before(desk: Desk) -> None:
    desk.finetune("plan", desk.manifest(), "--prepare")
    ran = desk.finetune("plan", desk.manifest(training={"epochs": 5}))
    assert ran.code == 0
    assert "spec.training.epochs differs); its data is the same" in ran.err
    assert "Steps: 125 of 8 examples (5 epochs)" in ran.out
    ran = desk.finetune("plan", desk.manifest(preparation={"deduplicate": "near"}))
    assert "spec.preparation.deduplicate differs), so its data is not counted here" in ran.err
    assert "known after the prepare stage" in ran.out


def test_a_plan_for_programs_is_json(desk: Desk) -> None:
    made = desk.finetune("plan", desk.manifest(), "--prepare", "--output", "json").json
    assert made["schedule"]["totalSteps"] == 75
    assert made["topology"]["worldSize"] == 1
    assert made["availableGiB"] > made["memoryGiB"] > 0
    assert not [key for key in keys_of(made) if "_" in key], "camelCase, as all JSON of the product"
    assert {"field": "output.format", "value": "adapter", "reason": "method.type is lora"} in made["choices"]


def keys_of(value: Any) -> list[str]:
    """The names in a JSON value, at every depth."""
    if isinstance(value, list):
        return [key for item in value for key in keys_of(item)]
    return [*value, *(key for inner in value.values() for key in keys_of(inner))] if isinstance(value, dict) else []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--claim", "a"), "finetune: --claim a: NAME=DIR is needed\n"),
        (("--config-map", "a=absent"), "finetune: --config-map a=absent: there is no directory absent\n"),
        (
            ("--workspace", "support.yaml"),
            "finetune: the workspace support.yaml is no directory. Name another with --workspace.\n",
        ),
    ],
)
def test_a_plan_refuses_what_a_run_would_refuse(desk: Desk, arguments: tuple[str, str], sentence: str) -> None:
    ran = desk.finetune("plan", desk.manifest(), *arguments)
    assert (ran.code, ran.out, ran.err) == (2, "", sentence)


def test_a_plan_whose_preparation_fails_says_why(desk: Desk) -> None:
    desk.tell(prepare_1={"exit": 64, "error": {"class": "UserError", "message": "no access", "hint": "Log in."}})
    ran = desk.finetune("plan", desk.manifest(), "--prepare")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1] == "finetune: prepare attempt 1: no access. Log in."


# ---------------------------------------------------------------- status, report


def test_where_there_are_no_jobs_it_is_said(desk: Desk) -> None:
    assert desk.finetune("status").out == "No jobs here. In a cluster: name it with -n NAMESPACE, --context or --cluster.\n"
    assert desk.finetune("status", "--output", "json").json == []


def test_status_shows_every_job_as_a_row(desk: Desk) -> None:
    desk.finetune("run", desk.manifest())
    desk.tell(train_1={"exit": 64, "error": {"class": "UserError", "message": "no access"}})
    desk.finetune("run", desk.manifest("chat"))
    rows = [row.split() for row in desk.finetune("status").out.splitlines()]
    assert [row[:3] if row[0] == "chat" else row[:5] for row in rows] == [
        ["NAME", "PHASE", "PROGRESS", "ETA", "BASE"],
        ["chat", "Failed", "0"],
        ["support", "Succeeded", "1.92", "1.31", "Improved"],
    ]
    rows = desk.finetune("status", "--output", "json").json
    assert [(row["name"], row["status"]["phase"]) for row in rows] == [("chat", "Failed"), ("support", "Succeeded")]


def test_status_of_one_job_shows_its_attempts(desk: Desk) -> None:
    desk.tell(train_1={"exit": 1, "report": {"current_step": 7}})
    desk.finetune("run", desk.manifest())
    ran = desk.finetune("status", "support")
    lines = [line.split() for line in ran.out.splitlines()]
    table = lines[lines.index(["Attempts"]) + 2 : lines.index(["Data"]) - 1]
    assert [line[:3] for line in table] == [
        ["prepare", "1", "Completed"],
        ["train", "1", "Unknown"],
        ["exit", "code", "1;"],
        ["train", "2", "Completed"],
        ["evaluate", "1", "Completed"],
        ["publish", "1", "Completed"],
    ]
    again = [line.split() for line in desk.finetune("status", "--workspace", str(desk.workspace)).out.splitlines()]
    assert again[again.index(["Attempts"]) :] == lines[lines.index(["Attempts"]) :], "ages above may have grown by a second"
    assert desk.finetune("status", "support", "--output", "json").json["status"]["restarts"]["total"] == 1


@pytest.mark.parametrize("command", ["status", "report"])
def test_a_job_that_is_not_there_is_wrong_use(desk: Desk, command: str) -> None:
    ran = desk.finetune(command, "absent")
    assert (ran.code, "holds no job. Name the workspace with --workspace." in ran.err) == (2, True)


def test_a_report_shows_base_against_tuned_or_the_whole_of_it_as_json(desk: Desk) -> None:
    desk.tell(evaluate_1={"files": {"reports/evaluation.json": '{"whole": true}', "reports/report.html": "<p>"}})
    desk.finetune("run", desk.manifest())
    ran = desk.finetune("report", "support")
    assert ran.code == 0
    assert "Verdict: Improved (loss)" in ran.out
    assert f"report  {desk.workspace}/reports/report.html" in ran.out
    assert desk.finetune("report", "support", "--output", "json").json == {"whole": True}


def test_what_has_not_been_evaluated_has_no_report(desk: Desk) -> None:
    desk.tell(train_1={"exit": 64})
    desk.finetune("run", desk.manifest())
    ran = desk.finetune("report", "support")
    assert (ran.code, ran.err) == (2, "finetune: support has not been evaluated yet (phase Failed)\n")
    assert desk.finetune("report").err == (
        "finetune: name a job, or a workspace with --workspace."
        " In a cluster: name it with -n NAMESPACE, --context or --cluster.\n"
    )


# ---------------------------------------------------------------- crd


def test_the_definition_is_printed_as_yaml_and_as_json(desk: Desk) -> None:
    assert yaml.safe_load(desk.finetune("crd").out) == custom_resource_definition()
    assert json.loads(desk.finetune("crd", "--output", "json").out) == custom_resource_definition()


def test_the_manual_of_the_manifest_is_what_the_definition_says(desk: Desk) -> None:
    committed = Path(__file__).parents[2] / "docs" / "manifest.md"
    assert desk.finetune("crd", "--output", "markdown").out == committed.read_text(encoding="utf-8"), "make docs"
