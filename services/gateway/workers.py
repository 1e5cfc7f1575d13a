"""The workers that run beside this gateway, and which policies they know: each says so at its health address.

They are found by their notes in the data directory. Workers on other machines are not seen: ask there (`/health` of each names its
versions) before a version is activated. One that does not know the version of a new case opens it under its own newest; a case that another
worker has opened under it ends it by name (TOO_OLD) before it decides anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from schemas.realms import Realm


class RunningWorkers:
    """Fulfils ports.Workers."""

    def __init__(self, run_dir: Path, client: httpx.AsyncClient) -> None:
        """`client`: with time-outs set."""
        self._run_dir = run_dir
        self._client = client

    async def unaware(self, realm: Realm, version: str) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for note in sorted(self._run_dir.glob(f"case-{realm.value}*.json")):
            port = _port(note)
            known = await self._known(port) if port else None
            if known is not None and version not in known:
                found[note.stem] = known
        return found

    async def _known(self, port: int) -> tuple[str, ...] | None:
        """Versions that the worker at this port knows; empty when it does not say; None when nothing runs there."""
        try:
            answer = await self._client.get(f"http://127.0.0.1:{port}/health")
            facts: dict[str, Any] = answer.json()
        except httpx.ConnectError:
            return None
        except (httpx.HTTPError, ValueError):
            return ()
        return tuple(map(str, facts.get("policies", ())))


def _port(note: Path) -> int:
    """0 when the worker took its note back meanwhile."""
    try:
        return int(json.loads(note.read_text(encoding="utf-8")).get("metrics_port", 0))
    except (OSError, ValueError):
        return 0
