"""What /openapi.json says about request bodies: generated from the same structs that decode them."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.gateway import bodies
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
READ = {"parameters": ACTIVATION["parameters"], "security": [{"key": []}]}
BATCH = _body({"application/x-ndjson": {"oneOf": [_ref("IncidentLine"), _ref("FactLine"), _ref("CommandLine")]}})
CLOUDEVENTS = _body({MEDIA_TYPE: _ref("Envelope"), BATCH_MEDIA_TYPE: {"type": "array", "items": _ref("Envelope")}})


def describe(app: FastAPI) -> None:
    """Adds the bodies' schemas and the key scheme to the app's OpenAPI document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, shapes = msgspec.json.schema_components(SHAPES, ref_template=TEMPLATE)
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(shapes)
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
