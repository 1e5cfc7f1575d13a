"""A deadline in a sentence, Chinese and English: composed from its steps, so that it says neither more nor less than was counted.

从 9月28日 16:40 签收起算第3个工作日下班止；10月1日至7日国庆节放假不计；期限 2026年9月30日 17:30。
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from schemas.clocks import Unit, Until
from schemas.ids import CHINA
from schemas.policy.terms import Length
from schemas.state.clock import Clock
from streams.domain.clocks.deadline import Due, Kind, Step
from streams.domain.clocks.running import is_paused
from streams.domain.clocks.working import DAY_MS

HOUR, MINUTE, SECOND = 3_600_000, 60_000, 1000
WEEKDAYS_ZH = "一二三四五六日"
MOST_RESTS = 3  # more runs of weekends than these are only counted
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Both(NamedTuple):
    """The same in Chinese and in English."""

    zh: str
    en: str


def sentence(clock: Clock, found: Due, begun: Both, reasons: Mapping[str, Both]) -> Both:
    """`begun`: what set the clock going; `reasons`: names of the grounds of pauses by code. A ground without a name says its code."""
    year = _local(clock.started_at).year
    parts = [_head(clock, begun)]
    parts += [_named_days(step, year) for step in found.steps if step.kind in (Kind.MAKE_UP, Kind.HOLIDAY)]
    parts += _rests(found.steps, year)
    parts += [_pause(step, clock, reasons, year) for step in found.steps if step.kind is Kind.PAUSE]
    parts += [_rolled(step, year) for step in found.steps if step.kind is Kind.ROLLED]
    if is_paused(clock) and not clock.stopped_at:
        last = clock.pauses[-1]
        why = _named(reasons, last.reason)
        parts.append(
            Both(
                f"{_at_zh(last.since, year)} 起中止（{why.zh}），期限在恢复后顺延",
                f"paused since {_at_en(last.since, year)} ({why.en}), and put off when it goes on",
            )
        )
    for step in found.steps:
        if step.kind is Kind.PROVISIONAL:
            ahead = _local(step.since).year
            parts.append(Both(f"{ahead}年起的放假安排尚未公布，期限为暂定", f"provisional: days off from {ahead} on are not published yet"))
    parts.append(Both(f"期限 {_at_zh(clock.due_at, 0)}", f"due {_at_en(clock.due_at, 0)}"))
    return Both("；".join(part.zh for part in parts) + "。", "; ".join(part.en for part in parts) + ".")


def span_words(ms: int) -> Both:
    """A length of time in its two largest units: 1天 3小时. Negative ones are said without their sign."""
    rest, said = abs(ms), []
    for size, zh, en in ((DAY_MS, "天", "d"), (HOUR, "小时", "h"), (MINUTE, "分钟", "min"), (SECOND, "秒", "s")):
        count, rest = divmod(rest, size)
        if count:
            said.append(Both(f"{count}{zh}", f"{count} {en}"))
    shown = said[:2] or [Both("0秒", "0 s")]
    return Both("".join(part.zh for part in shown), " ".join(part.en for part in shown))


def limit_words(unit: str, amount: int) -> Both:
    """A budget as it is written: 3个工作日, 3 working days."""
    kind = Unit(unit)
    if kind is Unit.WORKING_DAY:
        zh = f"{amount}个工作日"
    elif kind is Unit.CALENDAR_DAY:
        zh = f"{amount}日"
    else:
        size, name = next(
            (size, name) for size, name in ((HOUR, "小时"), (MINUTE, "分钟"), (SECOND, "秒"), (1, "毫秒")) if amount % size == 0
        )
        zh = f"{amount // size}{'个工作' if kind is Unit.WORKING_MS else ''}{name}"
    return Both(zh, _length_en(kind, amount))


def _length_en(kind: Unit, amount: int) -> str:
    try:
        return str(Length(kind, amount))
    except StopIteration:  # no whole second, or no whole working minute: only a budget that no document writes
        return f"{amount / SECOND:g} {'working ' if kind is Unit.WORKING_MS else ''}seconds"


def _head(clock: Clock, begun: Both) -> Both:
    year = _local(clock.started_at).year
    since_zh, since_en = _at_zh(clock.started_at, year), _at_en(clock.started_at, year)
    total, kind = clock.budget + clock.extended, Unit(clock.unit)
    more = Both("", "")
    if clock.extended:
        first, longer = limit_words(clock.unit, clock.budget), limit_words(clock.unit, clock.extended)
        more = Both(f"（{first.zh}，延长{longer.zh}）", f" ({first.en}, extended by {longer.en})")
    if not kind.in_days:
        whole = limit_words(clock.unit, total)
        return Both(f"从 {since_zh} {begun.zh}起{whole.zh}内{more.zh}", f"{whole.en} from {since_en} ({begun.en}){more.en}")
    ends = Both("下班", "close of business") if clock.until == Until.BUSINESS else Both("24时", "midnight")
    days = Both("个工作日", "working day") if kind is Unit.WORKING_DAY else Both("日", "day")
    return Both(
        f"从 {since_zh} {begun.zh}起算第{total}{days.zh}{ends.zh}止{more.zh}",
        f"{ends.en} of the {_ordinal(total)} {days.en} after {since_en} ({begun.en}){more.en}",
    )


def _named_days(step: Step, year: int) -> Both:
    """A run of make-up days, or of a holiday."""
    days = _days(step, year)
    if step.kind is Kind.HOLIDAY:
        return Both(f"{days.zh}{step.text}放假不计", f"{days.en} off ({step.text_en or step.text})")
    weekday = WEEKDAYS_ZH[_local(step.since).weekday()]
    named = f", {step.text_en}" if step.text_en else ""
    return Both(f"{days.zh}（周{weekday}）{step.text}调休上班", f"{days.en} is worked (make-up day{named})")


def _rests(steps: Iterable[Step], year: int) -> list[Both]:
    rests = [step for step in steps if step.kind is Kind.REST]
    if not rests:
        return []
    if len(rests) > MOST_RESTS:
        days = sum(step.amount for step in rests)
        return [Both(f"其间周末{days}天不计", f"{days} days of weekends do not count")]
    runs = [_days(step, year) for step in rests]
    return [Both(f"周末{'、'.join(run.zh for run in runs)}不计", f"weekend {', '.join(run.en for run in runs)} does not count")]


def _pause(step: Step, clock: Clock, reasons: Mapping[str, Both], year: int) -> Both:
    why, cost = _named(reasons, step.text), limit_words(clock.unit, step.amount)
    return Both(
        f"{_at_zh(step.since, year)} 至 {_at_zh(step.until, year)} 中止（{why.zh}），顺延{cost.zh}",
        f"paused {_at_en(step.since, year)} to {_at_en(step.until, year)} ({why.en}), put off by {cost.en}",
    )


def _rolled(step: Step, year: int) -> Both:
    last, real = _day(step.since, year), _day(step.until, year)
    return Both(f"末日{last.zh}为休息日，顺延至{real.zh}", f"the last day, {last.en}, is one of rest: {real.en} instead")


def _named(reasons: Mapping[str, Both], code: str) -> Both:
    return reasons.get(code, Both(code, code))


def _days(step: Step, year: int) -> Both:
    """10月1日至7日; a step's `until` is the start of the day after."""
    first, last = _local(step.since), _local(step.until - 1)
    one, end = _day(step.since, year), _day(step.until - 1, year)
    if step.amount <= 1:
        return one
    if (first.year, first.month) == (last.year, last.month):
        return Both(f"{one.zh}至{last.day}日", f"{first.day}-{end.en}")
    return Both(f"{one.zh}至{_day(step.until - 1, first.year).zh}", f"{one.en} to {end.en}")


def _day(ms: int, year: int) -> Both:
    """`year`: the one that goes without saying."""
    found = _local(ms)
    other = found.year != year
    return Both(
        f"{f'{found.year}年' if other else ''}{found.month}月{found.day}日",
        f"{found.day} {MONTHS[found.month - 1]}{f' {found.year}' if other else ''}",
    )


def _at_zh(ms: int, year: int) -> str:
    return f"{_day(ms, year).zh} {_local(ms):%H:%M}"


def _at_en(ms: int, year: int) -> str:
    return f"{_day(ms, year).en} {_local(ms):%H:%M}"


def _ordinal(number: int) -> str:
    tail = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{tail}"


def _local(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, CHINA)
