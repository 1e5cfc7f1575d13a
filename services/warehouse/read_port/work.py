"""Work lists of a desk: what to do next, what lies still, what was offered to it, which answers and tasks it owes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from schemas.clocks import Light
from schemas.divisions import LEVELS, county_of, division
from schemas.principals import Kind, Principal
from services.warehouse.backend import Row
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.cases import MAX_PAGE, PAGE, named
from services.warehouse.read_port.parameters import Parameters, fold
from services.warehouse.read_port.scope import Gatekeeper, Moments, known, not_found, prefix_of
from streams.domain.clocks.words import span_words
from streams.domain.incident.table import OPEN

WORK, PAUSED, SHELVED, OFFERED, REPLIES, TASKS = "work", "paused", "shelved", "offered", "replies", "tasks"
LISTS = {
    WORK: "在办", PAUSED: "中止", SHELVED: "挂账", OFFERED: "上报未接", REPLIES: "督办未复", TASKS: "联合处置任务"
}  # fmt: skip
LIGHTS = tuple(light.value for light in Light)
DARK = "none"  # no clock of the case runs
STATES = frozenset(state.value for state in OPEN)
NAMES = ("list", "state", "type", "light", "mine", "after", "limit")
INNER = ("danger", "due", "ends", "opened")
FIRST = (-1, -1, 0, "")


class Asked(NamedTuple):
    """What a work list is to show."""

    chosen: str
    state: str
    type: str
    light: str
    mine: bool
    after: tuple[int, int, int, str]
    size: int


def asked(given: Mapping[str, str]) -> Asked:
    """Raises Problem 422 with a pointer for everything that is wrong."""
    query = Parameters(given, NAMES)
    found = Asked(
        query.one_of("list", LISTS, WORK),
        query.one_of("state", STATES),
        query.text("type", 20),
        query.one_of("light", LIGHTS),
        query.flag("mine"),
        query.cursor("after", int, int, int, str) or FIRST,
        query.number("limit", 1, MAX_PAGE, PAGE),
    )
    query.check()
    return found


def routes(questions: Questions, gate: Gatekeeper, moments: Moments) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/desks/{division}/{level}/work")
    async def read_work(division: str, level: str, request: Request) -> Any:
        """Open cases at the desks of this level in a division: danger first, then the time that is left. `next`: value of `after`."""
        principal, realm = gate.who(request)
        if principal.kind not in (Kind.DESK, Kind.ADMIN) or not known(division) or not principal.covers(division) or level not in LEVELS:
            raise not_found()
        what = asked(request.query_params)
        scope = {
            "realm": realm.value, "level": level, "prefix": prefix_of(division), "county": county_prefix(division), "state": what.state,
            "type": what.type, "holder": principal.org if what.mine else "",
        }  # fmt: skip
        now = moments(realm)
        (counts,), tasks, rows = await asyncio.gather(
            questions.ask("desk_counts", **scope), _tasks(questions, realm.value, level, principal), _rows(questions, scope, what)
        )
        if what.chosen == TASKS:
            rows = tasks[: what.size]
        page = rows[: what.size]
        follows = fold([page[-1][name] for name in ("danger", "due", "opened", "case_id")]) if len(rows) > what.size else None
        return JSONResponse(
            {
                "division": division, "level": level, "list": what.chosen, "list_name": LISTS[what.chosen], "as_of": now,
                "counts": {name: counts[name] for name in (WORK, PAUSED, SHELVED, OFFERED, REPLIES)} | {TASKS: len(tasks)},
                "lights": {light: counts[light] for light in LIGHTS} | {DARK: counts["dark"]},
                "items": [item(row, now) for row in page], "next": follows,
            }
        )  # fmt: skip

    return router


def item(row: Row, now: int) -> Row:
    """A row as it is read: with names, and the time that is left."""
    shown = {name: value for name, value in row.items() if name not in INNER} | {"opened_at": row["opened"]}
    shown["danger"] = {"life_or_safety": row["danger"] < 100, "grade": row["grade"], "response_level": row["response_level"]}
    left = row["ends"] - now if row["ends"] else None
    words = span_words(left) if left is not None else None
    shown["left"] = None
    if left is not None and words:
        over = left < 0
        shown["left"] = {"ms": left, "zh": f"{'超时' if over else '剩余'}{words.zh}", "en": f"{words.en} {'over' if over else 'left'}"}
    return named(shown)


def county_prefix(code: str) -> str:
    """What the counties of a division begin with: the key of desk_now."""
    return prefix_of(code) if division(code).level in ("province", "city") else county_of(code)


async def _rows(questions: Questions, scope: dict[str, str], what: Asked) -> list[Row]:
    if what.chosen == TASKS:
        return []
    danger, due, opened, case_id = what.after
    return await questions.ask(
        "desk_work",
        **scope,
        list=what.chosen,
        light=what.light,
        danger=danger,
        due=due,
        opened=opened,
        case_id=case_id,
        limit=what.size + 1,
    )


async def _tasks(questions: Questions, realm: str, level: str, principal: Principal) -> list[Row]:
    """Open tasks of the caller's organisation in joint handlings, wherever the case lies."""
    return await questions.ask("desk_tasks", realm=realm, level=level, org=principal.org, limit=MAX_PAGE)
