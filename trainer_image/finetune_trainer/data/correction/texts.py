"""Rules on any text by itself: its characters, its blanks, its markup."""

from __future__ import annotations

import re
import unicodedata

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_NO_TEXT = re.compile("[\ud800-\udfff\ufeff\ufffe\uffff]")
_LINE_ENDS = re.compile(r"\r\n?|\u2028|\u2029|\x85")
_BLANKS_AT_END = re.compile(r"(?<![ \t\u00a0])[ \t\u00a0]++(?=\n|\Z)")
"""Tried once for each run of blanks, so a run that ends nowhere costs no more than its length."""
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
    if text.isascii():  # most texts, and nothing of the kind is in them
        return text
    return unicodedata.normalize("NFC", _NO_TEXT.sub("", text))


def without_control_characters(text: str) -> str:
    """Without control characters, except newline, carriage return and tab."""
    if text.isprintable():
        return text
    return _CONTROL.sub("", text)


def tidy_whitespace(text: str) -> str:
    r"""\n line ends, no blanks at the end of lines, no empty lines or blanks at both ends, one empty line in a row at most."""
    text = text.strip()
    if not text.isascii() or "\r" in text:
        text = _LINE_ENDS.sub("\n", text)
    if not text.isascii() or " \n" in text or "\t\n" in text:
        text = _BLANKS_AT_END.sub("", text)
    return _EMPTY_LINES.sub("\n\n", text).strip() if "\n\n\n" in text else text


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
