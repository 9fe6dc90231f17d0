"""Which messages are one conversation.

A reply names the messages before it. Where none of those is there, something has to be guessed: "Re: Invoice" is what half of
all customers write, so one subject is not one conversation, and whoever puts three customers into one trains the complaint of
the second as the answer to the first. So a guess needs people whom both have, and a subject also days that are near.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

NEVER = datetime.min.replace(tzinfo=UTC)
"""When a message without a date was written."""
_NEAR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Head:
    """What of a message says where it belongs."""

    number: int
    """In the mailbox."""
    key: str
    parents: tuple[str, ...]
    """Messages that it names as those before it, there or not."""
    subject: str
    """Without what marks a reply."""
    is_reply: bool
    """By its subject."""
    sender: str
    recipients: tuple[str, ...]
    when: datetime


H = TypeVar("H", bound=Head)


@dataclass(frozen=True, slots=True)
class Thread(Generic[H]):
    """Messages of one conversation, in order of time."""

    name: str
    members: list[H]
    is_guessed: bool
    """Whether some of them are here by their subject, or by a message that is not there."""


def threads(mails: Sequence[H], inside: Sequence[str] = ()) -> Iterator[Thread[H]]:
    """Messages by their thread, in order of their first message.

    Args:
        inside: domains and addresses of our own: that two messages have those in common says nothing.
    """
    known = {mail.key for mail in mails}
    ordered = sorted(mails, key=lambda mail: (mail.when, mail.number))
    # Of all other subjects nothing need be remembered, which are most of a large mailbox.
    lost = {mail.subject for mail in mails if mail.is_reply and mail.subject and known.isdisjoint(mail.parents)}
    groups = _Groups(inside)
    for mail in ordered:
        groups.add(mail, known, is_sought=mail.subject in lost)
    guessed = {groups.find(key) for key in groups.guessed}
    members: dict[str, list[H]] = {}
    for mail in ordered:
        members.setdefault(groups.find(mail.key), []).append(mail)
    for name, found in members.items():
        yield Thread(name, found, name in guessed)


@dataclass(slots=True)
class _People:
    """Who takes part in a thread, as far as a guess may need it."""

    began: tuple[datetime, int]
    beginner: str
    last: datetime
    all: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)
    """Of these, where it was said who is inside."""


class _Groups:
    """Threads as they grow, message by message in order of time."""

    def __init__(self, inside: Sequence[str]) -> None:
        self._inside = inside
        self._up: dict[str, str] = {}
        self._people: dict[str, _People] = {}
        self._newest: dict[tuple[str, str], str] = {}
        """By subject and address the newest message."""
        self.guessed: list[str] = []
        """Messages that are where they are by a guess."""

    def find(self, key: str) -> str:
        """The name of the thread in which a message is."""
        while (up := self._up.setdefault(key, key)) != key:
            self._up[key] = key = self._up[up]
        return key

    def add(self, mail: Head, known: set[str], *, is_sought: bool) -> None:
        """Put a message where it belongs.

        Args:
            known: messages that are there.
            is_sought: whether a message may be put beside it for its subject.
        """
        here = [parent for parent in mail.parents if parent in known]
        absent = [parent for parent in mail.parents if parent not in known]
        for parent in here:
            self._unite(mail.key, parent)
        for parent in absent:
            if parent not in self._up:
                self._unite(mail.key, parent)
            elif self._fits(mail, parent):
                if not here:
                    self.guessed.append(mail.key)
                self._unite(mail.key, parent)
        if not here and mail.is_reply and mail.subject and (other := self._by_subject(mail)) is not None:
            self.guessed.append(mail.key)
            self._unite(mail.key, other)
        if not (is_sought or absent):
            return
        people = self._people.setdefault(self.find(mail.key), _People((mail.when, mail.number), mail.sender, mail.when))
        people.all.update(_addresses(mail))
        people.outside.update(self._outside(mail))
        people.last = max(people.last, mail.when)
        if is_sought:
            for address in _addresses(mail):
                self._newest[mail.subject, address] = mail.key

    def _unite(self, one: str, other: str) -> None:
        left, right = self.find(one), self.find(other)
        if left == right:
            return
        self._up[left] = right
        gone, stays = self._people.pop(left, None), self._people.get(right)
        if gone is not None and stays is not None:
            first = min(gone, stays, key=lambda people: people.began)
            everybody = (_together(gone.all, stays.all), _together(gone.outside, stays.outside))
            self._people[right] = _People(first.began, first.beginner, max(gone.last, stays.last), *everybody)
        elif gone is not None:
            self._people[right] = gone

    def _by_subject(self, mail: Head) -> str | None:
        """The newest message of the same subject beside which it belongs."""
        near = []
        for address in _addresses(mail):
            key = self._newest.get((mail.subject, address))
            people = self._people.get(self.find(key)) if key is not None else None
            if key is not None and people is not None and self._fits(mail, key) and NEVER not in (mail.when, people.last):
                near.append((people.last, key))
        last, key = max(near, default=(NEVER, None))
        return key if key is not None and mail.when - last <= _NEAR else None

    def _fits(self, mail: Head, key: str) -> bool:
        """Whether the people of a message are those of the thread of another."""
        people = self._people.get(self.find(key))
        if people is None:
            return False
        addresses = _addresses(mail)
        common = addresses & people.all
        if not self._inside:
            return people.beginner in common or len(common) > 1
        outside = self._outside(mail)
        return not outside.isdisjoint(people.outside) if outside or people.outside else bool(common)

    def _outside(self, mail: Head) -> set[str]:
        return {address for address in _addresses(mail) if not is_inside(address, self._inside)} if self._inside else set()


def _together(one: set[str], other: set[str]) -> set[str]:
    """Both, in the larger one: a thread grows by messages of few people."""
    large, small = (one, other) if len(one) > len(other) else (other, one)
    large |= small
    return large


def _addresses(mail: Head) -> set[str]:
    return {address for address in (mail.sender, *mail.recipients) if address}


def is_inside(address: str, inside: Iterable[str]) -> bool:
    """Whether an address is one of ours.

    Args:
        inside: domains, with all below them, and addresses.
    """
    domain = address.rpartition("@")[2]
    return any(address == one or domain == one or domain.endswith(f".{one}") for one in map(str.lower, inside))
