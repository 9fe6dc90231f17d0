"""The shorter ways to the loss and through adapters give what the plain ways give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from finetune_api.contract.trainer_config import LoraConfig as LoraOrders
from finetune_api.errors import FinetuneError, UserError
from finetune_trainer.model import loss as loss_module
from finetune_trainer.model.adapters import adapted_modules, attach, save_adapter
from finetune_trainer.model.export import collect
from finetune_trainer.model.fused_lora import fuse_adapters
from finetune_trainer.model.load import load_new_classifier
from finetune_trainer.model.loss import frozen_head_loss


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("elements", [1, 10_000, 10**9])
def test_the_loss_against_a_frozen_output_layer_is_cross_entropy(
    with_bias: bool, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_module, "_LOGITS_AT_ONCE", elements)
    torch.manual_seed(0)
    hidden = torch.randn(77, 16, requires_grad=True)
    weight, bias = torch.randn(300, 16), torch.randn(300) if with_bias else None
    targets, weights = torch.randint(0, 300, (77,)), torch.rand(77)
    logits = torch.nn.functional.linear(hidden, weight, bias)
    wanted = (torch.nn.functional.cross_entropy(logits, targets, reduction="none") * weights).sum()
    (wanted_grad,) = torch.autograd.grad(wanted * 0.3, hidden)

    found = frozen_head_loss(hidden, weight, bias, targets, weights)
    (found_grad,) = torch.autograd.grad(found * 0.3, hidden)

    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(found_grad, wanted_grad)
    with torch.no_grad():
        torch.testing.assert_close(frozen_head_loss(hidden, weight, bias, targets, weights), wanted)


def test_no_target_at_all_is_a_loss_of_zero() -> None:
    hidden = torch.randn(0, 16, requires_grad=True)
    loss = frozen_head_loss(hidden, torch.randn(30, 16), None, torch.zeros(0, dtype=torch.long), torch.zeros(0))
    loss.backward()
    assert loss.item() == 0.0


def peft_model(folder: Path, **options: Any) -> Any:
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    settings = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "init_lora_weights": False, "task_type": "CAUSAL_LM"}
    return get_peft_model(base, LoraConfig(**{**settings, **options}))


def test_fused_adapters_give_pefts_outputs_and_gradients(causal_lm: Path) -> None:
    ids = torch.arange(40).reshape(2, 20)
    plain, fused = peft_model(causal_lm), peft_model(causal_lm)
    assert fuse_adapters(fused) == 2 * 7
    found = []
    for model in (plain, fused):
        output = model(input_ids=ids, labels=ids)
        output.loss.backward()
        found.append((output.logits, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-4, atol=1e-5)
    assert found[0][1].keys() == found[1][1].keys()
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, rtol=1e-3, atol=1e-6)


def test_a_fused_model_still_switches_its_adapters_off(causal_lm: Path) -> None:
    ids = torch.arange(20)[None]
    model = peft_model(causal_lm)
    fuse_adapters(model)
    base = AutoModelForCausalLM.from_pretrained(causal_lm, dtype=torch.float32)
    with torch.no_grad(), model.disable_adapter():
        torch.testing.assert_close(model(input_ids=ids).logits, base(input_ids=ids).logits)


def test_adapters_with_dropout_keep_pefts_own_way(causal_lm: Path) -> None:
    assert fuse_adapters(peft_model(causal_lm, lora_dropout=0.1)) == 0


def orders(**changes: Any) -> LoraOrders:
    return LoraOrders(**{"rank": 4, "alpha": 8, "dropout": 0.0, "target_modules": ("all-linear",), **changes})


def attached(folder: Path, **changes: Any) -> Any:
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return attach(base, orders(**changes), classification=False, dtype=torch.float32, seed=1)


def test_all_linear_means_every_linear_layer_but_the_output(causal_lm: Path) -> None:
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert adapted_modules(attached(causal_lm)) == dict.fromkeys(names, 2)


def test_a_name_that_matches_no_module_is_refused_with_the_names_there_are(causal_lm: Path) -> None:
    with pytest.raises(UserError, match=r"no module of the model is called 'queries'; there are .*q_proj") as caught:
        attached(causal_lm, target_modules=("q_proj", "queries"))
    assert caught.value.field == "spec.method.lora.targetModules[1]"


def test_an_untrained_or_empty_adapter_is_not_saved_as_if_it_were_one(causal_lm: Path, tmp_path: Path) -> None:
    model = attached(causal_lm)
    state = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    with pytest.raises(FinetuneError, match="empty or untrained"):
        save_adapter(model, state, tmp_path / "zero", base="hf://org/name", revision=None)


@pytest.mark.parametrize(
    ("base", "named"),
    [
        ("https://host/model.gguf?signature=s3cret", "https://host/model.gguf"),
        ("file:///models/%C3%9Cbung%20eins", "/models/Übung eins"),
    ],
)
def test_a_saved_adapter_tells_no_signature_and_names_a_base_that_loaders_find(
    base: str, named: str, causal_lm: Path, tmp_path: Path
) -> None:
    model = attached(causal_lm)
    state = {name: torch.ones_like(p) for name, p in model.named_parameters() if p.requires_grad}
    save_adapter(model, state, tmp_path / "adapter", base=base, revision=None)
    written = json.loads((tmp_path / "adapter/adapter_config.json").read_text(encoding="utf-8"))
    assert written["base_model_name_or_path"] == named


def test_a_saved_adapter_names_its_base_and_no_path_of_the_machine(causal_lm: Path, tmp_path: Path) -> None:
    model = attached(causal_lm)
    state = {name: torch.ones_like(p) for name, p in model.named_parameters() if p.requires_grad}
    save_adapter(model, state, tmp_path / "adapter", base="hf://org/name", revision="abc")
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("org/name", "abc")
    assert str(causal_lm) not in json.dumps(config)


def test_weights_that_training_has_ruined_are_not_kept() -> None:
    assert collect([("a", torch.ones(3))], torch.float32)["a"].tolist() == [1, 1, 1]
    for value in ("nan", "inf", "-inf"):
        weights = [("a", torch.ones(3)), ("b", torch.tensor([1.0, float(value), 2.0]))]
        with pytest.raises(UserError, match=r"1 of 2 trained tensors.*such as b") as caught:
            collect(weights, torch.bfloat16)
    assert caught.value.field == "spec.training.learningRate"


@pytest.mark.parametrize(("kind", "new"), [("DistilBertForMaskedLM", True), ("DistilBertForSequenceClassification", False)])
def test_every_part_of_a_head_is_trained_and_saved_whole(kind: str, new: bool, tmp_path: Path) -> None:
    import transformers

    config = transformers.DistilBertConfig(vocab_size=400, dim=32, n_layers=1, n_heads=4, hidden_dim=64)
    getattr(transformers, kind)(config).save_pretrained(tmp_path)
    model, new_modules = load_new_classifier(tmp_path, labels=["a", "b"], precision="fp32", seed=1)
    assert new_modules == (["classifier", "pre_classifier"] if new else [])
    wrapped = attach(model, orders(), classification=True, dtype=torch.float32, seed=1, new_modules=new_modules)
    trained = {name.removeprefix("base_model.model.") for name, p in wrapped.named_parameters() if p.requires_grad}
    whole = {name for name in trained if "lora_" not in name}
    parts = (
        f"{part}.modules_to_save.default.{kind}" for part in ("classifier", "pre_classifier") for kind in ("bias", "weight")
    )
    assert whole == set(parts)
    assert not any("classifier" in name for name in trained - whole), "no adapter beside what is trained whole"
