"""The fold of the log of events over all cases: what each had to do by itself against what the log says that it did.

By the rule of settling everything due by a record's time is told before what that record asks for, each at its own moment. So a firing
that is due by the time of an event of its case, and does not stand before it, is missing; it counts as done at its moment from then on, so
that one fault is one difference. Events also say when the case wakes next and what is due first: where that differs, and nothing else of
the case explains it, it is a difference of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from schemas import registry
from schemas.codec import codec
from schemas.errors import InvalidPayload, UnknownPolicy
from schemas.headers import SRC
from services.audit.timers.case import ENDED, Case, Touched, Unknown
from services.audit.timers.clocks import Clock
from services.audit.timers.days import OutOfReach
from services.audit.timers.firing import MOST, Firing, exact, firing_of, nearest, skipped, standing
from services.audit.timers.life import lived
from services.audit.timers.report import TimersReport
from services.audit.timers.said import compare_clocks
from services.audit.timers.table import Waiting
from services.audit.timers.waiting import SUPERVISED, Saying, Want, do, next_moment, saying, wants

SHIFT = 8
ROOM = 255 - 24  # positions of a record before a command's own, less one for each organisation that it names


class Watch:
    """Feed `take` with the partitions' records in order, then `finish`."""

    def __init__(self, report: TimersReport) -> None:
        struct: Any = registry.struct("incident_event")
        self._codec = codec(struct)
        self.report = report
        self.cases: dict[str, Case | None] = {}  # None: the log does not say enough of it
        self.reach: dict[int, int] = {}  # highest record time of a partition
        self._marks: dict[tuple[int, bytes], int] = {}

    def take(self, partition: int, records: Sequence[Any]) -> None:
        for record in records:
            self.report.figures["records"] += 1
            self.reach[partition] = max(self.reach.get(partition, 0), record.timestamp)
            if not self._is_new(partition, record):
                self.report.figures["repeats"] += 1
                continue
            try:
                event = self._codec.decode(record.value)
            except InvalidPayload as error:
                self.report.not_looked_at[f"unreadable: {error.reason.value}"] += 1
                continue
            if event.realm == self.report.realm:
                self.one(partition, event)
            else:
                self.report.not_looked_at["of another realm"] += 1

    def _is_new(self, partition: int, record: Any) -> bool:
        """The rule of every reader: what is not above its source's mark is a repeat."""
        source = next((content for name, content in record.headers if name == SRC), None)
        if source is None:
            return True
        head, offset, position = source.rsplit(b":", 2)
        place = int(offset) << SHIFT | int(position)
        if place <= self._marks.get((partition, head), -1):
            return False
        self._marks[partition, head] = place
        return True

    def one(self, partition: int, event: Any) -> None:
        """The next event of a case."""
        self.report.figures["events"] += 1
        firing = firing_of(event)
        self.report.figures["firings"] += firing is not None
        if event.case_id not in self.cases:
            self.cases[event.case_id] = Case(partition)
        case = self.cases[event.case_id]
        if case is None:
            self.report.figures["events_not_followed"] += 1
            return
        try:
            self._follow(case, event, firing)
        except Unknown as error:
            self._lose(event.case_id, str(error))
        except (OutOfReach, UnknownPolicy) as error:
            self._lose(event.case_id, type(error).__name__)

    def _lose(self, case_id: str, why: str) -> None:
        self.report.not_looked_at[why] += 1
        self.cases[case_id] = None

    def _follow(self, case: Case, event: Any, firing: Firing | None) -> None:
        if event.case_seq > case.seq + 1:
            raise Unknown("events of the case are missing from the log")
        if firing:
            self._fired(case, event, firing)
        elif event.case_seq <= case.seq:
            self.report.not_looked_at["a second event of one number in its case"] += 1
            return
        else:
            self._asked(case, event)
        case.seq, case.now = max(case.seq, event.case_seq), max(case.now, event.received_at)

    # --- what was asked for

    def _asked(self, case: Case, event: Any) -> None:
        full = event.src_position >= ROOM - event.open_tasks  # what one record may cause ran out: the rest waits for the next wake-up
        self.report.figures["full_records"] += full
        missed = not full and self._settle(case, max(case.now, event.received_at), event)
        touched = lived(case, event)
        self.report.figures["clocks"] += sum(one.stopped_at == 0 for one in touched)
        self._agree(case, event, touched, told=missed)

    def _settle(self, case: Case, now: int, event: Any) -> bool:
        """What was due by then and was not told: missing, and done from here on."""
        return self._miss_while(case, lambda want: want.at <= now, event)

    def _miss_while(self, case: Case, is_late: Callable[[Want], bool], event: Any) -> bool:
        for count in range(MOST):
            want = min(wants(case), default=None)
            if want is None or not is_late(want):
                return count > 0
            self._miss(case, want, event)
        raise Unknown("a case that rings for ever")

    def _miss(self, case: Case, want: Want, event: Any) -> None:
        clock = case.clocks[want.place] if want.place >= 0 else None
        excuse = (clock.key, want.mark) if clock else None
        if excuse in case.excused:
            case.excused = tuple(one for one in case.excused if one != excuse)
        else:
            purpose, holder = (clock.rule.purpose.value, clock.holder) if clock else ("", "")
            due = clock.due if clock else 0
            text = f"case {event.case_id}: {want.words(case)}, due {want.at}, is not told before event {event.case_seq} ({event.type})"
            case.missed = (*case.missed, (Firing(want.kind, want.mark, purpose, holder, want.at, due, 0, 0), text))
            case.differs = True
        do(case, want, event.received_at, unseen=True)

    # --- what it did by itself

    def _fired(self, case: Case, event: Any, firing: Firing) -> None:
        said = _said_by(event)
        now = event.received_at
        want = exact(case, firing, said, now)
        if want is None:
            for _ in range(skipped(case, firing, said, now)):
                self._miss(case, min(wants(case)), event)
            want = exact(case, firing, said, now) or nearest(case, firing)
        if want is None:
            self._unfounded(case, event, firing)
            return
        before = min(want.at, firing.at)
        clock = case.clocks[want.place] if want.place >= 0 else None
        told = self._miss_while(case, lambda one: one.at < before, event)
        if clock and clock not in case.clocks:  # it ended with what was missed before
            self._unfounded(case, event, firing)
            return
        want = want._replace(place=case.clocks.index(clock)) if clock else want
        if clock and firing.due not in (0, clock.due, clock.odd):
            told = self._differs("wrong_due", event, f"{want.words(case)} is due {clock.due}, the log says {firing.due}", case)
            clock.odd = firing.due
            if firing.at != want.at:
                _swap(clock)
                want = want._replace(at=firing.at)
        elif min(firing.at, event.received_at) < want.at:
            told = self._differs("early", event, f"{want.words(case)}, due {want.at}, told {event.received_at} as of {firing.at}", case)
        elif firing.at > want.at:
            told = self._differs("wrong_time", event, f"{want.words(case)}, due {want.at}, is told as of {firing.at}", case)
        else:
            self.report.late.append(event.received_at - want.at)
        told = self._said(case, want, event) or told
        self._agree(case, event, do(case, want, now, event.actor_org), told=told)

    def _said(self, case: Case, want: Want, event: Any) -> bool:
        """Whether another thing is said than must be: whom it tells, until when, which step, by which rung it supervises."""
        wanted = saying(case, want, event.received_at)
        said = _said_by(event)
        if wanted in (None, said):
            return False
        return self._differs("wrong_saying", event, f"{want.words(case)} must be {wanted}, the log says {said}", case)

    def _unfounded(self, case: Case, event: Any, firing: Firing) -> None:
        """Nothing waited for it: it was missed before, or it should not be there."""
        for missed in case.missed:
            if missed[0][:5] == firing[:5]:
                case.missed = tuple(one for one in case.missed if one is not missed)
                self.report.late.append(event.received_at - firing.at)
                self._differs("late", event, f"{missed[1]}; it is told later", case)
                return
        name = standing(case, firing)
        what = f"{event.type} {firing.purpose} on {firing.holder} as of {firing.at}"
        self._differs(name, event, what, case)
        if name == "while_paused":
            clock = next(clock for clock in case.clocks if firing.is_about(clock) and clock.paused)
            case.excused = (*case.excused, (clock.key, firing.mark))

    # --- what an event says of what is to come

    def _agree(self, case: Case, event: Any, touched: list[Touched], *, told: bool) -> None:
        """`told`: a difference was told of this event already, which explains others."""
        for name, text, clock, due in compare_clocks(case, event, touched):
            told = told or self._differs(name, event, text, case)
            if clock and due:
                clock.odd = due
        wrong = _disagreement(case, event)
        if wrong:
            wrong = _disagreement(case, event) if not _by_odd(case, event) else ""
        if wrong and not told and not case.doubt:
            case.doubt = f"case {event.case_id} event {event.case_seq} ({event.type}): {wrong}"

    def _differs(self, name: str, event: Any, text: str, case: Case | None = None) -> bool:
        self.report.differs(name, f"case {event.case_id} event {event.case_seq}: {text}")
        if case:
            case.differs = True
        return True

    # --- the end

    def finish(self, horizon: Callable[[int], int], late_after: int, table: Mapping[bytes, Waiting]) -> None:
        """`horizon`: up to when everything due in a partition must be told by now. `late_after`: milliseconds from which what is due and
        not told is missing. `table`: what the case table waits for, by case."""
        figures = self.report.figures
        figures["cases"] = len(self.cases)
        for case_id, case in self.cases.items():
            state = table.get(case_id.encode())
            if case is None:
                continue
            if state and state.quarantined:
                self.report.not_looked_at["quarantined cases"] += 1
                continue
            for _, text in case.missed:
                self.report.differs("missing", text)
            figures["running_clocks"] += sum(not clock.paused for clock in case.clocks) if case.state not in ENDED else 0
            self._still_due(case_id, case, horizon(case.partition), late_after)
            if case.doubt and not case.differs:
                self.report.differs("wrong_next", case.doubt)
            if state:
                self._table(case_id, case, state)

    def _still_due(self, case_id: str, case: Case, now: int, late_after: int) -> None:
        for want in sorted(wants(case)):
            lateness = now - want.at
            if lateness > late_after:
                self.report.differs("missing", f"case {case_id}: {want.words(case)}, due {want.at}, is not told at the end of the log")
                case.differs = True
            elif lateness >= 0:
                self.report.pending.append(lateness)

    def _table(self, case_id: str, case: Case, state: Waiting) -> None:
        figures = self.report.figures
        figures["states"] += 1
        if state.seq != case.seq:
            figures["states_of_other_events"] += 1  # `liandong audit states` judges these
        elif state.wheel != state.due:
            self.report.differs("table.wheel", f"case {case_id} wants to be woken at {state.due}, the wheel is filled with {state.wheel}")
        elif state.due != next_moment(case) and not case.differs and not case.doubt:
            self.report.differs(
                "table.next_due", f"case {case_id} waits for {state.due} in the table, by its events for {next_moment(case)}"
            )


def _said_by(event: Any) -> Saying:
    rung = event.supervised_rung if event.type == SUPERVISED else ""
    return Saying(event.type, event.rule, event.step, event.tell, event.tell_level, event.ack_by, rung)


def _disagreement(case: Case, event: Any) -> str:
    """Where an event says another next moment than the case waits for."""
    for name, said, found in (
        ("wakes_at", event.wakes_at, next_moment(case)),
        ("due_at", event.due_at, case.earliest_due()),
        ("reply_due_at", event.reply_due_at, case.reply_due()),
    ):
        if said != found:
            return f"{name} is {said}, by its clocks {found}"
    return ""


def _by_odd(case: Case, event: Any) -> bool:
    """Whether a clock runs by the other due time that the log named; then it does from here on."""
    for clock in [clock for clock in case.clocks if clock.odd]:
        _swap(clock)
        if not _disagreement(case, event):
            return True
        _swap(clock)
    return False


def _swap(clock: Clock) -> None:
    due, clock.odd = clock.odd, clock.due
    clock.set_due(due)
