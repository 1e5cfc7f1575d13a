"""A refusal as an RFC 9457 problem: what the dashboard and the read port say. The gateway's own names fields too (gateway/problems.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from schemas.errors import Reason


class Problem(Exception):
    """A request we do not serve, as an RFC 9457 problem. `errors`: (JSON Pointer, what is wrong) of each wrong parameter."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None, errors: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = tuple(errors)

    def answer(self) -> JSONResponse:
        body: dict[str, Any] = {"type": "about:blank", "title": self.status.phrase, "status": self.status.value, "detail": self.detail}
        if self.errors:
            body["type"] = f"urn:liandong:problem:{Reason.BAD_VALUE.value}"
            body["errors"] = [{"pointer": pointer, "reason": Reason.BAD_VALUE.value, "detail": detail} for pointer, detail in self.errors]
        return JSONResponse(body, self.status.value, self.headers, media_type="application/problem+json")
