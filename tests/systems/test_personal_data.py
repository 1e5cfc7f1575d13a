"""Personal data on a whole platform: never in the clear, read by the handling desk alone, and erased for good."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.adapters.keyfile import HEADER, RECORD
from services.keys import KeyStore
from tests.helpers import until
from tests.platforms import Platform, running
from tests.sse import Live

pytestmark = pytest.mark.broker
SECRETS = {
    "reporter": {"name": "欧阳测试甲", "phone": "13900001234", "id": "440305199001019876"},
    "note": "六楼漏水独居老人",
    "place": {"lon": 113.9481, "lat": 22.5533, "address": "测试路九十九号"},
}
WORDS = ("欧阳测试甲", "13900001234", "440305199001019876", "六楼漏水独居老人", "测试路九十九号", "113.9481")
DESK = Principal("desk-440305", Kind.DESK, "p-1", "440305-desk", "officer", "county", "440305", (Realm.LIVE,))
OTHERS = {
    "another county's desk": replace(DESK, id="desk-440304", division="440304"),
    "the city's desk": replace(DESK, id="desk-440300", division="440300", level="city"),
    "a screen": replace(DESK, id="screen-440305", kind=Kind.SCREEN),
    "another department": replace(DESK, id="other-producer", kind=Kind.PRODUCER),
}


@dataclass(frozen=True, slots=True)
class Stage:
    platform: Platform
    case: dict[str, str]
    keys: dict[str, str]  # by who
    key_of_case: bytes

    def ask(self, who: str, path: str, method: str = "GET", url: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        return httpx.request(method, (url or self.platform.gateway) + path, headers=headers, timeout=30)

    def by_person(self, who: str, **body: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        return httpx.post(f"{self.platform.gateway}/v1/search/person", json={"reason": "callback"} | body, headers=headers, timeout=30)

    @property
    def token(self) -> bytes:
        """What the index keeps of the phone: worked out here, from the secret in the key file."""
        _, secret = HEADER.unpack_from((self.platform.data_dir / "keys.bin").read_bytes())
        asked = "\x1f".join(("search", "live", "440305", "phone", SECRETS["reporter"]["phone"]))  # type: ignore[index]
        return hmac.new(secret, asked.encode(), hashlib.sha256).digest()[:16]

    @property
    def sealed(self) -> str:
        return f"/v1/cases/{self.case['case_id']}/sealed?reason=callback"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A platform with one case with personal data, stored; and keys of all who might look."""
    with running(tmp_path_factory.mktemp("personal") / "data", "--realms", "live", "--no-simulation") as platform:
        store = KeyStore(platform.data_dir / "keys.json")
        keys = {**platform.keys, "handling": store.add(DESK)} | {who: store.add(principal) for who, principal in OTHERS.items()}
        body = {"type": "A10100", "division": "440305001", "occurred_at": "2026-11-01T08:00:00+08:00", "event_id": "P-1", **SECRETS}
        case = httpx.post(f"{platform.gateway}/v1/incidents", json=body, headers=platform.headers()).json()
        found = Stage(platform, case, keys, _only_key(platform.data_dir / "keys.bin"))
        until(lambda: len(_records(found)) == 1, "the handling desk reads what was sealed", seconds=90, every=0.5)
        yield found


def _records(stage: Stage) -> list[dict[str, Any]]:
    answer = stage.ask("handling", stage.sealed)
    return list(answer.json()["records"]) if answer.status_code == 200 else []


def _only_key(path: Path) -> bytes:
    _, _, _, key = RECORD.unpack_from(path.read_bytes(), HEADER.size)
    return bytes(key)


def _files_with(data_dir: Path, needle: bytes) -> list[str]:
    """Files of the data directory that hold these bytes, as text in UTF-8 or escaped as JSON does."""
    escaped = json.dumps(needle.decode(errors="replace"))[1:-1].encode()
    found = []
    for path in data_dir.rglob("*"):
        content = _content(path)
        if needle in content or (escaped != needle and escaped in content):
            found.append(str(path.relative_to(data_dir)))
    return found


