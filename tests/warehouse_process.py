"""The warehouse as a process of its own, as the supervisor starts it, and Kafka records for it: for tests of faults and of reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Producer

from schemas.realms import Realm
from schemas.topics import Topic
from services.keys import ensure_default_keys
from services.settings import Settings, as_environment
from services.warehouse.backend import Warehouse, open_warehouse
from tests.helpers import until

READY_SECONDS = 60.0


@dataclass
class WarehouseProcess:
    """`start` may be called again after `kill`, `stop` or a failpoint."""

    settings: Settings
    keys: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def new(cls, folder: Path, bootstrap: str, realms: str = "live,sandbox", **given: Any) -> WarehouseProcess:
        settings = Settings(data_dir=folder, bootstrap=bootstrap, realms=realms, **given)
        keys = ensure_default_keys(settings.keys_file, settings.secrets_file, settings.realm_list)
        return cls(settings, keys)

    def start(self, failpoint: str = "", module: str = "services.cli", wait: bool = True) -> WarehouseProcess:
        """`failpoint`: "sink_after_intent@2", "…:stop". With `wait`: till it serves."""
        environment = os.environ | as_environment(self.settings)
        environment["LIANDONG_FAILPOINT"] = f"warehouse={failpoint}" if failpoint else ""
        self.note.unlink(missing_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", module, "run", "warehouse", "--data-dir", str(self.settings.data_dir)]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        if wait:
            until(lambda: self.note.exists() or self.ended(), "the warehouse is ready", READY_SECONDS)
            assert self.note.exists(), self.log.read_text()[-3000:]
        return self

    @property
    def note(self) -> Path:
        """Exists while it serves."""
        return self.settings.run_dir / "warehouse.json"

    @property
    def log(self) -> Path:
        return self.settings.logs_dir / "warehouse.log"

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def frozen(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in ("T", "t")

    def kill(self) -> None:
        """kill -9, also of a frozen process."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> int:
        assert self.process
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{json.loads(self.note.read_text())['port']}"

    def get(self, path: str, key: str = "admin", **params: Any) -> httpx.Response:
        return httpx.get(self.url + path, params=params, headers={"Authorization": f"Bearer {self.keys.get(key, key)}"}, timeout=30)

    def health(self) -> dict[str, Any]:
        """What /health says."""
        answer = httpx.get(f"http://127.0.0.1:{json.loads(self.note.read_text())['metrics_port']}/health", timeout=30)
        report: dict[str, Any] = answer.json()
        return report

    def drained(self, realm: str = "live", seconds: float = 60.0) -> None:
        """Till nothing waits in any stream."""

        def nothing_waits() -> bool:
            answer = self.get("/internal/waiting", realm=realm)
            return answer.status_code == 200 and not any(answer.json()["waiting"].values())

        until(nothing_waits, "the sink is drained", seconds)

    def tables(self) -> Warehouse:
        """The data directory, opened here (only after the process has ended), or the server."""
        assert self.ended()
        return open_warehouse(self.settings.warehouse_dir, self.settings.clickhouse_url)


Numbered = Iterable[tuple[bytes, bytes, list[tuple[str, bytes]]]]  # key, value, headers


class Writer:
    """An idempotent producer whose `flush` says that Kafka acknowledged everything."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
        self._failures: list[Any] = []
        self._places: set[tuple[str, int, int]] = set()
        self._sent = 0

    def put(self, topic: Topic, realm: str, partition: int, records: Numbered) -> None:
        for key, value, headers in records:
            self._producer.produce(topic.in_realm(Realm(realm)), value, key, partition, headers=[*headers], on_delivery=self._acked)
            self._producer.poll(0)
            self._sent += 1

    def put_raw(self, topic_name: str, partition: int, values: Iterable[bytes]) -> None:
        for value in values:
            self._producer.produce(topic_name, value, b"k", partition, on_delivery=self._acked)
            self._sent += 1

    def flush(self) -> None:
        assert self._producer.flush(60) == 0
        assert not self._failures, self._failures[0]
        assert len(self._places) == self._sent, f"{self._sent} sent, acknowledged at {len(self._places)} places"

    def _acked(self, error: Any, record: Any) -> None:
        if error:
            self._failures.append(error)
        else:
            self._places.add((record.topic(), record.partition(), record.offset()))


def write(bootstrap: str, topic: Topic, realm: str, partition: int, records: Numbered) -> None:
    """Writes to one partition, acknowledged."""
    writer = Writer(bootstrap)
    writer.put(topic, realm, partition, records)
    writer.flush()
