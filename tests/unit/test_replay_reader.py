"""Files as departments send them: sorted, zipped, in another encoding, damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from services.replay.errors import MappingError
from services.replay.mapping import FileSpec
from services.replay.reader import Damaged, NumberedRow, open_rows


def read(path: Path, **spec: object) -> list[NumberedRow]:
    _, rows = open_rows(path, FileSpec(**spec))  # type: ignore[arg-type]
    return list(rows)


def file(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_rows_come_in_file_order_with_their_numbers(tmp_path: Path) -> None:
    path = file(tmp_path, '\ufeffa,b\n1,x\n\n2,"y\nz"\n')
    header, rows = open_rows(path, FileSpec())
    assert header == ["a", "b"]
    assert [(row.number, list(row.row), row.fault) for row in rows] == [(1, ["1", "x"], None), (2, ["2", "y\nz"], None)]


def test_a_zipped_file_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(gzip.compress(b"a\n1\n"))
    assert [row.row[0] for row in read(path)] == ["1"]


def test_a_sorted_file_comes_in_order_and_keeps_the_row_numbers(tmp_path: Path) -> None:
    path = file(tmp_path, "at,seq\n2,1\n1,10\n1,9\n")
    found = [(row.number, list(row.row)) for row in read(path, sort=("at", "seq:int"))]
    assert found == [
        (3, ["1", "9"]),
        (2, ["1", "10"]),
        (1, ["2", "1"]),
    ]


def test_a_row_that_cannot_be_sorted_is_a_fault_and_not_lost(tmp_path: Path) -> None:
    rows = read(file(tmp_path, "at,seq\n2,x\n1,1\n"), sort=("at", "seq:int"))
    assert [(row.number, row.fault and row.fault.reason) for row in rows] == [(1, "bad_number"), (2, None)]


def test_a_row_with_too_few_columns_is_a_fault(tmp_path: Path) -> None:
    rows = read(file(tmp_path, "a,b\n1\n1,2\n1,2,3\n"))
    assert [row.fault and row.fault.reason for row in rows] == ["bad_columns", None, "bad_columns"]


def test_chinese_files_are_read_in_their_stated_encoding(tmp_path: Path) -> None:
    path = file(tmp_path, "a\n南山区\n", "gb18030")
    assert read(path, encoding="gb18030")[0].row[0] == "南山区"
    assert [row.fault and row.fault.reason for row in read(path)] == ["bad_encoding"]


def test_a_file_that_breaks_off_gives_its_rows_and_then_says_so(tmp_path: Path) -> None:
    path = tmp_path / "data.csv.gz"
    whole = gzip.compress(b"a\n" + b"".join(b"%d\n" % number for number in range(50_000)))
    path.write_bytes(whole[: len(whole) // 2])
    for spec in (FileSpec(), FileSpec(sort=("a:int",))):
        given: list[int] = []
        _, rows = open_rows(path, spec)
        with pytest.raises(Damaged):
            given.extend(row.number for row in rows)
        assert len(given) > 1000


def test_an_empty_file_a_wrong_sort_column_and_a_wrong_encoding_are_errors_of_the_mapping(tmp_path: Path) -> None:
    with pytest.raises(MappingError):
        read(file(tmp_path, ""))
    with pytest.raises(MappingError):
        read(file(tmp_path, "a\n1\n"), sort=("b",))
    with pytest.raises(MappingError):
        read(file(tmp_path, "a\n1\n"), encoding="klingon")
