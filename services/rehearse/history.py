"""The recorded commands of a platform, out of its topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from schemas.errors import InvalidPayload
from schemas.realms import Realm
from schemas.topics import INCIDENT_COMMANDS
from services.adapters.topic_log import Log
from services.rehearse.playing import Recorded

COMMANDS = codec(IncidentCommand)


async def play(bootstrap: str, realm: Realm, until: int, take: Callable[[Recorded], None], progress: Callable[[int, int], None]) -> int:
    """Hands every command that was appended before `until` (UTC milliseconds) to `take`; answers how many records were no commands.
    The topic keeps 30 days. CannotLook and KafkaError when it cannot be read. `progress`: of how many, how many are done."""
    unreadable = 0

    def records(_partition: int, found: Sequence[Any]) -> None:
        nonlocal unreadable
        for record in found:
            if record.timestamp >= until:
                continue
            try:
                command = COMMANDS.decode(record.value)
            except InvalidPayload:  # a dead letter has told of it
                unreadable += 1
                continue
            if record.key == command.case_id.encode():
                take(Recorded(record.timestamp, record.topic, record.partition, record.offset, command))

    log = await Log(bootstrap, INCIDENT_COMMANDS.in_realm(realm)).open()
    try:
        await log.read_to(await log.ends(), records, progress)
    finally:
        await log.close()
    return unreadable
