"""A deadline in a sentence: Chinese and English, from the steps alone. Moments and days worked out by hand from the notices of 2026."""

from __future__ import annotations

import msgspec
import pytest

from schemas.calendar import MAKE_UP, Day
from schemas.clocks import Unit, Until
from streams.domain.clocks.clock import extend, pause
from streams.domain.clocks.deadline import explain
from streams.domain.clocks.words import Both, limit_words, sentence, span_words
from tests.clocks import CAL, HOUR, at, begun, paused, rule
from tests.unit.test_deadlines import later

SIGNED = Both("签收", "signed")
NAMES = {"appraisal": Both("鉴定", "appraisal")}
DAYS = rule(Unit.WORKING_DAY, 3, extension=2)


@pytest.mark.parametrize(
    ("of", "since", "zh", "en"),
    [
        (
            DAYS, "2026-09-28 16:40",
            "从 9月28日 16:40 签收起算第3个工作日下班止；10月1日至7日国庆节放假不计；期限 2026年10月8日 17:30。",
            "close of business of the 3rd working day after 28 Sep 16:40 (signed); 1-7 Oct off (National Day); due 8 Oct 2026 17:30.",
        ),
        (
            DAYS, "2026-09-30 16:40",
            "从 9月30日 16:40 签收起算第3个工作日下班止；10月1日至7日国庆节放假不计；10月10日（周六）国庆节调休上班；"
            "期限 2026年10月10日 17:30。",
            "close of business of the 3rd working day after 30 Sep 16:40 (signed); 1-7 Oct off (National Day); "
            "10 Oct is worked (make-up day, National Day); due 10 Oct 2026 17:30.",
        ),
        (
            rule(Unit.CALENDAR_DAY, 15, until=Until.MIDNIGHT), "2026-02-02 10:00",
            "从 2月2日 10:00 签收起算第15日24时止；末日2月17日为休息日，顺延至2月24日；期限 2026年2月25日 00:00。",
            "midnight of the 15th day after 2 Feb 10:00 (signed); the last day, 17 Feb, is one of rest: 24 Feb instead; "
            "due 25 Feb 2026 00:00.",
        ),
        (
            rule(Unit.MS, 15 * 60_000), "2026-09-30 16:40",
            "从 9月30日 16:40 签收起15分钟内；期限 2026年9月30日 16:55。", "15 minutes from 30 Sep 16:40 (signed); due 30 Sep 2026 16:55.",
        ),
        (
            rule(Unit.WORKING_MS, 4 * HOUR), "2026-09-18 16:40",
            "从 9月18日 16:40 签收起4个工作小时内；周末9月19日不计；期限 2026年9月20日 11:40。", "",
        ),
        (
            rule(Unit.WORKING_DAY, 5), "2026-12-28 09:00",
            "从 12月28日 09:00 签收起算第5个工作日下班止；周末2027年1月2日至3日不计；2027年起的放假安排尚未公布，期限为暂定；"
            "期限 2027年1月4日 17:30。",
            "close of business of the 5th working day after 28 Dec 09:00 (signed); weekend 2-3 Jan 2027 does not count; "
            "provisional: days off from 2027 on are not published yet; due 4 Jan 2027 17:30.",
        ),
    ],
)  # fmt: skip
def test_a_deadline_is_told_with_the_days_that_did_not_count(of: object, since: str, zh: str, en: str) -> None:
    clock = begun(of, since)  # type: ignore[arg-type]
    said = sentence(clock, explain(clock, of, CAL), SIGNED, NAMES)  # type: ignore[arg-type]
    if not en:
        zh = zh.replace("；周末", "；9月20日（周日）国庆节调休上班；周末")
    assert (said.zh, said.en if en else "") == (zh, en)


def test_a_pause_says_its_ground_and_what_it_cost_and_one_that_lasts_since_when() -> None:
    clock = paused(begun(DAYS, "2026-03-02 09:00"), DAYS, "2026-03-03 10:00", "2026-03-05 10:00")
    assert sentence(clock, explain(clock, DAYS, CAL), SIGNED, NAMES) == (
        "从 3月2日 09:00 签收起算第3个工作日下班止；周末3月7日至8日不计；3月3日 10:00 至 3月5日 10:00 中止（鉴定），顺延2个工作日；"
        "期限 2026年3月9日 17:30。",
        "close of business of the 3rd working day after 2 Mar 09:00 (signed); weekend 7-8 Mar does not count; "
        "paused 3 Mar 10:00 to 5 Mar 10:00 (appraisal), put off by 2 working days; due 9 Mar 2026 17:30.",
    )
    lasting = pause(begun(DAYS, "2026-03-02 09:00"), DAYS, "court", at("2026-03-05 11:00"), "lead")
    assert sentence(lasting, explain(lasting, DAYS, CAL), SIGNED, NAMES) == (
        "从 3月2日 09:00 签收起算第3个工作日下班止；3月5日 11:00 起中止（court），期限在恢复后顺延；期限 2026年3月5日 17:30。",
        "close of business of the 3rd working day after 2 Mar 09:00 (signed); paused since 5 Mar 11:00 (court), "
        "and put off when it goes on; due 5 Mar 2026 17:30.",
    ), "a ground without a name says its code"


