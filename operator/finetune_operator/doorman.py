"""Who may be connected to the progress server, and for how long: aiohttp limits neither connections nor their life.

Everything in the cluster may connect, and a place that somebody holds for nothing keeps a trainer out. So places are counted,
in all and per address; where all are taken, whoever has brought no report for longest makes room; and nobody stays for ever.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable


class Doorman:
    """Counts connections, and knows which are too many.

    Args:
        most, most_per_address: connections at the same time, in all and from one address.
        seconds: longest life of a connection.
        refused: is told why a connection was cut off.
    """

    def __init__(self, most: int, most_per_address: int, seconds: float, refused: Callable[[str], None]) -> None:
        self._most, self._most_per_address, self.seconds, self.refused = most, most_per_address, seconds, refused
        self._open: Counter[str] = Counter()
        self._useless: dict[asyncio.Protocol, Guarded] = {}
        """Connections that have brought no report so far, by aiohttp's protocol, those that came first first."""

    def enter(self, address: str) -> str | None:
        """Let a connection in, or say why not.

        Where all places are taken, whoever has been there for longest without a report makes room: a trainer has said all it
        has to within milliseconds, and many pods that only hold connections, or ask for what they do not get, would keep
        every trainer out.
        """
        if self._open[address] >= self._most_per_address:
            return "too_many_of_one"
        if self._open.total() >= self._most:
            if not self._useless:
                return "too_many"
            next(iter(self._useless.values())).cut("made_room")
        self._open[address] += 1
        return None

    def watch(self, inner: asyncio.Protocol, guarded: Guarded) -> None:
        """A connection was let in."""
        self._useless[inner] = guarded

    def heard(self, inner: asyncio.Protocol, *, took_report: bool) -> None:
        """A request was understood."""
        guarded = self._useless.pop(inner, None) if took_report else self._useless.get(inner)
        if guarded is not None:
            guarded.was_heard = True

    def leave(self, inner: asyncio.Protocol, address: str) -> None:
        """It is gone."""
        self._useless.pop(inner, None)
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]


class Guarded(asyncio.Protocol):
    """The protocol of a server, here aiohttp's, behind the doorman.

    Args:
        inner: is told of everything that happens, once TLS is there.
        doorman: has let the connection in.
        address: of the other side.
    """

    def __init__(self, inner: asyncio.Protocol, doorman: Doorman, address: str) -> None:
        self._inner, self._doorman, self._address = inner, doorman, address
        self._end: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._left = False
        self.was_heard = False
        """Whether it has sent a request that was understood."""
        self.greeting: asyncio.Task[None] | None = None
        """Shakes hands; has ended well when this protocol is told of its connection."""
        doorman.watch(inner, self)

    @property
    def was_let_in(self) -> bool:
        """Whether TLS is there; from then on this protocol is told of the connection's end."""
        return self._transport is not None

    def cut(self, reason: str) -> None:
        """End the connection, whatever state it is in."""
        self._doorman.refused(reason)
        self.leave()
        if self._transport is not None:
            self._transport.abort()
        elif self.greeting is not None:
            self.greeting.cancel()

    def leave(self) -> None:
        """Its place is free; a second time changes nothing."""
        if not self._left:
            self._left = True
            self._doorman.leave(self._inner, self._address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is there: the connection's life begins."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._end = asyncio.get_running_loop().call_later(self._doorman.seconds, self.cut, "too_long")
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended: its place is free."""
        if self._end:
            self._end.cancel()
        if not self.was_heard and not self._left:
            self._doorman.refused("no_request")
        self.leave()
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._inner.resume_writing()
