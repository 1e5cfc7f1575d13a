"""Guards that name persons, from the login to the core's answer: two officers of one desk, one with two posts, keys without a person.

The gateway's real routes, sessions and intake; its commands are decided by the real core in the order in which they stand in the log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from schemas.avro.outcome.event import Outcome
from schemas.principals import Kind, Principal
from schemas.state.incident_case.event import IncidentCase
from streams.domain.core import Source
from streams.domain.incident.decide import decide
from tests import principals
from tests.gateway_stage import NOW, Stage, open_stage
from tests.people import PASSWORD
from tests.principals import SERVED

MINUTE = 60_000
BODY = {"type": "M01001", "division": "440305", "occurred_at": "2026-11-22T09:00:00+08:00", "event_id": "E-1"}
NO_PERSON = Principal("machine", Kind.DESK, "", "440305-desk", "officer", "county", "440305", SERVED)
NO_ORG = Principal("bare", Kind.DESK, "", "", "", "city", "440300", SERVED)
A, B, CITY, CITY_B = "off-01", "off-02", "city-1", "city-2"


@dataclass
class Desk:
    """One case, worked on through the gateway. `holders`: the Authorization of a user or key by name."""

    stage: Stage
    holders: dict[str, str]
    case_id: str = ""
    state: IncidentCase | None = None
    decided: int = 0
    states: list[str] = field(default_factory=list)

    async def do(self, who: str, name: str, **body: Any) -> str:
        """What the core answered: applied, or why not."""
        self.stage.clock.now += MINUTE
        self.stage.reads.cases[self.case_id] = {"case_id": self.case_id, "division": "440305"}
        answer = await self.stage.http.post(
            f"/v1/cases/{self.case_id}/commands/{name}", json=body, headers={"Authorization": self.holders[who]}
        )
        assert answer.status_code == 202, answer.text
        return self.judged()

    async def capture(self, who: str) -> None:
        answer = await self.stage.http.post("/v1/incidents", json=BODY, headers={"Authorization": self.holders[who]})
        assert answer.status_code == 202, answer.text
        self.case_id = answer.json()["case_id"]
        assert self.judged() == "applied"

    async def handled_by(self, who: str) -> None:
        await self.capture(who)
        for name, body in (("accept", {}), ("triage", {"grade": 4}), ("assign", {"org": "440305-desk"}), ("sign", {})):
            assert await self.do(who, name, **body) == "applied", name

    def judged(self) -> str:
        said = ""
        for command in self.stage.commands()[self.decided :]:
            decision = decide(self.state, command, Source("incident.commands", 0, self.decided), self.stage.clock.now)
            self.state, self.decided = decision.state, self.decided + 1
            (outcome,) = (emit.record for emit in decision.emits if isinstance(emit.record, Outcome))
            said = outcome.reason or outcome.outcome
        return said


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(principals, "EVERYONE", (*principals.EVERYONE, NO_PERSON, NO_ORG))
    async with open_stage(tmp_path) as stage:
        await stage.people.fill()
        await stage.people.fill({"posts": [{"id": "sz-extra", "user": A, "role": "officer", "division": "440300"}]})
        holders = {key: f"Bearer key-{key}" for key in ("machine", "bare", "admin")}
        for name, user, post in (
            (A, A, "ns-1"),
            (B, B, None),
            (CITY, CITY, None),
            (CITY_B, CITY_B, None),
            ("A at the city", A, "sz-extra"),
        ):
            stage.people.passwords.set(user, PASSWORD, NOW - MINUTE)
            body = {"user": user, "password": PASSWORD} | ({"post": post} if post else {})
            holders[name] = f"Bearer {(await stage.http.post('/v1/sessions', json=body)).json()['token']}"
            stage.http.cookies.clear()
        yield Desk(stage, holders)


async def test_who_handled_a_case_does_not_verify_it_but_a_colleague_of_the_same_desk_does(desk: Desk) -> None:
    await desk.handled_by(A)
    assert await desk.do(A, "report", evidence=True) == "applied"
    assert await desk.do(A, "verify_ok") == "same_person"
    assert await desk.do(A, "verify_fail", reason="not_done") == "same_person"
    assert await desk.do(B, "verify_ok") == "applied"
    assert desk.state is not None
    assert (desk.state.state, desk.state.handler_person) == ("closed", A)


async def test_who_signed_for_a_case_does_not_verify_it_when_a_colleague_reported_it(desk: Desk) -> None:
    await desk.handled_by(A)
    assert await desk.do(B, "report", evidence=True) == "applied"
    assert await desk.do(A, "verify_ok") == "same_person"
    assert await desk.do(B, "verify_ok") == "same_person"
    assert await desk.do(CITY, "verify_ok") == "applied"


async def test_another_post_of_the_same_person_is_no_other_person(desk: Desk) -> None:
    await desk.handled_by(A)
    assert await desk.do("A at the city", "extend", reason="parts", purpose="handle") == "same_person"
    assert await desk.do("A at the city", "shelve", reason="no_budget", until="2026-12-20T09:00:00+08:00") == "same_person"
    assert await desk.do(CITY, "extend", reason="parts", purpose="handle") == "applied"
    assert await desk.do(A, "report", evidence=True) == "applied"
    assert await desk.do("A at the city", "verify_ok") == "same_person"
    assert await desk.do(CITY, "verify_ok") == "applied"


async def test_a_key_without_a_person_is_refused_where_a_person_is_needed_and_hides_no_handler(desk: Desk) -> None:
    await desk.handled_by(A)
    assert await desk.do("bare", "shelve", reason="no_budget", until="2026-12-20T09:00:00+08:00") == "person_missing"
    assert await desk.do("bare", "extend", reason="parts", purpose="handle") == "person_missing"
    assert await desk.do("machine", "report", evidence=True) == "applied", "a system may tell that it is done"
    assert await desk.do("machine", "verify_ok") == "person_missing"
    assert await desk.do("bare", "verify_ok") == "person_missing"
    assert await desk.do(A, "verify_ok") == "same_person", "who signed it stays its handler"
    assert await desk.do(B, "verify_ok") == "applied"
    assert await desk.do("machine", "reopen", reason="again") == "person_missing"
    assert await desk.do(A, "reopen", reason="again") == "same_person"
    assert await desk.do(B, "reopen", reason="again") == "applied"


async def test_who_suspends_is_named_and_does_not_handle_the_case(desk: Desk) -> None:
    await desk.handled_by(A)
    grounds = [await desk.do(who, "suspend", reason="expert_appraisal") for who in ("bare", "A at the city", CITY)]
    assert grounds == ["person_missing", "same_person", "applied"]


async def test_only_the_organisation_that_supervises_lifts_it_by_whichever_of_its_officers(desk: Desk) -> None:
    await desk.handled_by(A)
    assert await desk.do("bare", "supervise", rung="remind") == "org_missing", "nobody could ever lift it"
    assert await desk.do(CITY, "supervise", rung="remind") == "applied"
    assert await desk.do(A, "lift_supervision") == "not_issuer"
    assert await desk.do("bare", "lift_supervision") == "not_issuer"
    assert await desk.do("admin", "lift_supervision") == "not_issuer"
    assert await desk.do(CITY_B, "lift_supervision") == "applied"


async def test_who_drafted_a_report_does_not_sign_it(desk: Desk) -> None:
    await desk.handled_by(A)
    assert await desk.do("machine", "draft_report", stage="first") == "person_missing"
    assert await desk.do(A, "draft_report", stage="first") == "applied"
    assert await desk.do("machine", "sign_report", stage="first") == "person_missing"
    assert await desk.do(A, "sign_report", stage="first") == "same_person"
    assert await desk.do("A at the city", "sign_report", stage="first") == "same_person"
    assert await desk.do(B, "sign_report", stage="first") == "applied"
    assert desk.state is not None
    assert [(one.drafter, one.signer) for one in desk.state.filed] == [(A, B)]


async def test_a_post_that_has_ended_commands_nothing_more(desk: Desk) -> None:
    await desk.handled_by(A)
    await desk.stage.people.fill(
        {"posts": [{"id": "ns-1", "user": A, "role": "officer", "division": "440305", "until": "2026-11-22 09:00"}]}
    )
    path = f"/v1/cases/{desk.case_id}/commands/report"
    answer = await desk.stage.http.post(path, json={}, headers={"Authorization": desk.holders[A]})
    assert answer.status_code == 401
    assert await desk.do(B, "report", evidence=True) == "applied"


async def test_two_officers_who_ask_the_same_are_two_commands_and_each_hears_of_the_own(desk: Desk) -> None:
    await desk.capture(A)
    assert await desk.do(A, "accept", expected_seq=1) == "applied"
    assert await desk.do(B, "accept", expected_seq=1) in ("stale_seq", "illegal_transition")
    first, second = desk.stage.commands()[-2:]
    assert first.command_id != second.command_id
    told = [
        (await desk.stage.http.get(f"/v1/commands/{first.command_id}", headers={"Authorization": desk.holders[who]})).status_code
        for who in (A, B)
    ]
    assert told == [200, 404]
