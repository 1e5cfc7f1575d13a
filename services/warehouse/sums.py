"""What the auditor asks: sums of row hashes by bucket of cases, the rows of a bucket, and the totals of a rollup.

A row's hash is the first eight bytes of MD5 over the texts of its columns that are fields of the stream's records, by name, joined with
U+001F: times as milliseconds, booleans as 0 and 1, arrays and records as `services/audit/digest.py` says. A bucket is the first byte of MD5
over the case id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas import registry
from schemas.realms import Realm
from services.sink.streams import Stream
from services.warehouse.backend import DATABASE, Handle

BETWEEN_COLUMNS = 31  # each array and record within takes the next one
BUCKET = "reinterpretAsUInt8(substring(MD5(case_id), 1, 1))"


@dataclass(frozen=True, slots=True)
class Asked:
    """A table as the engine describes it."""

    table: str
    columns: tuple[str, ...]  # those that are fields of the stream's records, by name
    digest: str
    source: str  # the table, newest rows only where it replaces
    where: str

    @classmethod
    def of(cls, handle: Handle, stream: Stream, table: str, upto: Mapping[int, int] | None = None, topic: str = "") -> Asked:
        """`table`: facts or a rollup of the stream. `upto`: only rows below these offsets of `topic`."""
        found = handle.rows(
            f"SELECT name, type FROM system.columns WHERE database = '{DATABASE}' AND table = {{table:String}} ORDER BY name",
            {"table": table},
        )
        fields = registry.struct(stream.type).__struct_fields__
        chosen = {row["name"]: row["type"] for row in found if row["name"] in fields}
        texts = [_text(name, kind) for name, kind in chosen.items()]
        text = texts[0] if len(texts) == 1 else f"concat({f', char({BETWEEN_COLUMNS}), '.join(texts)})"
        where = "realm = {realm:String}"
        if upto is not None:
            inside = [f"(_part = {partition:d} AND _off < {offset:d})" for partition, offset in sorted(upto.items())]
            where += f" AND _topic = '{topic}' AND ({' OR '.join(inside) or '0'})"
        engine = handle.rows(f"SELECT engine FROM system.tables WHERE database = '{DATABASE}' AND name = '{table}'")[0]["engine"]
        source = f"{table} FINAL" if "Replacing" in engine else table
        return cls(table, tuple(chosen), f"reinterpretAsUInt64(substring(MD5({text}), 1, 8))", source, where)


def _text(value: str, kind: str, above: int = BETWEEN_COLUMNS) -> str:
    """How a value of this type of the engine is written. `above`: the character that joins it to its neighbours."""
    outer, _, inner = kind.partition("(")
    if outer == "Array":
        item, text = f"x{above}", _text(f"x{above}", inner[:-1], above - 1)
        return f"arrayStringConcat(arrayMap({item} -> {text}, {value}), char({above - 1}))"
    if outer == "Tuple":
        texts = [_text(f"tupleElement({value}, '{name}')", of, above - 1) for name, of in sorted(_elements(inner[:-1]))]
        return f"concat({f', char({above - 1}), '.join(texts)})"
    if "DateTime64" in kind:
        return f"toString(toUnixTimestamp64Milli({value}))"
    if kind == "Bool":
        return f"toString(toUInt8({value}))"
    return value if kind == "String" else f"toString({value})"


def _elements(listed: str) -> Iterator[tuple[str, str]]:
    """Name and type of each element of a tuple, as the engine lists them."""
    depth = begin = 0
    for at, sign in enumerate(f"{listed},"):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            name, _, kind = listed[begin:at].strip().partition(" ")
            yield name.strip("`"), kind
            begin = at + 1


def sums(handle: Handle, realm: Realm, asked: Asked) -> dict[str, Any]:
    """[bucket, rows, sum of hashes] of each bucket that has rows."""
    rows = handle.rows(
        f"SELECT {BUCKET} AS bucket, count() AS rows, toString(sum({asked.digest})) AS hash FROM {asked.source} "
        f"WHERE {asked.where} GROUP BY bucket ORDER BY bucket",
        {"realm": realm.value},
    )
    return {"columns": list(asked.columns), "sums": [[*row.values()] for row in rows]}


def bucket_rows(handle: Handle, realm: Realm, asked: Asked, buckets: Collection[int]) -> dict[str, Any]:
    """[case, seq (0 where the table has none), hash] of every row of these buckets."""
    seq = "case_seq" if "case_seq" in asked.columns else "0"
    listed = ", ".join(f"{bucket:d}" for bucket in buckets)
    rows = handle.rows(
        f"SELECT case_id, {seq} AS seq, toString({asked.digest}) AS hash FROM {asked.source} "
        f"WHERE {asked.where} AND {BUCKET} IN ({listed})",
        {"realm": realm.value},
    )
    return {"columns": list(asked.columns), "rows": [[*row.values()] for row in rows]}


def totals(handle: Handle, realm: Realm, asked: Asked) -> dict[str, Any]:
    """The table's one sum by its keys; keys whose sum is 0 are left out."""
    found = handle.rows(
        f"SELECT name, type FROM system.columns WHERE database = '{DATABASE}' AND table = {{table:String}} ORDER BY position",
        {"table": asked.table},
    )
    figure = next(row["name"] for row in found if row["type"].startswith("SimpleAggregateFunction(sum"))
    keys = [row["name"] for row in found if row["name"] not in (figure, "_blk", "realm")]
    listed = ", ".join(keys)
    rows = handle.rows(
        f"SELECT {listed}, toInt64(sum({figure})) AS total FROM {asked.table} WHERE realm = {{realm:String}} "
        f"GROUP BY {listed} HAVING total != 0",
        {"realm": realm.value},
    )
    return {"keys": keys, "rows": [[*row.values()] for row in rows]}


def sources(handle: Handle, realm: Realm, stream: Stream) -> list[list[Any]]:
    """[topic, partition, highest offset] that the facts name as their sources."""
    if not stream.marked:
        return []
    rows = handle.rows(
        f"SELECT src_topic, src_partition, max(src_offset) AS highest FROM {stream.facts} WHERE realm = {{realm:String}} "
        "AND src_topic != '' GROUP BY src_topic, src_partition",
        {"realm": realm.value},
    )
    return [[*row.values()] for row in rows]
