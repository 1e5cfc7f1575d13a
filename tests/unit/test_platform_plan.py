"""Which processes a platform has, and where."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli import COMMANDS
from services.commands.run import MODULES, WORKER, module_of
from services.commands.up import curl_line
from services.embedded import platform
from services.embedded.loglines import last_words, readable
from services.embedded.platform import CannotStart, python_children
from services.embedded.ports import HIGHEST, LOWEST, free_port, is_free, keep
from services.settings import load
from streams.agents import process_names


def test_every_lane_of_every_served_realm_has_a_worker(tmp_path: Path) -> None:
    settings = load(tmp_path, realms="live,sandbox,replay")
    names = [child.name for child in python_children(settings, simulate=True)]
    assert set(process_names(settings.realm_list)) <= set(names)
    assert len(names) == len(set(names))
    assert all(module_of(name) for name in names)


def test_without_simulation_there_is_none(tmp_path: Path) -> None:
    assert "simulation" not in [child.name for child in python_children(load(tmp_path), simulate=False)]


async def test_the_embedded_broker_is_one_and_keeps_no_copies(tmp_path: Path) -> None:
    tell = platform.Callbacks(lambda _: None, lambda *_: None, lambda _: None)
    with pytest.raises(CannotStart, match="replication_factor must be 1"):
        await platform.run_platform(load(tmp_path, replication_factor=3), simulate=False, ephemeral=False, tell=tell, stop=asyncio.Event())


def test_every_command_and_every_process_exists() -> None:
    root = Path(platform.__file__).parents[2]
    for module in (*COMMANDS.values(), *MODULES.values(), WORKER):
        assert root.joinpath(*module.split(".")).with_suffix(".py").is_file(), module


def test_free_ports_are_free_different_and_never_those_of_outgoing_connections() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(LOWEST <= port <= HIGHEST and is_free(port) for port in ports)


def test_last_times_port_is_taken_again_and_another_one_when_somebody_has_it() -> None:
    last = free_port()
    assert platform._port(0, f"http://127.0.0.1:{last}", 0) == last
    with socket.create_server(("127.0.0.1", last)):
        assert platform._port(0, f"http://127.0.0.1:{last}", 0) != last
        with pytest.raises(CannotStart, match=f"port {last} is taken"):
            platform._port(last, "", 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the token is Linux's")
def test_a_port_kept_by_one_process_is_not_taken_by_another_before_it_is_bound() -> None:
    ours = free_port()
    ask = f"from services.embedded.ports import is_free, keep; print(is_free({ours}), keep({ours}))"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "False"]
    assert keep(ours)


def test_the_curl_line_is_one_line_and_posts_to_its_realm() -> None:
    line = curl_line("http://127.0.0.1:1", "ld_key", "sandbox")
    assert "\n" not in line
    assert "realm=sandbox" in line
    assert "Bearer ld_key" in line


def test_log_lines_are_told_in_words_with_the_end_of_a_traceback() -> None:
    entry = {"event": "unexpected error", "level": "error", "timestamp": "2026-11-22T16:24:37.286Z", "port": 1}
    line = json.dumps(entry | {"exception": "a\nb\nValueError: no"})
    assert readable(line).splitlines() == ["16:24:37.286 error    unexpected error port=1", "    a", "    b", "    ValueError: no"]
    assert readable("\x1b[?25hplain words") == "plain words"
    assert readable("[1, 2]") == "[1, 2]"
    assert last_words(Path("no such file")) == ""
