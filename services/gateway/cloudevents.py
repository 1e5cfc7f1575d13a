"""CloudEvents 1.0 in structured JSON: an envelope around the same bodies. Pure.

type   liandong.incident, liandong.fact or liandong.command; data: the body of that route (for a command with case_id and name)
id     with `source` the idempotency key, where data has no event_id of its own
time   stands in for an absent occurred_at
Attributes and extensions we do not know are allowed and not kept, as the specification wants.
"""

from __future__ import annotations

import msgspec

from schemas.errors import InvalidPayload, Reason
from services.gateway import bodies, decoding, intake
from services.gateway.decoding import Invalid
from services.gateway.intake import Accepted, Context

MEDIA_TYPE = "application/cloudevents+json"
BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"
TYPES = ("liandong.incident", "liandong.fact", "liandong.command")


class Envelope(msgspec.Struct, kw_only=True):
    """The context attributes that we use."""

    specversion: str
    id: bodies.Id
    source: bodies.Id
    type: str
    time: bodies.Time | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data_base64: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def event(body: bytes, context: Context) -> Accepted:
    """One event. Raises Invalid; pointers lead into the event, e.g. /data/division."""
    envelope = decoding.decode(body, Envelope)
    _check(envelope)
    try:
        return _data(envelope, context)
    except Invalid as error:
        raise Invalid(*[_below_data(e, envelope) for e in error.errors]) from None


def split(body: bytes) -> list[bytes]:
    """The events of a batch. Raises Invalid if it is not a JSON array."""
    return [bytes(part) for part in decoding.decode(body, list[msgspec.Raw])]


def _check(envelope: Envelope) -> None:
    errors = []
    if envelope.specversion != "1.0":
        errors.append(InvalidPayload(Reason.BAD_VALUE, "only CloudEvents 1.0 is taken", "/specversion"))
    if envelope.type not in TYPES:
        errors.append(InvalidPayload(Reason.BAD_VALUE, f"{envelope.type[:60]!r} is none of {', '.join(TYPES)}", "/type"))
    if envelope.datacontenttype is not None and envelope.datacontenttype.split(";")[0].strip().lower() != "application/json":
        errors.append(InvalidPayload(Reason.BAD_VALUE, "only application/json is taken", "/datacontenttype"))
    if envelope.data_base64 is not msgspec.UNSET:
        errors.append(InvalidPayload(Reason.BAD_VALUE, "data goes into `data`, as JSON", "/data_base64"))
    elif envelope.data is msgspec.UNSET:
        errors.append(InvalidPayload(Reason.BAD_VALUE, "required", "/data"))
    if errors:
        raise Invalid(*errors)


def _data(envelope: Envelope, context: Context) -> Accepted:
    data = _bytes(envelope)
    key = f"{envelope.source} {envelope.id}"
    if envelope.type == "liandong.command":
        body = decoding.decode(data, bodies.CommandLine)
        return intake.command(body, body.name, body.case_id, context, key=key)
    if envelope.time is not None:
        data = _with_time(data, envelope.time)
    return intake.incident(decoding.decode(data, bodies.Incident), context, key=key, fact=envelope.type == "liandong.fact")


def _bytes(envelope: Envelope) -> bytes:
    return b"" if envelope.data is msgspec.UNSET else bytes(envelope.data)


def _with_time(data: bytes, time: str) -> bytes:
    fields = msgspec.json.decode(data)
    if not isinstance(fields, dict) or "occurred_at" in fields:
        return data
    return msgspec.json.encode({**fields, "occurred_at": time})


def _below_data(error: InvalidPayload, envelope: Envelope) -> InvalidPayload:
    if error.pointer == "/occurred_at" and envelope.time is not None and b"occurred_at" not in _bytes(envelope):
        return InvalidPayload(error.reason, error.detail, "/time")
    return InvalidPayload(error.reason, error.detail, f"/data{error.pointer}")
