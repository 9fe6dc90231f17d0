"""Models of a few hundred kilobytes, made on the spot: real architectures, random weights, a tokenizer of the test's own text.

tiny_causal_lm(folder)   a Llama of two layers that chats in ChatML
tiny_encoder(folder)     a BERT of two layers; pooler=False: as it was pretrained, with a head for masked words and no pooler
tiny_tagger(folder)      a BERT that tags the names and places it was given
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


def tiny_causal_lm(
    folder: Path, *, seed: int = 0, tied: bool = False, intermediate_size: int = 160, layers: int = 2, positions: int = 256
) -> Path:
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
        max_position_embeddings=positions,
        tie_word_embeddings=tied,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        initializer_range=0.08,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def tiny_encoder(folder: Path, *, seed: int = 0, pooler: bool = True) -> Path:
    """A BERT with 400 tokens and 64 units, without a classification head."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, BertModel

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
    (BertModel if pooler else BertForMaskedLM)(config).save_pretrained(folder)
    return folder


_WORDS = "zor ##blax quin ##by ##dale xanadu ##hausen - . , mein name ist wohnt in und hat 😀 é ü ##s"
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]


def tiny_tagger(folder: Path, *, tags: list[str] | None = None, positions: int = 32, head: bool = True) -> Path:
    """A model for token classification whose weights are set by hand: zor, ##blax and quin begin or continue a person, xanadu a
    place, and nothing else is anything. `positions` is all that it can read at once."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForTokenClassification, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *_WORDS.split()]
    vocabulary = {word: number for number, word in enumerate(words)}
    raw = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=200))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    tokenizer.save_pretrained(folder)
    tags = tags or TAGS
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=positions,
        id2label=dict(enumerate(tags)),
        label2id={tag: number for number, tag in enumerate(tags)},
    )
    torch.manual_seed(0)
    if not head:
        BertModel(config).save_pretrained(folder)
        return folder
    model = BertForTokenClassification(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "LayerNorm" not in name:
                weights.zero_()
        model.bert.embeddings.word_embeddings.weight.copy_(torch.eye(len(words), 32))
        model.classifier.bias[0] = 8.0
        for word, tag in {"zor": 1, "quin": 1, "##blax": 2, "xanadu": 3}.items():
            model.classifier.weight[tag, vocabulary[word]] = 4.0
    model.save_pretrained(folder)
    return folder
