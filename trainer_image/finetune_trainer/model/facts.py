"""What memory and time depend on, measured on the architecture without its weights.

Bytes that a token leaves behind for the backward pass differ by a factor of two between architectures of the same width,
so they are counted: one and two layers are run on the meta device, where tensors have shapes but no storage, and every
tensor that autograd saves is added up. No weights, no GPU, a fraction of a second.
"""

from __future__ import annotations

import copy
import logging
import time
from typing import Any

import torch
from transformers import AttentionInterface, AutoModel, AutoModelForCausalLM, PretrainedConfig

from finetune_api.contract.facts import ActivationBytes, Family, MachineFacts, ModelFacts
from finetune_api.errors import UserError
from finetune_trainer.model.files import context_length

log = logging.getLogger(__name__)

_COUNTED = "finetune_counted"
_TOKENS = 512
_LORA_RANK = 16


class _FlashLike(torch.autograd.Function):
    """Saves what an attention kernel saves: queries, keys, values, output and one number per row and head."""

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(q)
        ctx.save_for_backward(q, k, v, out, torch.empty(q.shape[:-1], dtype=torch.float32, device=q.device))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        raise RuntimeError("counting runs no backward pass")


def _counted_attention(module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: Any, **_: Any) -> Any:
    return _FlashLike.apply(*(x.transpose(1, 2) for x in (q, k, v))), None


def family_of(config: PretrainedConfig) -> Family:
    """Whether a model writes or reads.

    Raises: UserError if the architecture is neither a causal language model nor a BERT-class encoder.
    """
    names = " ".join(config.architectures or [])
    if "ForConditionalGeneration" in names or getattr(config, "is_encoder_decoder", False):
        raise UserError(f"{names} is an encoder-decoder or multimodal model, which is not supported", field="spec.model.uri")
    if "CausalLM" in names or "LMHead" in names:
        return "causal_lm"
    if any(word in names for word in ("MaskedLM", "SequenceClassification", "ForPreTraining", "Model")):
        return "encoder"
    raise UserError(
        f"the model's config.json names the architecture {names or 'nothing'}, which is neither a causal language model nor"
        " an encoder",
        field="spec.model.uri",
    )


def model_facts(config: PretrainedConfig, *, revision: str | None, digest: str, template_digest: str | None) -> ModelFacts:
    """Sizes of a model from its configuration.

    Args:
        config: of the model.
        revision: commit, where it has one.
        digest: SHA-256 over the weight files.
        template_digest: SHA-256 of the chat template in use.
    """
    family = family_of(config)
    with torch.device("meta"):
        model = _build(config, family)
    embedding = model.get_input_embeddings().weight
    output = model.get_output_embeddings() if family == "causal_lm" else None
    tied = output is not None and output.weight is embedding
    sizes = sum(
        module.in_features + module.out_features
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not output
    )
    layers = config.num_hidden_layers
    return ModelFacts(
        family=family,
        architecture=(config.architectures or [type(model).__name__])[0],
        revision=revision,
        digest=digest,
        parameters=sum(p.numel() for p in model.parameters()),
        embedding_parameters=embedding.numel(),
        tied_embeddings=tied,
        layers=layers,
        hidden_size=config.hidden_size,
        intermediate_size=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        attention_size=config.num_attention_heads
        * (getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads),
        vocabulary=config.vocab_size,
        context_length=context_length(config),
        lora_sizes=sizes,
        activation_bytes_per_token=_activation_bytes(config, family),
        template_digest=template_digest,
    )


def _build(config: PretrainedConfig, family: Family) -> Any:
    # An encoder gets its head in training; a pooler that the weights may lack is negligible.
    return (AutoModelForCausalLM if family == "causal_lm" else AutoModel).from_config(config, dtype=torch.bfloat16)


