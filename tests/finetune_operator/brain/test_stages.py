"""The table of stages, as design section 4 and section 7 have it: what runs where, and what it may reach."""

from __future__ import annotations

from finetune_api.contract.result import StageResult
from finetune_api.v1alpha1.status import ConditionType, Phase
from finetune_operator.brain.stages import STAGES, Stage


def test_the_stages_run_in_this_order() -> None:
    assert list(STAGES) == list(Stage) == ["prepare", "train", "evaluate", "publish"]


def test_training_and_evaluation_reach_nothing_outside() -> None:
    assert {stage: needs.egress for stage, needs in STAGES.items()} == {
        "prepare": "sources",
        "train": "none",
        "evaluate": "none",
        "publish": "output",
    }


def test_no_gpu_waits_for_data_or_an_upload() -> None:
    assert [stage for stage, needs in STAGES.items() if needs.accelerator] == ["train", "evaluate"]
    assert [stage for stage, needs in STAGES.items() if needs.distributed] == ["train"]


def test_each_stage_shows_by_a_phase_and_a_condition_of_its_own() -> None:
    assert len({needs.phase for needs in STAGES.values()} | {Phase.PENDING}) == 5
    assert [needs.condition for needs in STAGES.values()] == list(ConditionType)[1:5]
    assert not any(needs.phase.terminal for needs in STAGES.values())


def test_what_a_stage_must_leave_is_a_part_of_its_result() -> None:
    parts = {part for needs in STAGES.values() for part in needs.leaves}
    assert parts == {"model", "data", "evaluation", "output"}
    assert parts <= set(StageResult.model_fields)
