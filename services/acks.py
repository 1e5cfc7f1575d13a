"""The ledger of acknowledgements: what the gateway has promised, for `liandong reconcile`.

A file D/acks/<start-ms>.bin for each start of the gateway; records of 27 bytes: realm (index in REALMS) in the low half of a byte and
kind of case (index in KINDS) in the high half, partition and offset of that kind's commands, command id. A record is written after
Kafka's acknowledgement and before the sender's answer, so every promised record is in the ledger; a record that Kafka has and the
ledger has not was promised to nobody. D/acks/<cluster>/ holds the files of before a repartitioning: offsets of that cluster.
"""

from __future__ import annotations

import os
import struct
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.realms import REALMS, Realm
from schemas.topics import INCIDENT, KINDS, CaseKind

RECORD = struct.Struct("<BHQ16s")


@dataclass(frozen=True, slots=True)
class Ack:
    realm: Realm
    partition: int
    offset: int
    command_id: str
    kind: CaseKind = INCIDENT
    log: str = ""  # the Kafka cluster whose offset it is, when it is not today's


class AckWriter:
    """Appends; one writer a file."""

    def __init__(self, directory: Path, started_at: int) -> None:
        """`started_at`: UTC milliseconds; a file of that name must not exist."""
        directory.mkdir(parents=True, exist_ok=True)
        self._file = os.open(directory / f"{started_at}.bin", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def append(self, realm: Realm, acks: Iterable[tuple[int, int, str]], kind: CaseKind = INCIDENT) -> None:
        """`acks`: (partition, offset, command id). With the operating system when this returns; OSError if it can't be."""
        index = REALMS.index(realm) | KINDS.index(kind) << 4
        data = b"".join([RECORD.pack(index, p, o, bytes.fromhex(c.replace("-", ""))) for p, o, c in acks])
        written = os.write(self._file, data)
        if written != len(data):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)  # the next record must start at a record's place
            raise OSError("the ledger of acknowledgements can't be written: the disk is full")

    def close(self) -> None:
        os.close(self._file)


class AckReader:
    """Reads all files of the ledger, also while they grow."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __iter__(self) -> Iterator[Ack]:
        """In the order of writing within a file; a torn record at a file's end is left out."""
        for path in sorted(self._directory.glob("**/*.bin"), key=lambda p: int(p.stem)):
            log = "" if path.parent == self._directory else path.parent.name
            with path.open("rb") as file:
                torn = 0
                while not torn and (block := file.read(RECORD.size * 4096)):
                    torn = len(block) % RECORD.size
                    for world, partition, offset, command_id in RECORD.iter_unpack(block[: len(block) - torn]):
                        yield Ack(REALMS[world & 15], partition, offset, str(uuid.UUID(bytes=command_id)), KINDS[world >> 4], log)
