"""What some events do to more than one clock: another grade or version of the policies, a report, an answer to a paper or a page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.policy.rules import ClockRule
from services.audit.timers.case import ENDED, REPLY, REPORT_UP, Case, Chain, Paper, Touched, Unknown
from services.audit.timers.clocks import SOURCE, Clock, Key, extension_of
from services.audit.timers.days import days
from services.audit.timers.rules import above, book, desk_of, level_of, name_of, rank
from services.audit.timers.waiting import next_moment


def regrade(case: Case, _event: Any, now: int) -> list[Touched]:
    """Another type or grade: other limits from the same start, and another report to the level above."""
    found: list[Touched] = []
    rules, moved = book(case.policy), []
    for clock in case.clocks:
        rule = None
        if clock.rule.purpose not in (REPLY, REPORT_UP):
            rule = rules.limit(clock.rule.purpose.value, case.kind, case.grade)
        fresh = clock.regraded(rule, now) if rule and name_of(rule) != name_of(clock.rule) else clock
        moved.append(fresh)
        found += [Touched(fresh, 0)] if fresh is not clock else []
    case.clocks = moved
    desk, level = _owing(case)
    hop = rules.hop(case.kind, case.grade, level)
    reports = [clock for clock in case.clocks if clock.rule.purpose is REPORT_UP]
    if hop is None or not any(name_of(clock.rule) == name_of(hop.clock) for clock in reports):
        found += case.stop(lambda clock: clock in reports, now, now) if reports else []
        if hop:
            found += case.start(hop.clock, case.hop_since(hop, now), desk, level, now)
    return found + case.window(now)


def repin(case: Case, _event: Any, now: int) -> list[Touched]:
    """Another version of the policies and the newest days, from the same starts, but no deadline into the past."""
    rules, moved, found = book(case.policy), [], []
    for clock in case.clocks:
        paper = _paper_of(case, clock)
        anew = clock.days is not days(case.calendar)
        if anew:
            clock.recount_by(days(case.calendar), now)
        if paper:
            rule: ClockRule | None = rules.reply(paper.rung)
        elif clock.rule.purpose is REPORT_UP:
            hop = rules.hop(case.kind, case.grade, clock.level)
            rule = hop.clock if hop else None
        else:
            rule = rules.limit(clock.rule.purpose, case.kind, case.grade)
        fresh = clock.regraded(rule, now) if rule and name_of(rule) != name_of(clock.rule) else clock
        moved.append(fresh)
        found += [Touched(fresh, 0)] if anew or fresh is not clock else []
        if paper:
            case.papers = tuple(one._replace(due=fresh.due) if one is paper else one for one in case.papers)
    case.clocks = moved
    return found


def _paper_of(case: Case, clock: Clock) -> Paper | None:
    """The supervision whose answer the clock counts."""
    return next((one for one in reversed(case.papers) if (REPLY, one.holder, one.issued_at) == clock.key), None)


def report(case: Case, event: Any, now: int) -> list[Touched]:
    """首报 to a level was signed: the hops below it are done, and that level owes the next one. Other files end nothing."""
    if event.stage != "first":
        return []
    level = level_of(case.place, event.target)
    case.reported = max(case.reported, level, key=rank)
    if case.state in ENDED:
        return []
    done = case.stop(lambda clock: clock.rule.purpose is REPORT_UP and above(level, clock.level), now, now)
    hop = book(case.policy).hop(case.kind, case.grade, level) if done else None
    found = case.start(hop.clock, now, desk_of(case.place, level), level, now) if hop and above(hop.to, level) else []
    return done + found + case.window(now)


def _owing(case: Case) -> tuple[str, str]:
    """Desk and level that owe the next hop: who holds the case, or a level above that was told already."""
    if above(case.reported, case.level):
        return desk_of(case.place, case.reported), case.reported
    return case.holder, case.level


def follow(case: Case, event: Any, now: int) -> list[Touched]:
    """A mirrored case: its own system says by when it is to be done, and when it was. One clock, from the opening to that target."""
    due = event.source_due_at
    if not due:
        return []
    clock = case.clocks[0] if case.clocks else Clock(SOURCE, days(case.calendar), event.opened_at, event.holder, event.holder_level)
    fresh, before = not case.clocks, (clock.due, clock.stopped)
    case.clocks = [clock]
    if clock.due != due:
        clock.retarget(due, now)
    ended_at = min(event.occurred_at, clock.stopped or event.occurred_at) if case.state in ENDED else 0
    if ended_at != clock.stopped or fresh or clock.due != before[0]:
        clock.end_at(ended_at, now)
    return [Touched(clock, clock.stopped)] if fresh or (clock.due, clock.stopped) != before else []


def extend(case: Case, event: Any, now: int) -> list[Touched]:
    granted = [clock.extended for clock in event.clocks if clock.purpose == event.clock and not clock.stopped_at]
    chosen = next((clock for clock in reversed(case.clocks) if clock.rule.purpose == event.clock), None)
    if chosen is None:
        return []
    chosen.extend(granted[-1] if granted else extension_of(chosen.rule), now)
    return [Touched(chosen, 0)]


def replied(case: Case, event: Any, now: int) -> list[Touched]:
    """A paper was answered: the oldest that waits, or the one of a rung that was named, which the event does not repeat."""
    return _settle(case, [paper for paper in case.papers if not paper.replied], event, now, lifted=False)


def lifted(case: Case, event: Any, now: int) -> list[Touched]:
    """The newest of the issuer's own, or the one of a rung that was named."""
    return _settle(case, [paper for paper in reversed(case.papers) if paper.issuer == event.actor_org], event, now, lifted=True)


