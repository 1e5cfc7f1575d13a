"""The shapes of request bodies: decoded by msgspec, shown in OpenAPI, the same for single posts, lines and CloudEvents.

Unknown fields are refused: a misspelt `extrenal_id` must not be dropped in silence, and nobody sets a principal here.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.bounds import MAX_ID_LENGTH, MAX_REASON_LENGTH, MAX_TEXT_LENGTH

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
Text = Annotated[str, Meta(max_length=MAX_TEXT_LENGTH, description="free text; sealed")]
Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\w.:\-]+$", description="a code, not a sentence")]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Time = Annotated[str, Meta(max_length=40, description="RFC 3339 with offset, e.g. 2026-11-22T08:30:00+08:00")]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Version = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Secret = Annotated[str, Meta(min_length=1, max_length=200)]
Grade = Annotated[int, Meta(ge=1, le=4, description="1 特别重大 to 4 一般")]


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all bodies share: no unknown fields; written again without what was not given."""


class Place(Body):
    """Where it happened. Coordinates become a cell of about 1 km; the address is sealed."""

    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    crs: Annotated[str, Meta(max_length=40, description="WGS84 or CGCS2000")] | None = None
    address: Text | None = None


class Reporter(Body):
    """Who reported it; sealed."""

    name: Name
    phone: Annotated[str, Meta(min_length=1, max_length=40)] | None = None
    id: Annotated[str, Meta(min_length=1, max_length=40, description="identity document")] | None = None


class Incident(Body):
    """A matter as a department sends it. With `state` it is an observed fact and makes or moves a mirrored case."""

    type: Annotated[str, Meta(max_length=20, description="code of schemas/reference/event_types.csv")]
    division: Annotated[str, Meta(max_length=12, description="6, 9 or 12 digit division code")]
    occurred_at: Time
    event_id: Annotated[Id, Meta(description="makes a repeat harmless; the header Idempotency-Key does the same")] | None = None
    external_id: Annotated[Id, Meta(description="the department's own number of the matter")] | None = None
    source_version: Annotated[Version, Meta(description="grows with each correction of the same matter")] | None = None
    state: Annotated[str, Meta(max_length=20, description="observed state")] | None = None
    holder: Annotated[Name, Meta(description="organisation that has it now")] | None = None
    reassignments: Count | None = None
    reopens: Count | None = None
    grade: Grade | None = None
    reason: Code | None = None
    due_at: Annotated[Time, Meta(description="with `state`: the department's own target for the matter")] | None = None
    place: Place | None = None
    reporter: Reporter | None = None
    note: Text | None = None


class Alarm(Body):
    """A press. Only what makes it unreadable refuses it: a class, division or time that can't be right is set right and noted."""

    class_: Annotated[str, Meta(max_length=20, description="life, safety, medical, service or unclear")] = msgspec.field(
        default="unclear", name="class"
    )
    division: Annotated[str, Meta(max_length=12, description="of the place; the sender's own division without it")] | None = None
    occurred_at: Time | None = None
    event_id: Annotated[Id, Meta(description="makes a repeat of the same press harmless; the header Idempotency-Key too")] | None = None
    device: Annotated[Id, Meta(description="the terminal; its presses are one alarm while that is open")] | None = None
    person: Annotated[Id, Meta(description="the sender's own number of the protected person; a pseudonym is kept of it")] | None = None
    external_id: Annotated[Id, Meta(description="the sender's own number of the matter, where there is no device and no person")] | None = (
        None
    )
    place: Place | None = None
    reporter: Annotated[Reporter, Meta(description="the protected person, or who called")] | None = None
    note: Text | None = None


class AlarmCommand(Body):
    """What a responder or desk does about an alarm. The command's name stands in the path."""

    event_id: Annotated[Id, Meta(description="makes a repeat harmless; the header Idempotency-Key does the same")] | None = None
    expected_seq: Annotated[Version, Meta(description="case_seq last seen; refused as stale if the alarm moved on")] | None = None
    reason: Annotated[Code, Meta(description="required to close")] | None = None
    note: Text | None = None


