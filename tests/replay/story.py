"""One worked incident, from a grid to the province and back, through the pure core: `python -m tests.replay.story [--write]`.

Every line of the golden text is an event: when, what, by whom, who holds it, its worst light, what is due next, and who was told.
The case is woken at each of its own deadlines, as the platform's timers do. The README tells it as a story.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from schemas import ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.incident_event.event import IncidentEvent
from schemas.avro.notification.event import Notification
from schemas.avro.outcome.event import Outcome
from schemas.state.incident_case.event import IncidentCase
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from streams.domain.incident.settling import wake_up
from tests.helpers import blank

GOLDEN = Path(__file__).with_name("story.txt")
CHINA = timezone(timedelta(hours=8))
VILLAGE, TOWN, COUNTY, CITY, PROVINCE = "440232113202", "440232113", "440232", "440200", "440000"
LEVELS = {"grid": VILLAGE, "village": VILLAGE, "town": TOWN, "county": COUNTY, "city": CITY, "province": PROVINCE}
CASE = ids.case_id("replay", "story", "1")
Step = tuple[str, str, str, str, dict[str, Any]]

STEPS: tuple[Step, ...] = (
    # when (2026, China), command, level, person, more
    ("09-30 16:10", "capture", "grid", "grid-7", {"incident_type": "A10400", "person": "hash-of-villager"}),
    ("09-30 16:12", "offer_up", "village", "grid-7", {"reason": "beyond_us"}),
    ("09-30 16:15", "take", "town", "town-1", {}),
    ("09-30 16:16", "accept", "town", "town-1", {}),
    ("09-30 16:20", "triage", "town", "town-1", {"grade": 3}),
    ("09-30 16:22", "draft_report", "town", "town-1", {"stage": "first", "level": "county", "paper": "必背报〔2026〕11号"}),
    ("09-30 16:23", "sign_report", "town", "town-1", {"stage": "first"}),  # refused: who drafts does not sign
    ("09-30 16:30", "sign_report", "town", "town-head", {"stage": "first"}),
    ("09-30 16:31", "offer_up", "town", "town-1", {"reason": "beyond_us"}),
    ("09-30 16:40", "take", "county", "county-1", {}),
    ("09-30 16:44", "assign", "county", "county-1", {"org": "乳源自然资源局"}),
    ("09-30 17:05", "sign", "county", "geologist", {"org": "乳源自然资源局"}),
    ("09-30 17:20", "convene", "county", "geologist", {"orgs": ("必背镇政府", "乳源消防救援大队")}),
    ("09-30 17:40", "draft_report", "county", "county-1", {"stage": "first", "level": "city", "paper": "乳源报〔2026〕86号"}),
    ("09-30 17:52", "sign_report", "county", "county-head", {"stage": "first"}),
    ("10-01 03:20", "triage", "county", "county-2", {"grade": 2}),  # at night, on a holiday: the slope moves
    ("10-01 03:30", "draft_report", "county", "county-2", {"stage": "next", "level": "city", "paper": "乳源报〔2026〕87号"}),
    ("10-01 03:41", "sign_report", "county", "county-head", {"stage": "next"}),
    ("10-01 03:45", "offer_up", "county", "county-2", {"reason": "beyond_us"}),
    # nobody answers at the city: the offer climbs by itself
    ("10-01 04:06", "take", "province", "province-1", {}),
    ("10-01 04:08", "acknowledge", "city", "city-1", {}),
    ("10-01 04:10", "respond", "province", "province-1", {"response_level": 3}),
    ("10-01 04:12", "draft_report", "city", "city-1", {"stage": "first", "level": "province", "paper": "韶报〔2026〕42号"}),
    ("10-01 04:17", "sign_report", "city", "city-head", {"stage": "first", "level": "province"}),
    ("10-01 04:20", "assign_down", "province", "province-1", {"level": "county", "org": "乳源自然资源局"}),
    ("10-01 04:30", "supervise", "province", "province-1", {"rung": "remind", "paper": "粤督〔2026〕5号"}),
    ("10-01 09:30", "task_done", "county", "town-head", {"org": "必背镇政府"}),
    ("10-01 11:00", "task_done", "county", "fireman", {"org": "乳源消防救援大队"}),
    ("10-01 12:00", "reply_supervision", "county", "county-1", {"rung": "remind"}),
    ("10-02 10:00", "report", "county", "geologist", {"evidence": True}),
    ("10-02 10:05", "verify_ok", "county", "geologist", {}),  # refused: who handles does not verify
    ("10-02 15:00", "verify_ok", "county", "county-1", {}),
    ("10-02 16:00", "lift_supervision", "province", "province-1", {"rung": "remind"}),
    ("10-05 09:00", "reopen", "county", "", {"reason": "came_back", "person": "hash-of-villager"}),
    ("10-05 18:00", "report", "county", "geologist", {"evidence": True}),
    ("10-05 19:00", "verify_ok", "county", "county-2", {}),
    ("10-06 09:00", "evaluate", "county", "county-2", {"score": 5}),
)  # fmt: skip


def told() -> list[str]:
    """The story, a line for each event and each refusal."""
    state: IncidentCase | None = None
    lines: list[str] = []
    offset = 0
    for when, name, level, person, more in STEPS:
        now = _ms(when)
        while state and 0 < state.next_due < now:
            offset += 1
            woken = wake_up(CASE, state.next_due, "replay")
            state = _decided(state, woken, offset, state.next_due, lines)
        offset += 1
        state = _decided(state, _command(offset, now, name, level, person, more), offset, now, lines)
    assert state
    total = sum(segment.until - segment.since for segment in state.segments)
    lines.append(f"账 {len(state.segments)} segments, {_span(total)}")
    lines += [f"   {segment.level:<8} {segment.holder:<20} {_span(segment.until - segment.since)}" for segment in state.segments]
    return lines


def _command(number: int, now: int, name: str, level: str, person: str, more: dict[str, Any]) -> IncidentCommand:
    values: dict[str, Any] = blank(IncidentCommand)
    values |= {
        "command_id": ids.command_id("replay", "story", str(number)), "case_id": CASE, "name": name, "realm": "replay", "expected_seq": -1,
        "division": VILLAGE, "actor_person": person, "actor_org": more.get("org") or f"{LEVELS[level]}-desk", "actor_role": "desk",
        "actor_level": level, "actor_division": LEVELS[level], "occurred_at": now, "occurred_offset": 480, "received_at": now,
        "cause": "user", "producer": "story", "source_version": 0, "reassignments": -1, "reopens": -1, "grade": 0, "evidence": False,
        "src_partition": -1, "src_offset": -1, "src_position": -1,
    }  # fmt: skip
    return IncidentCommand(**values | more)


def _decided(state: IncidentCase | None, command: IncidentCommand, offset: int, now: int, lines: list[str]) -> IncidentCase | None:
    decision = decide(state, command, Source("replay.incident.commands", 0, offset), now)
    for emit in decision.emits:
        record = emit.record
        if isinstance(record, IncidentEvent):
            lines.append(_line(record))
        elif isinstance(record, Notification):
            lines.append(f"{'':11}  ☎ {record.target_kind} {record.target} ({record.cause})")
        elif isinstance(record, Outcome) and record.reason:
            lines.append(f"{_when(now)}  ✗ {command.name} by {command.actor_person}: {record.reason}")
    return decision.state


def _line(event: IncidentEvent) -> str:
    who = event.actor_person or event.cause
    what = event.type.removeprefix("incident.") + (f" {event.clock}" if event.clock else "")
    due = f"due {_when(event.due_at)}" if event.due_at else "no clock runs"
    return f"{_when(event.occurred_at)}  {what:<26} {who:<12} {event.state:<9} {event.holder_level:<8} {event.light or '-':<8} {due}"


def _ms(text: str) -> int:
    return int(datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=CHINA).timestamp() * 1000)


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, CHINA).strftime("%m-%d %H:%M" if not ms // 1000 % 60 else "%m-%d %H:%M:%S")


def _span(ms: int) -> str:
    minutes = ms // 60_000
    return f"{minutes // 1440} d {minutes // 60 % 24:02d}:{minutes % 60:02d}"


if __name__ == "__main__":
    text = "\n".join(told()) + "\n"
    if "--write" in sys.argv:
        GOLDEN.write_text(text, encoding="utf-8")
    print(text, end="")
