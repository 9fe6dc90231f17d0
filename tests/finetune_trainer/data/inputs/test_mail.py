"""Mailboxes become conversations: threads, quotes, signatures, character sets, and messages that mean harm."""

from __future__ import annotations

import tracemalloc
from email.message import EmailMessage
from pathlib import Path

import pytest

from finetune_trainer.data.inputs.mail import Conversation, Unreadable, conversations
from finetune_trainer.data.inputs.quotes import without_quotes
from finetune_trainer.data.inputs.read import BrokenRow, Row, join_mail, read_rows
from finetune_trainer.sources import DataFile


def a_mail(
    key: str, sender: str, text: str, *, to: str = "", minute: int = 0, subject: str = "Drucker", html: bool = False
) -> bytes:
    message = EmailMessage()
    message["From"] = sender
    message["Subject"] = subject
    message["Date"] = f"Mon, 02 Nov 2026 10:{minute:02}:00 +0100"
    message["Message-ID"] = f"<{key}@example.org>"
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
                   subject="Re: drucker", html=True)  # fmt: skip
    (found,) = conversations([a_box(tmp_path / "box", QUESTION, reply)])
    assert isinstance(found, Conversation)
    assert found.turns[1] == ("assistant", "Bitte einschalten.")


def test_two_threads_of_the_same_subject_that_are_no_replies_stay_apart(tmp_path: Path) -> None:
    other = a_mail("z", "x@kunde.example", "Auch meiner.", minute=2)
    found = list(conversations([a_box(tmp_path / "box", QUESTION, ANSWER, other)]))
    assert [type(one) for one in found] == [Conversation, Unreadable]


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
