"""The relay lane: departments' own Kafka records, validated and routed to the cases' commands.

A case gets the policies that were in force when the record was appended. What is written to the commands is the truth: should a replay
after a crash read another version, the command's mark says that it was there already.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import ConsumerRecord

from schemas.avro.incident_report.event import IncidentReport
from schemas.codec import codec
from schemas.errors import Reason
from schemas.policy.schedule import Schedule
from schemas.topics import INCIDENT_COMMANDS, realm_of
from streams.domain.core import Emit, Source
from streams.domain.incident.intake import command_of


class RelayProcessor:
    has_outbox = False
    co_partitioned = False  # departments key as they like; cases are keyed by us

    def __init__(self) -> None:
        self.schedule = Schedule()  # filled by the process that runs it, before the first record
        self._reports = codec(IncidentReport)

    def process(self, record: ConsumerRecord, source: Source, state: bytes) -> tuple[bytes, Sequence[Emit]]:
        report = self._reports.decode(record.value)
        realm = realm_of(record.topic)
        department = record.topic.rsplit(".", 1)[-1]
        version = self.schedule.version(realm.value, record.timestamp)
        command = command_of(report, department, realm, source, record.timestamp, version)
        return b"", (Emit(INCIDENT_COMMANDS, realm.value, command.case_id, command, 0),)

    def bury(self, record: ConsumerRecord, source: Source, state: bytes, reason: Reason) -> Sequence[Emit]:
        return ()
