"""Finding cases: by number, type, place and time within the caller's part of the register; and those that may be the same matter."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request

from schemas import ids
from schemas.divisions import city_of
from schemas.event_types import event_types
from schemas.geohash import near
from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.problems import Problem
from services.warehouse.backend import Row
from services.warehouse.read_port.ask import Questions
from services.warehouse.read_port.cases import MAX_PAGE, PAGE, case_of, named, seen_case
from services.warehouse.read_port.parameters import Parameters, fold
from services.warehouse.read_port.scope import READERS, Gatekeeper, Moments, not_found, prefix_of
from services.warehouse.read_port.work import LIGHTS, county_prefix
from streams.domain.clocks.words import span_words
from streams.domain.clocks.working import DAY_MS
from streams.domain.incident.levels import levels_of
from streams.domain.incident.table import State

STATES = frozenset(state.value for state in State) | {"open"}
NAMES = ("q", "type", "place", "since", "until", "light", "state", "after", "limit")
TAIL = re.compile(r"^[0-9A-HJKMNP-TV-Z-]{4,24}$")  # characters of a case number
MOST_FOUND = 500  # cases of one person
MOST_ALIKE = 20
LOOKED_AT = 200
OUTSIDE = "outside of what you may see"
LAST = (8_000_000_000_000, "~")  # before every opening


class Asked(NamedTuple):
    """What is looked for. `number`: a whole case number; `tail`: what one ends with. At most one of both."""

    number: str
    tail: str
    type: str
    place: str
    since: int
    until: int
    light: str
    state: str
    after: tuple[int, str]
    size: int


def asked(given: Mapping[str, str], now: int) -> Asked:
    """Raises Problem 422 with a pointer for everything that is wrong."""
    query = Parameters(given, NAMES)
    text = query.text("q", 40).upper()
    number = text if ids.is_case_number(text) else ""
    tail = "" if number else text
    kind = query.text("type", 40)
    if tail and not TAIL.match(tail):
        query.errors.append(("/q", "a case number, or at least four of its last characters"))
    found = Asked(
        number, tail, _type(query, kind), query.place("place"), query.moment("since", now),
        query.moment("until", now, end_of_day=True) or now + DAY_MS, query.one_of("light", LIGHTS), query.one_of("state", STATES),
        query.cursor("after", int, str) or LAST, query.number("limit", 1, MAX_PAGE, PAGE),
    )  # fmt: skip
    if found.since and found.since >= found.until:
        query.errors.append(("/since", "not before `until`"))
    query.check()
    return found


def routes(questions: Questions, gate: Gatekeeper, moments: Moments) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/search")
    async def search(request: Request) -> Any:
        """Cases within the caller's part of the register, newest opening first. `next`: value of `after`."""
        principal, realm = gate.who(request)
        if principal.kind not in READERS:
            raise not_found()
        what = asked(request.query_params, moments(realm))
        place = what.place or principal.division
        if not principal.covers(place):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, OUTSIDE, errors=[("/place", OUTSIDE)])
        if what.number:
            row = await seen_case(questions, realm, what.number, principal)
            return {"items": [named(row)] if row else [], "next": None}
        opened, case_id = what.after
        rows = await questions.ask(
            "search", realm=realm.value, county=county_prefix(place), prefix=prefix_of(place), tail=what.tail, type=what.type,
            since=what.since, until=what.until, light=what.light, state=what.state if what.state != "open" else "",
            open=what.state == "open", opened=opened, case_id=case_id, limit=what.size + 1,
        )  # fmt: skip
        page = rows[: what.size]
        follows = fold([page[-1]["opened_at"], page[-1]["case_id"]]) if len(rows) > what.size else None
        return {"items": [named(row) for row in page], "next": follows}

    @router.get("/internal/search/cases")
    async def of_tokens(request: Request, ids: str = "") -> Any:
        """Of these cases, what the caller's desk handles: the gateway asks after it found them by a person's token."""
        principal, realm = gate.who(request)
        if principal.kind is not Kind.DESK:
            raise not_found()
        wanted = [text for text in ids.split(",") if _is_id(text)][:MOST_FOUND]
        rows = await questions.ask("search_ids", realm=realm.value, case_ids=",".join(wanted), limit=MOST_FOUND) if wanted else []
        return {"items": [named(row) for row in rows if principal.may_read_sealed(row["division"], row["holder_level"])]}

    @router.get("/v1/cases/{case}/similar")
    async def similar(case: str, request: Request) -> Any:
        """Cases that may be the same matter, most alike first: same type, near in place, opened within a day. A person merges them."""
        principal, realm = gate.who(request)
        Parameters(request.query_params, ()).check()
        row = await case_of(questions, realm, case, principal)
        return {"case_id": row["case_id"], "items": await _alike(questions, realm, row, principal)}

    return router


async def _alike(questions: Questions, realm: Realm, row: Row, principal: Principal) -> list[Row]:
    """Looked for in the whole city: a matter at a border is told on both sides."""
    at, city = row["opened_at"], city_of(row["division"])
    found = await questions.ask(
        "similar", realm=realm.value, county=prefix_of(city), type=row["type"], case_id=row["case_id"], since=at - DAY_MS,
        until=at + DAY_MS, at=at, limit=LOOKED_AT,
    )  # fmt: skip
    mine = [one for one in found if principal.may_read_case(one["division"], one["producer"])]
    if not mine:
        return []
    every = ",".join([row["case_id"], *(one["case_id"] for one in mine)])
    cells = {one["case_id"]: one["cell"] for one in await questions.ask("case_cells", realm=realm.value, case_ids=every)}
    return [named(one) for one in ranked(row, mine, cells)][:MOST_ALIKE]


def ranked(row: Row, others: Iterable[Row], cells: Mapping[str, str]) -> list[Row]:
    """Those near enough, each with the reasons why it is offered; pure. The same cell, a neighbouring one, the same town, in this order;
    then by time."""
    here = cells.get(row["case_id"], "")
    around = near(here) if len(here) == 6 else frozenset()
    found = []
    for one in others:
        there = cells.get(one["case_id"], "")
        place = 0 if there and there == here else 1 if there in around else 2 if _town(one["division"]) == _town(row["division"]) else 3
        if place == 3 or (place == 2 and there and here):  # two known places that are far apart
            continue
        gap = abs(one["opened_at"] - row["opened_at"])
        words = span_words(gap)
        zh, en = (("同一网格", "the same cell"), ("相邻网格", "a neighbouring cell"), ("同一镇街", "the same town"))[place]
        why = {"zh": f"类型相同，{zh}，相隔{words.zh}", "en": f"same type, {en}, {words.en} apart"}
        found.append((place, gap, one["case_id"], one | {"why": why, "gap_ms": gap, "near": ("cell", "next", "town")[place]}))
    return [one for *_, one in sorted(found, key=lambda each: each[:3])]


def _town(code: str) -> str:
    """The town of a division; the division itself above."""
    return code[:9] if "town" in levels_of(code) else code


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _type(query: Parameters, text: str) -> str:
    """Code of a type or the beginning of one, or its name; "" where none is given."""
    known = event_types()
    if not text or text in known or any(code.startswith(text) for code in known):
        return text
    called = [code for code, kind in known.items() if text in (kind.name_zh, kind.name_en)]
    if len(called) == 1:
        return called[0]
    query.errors.append(("/type", "several types are called so: give the code" if called else "neither a code nor the name of a type"))
    return ""
