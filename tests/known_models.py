"""Models that everybody knows, in the numbers of their configurations, with activation bytes as prepare counts them: a plan
made from them can be compared with published numbers.
"""

from __future__ import annotations

from finetune_api.contract.facts import ActivationBytes, ModelFacts

DIGEST = "sha256:" + "5" * 64


def llama_8b() -> ModelFacts:
    """meta-llama/Meta-Llama-3-8B: 32 layers of 4096, 128,256 tokens in two matrices, 8 of 32 heads for keys."""
    return ModelFacts(
        family="causal_lm",
        architecture="LlamaForCausalLM",
        digest=DIGEST,
        parameters=8_030_261_248,
        embedding_parameters=128_256 * 4096,
        layers=32,
        hidden_size=4096,
        intermediate_size=14336,
        attention_size=4096,
        vocabulary=128_256,
        context_length=8192,
        lora_sizes=32 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)),
        activation_bytes_per_token=ActivationBytes(full=49.0 * 4096, lora=45.1 * 4096, checkpointed=2.0 * 4096),
    )


def llama_70b() -> ModelFacts:
    """meta-llama/Meta-Llama-3-70B: 80 layers of 8192; activation bytes per width as those of the 8B."""
    return ModelFacts(
        family="causal_lm",
        architecture="LlamaForCausalLM",
        digest=DIGEST,
        parameters=70_553_706_496,
        embedding_parameters=128_256 * 8192,
        layers=80,
        hidden_size=8192,
        intermediate_size=28672,
        attention_size=8192,
        vocabulary=128_256,
        context_length=8192,
        lora_sizes=80 * (2 * (8192 + 8192) + 2 * (8192 + 1024) + 3 * (8192 + 28672)),
        activation_bytes_per_token=ActivationBytes(full=49.0 * 8192, lora=45.1 * 8192, checkpointed=2.0 * 8192),
    )


def smollm_135m() -> ModelFacts:
    """HuggingFaceTB/SmolLM2-135M: 30 layers of 576, tied embeddings, 3 of 9 heads for keys."""
    return ModelFacts(
        family="causal_lm",
        architecture="LlamaForCausalLM",
        digest=DIGEST,
        parameters=134_515_008,
        embedding_parameters=49_152 * 576,
        tied_embeddings=True,
        layers=30,
        hidden_size=576,
        intermediate_size=1536,
        attention_size=576,
        vocabulary=49_152,
        context_length=8192,
        lora_sizes=30 * (2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536)),
        activation_bytes_per_token=ActivationBytes(full=46.0 * 576, lora=42.0 * 576, checkpointed=2.0 * 576),
    )


def an_encoder() -> ModelFacts:
    """A BERT of the base size: 12 layers of 768, which reads text and writes none."""
    return ModelFacts(
        family="encoder",
        architecture="BertModel",
        digest=DIGEST,
        parameters=109_482_240,
        embedding_parameters=30_522 * 768,
        layers=12,
        hidden_size=768,
        intermediate_size=3072,
        attention_size=768,
        vocabulary=30_522,
        context_length=512,
        lora_sizes=12 * (4 * (768 + 768) + 2 * (768 + 3072)),
        activation_bytes_per_token=ActivationBytes(full=50.0 * 768, lora=46.0 * 768, checkpointed=2.0 * 768),
    )
