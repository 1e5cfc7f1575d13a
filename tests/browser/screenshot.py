"""Makes the README's picture of the wall: `python -m tests.browser.screenshot [--out FILE] [--width W --height H] [--division CODE]`.

A real broker and the real dashboard show a simulated day (realm sandbox, so the picture wears its ribbon).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from schemas.divisions import PROVINCE, divisions, is_within
from schemas.realms import Realm
from services.embedded.broker import Broker
from services.embedded.topics import ensure_topics
from tests.browser.conftest import LIVE, chromium_path
from tests.browser.day import simulated_day
from tests.browser.stage import Stage

OUT = Path(__file__).parents[2] / "services" / "web" / "screenshot.png"
PARTITIONS = 4
REALMS = (Realm.LIVE, Realm.SANDBOX, Realm.REPLAY)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=OUT)
    arguments.add_argument("--width", type=int, default=1920)
    arguments.add_argument("--height", type=int, default=1080)
    arguments.add_argument("--division", default=PROVINCE)
    arguments.add_argument("--language", choices=("zh-CN", "en"), default="zh-CN")
    asked = arguments.parse_args()
    chromium = chromium_path()
    if chromium is None:
        print("no Chromium: apt-get install chromium fonts-wqy-microhei, or set LIANDONG_CHROMIUM", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as directory:
        broker = Broker(Path(directory) / "broker", heap_mb=256).start()
        try:
            asyncio.run(ensure_topics(broker.bootstrap, REALMS, PARTITIONS))
            with Stage(broker.bootstrap, PARTITIONS, Path(directory) / "stage", REALMS) as stage:
                stage.write(*simulated_day(stage, hours=30, rate=5.0), realm=Realm.SANDBOX)
                _take(stage, chromium, asked)
        finally:
            broker.stop()
    return 0


def _take(stage: Stage, chromium: str, asked: argparse.Namespace) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": asked.width, "height": asked.height})
        page.goto(f"{stage.url}/#key={stage.keys['screen']}&realm=sandbox&division={asked.division}")
        page.click(f'.switch button[lang="{asked.language}"]')
        page.wait_for_selector(LIVE)
        page.wait_for_selector('[data-field="reconcile"][data-value="same"]', timeout=60_000)
        town = next(d.code for d in divisions().values() if d.level == "town" and is_within(d.code, asked.division))
        case = stage.incident(town, realm=Realm.SANDBOX)
        stage.write(case, realm=Realm.SANDBOX)
        page.wait_for_selector(f'[data-case="{case.case_id}"]')
        page.screenshot(path=asked.out)
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
