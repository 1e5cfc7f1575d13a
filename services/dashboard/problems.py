"""Refusals of the dashboard as RFC 9457 problems."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse


class Problem(Exception):
    """A request we do not serve; rendered by `answer`."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def answer(problem: Problem) -> JSONResponse:
    body = {"type": "about:blank", "title": problem.status.phrase, "status": problem.status.value, "detail": problem.detail}
    return JSONResponse(body, problem.status.value, problem.headers, media_type="application/problem+json")
