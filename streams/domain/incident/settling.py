"""What a case does by itself: every deadline that has passed by now is settled in its order, each as at its own moment.

So how often a case is woken changes no deadline: what was due at ten past is told with that time, by whichever record comes next, and so
is a paper of supervision that a ladder issues. Only how long people have to acknowledge counts from when they were really told, which
is the record's time: after a downtime nobody is passed over who could not have answered. Silence tells more people; it issues no paper.
"""

from __future__ import annotations

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.calendar import calendar
from schemas.clocks import Mark
from schemas.policy.terms import Whom
from schemas.state.clock import Clock, key_of
from schemas.state.incident_case.event import Climb, IncidentCase
from streams.domain.clocks.clock import tell
from streams.domain.incident import chains, overlays, rules
from streams.domain.incident.clocks import rule_of, stopped
from streams.domain.incident.effects import EFFECTS
from streams.domain.incident.events import Saying, about
from streams.domain.incident.levels import desk_of
from streams.domain.incident.rules import Ack, Step
from streams.domain.incident.table import WAKE
from streams.domain.incident.telling import Cause, pages
from streams.domain.incident.timing import timed, without_idle
from streams.domain.incident.wanting import AGAIN, MARK, RESUME, STEP, Wanted, climbed, next_due, next_step, step_of_silence, wanted

CHINA_MINUTES = 480
TOLD = {Mark.WARNING: "incident.clock_warning", Mark.DUE: "incident.clock_due", Mark.OVERDUE: "incident.clock_overdue"}
WINDOW_CLOSED = "incident.window_closed"
SUSPENSION_OVER, REVIEW_DUE, LADDER = "suspension_over", "review_due", "lateness_ladder"
replace = msgspec.structs.replace


def settled(state: IncidentCase, command: IncidentCommand, saying: Saying) -> IncidentCase:
    """The case after all that was due up to the present, which `saying` knows; the same object when nothing was."""
    if not 0 < state.next_due <= saying.now:
        return state
    while not saying.are_scarce:  # the rest waits for the next wake-up
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
        clock = state.clocks[first.clock]
        step = next_step(state, clock)
        assert step
        return _step(state, clock, step, timer, saying)
    if first.kind == AGAIN:
        return _again(state, state.clocks[first.clock], timer, saying)
    name, rule = ("resume", SUSPENSION_OVER) if first.kind == RESUME else ("unshelve", REVIEW_DUE)
    timer = replace(timer, name=name)
    after = replace(state, seq=state.seq + 1, **EFFECTS[name](state, timer, first.at))
    after = timed(state, after, timer, first.at)
    saying.say(state, after, timer, f"incident.{name}d" if name == "resume" else "incident.unshelved", rule)
    return after


def _mark(state: IncidentCase, first: Wanted, timer: IncidentCommand, saying: Saying) -> IncidentCase:
    clocks = list(state.clocks)
    if first.mark == Mark.DUE and rule_of(state, clocks[first.clock]).window:
        clock = clocks[first.clock] = stopped(state, clocks[first.clock], first.at, first.at)
        after = _next(without_idle(replace(state, clocks=tuple(clocks))))
        saying.say(state, after, timer, WINDOW_CLOSED, **about(clock))
        return after
    clock = clocks[first.clock] = tell(clocks[first.clock], Mark(first.mark))
    after = _next(state, clocks=tuple(clocks))
    saying.say(state, after, timer, TOLD[Mark(first.mark)], **about(clock))
    answered_late = first.mark == Mark.DUE and overlays.is_of_offer(after, clock)
    return _timed_out(after, clock, timer, saying) if answered_late else after


def _timed_out(state: IncidentCase, clock: Clock, timer: IncidentCommand, saying: Saying) -> IncidentCase:
    """An offer that nobody answered: the next level that the place has is asked, as far as the policy goes; the holder keeps its duty."""
    timer = replace(timer, name=overlays.OFFER_TIMED_OUT, cause="rule")
    level = overlays.level_after(state)
    after = replace(state, seq=state.seq + 1, **overlays.climb(state, level, timer.occurred_at)) if level else _next(state)
    after = timed(state, after, timer, timer.occurred_at) if level else after
    saying.say(state, after, timer, "incident.offer_timed_out", overlays.OFFER_TIMED_OUT, tell_level=level, **about(clock))
    return after


