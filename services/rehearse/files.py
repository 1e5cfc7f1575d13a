"""Files of recorded commands: JSON lines, gzipped where the name ends in .gz. Commands hold no personal data."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from services.rehearse.playing import Recorded

Take = Callable[[Recorded], None]


class BadFile(Exception):
    """A file that holds something else; the text says which line."""


def read(path: Path) -> Iterator[tuple[Recorded, int]]:
    """Commands in the order of the file, which within a case is theirs, each with how many bytes of the file are read. BadFile."""
    decoder = msgspec.json.Decoder(Recorded)
    with path.open("rb") as raw:
        lines = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        number = 0
        try:
            for line in lines:
                number += 1
                if line.strip():
                    yield decoder.decode(line), raw.tell()
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError, EOFError) as error:
            raise BadFile(f"{path.name}, line {number}: {error}") from error


@contextmanager
def writing(path: Path, take: Take) -> Iterator[Take]:
    """Writes every command that is taken."""
    encoder = msgspec.json.Encoder()
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:

        def both(recorded: Recorded) -> None:
            file.write(encoder.encode(recorded) + b"\n")
            take(recorded)

        yield both
