"""Work lists over a warehouse of a million cases: `python -m tests.bench.work_list [cases]`.

The events go through the sink's own inlet, so `desk_now` is what its view makes of them: one event a case, and then events of 40,000 of
them in small blocks, as in a running platform. One case in twenty is open, one in fifty was taken by its city. Each question is asked as
the read port asks it: page and counts. Prints JSON, then a table; CPU of this process per question stands beside the wall time, as does
the machine's load.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from schemas.divisions import county_of, divisions
from services.warehouse.backend import Handle, open_warehouse
from services.warehouse.migrate import migrate
from services.warehouse.read_port.ask import sql

SMALL, SMALL_BLOCKS = 5_000, 8
ASKED = 100
COLUMNS = """realm, case_id, case_seq, case_number, division, county, county_from, level, incident_type, state, holder, holder_level,
    holder_level_from, grade, round, title, producer, opened_at, occurred_at, received_at, _ts, light, due_at, upstream_state,
    upstream_level, _blk, _month"""
EVENTS = """
INSERT INTO incident_events_in ({columns})
WITH {towns} AS towns, {counties} AS counties, 1 + cityHash64(number) % {places} AS i, arrayElement(counties, i) AS county_code
SELECT 'live', lower(hex(MD5(toString(number)))), {seq}, concat(county_code, '-20261122-', leftPad(toString(number), 8, '0')),
    arrayElement(towns, i), county_code, county_code, 'town', arrayElement(['M01001', 'A20600', 'S01001', 'L01001'], 1 + number % 4),
    if(cityHash64(number, 1) % 20 = 0, 'handling', 'closed'), concat(county_code, '-desk'), if(number % 50 = 0, 'city', 'county'), 'county',
    number % 5, 1, '路面 · 深圳市南山区', 'demo', now64(3) - number % 1000000, now64(3), now64(3), now64(3),
    arrayElement(['green', 'yellow', 'red', 'deep_red'], 1 + number % 4), now64(3) + toIntervalSecond(number % 500000),
    if(number % 97 = 0, 'offered', ''), if(number % 97 = 0, 'city', ''), {block}, 202611
FROM numbers({first}, {count})
"""


def fill(handle: Handle, cases: int) -> list[str]:
    """Answers the counties."""
    towns = [place.code for place in divisions().values() if place.level == "town"]
    texts = {name: "[" + ", ".join(f"'{code}'" for code in codes) + "]" for name, codes in (
        ("towns", towns), ("counties", [county_of(code) for code in towns])
    )}  # fmt: skip
    handle.run(EVENTS.format(columns=COLUMNS, places=len(towns), seq=1, block=1, first=0, count=cases, **texts))
    for block in range(SMALL_BLOCKS):
        first = block * cases // SMALL_BLOCKS
        handle.run(EVENTS.format(columns=COLUMNS, places=len(towns), seq=2 + block, block=2 + block, first=first, count=SMALL, **texts))
    return sorted({county_of(code) for code in towns})


def ask(handle: Handle, level: str, prefix: str, chosen: str) -> tuple[float, float]:
    """Milliseconds for page and counts, one after the other: of the clock, and of CPU."""
    scope = {"realm": "live", "level": level, "prefix": prefix, "county": prefix, "state": "", "type": "", "holder": ""}
    page = {"list": chosen, "light": "", "danger": -1, "due": -1, "opened": 0, "case_id": "", "limit": 51}
    began, worked = time.perf_counter(), time.process_time()
    handle.rows(sql("desk_work"), scope | page)
    handle.rows(sql("desk_counts"), scope)
    return (time.perf_counter() - began) * 1000, (time.process_time() - worked) * 1000


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    folder = Path(tempfile.mkdtemp(prefix="work-bench-"))
    warehouse = open_warehouse(folder)
    migrate(warehouse)
    handle, chance = warehouse.handle(), random.Random(1)
    counties = fill(handle, cases)
    desks: dict[str, tuple[str, int, str]] = {
        "county desk": ("county", 6, "work"), "city desk": ("city", 4, "work"), "city desk, offered to it": ("city", 4, "offered"),
        "province desk": ("province", 2, "work"), "all counties of a city": ("county", 4, "work"),
    }  # fmt: skip
    found = {}
    for name, (level, digits, chosen) in desks.items():
        asked = [ask(handle, level, chance.choice(counties)[:digits], chosen) for _ in range(ASKED)]
        times = sorted(wall for wall, _ in asked)
        found[name] = {
            "p50_ms": round(times[ASKED // 2], 1), "p99_ms": round(times[ASKED * 99 // 100 - 1], 1),
            "cpu_ms": round(statistics.median(cpu for _, cpu in asked), 1),
        }  # fmt: skip
    handle.close()
    warehouse.close()
    shutil.rmtree(folder)
    print(json.dumps({"cases": cases, "load": os.getloadavg()[0], "desks": found}))
    print(
        f"\n{'who asks':28} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8}    (page and counts, {cases:,} cases, load {os.getloadavg()[0]:.1f})"
    )
    for name, figures in found.items():
        print(f"{name:28} {figures['p50_ms']:8.1f} {figures['p99_ms']:8.1f} {figures['cpu_ms']:8.1f}")


if __name__ == "__main__":
    main()
