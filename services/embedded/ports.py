"""Free ports on loopback, and keeping them till their process binds them."""

from __future__ import annotations

import random
import socket
import sys

LOWEST, HIGHEST = 20_000, 29_999
"""Below the range from which Linux takes ports of outgoing connections: none of those gets in between choosing and binding."""

_kept: dict[int, socket.socket | None] = {}


def free_port() -> int:
    """A port nobody listens on now, kept for us; never the same twice in one process."""
    for port in random.SystemRandom().sample(range(LOWEST, HIGHEST + 1), 200):
        if port not in _kept and keep(port):
            return port
    raise OSError(f"no free port between {LOWEST} and {HIGHEST} on 127.0.0.1")


def keep(port: int) -> bool:
    """Whether `port` is free and, as long as this process lives, no other platform's: seconds may pass before its process binds it.

    The token is an abstract Unix socket, which goes with its process and lives in the same network namespace as the port. Elsewhere
    than on Linux there is none, and two platforms that start at the same moment may meet.
    """
    if not is_free(port):
        return False
    if port in _kept or not sys.platform.startswith("linux"):
        _kept.setdefault(port, None)
        return True
    token = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        token.bind(f"\0liandong-port-{port}")
    except OSError:
        token.close()
        return False
    _kept[port] = token
    return True


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int, seconds: float = 0.5) -> bool:
    """Whether something accepts connections on `port` of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=seconds).close()
    except OSError:
        return False
    return True
