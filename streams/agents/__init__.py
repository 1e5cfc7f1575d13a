"""The lanes: every agent of the platform, in one explicit list. A lane is one Faust app, group and process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schemas.topics import ANALYTICS_TABLE, CASE_TABLE, INCIDENT_COMMANDS, INCIDENT_EVENTS, INTAKE, Topic
from streams.agents.analytics import AnalyticsProcessor
from streams.agents.case import CaseProcessor
from streams.agents.relay import RelayProcessor
from streams.engine.runner import Processor


@dataclass(frozen=True, slots=True)
class Lane:
    """`per_realm`: one process for each realm, so that a replay never slows the live one."""

    name: str
    inputs: Topic
    processor: Callable[[], Processor]
    table: Topic | None
    per_realm: bool


LANES: tuple[Lane, ...] = (
    Lane("relay", INTAKE, RelayProcessor, None, per_realm=False),
    Lane("case", INCIDENT_COMMANDS, CaseProcessor, CASE_TABLE, per_realm=True),
    Lane("analytics", INCIDENT_EVENTS, AnalyticsProcessor, ANALYTICS_TABLE, per_realm=False),
)
