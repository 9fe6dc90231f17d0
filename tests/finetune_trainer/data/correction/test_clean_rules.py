"""Rules of the correction: what each of them changes or leaves out, and what it lets stand."""

from __future__ import annotations

from typing import Any

import eldc
import pytest

from finetune_api.contract.data_words import language
from finetune_api.v1alpha1.preparation import LANGUAGES, Clean
from finetune_trainer.data.correction.answers import repetition
from finetune_trainer.data.correction.clean import RULES, Cleaner
from finetune_trainer.data.inputs.formats import Example, Message, UnusableRow

GERMAN = "Bitte starten Sie das Gerät neu und melden Sie sich danach noch einmal an."
ENGLISH = "Please restart the device and sign in once more after that."
FRENCH = "Veuillez redémarrer l'appareil et vous connecter à nouveau ensuite."


def chat(*texts: str) -> Example:
    """Turns in alternation, the customer first."""
    return Example(messages=tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)))


def cleaned(example: Example | str, *, letters: bool = False, **settings: Any) -> str:
    """The last text after the rules; a string is an answer to "How?"."""
    cleaner = Cleaner(Clean(**settings))
    cleaner.begin("tickets", "a.jsonl", letters=letters)
    result = cleaner(chat("How?", example) if isinstance(example, str) else example)
    return result.messages[-1].content if result.text is None else result.text


def fate(example: Example | str, **settings: Any) -> str:
    """The rule that leaves an example out, or kept."""
    cleaner = Cleaner(Clean(**settings))
    try:
        cleaner(chat("How?", example) if isinstance(example, str) else example)
    except UnusableRow:
        assert sum(cleaner.tally.dropped.values()) == 1
        return next(iter(cleaner.tally.dropped))
    assert not cleaner.tally.dropped
    return "kept"


# ---------------------------------------------------------------- encoding


@pytest.mark.parametrize("wrong", ["cp1252", "latin-1", "mac_roman", "cp437"])
def test_text_read_in_the_wrong_encoding_is_repaired(wrong: str) -> None:
    text = "Größe der Tür in München"
    assert cleaned(text.encode().decode(wrong)) == text


def test_text_garbled_twice_or_in_part_is_repaired() -> None:
    assert cleaned("Größe".encode().decode("cp1252").encode().decode("cp1252")) == "Größe"
    assert cleaned("Für Ã¼ber fünf itâ€™s") == "Für über fünf it’s"
    assert cleaned("voilÃ  le travail") == "voilà le travail"


@pytest.mark.parametrize(
    "text",
    ["„Spaß“ – natürlich…", "Ärger, Öl & Übermut", "São João", "příště", "Привет, мир", "20 €/m² ±3 °C", "🙂 naïf"],
)
def test_text_that_only_looks_unusual_stays(text: str) -> None:
    assert cleaned(text) == text


def test_repair_can_be_switched_off() -> None:
    assert cleaned("fÃ¼r", encoding=False) == "fÃ¼r"


# ---------------------------------------------------------------- boilerplate

FOOTERS = [
    "Sent from my iPhone",
    "Von meinem iPhone gesendet",
    "Gesendet mit der WEB.DE Mail App",
    "Get Outlook for iOS",
    "To unsubscribe from this list, click here.",
    "Sie erhalten diesen Newsletter, weil Sie sich angemeldet haben.",
    "Diese Website verwendet Cookies.",
    "Please consider the environment before printing this e-mail.",
    "Diese E-Mail wurde von Avast-Antivirus auf Viren geprüft.",
    "This e-mail and any attachments are confidential and intended\nsolely for the addressee.",
    "Diese E-Mail enthält vertrauliche Informationen.\nWenn Sie nicht der richtige Adressat sind, löschen Sie sie.",
    "If you are not the intended recipient, please delete this message.",
]


@pytest.mark.parametrize("footer", FOOTERS)
def test_what_mail_programs_and_websites_add_goes_from_letters(footer: str) -> None:
    body = f"{GERMAN}\n\nViele Grüße"
    letter = f"{body}\n\n{footer}"
    assert cleaned(letter, letters=True) == body
    assert cleaned(letter) == letter, "a table is left alone unless the job says so"
    assert cleaned(letter, boilerplate="remove") == body
    assert cleaned(letter, letters=True, boilerplate="keep") == letter


def test_a_sentence_that_mentions_such_a_thing_stays() -> None:
    text = (
        "I was sent from the shop to your desk.\nYou can unsubscribe in the settings.\nMy iPhone does not ring.\n"
        "Die E-Mail ist vertraulich, sagt er.\nWo finde ich Cookies?"
    )
    assert cleaned(text, letters=True) == text


def test_lines_with_a_phrase_of_the_job_go_everywhere() -> None:
    text = f"{GERMAN}\nMUSTER GMBH, Amtsgericht Köln\nBis bald"
    assert cleaned(text, boilerplate_phrases=("Muster GmbH", "HRB 123")) == f"{GERMAN}\nBis bald"


