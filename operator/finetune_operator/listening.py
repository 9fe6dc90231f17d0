"""Where our servers listen: a pod has an IPv4 address, an IPv6 address or both, and it is not known here which."""

from __future__ import annotations

import socket

ALL = ""
"""Every address of the machine, of both families."""


def listen(host: str, port: int, *, backlog: int = 128) -> socket.socket:
    """A socket that listens on an address, or on ALL of them. Raises: OSError."""
    if host == ALL and socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=backlog)
        except OSError:
            pass  # the kernel knows IPv6, and no interface has it
    return socket.create_server((host or "0.0.0.0", port), backlog=backlog)
