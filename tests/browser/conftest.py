"""Chromium and a stage for the tests of the screen. Without a Chromium or without built screens they skip and say why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from schemas.realms import Realm
from services.dashboard.app import DIST
from services.embedded.broker import Broker
from tests.browser.stage import Stage
from tests.conftest import TEST_PARTITIONS

OpenScreen = Callable[..., Page]
LIVE = '[data-tile="trust"][data-state="live"]'


def chromium_path() -> str | None:
    """LIANDONG_CHROMIUM, or the system's."""
    return (
        os.environ.get("LIANDONG_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    )


@pytest.fixture(scope="session")
def chromium_at() -> str:
    """Where the browser is; the test is skipped when there is none, or nothing to show in it."""
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium fonts-wqy-microhei, or set LIANDONG_CHROMIUM")
    if not (DIST / "index.html").is_file():
        pytest.skip("the screens are not built: make setup (needs Node 20)")
    return path


@pytest.fixture(scope="module")
def chromium(chromium_at: str) -> Iterator[Browser]:
    """Closed with its module: Playwright holds the thread's event loop while it runs, and other tests need theirs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_at, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stage(chromium_at: str, broker: Broker, topics: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    topics(Realm.LIVE, Realm.SANDBOX, Realm.REPLAY)
    with Stage(broker.bootstrap, TEST_PARTITIONS, tmp_path_factory.mktemp("stage")) as ready:
        yield ready


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenScreen]:
    """`open_page(url, key, fragment="realm=live", width=1920, height=1080)` answers a page that shows a live wall.

    When the test ends, an error the page threw, or anything the content security policy blocked, fails it.
    """
    pages: list[Page] = []
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            errors.append(message.text)

    def open_at(url: str, key: str, fragment: str = "realm=live", width: int = 1920, height: int = 1080, wait: str = LIVE) -> Page:
        page = chromium.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", note)
        pages.append(page)
        page.goto(f"{url}/#{fragment}" + (f"&key={key}" if key else ""))
        page.wait_for_selector(wait)
        return page

    yield open_at
    for page in pages:
        page.close()
    assert errors == []


@pytest.fixture
def open_screen(stage: Stage, open_page: OpenScreen) -> OpenScreen:
    """The same on the stage: `open_screen(key="nanshan", …)` names one of its keys."""

    def open_at(key: str = "screen", **more: Any) -> Page:
        return open_page(stage.url, stage.keys.get(key, key), **more)

    return open_at