def test_a_letter_that_is_nothing_but_a_signature_is_no_answer() -> None:
    cleaner = Cleaner(Clean())
    cleaner.begin("mail", "box.mbox", letters=True)
    with pytest.raises(UnusableRow, match="minCharacters"):
        cleaner(chat("How?", "Sent from my iPhone"))


# ---------------------------------------------------------------- turns


def test_a_conversation_with_an_empty_turn_is_left_out_or_mended_or_kept() -> None:
    conversation = chat("It does not start.", " ", "Are you there?", "Restart it.")
    assert fate(conversation) == "emptyTurns"
    assert Cleaner(Clean(empty_turns="mend"))(conversation) == chat("It does not start.\n\nAre you there?", "Restart it.")
    assert len(Cleaner(Clean(empty_turns="keep"))(conversation).messages) == 4


def test_a_conversation_that_would_begin_with_an_answer_cannot_be_mended() -> None:
    assert fate(chat("", "Hello.", "It hangs.", "Restart it."), empty_turns="mend") == "emptyTurns"


def test_a_mended_answer_is_learned_only_if_both_parts_were() -> None:
    turns = (Message("user", "a"), Message("assistant", "b", trained=False), Message("user", ""), Message("assistant", "c"))
    assert fate(Example(messages=turns), empty_turns="mend") == "emptyTurns"


def test_an_empty_system_prompt_is_no_empty_turn() -> None:
    example = Example(messages=(Message("system", ""), *chat("a", "b").messages))
    assert fate(example) == "kept"


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("answer", ["TODO", "[tbd]", "xxx", "XX XX", "n/a", "k.A.", "test test", "...", "Lorem ipsum dolor"])
def test_an_answer_that_is_only_a_placeholder_is_left_out(answer: str) -> None:
    assert fate(answer) == "placeholders"
    assert fate(answer, placeholders=False) == "kept"


def test_running_text_that_is_only_a_placeholder_is_left_out() -> None:
    assert (
        fate(Example(text="Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor.")) == "placeholders"
    )


@pytest.mark.parametrize(
    "answer", ["Test", "none", "[]", "null", "42", "👍", "Ja", "Todo es posible", "The TODO list is long."]
)
def test_a_short_answer_is_no_placeholder(answer: str) -> None:
    assert fate(answer) == "kept"


def test_a_placeholder_that_the_question_names_is_an_answer() -> None:
    assert fate(chat("Which number? Say n/a if there is none.", "n/a")) == "kept"
    filler = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt."
    assert fate(chat("A paragraph to fill a page?", filler)) == "placeholders"
    assert fate(chat("A paragraph of lorem ipsum?", filler)) == "kept"


def test_what_has_a_label_is_judged_by_no_rule_for_answers() -> None:
    for text in ("TODO", "Buy now! " * 60):
        assert fate(Example(text=text, label="spam")) == "kept"


@pytest.mark.parametrize(
    "answer",
    [
        "As an AI language model, I cannot give legal advice.",
        "I'm sorry, but as a large language model I don't have access to that.",
        "Als KI-Sprachmodell kann ich dazu keine Auskunft geben.",
        "Es tut mir leid, ich bin nur ein Sprachmodell und kann das nicht beurteilen.",
        "Als künstliche Intelligenz habe ich keine Meinung.",
    ],
)
def test_a_model_that_speaks_of_what_it_cannot_do_is_left_out(answer: str) -> None:
    assert fate(answer) == "refusals"
    assert fate(chat("a", answer, "b", "c")) == "refusals", "in the middle of a conversation too"
    assert fate(answer, refusals=False) == "kept"


@pytest.mark.parametrize(
    "answer",
    [
        "I cannot refund this order because it was paid by voucher.",
        "Als Kunde können Sie das nicht selbst ändern.",
        "Our AI assistant cannot read PDF files yet.",
        "Ein Sprachmodell kann das nicht wissen.",
        "As an AI company we help banks.",
    ],
)
def test_other_refusals_stay(answer: str) -> None:
    assert fate(answer) == "kept"


def test_repetition_is_the_share_of_words_in_runs_of_five_that_stood_before() -> None:
    run = "a b c d e f g h i j"
    assert repetition(f"{run} {run}") == 0.5
    assert repetition(f"{run} k l m n o p q r s t") == 0.0
    assert repetition(f"{run} {run} {run} {run}") == 0.75
    assert repetition("too short too short") == 0.0


def test_an_answer_that_turns_in_circles_is_left_out() -> None:
    circle = "I am happy to help you with that today. " * 8
    assert repetition(circle) == 7 / 8
    assert fate(circle) == "maxRepetition"
    assert fate(circle, max_repetition=1) == "kept"
    assert fate(circle, max_repetition=0.9) == "kept"
    assert fate("ha" * 200) == "maxRepetition", "a single long word too"