def _content(path: Path) -> bytes:
    """Nothing for a folder, a socket, or a file that was removed meanwhile: the platform goes on working."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


def test_the_handling_desk_reads_what_was_sent(stage: Stage) -> None:
    (record,) = _records(stage)
    assert record["reporter"] == SECRETS["reporter"]
    assert (record["note"], record["address"]) == (SECRETS["note"], "测试路九十九号")


def test_no_file_of_the_platform_holds_a_word_of_it(stage: Stage) -> None:
    for word in WORDS:
        assert _files_with(stage.platform.data_dir, word.encode()) == []
    assert _files_with(stage.platform.data_dir, stage.case["case_id"].encode()) != []  # the search itself finds things


@pytest.mark.parametrize("who", [*OTHERS, "producer", "screen", "admin"])
def test_nobody_else_reads_it(stage: Stage, who: str) -> None:
    answer = stage.ask(who, stage.sealed)
    assert answer.status_code in (403, 404)
    assert not any(word in answer.text for word in WORDS)


def test_another_countys_key_finds_nothing_of_the_case(stage: Stage) -> None:
    who = "another county's desk"
    case_id, number = stage.case["case_id"], stage.case["case_number"]
    for path in (f"/v1/cases/{case_id}", f"/v1/cases/{number}", f"/v1/cases/{case_id}/timeline", "/v1/desks/440305/county/work"):
        answer = stage.ask(who, path)
        assert answer.status_code == 404, path
        assert case_id not in answer.text
    command = f"/v1/cases/{case_id}/commands/accept"
    assert stage.ask(who, command, "POST").status_code == 404
    dashboard = stage.platform.dashboard
    assert stage.ask(who, "/v1/snapshot?division=440305", url=dashboard).status_code in (403, 404)
    assert case_id not in stage.ask(who, "/v1/snapshot", url=dashboard).text
    with Live(dashboard, stage.keys[who], division="440305") as live:
        assert live.status in (403, 404)


def test_what_everybody_may_see_holds_no_word_of_it(stage: Stage) -> None:
    case_id = stage.case["case_id"]
    for who in ("handling", "admin"):
        for path in (f"/v1/cases/{case_id}", f"/v1/cases/{case_id}/timeline", "/v1/desks/440305/county/work"):
            text = stage.ask(who, path).text
            assert not any(word in text for word in WORDS), path


def test_the_handling_desk_alone_finds_the_case_by_phone_or_name(stage: Stage) -> None:
    for body in ({"phone": "+86 139-0000-1234"}, {"name": "欧阳测试甲"}):
        found = stage.by_person("handling", **body).json()
        assert ([item["case_id"] for item in found["items"]], found["complete"]) == ([stage.case["case_id"]], True)
        assert not any(word in json.dumps(found, ensure_ascii=False) for word in WORDS)
        assert stage.by_person("another county's desk", **body).json()["items"] == []
        assert stage.by_person("the city's desk", **body).json()["items"] == [], "it does not handle the case"
        for who in ("a screen", "another department", "admin"):
            assert stage.by_person(who, **body).status_code == 403


def test_an_erased_case_is_gone_from_every_byte_and_stays_so(stage: Stage) -> None:
    """The last test of this stage: it erases its case."""
    data_dir = stage.platform.data_dir
    assert [path for path in data_dir.rglob("*") if stage.key_of_case in _content(path)] == [data_dir / "keys.bin"]
    assert [path for path in data_dir.rglob("*") if stage.token in _content(path)] == [data_dir / "search.db"]
    assert stage.ask("admin", stage.sealed, "DELETE").json() == {"case_id": stage.case["case_id"], "erased": True}
    assert stage.ask("handling", stage.sealed).status_code == 410
    for gone in (stage.key_of_case, stage.token):
        assert all(gone not in _content(path) for path in data_dir.rglob("*"))
    gateway = stage.platform.pids["gateway"]
    os.kill(gateway, signal.SIGKILL)
    until(lambda: stage.platform.state()["processes"]["gateway"]["pid"] not in (gateway, None), "the gateway is started again", seconds=60)
    until(lambda: _status(stage) == 410, "the erased case stays erased after a restart", seconds=60, every=0.5)
    body = {"type": "A10100", "division": "440305001", "occurred_at": "2026-11-01T08:00:00+08:00", "event_id": "P-1", **SECRETS}
    again = httpx.post(f"{stage.platform.gateway}/v1/incidents", json=body, headers=stage.platform.headers())
    assert again.json()["personal_data"] == "erased"
    for word in WORDS:
        assert _files_with(data_dir, word.encode()) == []
    until(lambda: stage.by_person("handling", name="欧阳测试甲").json()["complete"], "the index is filled anew", seconds=60, every=0.5)
    assert stage.by_person("handling", name="欧阳测试甲").json()["items"] == []
    assert all(stage.token not in _content(path) for path in data_dir.rglob("*"))


def _status(stage: Stage) -> int:
    try:
        return stage.ask("handling", stage.sealed).status_code
    except httpx.HTTPError:
        return 0
