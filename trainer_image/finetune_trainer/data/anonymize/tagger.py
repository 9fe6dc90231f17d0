"""A model for token classification as a detector: any that transformers knows, in windows, many texts at once.

A model reads a few hundred tokens; what is longer is read in windows that overlap, and of two windows that see a token the
one counts that sees more around it. Tokens are led back to characters by the tokenizer itself, and a word of which a part
was tagged is taken whole: half a name left behind is a name left behind.

Windows of like length go through the model together, so that little is padding. Which ones do depends on the batch of rows
alone and one thread computes: so the result is the same with any number of workers. Another kind of processor may round
differently, and then a score that lies on the bound may fall on its other side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finetune_api.contract.trainer_config import DetectorInput
from finetune_api.errors import UserError
from finetune_trainer.data.anonymize.detectors import bare, begins, kind_of
from finetune_trainer.data.anonymize.findings import Finding

if TYPE_CHECKING:
    import torch

_WINDOW = 512
_OVERLAP_SHARE = 4
_AT_ONCE_TOKENS = 8192
_SHOWN = 12
_EDGE = re.compile(r"[\w'’-]{0,40}\Z")
_REST = re.compile(r"[\w]{0,40}")
_LOOSE = ' \t\r\n,;:!?()[]{}"„“”<>|*_'


@dataclass(frozen=True, slots=True)
class _Window:
    text: int
    encoded: dict[str, list[int]]
    offsets: NDArray[np.int64]
    """Shape (tokens, 2): characters of each token; the same twice for special ones."""
    keep: slice
    """Tokens that are read here and not in a neighbouring window."""


class Tagger:
    """Finds what a model tags.

    Args:
        orders: labels, least score, field for messages.
        directory: of the model.
    Raises: UserError if it is no model for token classification, has a tokenizer that cannot say where its tokens stand, or
        none of its labels is used.
    """

    def __init__(self, orders: DetectorInput, directory: Path) -> None:
        import torch

        self._orders = orders
        model, self._tokenizer = _load(orders, directory)
        names = [str(name) for _, name in sorted(model.config.id2label.items())]
        kinds = [kind_of(name, orders.labels) for name in names]
        if missing := sorted(set(orders.labels or {}) - {*names, *map(bare, names)}):
            raise self._unusable(f"has no label {', '.join(missing)}", names)
        self._kinds = sorted({kind for kind in kinds if kind is not None})
        if not self._kinds:
            raise self._unusable("has no label that is known here", names)
        # Columns: the probability that a token belongs to a kind, then that it begins an item of it and that it goes on.
        sums = np.zeros((3, len(names), len(self._kinds)), np.float32)
        for row, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            if kind is not None:
                column, first = self._kinds.index(kind), begins(name)
                sums[0, row, column] = 1
                sums[1, row, column] = first is True
                sums[2, row, column] = first is False
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._sums = torch.from_numpy(sums).to(self._device)
        self._model = model.to(self._device)
        self._window = _window_of(model.config, self._tokenizer)
        self._overlap = self._window // _OVERLAP_SHARE

    def _unusable(self, what: str, names: Sequence[str]) -> UserError:
        known = sorted({bare(name) for name in names} - {"O"})
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        return UserError(
            f"{self._orders.uri} {what}; it has {', '.join(known[:_SHOWN])}{more}.",
            field=f"{self._orders.field}.labels",
            hint="Say which of its labels are what, as in labels: {PER: PERSON}.",
        )

    def __call__(self, texts: Sequence[str], languages: Sequence[str]) -> list[list[Finding]]:
        """What the model tags in each text (see Detector)."""
        windows = list(self._windows(texts))
        scores: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(windows)
        for group in self._groups(windows):
            for index, answer in zip(group, self._scores([windows[index] for index in group]), strict=True):
                scores[index] = answer
        found: list[list[Finding]] = [[] for _ in texts]
        tokens: list[list[tuple[NDArray[np.int64], NDArray[np.float32]]]] = [[] for _ in texts]
        for window, score in zip(windows, scores, strict=True):
            tokens[window.text].append((window.offsets[window.keep], score[:, window.keep]))
        for number, parts in enumerate(tokens):
            if parts:
                offsets = np.concatenate([part[0] for part in parts])
                found[number] = list(
                    self._findings(texts[number], offsets, np.concatenate([part[1] for part in parts], axis=1))
                )
        return found

    # ---------------------------------------------------------------- texts to windows

    def _windows(self, texts: Sequence[str]) -> Iterator[_Window]:
        looked = [number for number, text in enumerate(texts) if text.strip()]
        if not looked:
            return
        encoded = self._tokenizer(
            [texts[number] for number in looked],
            truncation=True,
            max_length=self._window,
            stride=self._overlap,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        of = encoded["overflow_to_sample_mapping"]
        for row, sample in enumerate(of):
            special = np.asarray(encoded["special_tokens_mask"][row], dtype=bool)
            content = np.flatnonzero(~special)
            if not len(content):
                continue
            is_first = row == 0 or of[row - 1] != sample
            is_last = row + 1 == len(of) or of[row + 1] != sample
            half = self._overlap // 2
            begin = content[0] if is_first else content[0] + half
            end = content[-1] + 1 if is_last else content[-1] + 1 - (self._overlap - half)
            names = [name for name in self._tokenizer.model_input_names if name in encoded]
            yield _Window(
                looked[sample],
                {name: encoded[name][row] for name in names},
                np.asarray(encoded["offset_mapping"][row], dtype=np.int64).reshape(-1, 2),
                slice(int(begin), max(int(begin), int(end))),
            )

    def _groups(self, windows: Sequence[_Window]) -> Iterator[list[int]]:
        """Windows that go through the model together: of like length, and so many that memory suffices."""
        order = sorted(range(len(windows)), key=lambda index: (-len(windows[index].offsets), index))
        group: list[int] = []
        for index in order:
            if group and (len(group) + 1) * len(windows[group[0]].offsets) > _AT_ONCE_TOKENS:
                yield group
                group = []
            group.append(index)
        if group:
            yield group

    # ---------------------------------------------------------------- windows to scores

    def _scores(self, windows: Sequence[_Window]) -> list[NDArray[np.float32]]:
        """Per window an array of shape (3, tokens, kinds): belongs to, begins, goes on."""
        import torch

        inputs = self._tokenizer.pad([window.encoded for window in windows], return_tensors="pt").to(self._device)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums over more threads are added in another order
        try:
            with torch.inference_mode():
                logits: torch.Tensor = self._model(**inputs).logits
                chances = torch.softmax(logits.float(), dim=-1)
                sums = torch.einsum("btl,slk->bstk", chances, self._sums).cpu().numpy()
        finally:
            torch.set_num_threads(threads)
        left = self._tokenizer.padding_side == "left"
        answers = []
        for row, window in enumerate(windows):
            length = len(window.offsets)
            answers.append(sums[row, :, -length:] if left else sums[row, :, :length])
        return answers

    # ---------------------------------------------------------------- scores to findings

    def _findings(self, text: str, offsets: NDArray[np.int64], scores: NDArray[np.float32]) -> Iterator[Finding]:
        belongs, first, further = scores
        best = belongs.argmax(axis=1)
        rows = np.arange(len(best))
        tagged = (belongs[rows, best] >= self._orders.min_score) & (offsets[:, 1] > offsets[:, 0])
        starts = first[rows, best] > further[rows, best]
        begin = end = 0
        kind = -1
        for token in np.flatnonzero(tagged):
            token_begin, token_end = int(offsets[token, 0]), int(offsets[token, 1])
            gap = text[end:token_begin]
            goes_on = kind == best[token] and gap in ("", " ") and not (gap and starts[token])
            if not goes_on:
                if kind >= 0:
                    yield from self._whole(text, kind, begin, end)
                kind, begin = int(best[token]), token_begin
            end = max(end, token_end) if goes_on else token_end
        if kind >= 0:
            yield from self._whole(text, kind, begin, end)

    def _whole(self, text: str, kind: int, begin: int, end: int) -> Iterator[Finding]:
        """The item with the rest of the words of which it has a part, without punctuation around it."""
        while begin < end and text[begin] in _LOOSE:
            begin += 1
        while end > begin and text[end - 1] in _LOOSE:
            end -= 1
        if begin == end:
            return
        if text[begin].isalnum() and (before := _EDGE.search(text, max(0, begin - 40), begin)):
            begin = before.start() + len(before.group()) - len(before.group().lstrip("'’-"))
        if text[end - 1].isalnum() and (behind := _REST.match(text, end)):
            end = behind.end()
        yield Finding(self._kinds[kind], begin, end, 1)


def _load(orders: DetectorInput, directory: Path) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    field = f"{orders.field}.uri"
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
        model, told = AutoModelForTokenClassification.from_pretrained(
            directory, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, ImportError, TypeError, AttributeError, RuntimeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"{orders.uri} cannot be used to find personal data: {first}", field=field) from None
    if told["missing_keys"]:
        raise UserError(
            f"{orders.uri} is no model for token classification: it lacks {', '.join(sorted(told['missing_keys'])[:3])}",
            field=field,
            hint="Name one that was trained to tag names, places and the like.",
        )
    if not tokenizer.is_fast:
        raise UserError(
            f"{orders.uri} has a tokenizer that cannot say where in a text its tokens stand",
            field=field,
            hint="Save it with its fast tokenizer (tokenizer.json).",
        )
    return model.eval().float(), tokenizer


def _window_of(config: Any, tokenizer: Any) -> int:
    """Tokens that the model is shown at once, special ones included."""
    positions = getattr(config, "max_position_embeddings", None) or _WINDOW
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "longformer"):  # which count from padding_idx + 1
        positions -= (config.pad_token_id or 0) + 1
    said = tokenizer.model_max_length or _WINDOW
    return int(min(positions, said, _WINDOW))
