"""A tokenizer for data without a model: a character is a token, so lengths need no explanation and nothing is lost.

Whoever wants to see what becomes of data should not need a model for it. With this in the tokenizer's place the whole prepare
stage runs as it does for training: the same rules, copies, split and report. And because every token is a character, the
prepared examples can be turned back into the texts that a model would have been shown (`messages_of`).

Turns begin and end with marks from the end of Unicode's private use, one character each, which no text has any business to
hold; a row that does is left out like any row that holds a control token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune_trainer.data.inputs.formats import Message

LONGEST = 1 << 20
"""Characters of the longest example; longer than `clean.maxCharacters` is by itself, so nothing is ever too long."""

_SYSTEM, _USER, _ASSISTANT, _END = "\U0010fff0", "\U0010fff1", "\U0010fff2", "\U0010fff3"
_ROLES = {_SYSTEM: "system", _USER: "user", _ASSISTANT: "assistant"}
_TEMPLATE = (
    "{% for message in messages %}{{ {'system': '\U0010fff0', 'user': '\U0010fff1', 'assistant': '\U0010fff2'}[message['role']]"
    " + message['content'] + '\U0010fff3' }}{% endfor %}{% if add_generation_prompt %}{{ '\U0010fff2' }}{% endif %}"
)


class CharacterTokenizer:
    """As much of a Hugging Face tokenizer as the prepare stage asks of one."""

    chat_template = _TEMPLATE
    eos_token = _END
    eos_token_id = ord(_END)
    bos_token_id = None
    sep_token_id = None
    all_special_tokens = (*_ROLES, _END)
    all_special_ids = tuple(map(ord, all_special_tokens))
    special_tokens_map: Mapping[str, str] = {"eos_token": _END}

    def __call__(self, texts: str | Sequence[str], *, add_special_tokens: bool = False) -> dict[str, Any]:
        """Code points of one text or of several."""
        return {"input_ids": _ids(texts) if isinstance(texts, str) else [_ids(text) for text in texts]}

    def __len__(self) -> int:
        return 0x110000

    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> Any:
        """Marks by their names, other characters as they are."""
        return _name(ids) if isinstance(ids, int) else [chr(one) for one in ids]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """The characters of these ids."""
        return "".join(chr(one) for one in ids if not (skip_special_tokens and one in self.all_special_ids))

    def apply_chat_template(self, messages: Sequence[Mapping[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
        """The conversation with its marks."""
        marks = {role: mark for mark, role in _ROLES.items()}
        text = "".join(f"{marks[message['role']]}{message['content']}{_END}" for message in messages)
        return text + (_ASSISTANT if add_generation_prompt else "")

    def save_pretrained(self, folder: object) -> None:
        """Nothing: it is made of code alone."""


def messages_of(tokens: NDArray[np.uint32], supervised: NDArray[np.uint8]) -> list[Message]:
    """The turns of a prepared conversation; running text and texts to classify come back as one turn without a role.

    Args:
        tokens: code points, shape (tokens,).
        supervised: which have loss, shape (tokens,).
    """
    text = tokens.astype("<u4").tobytes().decode("utf-32-le", "replace")
    if text[:1] not in _ROLES:
        return [Message("", text.removesuffix(_END))]
    found, position = [], 0
    for part in text.split(_END):
        if part:
            # The first character of an answer says whether the turn is learned; the mark before it belongs to the prompt.
            learned = bool(supervised[min(position + 1, len(supervised) - 1)])
            found.append(Message(_ROLES[part[0]], part[1:], trained=learned))
        position += len(part) + 1
    return found


def _ids(text: str) -> list[int]:
    return list(map(ord, text))


def _name(token: int) -> str:
    role = _ROLES.get(chr(token))
    return "end of turn" if chr(token) == _END else f"{role} says" if role else chr(token)
