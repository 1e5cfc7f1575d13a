"""Local times of a file to instants: zone, doubled and missing hours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from services.replay.errors import RowRefused

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    ms: int  # UTC milliseconds
    text: str  # RFC 3339 with the source's own offset


@dataclass(frozen=True, slots=True)
class TimeRule:
    """How a time column is read. A time that carries its own offset needs no zone."""

    column: str
    zone: ZoneInfo | None
    pattern: str  # strptime pattern; "": ISO 8601
    ambiguous: str  # the hour that comes twice in autumn: earlier, later or refuse
    nonexistent: str  # the hour that is skipped in spring: forward (as if the clock had not been changed) or refuse

    def compile(self) -> Callable[[str], Moment]:
        return self._read

    def _read(self, text: str) -> Moment:
        if not text:
            raise RowRefused("time_empty", f"{self.column} is empty")
        try:
            moment = datetime.strptime(text, self.pattern) if self.pattern else datetime.fromisoformat(text)  # noqa: DTZ007 (the zone follows)
        except ValueError:
            raise RowRefused("bad_time", f"{self.column} is {text[:40]!r}") from None
        if moment.tzinfo is None:
            moment = self._placed(moment, text)
        return Moment((moment - EPOCH) // MILLISECOND, moment.isoformat())

    def _placed(self, moment: datetime, text: str) -> datetime:
        if self.zone is None:
            raise RowRefused("bad_time", f"{self.column} is {text[:40]!r}: it has no offset and the mapping names no zone")
        first = moment.replace(tzinfo=self.zone, fold=0)
        before, after = first.utcoffset(), first.replace(fold=1).utcoffset()
        if before == after or before is None or after is None:
            return first
        if before > after:
            if self.ambiguous == "refuse":
                raise RowRefused("time_ambiguous", f"{text} happens twice in {self.zone.key}")
            return first if self.ambiguous == "earlier" else first.replace(fold=1)
        if self.nonexistent == "refuse":
            raise RowRefused("time_nonexistent", f"{text} does not exist in {self.zone.key}")
        return first.astimezone(UTC).astimezone(self.zone)
