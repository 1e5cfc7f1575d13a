"""Cases, timelines and commands."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from schemas import ids
from schemas.divisions import display_name
from schemas.event_types import event_types
from schemas.flows import Flow, Stage, flow, flows, stage_of
from schemas.principals import Principal
from schemas.realms import Realm
from schemas.topics import ALARM, INCIDENT, CaseKind
from services.warehouse.backend import Row
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.scope import Gatekeeper, known, not_found
from streams.domain.alarm.table import CLASS_NAMES, AlarmClass

WAIT_SECONDS = 2.0
POLL_SECONDS = 0.1
PAGE = 50
MAX_PAGE = 500
BY_ID = {INCIDENT: "case_by_id", ALARM: "alarm_by_id"}
PLAIN_ID = re.compile(r"^[0-9A-Za-z_.-]{1,80}$")


def routes(questions: Questions, gate: Gatekeeper) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/cases/{case}")
    async def read_case(case: str, request: Request, min_seq: int = 0) -> Any:
        """A case by id or case number, with its stage in each named flow. With `min_seq`: waits up to two seconds for what you
        wrote, then says "pending"."""
        principal, realm = gate.who(request)
        row = await case_of(questions, realm, case, principal, min_seq=min_seq)
        if row["seq"] < min_seq:
            return {"status": "pending", "seq": row["seq"]}
        return named(row) | {"stages": stages(row)}

    @router.get("/v1/alarms/{case}")
    async def read_alarm(case: str, request: Request) -> Any:
        """An alarm by id or case number, as its last round stands."""
        principal, realm = gate.who(request)
        row = await case_of(questions, realm, case, principal, ALARM)
        return row | {"class_name": CLASS_NAMES[AlarmClass(row["class"])], "division_name": place_name(row["division"])}

    @router.get("/v1/cases/{case}/timeline")
    async def read_timeline(case: str, request: Request, after: int = 0, limit: int = PAGE) -> Any:
        """What happened to a case, in order. `next`: value of `after` for the next page, or null."""
        principal, realm = gate.who(request)
        row = await case_of(questions, realm, case, principal)
        size = max(1, min(limit, MAX_PAGE))
        events = await questions.ask("timeline", realm=realm.value, case_id=row["case_id"], after=after, limit=size + 1)
        page = events[:size]
        return {"case_id": row["case_id"], "events": page, "next": page[-1]["seq"] if len(events) > size else None}

    @router.get("/v1/commands/{command}")
    async def read_command(command: str, request: Request) -> Any:
        """How a command ended. Unknown here can mean: not yet stored."""
        principal, realm = gate.who(request)
        if not PLAIN_ID.match(command):
            raise not_found()
        rows = await questions.ask("command", realm=realm.value, command_id=command)
        if not rows or not (rows[0]["producer"] == principal.id or principal.may_read_case(rows[0]["division"], rows[0]["producer"])):
            raise not_found()
        first = rows[0]
        return {"status": first.pop("outcome"), **first, "answers": len(rows)}

    return router


async def case_of(questions: Questions, realm: Realm, case: str, principal: Principal, kind: CaseKind = INCIDENT, min_seq: int = 0) -> Row:
    """A case by id or number, for who may read it. With `min_seq`: waits up to two seconds for that one. Raises Problem 404."""
    deadline = time.monotonic() + (WAIT_SECONDS if min_seq > 0 else 0)
    while True:
        row = await seen_case(questions, realm, case, principal, kind)
        if (row and row["seq"] >= min_seq) or time.monotonic() >= deadline:
            break
        await asyncio.sleep(POLL_SECONDS)
    if row is None:
        raise not_found()
    return row


async def seen_case(questions: Questions, realm: Realm, case: str, principal: Principal, kind: CaseKind = INCIDENT) -> Row | None:
    """As `case_of`; None for what is not there or not the principal's to see."""
    row = await find_case(questions, realm, case, kind)
    return row if row and principal.may_read_case(row["division"], row["producer"]) else None


async def find_case(questions: Questions, realm: Realm, case: str, kind: CaseKind = INCIDENT) -> Row | None:
    """By case id or case number; None when there is none of this kind."""
    number = case.upper() if ids.is_case_number(case) else ""
    if number:
        low, high = _ids_of(number)
    elif PLAIN_ID.match(case):
        low = high = case
    else:
        return None
    rows = await questions.ask(BY_ID[kind], realm=realm.value, low=low, high=high, number=number)
    return rows[0] if rows else None


def _ids_of(number: str) -> tuple[str, str]:
    """The range of case ids a case number can mean: its short code is their first 35 bits."""
    short = 0
    for character in number.split("-")[2][:7]:
        short = short * 32 + ids.ALPHABET.index(character)
    return str(uuid.UUID(int=short << 93)), str(uuid.UUID(int=(short << 93) + (1 << 93) - 1))


def named(row: Row) -> Row:
    """With the names of its type and place."""
    types = event_types()
    kind = types[row["type"]].name_zh if row["type"] in types else row["type"]
    return row | {"type_name": kind, "division_name": place_name(row["division"])}


def stages(row: Row) -> list[dict[str, Any]]:
    """Where the case is in each named flow that it has not left; nothing is decided by it."""
    found = [(named_flow, stage_of(named_flow, row["state"], bool(row["supervised_rung"]))) for named_flow in map(flow, flows())]
    return [{"flow": one.code, "flow_name": _words(one), "stage": stage.code, "stage_name": _words(stage)} for one, stage in found if stage]


def _words(titled: Flow | Stage) -> dict[str, str]:
    return {"zh": titled.title_zh, "en": titled.title_en}


def place_name(code: str) -> str:
    """From the city down; the code itself where nobody knows it."""
    return display_name(code) if known(code) else code
