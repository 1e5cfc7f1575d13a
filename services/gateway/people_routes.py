"""People over HTTP: who is on duty, where nobody is, and for administrators users, posts and rosters of their subtree."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from schemas.bounds import MAX_BATCH_BYTES, MAX_BODY_BYTES
from schemas.divisions import PROVINCE, display_name, division, divisions, subtree_prefix
from schemas.errors import InvalidPayload, Reason
from schemas.people.checks import Checked, moment, take
from schemas.people.records import DESK, Post, desk_division
from schemas.policy.reading import Fault
from schemas.principals import Kind, Principal
from services.adapters.keyfile import KeyFileError
from services.gateway.answers import private
from services.gateway.auth import principal_of
from services.gateway.decoding import Invalid
from services.gateway.documents import ADMIN_CALL, DUTY, GAPS, PEOPLE, POST, ROSTER, USER
from services.gateway.parts import Parts, read_body
from services.gateway.problems import forbidden, not_found, unavailable
from services.gateway.sessions import PEOPLE_AWAY, Sessions
from services.people.keeper import PeopleAway

DAY_MS = 86_400_000
LONGEST_MS = 92 * DAY_MS
PAGE = 500
NAMES = {"users": "id", "posts": "id", "rosters": "desk"}
"""What each kind is called by."""
DONE = TypeVar("DONE")


def routes(parts: Parts, sessions: Sessions) -> APIRouter:
    router = APIRouter()
    _Reads(parts, sessions).add_to(router)
    _Writes(parts, sessions).add_to(router)
    return router


class Asked:
    """What all share."""

    def __init__(self, parts: Parts, sessions: Sessions) -> None:
        self.parts, self.sessions = parts, sessions
        self.directory, self.register = sessions.directory, sessions.directory.register

    def who(self, request: Request) -> Principal:
        """Raises Problem 401, 403, or 503 while people are not known yet."""
        principal = principal_of(request, self.parts.keys, self.sessions)
        if not self.register.ready:
            raise unavailable("people are not read from Kafka yet", PEOPLE_AWAY)
        return principal

    def desk(self, request: Request, desk: str) -> Principal:
        """The asking desk or administrator whose subtree holds `desk`. Raises Problem 404 as for a desk that is none."""
        principal = self.who(request)
        place = desk_division(desk)
        if principal.kind not in (Kind.DESK, Kind.ADMIN, Kind.SCREEN) or place not in divisions() or not principal.covers(place):
            raise not_found("desk")
        return principal

    def admin(self, request: Request) -> Principal:
        principal = self.who(request)
        if principal.kind is not Kind.ADMIN:
            raise forbidden("only administrators keep people and rosters")
        return principal

    @staticmethod
    def is_for_show(request: Request) -> bool:
        """`dry_run=true`: only errors are looked for."""
        return request.query_params.get("dry_run") == "true"

    async def done(self, writing: Awaitable[DONE]) -> DONE:
        try:
            return await writing
        except (PeopleAway, KeyFileError) as error:
            raise unavailable(str(error)) from None


class _Reads(Asked):
    def add_to(self, router: APIRouter) -> None:
        @router.get("/v1/desks/{division}/{level}/duty", openapi_extra=DUTY, summary="Who is on duty at a desk")
        async def duty(division: str, level: str, request: Request) -> Response:
            """Now, or `at` another moment. Names are for desks and administrators whose subtree holds the desk; screens get the count."""
            desk = f"{division}{DESK}"
            principal = self.desk(request, desk)
            if level != _level(division):
                raise not_found("desk")
            at = _time(request, "at", self.parts.clock())
            persons = [
                {"person": one.person, "name": one.name}
                for one in self.directory.on_duty(desk, at)
                if principal.kind in (Kind.DESK, Kind.ADMIN)
            ]
            return private({
                "desk": desk, "division": division, "division_name": display_name(division), "level": level, "at": at,
                "on_duty": len(self.register.on_duty(desk, at)), "persons": persons, "roster": desk in self.register.rosters,
                "next_change": self.register.next_change(desk, at),
            })  # fmt: skip

        @router.get("/v1/rosters/{desk}/gaps", openapi_extra=GAPS, summary="When nobody is on duty at a desk")
        async def gaps(desk: str, request: Request) -> Response:
            """From `since` (now) till `until` (in seven days; at most 92 days later). Without a roster all of it is a gap."""
            self.desk(request, desk)
            since, until = self._span(request)
            return private(
                {"desk": desk, "since": since, "until": until, "roster": desk in self.register.rosters} | self._gaps(desk, since, until)
            )

        @router.get("/v1/rosters", openapi_extra=GAPS, summary="Desks of a subtree with gaps in their rosters")
        async def gaps_below(request: Request) -> Response:
            """`division`: your own without it. Desks without a gap are counted, not listed."""
            principal = self.who(request)
            place = request.query_params.get("division", principal.division)
            self.desk(request, f"{place}{DESK}")
            since, until = self._span(request)
            prefix = subtree_prefix(place)
            desks = sorted(desk for desk in self.register.rosters if desk.startswith(prefix))
            found = []
            for desk in desks:
                said = self._gaps(desk, since, until)
                if said["gaps"]:
                    found.append({"desk": desk} | said)
                await asyncio.sleep(0)  # a thousand rosters take a second; others are served between
            return private({"division": place, "since": since, "until": until, "rosters": len(desks), "with_gaps": found})

        @router.get("/v1/rosters/{desk}", openapi_extra=GAPS, summary="A desk's duty roster")
        async def roster(desk: str, request: Request) -> Response:
            principal = self.desk(request, desk)
            kept = self.register.rosters.get(desk)
            if kept is None or principal.kind is Kind.SCREEN:
                raise not_found("roster")
            return private(msgspec.to_builtins(kept))

        @router.get("/v1/people/{kind}", openapi_extra=ADMIN_CALL, summary="Users, posts or rosters of your subtree")
        async def listed(kind: str, request: Request) -> Response:
            """For administrators; without contacts. In order of ids, `after` one of them; `next`: value of `after` for the next page."""
            principal = self.admin(request)
            rows = self._rows(kind, principal)
            after = request.query_params.get("after", "")
            names = sorted(name for name in rows if name > after)
            page = names[:PAGE]
            return private({"items": [rows[name]() for name in page], "total": len(rows), "next": page[-1] if len(names) > PAGE else None})

        @router.get("/v1/people/{kind}/{id}", openapi_extra=ADMIN_CALL, summary="A user, post or roster of your subtree")
        async def one(kind: str, id: str, request: Request) -> Response:
            rows = self._rows(kind, self.admin(request))
            if id not in rows:
                raise not_found(kind.removesuffix("s"))
            return private(rows[id]())

    def _rows(self, kind: str, principal: Principal) -> dict[str, Callable[[], Any]]:
        """By id, made when asked for. Raises Problem 404."""
        kinds = {"users": self._users, "posts": self._posts, "rosters": self._rosters}
        if kind not in kinds:
            raise not_found("resource")
        return kinds[kind](principal)

    def _users(self, principal: Principal) -> dict[str, Callable[[], Any]]:
        return {name: partial(self._user, name) for name in self.register.users if may_keep_user(self.sessions, principal, name)}

    def _user(self, name: str) -> dict[str, Any]:
        user = self.register.users[name]
        contact = self.directory.contact(name)
        posts = [post.id for post in self.register.posts_of(name)]
        return {
            "id": name, "name": contact.name, "org": user.org, "active": user.active, "posts": posts,
            "channels": [channel.kind for channel in contact.channels], "password": bool(self.sessions.passwords.set_at(name)),
        }  # fmt: skip

    def _posts(self, principal: Principal) -> dict[str, Callable[[], Any]]:
        posts = self.register.posts.items()
        return {name: partial(msgspec.to_builtins, post) for name, post in posts if principal.covers(post.division)}

    def _rosters(self, principal: Principal) -> dict[str, Callable[[], Any]]:
        rosters = self.register.rosters.items()
        return {desk: partial(msgspec.to_builtins, roster) for desk, roster in rosters if principal.covers(desk_division(desk))}

    def _span(self, request: Request) -> tuple[int, int]:
        since = _time(request, "since", self.parts.clock())
        until = _time(request, "until", since + 7 * DAY_MS)
        if not since < until <= since + LONGEST_MS:
            raise Invalid(InvalidPayload(Reason.BAD_VALUE, "the query's `until` is after `since`, by at most 92 days"))
        return since, until

    def _gaps(self, desk: str, since: int, until: int) -> dict[str, Any]:
        found = self.register.gaps(desk, since, until)
        return {
            "gaps": [{"start": one.start, "until": one.until} for one in found],
            "minutes": sum(o.until - o.start for o in found) // 60_000,
        }


class _Writes(Asked):
    def add_to(self, router: APIRouter) -> None:
        for kind, document in (("users", USER), ("posts", POST), ("rosters", ROSTER)):
            self._add_kind(router, kind, document)

        @router.post("/v1/people:import", openapi_extra=PEOPLE, summary="Take users, posts and rosters: all of them, or none")
        async def import_people(request: Request) -> Response:
            """Every error with its place. What stands as it is already is not written again; nothing is taken away. At most 32 MiB.
            `dry_run=true`: only looks for errors."""
            principal = self.admin(request)
            data = await read_body(request, MAX_BATCH_BYTES)
            found = await asyncio.to_thread(self._checked, plain(data), "")
            self._allowed(found, principal)
            if not self.is_for_show(request):
                await self.done(self.sessions.keeper.put(found, principal))
            return private({"users": len(found.users), "posts": len(found.posts), "rosters": len(found.rosters)})

        @router.delete("/v1/people/users/{id}/sessions", status_code=204, openapi_extra=ADMIN_CALL, summary="End every session of a user")
        async def end_sessions(id: str, request: Request) -> Response:
            principal = self.admin(request)
            self._keeps_user(principal, id)
            await self.done(self.sessions.keeper.end_sessions(id, principal))
            return Response(status_code=HTTPStatus.NO_CONTENT)

    def _add_kind(self, router: APIRouter, kind: str, document: dict[str, Any]) -> None:
        singular, name = kind.removesuffix("s"), NAMES[kind]

        async def put(id: str, request: Request) -> Response:
            principal = self.admin(request)
            draft = plain(await read_body(request, MAX_BODY_BYTES))
            if isinstance(draft, dict):
                draft = {name: id} | draft
            found = self._checked({kind: [draft]}, f"/{kind}/0")
            if [getattr(one, name) for one in getattr(found, kind)] != [id]:
                raise Invalid(InvalidPayload(Reason.BAD_VALUE, f"the path says {id[:64]!r}", f"/{name}"))
            self._allowed(found, principal)
            await self.done(self.sessions.keeper.put(found, principal))
            return Response(status_code=HTTPStatus.NO_CONTENT)

        async def delete(id: str, request: Request) -> Response:
            principal = self.admin(request)
            if kind == "users":
                self._keeps_user(principal, id)
                await self.done(self.sessions.keeper.delete_user(id))
            else:
                if not principal.covers(self._place(kind, id)):
                    raise not_found(singular)
                await self.done(self.sessions.keeper.delete(singular, id))
            return Response(status_code=HTTPStatus.NO_CONTENT)

        erased = " Erases name, contacts and password." if kind == "users" else ""
        router.put(
            f"/v1/people/{kind}/{{id}}", status_code=204, openapi_extra=document, summary=f"Set a {singular}",
            description=f"The whole {singular}; path: its {name}. For administrators whose subtree holds it.",
        )(put)  # fmt: skip
        router.delete(
            f"/v1/people/{kind}/{{id}}", status_code=204, openapi_extra=ADMIN_CALL, summary=f"Take a {singular} away",
            description=f"For administrators whose subtree holds it.{erased}",
        )(delete)  # fmt: skip

    def _place(self, kind: str, id: str) -> str:
        """The division of a post or roster. Raises Problem 404 for one that there is not."""
        kept = self.register.posts.get(id) if kind == "posts" else self.register.rosters.get(id)
        if kept is None:
            raise not_found(kind.removesuffix("s"))
        return kept.division if isinstance(kept, Post) else desk_division(kept.desk)

    def _checked(self, data: Any, within: str) -> Checked:
        """Raises Invalid with every fault; `within`: taken off their pointers."""
        found = take(data, self.register.users.keys())
        if found.faults:
            raise Invalid(*payloads(found.faults, within))
        return found

    def _allowed(self, found: Checked, principal: Principal) -> None:
        """An administrator writes only what lies in the own subtree, before and after. Raises Problem 403."""
        for post in found.posts:
            kept = self.register.posts.get(post.id)
            if not principal.covers(post.division) or (kept and not principal.covers(kept.division)):
                raise forbidden(f"post {post.id} lies outside of {principal.division}")
        for roster in found.rosters:
            if not principal.covers(desk_division(roster.desk)):
                raise forbidden(f"{roster.desk} lies outside of {principal.division}")
        for user in found.users:
            if not may_keep_user(self.sessions, principal, user.id):
                raise forbidden(f"user {user.id} holds posts outside of {principal.division}")

    def _keeps_user(self, principal: Principal, user: str) -> None:
        if user not in self.register.users or not may_keep_user(self.sessions, principal, user):
            raise not_found("user")


def may_keep_user(sessions: Sessions, principal: Principal, user: str) -> bool:
    """Whether all the user's posts lie in the administrator's subtree; who has no post yet is anybody's."""
    posts: list[Post] = sessions.directory.register.posts_of(user)
    return principal.division == PROVINCE or all(principal.covers(post.division) for post in posts)


def _level(code: str) -> str:
    return division(code).level if code in divisions() else ""


def plain(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(InvalidPayload(Reason.BAD_VALUE, f"not JSON: {error}")) from None


def payloads(faults: Any, within: str) -> list[InvalidPayload]:
    found: list[Fault] = list(faults)
    return [InvalidPayload(Reason.BAD_VALUE, f"{one.wrong}. Allowed: {one.allowed}", one.pointer.removeprefix(within)) for one in found]


def _time(request: Request, name: str, default: int) -> int:
    """UTC milliseconds of a query parameter: a number of them, or a written time. Raises Invalid."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    try:
        return int(text) if text.isascii() and text.isdecimal() and 12 <= len(text) <= 14 else moment(text)
    except ValueError:
        raise Invalid(InvalidPayload(Reason.BAD_VALUE, f"the query's `{name}` is a time: 2026-11-22T08:30:00+08:00")) from None
