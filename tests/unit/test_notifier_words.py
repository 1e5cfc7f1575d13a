"""What a message says."""

from __future__ import annotations

from services.notifier import words
from services.notifier.throttle import Waiting
from tests.pages import HOUR, MINUTE, START, notification

LINK = "http://127.0.0.1:1/#realm={realm}&case={case}"
DUE = 1_795_307_400_000  # 2026-11-22 08:30 in China


def waited(*cases: str) -> list[Waiting]:
    return [Waiting(f"p-{case}", case, f"标题 {case}", "desk", "d", START) for case in cases]


def test_a_page_says_what_where_and_how_long_is_left() -> None:
    said = words.single(notification(3, clock="handle", clock_due_at=DUE), "p-3", DUE - 2 * HOUR - 5 * MINUTE, LINK)
    assert said.text == "【联动】事项 3，C-3，办理时限还剩 2 小时 5 分钟（11-22 08:30）。http://127.0.0.1:1/#realm=live&case=C-3"
    assert said.text_en == "[Liandong] incident, C-3, handling due in 2 h 5 min (11-22 08:30). http://127.0.0.1:1/#realm=live&case=C-3"
    assert said.ack == f"/v1/pages/p-3/ack?realm=live&kind=incident&case={notification(3).case_id}"


def test_a_late_one_says_by_how_much() -> None:
    said = words.single(notification(clock="sign", clock_due_at=DUE), "p", DUE + 26 * HOUR, LINK)
    assert "签收时限已超 1 天 2 小时" in said.text
    assert "signing late by 1 d 2 h" in said.text_en


def test_due_this_minute_is_said_as_nothing_left() -> None:
    assert "还剩 0 分钟" in words.single(notification(clock_due_at=DUE), "p", DUE, LINK).text


def test_without_a_clock_and_without_a_number_it_says_what_it_knows() -> None:
    said = words.single(notification(clock_due_at=0, clock="", case_number=""), "p", START, "")
    assert said.text == "【联动】事项 0。"
    assert said.link == ""


def test_a_message_tells_how_many_wait_besides_and_the_first_of_them() -> None:
    alone = words.single(notification(1), "p-1", START, LINK)
    assert words.with_others(alone, []) == alone
    both = words.with_others(alone, waited("C-7", "C-8"))
    assert both.text == f"{alone.text} 另有 2 件待处理，首件 C-7 标题 C-7。"
    assert both.text_en.endswith(" 2 more cases, first C-7.")
    assert (both.count, both.key) == (3, alone.key)
    assert words.with_others(alone, waited("C-7")).text_en.endswith(" 1 more case, first C-7.")


def test_a_bundle_tells_how_many_and_the_first() -> None:
    said = words.bundle(waited("C-7", "C-8", "C-9"), "k", "live", LINK)
    assert said.text == "【联动】3 件待处理，首件 C-7 标题 C-7。http://127.0.0.1:1/#realm=live&case=C-7"
    assert (said.kind, said.count, said.key, said.urgency) == ("bundle", 3, "k", 0)
    assert words.bundle(waited("C-7"), "k", "live", "").text_en == "[Liandong] 1 case waits, first C-7."


def test_what_stands_in_a_link_cannot_change_it() -> None:
    assert words.single(notification(case_number="a&b/c"), "p", START, LINK).link.endswith("case=a%26b%2Fc")
