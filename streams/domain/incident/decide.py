"""The decision of one incident: decide(state, command, source, now) -> Decision. Pure and total.

First everything that was due by now is settled (settling.py), then the command. Every command ends as exactly one outcome: applied (with
exactly one event of its own), repeated, or refused with a reason. A wake-up only settles and has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from schemas import calendar, ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.divisions import county_of, division, is_within
from schemas.errors import Refusal
from schemas.policies import latest
from schemas.state.clock import key_of
from schemas.state.incident_case.event import IncidentCase
from schemas.topics import INCIDENT_COMMANDS
from streams.domain.commands import COMMAND, answer, mark_of, remember, remembers
from streams.domain.core import Decision, Emit, Source
from streams.domain.incident import chains, contests, effects, filing, overlays, rules
from streams.domain.incident.effects import EFFECTS, entered_at, rule_of
from streams.domain.incident.events import Saying, about
from streams.domain.incident.guards import GUARDS
from streams.domain.incident.levels import desk_of
from streams.domain.incident.observe import OBSERVED, observe
from streams.domain.incident.settling import settled
from streams.domain.incident.table import ABSORB, CAPTURE, CELLS, OBSERVE, RELEASE, UNREACHED, WAKE, State
from streams.domain.incident.timing import timed

FILINGS = frozenset({"draft_report", "sign_report"})
replace = msgspec.structs.replace


def decide(state: IncidentCase | None, command: IncidentCommand, source: Source, now: int) -> Decision[IncidentCase]:
    """`now`: append time of the command's record, UTC milliseconds; time in a case never runs backwards."""
    now = max(now, state.now) if state else now
    saying = Saying(source, now, len(command.orgs))
    if state:
        state = settled(state, command, saying)
    if command.name == WAKE:
        return Decision(state, tuple(saying.emits))
    mark = mark_of(command)
    if state and remembers(state.recent, mark):
        return Decision(state, (*saying.emits, _outcome(command, source, now, state, "repeated")))
    change = _judge(state, command, now)
    recent = remember(state.recent if state else b"", mark)
    if isinstance(change, Refusal):
        after = replace(state, recent=recent, now=now) if state else None
        more = _inner(command, now, "split", command.target, change.value) if command.name == ABSORB else ()
        return Decision(after, (*saying.emits, _outcome(command, source, now, state, "refused", change), *more))
    event_type, rule, changes = change
    changes |= {"recent": recent, "now": now}
    after = replace(state, seq=state.seq + 1, **changes) if state else _new_case(command, changes)
    after = timed(state, after, command, now)
    saying.say(state, after, command, event_type, rule, **_more(state, after, command))
    said = (_outcome(command, source, now, after, "applied", rule=rule), *_saga(state, after, command, now))
    after = settled(after, command, saying)  # another grade or a split may bring deadlines on that have passed
    return Decision(after, (*saying.emits, *said))


Change = tuple[str, str, dict[str, Any]]  # event type, named rule, changed fields


def _judge(state: IncidentCase | None, command: IncidentCommand, now: int) -> Change | Refusal:
    if command.name == CAPTURE:
        return Refusal.ALREADY_EXISTS if state else ("incident.captured", "", {"state": State.CAPTURED})
    if command.name == OBSERVE:
        seen = observe(state, command)
        return seen if isinstance(seen, Refusal) else (OBSERVED, *seen)
    return _command(state, command, now)


def _command(state: IncidentCase | None, command: IncidentCommand, now: int) -> Change | Refusal:
    """A desk's command on a case of ours."""
    if state is None:
        return Refusal.NO_SUCH_CASE
    if not is_within(state.division, command.actor_division):
        return Refusal.OUT_OF_SCOPE
    if state.mirrored:
        return Refusal.MIRRORED
    if command.expected_seq not in (-1, state.seq):
        return Refusal.STALE_SEQ
    row = CELLS.get((command.name, state.state))
    if row is None:
        return Refusal.ILLEGAL_TRANSITION
    for guard in row.guards:
        refusal = GUARDS[guard](state, command, now)
        if refusal:
            return refusal
    changes: dict[str, Any] = {"state": row.target} if row.target else {}
    effect = EFFECTS.get(command.name)
    if effect:
        changes |= effect(state, command, now)
    return row.event, rule_of(state, command), changes


def _more(before: IncidentCase | None, after: IncidentCase, command: IncidentCommand) -> dict[str, Any]:
    """What the event says of the command itself, beside reason, cell and sealed record."""
    say = MORE.get(command.name)
    said = say(before, after, command) if say and before else _joined(after, command)
    if command.name in FILINGS:
        return said
    return said | {name: getattr(command, name) for name in ("score", "paper", "person") if getattr(command, name)}


def _joined(after: IncidentCase, command: IncidentCommand) -> dict[str, Any]:
    """Of a command that no row of MORE is for: whom or what it names; of a first fact, the clock it started."""
    if command.name == OBSERVE:
        return about(after.clocks[0]) if after.clocks else {}
    return {"target": command.target} if command.target else {}


def _observed(before: IncidentCase, after: IncidentCase, _: IncidentCommand) -> dict[str, Any]:
    return about(after.clocks[0]) if after.clocks and before.clocks is not after.clocks else {}