def test_a_list_of_similar_lines_is_no_repetition() -> None:
    lines = [f"Open the menu Tools and choose the command {name}." for name in ("Red", "Green", "Blue", "White", "Grey")]
    text = "\n".join(lines)
    assert len(text) > 200
    assert 0.5 < repetition(text) < 0.8
    assert fate(text) == "kept"


# ---------------------------------------------------------------- languages


def test_answers_in_other_languages_than_the_declared_ones_are_left_out() -> None:
    for answer, declared in ((GERMAN, ("de",)), (ENGLISH, ("de", "en")), (FRENCH, ("fr",)), (FRENCH, ())):
        assert fate(answer, languages=declared) == "kept"
    assert fate(FRENCH, languages=("de", "en")) == "languages"
    assert fate(Example(text=ENGLISH), languages=("de",)) == "languages"


@pytest.mark.parametrize(
    "answer",
    [
        "Oui.",
        "12345",
        "Kevin Tobias Marlene Ottilie Xaver Brunhilde",
        "for name in names:\n    total[name] = width[name] * 2\nreturn total",
    ],
)
def test_what_is_too_short_or_code_or_names_stays_in_any_language(answer: str) -> None:
    assert fate(answer, languages=("de",)) == "kept"


def test_a_short_answer_is_judged_with_its_question_and_code_in_an_answer_is_not_looked_at() -> None:
    assert fate(chat(FRENCH, "Oui, bien sûr."), languages=("de",)) == "languages"
    intro, quoted = "Bitte schreiben Sie ihm das hier:", f"{FRENCH} {FRENCH} {FRENCH}"
    assert fate(f"{intro}\n{quoted}", languages=("de",)) == "languages"
    assert fate(f"{intro}\n```\n{quoted}\n```", languages=("de",)) == "kept"


def test_the_language_of_every_row_is_counted_where_one_is_declared_and_of_every_eighth_otherwise() -> None:
    for declared, counted in ((("de", "en"), 16), ((), 2)):
        cleaner = Cleaner(Clean(languages=declared))
        for line in range(1, 17):
            cleaner(chat("How?", GERMAN if line < 12 else ENGLISH), line=line)
        assert sum(cleaner.tally.languages.values()) == counted
        assert cleaner.tally.languages["de"] == (11 if declared else 2)


def test_every_language_that_can_be_told_may_be_declared_and_has_a_name() -> None:
    assert set(eldc.LANGUAGES) == set(LANGUAGES)
    assert not [code for code in LANGUAGES if language(code) == code]


# ---------------------------------------------------------------- all of them

ALL = Clean(html=True, boilerplate="remove", boilerplate_phrases=("any phrase",), empty_turns="mend", languages=("de", "en"))
HOSTILE = {
    "html": ["<", "<p ", "&", "<!--"],
    "encoding": ["Ã", "ÃƒÂ¼", "Ã "],
    "unicode": ["\u0301"],
    "whitespace": ["\n \n", " ", "\r"],
    "boilerplate": ["sent from my ", "\n-\n", "wenn sie diese e-mail "],
    "boilerplatePhrases": ["any phrase\n"],
    "placeholders": ["xx ", "lorem ipsum "],
    "refusals": ["ich bin nur "],
    "maxRepetition": ["a", "ab c d e "],
    "languages": ["```"],
}


def test_every_rule_has_its_hostile_texts_or_no_pattern() -> None:
    assert set(RULES) - set(HOSTILE) == {"controlCharacters", "emptyTurns", "minCharacters", "maxCharacters"}


@pytest.mark.parametrize(("rule", "piece"), [(rule, piece) for rule, pieces in HOSTILE.items() for piece in pieces])
def test_a_hostile_megabyte_costs_linear_time(rule: str, piece: str) -> None:
    # A quadratic rule would take hours here; benchmarks/clean.py measures how the time grows.
    text = f"{piece * (999_000 // len(piece))} {ENGLISH} \n."
    fate(chat("How?", text), **ALL.model_dump())


# ---------------------------------------------------------------- samples


def test_a_batch_keeps_three_examples_of_a_rule_whatever_came_before_it() -> None:
    cleaner = Cleaner(Clean())
    for enough, kept in ((set(), [1, 2, 3]), ({"placeholders"}, []), ({"refusals"}, [1, 2, 3])):
        cleaner.begin("tickets", "a.jsonl", enough=enough)
        for line in range(1, 6):
            with pytest.raises(UnusableRow):
                cleaner(chat("How?", "TODO"), line=line)
        assert cleaner.tally.dropped == {"placeholders": 5}
        assert [sample.line for sample in cleaner.tally.samples.get("placeholders", [])] == kept


def test_blanks_at_the_end_of_lines_are_seen_in_an_example() -> None:
    cleaner = Cleaner(Clean())
    cleaner(chat("How?", "So.  \nYes\t\nno 5 %"))
    (sample,) = cleaner.tally.samples["whitespace"]
    assert (sample.before, sample.after) == ("Xx.··\nXxx→\nxx 0 %", "Xx.\nXxx\nxx 0 %")
