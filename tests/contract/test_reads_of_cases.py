"""What people read of cases, over the engine: deadlines explained, ledgers, work lists, search, cases alike. The core decides the cases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from schemas import ids
from schemas.avro.handover.event import Handover
from schemas.avro.incident_event.event import IncidentEvent
from schemas.realms import Realm
from services.sink.streams import EVENTS, HANDOVERS
from services.warehouse.accounts import rollup_mismatches
from services.warehouse.read_port.work import LISTS
from tests import numbered
from tests.read_stage import Reads, reads
from tests.unit.test_incident_clocks import Desk, at, handled

NOON = at("24 12:00")
COUNTY_WORK, CITY_WORK = "/v1/desks/440305/county/work", "/v1/desks/440300/city/work"
CITY = {"actor_level": "city", "actor_org": "440300-desk"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reads]:
    with reads(tmp_path_factory.mktemp("reads"), NOON) as stage:
        yield stage


@pytest.fixture
def stage(engine: Reads) -> Reads:
    engine.clear()
    engine.now = NOON
    return engine


def case_id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def told(desk: Desk, number: int = 0, **given: Any) -> list[IncidentEvent]:
    """The events of a desk's case under an id of its own."""
    own = case_id(number)
    first = desk.events[0]
    named = {"case_id": own, "case_number": ids.case_number(own, first.division, first.opened_at)}
    return [msgspec.structs.replace(event, **named, **given) for event in desk.events]


def ids_of(answer: dict[str, Any]) -> list[str]:
    return [item["case_id"] for item in answer["items"]]


def test_a_case_says_its_stage_in_the_named_flow_as_its_state_and_a_supervision_make_it(stage: Reads) -> None:
    plain, fresh, supervised = handled(), Desk("S01", "23 09:00"), Desk("S01", "23 09:00")
    assert supervised.do("accept", "23 09:30") == "applied"
    assert supervised.do("supervise", "24 09:00", rung="remind", paper="督1号", **CITY) == "applied"
    stage.put([*told(plain), *told(supervised, 1), *told(fresh, 2), *told(fresh, 3, state="merged")])
    found = [stage.get(f"/v1/cases/{case_id(number)}") for number in range(4)]
    assert [(one["state"], one["supervised_rung"], [at["stage"] for at in one["stages"]]) for one in found] == [
        ("handling", "", ["follow_up"]), ("accepted", "remind", ["follow_up"]), ("captured", "", ["register"]), ("merged", "", []),
    ]  # fmt: skip
    assert found[2]["stages"][0]["stage_name"] == {"zh": "登记受理", "en": "Registered and accepted"}
    assert found[2]["stages"][0]["flow_name"]["zh"] == "“4+2”流程"


# --- deadlines ---


def test_every_clock_of_a_case_is_explained_from_what_its_events_carry(stage: Reads) -> None:
    desk = handled()
    desk.do("offer_up", "24 10:00")
    stage.put(told(desk))
    found = stage.get(f"/v1/cases/{case_id(0)}/deadlines")
    assert [(c["purpose"], c["status"], c["started_by"]["zh"], c["due_at"]) for c in found["clocks"]] == [
        (clock.purpose, "stopped" if clock.stopped_at else "running", why, clock.due_at)
        for clock, why in zip(desk.case.clocks, ("收到", "收到", "交办", "签收", "提请上级接收"), strict=True)
    ]
    handle = found["clocks"][3]
    assert handle["sentence"]["zh"] == "从 11月23日 11:00 签收起算第5个工作日下班止；周末11月28日至29日不计；期限 2026年11月30日 17:30。"
    assert handle["excluded_days"] == [{"since": at("28 00:00"), "until": at("30 00:00"), "days": 2, "zh": "", "en": "", "kind": "weekend"}]
    assert (handle["policy"]["document"], handle["policy"]["certainty"], handle["calendar"]) == ("sla_default 1", "D", "cn-2020-2026")
    assert (handle["end_of_day"], handle["provisional"], handle["light"], handle["left"]["zh"]) == (
        "business",
        False,
        "green",
        "剩余6天5小时",
    )
    assert found["next_due_at"] == at("25 17:30")


