"""Near-duplicates: planted ones are found, all of them; what only has a form in common stays."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from finetune_api.v1alpha1.preparation import NEAR_SIMILARITY
from finetune_trainer.data.selection.minhash import band_rows, estimated_likeness, signatures
from finetune_trainer.data.selection.near import SUITE, TEST, TRAIN, Near, find_near
from finetune_trainer.data.selection.sets import Sets
from finetune_trainer.data.selection.shingles import Shingler, words
from planted import edited, long_texts

_folders = itertools.count()
Flags = NDArray[np.bool_]


def near(
    pairs: list[tuple[str, str]],
    folder: Path,
    *,
    roles: list[int] | None = None,
    answers: list[int] | None = None,
    similarity: float = NEAR_SIMILARITY,
    threads: int = 1,
    beat: Callable[[], None] = lambda: None,
) -> Near:
    """What is found among questions with answers, the first of which has precedence."""
    shingles, counts = Shingler()(pairs)
    folder = folder / str(next(_folders))
    folder.mkdir()
    protected = np.array(roles or [TRAIN] * len(pairs), np.uint8)
    order = np.argsort(protected, kind="stable")
    sets = Sets(shingles, counts, np.zeros(len(pairs), np.int32), order, folder=folder, threads=threads, beat=beat)
    answer = np.array(answers or [0] * len(pairs), np.uint64)[order]
    return find_near(sets, order, protected[order], answer, rows=len(pairs), similarity=similarity, beat=beat)


def kept(texts: list[str], folder: Path, **more: object) -> list[int]:
    """For each text the one for whose sake it leaves, -1 for none."""
    return near([(text, "") for text in texts], folder, **more).kept.tolist()  # type: ignore[arg-type]


class Counting(Sets):
    """Sets that count the pairs they were asked to compare."""

    pairs = 0

    def compare(self, one: NDArray[np.int64], other: NDArray[np.int64], similarity: float) -> tuple[Flags, Flags]:
        self.pairs += len(one)
        return super().compare(one, other, similarity)


def in_forms(count: int) -> list[str]:
    """Texts of which every third has half of its words from the same form, and as many of its own."""
    first, second, third, *texts = (text.split()[:40] for text in long_texts(count + 3))
    return [" ".join((first, second, third)[number % 3] + text) for number, text in enumerate(texts)]


# ---------------------------------------------------------------- what is found


def test_200_edited_copies_of_long_texts_are_all_found_among_a_thousand_others(tmp_path: Path) -> None:
    texts, chance = long_texts(1_000), random.Random(5)
    copies = [edited(text, chance) for text in texts[:200]]
    assert kept([*texts, *copies], tmp_path)[1_000:] == list(range(200))


def test_of_a_thousand_texts_about_different_things_none_leaves(tmp_path: Path) -> None:
    assert sum(of >= 0 for of in kept(long_texts(1_000), tmp_path)) <= 1


def test_requests_under_one_long_instruction_are_not_copies_of_each_other(tmp_path: Path) -> None:
    instruction, *bodies = long_texts(301, words=90)
    rows = [f"{instruction} {instruction.upper()[:50]} Text: {' '.join(body.split()[40:52])}" for body in bodies]
    assert kept(rows, tmp_path) == [-1] * 300
    assert kept([*rows, rows[7].upper() + "!"], tmp_path)[-1] == 7


def test_forms_that_many_fill_in_cost_no_square_of_comparisons_and_hide_no_copy(tmp_path: Path) -> None:
    chance, asked = random.Random(5), []
    for count in (500, 2_000):
        texts = in_forms(count)
        pairs = [(text, "") for text in (*texts, *(edited(text, chance, words=1) for text in texts[:50]))]
        folder = tmp_path / str(count)
        folder.mkdir()
        order, nothing = np.arange(len(pairs)), np.zeros(len(pairs), np.uint64)
        sets = Counting(*Shingler()(pairs), np.zeros(len(pairs), np.int32), order, folder=folder, threads=1)
        found = find_near(
            sets, order, np.full(len(pairs), TRAIN, np.uint8), nothing, rows=len(pairs), similarity=NEAR_SIMILARITY
        )
        assert found.kept.tolist()[count:] == list(range(50))
        asked.append(sets.pairs)
    assert asked[0] > 0
    assert asked[1] < 8 * asked[0], "four times the rows, not sixteen times the pairs"


def test_a_long_search_shows_again_and_again_that_it_goes_on(tmp_path: Path) -> None:
    beats: list[None] = []
    near([(text, "") for text in long_texts(50)], tmp_path, beat=lambda: beats.append(None))
    assert len(beats) > 10


def test_one_answer_to_many_questions_is_no_copy(tmp_path: Path) -> None:
    answer, *questions = long_texts(41)
    pairs = [(" ".join(question.split()[40:48]), answer) for question in questions]
    others = [(text, text[::-1]) for text in long_texts(140)[60:]]
    assert near([*pairs, *others], tmp_path).kept.tolist() == [-1] * len([*pairs, *others])


def test_one_other_word_in_a_short_question_with_the_same_long_answer_makes_a_copy(tmp_path: Path) -> None:
    """5 pairs of words in the question, 3 of the 7 shared."""
    answer = long_texts(1)[0]
    pairs = [("How do I reset my password?", answer), ("How do I change my password?", answer + " Bye.")]
    assert near(pairs, tmp_path).kept.tolist() == [-1, 0]


def test_another_amount_is_another_answer(tmp_path: Path) -> None:
    contract = long_texts(1)[0]
    pairs = [(f"{contract} Sum: {sum_} EUR.", f"The sum is {sum_} EUR.") for sum_ in ("4,500.00", "4,700.00")]
    found = near(pairs, tmp_path)
    assert found.kept.tolist() == [-1, -1]
    assert found.united.tolist() == [0, 0]


def test_another_answer_to_nearly_the_same_question_stays_and_stays_together_with_it(tmp_path: Path) -> None:
    text = long_texts(1)[0]
    found = near(
        [(text, "It is billing."), (text + " Thanks!", "Nothing to do."), (text + " Thanks.", "It is billing!")], tmp_path
    )
    assert found.kept.tolist() == [-1, -1, 0]
    assert found.united.tolist() == [0, 0, 2]


def test_nearly_the_same_text_with_another_label_is_no_copy(tmp_path: Path) -> None:
    text = long_texts(1)[0]
    found = near([(text, ""), (text + " Thanks!", ""), (text + " Bye!", "")], tmp_path, answers=[5, 6, 5])
    assert found.kept.tolist() == [-1, -1, 0]


def test_short_texts_are_copies_only_with_the_same_words(tmp_path: Path) -> None:
    texts = ["Yes", "yes!", "No", "Reset my password", "reset my PASSWORD.", "Delete my password", "👍", "👍", "👎", "5", "6"]
    assert kept(texts, tmp_path) == [-1, 0, -1, -1, 3, -1, -1, 6, -1, -1, -1]


@pytest.mark.parametrize(
    "text", ["东京塔的开放时间是上午九点到晚上十点半门票价格请看官方网站", "สวัสดีครับผมต้องการเปลี่ยนรหัสผ่านของบัญชีอีเมลที่ทำงาน"]
)
def test_scripts_without_blanks_have_words_too(text: str, tmp_path: Path) -> None:
    assert kept([text, text[:14] + text[15:], text[::-1]], tmp_path) == [-1, 0, -1]


def test_the_threshold_is_the_share_of_pairs_of_words(tmp_path: Path) -> None:
    """30 words make 29 pairs. One other in the middle leaves 27 of 31."""
    text = [f"word{number}" for number in range(30)]
    other = [*text[:15], "other", *text[16:]]
    both = [" ".join(text), " ".join(other)]
    assert kept(both, tmp_path, similarity=27 / 31) == [-1, 0]
    assert kept(both, tmp_path, similarity=27 / 31 + 1e-9) == [-1, -1]


def test_a_date_or_an_amount_is_one_word_however_it_is_punctuated() -> None:
    assert words("Am 12.03.2024, 10:45 Uhr: 4.500,00 EUR (A-4711)") == [
        "am",
        "12032024",
        "1045",
        "uhr",
        "450000",
        "eur",
        "a",
        "4711",
    ]


def test_sets_and_signatures_of_these_texts_are_these_on_every_machine() -> None:
    values, counts = Shingler()([("Wie geht das?", "So geht das."), ("5", "")])
    assert counts.tolist() == [4, 1]
    assert values.tolist() == [359726052, 1263135789, 3410619437, 4169988683, 1569240448]
    assert signatures(values, counts.astype(np.int64))[:, :6].tolist() == [
        [52, 231, 92, 100, 122, 176],
        [175, 152, 137, 47, 43, 231],
    ]


def test_a_signature_agrees_as_often_as_sets_are_alike() -> None:
    """60 of 90 members are shared: two thirds, and one standard deviation of 128 hash functions is 0.042."""
    random_numbers = np.random.default_rng(0)
    estimates = []
    for _ in range(50):
        values = random_numbers.choice(1 << 31, 90, replace=False).astype(np.uint32)
        both = signatures(np.concatenate((values[:75], values[15:])), np.array([75, 75]))
        estimates.append(estimated_likeness(both[:1], both[1:])[0])
    assert np.mean(estimates) == pytest.approx(2 / 3, abs=0.025)
    assert np.std(estimates) == pytest.approx(0.042, abs=0.015)


@pytest.mark.parametrize("likeness", [0.5, 0.7, 0.75, 0.8, 0.9, 1.0])
def test_bands_miss_few_pairs_at_the_threshold(likeness: float) -> None:
    rows = band_rows(likeness)
    missed = (1 - likeness**rows) ** (128 // rows)
    assert missed <= (0.004 if likeness < 0.6 else 1e-4)


# ---------------------------------------------------------------- who leaves


def test_training_rows_leave_for_the_sake_of_an_exam_and_never_the_other_way_round(tmp_path: Path) -> None:
    texts, chance = long_texts(30), random.Random(1)
    copies = [edited(text, chance) for text in texts]
    found = near([(t, "") for t in (*copies, *texts)], tmp_path, roles=[TRAIN] * 30 + [TEST] * 30)
    assert found.kept.tolist() == [30 + i for i in range(30)] + [-1] * 30


def test_a_suite_keeps_what_is_nearly_the_same_in_it(tmp_path: Path) -> None:
    text = long_texts(1)[0]
    assert kept([text, text + " Bye.", text + " Yes."], tmp_path, roles=[SUITE, SUITE, TRAIN]) == [-1, -1, 0]


def test_another_answer_to_an_exam_s_question_leaves_the_training_data(tmp_path: Path) -> None:
    text = long_texts(1)[0]
    found = near([(text, "Yes."), (text + " Thanks!", "Certainly not.")], tmp_path, roles=[TEST, TRAIN])
    assert found.kept.tolist() == [-1, 0]


def test_each_that_leaves_is_alike_to_one_that_stays_though_copies_of_copies_drift_away(tmp_path: Path) -> None:
    """Each text has three other words of 100 than the one before. Four steps leave 86 of 112 pairs, five leave 83 of 115."""
    text = [f"word{number}" for number in range(100)]
    chain = []
    for step in range(0, 99, 3):
        text[step : step + 3] = [f"other{number}" for number in range(step, step + 3)]
        chain.append(" ".join(text))
    expected = [-1 if index % 5 == 0 else index // 5 * 5 for index in range(33)]
    assert kept([*chain, *long_texts(60)], tmp_path)[:33] == expected


def test_what_is_found_does_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    texts, chance = long_texts(300), random.Random(2)
    rows = [*texts, *(edited(text, chance, words=8) for text in texts)]
    assert kept(rows, tmp_path, threads=1) == kept(rows, tmp_path, threads=4)


@pytest.mark.parametrize("pairs", [[], [("", "")], [("", ""), ("one", "")]])
def test_there_may_be_nothing_to_compare(pairs: list[tuple[str, str]], tmp_path: Path) -> None:
    assert near(pairs, tmp_path).kept.tolist() == [-1] * len(pairs)
