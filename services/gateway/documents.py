"""What /openapi.json says about request bodies: generated from the same structs that decode them."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from schemas.people.drafts import Changes, People, PostDraft, RosterDraft, UserDraft
from services.gateway import bodies
from services.gateway.auth import COOKIE, CSRF
from services.gateway.cloudevents import BATCH_MEDIA_TYPE, MEDIA_TYPE, Envelope

SHAPES = (
    bodies.Incident,
    bodies.Command,
    bodies.Alarm,
    bodies.AlarmCommand,
    bodies.IncidentLine,
    bodies.FactLine,
    bodies.CommandLine,
    bodies.Activation,
    bodies.Withdrawal,
    bodies.PersonSearch,
    bodies.Login,
    bodies.Password,
    UserDraft,
    PostDraft,
    RosterDraft,
    People,
    Changes,
    Envelope,
)
TEMPLATE = "#/components/schemas/{name}"


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": TEMPLATE.format(name=name)}


def _body(content: dict[str, dict[str, Any]]) -> dict[str, Any]:
    responses = {
        str(status): {"description": text, "content": {"application/problem+json": {}}}
        for status, text in (
            (401, "no valid key"),
            (403, "not yours to send"),
            (413, "too large"),
            (422, "wrong; errors[] point at the fields"),
            (429, "too many"),
            (503, "Kafka does not answer; repeat after Retry-After"),
        )
    }
    realm = {"name": "realm", "in": "query", "schema": {"type": "string", "default": "live"}}
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 200}}
    media = {media_type: {"schema": schema} for media_type, schema in content.items()}
    return {
        "requestBody": {"required": True, "content": media},
        "parameters": [realm, key],
        "responses": responses,
        "security": [{"key": []}],
    }


INCIDENT = _body({"application/json": _ref("Incident")})
COMMAND = _body({"application/json": _ref("Command")})
ALARM = _body({"application/json": _ref("Alarm")})
ALARM_COMMAND = _body({"application/json": _ref("AlarmCommand")})
ACTIVATION = _body({"application/json": _ref("Activation")})
ACTIVATION["parameters"] = ACTIVATION["parameters"][:1]  # the same again is the same: no Idempotency-Key is needed
ACTIVATION["responses"]["409"] = {"description": "a running worker does not know the version", "content": {"application/problem+json": {}}}
WITHDRAWAL = _body({"application/json": _ref("Withdrawal")}) | {"parameters": ACTIVATION["parameters"]}
READ = {"parameters": ACTIVATION["parameters"], "security": [{"key": []}]}
PAGE_ACK = {name: told for name, told in COMMAND.items() if name != "requestBody"} | {
    "parameters": [
        *READ["parameters"],
        {
            "name": "case",
            "in": "query",
            "description": "its id, as the message says it: then no read is needed",
            "schema": {"type": "string"},
        },
        {"name": "kind", "in": "query", "description": "of the case", "schema": {"type": "string", "enum": ["incident", "alarm"]}},
    ]
}
BATCH = _body({"application/x-ndjson": {"oneOf": [_ref("IncidentLine"), _ref("FactLine"), _ref("CommandLine")]}})
CLOUDEVENTS = _body({MEDIA_TYPE: _ref("Envelope"), BATCH_MEDIA_TYPE: {"type": "array", "items": _ref("Envelope")}})


def _people(name: str) -> dict[str, Any]:
    """Of people: no realm (they are the same in each), no Idempotency-Key (the same again is the same)."""
    made = _body({"application/json": _ref(name)})
    return {"requestBody": made["requestBody"], "responses": made["responses"], "security": SIGNED_IN}


def _query(**described: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "description": text, "schema": {"type": "string"}} for name, text in described.items()]


SIGNED_IN: list[dict[str, list[str]]] = [{"key": []}, {"session": []}]
LOGIN = _people("Login") | {"security": []}
PASSWORD, USER, POST, ROSTER, PEOPLE, CHANGES = map(_people, ("Password", "UserDraft", "PostDraft", "RosterDraft", "People", "Changes"))
REFUSALS = {status: told for status, told in PEOPLE["responses"].items() if status in ("401", "403", "422", "503")}
MISSING = REFUSALS | {"404": {"description": "unknown, or not in your scope", "content": {"application/problem+json": {}}}}
SESSION_CALL = {"responses": REFUSALS, "security": SIGNED_IN}
ADMIN_CALL = {"responses": MISSING, "security": SIGNED_IN}
DUTY = ADMIN_CALL | {"parameters": _query(at="RFC 3339 or UTC milliseconds; now without it")}
GAPS = ADMIN_CALL | {"parameters": _query(since="RFC 3339 or UTC milliseconds; now without it", until="the same; seven days after since")}


REALM = ACTIVATION["parameters"]
READ_REFUSALS = MISSING | {"422": {"description": "wrong; errors[] point at the parameters", "content": {"application/problem+json": {}}}}
PAGED = {"after": "`next` of the page before", "limit": "1 to 500"}


def _read(**described: str) -> dict[str, Any]:
    return {"parameters": [*REALM, *_query(**described)], "responses": READ_REFUSALS, "security": SIGNED_IN}


PLAIN_READ = _read()
EXPLAINED = _read(as_of="as known at this moment: RFC 3339 with offset, a day, or UTC milliseconds; now without it")
WORK_LIST = _read(
    list="work 在办 (without it), paused 中止, shelved 挂账, offered 上报未接, replies 督办未复 or tasks 联合处置任务",
    state="a state of the life cycle", type="a type, or the beginning of its code", light="green, yellow, red or deep_red",
    mine="true: only what the caller's own organisation holds", **PAGED,
)  # fmt: skip
SEARCHED = _read(
    q="a case number, or at least four of its last characters", type="a type by code, beginning of a code, or name",
    place="a division by code, or by its name", since="opened from then on: RFC 3339, a day, or UTC milliseconds",
    until="opened before; a day is whole",
    light="green, yellow, red or deep_red", state="a state of the life cycle, or open", **PAGED,
)  # fmt: skip
PERSON_SEARCH = _body({"application/json": _ref("PersonSearch")}) | {"parameters": REALM, "security": SIGNED_IN}


def describe(app: FastAPI) -> None:
    """Adds the bodies' schemas and the key scheme to the app's OpenAPI document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, shapes = msgspec.json.schema_components(SHAPES, ref_template=TEMPLATE)
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(shapes)
            components["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer", "description": "a key, or the token of a session"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": f"what changes something brings {CSRF} too"},
            }
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
