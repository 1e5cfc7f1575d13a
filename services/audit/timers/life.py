"""What each type of event does to the timers of its case."""

from __future__ import annotations

from collections.abc import Callable
from sys import intern
from typing import Any

from services.audit.timers import moves
from services.audit.timers.case import ACCEPT, ENDED, HANDLE, MERGED, SIGN, TOTAL, Case, Touched, Unknown
from services.audit.timers.clocks import Clock

OWED = {"assigned": (SIGN,), "signed": (HANDLE,), "handling": (HANDLE,)}  # by state: what a new holder owes
QUIET = frozenset(
    f"incident.{name}"
    for name in (
        "convened", "task_done", "task_waived", "responded", "checking", "evaluated", "archived", "absorbed", "released", "split", "merged",
        "declined", "closed", "voided", "withdrawn", "contested", "breach_upheld",
        "report_drafted",
    )
)  # fmt: skip
"""Types that move no clock by themselves; ends stop them all."""


def lived(case: Case, event: Any) -> list[Touched]:
    """The case after an event that somebody asked for; answers the clocks it touched. Unknown where the log does not say enough."""
    now, was_over = event.received_at, case.state in ENDED
    _stand(case, event)
    if event.state == MERGED:
        return []
    if event.mirrored:
        return moves.follow(case, event, now)
    if event.state in ENDED and not was_over:
        return case.end(event.occurred_at, now)
    does = DOES.get(event.type)
    if does is None and event.type not in QUIET:
        raise Unknown(f"events of type {event.type}")
    if event.state in ENDED and event.type not in AFTER_END:
        return []
    found = does(case, event, now) if does else []
    case.forget()
    return list({one.clock.key: one for one in found}.values())  # stopped and set going again, a clock is told as it runs


def _stand(case: Case, event: Any) -> None:
    """How the case stands after it."""
    case.state, case.kind, case.place = _one(event.state), _one(event.incident_type), _one(event.division)
    case.holder, case.level, case.grade, case.round = _one(event.holder), _one(event.holder_level), event.grade, event.round
    case.came.setdefault(case.level, event.received_at)
    case.policy, case.calendar, case.opened_at = _one(event.policy_version), _one(event.calendar_version), event.opened_at
    if event.type not in PAPERS and event.type != "incident.supervised":
        case.rung = _one(event.supervised_rung)


def _one(text: str) -> str:
    """One copy of each text for all cases."""
    return intern(str(text))


def _purpose(*purposes: str) -> Callable[[Clock], bool]:
    return lambda clock: clock.rule.purpose.value in purposes


def _captured(case: Case, event: Any, now: int) -> list[Touched]:
    return case.begin(ACCEPT, event, now) + case.begin(TOTAL, event, now)


def _stops(*purposes: str) -> Callable[[Case, Any, int], list[Touched]]:
    ends = _purpose(*purposes)
    return lambda case, event, now: case.stop(ends, event.occurred_at, now)


def _begins(*purposes: str) -> Callable[[Case, Any, int], list[Touched]]:
    return lambda case, event, now: [one for purpose in purposes for one in case.begin(purpose, event, now)]


def _signed(case: Case, event: Any, now: int) -> list[Touched]:
    return case.stop(_purpose(SIGN), event.occurred_at, now) + case.begin(HANDLE, event, now)


def _changes_hands(case: Case, event: Any, now: int) -> list[Touched]:
    """The old holder's clock ends with him, the new one gets his own; an offer that was open has its answer."""
    found = case.stop(_purpose(SIGN, HANDLE), event.occurred_at, now)
    found += [one for purpose in OWED.get(case.state, ()) for one in case.begin(purpose, event, now)]
    return found + _answers(case, event, now)


def _answers(case: Case, _event: Any, now: int) -> list[Touched]:
    found = case.offer_over(now) if case.offered else []
    case.offered = 0
    return found


def _suspended(case: Case, event: Any, now: int) -> list[Touched]:
    case.suspended_until = event.suspension_ends_at
    return case.pause(now)


def _shelved(case: Case, event: Any, now: int) -> list[Touched]:
    case.review_at = event.review_at
    return case.pause(now)


def _supervised(case: Case, event: Any, now: int) -> list[Touched]:
    return case.supervise(event.supervised_rung, event.actor_org, now)


def _breach_withdrawn(case: Case, event: Any, _now: int) -> list[Touched]:
    """A ruling: the breach stays in the clock, and does not count."""
    keys = {(clock.purpose, clock.holder, clock.started_at) for clock in event.clocks}
    found = [clock for clock in case.clocks if clock.key in keys]
    for clock in found:
        clock.retracted = True
    return [Touched(clock, 0) for clock in found]


PAPERS = {"incident.supervision_replied", "incident.supervision_lifted"}  # also after the end
AFTER_END = PAPERS | {"incident.report_signed"}
DOES: dict[str, Callable[[Case, Any, int], list[Touched]]] = {
    "incident.captured": _captured,
    "incident.accepted": _stops(ACCEPT),
    "incident.self_handled": _stops(ACCEPT),
    "incident.triaged": moves.regrade,
    "incident.amended": moves.regrade,
    "incident.repinned": moves.repin,
    "incident.assigned": _begins(SIGN),
    "incident.signed": _signed,
    "incident.returned": _stops(SIGN),
    "incident.reported": _stops(HANDLE),
    "incident.failed_check": _begins(HANDLE),
    "incident.reopened": lambda case, event, now: _begins(HANDLE, TOTAL)(case, event, now) + case.window(now),
    "incident.offered_up": lambda case, event, now: case.offer(event.upstream_level, now),
    "incident.taken": _changes_hands,
    "incident.assigned_down": _changes_hands,
    "incident.offer_returned": _answers,
    "incident.suspended": _suspended,
    "incident.shelved": _shelved,
    "incident.resumed": lambda case, _event, now: case.resume(now),
    "incident.unshelved": lambda case, _event, now: case.unshelve(now),
    "incident.supervised": _supervised,
    "incident.extended": moves.extend,
    "incident.report_signed": moves.report,
    "incident.acknowledged": moves.acknowledge,
    "incident.no_one_notified": moves.nobody_reached,
    "incident.breach_withdrawn": _breach_withdrawn,
    "incident.supervision_replied": moves.replied,
    "incident.supervision_lifted": moves.lifted,
}