def _step(
    state: IncidentCase, clock: Clock, step: Step, timer: IncidentCommand, saying: Saying, cause: Cause = Cause.RAN_LATE
) -> IncidentCase:
    """A step of the lateness ladder: it tells desks, and at its own share may have the level above supervise. `cause`: why it comes now.
    One that silence brought on tells at once, and issues its paper when its share comes."""
    asked = rules.ack(state, clock.purpose)
    assert asked
    told, passed = climbed(state, clock)
    at_share = cause is Cause.RAN_LATE
    tell = step.tell if step.number > told else ""
    until = _until(asked, clock, saying)
    chain = chains.told(clock, tell, step.level, step.number, until)
    climb = Climb(*key_of(clock), max(told, step.number), step.number if at_share else passed)
    awaiting = chains.having(state, clock, chain) if chain else state.awaiting
    before = replace(state, climbs=_climbed(state, climb), awaiting=awaiting)
    rule = LADDER if at_share else cause.value
    more = about(clock) | {"tell": tell, "tell_level": step.level, "step": step.number, "ack_by": until if chain else 0}
    if at_share and step.rung and _rises(state, step.rung):
        desk = desk_of(state.division, step.level)
        order = replace(timer, name="supervise", rung=step.rung, actor_org=desk, actor_level=step.level, cause="rule")
        after = replace(before, seq=state.seq + 1, **EFFECTS["supervise"](before, order, order.occurred_at))
        after = timed(state, after, order, order.occurred_at)
        saying.say(state, after, order, "incident.supervised", rule, **more)
    else:
        after = _next(before)
        saying.say(state, after, timer, "incident.ran_late", rule, **more)
    saying.emits += pages(after, clock, chain, cause, timer, saying)
    return after


def _again(state: IncidentCase, clock: Clock, timer: IncidentCommand, saying: Saying) -> IncidentCase:
    """Nobody has acknowledged in time: they are told again, as often as the policy says; then the next step is told at once, as far as
    silence goes. So it is when nobody could be reached. Else it is said that nobody answered, and the ladder waits for its own time."""
    chain, asked = chains.chain_of(state, clock), rules.ack(state, clock.purpose)
    number, reached = chain[0].step, chain[0].whom != chains.NOBODY
    if reached and asked and chain[0].told <= asked.again:
        until = _until(asked, clock, saying)
        chain = tuple(replace(one, until=until, told=one.told + 1) for one in chain)
        after = _next(state, awaiting=chains.having(state, clock, chain))
        level = next((one.level for one in chain if one.whom == Whom.SUPERIOR_DESK), "")
        more = about(clock) | {"tell": chains.whom(chain), "tell_level": level, "step": number, "ack_by": until}
        saying.say(state, after, timer, "incident.told_again", Cause.UNACKNOWLEDGED.value, **more)
        saying.emits += pages(after, clock, chain, Cause.TOLD_AGAIN, timer, saying)
        return after
    cause = Cause.UNACKNOWLEDGED if reached else Cause.NO_ONE_NOTIFIED
    step = step_of_silence(state, clock, asked, reached=reached) if asked else None
    if step:
        return _step(state, clock, step, timer, saying, cause)
    after = _next(state, awaiting=chains.having(state, clock, ()))
    saying.say(state, after, timer, "incident.unacknowledged", cause.value, step=number, **about(clock))
    return after


def _until(asked: Ack, clock: Clock, saying: Saying) -> int:
    """By when who is told now must acknowledge: from when he is told, however long ago the step's own moment was."""
    return rules.ack_by(asked, calendar(clock.calendar), saying.now)


def _next(state: IncidentCase, **changes: object) -> IncidentCase:
    after = replace(state, seq=state.seq + 1, **changes)
    return replace(after, next_due=next_due(after))


def _rises(state: IncidentCase, rung: str) -> bool:
    standing, ladder = overlays.rung_in_force(state), rules.rungs(state)
    return not standing or ladder.index(rung) > ladder.index(standing)


def _climbed(state: IncidentCase, climb: Climb) -> tuple[Climb, ...]:
    return (*(one for one in state.climbs if key_of(one) != key_of(climb)), climb)
