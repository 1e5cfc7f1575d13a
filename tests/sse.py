"""A reader of server-sent events for tests."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

from services.clock import now_ms


@dataclass(frozen=True)
class Event:
    name: str
    id: str
    data: dict[str, Any]
    seen_at: int  # UTC ms


class Live:
    """An open GET /v1/live, read by a thread into a queue. `with Live(url, key, realm="live", vector="0:1") as live`."""

    def __init__(self, url: str, key: str, realm: str = "live", division: str = "", vector: str = "") -> None:
        self._client = httpx.Client(timeout=httpx.Timeout(10, read=None))
        headers = {"Authorization": f"Bearer {key}"} | ({"Last-Event-ID": vector} if vector else {})
        params = {"realm": realm} | ({"division": division} if division else {})
        self._request = self._client.build_request("GET", f"{url}/v1/live", params=params, headers=headers)
        self._events: queue.Queue[Event | None] = queue.Queue()
        self.last_id = vector

    def __enter__(self) -> Live:
        self._answer = self._client.send(self._request, stream=True)
        self.status = self._answer.status_code
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._answer.close()
        self._client.close()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self._answer.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields.get("data"):
                    self._events.put(Event(fields["event"], fields.get("id", ""), json.loads(fields["data"]), now_ms()))
                    fields = {}
        except (httpx.HTTPError, httpx.StreamError):
            pass  # the cut is the end
        self._events.put(None)

    def next(self, seconds: float = 10.0) -> Event | None:
        """The next event; None when the stream has ended. queue.Empty when nothing comes in time."""
        event = self._events.get(timeout=seconds)
        if event:
            self.last_id = event.id
        return event

    def deltas(self, count: int, seconds: float = 20.0) -> Iterator[Event]:
        """The next `count` deltas; AssertionError when the stream ends first."""
        while count:
            event = self.next(seconds)
            assert event is not None, "the stream ended"
            if event.name == "delta":
                count -= 1
                yield event

    def clocks(self, count: int) -> list[Event]:
        """Everything until `count` clock events have come."""
        events: list[Event] = []
        while count:
            event = self.next()
            assert event is not None, "the stream ended"
            count -= event.name == "clock"
            events.append(event)
        return events

    def ended(self, seconds: float) -> bool:
        """Whether the stream ends within that time."""
        try:
            while self.next(seconds) is not None:
                pass
        except queue.Empty:
            return False
        return True
