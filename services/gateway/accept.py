"""From accepted commands to Kafka: seal personal data first, then send, keep the ledger, and only then answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import Codec, codec
from schemas.headers import DIVISION, TRACE
from schemas.realms import Realm
from schemas.state.sealed.event import Sealed
from schemas.topics import ALARM, INCIDENT, SEALED, CaseKind
from services.acks import AckWriter
from services.adapters.keyfile import KeyFileError
from services.gateway import metrics
from services.gateway.intake import Accepted
from services.gateway.pending import PendingMemory
from services.gateway.search_index import Told
from services.gateway.sessions import POST
from services.ports import Acked, Fate, Header, KeyVault, Producer, Record, Unavailable
from services.sealing import seal

INCIDENTS: Codec[IncidentCommand] = codec(IncidentCommand)
ALARMS: Codec[AlarmCommand] = codec(AlarmCommand)
SEALED_CODEC = codec(Sealed)


ERASED = "erased"  # the case's personal data has been erased
NOT_STORED = "not stored"  # it could not be sealed now, and an alarm does not wait for that
OnSealed = Callable[[list[Told]], None]


class Delivered(msgspec.Struct, frozen=True):
    """What became of one accepted command."""

    accepted: Accepted
    fate: Fate
    left_out: str = ""  # why its personal data was: ERASED or NOT_STORED


class _Run(msgspec.Struct, frozen=True):
    """One call's commands after sealing."""

    accepted: Sequence[Accepted]
    ready: Sequence[Accepted]  # to be sent, in order
    failed: dict[int, Unavailable] = {}  # by index in accepted: their personal data could not be sealed
    left_out: dict[int, str] = {}  # by index in accepted, as in Delivered


class Acceptor:
    """Seals, sends, records and remembers. One per gateway process."""

    def __init__(
        self,
        producer: Producer,
        vault: KeyVault,
        ledger: AckWriter,
        pending: PendingMemory,
        clock: Callable[[], int],
        on_sealed: OnSealed = lambda _told: None,
    ) -> None:
        """`on_sealed`: told of every sealed record of an incident's first command or fact, once Kafka has it; must return at once."""
        self._producer = producer
        self._vault = vault
        self._ledger = ledger
        self._pending = pending
        self._clock = clock
        self._on_sealed = on_sealed

    async def deliver(self, accepted: Sequence[Accepted], realm: Realm, trace: str = "") -> list[Delivered]:
        """Waits for Kafka. Never raises for the broker or the key file: that is a fate."""
        return await (await self.enqueue(accepted, realm, trace))

    async def enqueue(self, accepted: Sequence[Accepted], realm: Realm, trace: str = "") -> Awaitable[list[Delivered]]:
        """Returns when the commands, all of one kind, stand in the send buffer in the order given (sealed data is acknowledged by
        then); the awaitable answers one Delivered for each. `trace`: W3C traceparent."""
        began = time.perf_counter()
        kind = ALARM if accepted and accepted[0].is_alarm else INCIDENT
        run = await self._seal(accepted, realm)
        records = [_command_record(a.command, realm, trace) for a in run.ready]

        def on_acked(pairs: Sequence[tuple[int, Acked]]) -> None:
            acks = [(fate.partition, fate.offset, run.ready[index].command.command_id) for index, fate in pairs]
            self._ledger.append(realm, acks, kind)

        sending = await self._producer.enqueue(kind.commands.in_realm(realm), records, on_acked)
        return asyncio.create_task(self._finish(run, sending, began, kind))  # a task: done also when the sender hangs up

    async def _finish(self, run: _Run, sending: Awaitable[list[Fate]], began: float, kind: CaseKind) -> list[Delivered]:
        sent = list(zip(run.ready, await sending, strict=True))
        now = self._clock()
        promised = [item for item, fate in sent if isinstance(fate, Acked)]
        for item in promised:
            self._pending.remember(item, now)
        if promised:
            command = promised[0].command
            metrics.ACCEPTED.labels(_sender(command), kind.commands.in_realm(command.realm)).inc(len(promised))
            metrics.ACK_SECONDS.observe(time.perf_counter() - began)
            metrics.PENDING.set(len(self._pending))
        left = iter(sent)
        done = []
        for index, item in enumerate(run.accepted):
            if index in run.failed:
                done.append(Delivered(item, run.failed[index]))
            else:
                done.append(Delivered(*next(left), run.left_out.get(index, "")))
        return done

    async def _seal(self, accepted: Sequence[Accepted], realm: Realm) -> _Run:
        """Personal data sealed and acknowledged, so that no command ever points at a sealed record that is not there. A command whose
        data can't be sealed fails, but an alarm goes without."""
        personal = [index for index, a in enumerate(accepted) if a.personal]
        if not personal:
            return _Run(accepted, accepted)
        try:
            keys = await self._vault.ensure([accepted[index].key_name for index in personal])
        except KeyFileError as error:
            return _run(accepted, {index: Unavailable(str(error)) for index in personal}, set())
        now = self._clock()
        sealing: dict[int, Record] = {}
        for index in personal:
            key = keys[accepted[index].key_name]
            if key is not None:
                sealing[index] = _sealed_record(accepted[index], key, now)
        erased = set(personal) - sealing.keys()
        fates = await self._producer.send(SEALED.in_realm(realm), list(sealing.values()))
        failed = {index: fate for index, fate in zip(sealing, fates, strict=True) if isinstance(fate, Unavailable)}
        first = [index for index in sealing if index not in failed and accepted[index].case_number and not accepted[index].is_alarm]
        self._on_sealed([_told(accepted[index], now) for index in first])
        return _run(accepted, failed, erased)


