"""Numbered events with the case table that they leave, and audits of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import httpx
import msgspec

from schemas.avro.incident_event.event import IncidentEvent
from schemas.realms import Realm
from schemas.state.incident_case.event import IncidentCase
from schemas.topics import CASE_TABLE, INCIDENT_EVENTS, LIVE_DELTAS
from services.audit import Report, audit_states
from streams.engine.value import pack
from tests import numbered
from tests.warehouse_process import WarehouseProcess, Writer


def state_of(event: IncidentEvent, **given: object) -> IncidentCase:
    """The case as it stands after an event."""
    blank: dict[str, object] = {"str": "", "int": 0, "bool": False, "bytes": b""}
    kinds = IncidentCase.__annotations__
    fields = {f.name: blank[str(kinds[f.name])] for f in msgspec.structs.fields(IncidentCase) if f.required}
    fields |= {name: getattr(event, name) for name in kinds if hasattr(event, name)}
    return IncidentCase(**(fields | {"seq": event.case_seq, "now": event.received_at} | given))  # type: ignore[arg-type]


def put_state(writer: Writer, realm: str, partition: int, version: int, state: IncidentCase, flags: int = 0) -> None:
    value = pack(version, flags, numbered.encode(state), b"")
    writer.put(CASE_TABLE, realm, partition, [(state.case_id.encode(), value, [])])


def put_all(writer: Writer, realm: str, partition: int, numbers: Iterable[int], first: int = 0) -> None:
    """State, event and delta of each number, each acknowledged before the next one is sent, as workers do. `first`: offset of the first
    event in its partition."""
    chosen = list(numbers)
    for number in chosen:
        put_state(writer, realm, partition, number, state_of(numbered.event(number, partition, realm)))
    writer.flush()
    for number in chosen:
        event = numbered.event(number, partition, realm)
        writer.put(INCIDENT_EVENTS, realm, partition, [(event.case_id.encode(), numbered.encode(event), [numbered.header(event)])])
    writer.flush()
    for offset, number in enumerate(chosen, first):
        put_delta(writer, realm, partition, number, offset)
    writer.flush()


def put_delta(writer: Writer, realm: str, partition: int, number: int, offset: int, position: int = 0) -> None:
    place = {"src_topic": INCIDENT_EVENTS.in_realm(Realm(realm)), "src_offset": offset, "src_position": position}
    delta = numbered.delta(number, partition, realm, **place)
    writer.put(LIVE_DELTAS, realm, partition, [(delta.case_id.encode(), numbered.encode(delta), [numbered.header(delta)])])


def audited(warehouse: WarehouseProcess, realm: str = "live", still: float = 20.0) -> Report:
    async def ask() -> Report:
        headers = {"Authorization": f"Bearer {warehouse.keys['admin']}"}
        async with httpx.AsyncClient(base_url=warehouse.url, headers=headers, timeout=60) as read:
            return await audit_states(Realm(realm), warehouse.settings.bootstrap, read, still=still)

    return asyncio.run(ask())
