"""A museum piece, for a control only: a sink that is exact if deduplication by token is. `python -m tests.chaos.token_sink DIRECTORY`.

Numbered blocks; each is one insert under its number as the token, then the number goes into a file, as an offset is committed. After a stop
it begins with the first number that is not in the file: the repeat of an insert that was stored is meant to be dropped as a duplicate.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import chdb

ROWS, BLOCKS = 100, 20
TABLE = (
    "CREATE TABLE IF NOT EXISTS default.facts (block UInt64, number UInt64) ENGINE = MergeTree ORDER BY (block, number) "
    "SETTINGS non_replicated_deduplication_window = 1000"
)


@contextmanager
def run(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process, its tables open; it goes on when it reads a line."""
    command = [sys.executable, "-m", "tests.chaos.token_sink", str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"open\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def count(folder: Path) -> tuple[int, int]:
    """Rows acknowledged and rows stored, after a last run to the end."""
    with run(folder) as process:
        process.communicate(b"go\n", 120)
        assert process.returncode == 0
    engine = chdb.connect(str(folder / "tables"))
    stored = int(engine.query("SELECT uniqExact(block, number) FROM default.facts").bytes())
    engine.close()
    return _done(folder) * ROWS, stored


def _done(folder: Path) -> int:
    file = folder / "done"
    return int(file.read_text()) if file.exists() else 0


def main() -> None:
    folder = Path(sys.argv[1])
    engine = chdb.connect(str(folder / "tables"))
    engine.query(TABLE)
    print("open", flush=True)
    sys.stdin.readline()
    for block in range(_done(folder), BLOCKS):
        rows = f"SELECT {block}, number FROM numbers({ROWS})"
        engine.query(f"INSERT INTO default.facts SETTINGS insert_deduplication_token = 'block-{block}', insert_deduplicate = 1 {rows}")
        (folder / "done").write_text(str(block + 1))
    engine.close()


if __name__ == "__main__":
    main()