def test_a_clock_that_was_stopped_within_a_pause_waits_for_no_resumption() -> None:
    lasting = pause(begun(DAYS, "2026-03-02 09:00"), DAYS, "court", at("2026-03-05 11:00"), "lead")
    ended = msgspec.structs.replace(lasting, stopped_at=at("2026-03-05 12:00"))
    assert "中止" not in sentence(ended, explain(ended, DAYS, CAL), SIGNED, NAMES).zh


def test_a_make_up_day_without_a_name_is_only_called_so() -> None:
    of = rule(Unit.WORKING_DAY, 5)
    clock = begun(of, "2026-12-28 09:00", later({2: Day(MAKE_UP)}))
    said = sentence(clock, explain(clock, of, later({2: Day(MAKE_UP)})), SIGNED, NAMES)
    assert "；2027年1月2日（周六）调休上班；" in said.zh
    assert "; 2 Jan 2027 is worked (make-up day); " in said.en


def test_a_run_of_days_over_the_end_of_a_month_names_both_months_and_its_year_once_in_chinese() -> None:
    of = rule(Unit.WORKING_DAY, 25)
    clock = begun(of, "2021-12-30 09:00")
    said = sentence(clock, explain(clock, of, CAL), SIGNED, NAMES)
    assert "；2022年1月31日至2月6日春节放假不计；" in said.zh
    assert "; 31 Jan 2022 to 6 Feb 2022 off (Spring Festival); " in said.en


def test_an_extension_stands_beside_what_it_was_granted_on() -> None:
    clock = extend(begun(DAYS, "2026-03-02 09:00"), DAYS, CAL, 2, at("2026-03-02 10:00"))
    said = sentence(clock, explain(clock, DAYS, CAL), SIGNED, NAMES)
    assert said.zh.startswith("从 3月2日 09:00 签收起算第5个工作日下班止（3个工作日，延长2个工作日）；")
    assert "5th working day after 2 Mar 09:00 (signed) (3 working days, extended by 2 working days)" in said.en


def test_many_weekends_are_counted_not_listed() -> None:
    of = rule(Unit.WORKING_DAY, 30)
    clock = begun(of, "2026-03-02 09:00")
    said = sentence(clock, explain(clock, of, CAL), SIGNED, NAMES)
    assert "；其间周末10天不计；" in said.zh
    assert "; 10 days of weekends do not count; " in said.en


def test_three_weekends_are_listed() -> None:
    of = rule(Unit.WORKING_DAY, 15)
    said = sentence(begun(of, "2026-03-02 09:00"), explain(begun(of, "2026-03-02 09:00"), of, CAL), SIGNED, NAMES)
    assert "；周末3月7日至8日、3月14日至15日、3月21日至22日不计；" in said.zh
    assert "; weekend 7-8 Mar, 14-15 Mar, 21-22 Mar does not count; " in said.en


@pytest.mark.parametrize(
    ("days", "said"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (10, "10th"), (11, "11th"), (12, "12th"), (13, "13th"), (14, "14th"), (21, "21st"),
     (22, "22nd"), (23, "23rd"), (101, "101st"), (111, "111th")],
)  # fmt: skip
def test_days_are_counted_by_english_ordinals(days: int, said: str) -> None:
    of = rule(Unit.CALENDAR_DAY, days)
    clock = begun(of, "2026-03-02 09:00")
    assert sentence(clock, explain(clock, of, CAL), SIGNED, NAMES).en.startswith(f"close of business of the {said} day after 2 Mar 09:00")


@pytest.mark.parametrize(
    ("ms", "zh", "en"),
    [
        (0, "0秒", "0 s"),
        (999, "0秒", "0 s"),
        (61_000, "1分钟1秒", "1 min 1 s"),
        (-90_000_000, "1天1小时", "1 d 1 h"),
        (93_784_000, "1天2小时", "1 d 2 h"),
        (HOUR, "1小时", "1 h"),
    ],
)
def test_a_length_of_time_is_said_in_its_two_largest_units(ms: int, zh: str, en: str) -> None:
    assert span_words(ms) == (zh, en)


@pytest.mark.parametrize(
    ("unit", "amount", "zh", "en"),
    [
        ("working_day", 1, "1个工作日", "1 working day"), ("calendar_day", 60, "60日", "60 calendar days"),
        ("ms", 2 * HOUR, "2小时", "2 hours"),
        ("working_ms", 4 * HOUR, "4个工作小时", "4 working hours"), ("ms", 1500, "1500毫秒", "1.5 seconds"),
        ("working_ms", 5000, "5个工作秒", "5 working seconds"),
    ],
)  # fmt: skip
def test_a_limit_is_said_as_it_is_written(unit: str, amount: int, zh: str, en: str) -> None:
    assert limit_words(unit, amount) == (zh, en)