class Command(Body):
    """What a desk asks of a case. The command's name stands in the path."""

    event_id: Annotated[Id, Meta(description="makes a repeat harmless; the header Idempotency-Key does the same")] | None = None
    expected_seq: Annotated[Version, Meta(description="case_seq last seen; refused as stale if the case moved on")] | None = None
    reason: Code | None = None
    org: Name | None = None
    grade: Grade | None = None
    type: Annotated[str, Meta(max_length=20)] | None = None
    evidence: bool | None = None
    note: Text | None = None
    occurred_at: Annotated[Time, Meta(description="accept, sign, report, self_handle: when it was done, if earlier than told")] | None = (
        None
    )
    level: (
        Annotated[str, Meta(max_length=20, description="offer_up, assign, assign_down, draft_report, sign_report: grid to province")] | None
    ) = None
    orgs: Annotated[list[Name], Meta(min_length=1, max_length=50, description="convene: who takes part")] | None = None
    until: Annotated[Time, Meta(description="suspend: its end; shelve: the review")] | None = None
    purpose: (
        Annotated[str, Meta(max_length=20, description="extend, contest and its ruling, acknowledge: which clock (accept, sign, …)")] | None
    ) = None
    amount: Annotated[int, Meta(ge=1, le=2**40, description="extend: in the clock's unit; without it the most that is allowed")] | None = (
        None
    )
    rung: Annotated[str, Meta(max_length=40, description="supervise, reply and lift: rung of the ladder 督办")] | None = None
    paper: Annotated[Name, Meta(description="number of the paper 文号")] | None = None
    target: Annotated[str, Meta(max_length=40, description="merge_into: id of the root")] | None = None
    person: (
        Annotated[Id, Meta(description="evaluate, reopen: phone or identity number of the citizen; a pseudonym is kept of it")] | None
    ) = None
    score: Annotated[int, Meta(ge=1, le=5, description="evaluate: 1 very dissatisfied to 5 very satisfied")] | None = None
    response_level: Annotated[int, Meta(ge=0, le=4, description="respond: 1 to 4 (I to IV), 0 ends it")] | None = None
    policy_version: Annotated[str, Meta(max_length=40, description="repin: the version; without it the newest")] | None = None
    stage: (
        Annotated[str, Meta(max_length=10, description="draft_report, sign_report: first 首报, next 续报, check 核报, final 终报")] | None
    ) = None
    division: Annotated[str, Meta(max_length=12, description="amend: where it really is")] | None = None
    place: Place | None = None


class Activation(Body):
    """Which version of the policies new cases get, from when, and why."""

    version: Annotated[str, Meta(min_length=1, max_length=20, description="of the policies, such as 2026.1")]
    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON_LENGTH, description="kept for ever: name no citizen")]
    from_: Annotated[Time, Meta(description="not in the past; without it from now on")] | None = msgspec.field(name="from", default=None)


class Withdrawal(Body):
    """Which planned activation is withdrawn, and why."""

    from_: Annotated[Time, Meta(description="the moment that it is planned for")] = msgspec.field(name="from")
    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON_LENGTH, description="kept for ever: name no citizen")]


class Login(Body):
    """`post`: which of the user's posts; without it the only one."""

    user: Annotated[str, Meta(min_length=1, max_length=64)]
    password: Secret
    post: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class Password(Body):
    """One's own, changed by who knows the old one."""

    old: Secret
    new: Annotated[Secret, Meta(description="10 to 200 characters, without the user's id")]


class PersonSearch(Body):
    """Whom a desk looks for among the cases it handles. What is given must all be so."""

    reason: Annotated[str, Meta(max_length=200, description="why; logged with your name before the answer")]
    phone: Annotated[str, Meta(max_length=40, description="as people write it")] | None = None
    name: Annotated[str, Meta(max_length=100, description="exact")] | None = None


class IncidentLine(Incident, tag_field="kind", tag="incident"):
    """A line of a batch."""


class FactLine(Incident, tag_field="kind", tag="fact"):
    """A line of a batch: `state`, `external_id` and a version are required."""


class CommandLine(Command, kw_only=True, tag_field="kind", tag="command"):
    """A line of a batch."""

    case_id: Annotated[str, Meta(max_length=40)]
    name: Annotated[str, Meta(max_length=40)]


Line = IncidentLine | FactLine | CommandLine
