"""How fast a rehearsal plays: `python -m tests.bench.rehearse [CASES]`. Reads, decides twice and compares, in one process."""

from __future__ import annotations

import sys
import time

from schemas import ids
from schemas.avro.incident_command.event import IncidentCommand
from schemas.codec import codec
from schemas.policies import latest
from services.rehearse.comparing import Window, compared
from services.rehearse.playing import Recorded, Rehearsal
from tests.unit.test_incident_life_cycle import NOW, command

LINE = ("capture", "accept", "triage", "assign", "sign", "report", "verify_ok", "evaluate")
MINUTE = 60_000


def record(cases: int) -> list[tuple[int, bytes]]:
    """Append times and values. A third of the cases is slow, so that clocks run late and ladders climb."""
    writer = codec(IncidentCommand)
    made = []
    for number in range(cases):
        case = ids.case_id("live", "p", f"case {number}")
        for step, name in enumerate(LINE):
            at = NOW + 1000 * number + step * (40 if number % 3 else 400) * MINUTE
            code = ("A20600", "M01001", "S01")[number % 3]
            asked = command(name, f"{number}{name}", case_id=case, occurred_at=at, incident_type=code, actor_person=name)
            made.append((at, writer.encode(asked)))
    return sorted(made)


def main(cases: int) -> None:
    reader, found = codec(IncidentCommand), record(cases)
    wall, cpu = time.perf_counter(), time.process_time()
    rehearsal = Rehearsal(latest())
    for offset, (at, value) in enumerate(found):
        rehearsal.take(Recorded(at, "incident.commands", 0, offset, reader.decode(value)))
    rehearsal.finish(found[-1][0])
    report = compared(rehearsal, Window(0, found[-1][0] + 1))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    late, many = report["late"]["in_force"], len(found)
    print(f"{many:,} commands of {cases:,} cases, {late:,} of them late: {many / wall:,.0f}/s, {many / cpu:,.0f} per CPU-second")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