def _activation_bytes(config: PretrainedConfig, family: Family) -> ActivationBytes:
    try:
        return ActivationBytes(
            full=_per_layer(config, family, lora=False, checkpointed=False),
            lora=_per_layer(config, family, lora=True, checkpointed=False),
            checkpointed=_per_layer(config, family, lora=False, checkpointed=True),
        )
    except Exception as error:  # an architecture that cannot be cut down: an estimate is better than none
        log.warning(
            "activations of %s were not counted (%s); assuming 70 bytes per unit of width",
            config.model_type,
            type(error).__name__,
        )
        return ActivationBytes(
            full=70.0 * config.hidden_size, lora=70.0 * config.hidden_size, checkpointed=2.0 * config.hidden_size
        )


def _per_layer(config: PretrainedConfig, family: Family, *, lora: bool, checkpointed: bool) -> float:
    one, two = (_saved_bytes(config, family, layers, lora=lora, checkpointed=checkpointed) for layers in (1, 2))
    return (two - one) / _TOKENS


def _saved_bytes(config: PretrainedConfig, family: Family, layers: int, *, lora: bool, checkpointed: bool) -> int:
    AttentionInterface.register(_COUNTED, _counted_attention)
    small = copy.deepcopy(config)
    small.num_hidden_layers = layers
    if getattr(small, "max_position_embeddings", None):  # some encoders have fewer positions than are counted over
        small.max_position_embeddings = max(small.max_position_embeddings, 2 * _TOKENS)
    if getattr(small, "layer_types", None):
        small.layer_types = list(small.layer_types)[:layers]
    small._attn_implementation = _COUNTED
    with torch.device("meta"):
        model = _build(small, family)
        model.train()
        if lora:
            from peft import LoraConfig, get_peft_model

            model = get_peft_model(model, LoraConfig(r=_LORA_RANK, target_modules="all-linear"), autocast_adapter_dtype=False)
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.data = parameter.data.to(torch.bfloat16)
            model.enable_input_require_grads()
        if checkpointed:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        weights = {p.untyped_storage()._cdata for p in model.parameters()}
        seen: dict[int, int] = {}
        alive: list[torch.Tensor] = []  # a freed storage's address would be used again and counted once

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            key = tensor.untyped_storage()._cdata
            if key not in weights:
                seen[key] = tensor.untyped_storage().nbytes()
            alive.append(tensor)
            return tensor

        core = model.get_base_model() if lora else model
        core = core.get_decoder() if family == "causal_lm" else core
        inputs: dict[str, Any] = {"input_ids": torch.zeros(1, _TOKENS, dtype=torch.long)}
        if family == "causal_lm":
            inputs["use_cache"] = False
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            core(**inputs)
    return sum(seen.values())


_TRIES = 5
_PATIENCE_SECONDS = 1.0


def machine_facts(cores: int, *, size: int = 576, rows: int = 1024) -> MachineFacts:
    """How many billion operations per second one core does in a matrix product of the usual shape, while all others work.

    Alone it would be faster: cores share memory and heat, and two of them may be threads of one. The middle of several
    tries and not the best one, because whoever else uses the machine now will do so during training.

    Args:
        cores: that the stage was given.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        rates = {}
        for dtype in (torch.bfloat16, torch.float32):
            left, right = torch.ones(rows * cores, size, dtype=dtype), torch.ones(3 * size, size, dtype=dtype)
            tries: list[float] = []
            while len(tries) < _TRIES and sum(tries) < _PATIENCE_SECONDS:  # bf16 without instructions for it takes a second
                tries.append(_seconds(left, right))
            rates[dtype] = 2.0 * rows * size * 3 * size / sorted(tries)[len(tries) // 2] / 1e9
    finally:
        torch.set_num_threads(threads)
    return MachineFacts(gflops_bf16=round(rates[torch.bfloat16], 1), gflops_fp32=round(rates[torch.float32], 1))


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    begin = time.perf_counter()
    left @ right.t()
    return time.perf_counter() - begin
