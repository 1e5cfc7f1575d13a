"""Hand-overs: what one desk hands, asks or answers another, and how a case ends for every desk that had handed it on (lasting sight).

Each goes to the topic of the level that must look now; levels that have no desk of their own (a grid, a unit) get none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from schemas import ids
from schemas.avro.handover.event import Handover
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.state.incident_case.event import IncidentCase, Sender, Supervision
from schemas.topics import DESKS
from streams.domain.commands import Places
from streams.domain.core import Emit
from streams.domain.incident import overlays
from streams.domain.incident.levels import desk_of
from streams.domain.incident.table import ENDED_TEXTS

OFFERED, TAKEN, RETURNED, TIMED_OUT, HANDED_DOWN = "offered", "taken", "returned", "timed_out", "handed_down"
SUPERVISED, REPLIED, LIFTED, TASK, ENDED = "supervised", "replied", "lifted", "task", "ended"


class Party(NamedTuple):
    desk: str
    level: str
    org: str


class Handing(NamedTuple):
    kind: str
    sender: Party
    to: Party
    due_at: int = 0
    rung: str = ""
    paper: str = ""
    task: str = ""


Maker = Callable[[IncidentCase, IncidentCase, IncidentCommand], list[Handing]]


def handovers(
    before: IncidentCase | None, after: IncidentCase, command: IncidentCommand, event: IncidentEvent, places: Places
) -> list[Emit]:
    """Those that an event makes."""
    maker = MAKERS.get(event.type)
    ends = after.senders and after.state in ENDED_TEXTS and before is not None and before.state not in ENDED_TEXTS
    if not maker and not ends:
        return []
    found = maker(before, after, command) if maker and before else []
    if ends:
        found += [Handing(ENDED, _holder(after), _of_sender(one)) for one in after.senders]
    return [_emit(one, after, command, event, places) for one in found if one.to.level in DESKS]


def _emit(one: Handing, after: IncidentCase, command: IncidentCommand, event: IncidentEvent, places: Places) -> Emit:
    source, position = places.source, places.take()
    record = Handover(
        handover_id=ids.derived_id(*source, position, places.now),
        case_id=after.case_id,
        case_number=after.case_number,
        case_seq=after.seq,
        case_kind="incident",
        realm=command.realm,
        kind=one.kind,
        to_desk=one.to.desk,
        to_level=one.to.level,
        to_org=one.to.org,
        from_desk=one.sender.desk,
        from_level=one.sender.level,
        due_at=one.due_at,
        reason=command.reason,
        rule=event.rule,
        rung=one.rung,
        paper=one.paper,
        task=one.task,
        division=after.division,
        county=after.county,
        incident_type=after.incident_type,
        grade=after.grade,
        title=after.title,
        state=after.state,
        holder=after.holder,
        holder_level=after.holder_level,
        round=after.round,
        policy_version=after.policy_version,
        command_id=command.command_id,
        opened_at=after.opened_at,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        home_cluster=after.home_cluster,
        ownership_epoch=after.ownership_epoch,
        src_topic=source.topic,
        src_partition=source.partition,
        src_offset=source.offset,
        src_position=position,
    )
    return Emit(DESKS[one.to.level], command.realm, after.case_id, record, position)


# --- parties ------------------------------------------------------------------------------------------------------------


def _party(state: IncidentCase, level: str, org: str = "") -> Party:
    """The desk of a level; the organisation itself where the place has none."""
    desk = desk_of(state.division, level) or org
    return Party(desk, level, org or desk)


def _holder(state: IncidentCase) -> Party:
    return _party(state, state.holder_level, state.holder)


def _actor(state: IncidentCase, command: IncidentCommand) -> Party:
    return _party(state, command.actor_level, command.actor_org)


def _of_sender(one: Sender) -> Party:
    return Party(one.desk, one.level, one.desk)


def _offerer(state: IncidentCase) -> Party:
    return _of_sender(state.senders[-1]) if state.senders else _holder(state)


def _reply_due(state: IncidentCase, since: int) -> int:
    """Due time of the answer that has been owed since then; 0: none is."""
    return next((c.due_at for c in reversed(state.clocks) if (c.purpose, c.started_at, c.stopped_at) == ("reply", since, 0)), 0)


# --- what each event hands -----------------------------------------------------------------------------------------------


def _offered(_before: IncidentCase, after: IncidentCase, _command: IncidentCommand) -> list[Handing]:
    assert after.upstream
    asked = _party(after, after.upstream.level)
    return [Handing(OFFERED, _offerer(after), asked, _reply_due(after, after.upstream.since))]


def _taken(before: IncidentCase, after: IncidentCase, _command: IncidentCommand) -> list[Handing]:
    return [Handing(TAKEN, _holder(after), _offerer(before))]


def _returned(before: IncidentCase, after: IncidentCase, command: IncidentCommand) -> list[Handing]:
    return [Handing(RETURNED, _actor(after, command), _offerer(before))]


def _timed_out(before: IncidentCase, after: IncidentCase, command: IncidentCommand) -> list[Handing]:
    """Who offered and who did not answer both hear of it; the next level is asked in its turn."""
    assert before.upstream
    assert after.upstream
    missed, offerer = _party(after, before.upstream.level), _offerer(after)
    heard = [Handing(TIMED_OUT, missed, offerer), Handing(TIMED_OUT, offerer, missed)]
    return heard + (_offered(before, after, command) if after.upstream is not before.upstream else [])


def _handed_down(before: IncidentCase, after: IncidentCase, command: IncidentCommand) -> list[Handing]:
    """To who has it now; and an offer that was open has its answer."""
    sender, to = _actor(after, command), _holder(after)
    found = [Handing(HANDED_DOWN, sender, to)]
    if overlays.is_offered(before) and _offerer(before).desk not in (sender.desk, to.desk):
        found.append(Handing(HANDED_DOWN, sender, _offerer(before)))
    return found


def _supervised(_before: IncidentCase, after: IncidentCase, _command: IncidentCommand) -> list[Handing]:
    paper = after.supervised[-1]
    return [Handing(SUPERVISED, _issuer(after, paper), _holder(after), paper.reply_due, paper.rung, paper.paper)]


def _replied(before: IncidentCase, after: IncidentCase, command: IncidentCommand) -> list[Handing]:
    return [
        Handing(REPLIED, _actor(after, command), _issuer(after, one), 0, one.rung, command.paper or one.paper)
        for one in _changed(before, after)
    ]


def _lifted(before: IncidentCase, after: IncidentCase, command: IncidentCommand) -> list[Handing]:
    return [
        Handing(LIFTED, _issuer(after, one), _holder(after), 0, one.rung, command.paper or one.paper) for one in _changed(before, after)
    ]


def _issuer(state: IncidentCase, paper: Supervision) -> Party:
    return _party(state, paper.issuer_level, paper.issuer)


def _changed(before: IncidentCase, after: IncidentCase) -> list[Supervision]:
    return [new for old, new in zip(before.supervised, after.supervised, strict=True) if old != new]


def _tasks(before: IncidentCase, after: IncidentCase, _command: IncidentCommand) -> list[Handing]:
    """To each organisation that gets a task; they work at the level of the lead."""
    assert after.joint
    fresh = after.joint.tasks[len(before.joint.tasks) if before.joint else 0 :]
    lead = _party(after, after.holder_level, after.joint.lead)
    return [Handing(TASK, lead, _party(after, after.holder_level, task.org), task=task.state) for task in fresh]


def _task_ended(_before: IncidentCase, after: IncidentCase, command: IncidentCommand) -> list[Handing]:
    """The lead hears that a task is done, the organisation that it is waived."""
    assert after.joint
    org = _party(after, after.holder_level, overlays.task_org(command))
    lead = _party(after, after.holder_level, after.joint.lead)
    if command.name == "task_waive":
        return [Handing(TASK, lead, org, task=overlays.TASK_WAIVED)]
    return [Handing(TASK, org, lead, task=overlays.TASK_DONE)]


MAKERS: dict[str, Maker] = {  # by type of the event
    "incident.offered_up": _offered, "incident.taken": _taken, "incident.offer_returned": _returned,
    "incident.offer_timed_out": _timed_out, "incident.assigned_down": _handed_down, "incident.supervised": _supervised,
    "incident.supervision_replied": _replied, "incident.supervision_lifted": _lifted, "incident.convened": _tasks,
    "incident.task_done": _task_ended, "incident.task_waived": _task_ended,
}  # fmt: skip
