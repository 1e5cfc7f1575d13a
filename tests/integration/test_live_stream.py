"""The live stream on a real broker: joined with a snapshot, resumed, scoped, and quick."""

from __future__ import annotations

import asyncio
import itertools
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from prometheus_client import REGISTRY

from schemas.principals import Kind, Principal
from schemas.realms import Realm
from schemas.topics import LIVE_DELTAS
from services.dashboard import stream
from services.embedded.broker import Broker
from services.keys import KeyStore
from tests.browser.stage import Stage, step
from tests.browser.store import Written
from tests.conftest import TEST_PARTITIONS
from tests.helpers import until
from tests.sse import Live

pytestmark = pytest.mark.broker
SERVED = (Realm.LIVE, Realm.SANDBOX, Realm.REPLAY)


@pytest.fixture(scope="module")
def stage(broker: Broker, topics: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    topics(*SERVED)
    with Stage(broker.bootstrap, TEST_PARTITIONS, tmp_path_factory.mktemp("dashboard"), SERVED) as ready:
        yield ready


def get(stage: Stage, path: str, key: str = "screen", **params: str) -> httpx.Response:
    return httpx.get(f"{stage.url}{path}", params=params, headers={"Authorization": f"Bearer {stage.keys.get(key, key)}"})


def vector_of(snapshot: dict[str, dict[str, int]]) -> str:
    return ",".join(f"{p}:{offset}" for p, offset in snapshot["offsets"].items())


def test_snapshot_and_stream_join_without_gap_or_double_through_every_cut(stage: Stage) -> None:
    already = len(stage.store.written.get(Realm.SANDBOX, []))
    stop = threading.Event()

    def write() -> None:
        for _ in range(60):
            stage.write(*(stage.incident(realm=Realm.SANDBOX) for _ in range(10)), realm=Realm.SANDBOX)
        stop.set()

    writing = threading.Thread(target=write)
    writing.start()
    until(lambda: len(stage.store.written.get(Realm.SANDBOX, [])) > already + 50, "first records")
    stage.store.lag = 20  # the store is behind the stream, as it always is a little
    snapshot = get(stage, "/v1/snapshot", realm="sandbox").json()
    stage.store.lag = 0
    seen: list[tuple[int, int]] = []
    vector, cuts = vector_of(snapshot), 0
    while not (stop.is_set() and _reached(vector, stage.store.written[Realm.SANDBOX])):
        with Live(stage.url, stage.keys["screen"], "sandbox", vector=vector) as live:
            assert live.status == 200
            for event in itertools.islice(iter(live.next, None), 40):
                if event and event.name == "delta":
                    seen.append((event.data["partition"], event.data["offset"]))
            vector = live.last_id
            cuts += 1
    writing.join()
    held = {(w.partition, w.offset) for w in stage.store.written[Realm.SANDBOX] if w.offset < snapshot["offsets"][str(w.partition)]}
    assert cuts > 5
    assert len(seen) == len(set(seen)), "a frame came twice"
    assert held.isdisjoint(seen), "a frame repeats what the snapshot holds"
    assert held | set(seen) == {(w.partition, w.offset) for w in stage.store.written[Realm.SANDBOX]}


def _reached(vector: str, written: list[Written]) -> bool:
    stands = dict(part.split(":") for part in vector.split(","))
    return all(w.offset < int(stands[str(w.partition)]) for w in written)


def test_a_resume_after_the_dashboard_restarted_reads_the_gap_from_the_log(stage: Stage) -> None:
    with Live(stage.url, stage.keys["screen"]) as live:
        live.clocks(1)
        vector = live.last_id
    stage.stop_dashboard()
    written = stage.write(*(stage.incident() for _ in range(200)))
    stage.start_dashboard()
    with Live(stage.url, stage.keys["screen"], vector=vector) as live:
        seen = [(e.data["partition"], e.data["offset"]) for e in live.deltas(200)]
        after = stage.write(stage.incident())[0]
        assert [(e.data["partition"], e.data["offset"]) for e in live.deltas(1)] == [(after.partition, after.offset)]
    assert sorted(seen) == sorted((w.partition, w.offset) for w in written)


def test_another_countys_key_receives_nothing_of_this_county(stage: Stage) -> None:
    with Live(stage.url, stage.keys["futian"]) as other, Live(stage.url, stage.keys["nanshan"]) as own:
        other.clocks(1)
        own.clocks(1)
        case = stage.incident("440305001")
        stage.write(case, step(case, "accepted"))
        mine = stage.incident("440304")
        stage.write(mine)
        assert [e.data["case_id"] for e in own.deltas(2)] == [case.case_id] * 2
        assert [e.data["case_id"] for e in other.deltas(1)] == [mine.case_id]
        assert not [e for e in own.clocks(1) if e.name == "delta"]


def test_a_desk_sees_its_own_subtree_only(stage: Stage) -> None:
    with Live(stage.url, stage.keys["desk"]) as desk:
        desk.clocks(1)
        stage.write(stage.incident("440106"))
        case = stage.incident("440305001")
        stage.write(case)
        assert [e.data["case_id"] for e in desk.deltas(1)] == [case.case_id]


@pytest.mark.parametrize(
    ("key", "params", "status"),
    [
        ("no such key", {}, 401),
        ("producer", {}, 403),
        ("nanshan", {"division": "440304"}, 403),
        ("nanshan", {"division": "440300"}, 403),
        ("nanshan", {"division": "440000"}, 403),
        ("screen", {"division": "999999"}, 404),
        ("screen", {"realm": "drill"}, 404),
        ("screen", {"from": "x"}, 400),
        ("screen", {"from": "0:99999999"}, 410),
    ],
)
def test_what_a_key_may_not_see_is_refused(stage: Stage, key: str, params: dict[str, str], status: int) -> None:
    answer = get(stage, "/v1/live", key, **params)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    if "from" not in params:
        assert get(stage, "/v1/snapshot", key, **params).status_code == status


def test_realms_and_place_come_from_the_key(stage: Stage) -> None:
    access = get(stage, "/v1/realms", "nanshan").json()
    assert access["realms"] == ["live", "sandbox", "replay"]
    assert access["principal"] == {"id": "nanshan", "kind": "screen", "level": "county", "division": "440305"}


def test_divisions_and_types_are_public_and_cacheable(stage: Stage) -> None:
    answer = httpx.get(f"{stage.url}/v1/divisions", params={"parent": "440000", "depth": "2"})
    levels = [row["level"] for row in answer.json()["divisions"]]
    assert [levels.count(level) for level in ("province", "city", "county")] == [1, 21, 122]
    assert "max-age" in answer.headers["cache-control"]
    assert len(httpx.get(f"{stage.url}/v1/types").json()["types"]) > 300


def test_a_revoked_key_ends_its_stream(stage: Stage) -> None:
    store = KeyStore(stage.data_dir / "keys.json")
    key = store.add(Principal("visitor", Kind.SCREEN, "", "440304-screen", "viewer", "county", "440304", SERVED))
    with Live(stage.url, key) as live:
        live.clocks(1)
        assert store.revoke("visitor") == 1
        assert live.ended(5)


def test_a_vector_older_than_the_log_asks_for_a_fresh_snapshot(stage: Stage, broker: Broker) -> None:
    written = stage.write(*(stage.incident() for _ in range(20)))[0]
    place = TopicPartition(LIVE_DELTAS.in_realm(Realm.LIVE), written.partition)

    async def forget() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        await admin.delete_records({place: RecordsToDelete(before_offset=written.offset)})
        await admin.close()

    asyncio.run(forget())
    stage.stop_dashboard()
    stage.start_dashboard()
    assert get(stage, "/v1/live", **{"from": f"{written.partition}:0"}).status_code == 410


def test_the_stream_goes_on_while_the_read_port_is_away(stage: Stage) -> None:
    stage.store.away = True
    try:
        assert get(stage, "/v1/snapshot").status_code == 503
        with Live(stage.url, stage.keys["screen"]) as live:
            live.clocks(1)
            stage.write(stage.incident())
            assert next(live.deltas(1)).name == "delta"
    finally:
        stage.store.away = False


def test_a_client_that_takes_nothing_is_dropped_and_the_others_are_not(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_SECONDS", 1.0)

    def dropped() -> float:
        return REGISTRY.get_sample_value("liandong_sse_dropped_total", {"reason": "slow"}) or 0.0

    before = dropped()
    host, port = stage.url.removeprefix("http://").split(":")
    sleeper = socket.socket()
    sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sleeper.connect((host, int(port)))
    request = f"GET /v1/live?realm=sandbox HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {stage.keys['screen']}\r\n\r\n"
    sleeper.sendall(request.encode())
    with Live(stage.url, stage.keys["screen"], "sandbox") as reader:
        reader.clocks(1)

        def flood() -> float:
            stage.write(*(stage.incident(realm=Realm.SANDBOX) for _ in range(500)), realm=Realm.SANDBOX)
            assert len(list(reader.deltas(500))) == 500
            return dropped() - before

        assert until(flood, "the sleeper is dropped", 60) == 1
    sleeper.close()


def test_a_record_reaches_the_stream_within_a_tenth_of_a_second(stage: Stage) -> None:
    count = 300
    with Live(stage.url, stage.keys["screen"]) as live:
        live.clocks(1)

        def write() -> None:
            for _ in range(count):
                stage.write(stage.incident())
                time.sleep(0.005)  # the pace of the load, not a wait for anything

        paced = threading.Thread(target=write)
        paced.start()
        ages = sorted(event.seen_at - event.data["at"] for event in live.deltas(count))
        paced.join()
    p50, p99 = statistics.median(ages), ages[int(0.99 * count)]
    print(f"append → frame at the client: p50 {p50:g} ms, p99 {p99} ms, worst {ages[-1]} ms")
    assert p50 <= 100
