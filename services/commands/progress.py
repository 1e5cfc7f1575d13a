"""Progress of a start: one line that changes on a terminal, plain lines anywhere else. Always on standard error."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console

from services.embedded.state import ChildState

SAID = ("starting", "ready", "backing off")


class Progress:
    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("starting") if self._console.is_terminal else None
        self._started = time.monotonic()
        self._states: dict[str, str] = {}
        self._finished = False
        if self._status:
            self._status.start()

    def note(self, text: str) -> None:
        self._console.print(f"{self._clock()} {text}")

    def changed(self, name: str, child: ChildState) -> None:
        """The supervisor's report; goes on after the start, when only trouble is worth a line."""
        self._seen(name, child.state, child.last_exit)

    def follow(self, state: dict[str, Any]) -> None:
        """The same from state.json, for `up --detach`."""
        for name, child in state["processes"].items():
            self._seen(name, child["state"], child["last_exit"])

    def finish(self) -> None:
        if self._status:
            self._status.stop()
        self._finished = True

    def _seen(self, name: str, state: str, last_exit: int | None) -> None:
        if self._states.get(name) == state:
            return
        restarted = self._states.get(name) == "starting" and last_exit is not None
        self._states[name] = state
        if state == "backing off":
            self.note(f"{name} ended with {last_exit}; it will be started again")
        elif state == "ready" and (not self._finished or restarted):
            self.note(f"{name} is ready")
        if self._status:
            waiting = [other for other, what in self._states.items() if what != "ready"]
            self._status.update(f"{len(self._states) - len(waiting)} of {len(self._states)} ready; waiting for {', '.join(waiting)}")

    def _clock(self) -> str:
        return f"[{time.monotonic() - self._started:5.1f} s]"
