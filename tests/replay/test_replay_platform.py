"""`liandong replay` on a whole platform: samples of the real files, faults on the way, and every row accounted for."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.ids import case_id
from tests.helpers import until
from tests.platforms import LIANDONG, Platform, liandong, running
from tests.replay.files import MAPPINGS, data_file, last_rows, mapped_rows

pytestmark = [pytest.mark.broker, pytest.mark.data]
CASES = 150


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("replay") / "data", "--realms", "live,replay", "--no-simulation") as started:
        yield started


def command(platform: Platform, name: str, data: Path, *options: str) -> tuple[str, ...]:
    mapping = str(MAPPINGS / f"{name}.toml")
    return ("replay", str(data), "--mapping", mapping, "--data-dir", str(platform.data_dir), "--json", *options)


def replayed(platform: Platform, name: str, data: Path, *options: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(liandong(*command(platform, name, data, *options), check=False).stdout)
    return summary


def counts(summary: dict[str, Any]) -> tuple[int, ...]:
    return tuple(summary[name] for name in ("read", "accepted", "applied", "repeated", "refused", "dead", "missing_outcomes"))


def sample(name: str, target: Path, rows: int) -> Path:
    """The first rows of a real file, as plain csv."""
    with gzip.open(data_file(name), "rt", encoding="utf-8", newline="") as source, target.open("w", encoding="utf-8", newline="") as out:
        out.writelines(line for _, line in zip(range(rows + 1), source, strict=False))
    return target


@pytest.mark.parametrize("name", ["montco_911", "nyc_ems"])
def test_a_sample_is_applied_and_its_repeat_changes_nothing(platform: Platform, tmp_path: Path, name: str) -> None:
    data = sample(name, tmp_path / "data.csv", 1_000)
    assert counts(replayed(platform, name, data)) == (1_000, 1_000, 1_000, 0, 0, 0, 0)
    assert counts(replayed(platform, name, data)) == (1_000, 1_000, 0, 1_000, 0, 0, 0)


def test_mirrored_cases_end_as_their_file_says(platform: Platform, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    with gzip.open(data_file("servicenow"), "rt", encoding="utf-8", newline="") as source, data.open("w", encoding="utf-8") as out:
        lines = csv.reader(source)
        writer = csv.writer(out)
        writer.writerow(next(lines))
        seen: set[str] = set()
        for row in lines:
            seen.add(row[1])
            if len(seen) > CASES:
                break
            writer.writerow(row)
    summary = replayed(platform, "servicenow", data)
    assert summary["applied"] == summary["accepted"] == summary["read"] > CASES
    for external_id, last in last_rows(mapped_rows("servicenow", data)).items():
        case = f"{platform.gateway}/v1/cases/{case_id('replay', 'demo-producer', external_id)}"

        def found(case: str = case) -> tuple[Any, ...]:
            body = httpx.get(case, params={"realm": "replay"}, headers=platform.headers("admin")).json()
            return body.get("state"), body.get("reassignments"), body.get("reopens")

        until(lambda last=last, found=found: found() == tuple(last), f"{external_id} ends as {last}")  # type: ignore[misc]


def test_bad_rows_are_listed_and_the_rest_arrives(platform: Platform, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    rows = [
        "row_id,call_time,category,type,lat,lng,zip,township,address,station",
        "bad-1,2016-01-01T00:00:00,EMS,FEVER,,,,ABINGTON,,",
        "bad-2,yesterday,EMS,FEVER,,,,ABINGTON,,",
        "bad-3,2016-01-01T00:00:00,Space,ALIENS,,,,ABINGTON,,",
        "bad-4,2016-01-01T00:00:00",
        "bad-5,2199-01-01T00:00:00,EMS,FEVER,,,,ABINGTON,,",
    ]
    data.write_text("\n".join(rows), encoding="utf-8")
    summary = replayed(platform, "montco_911", data)
    assert counts(summary) == (5, 1, 1, 0, 0, 0, 0)
    assert summary["not_mapped"] == {"bad_time": 1, "type_not_mapped": 1, "bad_columns": 1}
    assert summary["rejected"] == {"time_in_future": 1}
    with Path(summary["errors_file"]).open(encoding="utf-8", newline="") as listed:
        found = {row["row"]: row["reason"] for row in csv.DictReader(listed)}
    assert found == {"2": "bad_time", "3": "type_not_mapped", "4": "bad_columns", "5": "time_in_future"}


def test_invented_places_never_reach_the_live_realm(platform: Platform) -> None:
    ran = liandong(*command(platform, "montco_911", data_file("montco_911"), "--realm", "live"), check=False)
    assert ran.returncode == 2
    assert "invents places" in ran.stderr


def test_a_replay_survives_the_gateways_end(platform: Platform) -> None:
    """The rows in flight may be sent twice; then they are repeated, and each is applied once."""
    rows = 12_000
    before = platform.state()["processes"]["gateway"]
    written = ledger_bytes(platform)
    words = command(platform, "boston_311", data_file("boston_311"), "--limit", str(rows))
    with subprocess.Popen([*LIANDONG, *words], stdout=subprocess.PIPE, text=True) as replaying:
        until(lambda: ledger_bytes(platform) > written, "first rows acknowledged", seconds=60)
        os.kill(before["pid"], signal.SIGKILL)
        said, _ = replaying.communicate(timeout=180)
    summary = json.loads(said)
    assert platform.state()["processes"]["gateway"]["restarts"] > before["restarts"]
    assert (summary["read"], summary["accepted"], summary["failure"]) == (rows, rows, "")
    assert summary["resent"] > 0
    assert (summary["applied"], summary["refused"], summary["dead"], summary["missing_outcomes"]) == (rows, 0, 0, 0)


def ledger_bytes(platform: Platform) -> int:
    return sum(file.stat().st_size for file in (platform.data_dir / "acks").iterdir())
