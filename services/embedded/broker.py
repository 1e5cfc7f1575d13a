"""A real Kafka broker of one KRaft node as a child process, on loopback, with its data in one directory.

The supervisor spawns and watches the process itself (`prepare`, `command`, `is_ours`); tests take `start`, `stop`, `kill9` and so on.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from string import Template
from typing import Any, TypeVar

from services.embedded.jars import KAFKA_FILES, ensure_jars
from services.embedded.java import Java, find_java
from services.embedded.loglines import last_words
from services.embedded.ports import answers, free_port, keep
from services.embedded.spawn import spawn

T = TypeVar("T")


class BrokerError(Exception):
    """The broker can't start or stopped; the text holds its last log lines or what to do."""


class Broker:
    """`data_dir` belongs to one cluster for ever. `port` 0: the one used last time if free, else a free one."""

    def __init__(self, data_dir: Path, port: int = 0, *, heap_mb: int = 384, java: str = "", cache: Path | None = None) -> None:
        self.data_dir = data_dir.resolve()
        self.heap_mb = heap_mb
        self.log = self.data_dir / "broker.log"
        self._wanted_port = port
        self._java_setting = java
        self._cache = cache
        self._java: Java | None = None
        self._jars: list[Path] = []
        self._node: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._node['port']}"

    @property
    def cluster_id(self) -> str:
        return str(self._node["cluster_id"])

    @property
    def pid(self) -> int:
        if self._process is None:
            raise BrokerError("the broker is not started")
        return self._process.pid

    def prepare(self) -> None:
        """Finds Java, fetches jars, chooses ports, formats the storage on first use. Raises BrokerError, JavaError, JarError."""
        self._java = find_java(self._java_setting)
        self._jars = ensure_jars(self._cache)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._temporary, ignore_errors=True)  # native libraries that a killed one left unpacked
        self._temporary.mkdir()
        self._choose_identity()
        self._class_path_file.write_text(f'-cp "{":".join(map(str, self._jars))}"\n', encoding="utf-8")
        self._write_properties(self._properties, self._log_dir)
        if not self._log_dir.exists():
            self._format()

    def command(self) -> list[str]:
        """The command line of the broker, after `prepare`."""
        return [*self._jvm(), "kafka.Kafka", str(self._properties)]

    async def is_ours(self) -> bool:
        """Whether the broker that answers on our port is of our cluster: an answer alone may be somebody else's."""
        if not answers(self._node["port"]):
            return False
        return await cluster_id_at(self.bootstrap) == self.cluster_id

    def start(self, seconds: float = 90.0) -> Broker:
        """Starts and waits until it answers as ours. Raises BrokerError with the last log lines."""
        self.launch()
        self.wait(seconds)
        return self

    def launch(self) -> None:
        """Starts it and doesn't wait: one of several answers only once most of them run."""
        self.prepare()
        self._process = spawn(self.command(), self.log)

    def stop(self, seconds: float = 20.0) -> None:
        """Controlled shutdown (SIGTERM), SIGKILL when it takes longer than `seconds`. Does nothing when it has ended."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        self.resume()
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill9(self) -> None:
        """Ends it at once, as a power cut would for the process."""
        os.kill(self.pid, signal.SIGKILL)
        if self._process:
            self._process.wait()

    def pause(self) -> None:
        """Freezes it (SIGSTOP): connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self, seconds: float = 90.0) -> None:
        """Starts it again on the same port, stopping it first if it runs."""
        self.stop()
        self._process = spawn(self.command(), self.log)
        self.wait(seconds)

    @property
    def _log_dir(self) -> Path:
        return self.data_dir / "data"

    @property
    def _properties(self) -> Path:
        return self.data_dir / "server.properties"

    @property
    def _temporary(self) -> Path:
        return self.data_dir / "tmp"

    @property
    def _class_path_file(self) -> Path:
        """Java's options may stand in a file; that keeps the command line readable in `ps` and state.json."""
        return self.data_dir / "class-path.args"

    def _choose_identity(self) -> None:
        """Cluster id and ports, kept in node.json. Refuses storage that another cluster has written."""
        record = self.data_dir / "node.json"
        self._node = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {"cluster_id": _new_cluster_id()}
        written = _cluster_id_of(self._log_dir)
        if written not in ("", self.cluster_id):
            raise BrokerError(
                f"{self._log_dir} belongs to Kafka cluster {written}, not to ours ({self.cluster_id}): choose another directory."
            )
        self._node["port"] = self._wanted_port or _still_free(self._node.get("port", 0))
        self._node["controller_port"] = _still_free(self._node.get("controller_port", 0))
        record.write_text(json.dumps(self._node), encoding="utf-8")

    def _write_properties(self, path: Path, log_dir: Path) -> None:
        template = Template((KAFKA_FILES / "server.properties").read_text(encoding="utf-8"))
        values = {"port": self._node["port"], "controller_port": self._node["controller_port"], "log_dir": log_dir}
        path.write_text(template.substitute(values), encoding="utf-8")

    def _format(self) -> None:
        """Formats a directory beside the final one and renames it, so that a kill in between leaves nothing half formatted."""
        fresh = self.data_dir / f"format-{secrets.token_hex(4)}"
        properties = self.data_dir / "format.properties"
        self._write_properties(properties, fresh)
        tool = ["kafka.tools.StorageTool", "format", "-t", self.cluster_id, "-c", str(properties)]
        ran = subprocess.run([*self._jvm(), *tool], capture_output=True, text=True, check=False)
        if ran.returncode:
            raise BrokerError(f"can't format {self._log_dir}:\n{(ran.stdout + ran.stderr)[-2000:]}")
        fresh.rename(self._log_dir)
        properties.unlink()

    def _jvm(self) -> list[str]:
        if self._java is None:
            raise BrokerError("prepare() comes first")
        return [
            self._java.path,
            "-Xms64m",
            f"-Xmx{self.heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Xshare:auto",
            "-Djava.net.preferIPv4Stack=true",
            f"-Djava.io.tmpdir={self._temporary}",
            "-Dlog4j2.disableJmx=true",
            f"-Dlog4j2.configurationFile={KAFKA_FILES / 'log4j2.properties'}",
            f"@{self._class_path_file}",
        ]

    def wait(self, seconds: float = 90.0) -> None:
        """Waits until it answers as ours. Raises BrokerError with the last log lines."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise BrokerError(f"the broker ended while starting; its log says:\n{last_words(self.log)}")
            if _wait_for(self.is_ours()):
                return
            time.sleep(0.05)
        raise BrokerError(f"the broker doesn't answer on {self.bootstrap} after {seconds:g} s; its log says:\n{last_words(self.log)}")


async def cluster_id_at(bootstrap: str) -> str:
    """Cluster id of the broker at `bootstrap`; empty while nothing usable answers."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        return str((await admin.describe_cluster()).get("cluster_id") or "")
    except (KafkaError, OSError, TimeoutError):
        return ""
    finally:
        await admin.close()


def _wait_for(answer: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end also where this thread already has a loop (an async test restarting the broker)."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, answer).result()


def _new_cluster_id() -> str:
    """22 characters as Kafka's own; never with a leading dash, which its tools take for an option."""
    while (made := base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")).startswith("-"):
        pass
    return made


def _cluster_id_of(log_dir: Path) -> str:
    meta = log_dir / "meta.properties"
    if not meta.exists():
        return ""
    pairs = dict(line.split("=", 1) for line in meta.read_text(encoding="utf-8").splitlines() if "=" in line)
    return pairs.get("cluster.id", "")


def _still_free(port: int) -> int:
    return port if port and keep(port) else free_port()
