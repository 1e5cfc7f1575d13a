"""延期: who may grant it is what the policy of the clock says."""

from __future__ import annotations

import pytest

from tests.unit.test_incident_clocks import handled


def test_the_head_of_the_body_itself_extends_a_petition() -> None:
    """信访工作条例 34: 经本机关、单位负责人批准."""
    desk = handled("X03")
    asked = {"purpose": "handle", "reason": "facts_disputed", "actor_level": "county"}
    assert desk.do("extend", "24 09:00", actor_person="signer", **asked) == "same_person"
    assert desk.do("extend", "24 09:00", actor_person="head", **asked | {"actor_level": "town"}) == "level_too_low"
    assert desk.do("extend", "24 09:00", actor_person="head", **asked) == "applied"


@pytest.mark.parametrize(("level", "answer"), [("county", "level_too_low"), ("city", "applied")])
def test_all_else_is_extended_by_a_level_above(level: str, answer: str) -> None:
    desk = handled("M01001")
    assert desk.do("extend", "24 09:00", purpose="handle", reason="parts", actor_level=level, actor_person="head") == answer
