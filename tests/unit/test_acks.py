"""The ledger of acknowledgements holds what was promised, whatever cut it short."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schemas import ids
from schemas.realms import Realm
from schemas.topics import KINDS
from services.acks import RECORD, Ack, AckReader, AckWriter

COMMANDS = [ids.command_id("live", "p", str(number)) for number in range(10_000)]


def test_what_is_appended_is_read_back_in_order_over_all_files(tmp_path: Path) -> None:
    expected = []
    for start in (900, 1000):
        writer = AckWriter(tmp_path, start)
        for realm in Realm:
            for kind in KINDS:
                writer.append(realm, [(3, start + number, COMMANDS[number]) for number in range(5)], kind)
                expected += [Ack(realm, 3, start + number, COMMANDS[number], kind) for number in range(5)]
        writer.close()
    assert list(AckReader(tmp_path)) == expected


def test_a_ledger_that_grows_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    writer = AckWriter(tmp_path, 1)
    assert list(AckReader(tmp_path)) == []
    writer.append(Realm.LIVE, [(number % 12, number, command) for number, command in enumerate(COMMANDS)])
    assert [ack.command_id for ack in AckReader(tmp_path)] == COMMANDS
    writer.close()


@pytest.mark.parametrize("torn", [1, 13, RECORD.size - 1])
def test_a_torn_record_at_the_end_is_left_out(tmp_path: Path, torn: int) -> None:
    writer = AckWriter(tmp_path, 1)
    writer.append(Realm.LIVE, [(0, 0, COMMANDS[0]), (0, 1, COMMANDS[1])])
    writer.close()
    path = tmp_path / "1.bin"
    path.write_bytes(path.read_bytes()[:-torn])
    assert [ack.offset for ack in AckReader(tmp_path)] == [0]


def test_a_full_disk_is_told_and_leaves_no_torn_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = AckWriter(tmp_path, 1)
    write = os.write
    monkeypatch.setattr("os.write", lambda file, data: write(file, data[:10]))
    with pytest.raises(OSError, match="full"):
        writer.append(Realm.LIVE, [(0, 0, COMMANDS[0])])
    monkeypatch.undo()
    writer.append(Realm.LIVE, [(0, 1, COMMANDS[1])])
    assert [ack.offset for ack in AckReader(tmp_path)] == [1]
    writer.close()


def test_two_starts_never_share_a_file(tmp_path: Path) -> None:
    AckWriter(tmp_path, 1).close()
    with pytest.raises(FileExistsError):
        AckWriter(tmp_path, 1)
