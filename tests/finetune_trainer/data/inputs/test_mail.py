"""Mailboxes become conversations: threads, quotes, signatures, character sets, and messages that mean harm."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import pytest

from finetune_trainer.data.inputs.mail import Conversation, Unreadable, conversations
from finetune_trainer.data.inputs.quotes import without_quotes
from finetune_trainer.data.inputs.read import BrokenRow, Row, join_mail, read_rows
from finetune_trainer.sources import DataFile

BEGINNING = datetime(2026, 11, 2, 10, tzinfo=timezone(timedelta(hours=1)))


def a_mail(
    key: str,
    sender: str,
    text: str,
    *,
    to: str = "",
    minute: int = 0,
    day: float | None = 0,
    subject: str = "Drucker",
    html: bool = False,
    recipients: str = "",
    copies: str = "",
) -> bytes:
    """A message.

    Args:
        to: the message that it answers.
        day: after the first of all; None: it has no date.
    """
    message = EmailMessage()
    message["From"] = sender
    message["Subject"] = subject
    if day is not None:
        message["Date"] = format_datetime(BEGINNING + timedelta(days=day, minutes=minute))
    message["Message-ID"] = f"<{key}@example.org>"
    if recipients:
        message["To"] = recipients
    if copies:
        message["Cc"] = copies
    if to:
        message["In-Reply-To"] = f"<{to}@example.org>"
    message.set_content(text, subtype="html" if html else "plain", charset="utf-8" if html else "iso-8859-1")
    return message.as_bytes()


QUESTION = a_mail("q", "Kundin <k@kunde.example>", "Der Drucker läuft nicht.\n\n-- \nK. Undin\nMusterweg 1\n")
ANSWER = a_mail(
    "a",
    "help@firma.example",
    "Bitte schalten Sie ihn ein.\n\n"
    "Am Mo., 2. Nov. 2026 um 10:00 schrieb Kundin\n<k@kunde.example>:\n> Der Drucker läuft nicht.\n",
    to="q",
    minute=5,
    subject="AW: Drucker",
)


def a_box(path: Path, *messages: bytes) -> Path:
    path.write_bytes(b"".join(b"From someone Mon Nov  2 10:00:00 2026\n" + one + b"\n" for one in messages))
    return path


def test_a_reply_chain_in_a_mailbox_is_question_and_answer_without_quotes_and_signature(tmp_path: Path) -> None:
    (row,) = read_rows(DataFile(a_box(tmp_path / "box", ANSWER, QUESTION), "box"))
    assert isinstance(row, Row)
    assert row.value == {
        "messages": [
            {"role": "user", "content": "Der Drucker läuft nicht."},
            {"role": "assistant", "content": "Bitte schalten Sie ihn ein."},
        ]
    }
    assert row.group is not None


def test_single_messages_of_a_directory_are_put_together_as_one_mailbox(tmp_path: Path) -> None:
    files = []
    for name, content in (("1.eml", ANSWER), ("2.eml", QUESTION)):
        (tmp_path / name).write_bytes(content)
        files.append(DataFile(tmp_path / name, name))
    (joined,) = join_mail(files)
    (row,) = read_rows(joined)
    assert isinstance(row, Row)
    assert [turn["role"] for turn in row.value["messages"]] == ["user", "assistant"]


def test_several_turns_become_one_conversation_and_a_last_question_without_answer_is_left_out(tmp_path: Path) -> None:
    more = a_mail("q2", "k@kunde.example", "Ist er.", to="a", minute=9)
    again = a_mail("a2", "help@firma.example", "Dann kommt jemand.", to="q2", minute=10)
    thanks = a_mail("q3", "k@kunde.example", "Danke.", to="a2", minute=11)
    (found,) = conversations([a_box(tmp_path / "box", QUESTION, ANSWER, more, again, thanks)])
    assert isinstance(found, Conversation)
    assert [role for role, _ in found.turns] == ["user", "assistant"] * 2


def test_a_reply_that_names_no_message_is_found_by_its_subject_and_html_is_read_where_there_is_nothing_else(
    tmp_path: Path,
) -> None:
    reply = a_mail("a", "help@firma.example", "<p>Bitte <b>einschalten</b>.</p><blockquote>alt</blockquote>", minute=5,
                   subject="Re: drucker", html=True, recipients="k@kunde.example")  # fmt: skip
    (found,) = conversations([a_box(tmp_path / "box", QUESTION, reply)])
    assert isinstance(found, Conversation)
    assert found.turns[1] == ("assistant", "Bitte einschalten.")


def test_two_threads_of_the_same_subject_that_are_no_replies_stay_apart(tmp_path: Path) -> None:
    other = a_mail("z", "x@kunde.example", "Auch meiner.", minute=2)
    found = list(conversations([a_box(tmp_path / "box", QUESTION, ANSWER, other)]))
    assert [type(one) for one in found] == [Conversation, Unreadable]


# ---------------------------------------------------------------- which messages are one conversation

DESK, AGENT = "Service <hilfe@firma.example>", "anna@firma.example"


def told(folder: Path, *mails: bytes, inside: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """The texts of each conversation, in order of its first message in the mailbox."""
    found = [one for one in conversations([a_box(folder / "box", *mails)], inside=inside) if isinstance(one, Conversation)]
    return [tuple(text for _, text in one.turns) for one in sorted(found, key=lambda one: one.number)]


def exchange(name: str, day: float, *, later: float = 0.1) -> tuple[bytes, bytes]:
    """A customer writes of an invoice and the desk answers, both to messages that are not there."""
    customer, subject = f"{name}@{name}.example", "Re: Rechnung"
    asked = a_mail(f"{name}-q", customer, f"{name} fragt.", to=f"gone-{name}", subject=subject, day=day, recipients=DESK)
    answer = f"Antwort an {name}."
    told = a_mail(f"{name}-a", DESK, answer, to=f"lost-{name}", subject=subject, day=day + later, recipients=customer)
    return asked, told


@pytest.mark.parametrize("inside", [(), ("firma.example",)], ids=["guessed", "declared"])
@pytest.mark.parametrize("apart", [365, 2, 0.05], ids=["a year", "two days", "an hour"])
def test_customers_who_write_of_the_same_subject_are_a_conversation_each(
    tmp_path: Path, apart: float, inside: tuple[str, ...]
) -> None:
    exchanges = [exchange(name, number * apart) for number, name in enumerate(("adam", "berta", "carl"))]
    found = told(tmp_path, *(mail for one in exchanges for mail in one), inside=inside)
    assert found == [(f"{name} fragt.", f"Antwort an {name}.") for name in ("adam", "berta", "carl")]


@pytest.mark.parametrize("inside", [(), ("firma.example",)], ids=["guessed", "declared"])
def test_a_reply_is_put_beside_its_subject_for_thirty_days(tmp_path: Path, inside: tuple[str, ...]) -> None:
    assert len(told(tmp_path, *exchange("adam", 0, later=29.9), inside=inside)) == 1
    assert told(tmp_path, *exchange("adam", 0, later=30.1), inside=inside) == []


def test_the_thirty_days_count_from_the_last_message(tmp_path: Path) -> None:
    again = a_mail("again", "adam@adam.example", "Und nun?", subject="AW: Rechnung", day=40, recipients=DESK)
    last = a_mail("last", DESK, "Erledigt.", subject="AW: Rechnung", day=41, recipients="adam@adam.example")
    found = told(tmp_path, *exchange("adam", 0, later=20), again, last)
    assert found == [("adam fragt.", "Antwort an adam.", "Und nun?", "Erledigt.")]


def test_a_message_without_a_date_is_put_nowhere_by_its_subject(tmp_path: Path) -> None:
    asked = exchange("adam", 0)[0]
    timeless = asked.replace(b"Date:", b"X-Date:")
    undated = a_mail("x", DESK, "Irgendwann.", subject="Re: Rechnung", day=None, recipients="adam@adam.example")
    assert told(tmp_path, asked, undated) == told(tmp_path, timeless, undated) == []


def test_a_colleague_who_answers_in_place_of_the_desk_answers_whom_he_writes_to(tmp_path: Path) -> None:
    adam, berta = exchange("adam", 0)[0], exchange("berta", 0.01)[0]
    reply = a_mail("r", AGENT, "Gern, Berta.", subject="Re: Rechnung", day=1, recipients="berta@berta.example")
    for inside in ((), ("firma.example",)):
        assert told(tmp_path, adam, berta, reply, inside=inside) == [("berta fragt.", "Gern, Berta.")]


def test_a_copy_counts_as_much_as_a_recipient(tmp_path: Path) -> None:
    asked = exchange("adam", 0)[0]
    reply = a_mail("r", AGENT, "Gern.", subject="Re: Rechnung", day=1, recipients=DESK, copies="Adam <ADAM@adam.example>")
    assert told(tmp_path, asked, reply) == [("adam fragt.", "Gern.")]


@pytest.mark.parametrize("inside", [(), ("firma.example",)], ids=["guessed", "declared"])
def test_customers_who_answer_one_letter_that_is_not_there_are_a_conversation_each(
    tmp_path: Path, inside: tuple[str, ...]
) -> None:
    mails = []
    for number, name in enumerate(("adam", "berta")):
        customer = f"{name}@{name}.example"
        asked = a_mail(f"{name}-q", customer, f"{name} fragt.", to="letter", day=number, recipients=DESK)
        # Its references go back to the letter, as those of every mail program do.
        reply = a_mail(f"{name}-a", DESK, f"Antwort an {name}.", to=f"{name}-q", day=number + 0.5, recipients=customer)
        mails += [asked, reply.replace(b"In-Reply-To", b"References: <letter@example.org>\nIn-Reply-To")]
    assert told(tmp_path, *mails, inside=inside) == [
        ("adam fragt.", "Antwort an adam."),
        ("berta fragt.", "Antwort an berta."),
    ]


def test_two_who_go_on_about_a_message_that_is_not_there_are_one_conversation_whatever_the_days(tmp_path: Path) -> None:
    first = a_mail("1", "adam@adam.example", "Noch da?", to="gone", subject="a", recipients=DESK)
    second = a_mail("2", DESK, "Ja.", to="gone", subject="b", day=90, recipients="adam@adam.example")
    assert told(tmp_path, first, second) == [("Noch da?", "Ja.")]


def test_that_three_people_were_put_together_by_subject_is_told_where_nobody_said_who_is_inside(tmp_path: Path) -> None:
    asked, answered = exchange("adam", 0)
    third = a_mail("r", AGENT, "Nachtrag.", subject="Re: Rechnung", day=1, recipients="adam@adam.example")
    certain = a_mail("r", AGENT, "Nachtrag.", to="adam-a", subject="Re: Rechnung", day=1, recipients="adam@adam.example")
    whole = answered.replace(b"<lost-adam@", b"<adam-q@")
    two, three, sure = [asked, answered], [asked, answered, third], [asked, whole, certain]
    for mails, inside, expected in (
        (two, (), False),
        (three, (), True),
        (three, ("firma.example",), False),
        (sure, (), False),
    ):
        box = DataFile(a_box(tmp_path / "box", *mails), "box", inside=inside)
        (row,) = read_rows(box)
        assert isinstance(row, Row)
        assert row.is_guessed == expected


@pytest.mark.parametrize(
    "quote",
    [
        "On Mon, Nov 2, 2026 at 10:00 AM K <k@example.org> wrote:\n> old",
        "Am 02.11.2026 schrieb K:\n> alt",
        "-----Original Message-----\nold",
        "-----Ursprüngliche Nachricht-----\nalt",
        "Von: K\nGesendet: Montag\nAn: H\nalt",
        "From: K\nSent: Monday\nold",
        "> old",
        "-- \nK. Undin",
    ],
)
def test_quotes_and_signatures_are_cut(quote: str) -> None:
    assert without_quotes(f"Hallo,\n\nja.\n\n{quote}") == "Hallo,\n\nja."


def test_a_sentence_that_only_looks_like_an_introduction_stays() -> None:
    text = "Am Montag schrieb ich Ihnen.\nVon: hier geht es weiter.\nOn Monday we wrote to you."
    assert without_quotes(text) == text


def test_hostile_messages_cost_themselves_alone(tmp_path: Path) -> None:
    head = b"From: a@b.example\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    parts = head + b"--b\nContent-Type: text/plain\n\nx\n" * 10_000 + b"--b--\n"
    nested = b"From: a@b.example\nSubject: y\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(5000)
    )
    odd = b"From: a@b.example\nSubject: =?x?q?=\nContent-Type: text/plain; charset=none-such\n\n\0\xff\xfe\n"
    found = list(read_rows(DataFile(a_box(tmp_path / "box", parts, nested, odd, QUESTION, ANSWER), "box")))
    reasons = [row.reason for row in found if isinstance(row, BrokenRow)]
    assert sum("more than 200 parts" in reason for reason in reasons) == 2
    assert all(row.drop for row in found if isinstance(row, BrokenRow))
    assert sum(isinstance(row, Row) for row in found) == 1


def test_with_declared_domains_a_thread_that_we_began_starts_with_the_customers_message(tmp_path: Path) -> None:
    ours = a_mail("o", "sales@de.firma.example", "Ein Angebot.")
    asked = a_mail("p", "k@kunde.example", "Was kostet es?", to="o", minute=1)
    told = a_mail("r", "sales@de.firma.example", "Zehn Euro.", to="p", minute=2)
    (found,) = conversations([a_box(tmp_path / "box", ours, asked, told)], inside=["Firma.example"])
    assert isinstance(found, Conversation)
    assert found.turns == (("user", "Was kostet es?"), ("assistant", "Zehn Euro."))


def test_a_mailbox_takes_less_memory_than_its_texts(tmp_path: Path) -> None:
    text = "Der Drucker läuft nicht, und das seit Montag.\n" * 400
    one = a_mail("KEY", "k@kunde.example", text)
    two = a_mail("OTHER", "help@firma.example", text, to="KEY", minute=1)
    path = tmp_path / "box"
    with path.open("wb") as box:
        for number in range(300):
            for mail in (one, two):
                keyed = mail.replace(b"<KEY@", b"<%dq@" % number).replace(b"<OTHER@", b"<%da@" % number)
                box.write(b"From x Mon Nov  2 10:00:00 2026\n" + keyed + b"\n")
    assert path.stat().st_size > 10 << 20
    tracemalloc.start()
    found = sum(isinstance(one, Conversation) for one in conversations([path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == 300
    assert peak < 4 << 20
