"""One whole platform for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platforms import Platform, running


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform without simulation, as `liandong up` makes it; ends with the module."""
    with running(tmp_path_factory.mktemp("platform") / "data", "--no-simulation", "--realms", "live") as found:
        yield found
