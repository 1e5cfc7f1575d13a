"""The calendar of working days: what was published, what is only taken for granted, and indices that run through both."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from schemas import calendar as module
from schemas.calendar import FILES, HOLIDAY, LATEST, MAKE_UP, WEEKEND, WORKDAY, Calendar, Day, calendar, date_of, number

CAL = calendar()


def test_the_newest_version_is_the_one_new_cases_name() -> None:
    assert LATEST == CAL.version == list(FILES)[-1]
    assert calendar(LATEST) is calendar(LATEST), "read once"
    with pytest.raises(KeyError):
        calendar("cn-1949")


def test_spring_festival_of_2026_is_nine_days_of_rest_between_two_saturdays_of_work() -> None:
    assert [CAL.is_workday(date(2026, 2, day)) for day in range(13, 25)] == [True, True, *[False] * 9, True]
    assert CAL.day(date(2026, 2, 14)) == Day(MAKE_UP, "春节", "Spring Festival")
    assert CAL.day(date(2026, 2, 17)) == Day(HOLIDAY, "春节", "Spring Festival")
    assert CAL.is_workday(date(2026, 2, 28)), "the second Saturday"
    assert CAL.day(date(2026, 3, 1)) == Day(WEEKEND)


def test_a_holiday_in_the_week_is_no_working_day() -> None:
    assert not CAL.is_workday(date(2026, 10, 1))
    assert CAL.is_workday(date(2026, 10, 10)), "a Saturday that makes up for it"


def test_beyond_the_published_days_monday_to_friday_are_taken_for_granted_and_said_to_be() -> None:
    assert CAL.published_until == date(2026, 12, 31)
    assert not CAL.is_provisional(date(2026, 12, 31))
    assert CAL.is_provisional(date(2027, 1, 1))
    assert CAL.is_provisional(date(2019, 12, 31))
    assert CAL.is_workday(date(2027, 1, 1)), "a holiday for certain, but not published: never guess"
    assert CAL.day(date(2027, 1, 2)) == Day(WEEKEND)
    assert CAL.day(date(2019, 12, 31)) == Day(WORKDAY)


def test_indices_of_working_days_run_without_gap_from_before_to_beyond_the_published_ones() -> None:
    day = number(date(1969, 12, 29))
    index = CAL.workdays_before(day)
    assert index == 0, "counted from a Monday"
    while day < number(date(2040, 1, 1)):
        assert CAL.workdays_before(day) == index, date_of(day)
        if CAL.is_workday(date_of(day)):
            assert CAL.workday(index) == day, date_of(day)
            index += 1
        day += 1


@pytest.mark.parametrize("length", range(1, 15))
def test_indices_run_on_from_whatever_weekday_the_published_days_end_on(length: int) -> None:
    """All published days rest."""
    first = date(2026, 1, 1)
    cal = Calendar("rest", first, [Day(HOLIDAY)] * length)
    found = [cal.workday(cal.workdays_before(number(first)) + n) for n in range(8)]
    weekdays = (first + timedelta(days=length + n) for n in range(20))
    assert found == [number(day) for day in weekdays if day.weekday() < 5][:8]


@pytest.mark.parametrize(
    "hours", [[], [(720, 510)], [(510, 720), (700, 1050)], [(-1, 5)], [(1400, 1441)], [(510, 510)], [(510, 720), (720, 800)]]
)
def test_hours_of_business_must_ascend_within_a_day(hours: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="hours of business"):
        Calendar("x", date(2026, 1, 1), [Day(WORKDAY)], hours)


HEAD = "date,is_workday,day_type,holiday_zh,holiday_en\n"
GOOD = "2027-01-01,0,public_holiday,元旦,New Year's Day\n"


@pytest.mark.parametrize("bad", ["2027-01-03,0,weekend,,\n", "2027-01-02,1,weekend,,\n", "2027-01-01,0,weekend,,\n"])
def test_a_list_with_a_gap_a_repeat_or_a_contradiction_is_refused(bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setitem(FILES, "test", "days.csv")
    (tmp_path / "days.csv").write_text(HEAD + GOOD + bad, encoding="utf-8")
    with pytest.raises(ValueError, match=r"days\.csv"):
        calendar("test")
    (tmp_path / "days.csv").write_text(HEAD + GOOD, encoding="utf-8")
    assert calendar("test").published_until == date(2027, 1, 1)
    calendar.cache_clear()
