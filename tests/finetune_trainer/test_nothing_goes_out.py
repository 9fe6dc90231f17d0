"""Libraries that would tell their makers of a run, look for something newer at a hub, or take a GPU, are told not to."""

from __future__ import annotations

import pytest

from finetune_trainer.environment import quiet_libraries


def test_what_sees_everything_asks_no_hub_whatever_the_pod_says() -> None:
    environment = {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0"}
    quiet_libraries(environment, online=False)
    assert (environment["HF_HUB_OFFLINE"], environment["TRANSFORMERS_OFFLINE"]) == ("1", "1")


@pytest.mark.parametrize("online", [True, False])
def test_no_library_tells_its_makers_of_a_run(online: bool) -> None:
    environment: dict[str, str] = {}
    quiet_libraries(environment, online=online)
    said = {name: environment[name] for name in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "WANDB_MODE")}
    assert said == {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "WANDB_MODE": "offline"}


def test_a_stage_that_fetches_or_publishes_may_ask_its_hub() -> None:
    environment: dict[str, str] = {}
    quiet_libraries(environment, online=True)
    assert "HF_HUB_OFFLINE" not in environment


@pytest.mark.parametrize(("gpus", "visible", "said"), [(0, "", "cpu"), (0, "-1", "cpu"), (2, "", None), (2, "0,1", None)])
def test_the_cpu_is_chosen_where_gpus_are_hidden_and_never_where_some_were_asked_for(
    gpus: int, visible: str, said: str | None
) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": visible}
    quiet_libraries(environment, online=False, gpus=gpus)
    assert environment.get("DS_ACCELERATOR") == said
