"""What lies over the state of an incident: an offer to the level above, a joint handling, a suspension, a shelf, supervision, a merge.

Questions for the guards first, then the changes that a command makes; guards have been asked by then.
"""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.avro.incident_command.event import IncidentCommand
from schemas.policy.terms import Purpose
from schemas.state.clock import Clock
from schemas.state.incident_case.event import IncidentCase, Joint, MergedCase, Sender, Shelved, Supervision, Suspended, Task, Upstream
from streams.domain.incident import rules
from streams.domain.incident.levels import desk_of, next_above, next_below, rank

OFFERED, TAKEN = "offered", "taken"
OFFER_TIMED_OUT = "offer_timed_out"  # rule: an offer was not answered in time
TASK_OPEN, TASK_DONE, TASK_WAIVED = "open", "done", "waived"
Fields = dict[str, Any]
replace = msgspec.structs.replace


# --- 上报: offered up, taken, handed down ------------------------------------------------------------------------------


def is_offered(state: IncidentCase) -> bool:
    return state.upstream is not None and state.upstream.state == OFFERED


def is_of_offer(state: IncidentCase, clock: Clock) -> bool:
    """Whether it counts the answer to the open offer: supervisions are answered against clocks of the same purpose, at lower levels."""
    asked = state.upstream if is_offered(state) else None
    return asked is not None and (clock.purpose, clock.started_at, clock.level) == (Purpose.REPLY, asked.since, asked.level)


def is_of_paper(paper: Supervision, clock: Clock) -> bool:
    """Whether it counts the answer to that paper. Papers of one moment to one holder have one clock: that of the last."""
    return (clock.purpose, clock.started_at, clock.holder) == (Purpose.REPLY, paper.issued_at, paper.holder)


def owed_too(state: IncidentCase, paper: Supervision) -> bool:
    """Whether the clock of a paper that was answered counts for another one that was not."""
    same = [one for one in in_force(state) if (one.issued_at, one.holder) == (paper.issued_at, paper.holder)]
    return any(not one.replied_at for one in same)


def level_after(state: IncidentCase) -> str:
    """Which level is asked next when nobody answers; "" when the offer stays where it is."""
    assert state.upstream
    above, highest = next_above(state.division, state.upstream.level), rules.highest_asked(state)
    return above if above and rank(above) <= rank(highest) else ""


def offered_level(state: IncidentCase, command: IncidentCommand) -> str:
    """The level that is asked; the next one above the holder's without a name. "" when there is none."""
    if command.level and not desk_of(state.division, command.level):
        return ""
    return command.level or next_above(state.division, state.holder_level)


def handed_level(state: IncidentCase, command: IncidentCommand) -> str:
    return command.level or next_below(state.division, state.holder_level)


