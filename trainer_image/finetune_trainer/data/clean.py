"""Correction of texts before anything else looks at them.

Each rule is a small function from text to text, so that it can be tested and switched off alone, and each counts the
examples it changed: a correction nobody sees is a silent change of somebody's data.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from finetune_api.v1alpha1.data import Clean
from finetune_trainer.data.formats import Example, UnusableRow

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_NO_TEXT = re.compile("[\ud800-\udfff\ufeff\ufffe\uffff]")
_LINE_ENDS = re.compile(r"\r\n?|\u2028|\u2029|\x85")
_BLANKS_AT_END = re.compile(r"[ \t\u00a0]+(?=\n|\Z)")
_EMPTY_LINES = re.compile(r"\n{3,}")
_SKIPPED_TAGS = frozenset({"script", "style", "head", "template"})
_LINE_TAGS = frozenset(["br", "li", "tr", "div", "dt", "dd"])
"""Begin a line."""
_BLOCK_TAGS = frozenset(
    ["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "section", "article", "pre", "blockquote"]
)
"""Stand apart from what is before and after."""


def normal_unicode(text: str) -> str:
    """Unicode NFC, without lone surrogates and byte order marks."""
    return unicodedata.normalize("NFC", _NO_TEXT.sub("", text))


def without_control_characters(text: str) -> str:
    """Without control characters, except newline, carriage return and tab."""
    return _CONTROL.sub("", text)


def tidy_whitespace(text: str) -> str:
    r"""\n line ends, no blanks at the end of lines, no empty lines or blanks at both ends, one empty line in a row at most."""
    text = _BLANKS_AT_END.sub("", _LINE_ENDS.sub("\n", text))
    return _EMPTY_LINES.sub("\n\n", text).strip()


def without_html(text: str) -> str:
    """Plain text of HTML: blocks begin new lines, scripts and styles are dropped, entities become characters."""
    if "<" not in text and "&" not in text:
        return text
    from lxml import etree, html

    # libxml2, because the standard library's parser takes quadratic time on text full of half-open tags.
    parser = html.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, encoding="utf-8")
    try:
        root = html.document_fromstring(text.encode("utf-8", "ignore"), parser=parser)
    except etree.ParserError:  # nothing but markup
        return ""
    parts: list[str] = []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        skipped = element.tag in _SKIPPED_TAGS
        if element.tag in _BLOCK_TAGS or (event == "start" and element.tag in _LINE_TAGS):
            parts.append("\n")
        if event == "start" and element.text and not skipped:
            parts.append(element.text)
        if event == "end" and element.tail:
            parts.append(element.tail)
    return "".join(parts)


class Cleaner:
    """The rules of a manifest, applied to examples, with a count per rule of the examples it changed."""

    def __init__(self, settings: Clean) -> None:
        rules: list[tuple[str, bool, Callable[[str], str]]] = [
            ("html", settings.html, without_html),
            ("unicode", settings.unicode, normal_unicode),
            ("controlCharacters", settings.control_characters, without_control_characters),
            ("whitespace", settings.whitespace, tidy_whitespace),
        ]
        self._rules = [(name, rule) for name, on, rule in rules if on]
        self._settings = settings
        self.changed: Counter[str] = Counter()

    def __call__(self, example: Example) -> Example:
        """The corrected example.

        Raises: UnusableRow if nothing is left of its answer, or if it is shorter or longer than allowed.
        """
        texts = [message.content for message in example.messages] if example.text is None else [example.text]
        corrected = self._corrected(texts)
        answer = corrected[-1]
        if len(answer) < self._settings.min_characters:
            raise UnusableRow("shorter than clean.minCharacters", drop=True)
        if sum(map(len, corrected)) > self._settings.max_characters:
            raise UnusableRow("longer than clean.maxCharacters", drop=True)
        if corrected == texts:
            return example
        if example.text is not None:
            return replace(example, text=answer)
        messages = tuple(
            message if message.content == content else replace(message, content=content)
            for message, content in zip(example.messages, corrected, strict=True)
        )
        return replace(example, messages=messages)

    def _corrected(self, texts: list[str]) -> list[str]:
        for name, rule in self._rules:
            after = [rule(text) for text in texts]
            if after != texts:
                self.changed[name] += 1
                texts = after
        return texts
