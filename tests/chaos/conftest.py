"""The rig of the worker fault tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.broker import Broker
from tests.chaos.rig import Rig


@pytest.fixture
def rig(own_broker: Broker, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(own_broker, tmp_path)
    yield made
    made.stop()
