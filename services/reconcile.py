"""The proof that nothing was lost or doubled: what departments were promised, against Kafka, against ClickHouse.

Per realm, kind of case and partition of its commands, over the offsets Kafka holds when it starts: every command has exactly one
outcome, every applied one exactly one fact; sums of hashes first, row by row where they differ. Every page that an event or a dead alarm
command has caused is stored once. Rollups are compared with a recount. It waits for nothing else, so it ends while departments send:
till the lane has passed those offsets, and till the sink has stored what the lane had said by then.
What was written before a repartitioning is counted by its places in the log of that time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from schemas.realms import Realm
from schemas.topics import ALARM, DEAD_LETTERS, INCIDENT, KINDS, LOG, NOTIFICATIONS, OUTCOMES, CaseKind
from services.acks import Ack
from services.adapters.topic_log import CannotLook, Ends, committed, ends_of
from services.reconcile_kafka import Commands, Intake, Kafka, Part, Place, Progress

POLL_SECONDS = 0.25
LANES = {INCIDENT: "case", ALARM: "alarm"}  # who decides a kind
SAID = (OUTCOMES, NOTIFICATIONS, DEAD_LETTERS)  # what comes of commands, beside the events of their kind
EXAMPLES = 5


@dataclass(slots=True)
class Line:
    """One partition's account; `log` names the cluster of before a repartitioning."""

    topic: str
    partition: int
    log: str = ""
    commands: int = 0
    distinct: int = 0
    acknowledged: int = 0
    unacknowledged: int = 0
    relayed: int = 0
    applied: int = 0
    repeated: int = 0
    refused: int = 0
    dead: int = 0
    facts: int = 0
    pages_due: int = 0
    pages: int = 0
    missing: int = 0
    duplicated: int = 0
    unexplained: int = 0
    hash_kafka: str = "0"
    hash_outcomes: str = "0"
    hash_facts: str = "0"
    examples: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        answered = self.applied + self.repeated + self.refused + self.dead
        whole = self.commands == answered and self.applied == self.facts and self.pages_due == self.pages
        return whole and not (self.missing or self.duplicated or self.unexplained)


