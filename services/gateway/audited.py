"""Entries of the audit log: acknowledged by Kafka before what they tell of happens."""

from __future__ import annotations

from starlette.requests import Request

from schemas import ids
from schemas.avro.audit_entry.event import AuditEntry
from schemas.codec import codec
from schemas.errors import InvalidPayload, Reason
from schemas.topics import AUDIT
from services.gateway.accept import headers
from services.gateway.decoding import Invalid
from services.gateway.intake import Context
from services.gateway.parts import Parts
from services.gateway.problems import unavailable
from services.ports import Record, Unavailable

AUDIT_CODEC = codec(AuditEntry)
MAX_REASON = 200


def reason_of(request: Request) -> str:
    """The query's `reason`, not empty. Raises Invalid."""
    reason = request.query_params.get("reason", "").strip()
    if not reason or len(reason) > MAX_REASON:
        raise Invalid(InvalidPayload(Reason.BAD_VALUE, f"the query parameter `reason` is required, at most {MAX_REASON} characters"))
    return reason


def entry(action: str, case_id: str, reason: str, context: Context, number: int) -> AuditEntry:
    """`case_id`: "" for what is about no single case. `number`: tells apart what one principal does within one millisecond."""
    who = context.principal
    return AuditEntry(
        entry_id=ids.command_id(context.realm, who.id, f"audit:{action}:{case_id}:{context.now}:{number}"),
        case_id=case_id,
        realm=context.realm.value,
        action=action,
        principal=who.id,
        person=who.person,
        org=who.org,
        role=who.kind.value,
        division=who.division,
        reason=reason,
        at=context.now,
    )


async def write(one: AuditEntry, context: Context, parts: Parts) -> None:
    """Raises Problem 503 unless Kafka acknowledged the entry."""
    marks = headers(AUDIT_CODEC.name, one.entry_id, one.principal)
    record = Record((one.case_id or one.principal).encode(), AUDIT_CODEC.encode(one), marks)
    (fate,) = await parts.producer.send(AUDIT.in_realm(context.realm), [record])
    if isinstance(fate, Unavailable):
        raise unavailable(f"the audit entry could not be written: {fate.detail}")
