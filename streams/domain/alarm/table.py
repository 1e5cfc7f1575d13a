"""Life cycle of an alarm 紧急求助, as a table: the one place of its states, classes and commands.

Base: research/mission.md 3.2, of which this is the first part: press, page, acknowledge, press again, close. Nothing closes an alarm
but a named person; no timer and no rule of ours does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

UNREACHED = "nobody_notified"  # of our own notifier: a page reached nobody; nobody outside may send it
PRESS = "press"  # makes an alarm, counts a repeat, opens it again or begins its next round; never refused


class State(StrEnum):
    RAISED = "raised"  # 报警
    ACKNOWLEDGED = "acknowledged"  # 应答
    CLOSED = "closed"  # 办结


class AlarmClass(StrEnum):
    LIFE = "life"  # 危及生命
    SAFETY = "safety"  # 安全
    MEDICAL = "medical"  # 医疗
    SERVICE = "service"  # 生活服务
    UNCLEAR = "unclear"  # 待判明: as urgent as life until a person knows better


URGENCY: dict[AlarmClass, int] = {
    AlarmClass.LIFE: 1, AlarmClass.UNCLEAR: 1, AlarmClass.SAFETY: 2, AlarmClass.MEDICAL: 2, AlarmClass.SERVICE: 3,
}  # fmt: skip
CLASS_NAMES: dict[AlarmClass, str] = {
    AlarmClass.LIFE: "危及生命", AlarmClass.SAFETY: "安全", AlarmClass.MEDICAL: "医疗", AlarmClass.SERVICE: "生活服务",
    AlarmClass.UNCLEAR: "待判明",
}  # fmt: skip


class Guard(StrEnum):
    """What a row asks besides its state."""

    PERSON = "person"  # a person is named who did it
    REASON = "reason"  # a reason code is given
    AWAITED = "awaited"  # the last page, and not one that another has followed


@dataclass(frozen=True, slots=True)
class Row:
    command: str
    sources: frozenset[State]
    target: State
    event: str  # type of the event it makes
    guards: tuple[Guard, ...]


TABLE: tuple[Row, ...] = (
    Row("ack", frozenset({State.RAISED}), State.ACKNOWLEDGED, "alarm.acknowledged", (Guard.PERSON,)),
    Row(UNREACHED, frozenset({State.RAISED}), State.RAISED, "alarm.no_one_notified", (Guard.AWAITED,)),
    Row("close", frozenset({State.ACKNOWLEDGED}), State.CLOSED, "alarm.closed", (Guard.PERSON, Guard.REASON)),
)
ROWS: dict[str, Row] = {row.command: row for row in TABLE}
COMMANDS: dict[str, Row] = {name: row for name, row in ROWS.items() if name != UNREACHED}
"""What people may ask, each with its row."""
