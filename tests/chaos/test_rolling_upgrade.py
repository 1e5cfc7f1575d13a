"""Which order of commitment survives a release that decides otherwise? The test that settled design section 6.2.

A worker of the old release dies in the midst of a chunk; one of the next release takes over. What was said (events) and
what is stored (the case table) must agree, and no two copies of an event may differ.
"""

from __future__ import annotations

import signal

import pytest

from tests.chaos.rig import Rig, Verdict, judge

pytestmark = [pytest.mark.chaos, pytest.mark.broker]


def upgraded(rig: Rig, point: str, old: tuple[str, ...], new: tuple[str, ...]) -> Verdict:
    rig.start("case-live", *old, failpoint=f"{point}@4")
    rig.ready("case-live")
    rig.send(cases=600, steps=1, pause=0.02)
    assert rig.ended("case-live") == -signal.SIGKILL
    rig.start("case-live", *new, tag="next")
    rig.send(cases=200, steps=1, first=600)
    rig.drained()
    return judge(rig, versions=False)


@pytest.mark.parametrize("point", ["after_changelog", "after_outputs"])
def test_with_an_outbox_old_and_new_code_agree_on_what_was_said(rig: Rig, point: str) -> None:
    assert upgraded(rig, point, (), ("next_release",)).broken == {}


def test_outputs_first_parts_what_was_said_from_what_is_stored(rig: Rig) -> None:
    broken = upgraded(rig, "after_outputs", ("outputs_first",), ("next_release_outputs_first",)).broken
    assert broken.get("conflicts"), broken
    assert broken.get("states_against_events"), broken
