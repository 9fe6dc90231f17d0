"""What this machine offers: the GPUs that are there, those that may be used, and what is left where nothing can be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_cli.machine import this_machine, visible

A100, V100, T4 = (80.0, 8.0), (32.0, 7.0), (16.0, 7.5)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (None, [A100, V100, T4]),
        ("0,1,2", [A100, V100, T4]),
        ("2,0", [T4, A100]),
        (" 1 , 2 ", [V100, T4]),
        ("", []),
        ("  ", []),
        ("-1", []),
        ("0,-1,1", [A100]),  # as CUDA: what comes after the first that is none does not count
        ("0,7,1", [A100]),
        ("NoDevFiles", []),
        ("GPU-8932f937,GPU-1f22a253", [A100, V100]),
    ],
)
def test_the_visible_gpus_are_those_that_cuda_would_see(said: str | None, left: list[tuple[float, float]]) -> None:
    assert visible([A100, V100, T4], said) == left


def a_driver(folder: Path, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_gpus_are_counted_and_the_weakest_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_driver(tmp_path, "echo '81559, 9.0'; echo '32768, 7.0'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    machine = this_machine({})
    assert (machine.gpus, machine.gpu_memory_gib, machine.gpu_bf16, machine.local) == (2, 32.0, False, True)
    assert this_machine({"CUDA_VISIBLE_DEVICES": "0"}).gpu_bf16 is True


@pytest.mark.parametrize("script", ["exit 9", "echo 'NVIDIA-SMI has failed'", "echo '[N/A], 9.0'", ":"])
def test_a_driver_that_does_not_answer_means_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    a_driver(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert this_machine({}).gpus == 0


def test_there_is_always_a_core_and_some_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    machine = this_machine({})
    assert machine.gpus == 0
    assert machine.cpu_cores >= 1
    assert 0 < machine.memory_gib < 100_000