def test_deadlines_are_shown_as_they_were_known_at_a_past_moment(stage: Reads) -> None:
    stage.put(told(handled()))
    path = f"/v1/cases/{case_id(0)}/deadlines"
    for moment in ("2026-11-23T10:15:00+08:00", "2026-11-23T10:15:00 08:00", str(at("23 10:15"))):
        found = stage.get(path, as_of=moment)
        assert [(clock["purpose"], clock["status"]) for clock in found["clocks"]] == [("accept", "stopped"), ("total", "running")], moment
        assert found["as_of"] == at("23 10:15")
    wrong = stage.ask(path, as_of="2026-11-24T12:00:01+08:00")
    assert (wrong.status_code, wrong.json()["errors"]) == (422, [{"pointer": "/as_of", "reason": "bad_value", "detail": "lies ahead"}])


def test_a_pause_a_breach_and_a_ruling_are_each_told(stage: Reads) -> None:
    late = Desk("M01001", "23 08:30")
    late.do("accept", "23 11:00")
    late.do("contest", "23 12:00", purpose="accept", org="", reason="holiday")
    stage.put(told(late))
    (accept, _) = stage.get(f"/v1/cases/{case_id(0)}/deadlines")["clocks"]
    assert (accept["breach"], accept["contest"]["state"], accept["contest"]["by"]) == ("breached", "open", "440305-desk")
    assert accept["sentence"]["zh"].endswith("超时30分钟完成。")
    late.do("withdraw_breach", "24 09:00", purpose="accept", org="", reason="seen", **CITY)
    paused = handled()
    paused.do("suspend", "24 09:00", reason="expert_appraisal", actor_person="lead", **CITY)
    stage.put([*told(late)[-1:], *told(paused, 1)])
    (accept, _) = stage.get(f"/v1/cases/{case_id(0)}/deadlines")["clocks"]
    assert (accept["breach"], accept["breached_at"], accept["contest"]["state"]) == ("withdrawn", at("23 10:30"), "withdrawn")
    handle = stage.get(f"/v1/cases/{case_id(1)}/deadlines")["clocks"][-1]
    assert (handle["status"], handle["pauses"][0]["zh"], handle["pauses"][0]["until"]) == ("paused", "鉴定、检测、评估", None)
    assert "11月24日 09:00 起中止（鉴定、检测、评估）" in handle["sentence"]["zh"]


# --- ledger ---


def test_the_ledger_sums_to_the_total_and_tells_apart_untaken_and_suspended_time(stage: Reads) -> None:
    desk = handled()
    desk.do("suspend", "23 12:00", reason="expert_appraisal", actor_person="lead", **CITY)
    desk.do("resume", "23 15:00", actor_person="lead")
    desk.do("offer_up", "23 16:00")
    desk.do("take", "24 09:00", **CITY)
    stage.put(told(desk))
    found = stage.get(f"/v1/cases/{case_id(0)}/ledger")
    hours = {(h["holder"], h["level"]): {k: v / 3_600_000 for k, v in h.items() if k.endswith("_ms") and v} for h in found["holders"]}
    assert hours == {
        ("440305-desk", "county"): {"total_ms": 1.5, "working_ms": 1.5},
        ("water", "county"): {"total_ms": 22.5, "unsigned_ms": 0.5, "suspended_ms": 3, "untaken_ms": 17, "working_ms": 2},
        ("440300-desk", "city"): {"total_ms": 3, "working_ms": 3},
    }
    assert found["total_ms"] == NOON - at("23 09:00") == sum(h["total_ms"] for h in found["holders"])
    assert [level["level"] for level in found["levels"]] == ["county", "city"]
    assert stage.get(f"/v1/cases/{case_id(0)}/ledger", as_of="2026-11-23T12:30:00+08:00")["suspended_ms"] == 1_800_000


def test_both_figures_of_a_breach_stay_in_the_ledger(stage: Reads) -> None:
    desk = Desk("M01001", "23 08:30")
    desk.do("accept", "23 11:00")
    desk.do("contest", "23 12:00", purpose="accept", org="", reason="holiday")
    desk.do("withdraw_breach", "24 09:00", purpose="accept", org="", reason="seen", **CITY)
    stage.put(told(desk))
    breaches = stage.get(f"/v1/cases/{case_id(0)}/ledger")["breaches"]
    assert (breaches["told"], breaches["standing"], breaches["contested"]) == (1, 0, 0)
    assert breaches["items"][0]["breach"] == "withdrawn"
    then = stage.get(f"/v1/cases/{case_id(0)}/ledger", as_of="2026-11-23T18:00:00+08:00")["breaches"]
    assert (then["told"], then["standing"], then["contested"]) == (1, 1, 1)


# --- work lists ---