def _told(accepted: Accepted, now: int) -> Told:
    command = accepted.command
    return Told(command.case_id, command.realm, accepted.division, accepted.personal, now)


def _sender(command: IncidentCommand | AlarmCommand) -> str:
    """The producer; of a session its organisation, so that persons are no labels."""
    return command.actor_org if command.producer.startswith(POST) else command.producer


def _run(accepted: Sequence[Accepted], unsealed: dict[int, Unavailable], erased: set[int]) -> _Run:
    """`unsealed`, `erased`: indices of those whose personal data is not in Kafka."""
    failed = {index: fate for index, fate in unsealed.items() if not accepted[index].is_alarm}
    left_out = dict.fromkeys(unsealed.keys() - failed.keys(), NOT_STORED) | dict.fromkeys(erased, ERASED)
    ready = [_without_seal(a) if index in left_out else a for index, a in enumerate(accepted) if index not in failed]
    return _Run(accepted, ready, failed, left_out)


def _without_seal(accepted: Accepted) -> Accepted:
    command = msgspec.structs.replace(accepted.command, sealed_ref="")
    return msgspec.structs.replace(accepted, command=command, personal=b"")


def headers(type_name: str, id: str, source: str, trace: str = "") -> list[Header]:
    """CloudEvents attributes of a Kafka record (binary mode)."""
    found = [("ce_id", id.encode()), ("ce_type", type_name.encode()), ("ce_source", source.encode()), ("ce_specversion", b"1.0")]
    return [*found, (TRACE, trace.encode())] if trace else found


def _command_record(command: IncidentCommand | AlarmCommand, realm: Realm, trace: str) -> Record:
    timestamp = command.occurred_at if realm.time_source == "log" else None
    if isinstance(command, AlarmCommand):
        value, name, more = ALARMS.encode(command), ALARMS.name, [(DIVISION, command.division.encode())]
    else:
        value, name, more = INCIDENTS.encode(command), INCIDENTS.name, []
    marks = headers(name, command.command_id, command.producer, trace)
    return Record(command.case_id.encode(), value, marks + more, timestamp)


def _sealed_record(accepted: Accepted, key: bytes, now: int) -> Record:
    command = accepted.command
    sealed = seal(
        key,
        accepted.personal,
        sealed_id=command.sealed_ref,
        case_id=command.case_id,
        realm=command.realm,
        division=accepted.division,
        now=now,
    )
    marks = headers(SEALED_CODEC.name, sealed.sealed_id, command.producer)
    return Record(command.case_id.encode(), SEALED_CODEC.encode(sealed), marks)
