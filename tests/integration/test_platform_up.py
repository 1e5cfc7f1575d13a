"""A whole platform by the command line: up, use, break, down."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from services.commands.up import curl_line
from services.embedded.loglines import tail
from tests.helpers import until
from tests.platforms import Platform, liandong, running, up

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("platform") / "data", "--realms", "live,sandbox") as started:
        yield started


def post(platform: Platform, event_id: str, realm: str = "live") -> str:
    """Posts an incident; its case id."""
    body = {"type": "A10100", "division": "440305", "occurred_at": "2026-11-22T08:00:00+08:00", "event_id": event_id}
    answer = httpx.post(f"{platform.gateway}/v1/incidents", params={"realm": realm}, json=body, headers=platform.headers())
    assert answer.status_code == 202, answer.text
    case_id: str = answer.json()["case_id"]
    return case_id


def is_stored(platform: Platform, case_id: str, realm: str = "live") -> bool:
    """Whether the case is answered from the warehouse, not from the gateway's memory."""
    answer = httpx.get(f"{platform.gateway}/v1/cases/{case_id}", params={"realm": realm}, headers=platform.headers("admin"))
    state: str = answer.json().get("state", "") if answer.status_code == 200 else ""
    return state == "captured"


def living(platform: Platform, pids: dict[str, int]) -> dict[str, str]:
    """Those of these processes that are still there: in which state, where in the kernel, and what they logged last."""
    found = {}
    for name, pid in pids.items():
        try:
            process = psutil.Process(pid)
            state, threads, called = process.status(), process.num_threads(), " ".join(process.cmdline())[:120]
            at = Path(f"/proc/{pid}/wchan").read_text(encoding="ascii")
        except (psutil.NoSuchProcess, OSError):
            continue
        if state != psutil.STATUS_ZOMBIE:
            said = tail(platform.data_dir / "logs" / f"{name}.log", 1)
            found[name] = f"{called}: {state} at {at}, {threads} threads, last words: {' '.join(said)[-300:]}"
    return found


def test_up_answers_when_everything_is_ready(platform: Platform) -> None:
    report = platform.status()
    assert report["all_ready"], report["processes"]
    assert set(platform.keys) == {"producer", "desk", "screen", "admin"}
    assert set(platform.pids) == {"supervisor", *report["processes"]}
    assert httpx.get(f"{platform.gateway}/health").status_code == 200


def test_files_that_hold_keys_are_private_and_logs_hold_none(platform: Platform) -> None:
    assert platform.data_dir.stat().st_mode & 0o077 == 0
    logs = b"".join(log.read_bytes() for log in (platform.data_dir / "logs").iterdir())
    assert not [name for name, key in platform.keys.items() if key.encode() in logs]
    for name in ("state.json", "secrets.json", "keys.json"):
        assert (platform.data_dir / name).stat().st_mode & 0o077 == 0, name


def test_everything_listens_on_loopback_only(platform: Platform) -> None:
    for name, pid in platform.pids.items():
        listening = [link.laddr.ip for link in psutil.Process(pid).net_connections("inet") if link.status == psutil.CONN_LISTEN]
        assert all(ip in ("127.0.0.1", "::ffff:127.0.0.1") for ip in listening), f"{name} listens on {listening}"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_the_printed_curl_line_makes_a_case_that_is_stored(platform: Platform) -> None:
    line = curl_line(platform.gateway, platform.keys["producer"], "sandbox")
    said = httpx.Response(202, content=subprocess.run(line, shell=True, capture_output=True, check=True).stdout).json()
    until(lambda: is_stored(platform, said["case_id"], "sandbox"), "the case in the warehouse")


def test_the_simulation_feeds_the_sandbox_and_nothing_else(platform: Platform) -> None:
    def totals(realm: str) -> int:
        answer = httpx.get(
            f"{platform.dashboard}/v1/snapshot", params={"realm": realm, "division": "440000"}, headers=platform.headers("screen")
        )
        return int(answer.raise_for_status().json()["totals"]["total"])

    until(lambda: totals("sandbox") > 0, "cases of the simulation", seconds=60)


