"""Tickets as help desks export them: customer and agent in turn, in order of time, without private notes.

Each help desk says in its own way who wrote and whether the customer saw it. A note that was meant for colleagues and is
trained on would be said to customers, so a comment counts as public only where the help desk's own mark does not deny it. One
export has no such mark: Jira's as CSV. There all comments count, and whoever is told what the data was taken for is told that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

Desk = Literal[
    "Zendesk",
    "Freshdesk",
    "Jira Service Management",
    "Znuny or OTRS",
    "ServiceNow",
    "Jira as CSV, which does not say which comments were internal",
]
Turn = tuple[str, str]
"""Role (user or assistant) and text."""

_JOURNAL = re.compile(
    r"^(\d{1,4}[-./]\d{1,2}[-./]\d{1,4},? \d{1,2}:\d{2}(?::\d{2})?(?: [AP]M)?) - (.{1,200}) \(([^()]{1,60})\)[ \t]*\r?$", re.M
)
"""Before each entry of a ServiceNow journal: when, who, which kind."""
_PUBLIC_JOURNAL = frozenset({"additional comments", "comments", "zusätzliche kommentare", "kommentare"})
_JIRA_COMMENT = re.compile(r"([^;\n]{6,40});([^;\n]{1,200});(.*)", re.S)
"""A cell of a column Comment: when, who, what."""


def help_desk(row: Mapping[str, Any]) -> Desk | None:
    """Whose export a row is, by the fields that only that help desk has together."""
    if _items(row.get("comments")) and "requester_id" in row:
        return "Zendesk"
    if _items(row.get("conversations")) and any("incoming" in item for item in _items(row.get("conversations"))):
        return "Freshdesk"
    fields = row.get("fields")
    if isinstance(fields, Mapping) and isinstance(fields.get("comment"), Mapping) and "description" in fields:
        return "Jira Service Management"
    articles = _items(row.get("Article", row.get("Articles")))
    if articles and all("SenderType" in item for item in articles):
        return "Znuny or OTRS"
    if "short_description" in row and any(name in row for name in ("comments", "comments_and_work_notes", "close_notes")):
        return "ServiceNow"
    if "Issue key" in row and "Description" in row:
        return "Jira as CSV, which does not say which comments were internal"
    return None


def repeats_columns(names: Sequence[str]) -> bool:
    """Whether a table's columns are those of an export that writes one column for each comment, all of the same name."""
    return "Issue key" in names


def ticket_turns(row: Mapping[str, Any]) -> tuple[Turn, ...]:
    """The conversation of one ticket: turns alternate, the first is the customer's, the last an agent's.

    Returns: no turn if the row is no ticket, or if no agent answered in public.
    """
    match help_desk(row):
        case "Zendesk":
            said = _zendesk(row)
        case "Freshdesk":
            said = _freshdesk(row)
        case "Jira Service Management":
            said = _jira(row["fields"])
        case "Znuny or OTRS":
            said = _znuny(row)
        case "ServiceNow":
            said = _service_now(row)
        case "Jira as CSV, which does not say which comments were internal":
            said = _jira_table(row)
        case None:
            said = []
    turns: list[Turn] = []
    for role, text in said:
        if not text or (not turns and role == "assistant"):
            continue
        if turns and turns[-1][0] == role:
            turns[-1] = (role, f"{turns[-1][1]}\n\n{text}")
        else:
            turns.append((role, text))
    if turns and turns[-1][0] == "user":
        turns.pop()
    return tuple(turns)


def answers_without_mark(row: Mapping[str, Any]) -> int:
    """How many comments of others than the customer are taken for public only because the export does not say it."""
    if help_desk(row) != "Jira as CSV, which does not say which comments were internal":
        return 0
    return sum(role == "assistant" for role, _ in _jira_table(row))


def _zendesk(row: Mapping[str, Any]) -> list[Turn]:
    """The first comment of an export is the description itself."""
    comments = _in_order(row["comments"], "created_at")
    return [
        (_role(item.get("author_id") == row["requester_id"]), _text(item, "plain_body", "body"))
        for item in comments
        if not _denied(item.get("public"))
    ]


