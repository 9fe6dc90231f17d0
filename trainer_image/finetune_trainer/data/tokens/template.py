"""From a conversation to pieces of text, some with loss and some without, as the model will see them when it serves.

Most of what goes wrong in fine-tuning without an error goes wrong here: an answer without an end token teaches the model
never to stop, a prompt with loss teaches it to ask, a template that rewrites earlier turns trains on something that never
occurs. So the template is rendered exactly as at inference, every border is checked, and what does not hold is said.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from finetune_api.errors import UserError
from finetune_trainer.data.inputs.formats import Message, UnusableRow
from finetune_trainer.data.tokens.characters import CharacterTokenizer
from finetune_trainer.data.tokens.outline import Outline, Outlines, fill, parts
from finetune_trainer.data.tokens.segments import any_of

TEMPLATE_FIELD = "spec.model.chatTemplate"


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a document."""

    text: str
    supervised: bool


Document = tuple[Piece, ...]

_Layout = tuple[tuple[Outline, int | None], ...]
"""Pieces of a document as outlines, and the message of those that are answers."""

_MOST_LAYOUTS = 1024
_LEAST_OF_ITS_OWN = 8
"""Characters: fewer than these may stand in a template by chance."""


class ChatTemplate:
    """Renders conversations with the model's chat template.

    Args:
        tokenizer: of the model; its template is used unless another is given.
        template: Jinja source from the manifest, or None.
        stop_ids: token ids at which generation ends, beside the tokenizer's own end token.
    Raises: UserError if there is no template, or the template cannot end an answer.
    """

    def __init__(self, tokenizer: Any, *, template: str | None, stop_ids: Sequence[int]) -> None:
        if template is not None:
            tokenizer.chat_template = template
        if not tokenizer.chat_template:
            raise UserError(
                "the model has no chat template, so a conversation cannot be turned into text",
                field=TEMPLATE_FIELD,
                hint="Give one, or choose a model tuned for chat.",
            )
        self.source: str = tokenizer.chat_template
        self._stops = _stop_texts(tokenizer, stop_ids)
        self._control = _control_tokens(tokenizer)
        self._write, self._outlines = _writer(tokenizer, self.source)
        self._layouts: dict[tuple[str, ...], _Layout | None] = {}
        self.turn_by_turn = 0
        """Conversations that had to be rendered once per answer, because the template rewrites earlier turns."""
        self._check()

    @property
    def digest(self) -> str:
        """SHA-256 of the template's source."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    def documents(self, messages: Sequence[Message]) -> list[Document]:
        """The conversation as one document, or one per answer where the template rewrites earlier turns.

        Raises: UnusableRow if a text holds a control token of the model, or the template refuses the conversation.
        """
        if any(self._control.search(message.content) for message in messages):
            raise UnusableRow("holds a control token of the model", drop=True)
        layout = self._layout(tuple([message.role for message in messages]))
        if layout is not None:
            texts = [message.content for message in messages]
            return [
                tuple(
                    [Piece(fill(outline, texts), answer is not None and messages[answer].trained) for outline, answer in layout]
                )
            ]
        whole = self._whole(messages)
        if whole is not None:
            return [whole]
        self.turn_by_turn += 1
        answers = [i for i, message in enumerate(messages) if message.role == "assistant" and message.trained]
        return [self._one_answer(messages[: i + 1]) for i in answers]

    def _whole(self, messages: Sequence[Message]) -> Document | None:
        """All answers in one document; None if the text before an answer is not what it would be when the answer is written."""
        answers = [i for i, message in enumerate(messages) if message.role == "assistant"]
        full = self._render(messages, generation=False)
        pieces: list[Piece] = []
        position = 0
        for index in answers:
            prompt = self._render(messages[:index], generation=True)
            until = full if index == len(messages) - 1 else self._render(messages[: index + 1], generation=False)
            if not until.startswith(prompt) or not full.startswith(until):
                return None
            end = len(prompt) + self._answer_length(until[len(prompt) :])
            pieces.append(Piece(full[position : len(prompt)], supervised=False))
            pieces.append(Piece(full[len(prompt) : end], supervised=messages[index].trained))
            position = end
        return tuple(pieces)

    def _layout(self, roles: tuple[str, ...]) -> _Layout | None:
        """What `_whole` makes of messages of these roles, whatever they say; None if that has to be seen each time."""
        if self._outlines is None or roles in self._layouts:
            return self._layouts.get(roles)
        if len(self._layouts) >= _MOST_LAYOUTS:
            return None
        self._layouts[roles] = self._outlined(self._outlines, roles)
        return self._layouts[roles]

    def _outlined(self, outlines: Outlines, roles: tuple[str, ...]) -> _Layout | None:
        full = outlines.render(roles, generation=False)
        found: list[tuple[Outline, int | None]] = []
        position = 0
        for index in [i for i, role in enumerate(roles) if role == "assistant"]:
            prompt = outlines.render(roles[:index], generation=True)
            until = outlines.render(roles[: index + 1], generation=False)
            if full is None or prompt is None or until is None or not until.startswith(prompt) or not full.startswith(until):
                return None
            if not any(stop in until[len(prompt) :] for stop in self._stops):
                return None
            end = len(prompt) + self._answer_length(until[len(prompt) :])
            before, answer = parts(full[position : len(prompt)]), parts(full[len(prompt) : end])
            if before is None or answer is None:
                return None
            found += [(before, None), (answer, index)]
            position = end
        return tuple(found)

    def _one_answer(self, messages: Sequence[Message]) -> Document:
        prompt = self._render(messages[:-1], generation=True)
        full = self._render(messages, generation=False)
        if not full.startswith(prompt):
            raise UserError(
                "the chat template writes something else before an answer when it asks for one than when it shows one, so"
                " the model would be trained on prompts that it never sees",
                field=TEMPLATE_FIELD,
                hint="Give a template whose generation prompt is the beginning of the full conversation.",
            )
        answer = full[len(prompt) :]
        return Piece(prompt, supervised=False), Piece(answer[: self._answer_length(answer)], supervised=True)

    def _answer_length(self, answer: str) -> int:
        """Characters of an answer up to and including its end token; what follows is never generated."""
        ends = [answer.rfind(stop) + len(stop) for stop in self._stops if stop in answer]
        if not ends:
            raise UserError(
                f"the chat template writes no end token ({', '.join(self._stops)}) after an answer, so the model would never"
                " stop",
                field=TEMPLATE_FIELD,
                hint="Give a template that ends each answer with the model's end token.",
            )
        return max(ends)

    def _render(self, messages: Sequence[Message], *, generation: bool) -> str:
        conversation = [{"role": message.role, "content": message.content} for message in messages]
        try:
            text = self._write(conversation, generation)
        except Exception as error:  # jinja2 raises what the template's author chose to raise
            raise UnusableRow(f"the chat template refuses it: {self._own_words(error)}", drop=True) from error
        return str(text)

    def _own_words(self, error: Exception) -> str:
        """What of an error stands in the template itself, or else of which kind it is: an author may go on with what a message
        says, and errors of Python quote values."""
        said = _first_line(error)
        while len(said) >= _LEAST_OF_ITS_OWN and said not in self.source:
            said = said[:-1]
        return said if len(said) >= _LEAST_OF_ITS_OWN else type(error).__name__

    def _check(self) -> None:
        """Fail on a template that cannot work at all, before a million rows fail one by one."""
        probe = (Message("user", "Question"), Message("assistant", "Answer"))
        try:
            self._one_answer(probe)
        except UnusableRow as refused:  # nobody's texts: all that it says may be shown
            reason = f"the chat template refuses it: {_first_line(refused.__cause__)}" if refused.__cause__ else refused.reason
            raise UserError(reason, field=TEMPLATE_FIELD, hint="Check the Jinja source.") from None


_Writer = Callable[[list[dict[str, str]], bool], str]


def _writer(tokenizer: Any, source: str) -> tuple[_Writer, Outlines | None]:
    """Renders a conversation as the tokenizer does, in half the time; and the template's outlines.

    Most of `apply_chat_template` normalises what our conversations cannot hold. So the compiled template is called itself,
    where this transformers has one to give and both write the same.
    """

    def slowly(conversation: list[dict[str, str]], generation: bool) -> str:
        return str(tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=generation))

    if isinstance(tokenizer, CharacterTokenizer):
        return slowly, None  # which is not slow: there is no template to compile
    try:
        from transformers.utils.chat_template_utils import _compile_jinja_template

        compiled = _compile_jinja_template(source)
        names = {**tokenizer.special_tokens_map, "tools": None, "documents": None}
    except Exception:  # a template that cannot be compiled is refused with its reason where it is first used
        return slowly, None

    def directly(conversation: list[dict[str, str]], generation: bool) -> str:
        if not conversation:
            raise ValueError("there is no message before the answer")
        return str(compiled.render(messages=conversation, add_generation_prompt=generation, **names))

    return (directly, Outlines(compiled, source, names)) if _alike(directly, slowly) else (slowly, None)


def _alike(one: _Writer, other: _Writer) -> bool:
    turns = [("user", "Question"), ("assistant", "Answer"), ("user", "Another"), ("assistant", "Yes")]
    probe = [{"role": role, "content": content} for role, content in turns]
    try:
        return all(one(p, g) == other(p, g) for p, g in ((probe, False), (probe[:3], True), (probe[:1], True)))
    except Exception:  # what it refuses, it refuses with its own words where it is used
        return False


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


def _stop_texts(tokenizer: Any, stop_ids: Sequence[int]) -> list[str]:
    ids = {tokenizer.eos_token_id, *stop_ids} - {None}
    return sorted(str(text) for text in tokenizer.convert_ids_to_tokens(sorted(ids)) if text)


def _control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Special tokens as text: in a row they would be read as the model's own, and end a turn from inside an answer."""
    tokens = sorted({str(token) for token in tokenizer.all_special_tokens if str(token).strip()}, key=len, reverse=True)
    return re.compile(any_of(tokens)) if tokens else re.compile("(?!)")


def plain_document(text: str, *, end: str | None) -> Document:
    """Running text: everything has loss, and its end is learned where it is a real end."""
    return (Piece(text + (end or ""), supervised=True),)
