"""The job all peers do, with nothing but fastavro: decode a command, count and sum per key, one output for each record."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import fastavro

ROOT = Path(__file__).parents[3]
SCHEMA = fastavro.parse_schema(json.loads((ROOT / "schemas/avro/incident_command/v1.avsc").read_text(encoding="utf-8")))
OUTPUT = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Counted",
        "fields": [
            {"name": "case_id", "type": "string"},
            {"name": "name", "type": "string"},
            {"name": "count", "type": "long"},
            {"name": "sum", "type": "long"},
            {"name": "occurred_at", "type": "long"},
            {"name": "division", "type": "string"},
        ],
    }
)
STATE = struct.Struct("<qq")  # count, sum


def decode(value: bytes) -> dict[str, Any]:
    body = io.BytesIO(value)
    body.seek(5)
    found: dict[str, Any] = fastavro.schemaless_reader(body, SCHEMA, None)  # type: ignore[assignment]
    return found


def encode(record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    out.write(b"\x00\x00\x00\x00\x63")
    fastavro.schemaless_writer(out, OUTPUT, record)
    return out.getvalue()


def counted(command: dict[str, Any], state: bytes) -> tuple[bytes, bytes]:
    """(state after, output)."""
    count, total = STATE.unpack(state) if state else (0, 0)
    count, total = count + 1, total + int(command["source_version"])
    output = {"count": count, "sum": total} | {name: command[name] for name in ("case_id", "name", "occurred_at", "division")}
    return STATE.pack(count, total), encode(output)
