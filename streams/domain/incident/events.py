"""The event of an incident: the shared envelope, and how the case stands after it."""

from __future__ import annotations

from typing import Any

from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.clocks import Light
from schemas.state.clock import Clock
from schemas.state.incident_case.event import IncidentCase
from schemas.topics import INCIDENT_EVENTS
from streams.domain.clocks.running import is_paused
from streams.domain.commands import EVENT, Places, envelope
from streams.domain.core import Emit, Source
from streams.domain.incident import overlays
from streams.domain.incident.handing import handovers
from streams.domain.incident.table import ENDED_TEXTS

LIGHTS = (Light.GREEN.value, Light.YELLOW.value, Light.RED.value, Light.DEEP_RED.value)


class Saying(Places):
    """The events that one record causes, in order and each with its hand-overs, and whom they tell."""

    def __init__(self, source: Source, now: int, named: int = 0) -> None:
        super().__init__(source, now, named)
        self.emits: list[Emit] = []

    def say(
        self, before: IncidentCase | None, after: IncidentCase, command: IncidentCommand, event_type: str, rule: str = "", **more: Any
    ) -> None:
        """`more`: fields of the event beside those that the case says."""
        position = self.take() if self.emits else EVENT
        record = IncidentEvent(
            **envelope("incident", event_type, rule, before, after, command, self.source, position, self.now),
            incident_type=after.incident_type,
            type_from=before.incident_type if before else "",
            grade=after.grade,
            reassignments=after.reassignments,
            reopens=after.reopens,
            mirrored=after.mirrored,
            clocks=changed_clocks(before, after),
            holder_level_from=before.holder_level if before else "",
            offered_level_from=before.upstream.level if before and before.upstream and overlays.is_offered(before) else "",
            **_standing(before, after),
            **more,
        )
        self.emits.append(Emit(INCIDENT_EVENTS, command.realm, after.case_id, record, position))
        self.emits += handovers(before, after, command, record, self)


def light_of(state: IncidentCase) -> str:
    """The worst light of the running clocks; "" when none runs. Marks are settled before anything else, so what was told is the light."""
    if state.state in ENDED_TEXTS:
        return ""
    told = [clock.told for clock in state.clocks if not clock.stopped_at]
    return LIGHTS[max(told).bit_length()] if told else ""


def about(clock: Clock) -> dict[str, Any]:
    """The fields of an event that is about one clock."""
    return {
        "clock": clock.purpose, "clock_holder": clock.holder, "clock_due_at": clock.due_at,
        "clock_breached_at": 0 if clock.retracted else clock.breached_at,
    }  # fmt: skip


def changed_clocks(before: IncidentCase | None, after: IncidentCase) -> tuple[Clock, ...]:
    """The clocks that were started or changed, as they are now. No clock of a case moves to another place among its clocks."""
    old, new = before.clocks if before else (), after.clocks
    if old is new:
        return ()
    kept = len(old)
    return tuple(clock for at, clock in enumerate(new) if at >= kept or (clock is not old[at] and clock != old[at]))


def _standing(before: IncidentCase | None, after: IncidentCase) -> dict[str, Any]:
    """How the case stands; what nothing lies over says nothing."""
    ended = after.state in ENDED_TEXTS
    running = [] if ended else [clock.due_at for clock in after.clocks if not clock.stopped_at and not is_paused(clock)]
    fields: dict[str, Any] = {
        "wakes_at": after.next_due,
        "light": light_of(after),
        "light_from": light_of(before) if before else "",
        "due_at": min(running, default=0),
        "held_ms": _held(before, after) if before else 0,
    }
    if after.mirrored:
        return fields | {"source_due_at": after.source_due_at}
    fields |= {
        "earliest_at": overlays.earliest(after) if after.merged else after.opened_at,
        "response_level": after.response_level,
    }
    if after.upstream:
        fields |= {"upstream_state": after.upstream.state, "upstream_level": after.upstream.level}
    if after.suspended:
        fields |= {"suspended_reason": after.suspended.reason, "suspension_ends_at": after.suspended.until}
    if after.shelved:
        fields["review_at"] = after.shelved.review_at
    if after.supervised:
        owed = [one.reply_due for one in overlays.in_force(after) if not one.replied_at]
        fields |= {"supervised_rung": overlays.rung_in_force(after), "reply_due_at": min(owed, default=0)}
    if after.joint:
        fields |= {"lead": after.joint.lead, "open_tasks": len(overlays.open_tasks(after))}
    if after.merged:
        fields["merged_count"] = len(after.merged)
    if after.merged_into:
        fields["merged_into"] = after.merged_into
    return fields


def _held(before: IncidentCase, after: IncidentCase) -> int:
    """How long the holder before this event had it, where that ended."""
    last = len(before.segments) - 1
    if last < 0 or before.segments[last].until or not after.segments[last].until:
        return 0
    return after.segments[last].until - after.segments[last].since
