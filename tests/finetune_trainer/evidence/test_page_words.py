"""Numbers, times, names and colours of the report page, as a person reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from finetune_trainer.evidence import page as page_module
from finetune_trainer.evidence.page_words import common_decimals, duration, fixed, model_name, number, share, signed, source


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (3624, "3,624"),
        (2e-4, "0.0002"),
        (3e-5, "3e−5"),
        (0.123456, "0.1235"),
        (-0.5, "−0.5"),
        (1234.5, "1,234"),
        (5.0, "5"),
        (None, "–"),
        (float("inf"), "–"),
    ],
)
def test_numbers_have_four_digits_and_their_thousands_apart(value: float | None, said: str) -> None:
    assert number(value) == said


def test_a_small_difference_of_large_numbers_keeps_two_digits() -> None:
    decimals = common_decimals([39.835264, 39.835014], -0.00025)

    assert (fixed(39.835264, decimals), signed(-0.00025, decimals)) == ("39.83526", "−0.00025")


def test_zero_has_no_sign() -> None:
    assert [signed(value, 3) for value in (0.0, -0.0001, 0.25, -0.25)] == ["0.000", "0.000", "+0.250", "−0.250"]


def test_a_few_of_many_are_never_none_and_almost_all_are_never_all() -> None:
    found = [share(part, 100_000).replace("\u202f", " ") for part in (0, 1, 50_000, 99_999, 100_000)]

    assert found == ["0 %", "< 0.1 %", "50.0 %", "> 99.9 %", "100 %"]


@pytest.mark.parametrize(("seconds", "said"), [(5.7, "5.7 s"), (154, "3 min"), (3599, "60 min"), (7260, "2 h 1 min")])
def test_times_are_told_in_units_of_people(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_model_on_a_disk_is_known_by_its_last_part_alone() -> None:
    assert model_name("file:///home/alice/models/small.gguf") == "small.gguf"
    assert model_name("hf://corp/small-1b?x=1") == "corp/small-1b"
    assert source("s3://key:secret@corp/data?x=1") == "s3://corp/data"


@pytest.mark.parametrize("scheme", ["light", "dark", "paper"])
def test_every_text_has_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    css = Path(page_module.__file__).with_name("page_style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.S)
    colours = {**_colours(blocks[0]), **_colours(blocks[["light", "dark", "paper"].index(scheme)])}
    pairs = [(text, ground) for text in ("ink", "soft", "tuned", "base", "good", "bad") for ground in ("ground", "card")]
    pairs += [(tone, f"{tone}-ground") for tone in ("good", "bad", "neutral", "attention")] + [("ink", "attention-ground")]

    low = {pair: ratio for pair in pairs if (ratio := _contrast(colours[pair[0]], colours[pair[1]])) < 4.5}

    assert not low
    heat = tuple(0.6 * of + 0.4 * behind for of, behind in zip(colours["heat"], colours["ground"], strict=True))
    assert _contrast(colours["ink"], heat) >= 4.5, "a number on the strongest colour of the matrix"


def _colours(block: str) -> dict[str, tuple[float, ...]]:
    found: dict[str, tuple[float, ...]] = {}
    for name, digits in re.findall(r"--([a-z-]+): #([0-9a-f]{3,6});", block):
        digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
        found[name] = tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))
    heat = re.search(r"--heat: (\d+), (\d+), (\d+)", block)
    assert heat is not None
    return found | {"heat": tuple(map(float, heat.groups()))}


def _contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Source: WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [part / 255 for part in colour]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
