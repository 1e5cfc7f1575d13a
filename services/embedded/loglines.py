"""Log lines as people want to read them: time, level, what happened, and the end of a traceback."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

UNNAMED = ("timestamp", "level", "event", "logger", "process", "exception")
TRACEBACK_LINES = 6
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def tail(log: Path, lines: int = 15) -> list[str]:
    """The last `lines` of a log file as written; none if there is no file."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 200_000))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines:]


def last_words(log: Path, lines: int = 12) -> str:
    """The end of a log for a message about why its process ended."""
    return "\n".join(readable(line) for line in tail(log, lines))


def readable(line: str) -> str:
    """One JSON line of ours in words; any other line as it is."""
    line = ANSI.sub("", line)
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "event" not in entry:
        return line
    fields = " ".join(f"{name}={value}" for name, value in entry.items() if name not in UNNAMED)
    said = f"{str(entry.get('timestamp', ''))[11:23]} {entry.get('level', ''):<8} {entry['event']} {fields}".rstrip()
    traceback = str(entry.get("exception", "")).rstrip().splitlines()[-TRACEBACK_LINES:]
    return "\n".join([said, *(f"    {row}" for row in traceback)])
