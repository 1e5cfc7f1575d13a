"""Policy documents as they are written (TOML): one struct a kind. What may stand where is in the types; `reading` tells every departure."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.clocks import Until
from schemas.policy.terms import LENGTH, LENGTHS, Certainty, Grantor, Level, Purpose, Rank, Starts, Whom

Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{1,39}$", description="small letters, digits and _, at most 40")]
Text = Annotated[str, Meta(min_length=1, max_length=1000, description="text of 1 to 1000 characters")]
Span = Annotated[str, Meta(pattern=LENGTH, description=LENGTHS)]
Prefix = Annotated[str, Meta(pattern="^[A-Z0-9]{1,7}$", description="how codes of incident types begin, such as A, A101 or A10100")]
Grade = Annotated[int, Meta(ge=0, le=4, description="1 (特别重大) to 4 (一般), 0 for not yet graded")]
Thousandths = Annotated[int, Meta(ge=1, le=20_000, description="thousandths of the clock's budget, 1 to 20000 (1000: when it is due)")]
Early = Annotated[int, Meta(ge=1, le=999, description="thousandths of the clock's budget, 1 to 999")]
Late = Annotated[int, Meta(ge=1001, le=20_000, description="thousandths of the clock's budget, 1001 to 20000")]
Version = Annotated[int, Meta(ge=1, le=9999, description="a whole number 1 to 9999")]
Times = Annotated[int, Meta(ge=0, le=10, description="a whole number 0 to 10")]
Prefixes = Annotated[tuple[Prefix, ...], Meta(min_length=1)]
Grades = Annotated[tuple[Grade, ...], Meta(min_length=1)]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What every table of a document may hold. A source and certainty of its own replace the document's, always both."""

    source: Text | None = None
    certainty: Certainty | None = None
    notes: Text | None = None


class Selected(Written, frozen=True, kw_only=True):
    """A rule for some incidents. The longest prefix decides, then the rule that names the grade."""

    types: Prefixes | None = None  # absent: every type
    grades: Grades | None = None  # absent: every grade, and not yet graded


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Head of every document."""

    id: Name
    version: Version
    kind: Name
    title_zh: Text
    title_en: Text
    source: Text  # law and article; "Liandong: …" for our own choice
    certainty: Certainty
    in_force_from: date
    in_force_until: date | None = None  # last day
    notes: Text | None = None

    @property
    def name(self) -> str:
        return f"{self.id} {self.version}"


class WrittenExtension(Written, frozen=True, kw_only=True):
    """延期: once, before it is due, with a reason."""

    budget: Span
    by: Grantor


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a clock of the document that says nothing else."""

    until: Until
    warning: Early
    overdue: Late
    backdating: Span


class WrittenClock(Selected, frozen=True, kw_only=True):
    """One clock of an incident."""

    purpose: Purpose
    budget: Span
    starts: Starts
    until: Until | None = None
    warning: Early | None = None
    overdue: Late | None = None
    backdating: Span | None = None
    pausable: bool = False
    extension: WrittenExtension | None = None


class Sla(Document, frozen=True, kw_only=True):
    """时限."""

    defaults: Defaults
    clocks: Annotated[tuple[WrittenClock, ...], Meta(min_length=1)]


class WrittenBound(Written, frozen=True, kw_only=True):
    """The longest suspension. Apart from the ground, for a law often names the ground and no length."""

    length: Span


class WrittenReason(Written, frozen=True, kw_only=True):
    """One allowed ground of suspension."""

    code: Name
    title_zh: Text
    title_en: Text
    approver: Grantor
    longest: WrittenBound


class Suspension(Document, frozen=True, kw_only=True):
    """中止事由: the whole list; what is not on it is refused."""

    reasons: Annotated[tuple[WrittenReason, ...], Meta(min_length=1)]


class WrittenStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the ladder, at a share of the clock."""

    at: Thousandths
    tell: tuple[Whom, ...] = ()
    supervise: Name | None = None  # rung of the supervision ladder, issued by the level above the holder


class WrittenAck(msgspec.Struct, frozen=True, kw_only=True):
    """Who was told and does not acknowledge is told again."""

    within: Span
    again: Times
    before_due: bool = False  # silence before the due time brings on at once also what comes at the due time or later


class WrittenTimeout(Written, frozen=True, kw_only=True):
    """An offer 上报 that is not answered when its reply is due goes to the next level that the place has."""

    highest: Level  # it stays there


class WrittenLadder(Selected, frozen=True, kw_only=True):
    """What happens when a clock runs late."""

    clock: Purpose
    steps: Annotated[tuple[WrittenStep, ...], Meta(min_length=1)]
    climb_every: Thousandths | None = None
    highest: Level
    ack: WrittenAck
    on_timeout: WrittenTimeout | None = None  # of the ladder of replies; absent: the offer stays where it is


class Lateness(Document, frozen=True, kw_only=True):
    """超时升级."""

    ladders: Annotated[tuple[WrittenLadder, ...], Meta(min_length=1)]


class WrittenHop(Written, frozen=True, kw_only=True):
    """One hop of a report."""

    of: Level
    to: Level
    within: Span
    starts: Starts = Starts.EVENT


class WrittenReport(Selected, frozen=True, kw_only=True):
    """How high, and how fast from level to level."""

    hops: Annotated[tuple[WrittenHop, ...], Meta(min_length=1)]


class WrittenSupplement(Selected, frozen=True, kw_only=True):
    """补报: how long after the event a change of what was reported is reported again."""

    within: Span
    warning: Early | None = None


class ReportUp(Document, frozen=True, kw_only=True):
    """上报: by grade; not by lateness."""

    defaults: Defaults
    rules: Annotated[tuple[WrittenReport, ...], Meta(min_length=1)]
    supplements: tuple[WrittenSupplement, ...] = ()


class WrittenRung(Written, frozen=True, kw_only=True):
    """One rung of supervision."""

    code: Name
    title_zh: Text
    title_en: Text
    issuer_rank: Rank
    issuer_level: Level  # least level of the issuer
    paper: Text
    reply: Span


class Supervision(Document, frozen=True, kw_only=True):
    """督办: rungs from the mildest up. Only the issuer lifts one."""

    defaults: Defaults
    rungs: Annotated[tuple[WrittenRung, ...], Meta(min_length=1)]


KINDS: dict[str, type[Document]] = {
    "sla": Sla,
    "suspension": Suspension,
    "lateness": Lateness,
    "report_up": ReportUp,
    "supervision": Supervision,
}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Names the documents of one version of the policies."""

    version: Annotated[str, Meta(pattern="^[0-9]{4}[.][0-9]{1,3}$", description="year and number, such as 2026.1")]
    title_zh: Text
    in_force_from: date
    documents: dict[Name, Version]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """draft.toml of a draft folder; may be left out."""

    based_on: str | None = None  # a version; absent: the latest
    in_force_from: date | None = None  # absent: that of the version it is based on
    without: tuple[Name, ...] = ()  # documents that it drops