@pytest.mark.parametrize("name", ["case-live", "warehouse", "gateway", "broker"])
def test_a_killed_process_comes_back_and_nothing_accepted_is_lost(platform: Platform, name: str) -> None:
    before = platform.state()["processes"][name]
    accepted = post(platform, f"before-{name}")
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: platform.state()["processes"][name]["restarts"] > before["restarts"], f"{name} reported as ended")
    until(lambda: platform.status()["all_ready"], "all ready again", seconds=90, every=0.5)
    until(lambda: is_stored(platform, accepted), "what was accepted before", seconds=60)
    later = post(platform, f"after-{name}")
    until(lambda: is_stored(platform, later), "what was accepted after", seconds=60)
    assert platform.status()["restarts"][name] >= 1


def test_a_second_platform_in_the_same_directory_is_refused(platform: Platform) -> None:
    ran = liandong("up", "--detach", "--data-dir", str(platform.data_dir), check=False)
    assert ran.returncode == 1
    assert "runs in" in ran.stderr
    assert platform.status()["all_ready"]


def test_logs_and_keys_are_at_hand(platform: Platform) -> None:
    assert "ready" in liandong("logs", "gateway", "-n", "200", "--data-dir", str(platform.data_dir)).stdout
    listed = liandong("keys", "list", "--data-dir", str(platform.data_dir)).stdout
    assert "demo-desk" in listed
    assert platform.keys["desk"] not in listed
    made = liandong(
        "keys", "add", "new-desk", "--kind", "desk", "--division", "440305", "--data-dir", str(platform.data_dir)
    ).stdout.strip()
    wall = f"{platform.gateway}/v1/desks/440305/county/work"
    assert httpx.get(wall, headers={"Authorization": f"Bearer {made}"}).status_code == 200
    liandong("keys", "revoke", "new-desk", "--data-dir", str(platform.data_dir))
    assert httpx.get(wall, headers={"Authorization": f"Bearer {made}"}).status_code == 401


def test_after_a_kill_of_the_supervisor_nothing_is_left_and_the_next_start_goes_on(platform: Platform) -> None:
    case = post(platform, "before the kill")
    state = platform.state()
    os.kill(state["supervisor_pid"], signal.SIGKILL)
    pids = {name: row["pid"] for name, row in state["processes"].items()}
    try:
        until(lambda: not living(platform, pids), "every child gone", seconds=60)
    except AssertionError:
        pytest.fail(f"after a minute these live on: {living(platform, pids)}")
    again = up(platform.data_dir, "--realms", "live,sandbox")
    assert again.status()["all_ready"]
    until(lambda: is_stored(again, case), "what was accepted before the kill", seconds=60)


def test_down_leaves_no_process_and_the_next_start_has_data_keys_and_ports(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--realms", "live", "--no-simulation") as first:
        case = post(first, "kept")
        until(lambda: is_stored(first, case), "the case in the warehouse", seconds=60)
        first.down()
        assert living(first, first.pids) == {}
        assert liandong("status", "--data-dir", str(first.data_dir), check=False).returncode == 3
        again = up(tmp_path / "data", "--realms", "live", "--no-simulation")
        assert (again.gateway, again.dashboard, again.keys) == (first.gateway, first.dashboard, first.keys)
        assert is_stored(again, case)


def test_an_ephemeral_platform_leaves_nothing_and_spares_data_of_others(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work", encoding="utf-8")
    ran = liandong("up", "--detach", "--ephemeral", "--data-dir", str(theirs), check=False)
    assert ran.returncode == 1
    assert "holds data" in ran.stderr
    assert (theirs / "thesis.txt").exists()
    with running(tmp_path / "mine", "--ephemeral", "--realms", "live", "--no-simulation") as mine:
        assert mine.status()["all_ready"]
    until(lambda: not (tmp_path / "mine").exists(), "the directory is gone")
