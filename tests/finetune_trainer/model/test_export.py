"""A model in files, and signs of life while it is written."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoModelForCausalLM

from finetune_trainer.environment import hearing_of_each_step
from tiny import tiny_causal_lm


def test_each_file_of_a_model_is_heard_of_when_it_is_written_and_each_tensor_when_it_is_read(tmp_path: Path) -> None:
    folder, beats = tiny_causal_lm(tmp_path / "model"), []
    with hearing_of_each_step(lambda: beats.append("read")):
        model = AutoModelForCausalLM.from_pretrained(folder)
    assert len(beats) >= 10

    beats.clear()
    with hearing_of_each_step(lambda: beats.append(sorted(path.name for path in (tmp_path / "out").glob("*.safetensors")))):
        model.save_pretrained(tmp_path / "out", max_shard_size="100KB")
    written = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert len(written) >= 3
    assert [len(seen) for seen in beats] == list(range(1, len(written) + 1)), "after each, and not before it"

    beats.clear()
    model.save_pretrained(tmp_path / "again", max_shard_size="100KB")
    assert beats == [], "nobody listens any more"
