"""Where the notifier stands in one partition of notifications: what a commit says, and how far the results have gone.

A commit's metadata holds what a restart needs beside the offset: where the results of what comes next begin in topic `pages`, and the marks
of the lanes that write notifications, since a lane that died says its last ones again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.topics import NOTIFICATIONS
from services.sink import marks
from services.sink.marks import Marks, Place
from services.sink.streams import Stream

METADATA = 4_095  # characters that Kafka keeps
STREAM = Stream("notifier", NOTIFICATIONS, "notification", facts="", prefix="liandong")
"""What is read, and the group that commits it."""


@dataclass(slots=True)
class Standing:
    """`offset`: of the next notification without an acknowledged result; `results`: where its result can be at the earliest; `marks`: of
    what lies before it."""

    offset: int = 0
    results: int = 0
    marks: Marks = field(default_factory=dict)

    def encode(self) -> tuple[int, str]:
        """Offset and metadata of the commit. A lane writes to few partitions, so that its marks fit; of too many the oldest sources go."""
        kept = dict(self.marks)
        while len(text := f"{self.results};{marks.encode(kept)}") > METADATA:
            del kept[next(iter(kept))]
        return self.offset, text

    @classmethod
    def decode(cls, offset: int, text: str) -> Standing:
        """ValueError for what is not ours."""
        results, _, rest = text.partition(";")
        return cls(offset, int(results or 0), marks.decode(rest))

    def seen(self, source: str, place: Place) -> bool:
        """Whether a notification is one that was said before; else it counts from now on."""
        if place <= self.marks.get(source, (-1, -1)):
            return True
        self.marks.pop(source, None)  # the newest stands last
        self.marks[source] = place
        return False