def test_a_work_list_puts_danger_first_and_then_the_time_that_is_left(stage: Reads) -> None:
    kinds = (("S01", 4, "23 09:00"), ("S01", 4, "23 08:30"), ("S01", 1, "23 11:00"), ("A20600", 3, "23 11:00"), ("A20600", 0, "23 11:00"))
    for number, (kind, grade, when) in enumerate(kinds):
        desk = Desk(kind, when)
        desk.do("accept", "23 11:00")
        if grade:
            desk.do("triage", "23 11:10", grade=grade)
        stage.put(told(desk, number))
    found = stage.get(COUNTY_WORK)
    assert ids_of(found) == [case_id(number) for number in (3, 4, 2, 1, 0)]
    assert found["items"][0]["danger"] == {"life_or_safety": True, "grade": 3, "response_level": 0}
    assert found["counts"]["work"] == sum(found["lights"].values()) == 5
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = stage.get(COUNTY_WORK, limit="2", after=after)
        seen, after = seen + ids_of(page), page["next"]
    assert seen == ids_of(found)
    assert ids_of(stage.get(COUNTY_WORK, type="A20")) == [case_id(3), case_id(4)]
    assert ids_of(stage.get(COUNTY_WORK, state="accepted")) == [case_id(4)]
    assert ids_of(stage.get(COUNTY_WORK, mine="true")) == ids_of(found), "the county's own desk holds them all"


def test_what_lies_still_what_is_offered_and_which_replies_are_owed_stand_apart(stage: Reads) -> None:
    paused, shelved, offered, owing, plain = (handled() for _ in range(5))
    paused.do("suspend", "24 09:00", reason="expert_appraisal", actor_person="lead", **CITY)
    shelved.do("shelve", "24 09:00", reason="funds", until=at("30 09:00"), actor_person="lead", **CITY)
    offered.do("offer_up", "24 09:00")
    assert owing.do("supervise", "24 09:00", rung="remind", paper="督1号", **CITY) == "applied"
    for number, desk in enumerate((paused, shelved, offered, owing, plain)):
        stage.put(told(desk, number))
    lists = {name: ids_of(stage.get(COUNTY_WORK, list=name)) for name in LISTS}
    assert {name: sorted(found) for name, found in lists.items()} == {
        "work": sorted(map(case_id, (2, 3, 4))), "paused": [case_id(0)], "shelved": [case_id(1)], "offered": [], "replies": [case_id(3)],
        "tasks": [],
    }  # fmt: skip
    assert stage.get(COUNTY_WORK)["counts"] == {"work": 3, "paused": 1, "shelved": 1, "offered": 0, "replies": 1, "tasks": 0}
    city = stage.get(CITY_WORK, "shenzhen-desk", list="offered")
    assert (ids_of(city), city["counts"]["offered"], city["counts"]["work"]) == ([case_id(2)], 1, 0)


def test_a_case_that_was_taken_is_in_one_list_only_and_a_closed_one_in_none(stage: Reads) -> None:
    desk = handled()
    desk.do("offer_up", "24 09:00")
    stage.put(told(desk))
    before = len(desk.events)
    desk.do("take", "24 09:30", **CITY)
    stage.put(told(desk)[before:])
    assert ids_of(stage.get(COUNTY_WORK)) == []
    assert ids_of(stage.get(CITY_WORK, "shenzhen-desk", list="offered")) == []
    assert ids_of(stage.get(CITY_WORK, "shenzhen-desk")) == [case_id(0)]
    assert rollup_mismatches(stage.handle, EVENTS, Realm.LIVE) == {}
    before = len(desk.events)
    desk.do("withdraw", "24 10:00", reason="mistake")
    stage.put(told(desk)[before:])
    assert ids_of(stage.get(CITY_WORK, "shenzhen-desk")) == []


def test_an_amended_case_leaves_the_list_of_the_place_where_it_never_was(stage: Reads) -> None:
    desk = Desk("S01", "23 09:00")
    stage.put(told(desk))
    before = len(desk.events)
    assert desk.do("amend", "23 09:10", division="440304", actor_level="city", actor_org="440300-desk") == "applied"
    stage.put(told(desk)[before:])
    assert ids_of(stage.get(COUNTY_WORK)) == []
    assert ids_of(stage.get("/v1/desks/440304/county/work", "futian-desk")) == [case_id(0)]


