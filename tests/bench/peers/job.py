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
OUTPUT = fastavro.parse_schema(json.loads((ROOT / "schemas/avro/outcome/v1.avsc").read_text(encoding="utf-8")))
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
    output = {
        "command_id": "", "case_id": command["case_id"], "realm": "live", "outcome": "counted", "reason": "", "rule": "", "case_seq": count,
        "name": command["name"], "producer": "", "division": command["division"], "received_at": command["occurred_at"],
        "src_topic": "incident.commands", "src_partition": 0, "src_offset": count, "src_position": 0,
    }  # fmt: skip
    return STATE.pack(count, total), encode(output)
