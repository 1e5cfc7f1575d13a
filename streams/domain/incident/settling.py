"""What a case does by itself: every deadline that has passed by now is settled in its order, each as at its own moment.

So how often a case is woken changes nothing: what was due at ten past is told with that time, by whichever record comes next.
"""

from __future__ import annotations

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.clocks import Mark
from schemas.state.clock import Clock
from schemas.state.incident_case.event import Climb, IncidentCase
from streams.domain.clocks.clock import tell
from streams.domain.commands import MOST_EVENTS
from streams.domain.incident import overlays, rules
from streams.domain.incident.effects import EFFECTS
from streams.domain.incident.events import Saying, about
from streams.domain.incident.levels import desk_of
from streams.domain.incident.table import WAKE
from streams.domain.incident.timing import timed
from streams.domain.incident.wanting import MARK, RESUME, STEP, Wanted, climbed, next_due, next_step, wanted

CHINA_MINUTES = 480
TOLD = {Mark.WARNING: "incident.clock_warning", Mark.DUE: "incident.clock_due", Mark.OVERDUE: "incident.clock_overdue"}
SUSPENSION_OVER, REVIEW_DUE, LADDER = "suspension_over", "review_due", "lateness_ladder"
replace = msgspec.structs.replace


def settled(state: IncidentCase, command: IncidentCommand, saying: Saying) -> IncidentCase:
    """The case after all that was due up to the present, which `saying` knows; the same object when nothing was."""
    if not 0 < state.next_due <= saying.now:
        return state
    while len(saying.emits) < MOST_EVENTS - 2:  # the rest waits for the next wake-up
        first = min(wanted(state), default=None)
        if first is None or first.at > saying.now:
            break
        state = _one(state, first, _by_itself(command, first.at), saying)
    return replace(state, now=saying.now, next_due=next_due(state))


def wake_up(case_id: str, due: int, realm: str) -> IncidentCommand:
    """The lane's own record for a case that is due then (UTC milliseconds); it has no outcome and no id of its own."""
    return IncidentCommand(
        command_id="", case_id=case_id, name=WAKE, realm=realm, expected_seq=-1, division="", incident_type="", actor_person="",
        actor_org="", actor_role="", actor_level="", actor_division="", occurred_at=due, occurred_offset=CHINA_MINUTES, received_at=0,
        cause="timer", producer="", state="", source_version=0, holder="", reassignments=-1, reopens=-1, grade=0, org="", reason="",
        cell="", sealed_ref="", evidence=False, src_topic="", src_partition=-1, src_offset=-1, src_position=-1, home_cluster="",
    )  # fmt: skip


def _by_itself(command: IncidentCommand, at: int) -> IncidentCommand:
    """Nobody's command: what a timer does, at its own moment."""
    return replace(
        command, command_id="", name="", actor_person="", actor_org="", actor_role="", actor_level="", actor_division="",
        occurred_at=at, occurred_offset=CHINA_MINUTES, received_at=0, cause="timer", org="", level="", reason="", cell="", sealed_ref="",
        rung="", paper="", target="", person="", until=0,
    )  # fmt: skip


def _one(state: IncidentCase, first: Wanted, timer: IncidentCommand, saying: Saying) -> IncidentCase:
    if first.kind == MARK:
        return _mark(state, first, timer, saying)
    if first.kind == STEP:
        return _step(state, first.clock, timer, saying)
    name, rule = ("resume", SUSPENSION_OVER) if first.kind == RESUME else ("unshelve", REVIEW_DUE)
    timer = replace(timer, name=name)
    after = replace(state, seq=state.seq + 1, **EFFECTS[name](state, timer, first.at))
    after = timed(state, after, timer, first.at)
    saying.say(state, after, timer, f"incident.{name}d" if name == "resume" else "incident.unshelved", rule)
    return after


def _mark(state: IncidentCase, first: Wanted, timer: IncidentCommand, saying: Saying) -> IncidentCase:
    clocks = list(state.clocks)
    clock = clocks[first.clock] = tell(clocks[first.clock], Mark(first.mark))
    after = _next(state, clocks=tuple(clocks))
    saying.say(state, after, timer, TOLD[Mark(first.mark)], **about(clock))
    return after


def _step(state: IncidentCase, index: int, timer: IncidentCommand, saying: Saying) -> IncidentCase:
    """A step of the lateness ladder: it tells desks, and may have the level above supervise."""
    clock = state.clocks[index]
    step = next_step(state, clock)
    assert step is not None
    before = replace(state, climbs=_climbed(state, clock))
    rung = step.rung if step.rung and _rises(state, step.rung) else ""
    if not rung:
        after = _next(before)
        saying.say(state, after, timer, "incident.ran_late", LADDER, tell=step.tell, tell_level=step.level, **about(clock))
        return after
    timer = replace(timer, name="supervise", rung=rung, actor_org=desk_of(state.division, step.level), actor_level=step.level, cause="rule")
    after = replace(before, seq=state.seq + 1, **EFFECTS["supervise"](before, timer, timer.occurred_at))
    after = timed(state, after, timer, timer.occurred_at)
    saying.say(state, after, timer, "incident.supervised", LADDER, tell=step.tell, tell_level=step.level, **about(clock))
    return after


def _next(state: IncidentCase, **changes: object) -> IncidentCase:
    after = replace(state, seq=state.seq + 1, **changes)
    return replace(after, next_due=next_due(after))


def _rises(state: IncidentCase, rung: str) -> bool:
    standing, ladder = overlays.rung_in_force(state), rules.rungs(state)
    return not standing or ladder.index(rung) > ladder.index(standing)


def _climbed(state: IncidentCase, clock: Clock) -> tuple[Climb, ...]:
    done = climbed(state, clock) + 1
    key = (clock.purpose, clock.holder, clock.started_at)
    others = tuple(one for one in state.climbs if (one.purpose, one.holder, one.started_at) != key)
    return (*others, Climb(*key, done))