def _settle(case: Case, candidates: Iterable[Paper], event: Any, now: int, *, lifted: bool) -> list[Touched]:
    order = book(case.policy).rungs
    for paper in candidates:
        after = [one._replace(replied=True) if one is paper else one for one in case.papers if not (lifted and one is paper)]
        standing = max((one.rung for one in after), key=order.index, default="")
        owed = min((one.due for one in after if not one.replied), default=0)
        if (standing, owed) == (event.supervised_rung, event.reply_due_at):
            case.papers, case.rung = tuple(after), standing
            return case.paper_over(paper, now)
    raise Unknown("which paper of supervision was meant")


def acknowledge(case: Case, event: Any, _now: int) -> list[Touched]:
    """Who acknowledges stops the chains of which his level was told, or whose clock it is; of one clock where he named one. An event
    about one clock says which; of several, the next moment does."""
    mine = [
        clock.key
        for clock in case.clocks
        if clock.key in case.chains and event.actor_level in {clock.level, *(level for _, level in case.chains[clock.key].whom)}
    ]
    if event.clock:
        chosen = [{_told_about(case, event)}]
    else:
        purposes = sorted({purpose for purpose, _, _ in mine})
        sets = [set(mine), *({key for key in mine if key[0] == purpose} for purpose in purposes)]
        chosen = [one for at, one in enumerate(sets) if len(one) > 1 and one not in sets[:at]]
    held = case.chains
    fits: list[dict[Key, Chain]] = []
    for gone in chosen:
        case.chains = {key: chain for key, chain in held.items() if key not in gone}
        fits += [case.chains] if len(chosen) == 1 or next_moment(case) == event.wakes_at else []
    if len(fits) != 1:
        raise Unknown("which pages were acknowledged")
    case.chains = fits[0]
    return []


def nobody_reached(case: Case, event: Any, now: int) -> list[Touched]:
    """Whom nobody can reach is not waited for; when nobody is left, what comes next is due now."""
    key = _told_about(case, event)
    chain = case.chains[key]
    left = tuple(one for one in chain.whom if one[0] not in event.tell.split("+"))
    case.chains = case.chains | {key: chain._replace(whom=left, until=chain.until if left else now)}
    return []


def _told_about(case: Case, event: Any) -> Key:
    """The clock whose page was answered."""
    found = [
        clock.key
        for clock in case.clocks
        if (clock.rule.purpose, clock.holder, clock.due) == (event.clock, event.clock_holder, event.clock_due_at)
        and clock.key in case.chains
    ]
    if len(found) != 1:
        raise Unknown("which page was answered")
    return found[0]
