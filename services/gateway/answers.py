"""What a sender is told: the 202 of a single post and the lines of a batch, from the same fields."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from schemas.realms import Realm
from services.gateway.accept import Delivered
from services.gateway.parts import Parts
from services.gateway.pending import Pending
from services.gateway.problems import Problem, not_found, unavailable
from services.gateway.reads import relayed
from services.ports import Unavailable

ACCEPTED = HTTPStatus.ACCEPTED.value
NO_STORE = {"Cache-Control": "no-store"}


def private(fields: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody on the way keeps."""
    return Response(msgspec.json.encode(fields), int(status), NO_STORE | dict(headers or {}), "application/json")


class Answer(msgspec.Struct, omit_defaults=True):
    """The same for every repeat. case_number: not for a desk's command."""

    case_id: str
    command_id: str
    event_id: str
    status_url: str
    case_number: str = ""
    personal_data: str = ""  # reporter, note and address were left out: "erased", as the case's were before, or "not stored" (an alarm's)


class LineAnswer(msgspec.Struct, omit_defaults=True):
    """Of a line of a batch that was accepted."""

    line: int
    status: int
    case_id: str
    command_id: str
    event_id: str
    status_url: str
    case_number: str = ""
    personal_data: str = ""


class LineProblem(msgspec.Struct):
    """Of a line of a batch that was not."""

    line: int
    status: int
    problem: dict[str, Any]


def status_url(case_id: str, command_id: str, realm: Realm | str, *, of_case: bool, is_alarm: bool = False) -> str:
    path = f"/v1/{'alarms' if is_alarm else 'cases'}/{case_id}" if of_case else f"/v1/commands/{command_id}"
    return path if realm == Realm.LIVE else f"{path}?realm={realm}"


def single(delivered: Delivered) -> Response:
    """202, or raises Problem 503."""
    if isinstance(delivered.fate, Unavailable):
        raise unavailable(delivered.fate.detail)
    answer = Answer(*_fields(delivered))
    return Response(msgspec.json.encode(answer), ACCEPTED, {"Location": answer.status_url}, "application/json")


def pending_answer(pending: Pending) -> Response:
    """202 for who reads right after their own 202."""
    fields = {
        "status": "accepted, pending",
        "case_id": pending.case_id,
        "case_number": pending.case_number,
        "command_id": pending.command_id,
        "division": pending.division,
        "accepted_at": pending.accepted_at,
    }
    return private(fields, ACCEPTED, {"Retry-After": "1"})


async def read_or_pending(parts: Parts, request: Request, path: str, pending: Pending | None, what: str) -> Response:
    """The read port's answer. Right after a 202, while it is away or does not know the matter yet: 202 "accepted, pending", for those
    who may see it. Raises Problem 404 or 503."""
    context = parts.context(request)
    try:
        answer = await parts.reads.forward(request, path)
    except Problem:
        if pending is None:
            raise
        answer = None
    if answer is not None and not (answer.status_code == HTTPStatus.NOT_FOUND and pending is not None):
        return relayed(answer)
    readable = pending is not None and pending.realm == context.realm
    if pending is None or not readable or not context.principal.may_read_case(pending.division, pending.producer):
        raise not_found(what)
    return pending_answer(pending)


def line_of(number: int, delivered: Delivered) -> LineAnswer | LineProblem:
    if isinstance(delivered.fate, Unavailable):
        return problem_line(number, unavailable(delivered.fate.detail))
    return LineAnswer(number, ACCEPTED, *_fields(delivered))


def problem_line(number: int, problem: Problem) -> LineProblem:
    return LineProblem(number, problem.status.value, problem.document())


def _fields(delivered: Delivered) -> tuple[str, str, str, str, str, str]:
    accepted = delivered.accepted
    command = accepted.command
    of_case = bool(accepted.case_number)
    url = status_url(command.case_id, command.command_id, command.realm, of_case=of_case, is_alarm=accepted.is_alarm)
    return command.case_id, command.command_id, accepted.event_id, url, accepted.case_number, delivered.left_out
