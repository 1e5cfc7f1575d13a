"""Places where a test makes this process die or freeze, at an exact step of the order of commitment."""

from __future__ import annotations

import os
import signal


class Failpoints:
    """`spec`: "" for none, else "<point>@<n>" (SIGKILL at the n-th hit) or "<point>@<n>:stop" (SIGSTOP)."""

    def __init__(self, spec: str = "") -> None:
        point, _, rest = spec.partition("@")
        count, _, action = rest.partition(":")
        self._point = point
        self._left = int(count or 1)
        self._signal = signal.SIGSTOP if action == "stop" else signal.SIGKILL

    def hit(self, point: str) -> None:
        """Does nothing unless `point` is the armed one and its count is reached; then once."""
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._signal)


def for_process(name: str, setting: str) -> Failpoints:
    """`setting`: "<process name>=<spec>"; other processes get none."""
    process, _, spec = setting.partition("=")
    return Failpoints(spec if process == name else "")
