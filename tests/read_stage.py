"""The read port over an embedded engine, with events of real cases in it: no Kafka, no sink loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import Response

from schemas.avro.incident_event.event import IncidentEvent
from schemas.realms import Realm
from schemas.registry import latest
from services.problems import Problem
from services.sink import container
from services.sink.plan import Planner
from services.sink.streams import EVENTS, HANDOVERS, Stream
from services.warehouse.backend import Handle, Row, Warehouse, open_warehouse
from services.warehouse.migrate import migrate
from services.warehouse.read_port import cases, reasons, search, work
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.scope import Gatekeeper
from tests import numbered
from tests.principals import SERVED, FixedKeys


class Reads:
    """`now`: what time it is at the read port. Put events in, then ask."""

    def __init__(self, warehouse: Warehouse, now: int) -> None:
        self.warehouse, self.now = warehouse, now
        self.handle: Handle = warehouse.handle()
        self._block = self._offset = 0
        questions = Questions(warehouse, 2)
        app = FastAPI()
        gate = Gatekeeper(FixedKeys(), SERVED)
        for module in (reasons, work, search):
            app.include_router(module.routes(questions, gate, lambda _realm: self.now))
        app.include_router(cases.routes(questions, gate))

        @app.exception_handler(Problem)
        async def problem(_: Request, error: Problem) -> Response:
            return error.answer()

        self._client = TestClient(app)
        self._questions = questions

    def put(self, records: Iterable[msgspec.Struct], stream: Stream = EVENTS) -> None:
        """As one block of the sink."""
        topic = stream.topic.in_realm(Realm.LIVE)
        rows = []
        for record in records:
            place = {"topic": topic, "partition": 0, "offset": self._offset, "timestamp": getattr(record, "received_at", 0), "key": b"k"}
            rows.append(SimpleNamespace(**place, value=numbered.encode(record), headers=()))
            self._offset += 1
        planner = Planner({}, {}, [latest(stream.type).id], marked=False)
        planner.add((topic, 0), rows, 0.0)
        cut = planner.cut(1_000_000)
        self._block += 1
        self.handle.insert_avro(stream.inlet, container.build(cut.schema_id, self._block, cut.month, cut.rows))

    def get(self, path: str, who: str = "nanshan-desk", **params: Any) -> Any:
        """The answer's JSON; AssertionError unless it is 200."""
        answer = self.ask(path, who, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, path: str, who: str = "nanshan-desk", **params: Any) -> Any:
        return self._client.get(path, params=params, headers={"Authorization": f"Bearer key-{who}"})

    def clear(self) -> None:
        for stream in (EVENTS, HANDOVERS):
            for table in (stream.facts, *stream.rollups):
                self.handle.run(f"TRUNCATE TABLE {table}")

    def close(self) -> None:
        self._client.close()
        self._questions.close()
        self.handle.close()


@contextmanager
def reads(folder: Path, now: int) -> Iterator[Reads]:
    warehouse = open_warehouse(folder)
    migrate(warehouse)
    stage = Reads(warehouse, now)
    try:
        yield stage
    finally:
        stage.close()
        warehouse.close()


def rows_of(events: Iterable[IncidentEvent]) -> list[Row]:
    """What case_clocks.sql and case_spans.sql answer of these events, without an engine."""
    return [
        {
            "seq": e.case_seq, "type": e.type, "policy_version": e.policy_version, "clock": e.clock, "clock_holder": e.clock_holder,
            "clock_due_at": e.clock_due_at, "actor_org": e.actor_org, "reason": e.reason, "command_id": e.command_id,
            "opened_at": e.opened_at, "occurred_at": e.occurred_at, "received_at": e.received_at, "state": e.state, "holder": e.holder,
            "level": e.holder_level, "round": e.round, "mirrored": e.mirrored, "upstream_state": e.upstream_state,
            "suspended_reason": e.suspended_reason, "review_at": e.review_at,
            "clocks": msgspec.json.encode([_row(clock) for clock in e.clocks]).decode(),
        }
        for e in events
    ]  # fmt: skip


def _row(clock: Any) -> list[Any]:
    fields = {name: getattr(clock, name) for name in clock.__struct_fields__}
    fields["pauses"] = [[getattr(pause, name) for name in pause.__struct_fields__] for pause in clock.pauses]
    return list(fields.values())
