"""Reads, proxied to the read port with the caller's own key: it alone knows and checks who may see what."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from schemas.headers import TRACE
from services.gateway.auth import asking
from services.gateway.problems import MEDIA_TYPE, READS_AWAY, not_found, unavailable

FORWARDED = ("accept", "if-none-match", TRACE)
RETURNED = ("etag", "cache-control", "retry-after", "link", "www-authenticate")
SEGMENT = re.compile(r"^[0-9A-Za-z-]{1,40}$")


class ReadPort:
    """The read port's HTTP, as a client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """`client`: with base_url and time-outs set."""
        self._client = client

    async def get(self, path: str, headers: Mapping[str, str], params: Mapping[str, str]) -> httpx.Response:
        """Raises Problem 503 when the read port does not answer."""
        try:
            return await self._client.get(path, headers=dict(headers), params=dict(params))
        except httpx.HTTPError as error:
            raise unavailable(f"the read port does not answer ({type(error).__name__})", READS_AWAY) from None

    async def forward(self, request: Request, path: str) -> httpx.Response:
        """The same question in the caller's name. Raises Problem 503."""
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers} | asking(request)
        return await self.get(path, headers, request.query_params)

    async def close(self) -> None:
        await self._client.aclose()


def segment(text: str) -> str:
    """A part of a path that may be passed on: ids, case numbers, codes. Raises Problem 404."""
    if not SEGMENT.match(text):
        raise not_found("resource")
    return text


def relayed(answer: httpx.Response) -> Response:
    """The read port's answer as ours. Problems in any JSON shape are passed on as they are."""
    headers = {name: answer.headers[name] for name in RETURNED if name in answer.headers}
    media_type = answer.headers.get("content-type", MEDIA_TYPE if answer.is_error else "application/json")
    return Response(answer.content, answer.status_code, headers, media_type)


def fields_of(answer: httpx.Response) -> dict[str, object]:
    """The answer's JSON object. Raises Problem 503 when it is none."""
    try:
        return msgspec.json.decode(answer.content, type=dict[str, object])
    except msgspec.DecodeError:
        raise unavailable("the read port answered something unreadable", READS_AWAY) from None
