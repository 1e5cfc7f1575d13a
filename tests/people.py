"""People for tests: a register fed from the fake producer's log, and a desk with two officers, a head and an administrator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas.avro.people_record.event import PeopleRecord
from schemas.codec import codec
from schemas.people.checks import take
from services.adapters.keyfile import KeyFile
from services.gateway.sessions import Sessions
from services.people.directory import PeopleDirectory
from services.people.keeper import Keeper
from services.people.passwords import Passwords
from services.people.register import Register
from services.ports import Acked
from tests.fakes import FakeProducer
from tests.principals import ADMIN, SERVED

RECORDS = codec(PeopleRecord)
PASSWORD = "南山值班-2026-correct"
OFFICERS = ("off-01", "off-02")
SAMPLE = {
    "users": [
        {"id": "off-01", "name": "李雷", "org": "440305-desk", "channels": [{"kind": "sms", "address": "13800000001"}]},
        {"id": "off-02", "name": "韩梅梅", "org": "440305-desk", "channels": [{"kind": "webhook", "address": "http://127.0.0.1:1/x"}]},
        {"id": "boss-1", "name": "王主任", "org": "440305-desk"},
        {"id": "city-1", "name": "赵市", "org": "440300-desk"},
        {"id": "city-2", "name": "钱市", "org": "440300-desk"},
        {"id": "keeper", "name": "孙管", "org": "440305-desk"},
    ],
    "posts": [
        {"id": "ns-1", "user": "off-01", "role": "officer", "division": "440305"},
        {"id": "ns-2", "user": "off-02", "role": "officer", "division": "440305"},
        {"id": "ns-head", "user": "boss-1", "role": "head", "division": "440305"},
        {"id": "sz-1", "user": "city-1", "role": "officer", "division": "440300"},
        {"id": "sz-2", "user": "city-2", "role": "officer", "division": "440300"},
        {"id": "ns-admin", "user": "keeper", "role": "admin", "division": "440305"},
    ],
    "rosters": [
        {
            "desk": "440305-desk",
            "layers": [{"name": "日班", "turns": [["off-01"], ["off-02"]], "length": "1d", "starts_at": "2026-11-22",
                        "windows": [{"start": "08:00", "until": "20:00"}]}],
        }
    ],
}  # fmt: skip


class FakeFeed:
    """Fulfils keeper.Follows: what stands in the fake producer's log is known at once."""

    def __init__(self, producer: FakeProducer, register: Register) -> None:
        self._producer, self._register = producer, register
        self._read: dict[int, int] = {}
        register.ready = True

    async def reached(self, fates: Iterable[Acked], seconds: float) -> bool:
        for (topic, partition), records in list(self._producer.log.items()):
            if topic == "people":
                for record in records[self._read.get(partition, 0) :]:
                    self._register.apply(record.key.decode(), None if record.value is None else RECORDS.decode(record.value))
                self._read[partition] = len(records)
        return True


@dataclass
class PeopleStage:
    register: Register
    keeper: Keeper
    passwords: Passwords
    vault: KeyFile
    sessions: Sessions
    folder: Path

    async def fill(self, sample: dict[str, object] | None = None) -> None:
        found = take(SAMPLE if sample is None else sample, self.register.users)
        assert not found.faults
        await self.keeper.put(found, ADMIN)


def people_stage(tmp_path: Path, producer: FakeProducer, clock: Callable[[], int]) -> PeopleStage:
    """The gateway's people over the fake producer; the caller closes the vault."""
    vault, register, passwords = KeyFile(tmp_path / "people.bin"), Register(), Passwords(tmp_path / "passwords.json", cost=1 << 6)
    keeper = Keeper(producer, vault, register, FakeFeed(producer, register), passwords, clock)
    sessions = Sessions(PeopleDirectory(register, vault), keeper, passwords, vault.fingerprint, clock, SERVED)
    return PeopleStage(register, keeper, passwords, vault, sessions, tmp_path)