def _split(before: IncidentCase, _: IncidentCase, __: IncidentCommand) -> dict[str, Any]:
    return {"target": before.merged_into}


def _task(_: IncidentCase, __: IncidentCase, command: IncidentCommand) -> dict[str, Any]:
    return {"target": overlays.task_org(command)}


def _answered(before: IncidentCase, after: IncidentCase, command: IncidentCommand) -> dict[str, Any]:
    gone = chains.ended(before, after)
    if len({key_of(one) for one in gone}) != 1:
        return {}
    return about(chains.clock_of(before, gone)) | {"step": gone[0].step, "tell": chains.whom(gone)}


def _ruled(before: IncidentCase, after: IncidentCase, _: IncidentCommand) -> dict[str, Any]:
    touched = contests.touched(before, after)
    clock = contests.clock_of(touched, list(after.clocks)) if touched else None
    return about(clock) if clock else {}


def _filed(before: IncidentCase, after: IncidentCase, _: IncidentCommand) -> dict[str, Any]:
    """Ends with the first clock that the command stopped."""
    file = filing.touched(before, after)
    stopped = (new for old, new in zip(before.clocks, after.clocks, strict=False) if new.stopped_at and not old.stopped_at)
    of_clock = next((about(clock) for clock in stopped), {})
    return {"stage": file.stage, "paper": file.paper, "target": desk_of(after.division, file.level)} | of_clock


def _declined(_: IncidentCase, __: IncidentCase, command: IncidentCommand) -> dict[str, Any]:
    return {"target": command.org}  # where to turn instead


def _extended(before: IncidentCase, after: IncidentCase, _: IncidentCommand) -> dict[str, Any]:
    return about(next(new for old, new in zip(before.clocks, after.clocks, strict=True) if old is not new))


MORE: dict[str, Callable[[IncidentCase, IncidentCase, IncidentCommand], dict[str, Any]]] = {
    OBSERVE: _observed, "split": _split, "task_done": _task, "task_waive": _task, "acknowledge": _answered, UNREACHED: _answered,
    "contest": _ruled, "uphold_breach": _ruled, "withdraw_breach": _ruled, "draft_report": _filed, "sign_report": _filed,
    "decline": _declined, "extend": _extended,
}  # fmt: skip
"""By command, on a case that there is: what its event says beside the command's own fields."""


def _saga(before: IncidentCase | None, after: IncidentCase, command: IncidentCommand, now: int) -> tuple[Emit, ...]:
    """The other half of a merge or split: a command to the root, which answers with an outcome of its own."""
    if command.name == "merge_into" and before:
        return _inner(command, now, ABSORB, command.target, command.reason, after)
    if command.name == "split" and before and command.cause != "rule":  # else the root never had it
        return _inner(command, now, RELEASE, before.merged_into, command.reason, after)
    return ()


def _inner(command: IncidentCommand, now: int, name: str, to: str, reason: str, child: IncidentCase | None = None) -> tuple[Emit, ...]:
    """A command of the lane itself to another case, by the actor whose command it follows from. `child`: what a root inherits."""
    made = replace(
        command,
        command_id=ids.command_id(command.realm, "case", f"{command.command_id}:{name}"),
        case_id=to,
        name=name,
        expected_seq=-1,
        target=command.case_id,
        reason=reason,
        received_at=command.received_at or now,
        cause="rule",
        cell="",
        sealed_ref="",
        linked=child.reporters if child else (),
        linked_at=overlays.earliest(child) if child else 0,
    )
    return (Emit(INCIDENT_COMMANDS, command.realm, to, made, COMMAND),)


def _new_case(command: IncidentCommand, changes: dict[str, Any]) -> IncidentCase:
    """UnknownPolicy when the entrance stamped a version of a later release: a lane that is too old must not open the case otherwise."""
    holder, holder_level = entered_at(command)
    if command.policy_version:
        rules.book(command.policy_version)
    fields: dict[str, Any] = {
        "case_id": command.case_id,
        "case_number": ids.case_number(command.case_id, command.division, command.occurred_at),
        "seq": 1,
        "division": command.division,
        "county": county_of(command.division),
        "level": division(command.division).level,
        "incident_type": command.incident_type,
        "title": effects.title_of(command.incident_type, command.division),
        "grade": command.grade,
        "holder": holder,
        "holder_level": holder_level,
        "round": 1,
        "reassignments": 0,
        "reopens": 0,
        "objections": 0,
        "mirrored": command.name == OBSERVE,
        "source_version": 0,
        "producer": command.producer,
        "handler_person": "",
        "opened_at": command.occurred_at,
        "arrived_at": command.received_at or changes["now"],
        "policy_version": command.policy_version or latest(),
        "calendar_version": calendar.LATEST,
        "home_cluster": command.home_cluster,
        "ownership_epoch": 0,
        "reporters": (command.person,) if command.person else (),
    }
    return IncidentCase(**fields | changes)


def _outcome(
    command: IncidentCommand,
    source: Source,
    now: int,
    state: IncidentCase | None,
    outcome: str,
    refusal: Refusal | None = None,
    rule: str = "",
) -> Emit:
    seq, division_now = (state.seq, state.division) if state else (0, command.division)
    return answer(command, source, now, outcome, seq=seq, division=division_now, refusal=refusal, rule=rule)
