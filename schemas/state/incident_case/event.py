"""incident_case: see v2.avsc for the meaning of each field. Times are UTC milliseconds, 0 where there is none."""

from __future__ import annotations

import msgspec

from schemas.state.clock import Clock


class Segment(msgspec.Struct, frozen=True):
    """A stretch of the responsibility ledger: one holder, from when to when."""

    holder: str
    level: str
    since: int
    until: int  # 0: it lasts


class Upstream(msgspec.Struct, frozen=True):
    """上报: offered to a level above, or taken by it."""

    state: str  # offered or taken
    level: str
    desk: str  # who offered it; once taken, who took it
    since: int


class Task(msgspec.Struct, frozen=True):
    """What one organisation does in a joint handling."""

    org: str
    state: str  # open, done or waived
    since: int
    done_at: int


class Joint(msgspec.Struct, frozen=True):
    """联合处置: closing needs every task done or waived."""

    lead: str
    tasks: tuple[Task, ...]


class Suspended(msgspec.Struct, frozen=True):
    """中止, on a ground of the policy's list and for no longer than it says."""

    reason: str
    since: int
    until: int
    approver: str


class Shelved(msgspec.Struct, frozen=True):
    """挂账: cannot be solved now; taken up again at its review."""

    since: int
    review_at: int
    approver: str


class Supervision(msgspec.Struct, frozen=True):
    """督办: one paper. Only its issuer lifts it."""

    rung: str
    issuer: str
    issuer_level: str
    paper: str
    issued_at: int
    reply_due: int
    replied_at: int
    lifted_at: int
    holder: str = ""  # who is to answer: it held the case when the paper was issued


class MergedCase(msgspec.Struct, frozen=True):
    """A case merged into this one, with what this one inherits for statistics."""

    case_id: str
    opened_at: int
    reporters: tuple[str, ...]


class Climb(msgspec.Struct, frozen=True):
    """超时升级: how far the lateness ladder of one clock has gone."""

    purpose: str
    holder: str
    started_at: int  # of the clock
    steps: int  # told so far
    passed: int = 0  # whose own share of the clock has come: silence tells a step early, its paper waits for its share


class Awaiting(msgspec.Struct, frozen=True):
    """One who was told by a step of a lateness ladder that nobody has acknowledged yet. Those of one clock are its chain."""

    purpose: str
    holder: str
    started_at: int  # of the clock
    level: str  # of who was told
    until: int  # then they are told again, or the ladder climbs
    told: int  # times so far
    step: int  # of the ladder, from 1
    whom: str  # desk, head or superior_desk; "": nobody could be reached, the next step is due


class Sender(msgspec.Struct, frozen=True):
    """A desk that offered or handed on the case: it hears how it ends."""

    desk: str
    level: str


class Contest(msgspec.Struct, frozen=True):
    """异议: an organisation disputes a breach; a level above rules. Both figures are kept."""

    purpose: str
    holder: str
    started_at: int  # of the clock
    by: str
    reason: str
    since: int
    ruled_at: int  # 0: not ruled yet
    ruled_by: str
    upheld: bool  # the breach stands
    breached_at: int  # the breach: one that is dated anew is another


class Filed(msgspec.Struct, frozen=True):
    """A file of the report-up: 首报, 续报, 核报 or 终报, each drafted by one person and signed off by another."""

    stage: str  # first, next, check or final
    level: str  # to which level
    paper: str
    drafter: str
    drafted_at: int
    signer: str
    signed_at: int  # 0: not signed yet


class IncidentCase(msgspec.Struct, frozen=True, kw_only=True):
    """State of one incident in the case table."""

    next_due: int = 0
    case_id: str
    case_number: str
    seq: int
    now: int
    state: str
    division: str
    county: str
    level: str
    incident_type: str
    title: str
    grade: int
    holder: str
    holder_level: str
    round: int
    reassignments: int
    reopens: int
    objections: int
    mirrored: bool
    source_version: int
    producer: str
    handler_person: str
    opened_at: int
    policy_version: str
    calendar_version: str
    home_cluster: str
    ownership_epoch: int
    recent: bytes
    clocks: tuple[Clock, ...] = ()
    segments: tuple[Segment, ...] = ()
    upstream: Upstream | None = None
    joint: Joint | None = None
    suspended: Suspended | None = None
    shelved: Shelved | None = None
    supervised: tuple[Supervision, ...] = ()
    response_level: int = 0
    merged_into: str = ""
    before: str = ""
    merged: tuple[MergedCase, ...] = ()
    reporters: tuple[str, ...] = ()
    climbs: tuple[Climb, ...] = ()
    awaiting: tuple[Awaiting, ...] = ()
    contests: tuple[Contest, ...] = ()
    filed: tuple[Filed, ...] = ()
    source_due_at: int = 0
    senders: tuple[Sender, ...] = ()
    signer_person: str = ""
    arrived_at: int = 0
