"""Lanes, retries, pacing: every row is accounted for, whatever the gateway does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import msgspec
import pytest

from services.replay.errors import RowRefused
from services.replay.outcomes import Outcomes, Wait, settled
from services.replay.reader import Damaged, NumberedRow
from services.replay.rows import Mapped, Row
from services.replay.run import Counts, Pace, replay
from services.replay.sender import Plan

Answer = Callable[[list[dict[str, Any]]], httpx.Response]


class Gateway:
    """Answers a batch by `answer`; keeps what it was sent, and how many requests it had at a time."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.batches: list[list[dict[str, Any]]] = []
        self._open: dict[str, int] = {}
        self.most_open = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        lines = [msgspec.json.decode(text) for text in request.content.splitlines()]
        self.batches.append(lines)
        self._open["all"] = self._open.get("all", 0) + 1
        self.most_open = max(self.most_open, self._open["all"])
        await asyncio.sleep(0)
        self._open["all"] -= 1
        return self._answer(lines)


def answers(statuses: Iterable[int]) -> httpx.Response:
    found = []
    for number, status in enumerate(statuses):
        problem = {"errors": [{"pointer": "/type", "reason": "unknown_type", "detail": "no"}]}
        found.append({"line": number + 1, "status": status} | ({} if status == 202 else {"problem": problem}))
    return httpx.Response(200, content=b"\n".join(msgspec.json.encode(line) for line in found))


def take_all(lines: list[dict[str, Any]]) -> httpx.Response:
    return answers([202] * len(lines))


def mapper(row: Row) -> Mapped:
    if row[0] == "bad":
        raise RowRefused("bad_time", "no time")
    return Mapped(row[0], int(row[1]), {"external_id": row[0], "n": int(row[1])})


def rows(*texts: str) -> list[NumberedRow]:
    return [NumberedRow(number, [text, str(number)], None) for number, text in enumerate(texts, 1)]


async def run(gateway: Gateway, given: Iterable[NumberedRow], **plan: Any) -> tuple[Counts, list[tuple[int, str]]]:
    refused: list[tuple[int, str]] = []
    settings: dict[str, Any] = {"lanes": 2, "batch_lines": 2, "give_up_s": 5.0, "lane_of": lambda text: ord(text[0]) % 2} | plan
    async with httpx.AsyncClient(transport=httpx.MockTransport(gateway), base_url="http://gateway") as client:
        counts = await replay(
            client, given, mapper, Plan("replay", **settings), refused=lambda number, _id, reason, _detail: refused.append((number, reason))
        )
    return counts, refused


async def test_all_rows_arrive_and_rows_of_a_case_keep_their_order() -> None:
    gateway = Gateway(take_all)
    counts, refused = await run(gateway, rows(*"abcabcabcabc"))
    assert (counts.read, counts.sent.accepted, counts.unsent, counts.failure, refused) == (12, 12, 0, "", [])
    for case in "abc":
        sent = [line["n"] for batch in gateway.batches for line in batch if line["external_id"] == case]
        assert sent == sorted(sent)
        assert len(sent) == 4


async def test_a_lane_has_one_batch_in_flight() -> None:
    gateway = Gateway(take_all)
    await run(gateway, rows(*"aaaaaaaaaa"))
    assert gateway.most_open == 1


async def test_bad_rows_and_rejected_lines_are_listed_with_their_reason() -> None:
    gateway = Gateway(lambda lines: answers([422 if line["external_id"] == "x" else 202 for line in lines]))
    faulty = NumberedRow(9, [], RowRefused("bad_columns", "1 column"))
    counts, refused = await run(gateway, [*rows("a", "bad", "x", "b"), faulty])
    assert (counts.read, counts.sent.accepted, counts.unsent) == (5, 2, 0)
    assert sorted(refused) == [(2, "bad_time"), (3, "unknown_type"), (9, "bad_columns")]
    assert counts.not_mapped == {"bad_time": 1, "bad_columns": 1}
    assert counts.sent.rejected == {"unknown_type": 1}


