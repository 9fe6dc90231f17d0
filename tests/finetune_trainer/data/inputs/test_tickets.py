"""Exports of help desks become conversations of customer and agent; what only colleagues saw stays out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune_api.v1alpha1.data import FieldMapping
from finetune_trainer.data.inputs.detect import detect
from finetune_trainer.data.inputs.formats import UnusableRow, to_example
from finetune_trainer.data.inputs.read import BrokenRow, Row, read_rows
from finetune_trainer.data.inputs.tickets import ticket_turns
from finetune_trainer.sources import DataFile

ZENDESK = {
    "id": 1,
    "requester_id": 7,
    "comments": [
        {"author_id": 9, "body": "Bitte neu starten.", "public": True, "created_at": "2026-01-02T09:00:00Z"},
        {"author_id": 9, "body": "Kunde nervt.", "public": False, "created_at": "2026-01-01T10:00:00Z"},
        {"author_id": 7, "body": "Es geht nicht.", "public": True, "created_at": "2026-01-01T09:00:00Z"},
    ],
}
FRESHDESK = {
    "id": 1,
    "description_text": "Es geht nicht.",
    "conversations": [
        {"body_text": "Kunde nervt.", "incoming": False, "private": True, "created_at": "2026-01-01T10:00:00Z"},
        {"body_text": "Bitte neu starten.", "incoming": False, "private": False, "created_at": "2026-01-02T09:00:00Z"},
        {"body_text": "Danke.", "incoming": True, "private": False, "created_at": "2026-01-03T09:00:00Z"},
    ],
}
JIRA = {
    "key": "IT-1",
    "fields": {
        "description": "Es geht nicht.",
        "reporter": {"accountId": "k"},
        "comment": {
            "comments": [
                {"author": {"accountId": "h"}, "body": "Kunde nervt.", "jsdPublic": False, "created": "2026-01-01"},
                {"author": {"accountId": "h"}, "body": "Bitte neu starten.", "jsdPublic": True, "created": "2026-01-02"},
            ]
        },
    },
}
ZNUNY = {
    "TicketNumber": "1",
    "Article": [
        {"SenderType": "customer", "Body": "Es geht nicht.", "IsVisibleForCustomer": 1, "CreateTime": "2026-01-01 09:00:00"},
        {"SenderType": "agent", "Body": "Kunde nervt.", "IsVisibleForCustomer": 0, "CreateTime": "2026-01-01 10:00:00"},
        {"SenderType": "system", "Body": "Eingang bestätigt.", "IsVisibleForCustomer": 1, "CreateTime": "2026-01-01 09:01:00"},
        {"SenderType": "agent", "Body": "Bitte neu starten.", "IsVisibleForCustomer": 1, "CreateTime": "2026-01-02 09:00:00"},
    ],
}
SERVICE_NOW = {
    "number": "INC0010001",
    "caller_id": {"display_value": "Kim Kunde", "link": "x"},
    "short_description": "Störung",
    "description": "Es geht nicht.",
    "comments_and_work_notes": "2026-01-02 09:00:00 - Hanna Helfer (Additional comments)\nBitte neu starten.\n\n"
    "2026-01-01 10:00:00 - Hanna Helfer (Work notes)\nKunde nervt.\n\n",
    "close_notes": "Erledigt.",
}
SERVICE_NOW_TABLE = {
    "number": "INC0010002",
    "caller_id": "Kim Kunde",
    "short_description": "Es geht nicht.",
    "comments": "02.01.2026 09:00:00 - Kim Kunde (Zusätzliche Kommentare)\nEilt!\n\n",
    "close_notes": "Bitte neu starten.",
}
JIRA_TABLE = {
    "Issue key": "IT-1",
    "Summary": "Störung",
    "Description": "Es geht nicht.",
    "Reporter": "kunde",
    "Comment": ["01/Jan/26 9:00 AM;helfer;Bitte neu starten.", "02/Jan/26 9:00 AM;kunde;Danke; es geht."],
}


@pytest.mark.parametrize(
    ("row", "desk"),
    [
        (SERVICE_NOW, "ServiceNow"),
        (JIRA_TABLE, "which does not say which comments were internal"),
        (ZENDESK, "Zendesk"),
        (FRESHDESK, "Freshdesk"),
        (JIRA, "Jira Service Management"),
        (ZNUNY, "Znuny or OTRS"),
    ],
)
def test_an_export_is_recognised_and_becomes_customer_and_agent_without_private_notes(row: dict[str, Any], desk: str) -> None:
    shape = detect([row], task="chat", said="auto", fields=FieldMapping())
    assert shape is not None
    assert shape.format == "tickets"
    assert desk in shape.because
    example = to_example(row, shape, group_by=None)
    assert [(turn.role, turn.content) for turn in example.messages] == [
        ("user", "Es geht nicht."),
        ("assistant", "Bitte neu starten."),
    ]


@pytest.mark.parametrize("row", [ZENDESK, FRESHDESK, JIRA, ZNUNY], ids=["Zendesk", "Freshdesk", "Jira", "Znuny"])
@pytest.mark.parametrize(
    ("yes", "no"), [(1, 0), ("1", "0"), ("true", "false"), ("True", "False")], ids=["numbers", "digits", "words", "names"]
)
def test_a_private_note_stays_out_also_where_a_database_has_written_its_mark(row: dict[str, Any], yes: Any, no: Any) -> None:
    def written(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: written(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [written(one) for one in value]
        is_mark = isinstance(value, bool) or name == "IsVisibleForCustomer"
        return (yes if value else no) if is_mark else value

    assert [text for _, text in ticket_turns(written(row))] == ["Es geht nicht.", "Bitte neu starten."]


def test_a_ticket_without_an_answer_is_left_out() -> None:
    shape = detect([ZENDESK], task="chat", said="tickets", fields=FieldMapping())
    assert shape is not None
    with pytest.raises(UnusableRow) as caught:
        to_example({**ZENDESK, "comments": ZENDESK["comments"][1:]}, shape, group_by=None)  # type: ignore[index]
    assert caught.value.drop


def test_rows_of_messages_are_no_tickets_and_what_is_no_ticket_fits_no_ticket_format() -> None:
    row = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    shape = detect([row], task="chat", said="auto", fields=FieldMapping())
    assert shape is not None
    assert shape.format == "messages"
    assert detect([row], task="chat", said="tickets", fields=FieldMapping()) is None


def turns(row: dict[str, Any]) -> list[str]:
    shape = detect([row], task="chat", said="auto", fields=FieldMapping())
    assert shape is not None
    assert shape.format == "tickets"
    return [turn.content for turn in to_example(row, shape, group_by=None).messages]


def test_a_resolution_is_the_answer_where_no_agent_wrote_a_comment() -> None:
    assert turns(SERVICE_NOW_TABLE) == ["Es geht nicht.\n\nEilt!", "Bitte neu starten."]


def test_who_says_what_the_columns_mean_gets_no_conversation() -> None:
    named = FieldMapping(prompt="short_description", completion="close_notes")
    shape = detect([SERVICE_NOW_TABLE], task="chat", said="auto", fields=named)
    assert shape is not None
    assert [turn.content for turn in to_example(SERVICE_NOW_TABLE, shape, group_by=None).messages] == [
        "Es geht nicht.",
        "Bitte neu starten.",
    ]


def rows_of(path: Path, content: str) -> list[Any]:
    path.write_text(content, encoding="utf-8")
    return [row.value if isinstance(row, Row) else row for row in read_rows(DataFile(path, path.name))]


def test_a_jira_table_has_a_column_for_each_comment(tmp_path: Path) -> None:
    table = (
        "Issue key,Summary,Description,Reporter,Comment,Comment,Comment\n"
        'IT-1,Störung,Es geht nicht.,kunde,"01/Jan/26;helfer;Bitte neu starten.\nGruß",02/Jan/26;kunde;Danke.,\n'
    )
    (row,) = rows_of(tmp_path / "x.csv", table)
    assert row["Comment"] == ["01/Jan/26;helfer;Bitte neu starten.\nGruß", "02/Jan/26;kunde;Danke."]
    assert turns(row) == ["Es geht nicht.", "Bitte neu starten.\nGruß"]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("around", [{"records": 0}, {"startAt": 0, "total": 2, "issues": 0, "names": {"a": [{}]}}])
def test_tickets_in_one_object_are_found_in_it(tmp_path: Path, around: dict[str, Any], indent: int | None) -> None:
    filled = {name: [JIRA, {**JIRA, "key": "IT-2"}] if name in ("records", "issues") else v for name, v in around.items()}
    found = rows_of(tmp_path / "x.json", json.dumps(filled, indent=indent) + "\n")
    assert [row["key"] for row in found] == ["IT-1", "IT-2"]


def test_no_line_is_lost_where_each_holds_a_list_of_its_own(tmp_path: Path) -> None:
    line = json.dumps({"records": [SERVICE_NOW]}) + "\n"
    first, broken = rows_of(tmp_path / "x.json", line + line)
    assert first == SERVICE_NOW
    assert isinstance(broken, BrokenRow)
    assert not broken.drop
