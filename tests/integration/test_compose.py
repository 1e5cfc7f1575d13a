"""The processes of deploy/compose.yaml, each by itself and without a supervisor, on a broker and a ClickHouse server of their own.

Without a Docker engine the same commands and settings run as plain processes (the test server stands in for ClickHouse's image); with
one, the compose file itself is brought up.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from schemas.ids import CHINA
from services.clock import now_ms
from services.embedded.broker import Broker
from services.embedded.ports import free_port
from tests.clickhouse_http import ClickHouseServer
from tests.helpers import until

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy" / "compose.yaml"
DEFAULT = re.compile(r"\$\{\w+:[-?]([^}]*)\}")
READ_SECONDS = 20.0


def processes() -> dict[str, dict[str, Any]]:
    """The services of our own image that serve the live realm, and `prepare`."""
    services: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    mine = {name: service for name, service in services.items() if service["image"] == "liandong" and "profiles" not in service}
    return {name: service for name, service in mine.items() if not name.endswith(("-sandbox", "-replay"))}


def post_and_read(gateway: str, keys: dict[str, str]) -> dict[str, Any]:
    """One incident through everything: accepted, decided, stored, read."""
    body = {"type": "A10100", "division": "440305", "occurred_at": _now(), "event_id": "compose-1", "note": "路面积水"}
    answer = httpx.post(f"{gateway}/v1/incidents", json=body, headers=_bearer(keys["producer"]), timeout=READ_SECONDS)
    assert answer.status_code == 202, answer.text
    url = f"{gateway}/v1/cases/{answer.json()['case_id']}"

    def stored() -> dict[str, Any] | None:
        found = httpx.get(url, headers=_bearer(keys["desk"]), timeout=READ_SECONDS)
        return found.json() if found.status_code == 200 and "seq" in found.json() else None

    case = until(stored, "the case is in the warehouse", seconds=60)
    assert case is not None
    return case


def _now() -> str:
    from datetime import datetime

    return datetime.fromtimestamp(now_ms() / 1000, CHINA).isoformat(timespec="seconds")


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def local(own_broker: Broker, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Every process of the compose file as a plain one; answers the environment they share."""
    ports = {name: free_port() for name in ("GATEWAY", "DASHBOARD", "READ")}
    clickhouse = ClickHouseServer(tmp_path / "clickhouse", free_port()).start()
    own = {"LIANDONG_DATA_DIR": str(tmp_path / "data"), "LIANDONG_BOOTSTRAP": own_broker.bootstrap, "LIANDONG_REALMS": "live"}
    own |= {"LIANDONG_CLICKHOUSE_URL": clickhouse.url, "LIANDONG_PARTITIONS": "4"}
    for name, port in ports.items():
        own |= {f"LIANDONG_{name}_PORT": str(port), f"LIANDONG_{name}_URL": f"http://127.0.0.1:{port}"}
    with ExitStack() as stack:
        stack.callback(clickhouse.kill)
        for name, service in processes().items():
            given = {key: DEFAULT.sub(r"\1", value) for key, value in service["environment"].items()} | own
            environment = os.environ | given
            if name == "prepare":
                subprocess.run([sys.executable, *service["entrypoint"][1:]], cwd=ROOT, env=environment, check=True, timeout=120)
                continue
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            command = [sys.executable, "-m", "services.cli", *service["command"]]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        yield own


def healthy(name: str, environment: dict[str, str]) -> bool:
    check = subprocess.run(
        [sys.executable, "deploy/health.py", name], cwd=ROOT, env=os.environ | environment, capture_output=True, check=False
    )
    return check.returncode == 0


@pytest.mark.broker
def test_the_processes_of_the_compose_file_are_a_platform(local: dict[str, str]) -> None:
    for name, service in processes().items():
        if "healthcheck" in service:
            until(lambda name=name: healthy(name, local), f"{name} is healthy", seconds=90, every=0.5)  # type: ignore[misc]
    keys = json.loads((Path(local["LIANDONG_DATA_DIR"]) / "secrets.json").read_text(encoding="utf-8"))["keys"]
    assert post_and_read(local["LIANDONG_GATEWAY_URL"], keys)["state"] == "captured"
    shown = httpx.get(f"{local['LIANDONG_DASHBOARD_URL']}/v1/snapshot", headers=_bearer(keys["screen"]), timeout=READ_SECONDS)
    assert shown.status_code == 200
    assert shown.json()["totals"]["open"] == 1


def docker(*arguments: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CLICKHOUSE_PASSWORD": "only-for-this-test"}
    command = ["docker", "compose", "--project-name", "liandong-test", "--file", str(COMPOSE), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds, check=False)


@pytest.fixture
def engine() -> None:
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed: the compose file is not brought up")
    answer = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False, timeout=30)
    if answer.returncode:
        pytest.skip("no Docker engine answers: the compose file is not brought up")


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_the_compose_file_comes_up() -> None:
    try:
        came_up = docker("up", "--build", "--detach", "--wait", seconds=1800)
        assert came_up.returncode == 0, came_up.stderr[-4000:]
        keys = json.loads(docker("exec", "--no-TTY", "gateway", "cat", "/data/secrets.json").stdout)["keys"]
        assert post_and_read("http://127.0.0.1:8780", keys)["state"] == "captured"
    finally:
        docker("down", "--volumes")
