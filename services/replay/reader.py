"""Rows of a csv or csv.gz file, in file order or sorted; a row that cannot be read is an answer, not an end."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from services.replay.errors import MappingError, RowRefused
from services.replay.mapping import FileSpec

GZIP_MAGIC = b"\x1f\x8b"


class Damaged(Exception):
    """The file breaks off or is no gzip; rows before the break were given out."""


class NumberedRow(NamedTuple):
    number: int  # 1 is the first row after the header
    row: Sequence[str]
    fault: RowRefused | None  # the row cannot be read: wrong number of columns, bytes of another encoding


def open_rows(path: Path, spec: FileSpec) -> tuple[list[str], Iterator[NumberedRow]]:
    """The header, and the rows. Streams unless the spec asks for a sort. Raises OSError, MappingError, Damaged."""
    binary = path.open("rb")
    if binary.peek(2)[:2] == GZIP_MAGIC:
        binary = gzip.GzipFile(fileobj=binary)  # type: ignore[assignment]
    try:
        # undecodable bytes become lone surrogates, so that only their own row is refused
        text = io.TextIOWrapper(binary, encoding=spec.encoding, errors="surrogateescape", newline="")
    except LookupError:
        raise MappingError("file.encoding", f"{spec.encoding!r} is no encoding") from None
    lines = csv.reader(text, delimiter=spec.delimiter)
    try:
        header = [name.strip().removeprefix("\ufeff") for name in next(lines)]
    except StopIteration:
        raise MappingError("file", f"{path.name} is empty") from None
    except (EOFError, OSError, zlib.error, csv.Error) as error:
        raise Damaged(f"{path.name}: {error}") from error
    rows = _rows(lines, len(header), path.name, text)
    return header, _sorted(rows, header, spec.sort) if spec.sort else rows


def row_estimate(path: Path) -> int | None:
    """Lines after the header, for a progress bar: a quoted line break counts too. None for a file that cannot be counted."""
    with path.open("rb") as start:
        zipped = start.read(2) == GZIP_MAGIC
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1
    except (EOFError, OSError, zlib.error):
        return None


def _rows(lines: Iterator[list[str]], width: int, name: str, text: io.TextIOWrapper) -> Iterator[NumberedRow]:
    number = 0
    with closing(text):
        while True:
            number += 1
            fault = None
            row: list[str] = []
            try:
                row = next(lines)
            except StopIteration:
                return
            except csv.Error as error:
                fault = RowRefused("bad_csv", str(error))
            except (EOFError, OSError, zlib.error) as error:
                raise Damaged(f"{name} breaks off after row {number - 1}: {error}") from error
            if not row and fault is None:
                number -= 1  # an empty line is no row
                continue
            if fault is None and len(row) != width:
                fault = RowRefused("bad_columns", f"{len(row)} columns, the header has {width}")
            elif fault is None and _has_foreign_bytes(row):
                fault = RowRefused("bad_encoding", "bytes that are not of the stated encoding")
            yield NumberedRow(number, row, fault)


def _has_foreign_bytes(row: list[str]) -> bool:
    joined = "".join(row)
    return not joined.isascii() and any("\udc80" <= character <= "\udcff" for character in joined)


def _sorted(rows: Iterator[NumberedRow], header: list[str], keys: Sequence[str]) -> Iterator[NumberedRow]:
    """The whole file in memory, stable; rows that cannot be read or sorted come first, as faults."""
    fields = []
    for key in keys:
        name, _, kind = key.partition(":")
        if name not in header or kind not in ("", "int"):
            raise MappingError("file.sort", f"{key!r} is no column of the file (a number is `name:int`)")
        fields.append((header.index(name), kind == "int"))
    good: list[tuple[tuple[str | int, ...], NumberedRow]] = []
    damaged = None
    try:
        for found in rows:
            fault = found.fault
            try:
                if fault is None:
                    row = list(map(sys.intern, found.row))  # few distinct values: a tenth of the memory
                    good.append((tuple(int(row[i]) if number else row[i] for i, number in fields), found._replace(row=row)))
                    continue
            except ValueError:
                fault = RowRefused("bad_number", f"a sort column of {', '.join(keys)} is no number")
            yield found._replace(fault=fault)
    except Damaged as error:
        damaged = error
    good.sort(key=lambda pair: pair[0])
    for _, found in good:
        yield found
    if damaged:
        raise damaged
