"""Free ports on loopback."""

from __future__ import annotations

import random
import socket

LOWEST, HIGHEST = 20_000, 29_999
"""Below the range from which Linux takes ports of outgoing connections: none of those gets in between choosing and binding."""

_handed_out: set[int] = set()


def free_port() -> int:
    """A port nobody listens on now, never the same twice in one process."""
    for port in random.SystemRandom().sample(range(LOWEST, HIGHEST + 1), 200):
        if port not in _handed_out and is_free(port):
            _handed_out.add(port)
            return port
    raise OSError(f"no free port between {LOWEST} and {HIGHEST} on 127.0.0.1")


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