def test_tasks_of_an_organisation_are_those_neither_done_nor_waived(stage: Reads) -> None:
    desks = [handled(), handled()]
    asked = []
    for number, desk in enumerate(desks):
        desk.do("convene", "24 09:00", orgs=("fire",))
        event = told(desk, number)[-1]
        asked.append(
            numbered.made(
                Handover, handover_id=str(number), case_id=event.case_id, case_seq=event.case_seq, realm="live", kind="task", task="open",
                to_org="440305-desk", to_desk="440305-desk", to_level="county", from_desk="440305-desk", src_topic="t", src_offset=number,
            )
        )  # fmt: skip
        stage.put(told(desk, number))
    stage.put(asked, HANDOVERS)
    assert sorted(ids_of(stage.get(COUNTY_WORK, list="tasks"))) == sorted([case_id(0), case_id(1)])
    desks[0].do("convene", "24 09:01", orgs=("police",))
    desks[0].do("task_done", "24 09:10", org="fire", actor_org="fire")
    stage.put([msgspec.structs.replace(event, target="440305-desk") for event in told(desks[0])[-1:]])
    assert ids_of(stage.get(COUNTY_WORK, list="tasks")) == [case_id(1)]


def test_a_filter_that_nobody_knows_is_refused_with_its_place(stage: Reads) -> None:
    answer = stage.ask(COUNTY_WORK, ligth="red", light="blue", after="?")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/ligth", "/light", "/after"]
    for who, path in (("futian-desk", COUNTY_WORK), ("screen", COUNTY_WORK), ("nanshan-desk", "/v1/desks/440305/planet/work")):
        assert stage.ask(path, who).status_code == 404


# --- search ---


def test_a_case_is_found_by_number_by_its_end_by_type_place_and_time(stage: Reads) -> None:
    for number, (kind, when) in enumerate((("M01001", "20 09:00"), ("S01", "22 09:00"), ("A20600", "23 09:00"))):
        stage.put(told(Desk(kind, when), number))
    numbers = [ids.case_number(case_id(n), "440305", at(when)) for n, when in enumerate(("20 09:00", "22 09:00", "23 09:00"))]

    def found(**query: str) -> list[str]:
        return ids_of(stage.get("/v1/search", **query))

    assert found() == [case_id(2), case_id(1), case_id(0)]
    assert found(q=numbers[0]) == found(q=numbers[0][-6:].lower()) == [case_id(0)]
    assert found(type="A20") == found(type="火灾事故") == [case_id(2)]
    assert found(since="2026-11-21", until="2026-11-22") == [case_id(1)]
    assert found(place="南山区") == found(place="440305") == found()
    assert (found(state="open", light="red"), found(state="closed")) == ([], [])
    page = stage.get("/v1/search", limit="2")
    assert ids_of(stage.get("/v1/search", limit="2", after=page["next"])) == [case_id(0)]
    assert stage.get("/v1/search", "futian-desk")["items"] == []
    assert stage.get("/v1/search", "futian-desk", q=numbers[0])["items"] == []
    assert stage.ask("/v1/search", place="福田区").json()["errors"][0]["pointer"] == "/place"
    assert stage.ask("/v1/search", "demo-producer").status_code == 404


def test_cases_of_a_token_are_shown_to_the_desk_that_handles_them_alone(stage: Reads) -> None:
    stage.put(told(handled()))
    asked = {"ids": f"{case_id(0)},not-an-id,{case_id(9)}"}
    assert ids_of(stage.get("/internal/search/cases", **asked)) == [case_id(0)]
    assert ids_of(stage.get("/internal/search/cases", "shenzhen-desk", **asked)) == [], "it lies at the county"
    assert stage.ask("/internal/search/cases", "admin", **asked).status_code == 404


# --- alike ---


def test_cases_alike_are_of_one_type_near_in_place_and_time_and_say_why(stage: Reads) -> None:
    places = ("ws102c", "ws102d", "ws1zzz", "", "ws102c", "ws102c", "ws102c")
    times = ("23 09:00", "23 10:00", "23 10:00", "23 11:00", "21 09:00", "23 09:30", "23 09:05")
    for number, (cell, when) in enumerate(zip(places, times, strict=True)):
        kind = "S01" if number == 5 else "A20600"
        stage.put(told(Desk(kind, when), number, cell=cell, division="440305001"))
    found = stage.get(f"/v1/cases/{case_id(0)}/similar")
    assert [(item["case_id"], item["why"]["zh"]) for item in found["items"]] == [
        (case_id(6), "类型相同，同一网格，相隔5分钟"),
        (case_id(1), "类型相同，相邻网格，相隔1小时"),
        (case_id(3), "类型相同，同一镇街，相隔2小时"),
    ]
    assert stage.ask(f"/v1/cases/{case_id(0)}/similar", "futian-desk").status_code == 404