class Reconciliation:
    """One realm. `read`: the read port, with an admin key."""

    def __init__(self, realm: Realm, bootstrap: str, read: httpx.AsyncClient, progress: Progress) -> None:
        self._realm = realm
        self._bootstrap = bootstrap
        self._read = read
        self._progress = progress

    async def run(self, acks: Iterable[Ack], wait: float) -> dict[str, Any]:
        """The account as one document. Waits till what stood there is stored, at most `wait` seconds without progress. `acks` is read when
        all else is known. Raises CannotLook, KafkaError."""
        lines: list[Line] = []
        intake: list[dict[str, Any]] = []
        logs: list[Kafka] = []
        held: dict[CaseKind, dict[str, Any]] = {}
        try:
            for kind in KINDS:
                logs.append(Kafka(self._realm, kind, self._bootstrap, self._progress))
                of_kind, held[kind] = await self._of_kind(kind, logs[-1], wait)
                intake += of_kind
            promised = self._promised(acks)
            for kind, kafka in zip(KINDS, logs, strict=True):
                ends = await kafka.ends()
                for part, found in sorted(kafka.commands.items(), key=lambda item: item[0]):
                    stored = held[kind]["logs"][part[0]]
                    lines.append(await self._line(kind, part, found, promised[kind][part], stored, ends))
        finally:
            for kafka in logs:
                await kafka.close()
        rollups = (await self._ask("/reconcile/rollups"))["rollups"]
        return _document(self._realm, lines, intake, rollups, held[KINDS[-1]])

    def _promised(self, acks: Iterable[Ack]) -> dict[CaseKind, dict[Part, dict[int, str]]]:
        found: dict[CaseKind, dict[Part, dict[int, str]]] = {kind: defaultdict(dict) for kind in KINDS}
        for ack in acks:
            if ack.realm is self._realm:
                found[ack.kind][ack.log, ack.partition][ack.offset] = ack.command_id
        return found

    async def _of_kind(self, kind: CaseKind, kafka: Kafka, wait: float) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Lines of the intake that becomes the kind's commands, and what the tables hold of those."""
        await kafka.read()
        patience = _Patience(wait)
        while True:
            held = await self._settled(kind, kafka.commands, wait)
            lines = self._intake(kafka.intake, kafka.commands, {(topic, partition, offset) for topic, partition, offset in held["letters"]})
            missing = sum(line["missing"] for line in lines)
            if not missing or patience.at_an_end(missing):
                return lines, held  # all is relayed, or the relay stands still
            await asyncio.sleep(POLL_SECONDS)
            await kafka.go_on()

    async def _settled(self, kind: CaseKind, kafka: Mapping[Part, Commands], wait: float) -> dict[str, Any]:
        """What the tables hold, by log, once all that comes of these commands is stored, or when nothing has come for `wait` seconds."""
        await self._decided(kind, kafka, wait)
        await self._stored(kind, wait)
        return await self._held(kind, kafka)

    async def _decided(self, kind: CaseKind, kafka: Mapping[Part, Commands], wait: float) -> None:
        """Till every command has its outcome and fact, and the lane has passed the last record: wake-ups have no outcome."""
        expected = sum(len(found.ids) for found in kafka.values())
        topic, group = kind.commands.in_realm(self._realm), f"liandong.{self._realm.value}.{LANES[kind]}"
        patience = _Patience(wait)
        while True:
            logs = (await self._held(kind, kafka))["logs"].values()
            outcomes = [row for held in logs for row in held["outcomes"]]
            fact_rows = [row for held in logs for row in held["facts"]]
            stored = sum(row["sources"] for row in outcomes) + sum(row["sources"] for row in fact_rows)
            answered = sum(row["sources"] for row in outcomes)
            applied, facts = sum(row["applied"] for row in outcomes), sum(row["rows"] for row in fact_rows)
            self._progress(f"{self._realm}: {answered} of {expected} {kind.name} commands answered, {facts} of {applied} facts stored")
            passed = await committed(self._bootstrap, group, topic)
            behind = sum(max(0, kafka["", partition].high - offset) for partition, offset in passed.items() if ("", partition) in kafka)
            if answered >= expected and facts >= applied and not behind:
                return
            if patience.at_an_end((stored, behind)):
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _stored(self, kind: CaseKind, wait: float) -> None:
        """Till the sink has passed the ends that the topics of what is said have now."""
        topics = [topic.in_realm(self._realm) for topic in (kind.events, *SAID)]
        ends = await ends_of(self._bootstrap, topics)
        patience = _Patience(wait)
        while True:
            standing = (await self._ask("/audit/standing"))["standing"]
            waiting = sum(max(0, end - standing.get(topic, {}).get(str(part), 0)) for topic in topics for part, end in ends[topic].items())
            if not waiting or patience.at_an_end(waiting):
                return
            self._progress(f"{self._realm}: {waiting} records still to be stored")
            await asyncio.sleep(POLL_SECONDS)

    async def _held(self, kind: CaseKind, kafka: Mapping[Part, Commands]) -> dict[str, Any]:
        """What the tables hold of these commands: today's log, and under `logs` every one."""
        asked = {log: {"source": self._source(kind, log), "window": _text(kafka, log)} for log in sorted({part[0] for part in kafka})}
        logs = {log: await self._ask("/reconcile", **params) for log, params in asked.items()}
        return logs[""] | {"logs": logs}

    def _source(self, kind: CaseKind, log: str) -> str:
        """The topic of commands as outcomes and facts of that log name it."""
        name = kind.commands.in_realm(self._realm)
        return f"{log}{LOG}{name}" if log else name

    async def _line(
        self, kind: CaseKind, part: Part, kafka: Commands, promised: Mapping[int, str], held: dict[str, Any], ends: Ends
    ) -> Line:
        """`ends`: of today's log, asked for after `promised` was read."""
        log, partition = part
        outcomes = _of(held["outcomes"], partition)
        facts = _of(held["facts"], partition)
        dead = {offset for number, offset in held["dead"] if number == partition}
        topic, distinct = kind.commands.in_realm(self._realm), len(set(kafka.ids.values()))
        line = Line(topic, partition, log, commands=len(kafka.ids), distinct=distinct, relayed=len(kafka.relayed))
        for outcome in ("applied", "repeated", "refused", "dead"):
            setattr(line, outcome, outcomes.get(outcome, 0))
        line.facts = facts.get("rows", 0)
        line.pages = _of(held["pages"], partition).get("rows", 0)
        if kind is ALARM:  # its lane pages for every dead command too
            line.pages_due = facts.get("pages", 0) + len(dead)
        else:
            line.pages_due = _of(held["told"], partition).get("pages", 0)
        line.hash_kafka, line.hash_outcomes = str(kafka.hash(dead)), outcomes.get("hash", "0")
        line.hash_facts = facts.get("hash", "0")
        self._check_promises(line, kafka, promised, None if log else ends[partition])
        sums = (line.hash_kafka, line.commands, line.commands, outcomes.get("applied_hash", "0"), line.applied, line.applied)
        stored = (
            line.hash_outcomes,
            outcomes.get("rows", 0),
            outcomes.get("sources", 0),
            line.hash_facts,
            line.facts,
            facts.get("sources", 0),
        )
        if sums != stored:
            self._progress(f"{topic}: partition {partition} differs, comparing row by row")
            _compare(line, kafka, await self._ask("/reconcile/detail", source=self._source(kind, log), window=_text({part: kafka}, log)))
        return line

    @staticmethod
    def _check_promises(line: Line, kafka: Commands, promised: Mapping[int, str], end: int | None) -> None:
        """Every acknowledged command stands in Kafka at its place, as itself, and none behind the log's end (of an older log it is
        not known)."""
        counted = {offset: command for offset, command in promised.items() if kafka.low <= offset < kafka.high}
        for offset, command in counted.items():
            if kafka.ids.get(offset) != command:
                line.missing += 1
                _example(line, f"promised {command} is not at offset {offset} in Kafka")
        for offset in sorted(offset for offset in promised if end is not None and offset >= end):
            line.missing += 1
            _example(line, f"promised {promised[offset]} at offset {offset}, and the log ends at {end}")
        line.acknowledged = len(counted)
        line.unacknowledged = sum(1 for offset in kafka.ids if offset not in counted and offset not in kafka.relayed)

    def _intake(self, intake: Intake, kafka: Mapping[Part, Commands], letters: set[Place]) -> list[dict[str, Any]]:
        """Records departments wrote themselves: each became one command or one dead letter."""
        relayed = {place for found in kafka.values() for place in found.relayed.values()}
        lines = []
        for (topic, partition), records in sorted(intake.items(), key=lambda item: item[0]):
            mine = {offset for name, part, offset in relayed | letters if (name, part) == (topic, partition) and offset in records}
            dead = sum(1 for name, part, offset in letters if (name, part) == (topic, partition) and offset in records)
            missing = len(records) - len(mine)
            if records:
                lines.append({"topic": topic, "partition": partition, "records": len(records), "dead": dead, "missing": missing})
        return lines

    async def _ask(self, path: str, **params: str) -> dict[str, Any]:
        try:
            answer = await self._read.get(f"/internal{path}", params={"realm": self._realm.value, **params})
        except httpx.HTTPError as error:
            raise CannotLook(f"the read port does not answer ({type(error).__name__})") from error
        if answer.status_code != 200:
            raise CannotLook(f"the read port answered {answer.status_code}: {answer.text[:200]}")
        found: dict[str, Any] = answer.json()
        return found