async def test_a_busy_gateway_gets_the_same_lines_again() -> None:
    tries = iter([httpx.Response(503, headers={"Retry-After": "0"})])
    gateway = Gateway(lambda lines: next(tries, None) or take_all(lines))
    counts, _ = await run(gateway, rows("a", "a"))
    assert gateway.batches[0] == gateway.batches[1]
    assert (counts.sent.accepted, counts.sent.resent) == (2, 2)


async def test_only_lines_that_were_not_taken_are_sent_again() -> None:
    first = iter([answers([202, 503])])
    gateway = Gateway(lambda lines: next(first, None) or take_all(lines))
    counts, _ = await run(gateway, rows("a", "c"))
    assert [[line["external_id"] for line in batch] for batch in gateway.batches] == [["a", "c"], ["c"]]
    assert (counts.sent.accepted, counts.sent.resent) == (2, 1)


async def test_a_broken_connection_is_tried_again() -> None:
    broken = iter([httpx.ReadError("gone")])

    def answer(lines: list[dict[str, Any]]) -> httpx.Response:
        for error in broken:
            raise error
        return take_all(lines)

    counts, _ = await run(Gateway(answer), rows("a"))
    assert (counts.sent.accepted, counts.sent.resent, counts.failure) == (1, 1, "")


async def test_a_refused_key_ends_the_replay_and_says_how_many_rows_were_not_sent() -> None:
    counts, _ = await run(Gateway(lambda _: httpx.Response(401, text="no valid key")), rows(*"ab" * 20))
    assert "401" in counts.failure
    assert counts.sent.accepted == 0
    assert counts.unsent == counts.read > 0


async def test_a_gateway_that_stays_away_ends_the_replay() -> None:
    counts, _ = await run(Gateway(lambda _: httpx.Response(503)), rows("a"), give_up_s=0.1)
    assert "no answer" in counts.failure
    assert counts.unsent == 1


async def test_a_damaged_file_sends_what_was_read_and_says_so() -> None:
    def broken() -> Iterable[NumberedRow]:
        yield from rows("a", "b")
        raise Damaged("breaks off after row 2")

    counts, _ = await run(Gateway(take_all), broken())
    assert (counts.sent.accepted, counts.failure) == (2, "breaks off after row 2")


async def test_a_limit_reads_no_further() -> None:
    counts, _ = await run(Gateway(take_all), rows(*"abc"), limit=2)
    assert (counts.read, counts.sent.accepted) == (2, 2)


def test_pacing_follows_the_datas_own_clock_and_a_late_row_goes_at_once() -> None:
    pace = Pace(speed=60)
    assert pace.wait(1_000_000, now=50.0) == 0
    assert pace.wait(1_120_000, now=50.5) == pytest.approx(1.5)
    assert pace.wait(1_060_000, now=52.0) < 0


async def test_a_paced_replay_takes_the_datas_time() -> None:
    gateway = Gateway(take_all)
    start = asyncio.get_running_loop().time()
    spaced = [NumberedRow(number, ["a", str(number * 1000)], None) for number in range(3)]
    counts, _ = await run(gateway, spaced, speed=10)
    assert asyncio.get_running_loop().time() - start >= 0.2
    assert counts.sent.accepted == 3
    assert len(gateway.batches) == 3


async def test_waiting_for_outcomes_ends_when_all_are_there_or_none_come() -> None:
    totals = iter([10, 12, 15])

    def snapshot(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"completeness": {"applied": next(totals, 15), "repeated": 0, "refused": 1, "dead": 0}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(snapshot), base_url="http://read") as client:
        before = Outcomes(applied=10, refused=1)
        found = await settled(client, "replay", before, 5, wait=Wait(5), progress=lambda _: None)
        assert found == Outcomes(applied=5)
        missing = await settled(client, "replay", before, 6, wait=Wait(0.1), progress=lambda _: None)
        assert missing == Outcomes(applied=5)
