"""The clocks 时限 and the responsibility ledger of an incident: which command starts, stops, pauses and moves which.

Clocks of old rounds and former holders stay in the state as they stopped. Time in the ledger is that of the records, so its segments join
without a gap and sum to the total.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.clocks import Mark
from schemas.errors import Refusal
from schemas.state.clock import Clock, key_of
from schemas.state.incident_case.event import IncidentCase
from streams.domain.clocks.clock import extend, may_extend, may_pause, pause, resume
from streams.domain.clocks.running import is_paused, point
from streams.domain.incident import contests, filing, overlays, repinning, rules
from streams.domain.incident.chains import live
from streams.domain.incident.clocks import (
    ACCEPT,
    HANDLE,
    REPLY,
    REPORT_UP,
    SIGN,
    TOTAL,
    Clocks,
    all_stopped,
    answered,
    begun,
    cal_of,
    having,
    lying,
    reruled,
    rule_of,
    started,
    stopped,
)  # fmt: skip
from streams.domain.incident.followed import followed
from streams.domain.incident.ledger import segments
from streams.domain.incident.levels import desk_of
from streams.domain.incident.table import CAPTURE, ENDED_TEXTS, State
from streams.domain.incident.wanting import next_due

STOPS = {
    "accept": (ACCEPT,), "self_handle": (ACCEPT,), "sign": (SIGN,), "object": (SIGN,), "report": (HANDLE,), "take": (SIGN, HANDLE),
    "assign_down": (SIGN, HANDLE),
}  # fmt: skip
STARTS = {CAPTURE: (ACCEPT, TOTAL), "assign": (SIGN,), "sign": (HANDLE,), "verify_fail": (HANDLE,), "reopen": (HANDLE, TOTAL)}
OF_STATE = {State.ASSIGNED: (SIGN,), State.SIGNED: (HANDLE,), State.HANDLING: (HANDLE,)}  # what a new holder owes
replace = msgspec.structs.replace


def timed(before: IncidentCase | None, after: IncidentCase, command: IncidentCommand, now: int) -> IncidentCase:
    """`after` with its clocks, ledger and next due time as the command leaves them."""
    if after.mirrored:
        return followed(after, command, now)
    changes: dict[str, Any] = {}
    name = command.name
    if name == "merge_into":  # its clocks stand as they are, and none is live while it is merged
        changes["next_due"] = 0
    elif after.state in ENDED_TEXTS:
        if before is None or before.state not in ENDED_TEXTS:
            changes |= {"clocks": all_stopped(after, command.occurred_at, now), "next_due": 0, "climbs": (), "awaiting": ()}
            changes |= {"suspended": None, "shelved": None}
            if overlays.is_offered(after):
                changes["upstream"] = None  # nobody owes an answer any more: opened again, it may be offered anew
        elif name in AFTER_END:
            changes |= AFTER_END[name](before, after, command, now, list(after.clocks))
    else:
        changes |= _moved(before, after, command, now)
    changes["segments"] = segments(after, now)
    after = replace(after, **changes)
    if after.state not in ENDED_TEXTS and "clocks" in changes:
        after = without_idle(after)
    return after if after.state in ENDED_TEXTS else replace(after, next_due=next_due(after))


def _moved(before: IncidentCase | None, after: IncidentCase, command: IncidentCommand, now: int) -> dict[str, Any]:
    name = command.name
    held = list(after.clocks)
    changes: dict[str, Any] = {}
    stops, starts = STOPS.get(name, ()), STARTS.get(name, ())
    if name in ("take", "assign_down"):
        starts = OF_STATE.get(State(after.state), ())
    if stops:
        held = [stopped(after, one, command.occurred_at, now) if one.purpose in stops else one for one in held]
    for purpose in starts:
        fresh = started(after, purpose, command, now)
        held = having(held, fresh) if fresh else held
    special = SPECIAL.get(name)
    if special:
        changes = special(before or after, after, command, now, held)
    elif held != list(after.clocks):
        changes["clocks"] = tuple(held)
    return changes


# --- what a command does to more than its own clock --------------------------------------------------------------------

Special = Callable[[IncidentCase, IncidentCase, IncidentCommand, int, Clocks], dict[str, Any]]


def _regraded(_before: IncidentCase, after: IncidentCase, _command: IncidentCommand, now: int, held: Clocks) -> dict[str, Any]:
    """Other limits for another type or grade, from the same start; one whose deadline would then lie in the past stays. The grade also says
    what is reported up."""
    changed = [reruled(after, clock, now) if not clock.stopped_at else clock for clock in held]
    desk, level = filing.owing(after)
    owed = rules.hop_of(after, level)
    running = [clock for clock in changed if clock.purpose == REPORT_UP and not clock.stopped_at]
    if owed is None:
        changed = [stopped(after, clock, now, now) if clock in running else clock for clock in changed]
    elif not any(clock.policy == owed[1].rule.policy for clock in running):
        changed = [stopped(after, clock, now, now) if clock in running else clock for clock in changed]
        at = filing.owed_since(after, owed[0], owed[1].starts, held, now)
        changed = having(changed, begun(after, owed[1].rule, at, desk, level, now))
    return {"clocks": tuple(filing.window(after, changed, now))}


def _reopened(_before: IncidentCase, after: IncidentCase, _command: IncidentCommand, now: int, held: Clocks) -> dict[str, Any]:
    return {"clocks": tuple(filing.window(after, held, now))}


def _offered(_before: IncidentCase, after: IncidentCase, _command: IncidentCommand, now: int, held: Clocks) -> dict[str, Any]:
    """The desk above owes an answer. A report-up runs on: to offer a case is not to report it."""
    assert after.upstream
    level = after.upstream.level
    found = rules.limit(after.policy_version, REPLY, after.incident_type, after.grade)
    fresh = begun(after, found.rule, now, desk_of(after.division, level), level, now) if found else None
    return {"clocks": tuple(having(held, fresh))} if fresh else {}


def _timed_out(before: IncidentCase, after: IncidentCase, command: IncidentCommand, now: int, held: Clocks) -> dict[str, Any]:
    """Nobody answered: the clock of that offer ends with its breach, and that of the next one begins."""
    return _offered(before, after, command, now, _offer_over(before, after, now, held))


def _answered(before: IncidentCase, after: IncidentCase, _command: IncidentCommand, now: int, held: Clocks) -> dict[str, Any]:
    """Taken, returned, or handed down while it was open: the offer has its answer."""
    return {"clocks": tuple(_offer_over(before, after, now, held))}


def _offer_over(before: IncidentCase, after: IncidentCase, now: int, held: Clocks) -> Clocks:
    return answered(after, held, now, lambda clock: overlays.is_of_offer(before, clock))


def _paused(_before: IncidentCase, after: IncidentCase, _command: IncidentCommand, now: int, held: Clocks) -> dict[str, Any]:
    why = lying(after)
    assert why
    found = [(clock, rule_of(after, clock)) for clock in held]
    return {"clocks": tuple(pause(c, rule, why[0], now, why[1]) if may_pause(c, rule) else c for c, rule in found)}


def _resumed(_before: IncidentCase, after: IncidentCase, _command: IncidentCommand, now: int, held: Clocks) -> dict[str, Any]:
    def again(clock: Clock) -> Clock:
        lasts = not clock.stopped_at and is_paused(clock)
        return resume(clock, rule_of(after, clock), cal_of(clock), now) if lasts else clock

    return {"clocks": tuple(again(clock) for clock in held)}


def _supervised(_before: IncidentCase, after: IncidentCase, _command: IncidentCommand, now: int, held: Clocks) -> dict[str, Any]:
    """The last paper gets its reply clock."""
    *others, paper = after.supervised
    reply = begun(after, rules.reply_limit(after, paper.rung), paper.issued_at, after.holder, after.holder_level, now)
    return {"clocks": tuple(having(held, reply)), "supervised": (*others, replace(paper, reply_due=reply.due_at))}


def _replied(before: IncidentCase, after: IncidentCase, _command: IncidentCommand, now: int, held: Clocks) -> dict[str, Any]:
    """Replied or lifted: nothing more is owed for that paper."""
    changed = next((new for old, new in zip(before.supervised, after.supervised, strict=True) if old != new), None)
    if changed is None or overlays.owed_too(after, changed):
        return {}
    return {"clocks": tuple(answered(after, held, now, lambda clock: overlays.is_of_paper(changed, clock)))}


def _extended(_before: IncidentCase, after: IncidentCase, command: IncidentCommand, now: int, held: Clocks) -> dict[str, Any]:
    chosen = to_extend(after, command)
    assert chosen
    rule = rule_of(after, chosen)
    longer = extend(chosen, rule, cal_of(chosen), command.amount or rule.extension, now)
    return {"clocks": tuple(longer if clock is chosen else clock for clock in held)}


AFTER_END: dict[str, Special] = {  # what touches the clocks of an ended case too
    "reply_supervision": _replied, "lift_supervision": _replied, "withdraw_breach": contests.breach_withdrawn,
}  # fmt: skip
SPECIAL: dict[str, Special] = AFTER_END | {
    overlays.OFFER_TIMED_OUT: _timed_out,
    "triage": _regraded, "amend": _regraded, "offer_up": _offered, "take": _answered, "return": _answered, "assign_down": _answered,
    "suspend": _paused, "shelve": _paused, "resume": _resumed, "unshelve": _resumed, "supervise": _supervised, "extend": _extended,
    "repin": repinning.repinned, "sign_report": filing.signed, "reopen": _reopened,
}  # fmt: skip


def to_extend(state: IncidentCase, command: IncidentCommand) -> Clock | None:
    """The running clock that an extension names; the newest of its purpose."""
    return next((clock for clock in reversed(state.clocks) if clock.purpose == command.purpose and not clock.stopped_at), None)


def why_not_extend(state: IncidentCase, command: IncidentCommand, now: int) -> Refusal | None:
    clock = to_extend(state, command)
    if clock is None:
        return Refusal.CLOCK_UNKNOWN
    rule = rule_of(state, clock)
    if not rule.extension:
        return Refusal.NOT_EXTENSIBLE
    if clock.extended:
        return Refusal.ALREADY_EXTENDED
    if clock.told & Mark.DUE or clock.due_at <= point(clock, now):
        return Refusal.ALREADY_DUE
    return None if may_extend(clock, rule, command.amount or rule.extension, now) else Refusal.TOO_LONG


def without_idle(state: IncidentCase) -> IncidentCase:
    """Ladders end with their clocks; who was told is waited for no longer also when they rest."""
    state = replace(state, climbs=_climbs(state)) if state.climbs else state
    return replace(state, awaiting=live(state)) if state.awaiting else state


def _climbs(state: IncidentCase) -> tuple[Any, ...]:
    running = {key_of(clock) for clock in state.clocks if not clock.stopped_at}
    return tuple(climb for climb in state.climbs if key_of(climb) in running)
