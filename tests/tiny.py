"""Models of a few hundred kilobytes, made on the spot: real architectures, random weights, a tokenizer of the test's own text.

tiny_causal_lm(folder)   a Llama of two layers that chats in ChatML
tiny_encoder(folder)     a BERT of two layers
"""

from __future__ import annotations

from pathlib import Path

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

SENTENCES = [
    "How do I reset my password?",
    "Open the settings, choose security and press reset.",
    "The printer shows an error and does not print.",
    "Turn it off, wait ten seconds and turn it on again.",
    "Where can I find the invoice of last month?",
    "All invoices are in your account under documents.",
]


def _tokenizer(folder: Path, *, special: list[str], processor: str | None = None) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(unk_token=None))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    raw.train_from_iterator(SENTENCES * 4, trainer)
    if processor:
        first, last = "[CLS]", "[SEP]"
        raw.post_processor = processors.TemplateProcessing(
            single=processor, special_tokens=[(token, raw.token_to_id(token)) for token in (first, last)]
        )
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=raw, cls_token=first, sep_token=last, pad_token="[PAD]", unk_token="[UNK]"
        )
    else:
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|pad|>")
        tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)


def tiny_causal_lm(folder: Path, *, seed: int = 0, tied: bool = False, intermediate_size: int = 160, layers: int = 2) -> Path:
    """A Llama with grouped queries, 400 tokens and 64 units."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer(folder, special=["<|pad|>", "<|im_start|>", "<|im_end|>"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=tied,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        initializer_range=0.08,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def tiny_encoder(folder: Path, *, seed: int = 0) -> Path:
    """A BERT with 400 tokens and 64 units, without a classification head."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer(folder, special=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], processor="[CLS] $A [SEP]")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.1,
        pad_token_id=tokenizer.pad_token_id,
    )
    BertModel(config).save_pretrained(folder)
    return folder
