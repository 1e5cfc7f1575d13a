"""A refusal as an RFC 9457 problem: what the dashboard and the read port say. The gateway's own names fields too (gateway/problems.py)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse


class Problem(Exception):
    """A request we do not serve, as an RFC 9457 problem."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def answer(self) -> JSONResponse:
        body = {"type": "about:blank", "title": self.status.phrase, "status": self.status.value, "detail": self.detail}
        return JSONResponse(body, self.status.value, self.headers, media_type="application/problem+json")
