"""Search by person: who may, what is on record before the answer, what the file holds and what is left of it after an erasure."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from schemas.avro.audit_entry.event import AuditEntry
from schemas.codec import codec
from services.adapters.keyfile import KeyFile
from services.gateway.search_index import PersonIndex, Told
from services.gateway.search_tokens import NAME, PHONE, counties_of, name_of, phone_of, token, tokens_of
from tests.gateway_stage import Stage, open_stage

BODY = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-22T08:30:00+08:00"}
ZHANG = {"name": "张三", "phone": "+86 138-0000-0000"}
AUDITS = codec(AuditEntry)
CASE = "6f0c5a1e-4d0b-5c58-9d53-0d6a1f4b7c21"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as made:
        yield made


async def sent(stage: Stage, event_id: str, reporter: dict[str, str], **more: Any) -> str:
    answer = await stage.post("/v1/incidents", BODY | {"event_id": event_id, "reporter": reporter} | more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["case_id"])


async def found(stage: Stage, who: str = "nanshan-desk", **body: str) -> list[str]:
    answer = await stage.post("/v1/search/person", {"reason": "callback"} | body, who)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return [item["case_id"] for item in answer.json()["items"]]


def audits(stage: Stage) -> list[AuditEntry]:
    return [AUDITS.decode(record.value) for record in stage.producer.records("audit")]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("13800000000", "13800000000"), ("+86 138-0000-0000", "13800000000"), ("0086 13800000000", "13800000000"),
        ("１３８００００００００", "13800000000"), ("0755-2345 6789", "075523456789"), ("86 755 2345 6789", "75523456789"),
        ("110", ""), ("ask", ""), ("8613800000", "8613800000"),
    ],
)  # fmt: skip
def test_a_phone_is_its_digits_however_it_was_written(written: str, read: str) -> None:
    assert phone_of(written) == read


def test_a_name_is_exact_but_for_spaces_and_forms_of_characters() -> None:
    assert name_of(" 张 三\u3000") == name_of("张三") != name_of("张三丰")
    assert name_of("Ｌｉ Ｌｅｉ") == name_of("LI lei")


def test_tokens_join_nothing_across_counties_realms_or_kinds(tmp_path: Path) -> None:
    vault = KeyFile(tmp_path / "keys.bin")
    made = {
        token(vault.fingerprint, realm, county, kind, "13800000000")
        for realm in ("live", "sandbox") for county in ("440305", "440304") for kind in (PHONE, NAME)
    }  # fmt: skip
    assert len(made) == 8
    assert {len(one) for one in made} == {16}
    personal = b'{"reporter":{"name":"x","phone":"13800000000"},"note":"n"}'
    assert set(tokens_of(personal, vault.fingerprint, "live", "440305001")) & made == {
        token(vault.fingerprint, "live", "440305", PHONE, "13800000000")
    }
    assert not [*tokens_of(b'{"note":"n"}', vault.fingerprint, "live", "440305")]
    vault.close()


def test_a_desk_looks_in_the_counties_of_its_own_part_of_the_register() -> None:
    assert counties_of("440305001") == counties_of("440305") == ("440305",)
    assert set(counties_of("440300")) >= {"440305", "440304"}
    assert counties_of("441900") == counties_of("441900003") == ("441900",), "东莞 has no counties"
    assert len(counties_of("440000")) == 124


async def test_a_desk_finds_by_phone_and_by_name_what_was_sealed_in_its_county(stage: Stage) -> None:
    first = await sent(stage, "1", ZHANG)
    second = await sent(stage, "2", {"name": "李四", "phone": "13800000000"})
    await sent(stage, "3", ZHANG, division="440304")
    assert sorted(await found(stage, phone="138 0000 0000")) == sorted([first, second])
    assert await found(stage, name="张三") == [first]
    assert await found(stage, name="李四", phone="13800000000") == [second]
    assert await found(stage, name="李四", phone="13911111111") == []
    assert len(await found(stage, "shenzhen-desk", name="张三")) == 2, (
        "the city's desk looks in all its counties; the read port says what it handles"
    )
    assert await found(stage, "longhu-desk", name="张三") == []


async def test_a_search_by_person_is_on_record_before_it_is_answered_and_says_nothing_of_the_person(stage: Stage) -> None:
    await sent(stage, "1", ZHANG)
    asked = len(stage.reads.seen)
    stage.producer.away_topics = {"audit"}
    answer = await stage.post("/v1/search/person", {"name": "张三", "reason": "callback"}, "nanshan-desk")
    assert answer.status_code == 503
    assert len(stage.reads.seen) == asked, "nothing was looked for"
    stage.producer.away_topics = set()
    await found(stage, name="张三")
    (entry,) = audits(stage)
    assert (entry.action, entry.case_id, entry.reason, entry.person) == ("search_person", "", "callback", "p-17")
    assert "张三".encode() not in AUDITS.encode(entry)


@pytest.mark.parametrize(
    ("who", "body", "status", "pointers"),
    [
        ("demo-producer", {"name": "张三", "reason": "r"}, 403, None),
        ("admin", {"name": "张三", "reason": "r"}, 403, None),
        ("screen", {"name": "张三", "reason": "r"}, 403, None),
        ("nanshan-desk", {"name": "张三", "reason": " "}, 422, ["/reason"]),
        ("nanshan-desk", {"name": "张三"}, 422, ["/reason"]),
        ("nanshan-desk", {"reason": "r"}, 422, [""]),
        ("nanshan-desk", {"phone": "one two", "name": " ", "reason": "r"}, 422, ["/phone", "/name"]),
        ("nanshan-desk", {"phone": "13800000000", "reason": "r", "case": "x"}, 422, ["/case"]),
    ],
)
async def test_who_may_not_and_what_is_wrong(stage: Stage, who: str, body: dict[str, str], status: int, pointers: list[str] | None) -> None:
    answer = await stage.post("/v1/search/person", body, who)
    assert answer.status_code == status
    if pointers is not None:
        assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert audits(stage) == []


async def test_an_erased_case_is_found_no_more_and_its_token_is_in_no_byte_of_the_file(stage: Stage) -> None:
    case = await sent(stage, "1", ZHANG)
    other = await sent(stage, "2", {"name": "李四"})
    await stage.index.settled()
    mark = token(stage.vault.fingerprint, "live", "440305", NAME, "张三")
    assert mark in (stage.folder / "search.db").read_bytes()
    stage.reads.sealed[case] = {"case_id": case, "division": "440305", "holder_level": "county", "sealed": []}
    answer = await stage.http.delete(f"/v1/cases/{case}/sealed?reason=asked", headers={"Authorization": "Bearer key-admin"})
    assert answer.json() == {"case_id": case, "erased": True}
    assert not [path for path in stage.folder.iterdir() if path.is_file() and mark in path.read_bytes()]
    assert await found(stage, name="张三") == []
    assert (await stage.post("/v1/incidents", BODY | {"event_id": "1", "reporter": ZHANG})).json()["personal_data"] == "erased"
    assert await found(stage, name="张三") == [], "a repeat brings nothing back"
    assert await found(stage, name="李四") == [other]


async def test_what_is_not_written_yet_when_a_case_is_erased_stays_out(tmp_path: Path) -> None:
    vault = KeyFile(tmp_path / "keys.bin")
    await vault.ensure([CASE])
    index = PersonIndex(tmp_path / "search.db", vault)
    index.add([Told(CASE, "live", "440305", b'{"reporter":{"name":"x"}}', 1)])
    await vault.erase(CASE)
    await index.erase(CASE)
    index.add([Told(CASE, "live", "440305", b'{"reporter":{"name":"x"}}', 2)])  # sealed before, told after
    assert await index.find([token(vault.fingerprint, "live", "440305", NAME, "x")]) == []
    await index.close()
    vault.close()


async def test_only_a_file_that_was_closed_whole_is_whole(tmp_path: Path) -> None:
    vault = KeyFile(tmp_path / "keys.bin")
    await vault.ensure([CASE])
    fresh = PersonIndex(tmp_path / "search.db", vault)
    assert not fresh.whole, "there may be sealed records from before"
    fresh.add([Told(CASE, "live", "440305", b'{"reporter":{"name":"x"}}', 1)])
    fresh.whole = True
    await fresh.close()
    assert (tmp_path / "search.db").stat().st_mode & 0o777 == 0o600
    again = PersonIndex(tmp_path / "search.db", vault)
    assert again.whole
    assert await again.find([token(vault.fingerprint, "live", "440305", NAME, "x")]) == [CASE]
    crashed = PersonIndex(tmp_path / "search.db", vault)  # the other one did not close
    assert not crashed.whole
    await crashed.close()
    await again.close()
    vault.close()


async def test_a_search_says_that_it_is_not_complete_while_the_index_is_filled(stage: Stage) -> None:
    stage.index.whole = False
    answer = await stage.post("/v1/search/person", {"name": "张三", "reason": "r"}, "nanshan-desk")
    assert answer.json() == {"items": [], "complete": False}
    filled = await stage.http.post("/internal/search/rebuild", headers={"Authorization": "Bearer key-admin"})
    assert filled.status_code == 202
    assert (await stage.http.get("/internal/search", headers={"Authorization": "Bearer key-nanshan-desk"})).status_code == 404


async def test_a_file_that_can_not_be_written_stops_no_sender(stage: Stage) -> None:
    def broken(_told: Any) -> None:
        raise sqlite3.OperationalError("disk full")

    stage.index._insert = broken  # type: ignore[assignment]
    await sent(stage, "1", ZHANG)
    await stage.index.settled()
    assert not stage.index.whole
