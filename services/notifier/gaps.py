"""Gaps in rosters 空岗, told once each: found ahead, filled in time, or come true. Pure: time and the rosters' gaps are arguments.

A gap is known by its desk and its beginning. Seen from later its beginning is cut off by the present and its end moves with the horizon,
so a stretch that overlaps a known gap is that gap. One whose end was never in sight is told as filled when it is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas import ids
from schemas.avro.duty_event.event import DutyEvent
from schemas.realms import Realm
from streams.domain.people.roster import Stretch

AHEAD_MS = 24 * 3_600_000
FOUND, FILLED, NOBODY = "gap_found", "gap_filled", "nobody_on_duty"
OPEN = 1 << 62  # no end within the horizon


@dataclass(frozen=True, slots=True)
class Gap(Stretch):
    """`begun`: that nobody is on duty has been told."""

    begun: bool = False


class Gaps:
    """The known gaps by desk; a fold of the events it has made."""

    def __init__(self) -> None:
        self._known: dict[str, list[Gap]] = {}

    def desks(self) -> tuple[str, ...]:
        """Desks with a known gap."""
        return tuple(desk for desk, gaps in self._known.items() if gaps)

    def open_at(self, at: int) -> int:
        """How many desks have nobody now."""
        return sum(any(gap.holds(at) for gap in gaps) for gaps in self._known.values())

    def look(self, desk: str, stretches: Sequence[Stretch], now: int) -> list[DutyEvent]:
        """What is new. `stretches`: of [now, now + AHEAD_MS), in order."""
        known, events = self._known.get(desk, []), []
        left = list(known)
        after: list[Gap] = []
        for stretch in stretches:
            until = OPEN if stretch.until >= now + AHEAD_MS else stretch.until
            gap = _same(left, stretch, now)
            if gap is None:
                gap = Gap(stretch.start, until)
                events.append(_event(FOUND, desk, stretch.start, stretch.until, now))
            else:
                left.remove(gap)
                gap = replace(gap, until=until)
            if stretch.start <= now and not gap.begun:
                gap = replace(gap, begun=True)
                events.append(_event(NOBODY, desk, gap.start, stretch.until, now))
            after.append(gap)
        events += [_event(FILLED, desk, gap.start, min(gap.until, now + AHEAD_MS), now) for gap in left if gap.until > now]
        self._known[desk] = after
        return events

    def fold(self, event: DutyEvent) -> None:
        """An event of an earlier life, in the order of their `at`."""
        gaps = self._known.setdefault(event.desk, [])
        same = [gap for gap in gaps if gap.start == event.starts_at]
        if event.type == FOUND and not same:
            gaps.append(Gap(event.starts_at, OPEN if event.ends_at >= event.at + AHEAD_MS else event.ends_at))
        elif event.type == NOBODY and same:
            gaps[gaps.index(same[0])] = replace(same[0], begun=True)
        elif event.type == FILLED and same:
            gaps.remove(same[0])


def _same(known: Sequence[Gap], stretch: Stretch, now: int) -> Gap | None:
    """The known gap that a stretch is; the one that begins with it before one that it only overlaps. A gap that has begun is not one that
    is yet to come: somebody is there in between."""
    overlapping = [gap for gap in known if gap.start < stretch.until and stretch.start < gap.until and stretch.start <= max(now, gap.start)]
    return next((gap for gap in overlapping if gap.start == stretch.start), overlapping[0] if overlapping else None)


def _event(kind: str, desk: str, start: int, until: int, now: int) -> DutyEvent:
    return DutyEvent(
        duty_event_id=ids.duty_event_id(Realm.LIVE, kind, desk, str(start)),
        type=kind,
        realm=Realm.LIVE.value,
        desk=desk,
        person="",
        channel="",
        starts_at=start,
        ends_at=until,
        count=0,
        case_number="",
        at=now,
    )
