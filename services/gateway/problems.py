"""Refusals as RFC 9457 problem documents; `errors[]` points at each wrong field (RFC 6901)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from schemas.errors import InvalidPayload, Reason

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
STATUS_OF: dict[Reason, HTTPStatus] = {
    Reason.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.OUT_OF_SCOPE: HTTPStatus.FORBIDDEN,
}
TITLES: dict[HTTPStatus, str] = {
    HTTPStatus.UNAUTHORIZED: "No valid key",
    HTTPStatus.FORBIDDEN: "Not yours to send or see",
    HTTPStatus.NOT_FOUND: "Unknown",
    HTTPStatus.GONE: "Erased",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Too large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Media type not taken",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Not acceptable as it is",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many at once",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not possible at the moment; repeat it",
}


class Problem(Exception):
    """A request we do not serve. `reason` labels the metric and, lower-case, ends the problem's type."""

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        detail: str,
        errors: Sequence[InvalidPayload] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": f"urn:liandong:problem:{self.reason}",
            "title": TITLES.get(self.status, self.status.phrase),
            "status": self.status.value,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [{"pointer": e.pointer, "reason": e.reason.value, "detail": e.detail} for e in self.errors]
        return document

    def response(self) -> Response:
        return Response(msgspec.json.encode(self.document()), self.status.value, self.headers, MEDIA_TYPE)


def refused(errors: Sequence[InvalidPayload]) -> Problem:
    """The problem of an invalid body: its status and reason are those of the gravest error."""
    gravest = next((e for e in errors if e.reason in STATUS_OF), errors[0])
    status = STATUS_OF.get(gravest.reason, HTTPStatus.UNPROCESSABLE_ENTITY)
    detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} errors"
    return Problem(status, gravest.reason.value, detail, errors)


def too_large(limit: int, what: str) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Reason.TOO_LARGE.value, f"at most {limit} {what}")


KAFKA_AWAY, READS_AWAY = "kafka_away", "reads_away"


def unavailable(detail: str, reason: str = KAFKA_AWAY) -> Problem:
    """The sender should repeat the same request: its ids make that harmless."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, reason, detail, headers={"Retry-After": str(RETRY_SECONDS)})


def not_found(what: str) -> Problem:
    """Also for what is out of scope: it must not differ from what does not exist."""
    return Problem(HTTPStatus.NOT_FOUND, "not_found", f"no such {what}, or not in your scope")


def forbidden(detail: str) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, Reason.OUT_OF_SCOPE.value, detail)
