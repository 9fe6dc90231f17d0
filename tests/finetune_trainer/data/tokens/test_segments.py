"""Token ids are those that the tokenizer gives for the whole text, whether or not its parts were met before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_trainer.data.tokens.segments import Segments


def a_tokenizer(*, pre_tokenizer: Any, added: list[Any]) -> Any:
    """A byte-pair tokenizer of a few words, with these added tokens."""
    from tokenizers import Tokenizer, models, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    words = ["the cat sat on the mat", "system\nYou are kind", "user\nHow are you?", "assistant\nFine, and you?"]
    tokenizer.train_from_iterator(words * 4, trainers.BpeTrainer(vocab_size=400, show_progress=False))
    tokenizer.add_special_tokens(added)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def byte_level() -> Any:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def control_tokens(**how: bool) -> list[Any]:
    from tokenizers import AddedToken

    return [AddedToken(text, special=True, normalized=False, **how) for text in ("<|s|>", "<|e|>", "<|s|>x")]


pieces = st.sampled_from(["<|s|>", "<|e|>", "<|s|>x", "system\nYou are kind", "the cat", " ", "\n", "x", "mat?", "<|", ""])


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.lists(pieces, max_size=8).map("".join), min_size=1, max_size=30))
def test_the_ids_of_every_text_are_those_of_the_whole_text(texts: list[str]) -> None:
    tokenizer = a_tokenizer(pre_tokenizer=byte_level(), added=control_tokens())
    segments = Segments(tokenizer)
    assert segments._added is not None
    segments._untried = 0
    for _ in range(2):  # the second time parts are remembered
        assert segments.encode(texts) == tokenizer(texts, add_special_tokens=False)["input_ids"]


def test_a_part_that_each_conversation_repeats_is_encoded_once() -> None:
    tokenizer = a_tokenizer(pre_tokenizer=byte_level(), added=control_tokens())
    segments = Segments(tokenizer)
    segments._untried = 0
    segments.encode([f"<|s|>system\nYou are kind<|e|>{number}" for number in range(8)])
    assert set(segments._known) == {"", "system\nYou are kind"}


@pytest.mark.parametrize("how", ["lstrip", "rstrip", "single_word"])
def test_a_token_that_takes_its_neighbours_in_has_texts_encoded_whole(how: str) -> None:
    tokenizer = a_tokenizer(pre_tokenizer=byte_level(), added=control_tokens(**{how: True}))
    segments = Segments(tokenizer)
    texts = ["<|s|> the cat <|e|> mat", "a<|s|>"]
    assert segments._added is None
    assert segments.encode(texts) == tokenizer(texts, add_special_tokens=False)["input_ids"]


def test_a_tokenizer_that_marks_the_beginning_of_a_text_has_texts_encoded_whole() -> None:
    from tokenizers import pre_tokenizers

    tokenizer = a_tokenizer(pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first"), added=control_tokens())
    segments = Segments(tokenizer)
    texts = ["<|s|>the cat<|e|>the mat", "the cat"]
    assert segments._added is None
    assert segments.encode(texts) == tokenizer(texts, add_special_tokens=False)["input_ids"]


def test_what_only_real_texts_show_is_seen_on_the_first_of_them(causal_lm: Path) -> None:
    from tokenizers import Regex, pre_tokenizers

    # Sees what stands before a word, across a control token: no probe holds these words.
    behind = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex("cat$"), "isolated"), byte_level()])
    tokenizer = a_tokenizer(pre_tokenizer=behind, added=control_tokens())
    segments = Segments(tokenizer)
    texts = ["the cat<|e|>", "<|s|>the cat", "the cat sat"] * 4
    assert segments.encode(texts) == tokenizer(texts, add_special_tokens=False)["input_ids"]
