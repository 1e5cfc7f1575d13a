"""Routes for the platform itself: ciphertexts for the gateway, dead letters and reconciliation for the command line."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from schemas.principals import Kind
from schemas.topics import KINDS
from services.problems import Problem
from services.sink.loop import SinkStream
from services.warehouse import accounts
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.cases import MAX_PAGE, find_case
from services.warehouse.read_port.scope import Gatekeeper, not_found

GRACE_MS = 5 * 60_000  # a lane settles within seconds; a restart takes less than a minute
WINDOW = re.compile(r"^(\d+):(\d+)-(\d+)$")


def routes(questions: Questions, gate: Gatekeeper, sinks: list[SinkStream]) -> APIRouter:
    router = APIRouter(prefix="/internal")

    @router.get("/cases/{case}/sealed")
    async def sealed(case: str, request: Request) -> Any:
        """Ciphertexts of a case, and who handles it: the gateway checks the desk and holds the keys."""
        principal, realm = gate.who(request)
        for kind in KINDS:
            row = await find_case(questions, realm, case, kind)
            if row is not None:
                break
        if row is None or principal.kind not in (Kind.DESK, Kind.ADMIN) or not principal.covers(row["division"]):
            raise not_found()
        found = await questions.ask("sealed", realm=realm.value, case_id=row["case_id"])
        shown = {name: row[name] for name in ("case_id", "division", "holder_level")}
        return shown | {"kind": kind.name, "sealed": found}

    @router.get("/dead-letters")
    async def dead_letters(
        request: Request, *, reason: str = "", id: str = "", after: str = "", limit: int = 100, bytes: bool = False
    ) -> Any:
        """Dead letters of the realm, keyset pages; `bytes` adds key and value in base64."""
        realm = gate.admin(request)
        size = max(1, min(limit, MAX_PAGE))
        part, off = _place(id)
        after_part, after_off = _place(after)
        rows = await questions.ask(
            "dead_letters", realm=realm.value, reason=reason, part=part, off=off, after_part=after_part, after_off=after_off,
            bytes=bytes, limit=size + 1,
        )  # fmt: skip
        page = rows[:size]
        reasons = await questions.ask("dead_letter_reasons", realm=realm.value)
        return {"letters": page, "next": page[-1]["id"] if len(rows) > size else None, "reasons": reasons}

    @router.get("/timers")
    async def timers(request: Request) -> Any:
        """How many cases have a deadline that lies more than `GRACE_MS` in the past and was not settled, and since when the oldest."""
        realm = gate.admin(request)
        ((row,),) = [await questions.ask("late_timers", realm=realm.value, grace=GRACE_MS)]
        return {"ok": row["late"] == 0, **row}

    @router.get("/migrations")
    async def migrations(request: Request) -> Any:
        """Migrations the tables hold."""
        gate.admin(request)
        return {"migrations": await questions.ask("migrations")}

    @router.get("/reconcile")
    async def reconcile(request: Request, window: str = "", source: str = "") -> Any:
        """What the tables hold of commands in the window ("0:5-120,1:0-95": offsets of `source`, a topic of commands, by partition)."""
        realm = gate.admin(request)
        inside = _window(window)
        stored = await questions.run(lambda handle: accounts.held(handle, realm, source, inside))
        return {"realm": realm.value, **stored, "failing": [s.failing for s in sinks if s.failing]}

    @router.get("/waiting")
    async def waiting(request: Request) -> Any:
        """Records of the realm that are not stored yet, by stream; -1 while a stream is not ready."""
        realm = gate.admin(request)
        counts = await asyncio.gather(*(s.waiting(realm) for s in sinks))  # together: each waits behind its stream's own fetch
        return {"waiting": {s.stream.name: count for s, count in zip(sinks, counts, strict=True)}}

    @router.get("/reconcile/rollups")
    async def reconcile_rollups(request: Request) -> Any:
        """Rollups that are not a recount of their facts; each stream stands still while it is counted."""
        realm = gate.admin(request)
        found: dict[str, Any] = {}
        for sink in sinks:
            if sink.stream.rollups:
                async with sink.gate:
                    found |= await questions.run(partial(accounts.rollup_mismatches, stream=sink.stream, realm=realm))
        return {"rollups": found}

    @router.get("/reconcile/detail")
    async def reconcile_detail(request: Request, window: str, source: str) -> Any:
        """Every outcome and fact of one partition's window: asked only where a sum differs."""
        realm = gate.admin(request)
        inside = _window(window)
        if len(inside) != 1:
            raise Problem(HTTPStatus.BAD_REQUEST, "one partition at a time")
        ((partition, span),) = inside.items()
        return await questions.run(lambda handle: accounts.detail(handle, realm, source, partition, span))

    return router


def _window(text: str) -> dict[int, tuple[int, int]]:
    """Raises Problem 400."""
    found = {}
    for part in filter(None, text.split(",")):
        match = WINDOW.match(part)
        if not match:
            raise Problem(HTTPStatus.BAD_REQUEST, f"not a window of offsets: {part[:40]!r}")
        found[int(match[1])] = (int(match[2]), int(match[3]))
    return found


def _place(text: str) -> tuple[int, int]:
    """ "3-120" → partition 3, offset 120; "" → (-1, 0). Raises Problem 400."""
    if not text:
        return -1, 0
    part, _, off = text.partition("-")
    if not (part.isdigit() and off.isdigit()):
        raise Problem(HTTPStatus.BAD_REQUEST, f"not the id of a dead letter: {text[:40]!r}")
    return int(part), int(off)