def offer_up(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    """先期处置: the holder keeps its duty until the offer is taken."""
    offer = Upstream(OFFERED, offered_level(state, command), command.actor_org or state.holder, now)
    return {"upstream": offer, "senders": _sent_by(state, state.holder, state.holder_level)}


def climb(state: IncidentCase, level: str, now: int) -> Fields:
    """An offer that was not answered in time: another level is asked, by the same holder."""
    assert state.upstream
    return {"upstream": replace(state.upstream, level=level, since=now)}


def take(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    desk = command.actor_org or desk_of(state.division, command.actor_level)
    return _held_by(state, desk, command.actor_level) | {"upstream": Upstream(TAKEN, command.actor_level, desk, now)}


def return_(_state: IncidentCase, _command: IncidentCommand, _now: int) -> Fields:
    return {"upstream": None}


def assign_down(state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    sent = _sent_by(state, command.actor_org, command.actor_level)
    return _held_by(state, command.org, handed_level(state, command)) | {"upstream": None, "senders": sent}


def _sent_by(state: IncidentCase, org: str, level: str) -> tuple[Sender, ...]:
    """The desk of a level hears how the case ends; the last one stands last."""
    desk = desk_of(state.division, level) or org
    return (*(one for one in state.senders if one.desk != desk), Sender(desk, level))


def _held_by(state: IncidentCase, holder: str, level: str) -> Fields:
    return {"holder": holder, "holder_level": level, "reassignments": state.reassignments + (holder != state.holder)}


# --- 联合处置 -----------------------------------------------------------------------------------------------------------


def open_tasks(state: IncidentCase) -> tuple[Task, ...]:
    return tuple(task for task in state.joint.tasks if task.state == TASK_OPEN) if state.joint else ()


def task_org(command: IncidentCommand) -> str:
    """Whose task: the organisation named, else the actor's own."""
    return command.org or command.actor_org


def convene(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    """The lead stays; an organisation whose task is open gets no second one."""
    held = state.joint or Joint(command.actor_org or state.holder, ())
    busy = {task.org for task in open_tasks(state)}
    fresh = tuple(Task(org, TASK_OPEN, now, 0) for org in dict.fromkeys(command.orgs) if org not in busy)
    return {"joint": replace(held, tasks=held.tasks + fresh)}


def task_done(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    return _task_ends(state, command, now, TASK_DONE)


def task_waive(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    return _task_ends(state, command, now, TASK_WAIVED)


def _task_ends(state: IncidentCase, command: IncidentCommand, now: int, end: str) -> Fields:
    assert state.joint
    named = task_org(command)
    ended = [replace(task, state=end, done_at=now) if task.org == named and task.state == TASK_OPEN else task for task in state.joint.tasks]
    return {"joint": replace(state.joint, tasks=tuple(ended))}


# --- 中止, 挂账 ---------------------------------------------------------------------------------------------------------


def suspend(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    until = command.until or rules.longest_suspension(state, command.reason, now)
    return {"suspended": Suspended(command.reason, now, until, command.actor_person)}


def resume(_state: IncidentCase, _command: IncidentCommand, _now: int) -> Fields:
    return {"suspended": None}


def shelve(_state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    return {"shelved": Shelved(now, command.until, command.actor_person)}


def unshelve(_state: IncidentCase, _command: IncidentCommand, _now: int) -> Fields:
    return {"shelved": None}


# --- 督办 ---------------------------------------------------------------------------------------------------------------


def in_force(state: IncidentCase) -> tuple[Supervision, ...]:
    return tuple(one for one in state.supervised if not one.lifted_at)


def rung_in_force(state: IncidentCase) -> str:
    """The highest; "" when the case is not supervised."""
    ladder = rules.rungs(state)
    return max((one.rung for one in in_force(state)), key=ladder.index, default="")


def supervision_to_reply(state: IncidentCase, command: IncidentCommand) -> Supervision | None:
    """The oldest that waits; of the named rung where one is named."""
    return next((one for one in in_force(state) if not one.replied_at and command.rung in ("", one.rung)), None)


def supervision_to_lift(state: IncidentCase, command: IncidentCommand) -> Supervision | None:
    """The newest of the actor's own; of the named rung where one is named."""
    mine = [one for one in in_force(state) if one.issuer == command.actor_org and command.rung in ("", one.rung)]
    return mine[-1] if mine else None


def supervise(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    """The due time of the reply is that of its clock, filled in by timing."""
    paper = Supervision(command.rung, command.actor_org, command.actor_level, command.paper, now, 0, 0, 0, state.holder)
    return {"supervised": (*state.supervised, paper)}


def reply_supervision(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    chosen = supervision_to_reply(state, command)
    return {"supervised": tuple(replace(one, replied_at=now) if one is chosen else one for one in state.supervised)}


def lift_supervision(state: IncidentCase, command: IncidentCommand, now: int) -> Fields:
    chosen = supervision_to_lift(state, command)
    return {"supervised": tuple(replace(one, lifted_at=now) if one is chosen else one for one in state.supervised)}


# --- 并案 ---------------------------------------------------------------------------------------------------------------


def merge_into(state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    return {"merged_into": command.target, "before": state.state}


def split(state: IncidentCase, _command: IncidentCommand, _now: int) -> Fields:
    return {"merged_into": "", "before": "", "state": state.before}


def absorb(state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    others = tuple(one for one in state.merged if one.case_id != command.target)
    return {"merged": (*others, MergedCase(command.target, command.linked_at, command.linked))}


def release(state: IncidentCase, command: IncidentCommand, _now: int) -> Fields:
    return {"merged": tuple(one for one in state.merged if one.case_id != command.target)}


def earliest(state: IncidentCase) -> int:
    """Earliest opening among the case and those merged into it: for statistics, not for blame."""
    return min([state.opened_at, *(one.opened_at for one in state.merged)])
