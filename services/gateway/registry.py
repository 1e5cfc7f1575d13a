"""Confluent's schema registry, the routes that clients read: schemas are released through the repository, never by POST.

Open without a key: schemas are a public contract and hold no data (a basic-auth header that a client sends is ignored).
Subjects: `<topic>-value` for topics with one type (`intake.<any department>-value`), and the record's own full name.
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from schemas import compat, registry
from schemas.realms import REALMS, Realm
from schemas.registry import SchemaVersion
from schemas.topics import TOPICS, Topic

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
MAX_SCHEMA_BYTES = 256 * 1024
SUBJECT_NOT_FOUND, VERSION_NOT_FOUND, SCHEMA_NOT_FOUND = 40401, 40402, 40403
INVALID_SCHEMA, OPERATION_NOT_PERMITTED = 42201, 42205
RELEASED = "schemas are released through the repository (schemas/avro/<type>/vN.avsc and schemas/ids.lock), not by a client"


class RegistryError(Exception):
    """Answered in Confluent's form {error_code, message}; the HTTP status is the code's first three digits."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def response(self) -> Response:
        return _json({"error_code": self.code, "message": self.message}, self.code // 100)


class _Posted(msgspec.Struct):
    """What clients post; further fields are allowed."""

    schema: str
    schemaType: str = "AVRO"  # the protocol's own spelling


def type_of(subject: str) -> str:
    """The type (folder of schemas/) of a subject. Raises RegistryError 40401."""
    for version in registry.versions():
        if version.subject == subject:
            return version.name
    topic = _topic_of(subject.removesuffix("-value")) if subject.endswith("-value") else None
    if topic is None or len(topic.types) != 1:
        raise RegistryError(SUBJECT_NOT_FOUND, f"Subject '{subject}' not found.")
    return topic.types[0]


def _topic_of(name: str) -> Topic | None:
    head, _, rest = name.partition(".")
    if head in {realm.value for realm in REALMS if realm is not Realm.LIVE}:
        name = rest
    for topic in TOPICS:
        department = name.removeprefix(f"{topic.name}.")
        if topic.per_department and department and department != name:
            return topic
        if not topic.per_department and topic.name == name:
            return topic
    return None


def subjects(departments: tuple[str, ...]) -> list[str]:
    """All subjects of the live realm; those of other realms answer too, but are not listed."""
    found = {version.subject for version in registry.versions()}
    for topic in TOPICS:
        if len(topic.types) == 1:
            names = [topic.in_realm(Realm.LIVE, d) for d in departments] if topic.per_department else [topic.name]
            found |= {f"{name}-value" for name in names}
    return sorted(found)


def version_of(subject: str, version: str) -> SchemaVersion:
    """`version`: a number, `latest` or -1. Raises RegistryError."""
    name = type_of(subject)
    if version in ("latest", "-1"):
        return registry.latest(name)
    for found in registry.versions():
        if found.name == name and str(found.version) == version:
            return found
    raise RegistryError(VERSION_NOT_FOUND, f"Version {version} not found.")


def lookup(subject: str, text: str) -> SchemaVersion | None:
    """The released version that reads and writes the same bytes as `text`. Raises RegistryError."""
    name = type_of(subject)
    try:
        return compat.canonical_versions(name).get(compat.canonical(text))
    except ValueError as error:
        raise RegistryError(INVALID_SCHEMA, str(error)) from None


def verdict(subject: str, text: str) -> list[str]:
    """What an unknown schema clashes with, each with its place; empty: compatible. Raises RegistryError."""
    try:
        found = compat.conflicts(type_of(subject), text)
    except ValueError as error:
        raise RegistryError(INVALID_SCHEMA, str(error)) from None
    return [str(conflict) for conflict in found]


def routes(departments: tuple[str, ...]) -> APIRouter:
    """The registry under the gateway's root."""
    router = APIRouter(include_in_schema=False)

    @router.get("/subjects")
    async def list_subjects() -> Response:
        return _json(subjects(departments))

    @router.get("/subjects/{subject}/versions")
    async def list_versions(subject: str) -> Response:
        name = type_of(subject)
        return _json([v.version for v in registry.versions() if v.name == name])

    @router.get("/subjects/{subject}/versions/{version}")
    async def one_version(subject: str, version: str) -> Response:
        return _json(_described(subject, version_of(subject, version)))

    @router.get("/subjects/{subject}/versions/{version}/schema")
    async def one_schema(subject: str, version: str) -> Response:
        return Response(version_of(subject, version).text, media_type=MEDIA_TYPE)

    @router.post("/subjects/{subject}")
    async def find_schema(subject: str, request: Request) -> Response:
        found = lookup(subject, (await _posted(request)).schema)
        if found is None:
            raise RegistryError(SCHEMA_NOT_FOUND, "Schema not found")
        return _json(_described(subject, found))

    @router.post("/subjects/{subject}/versions")
    async def register(subject: str, request: Request) -> Response:
        text = (await _posted(request)).schema
        found = lookup(subject, text)
        if found is not None:
            return _json({"id": found.id})
        clashes = verdict(subject, text)
        raise RegistryError(OPERATION_NOT_PERMITTED, f"{RELEASED}; compatibility of this one: {'; '.join(clashes) or 'compatible'}")

    @router.post("/compatibility/subjects/{subject}/versions/{version}")
    async def compatibility(subject: str, version: str, request: Request) -> Response:
        version_of(subject, version)
        clashes = verdict(subject, (await _posted(request)).schema)
        return _json({"is_compatible": not clashes, "messages": clashes})

    @router.post("/compatibility/subjects/{subject}/versions")
    async def compatibility_with_all(subject: str, request: Request) -> Response:
        clashes = verdict(subject, (await _posted(request)).schema)
        return _json({"is_compatible": not clashes, "messages": clashes})

    @router.get("/schemas/types")
    async def types() -> Response:
        return _json(["AVRO"])

    @router.get("/schemas/ids/{number}")
    async def by_id(number: int) -> Response:
        return _json({"schema": _by_id(number).text})

    @router.get("/schemas/ids/{number}/schema")
    async def text_by_id(number: int) -> Response:
        return Response(_by_id(number).text, media_type=MEDIA_TYPE)

    @router.get("/schemas/ids/{number}/subjects")
    async def subjects_by_id(number: int) -> Response:
        return _json(_subjects_of(_by_id(number), departments))

    @router.get("/schemas/ids/{number}/versions")
    async def versions_by_id(number: int) -> Response:
        found = _by_id(number)
        return _json([{"subject": s, "version": found.version} for s in _subjects_of(found, departments)])

    @router.get("/config")
    async def config() -> Response:
        return _json({"compatibilityLevel": compat.Mode.FULL_TRANSITIVE.value})

    @router.get("/config/{subject}")
    async def subject_config(subject: str) -> Response:
        return _json({"compatibilityLevel": compat.mode_of(type_of(subject)).value})

    @router.get("/mode")
    async def mode() -> Response:
        return _json({"mode": "READONLY"})

    @router.get("/associations/{rest:path}")
    async def associations(rest: str) -> Response:
        """Clients then fall back to `<topic>-value`; they raise on anything but 404."""
        raise RegistryError(SUBJECT_NOT_FOUND, f"no association for {rest}")

    return router


def _by_id(number: int) -> SchemaVersion:
    found = registry.by_id().get(number)
    if found is None:
        raise RegistryError(SCHEMA_NOT_FOUND, f"Schema {number} not found.")
    return found


def _subjects_of(version: SchemaVersion, departments: tuple[str, ...]) -> list[str]:
    return [subject for subject in subjects(departments) if type_of(subject) == version.name]


def _described(subject: str, version: SchemaVersion) -> dict[str, object]:
    return {"subject": subject, "version": version.version, "id": version.id, "schemaType": "AVRO", "schema": version.text}


async def _posted(request: Request) -> _Posted:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_SCHEMA_BYTES:
            raise RegistryError(INVALID_SCHEMA, f"a schema has at most {MAX_SCHEMA_BYTES} bytes")
    try:
        posted = msgspec.json.decode(body, type=_Posted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RegistryError(INVALID_SCHEMA, f"not readable: {error}") from None
    if posted.schemaType != "AVRO":
        raise RegistryError(INVALID_SCHEMA, f"schema type {posted.schemaType[:20]} is not taken, only AVRO")
    return posted


def _json(value: object, status: int = HTTPStatus.OK.value) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=MEDIA_TYPE)
