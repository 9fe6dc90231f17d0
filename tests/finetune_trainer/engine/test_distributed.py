"""What an error of a backend means: a peer that is gone, memory that ran out, or something that is wrong here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import stages
from builders import a_job, a_node, a_plan, some_facts
from finetune_api.errors import Transient, UserError
from finetune_operator.brain.configure import configure
from finetune_operator.brain.stages import Stage
from finetune_trainer.environment import lost_peer, out_of_memory, sees_gpu
from ports import a_free_port

NCCL = "NCCL error in: ../torch/csrc/distributed/c10d/NCCLUtils.cpp:94, {}, NCCL version 2.30.7\n{}\nLast error:\n{}"
GONE = NCCL.format(
    "remote process exited or there was a network error",
    "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.",
    "socketProgress: Connection closed by remote peer 10.0.0.7<41234>",
)
FULL = NCCL.format(
    "unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
    "ncclUnhandledCudaError: Call to CUDA function failed.",
    "Cuda failure 2 'out of memory'",
)
TWICE = NCCL.format(
    "invalid usage (run with NCCL_DEBUG=WARN for details)",
    "ncclInvalidUsage: This usually reflects invalid usage of NCCL library.",
    "Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 1b000",
)


@pytest.mark.parametrize(
    ("text", "lost", "full"),
    [
        (GONE, True, False),
        ("NCCL communicator was aborted on rank 3.", True, False),
        ("[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:40404", True, False),
        (FULL, False, True),
        (TWICE, False, False),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", False, True),
        ("CUDA out of memory. Tried to allocate 2.00 GiB.", False, True),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8589934592 bytes.", False, True),
        ("CUDA error: device-side assert triggered", False, False),
    ],
)
def test_only_what_says_so_is_a_lost_peer_and_memory_is_memory_wherever_it_ran_out(text: str, lost: bool, full: bool) -> None:
    assert lost_peer(RuntimeError(text)) is lost
    assert out_of_memory(RuntimeError(text)) is full


def test_a_gpu_that_torch_cannot_use_is_no_reason_to_compute_on_the_cpu() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("here torch can use it")
    with pytest.raises(UserError, match="/dev/null") as caught:
        sees_gpu({}, nodes=("/dev/null",))
    assert caught.value.field == "spec.image"
    assert sees_gpu({"DS_ACCELERATOR": "cpu"}, nodes=("/dev/null",)) is False
    assert sees_gpu({"CUDA_VISIBLE_DEVICES": ""}, nodes=("/dev/null",)) is False, "somebody hid it"
    assert sees_gpu({}, nodes=()) is False


def test_fewer_gpus_than_were_asked_for_are_the_machines_fault_and_no_reason_to_compute_on_the_cpu() -> None:
    import torch

    there = torch.cuda.device_count()
    sees = str(there) if there else "none with CUDA_VISIBLE_DEVICES="
    with pytest.raises(Transient, match=f"{there + 2} GPUs were asked for on this machine, and torch sees {sees}"):
        sees_gpu({} if there else {"CUDA_VISIBLE_DEVICES": ""}, expected=there + 2, nodes=())
    assert sees_gpu({"DS_ACCELERATOR": "cpu"}, expected=2, nodes=()) is False


@pytest.mark.parametrize("stage", [Stage.TRAIN, Stage.EVALUATE])
def test_a_stage_that_was_to_have_gpus_and_finds_none_says_so_and_may_be_tried_elsewhere(stage: Stage, tmp_path: Path) -> None:
    job = a_job(resources={"gpusPerNode": 2})
    config = configure(job, a_plan(job, some_facts(), a_node()), stage, 1, workspace=str(tmp_path / "workspace"))
    # One rank, as the launcher starts it; DS_ACCELERATOR is as in a pod that has GPUs.
    end = stages.run_here(config, tmp_path, RANK="0", WORLD_SIZE="1", DS_ACCELERATOR="")
    assert end.code == 75, end.log
    assert "Traceback" not in end.log
    assert end.result is not None
    assert end.result.error is not None
    assert end.result.error.error_class == "Transient"
    asked = "2 GPUs were" if stage is Stage.TRAIN else "1 GPU was"
    assert end.result.error.message.startswith(f"{asked} asked for on this machine, and torch sees none")


_A_RANK = """
import os
from finetune_trainer.engine.distributed import Ranks
beats = []
def write(beat):
    for _ in range(3):
        beat()
ranks = Ranks(os.environ)
ranks.let_first(write, beat=lambda: beats.append(1))
print("beats", len(beats), "of rank", ranks.rank)
"""


def test_a_rank_that_waits_for_the_first_one_shows_that_it_lives_whenever_that_one_does() -> None:
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(a_free_port())}
    shared = {**os.environ, **where, "WORLD_SIZE": "2", "DS_ACCELERATOR": "cpu"}
    processes = [
        subprocess.Popen([sys.executable, "-c", _A_RANK], env={**shared, "RANK": rank}, stdout=subprocess.PIPE, text=True)
        for rank in ("0", "1")
    ]
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert ["beats 3 of rank 0" in said[0], "beats 3 of rank 1" in said[1]] == [True, True], said