class _Patience:
    """For `seconds` in which nothing changes."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last, self._since = seconds, object(), time.monotonic()

    def at_an_end(self, seen: object) -> bool:
        if seen != self._last:
            self._last, self._since = seen, time.monotonic()
        return time.monotonic() - self._since > self._seconds


def _compare(line: Line, kafka: Commands, detail: Mapping[str, list[list[Any]]]) -> None:
    """Row by row: each command one outcome, each applied one a fact, nothing else."""
    outcomes = Counter((offset, command) for offset, command, kind in detail["outcomes"] if kind != "dead")
    dead = Counter(offset for offset, _, kind in detail["outcomes"] if kind == "dead")
    commands = Counter((offset, command) for offset, command in kafka.ids.items() if offset not in dead)
    applied = Counter((offset, command) for offset, command, kind in detail["outcomes"] if kind == "applied")
    facts = Counter((offset, command) for offset, command in detail["facts"])
    _weigh(line, "outcome", commands, outcomes)
    _weigh(line, "fact", Counter(set(applied)), facts)
    twice = sum(count - 1 for count in dead.values())
    line.duplicated += twice


def _weigh(line: Line, what: str, expected: Counter[tuple[int, str]], stored: Counter[tuple[int, str]]) -> None:
    for key in expected.keys() - stored.keys():
        line.missing += 1
        _example(line, f"no {what} for command {key[1]} at offset {key[0]}")
    for key, count in stored.items():
        if key not in expected:
            line.unexplained += count
            _example(line, f"{what} for {key[1]} at offset {key[0]}, where there is no such command" if what == "outcome" else
                     f"fact for {key[1]} at offset {key[0]} without an applied outcome")  # fmt: skip
        elif count > 1:
            line.duplicated += count - 1
            _example(line, f"{count} rows of one {what} for command {key[1]} at offset {key[0]}")


def _example(line: Line, text: str) -> None:
    if len(line.examples) < EXAMPLES:
        line.examples.append(text)


def _of(rows: list[dict[str, Any]], partition: int) -> dict[str, Any]:
    return next((row for row in rows if row["partition"] == partition), {})


def _text(kafka: Mapping[Part, Commands], log: str) -> str:
    """The window of one log: offsets from and up to, by partition."""
    return ",".join(f"{part}:{found.low}-{found.high}" for (name, part), found in sorted(kafka.items(), key=lambda i: i[0]) if name == log)


def _document(
    realm: Realm, lines: list[Line], intake: list[dict[str, Any]], rollups: dict[str, list[dict[str, Any]]], held: dict[str, Any]
) -> dict[str, Any]:
    def total(name: str) -> int:
        return sum(getattr(line, name) for line in lines)

    intake_dead = sum(line["dead"] for line in intake)
    intake_missing = sum(line["missing"] for line in intake)
    found: dict[str, Any] = {
        "realm": realm.value,
        "acknowledged": total("acknowledged") + total("relayed") + intake_dead + intake_missing,
        "unacknowledged": total("unacknowledged"),
        "applied": total("applied"), "repeated": total("repeated"), "refused": total("refused"), "dead": total("dead") + intake_dead,
        "facts": total("facts"), "pages_due": total("pages_due"), "pages": total("pages"),
        "missing": total("missing") + intake_missing, "duplicated": total("duplicated"),
        "unexplained": total("unexplained"), "rollup_mismatches": sum(rows[0]["keys"] for rows in rollups.values()),
    }  # fmt: skip
    answered = found["applied"] + found["repeated"] + found["refused"] + found["dead"]
    balanced = found["acknowledged"] + found["unacknowledged"] == answered and found["applied"] == found["facts"]
    found["exact"] = bool(balanced and all(line.exact for line in lines) and not intake_missing and not rollups)
    found["by_partition"] = [_shown(line) for line in lines]
    return found | {"intake": intake, "rollups": rollups, "failing": held["failing"]}


def _shown(line: Line) -> dict[str, Any]:
    return {name: getattr(line, name) for name in Line.__slots__} | {"exact": line.exact}
