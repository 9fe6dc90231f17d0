"""Ports for programs that are told beforehand where to listen, and begin seconds later."""

from __future__ import annotations

import random
import socket

_BELOW_THE_KERNELS_OWN = range(20_000, 29_000)
"""From 32768 on the kernel hands ports out by itself, to whoever connects or asks for any one: of many tests at once, one would
take what another has been promised."""
_CHANCE = random.SystemRandom()


def a_free_port() -> int:
    """A port of the loopback that nobody listens on."""
    while True:
        port = _CHANCE.choice(_BELOW_THE_KERNELS_OWN)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