def _freshdesk(row: Mapping[str, Any]) -> list[Turn]:
    said = [("user", _text(row, "description_text", "description"))]
    for item in _in_order(row["conversations"], "created_at"):
        if item.get("private") is None or _denied(item.get("private")):
            said.append(
                (_role(item.get("incoming") is not None and not _denied(item["incoming"])), _text(item, "body_text", "body"))
            )
    return said


def _jira(fields: Mapping[str, Any]) -> list[Turn]:
    reporter = _person(fields.get("reporter"))
    said = [("user", _text(fields, "description"))]
    for item in _in_order(fields["comment"].get("comments"), "created"):
        if not _denied(item.get("jsdPublic")) and not item.get("visibility"):
            own = reporter is not None and _person(item.get("author")) == reporter
            said.append((_role(own), _text(item, "body")))
    return said


def _znuny(row: Mapping[str, Any]) -> list[Turn]:
    said = []
    for item in _in_order(row.get("Article", row.get("Articles")), "CreateTime"):
        hidden = _denied(item.get("IsVisibleForCustomer")) or "internal" in str(item.get("ArticleType", ""))
        if not hidden and item["SenderType"] in ("customer", "agent"):
            said.append((_role(item["SenderType"] == "customer"), _text(item, "Body")))
    return said


def _service_now(row: Mapping[str, Any]) -> list[Turn]:
    """Comments stand in one text, the newest first; where no agent wrote one, the resolution is the answer."""
    caller = _shown(row.get("caller_id")) or _shown(row.get("opened_by"))
    journal = _shown(row.get("comments")) or _shown(row.get("comments_and_work_notes"))
    entries = [(who, what) for who, kind, what in _entries(journal) if kind.lower() in _PUBLIC_JOURNAL]
    said = [("user", _shown(row.get("description")) or _shown(row["short_description"]))]
    said += [(_role(bool(caller) and who == caller), what) for who, what in reversed(entries)]
    if all(role == "user" for role, _ in said):
        said.append(("assistant", _shown(row.get("close_notes"))))
    return said


def _entries(journal: str) -> Iterator[tuple[str, str, str]]:
    """Who, kind and text of each entry, as they stand."""
    marks = list(_JOURNAL.finditer(journal))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        text = journal[mark.end() : following.start() if following else len(journal)]
        yield mark[2].strip(), mark[3].strip(), text.strip()


def _shown(value: Any) -> str:
    """A field of ServiceNow: text, or an object with its text and its key."""
    if isinstance(value, Mapping):
        value = value.get("display_value", value.get("value"))
    return value.strip() if isinstance(value, str) else ""


def _jira_table(row: Mapping[str, Any]) -> list[Turn]:
    reporter = {value.strip() for name in ("Reporter", "Reporter Id") if isinstance(value := row.get(name), str)}
    comments = row.get("Comment", [])
    said = [("user", _text(row, "Description", "Summary"))]
    for cell in comments if isinstance(comments, list) else [comments]:
        if isinstance(cell, str) and (comment := _JIRA_COMMENT.fullmatch(cell)):
            said.append((_role(comment[2].strip() in reporter), comment[3].strip()))
    return said


def _denied(mark: Any) -> bool:
    """Whether a mark says no: on its way through a database or a table, false becomes 0, "0" or "False"."""
    return mark is not None and str(mark).strip().lower() in ("false", "0", "0.0", "no", "")


def _role(is_customer: bool) -> str:
    return "user" if is_customer else "assistant"


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _in_order(value: Any, time: str) -> list[Mapping[str, Any]]:
    """By time; all of these write it so that its text sorts. Those without one stay where they are at the front."""
    return sorted(_items(value), key=lambda item: str(item.get(time, "")))


def _text(item: Mapping[str, Any], *names: str) -> str:
    return next((value.strip() for name in names if isinstance(value := item.get(name), str) and value.strip()), "")


def _person(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return None
    return value.get("accountId", value.get("name", value.get("emailAddress")))
