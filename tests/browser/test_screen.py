"""The wall in Chromium: what is written is seen, what is old says so, and every place keeps to itself."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from schemas.avro.live_delta.event import LiveDelta
from schemas.divisions import PROVINCE, divisions
from schemas.realms import Realm
from tests.browser.day import simulated_day
from tests.browser.stage import Stage, step

pytestmark = [pytest.mark.browser, pytest.mark.broker]
OpenScreen = Callable[..., Page]
TOTALS = ("open", "opened_today", "closed_today", "total")
FIGURES = ".tile-body, .trust, .top, .place, .figure, .bar-value, .bars, .map-foot, .chart-sum, .clock, .cell-0, .cell-3, .cell-4"
CUT = f"""() => [...document.querySelectorAll('{FIGURES}')]
    .filter(e => e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 3)
    .filter(e => getComputedStyle(e).display !== 'inline')
    .map(e => `${{e.className}} ${{JSON.stringify(e.innerText)}}: ${{e.scrollWidth}}/${{e.clientWidth}} `
        + `${{e.scrollHeight}}/${{e.clientHeight}}`)"""
OUTSIDE = """() => [...document.querySelectorAll('[data-tile], [data-value], [data-case]')]
    .filter(e => !e.closest('[hidden]'))
    .filter(e => (b => b.left < 0 || b.top < 0 || b.right > innerWidth + 1 || b.bottom > innerHeight + 1)(e.getBoundingClientRect()))
    .map(e => e.outerHTML.slice(0, 80))"""
TRUST = '[data-tile="trust"][data-state="%s"]'


def shown(page: Page) -> dict[str, int]:
    """The four totals as the page shows them."""
    return {field: int(page.get_attribute(f'[data-tile="totals"] [data-field="{field}"]', "data-value") or -1) for field in TOTALS}


def await_totals(page: Page, stage: Stage, realm: Realm = Realm.LIVE, scope: str = PROVINCE) -> None:
    """Waits until the page shows exactly what a recount of all records gives."""
    expected = stage.store.snapshot(realm, scope)["totals"]
    for field in TOTALS:
        expect(page.locator(f'[data-tile="totals"] [data-field="{field}"]')).to_have_attribute("data-value", str(expected[field]))


def seconds_until(page: Page, selector: str, limit: float) -> float:
    """How long until the page has such an element (no function: the security policy forbids evaluation)."""
    began = time.monotonic()
    page.wait_for_selector(selector, timeout=limit * 1000)
    return time.monotonic() - began


def test_a_delta_is_on_the_screen_within_a_second(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen()
    took = []
    for _ in range(20):
        case = stage.incident("440305001")
        began = time.monotonic()
        stage.write(case)
        page.wait_for_selector(f'[data-tile="newest"] [data-case="{case.case_id}"]')
        took.append(1000 * (time.monotonic() - began))
    row = page.locator(f'[data-tile="newest"] [data-case="{case.case_id}"]')
    expect(row).to_have_attribute("data-number", case.case_number)
    expect(row).to_have_attribute("data-state", "captured")
    expect(row).to_contain_text("深圳 南山区")
    expect(row).to_have_class("row fresh")
    print(f"write → on the screen: p50 {statistics.median(took):.0f} ms, worst {max(took):.0f} ms")
    assert max(took) <= 1000
    await_totals(page, stage)


def test_numbers_follow_a_burst_of_every_kind_of_change_exactly(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen()
    county = open_screen(key="nanshan")
    cases = [stage.incident("440305001") for _ in range(40)]
    steps: list[LiveDelta] = []
    for number, case in enumerate(cases):
        steps += [case, (accepted := step(case, "accepted"))]
        if number % 3 == 0:
            steps += [(closed := step(accepted, "closed")), step(closed, "handling")]
        elif number % 3 == 1:
            steps.append(step(accepted, "triaged", county="440304", division="440304001"))
        else:
            steps.append(step(accepted, "declined", incident_type="S01"))
    stage.write(*steps)
    await_totals(page, stage)
    await_totals(county, stage, scope="440305")
    for row in stage.store.snapshot(Realm.LIVE, PROVINCE)["children"]:
        expect(page.locator(f'[data-division="{row["code"]}"]')).to_have_attribute("data-value", str(row["open"]))


def test_a_screen_opened_amid_a_burst_counts_each_case_once(stage: Stage, open_screen: OpenScreen) -> None:
    stage.store.lag = 30
    try:
        stage.write(*(stage.incident("440106001") for _ in range(60)))
        page = open_screen()
        stage.write(*(stage.incident("440106001") for _ in range(60)))
    finally:
        stage.store.lag = 0
    await_totals(page, stage)


def test_every_realm_but_live_wears_a_ribbon_that_cannot_be_taken_off(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen(fragment="realm=sandbox")
    ribbon = page.locator('[data-tile="ribbon"]')
    expect(ribbon).to_contain_text("演示沙箱 SANDBOX")
    page.evaluate("document.querySelector('[data-tile=ribbon]').remove()")
    expect(ribbon).to_be_visible()
    page.evaluate("document.querySelector('[data-tile=ribbon]').style.display = 'none'")
    expect(ribbon).to_be_visible()
    page.click('[data-realm-switch="replay"]')
    expect(ribbon).to_contain_text("回放 REPLAY")
    page.click('[data-realm-switch="live"]')
    expect(ribbon).to_have_count(0)


def test_the_screen_says_stale_within_three_seconds_when_the_server_hangs(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen()
    stage.freeze(6)
    took = seconds_until(page, TRUST % "stale", 5)
    expect(page.locator('[data-tile="trust"]')).to_contain_text("数据已过期")
    print(f"hang → stale: {took:.1f} s")
    assert took <= 3
    page.wait_for_selector(TRUST % "live")


def test_a_cut_stream_turns_stale_and_resumes_without_reload_or_gap(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen()
    page.evaluate("window.sameDocument = true")
    stage.stop_dashboard()
    assert seconds_until(page, TRUST % "stale", 5) <= 3
    stage.write(*(stage.incident("441302") for _ in range(25)))
    asked = stage.store.asked
    stage.start_dashboard()
    page.wait_for_selector(TRUST % "live", timeout=20_000)
    await_totals(page, stage)
    assert page.evaluate("window.sameDocument") is True
    assert page.get_attribute('[data-tile="trust"]', "data-resumes") == "1"
    assert stage.store.asked - asked <= 1  # the frames came by the stream, not by starting over


def test_a_city_opens_to_its_counties_and_the_address_keeps_the_place(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen()
    cities = set(page.locator("[data-division]").evaluate_all("all => all.map(e => e.dataset.division)"))
    assert cities == {d.code for d in divisions().values() if d.level == "city"}
    page.click('[data-division="440300"]')
    page.wait_for_selector('[data-division="440305"]')
    counties = set(page.locator("[data-division]").evaluate_all("all => all.map(e => e.dataset.division)"))
    assert {d.code for d in divisions().values() if d.parent == "440300"} <= counties | {"440300"}
    assert "realm=live" in page.url
    assert "division=440300" in page.url
    stage.write(stage.incident("440305001"), stage.incident("440106001"))
    await_totals(page, stage, scope="440300")
    page.click('[data-division="440305"]')
    page.wait_for_selector('[data-crumb="440305"][aria-current="location"]')
    await_totals(page, stage, scope="440305")
    page.reload()
    await_totals(page, stage, scope="440305")
    page.go_back()
    page.wait_for_selector('[data-crumb="440300"][aria-current="location"]')
    page.click('[data-crumb="440000"]')
    await_totals(page, stage)


def test_the_schematic_is_labelled_as_one_and_uses_no_statutory_colour(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen()
    expect(page.locator('[data-tile="schematic"]')).to_contain_text("示意图")
    colours = page.locator(".place").evaluate_all("all => all.map(e => getComputedStyle(e).backgroundColor.match(/\\d+/g).map(Number))")
    assert len(colours) == 21
    for red, green, blue in colours:
        assert red < green
        assert abs(green - blue) < 16  # teal: neither red, orange, yellow nor blue


def test_a_county_key_begins_at_its_county_and_can_go_nowhere_else(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen(key="futian", fragment="realm=live&division=440305")
    assert page.locator("[data-crumb]").evaluate_all("all => all.map(e => e.dataset.crumb)") == ["440304"]
    frames = int(page.get_attribute('[data-tile="trust"]', "data-frames") or 0)
    stage.write(*(stage.incident("440305001") for _ in range(5)))
    mine = stage.incident("440304")
    stage.write(mine)
    page.wait_for_selector(f'[data-case="{mine.case_id}"]')
    assert int(page.get_attribute('[data-tile="trust"]', "data-frames") or 0) == frames + 1
    await_totals(page, stage, scope="440304")


def test_without_a_key_it_asks_and_a_wrong_one_is_told(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen(key="", wait='[data-tile="key"]')
    page.fill("#key", "ld_wrong")
    page.click("[data-tile=key] button")
    expect(page.locator('[data-tile="key"] [role="alert"]')).to_contain_text("密钥无效")
    page.fill("#key", stage.keys["screen"])
    page.click("[data-tile=key] button")
    page.wait_for_selector('[data-tile="trust"][data-state="live"]')


def test_the_key_leaves_the_address_at_once(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen(fragment="realm=sandbox&division=440100")
    assert stage.keys["screen"] not in page.url
    assert page.evaluate("history.length") <= 2
    expect(page.locator('[data-crumb="440100"]')).to_have_attribute("aria-current", "location")


def test_the_stream_goes_on_while_the_read_port_is_away(stage: Stage, open_screen: OpenScreen) -> None:
    stage.store.away = True
    try:
        page = open_screen()
        expect(page.locator('[data-field="read-port"]')).to_contain_text("读端口无应答")
        expect(page.locator('[data-tile="totals"] [data-field="open"]')).to_have_text("—")
        stage.write(stage.incident("440305001"))
        page.wait_for_selector('[data-tile="trust"][data-frames="1"]')
    finally:
        stage.store.away = False
    await_totals(page, stage)
    expect(page.locator('[data-field="read-port"]')).to_be_hidden()


def test_a_picture_that_differs_from_the_store_is_corrected_and_said(stage: Stage, open_screen: OpenScreen) -> None:
    stage.store.wrong_by = 7
    try:
        page = open_screen()
    finally:
        stage.store.wrong_by = 0
    expect(page.locator('[data-field="reconcile"]')).to_have_attribute("data-value", "differed", timeout=20_000)
    await_totals(page, stage)


def test_english_is_the_second_language_and_is_remembered(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen()
    page.click('.switch button[lang="en"]')
    expect(page.locator('[data-division="440300"]')).to_contain_text("Shenzhen")
    expect(page.locator('[data-tile="totals"]')).to_contain_text("Opened today")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.click('.switch button[lang="zh-CN"]')
    expect(page.locator('[data-division="440300"]')).to_contain_text("深圳")


def test_history_is_shown_by_its_own_time(stage: Stage, open_screen: OpenScreen) -> None:
    then = 1_420_070_400_000 + 5 * 3_600_000  # 2015-01-01 13:00 in Beijing
    cases = [stage.incident("440106001", at=then + 60_000 * n, realm=Realm.REPLAY) for n in range(30)]
    stage.write(*cases[:20], realm=Realm.REPLAY)
    page = open_screen(fragment="realm=replay")
    await_totals(page, stage, Realm.REPLAY)
    assert shown(page)["opened_today"] == 20
    stage.write(*cases[20:], realm=Realm.REPLAY)
    await_totals(page, stage, Realm.REPLAY)
    expect(page.locator('[data-field="newest"]')).to_contain_text("2015年1月1日")


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1920, 1080), (3840, 2160), (5120, 1440)])
@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_wall_fits_without_scroll_or_cut_figures(stage: Stage, open_screen: OpenScreen, width: int, height: int, language: str) -> None:
    _fill(stage)
    page = open_screen(fragment="realm=sandbox", width=width, height=height)
    page.click(f'.switch button[lang="{language}"]')
    page.wait_for_selector('[data-tile="newest"] [data-case]')
    root = page.evaluate("(e => [e.scrollWidth, e.scrollHeight])(document.documentElement)")
    assert root == [width, height]
    assert page.evaluate(CUT) == []
    assert page.evaluate(OUTSIDE) == []
    await_totals(page, stage, Realm.SANDBOX)
    before = shown(page)["total"]
    times = stage.store.times = -(-900_000 // before)  # about as big as it gets: a year of a province, however quiet this day's hours
    try:
        page.reload()
        page.wait_for_selector('.place-open[data-length="long"]')
        assert shown(page)["total"] == before * times >= 900_000
        assert page.evaluate(CUT) == []
    finally:
        stage.store.times = 1


def _fill(stage: Stage) -> None:
    if not stage.store.written.get(Realm.SANDBOX):
        widest = [stage.incident("441881", "M09018", realm=Realm.SANDBOX) for _ in range(3)]
        ended = [step(case, state) for case, state in zip(widest, ("declined", "withdrawn", "verifying"), strict=True)]
        stage.write(*simulated_day(stage, hours=12, rate=0.6), *widest, *ended, realm=Realm.SANDBOX)


def test_reduced_motion_is_respected(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen()
    page.emulate_media(reduced_motion="reduce")
    case = stage.incident("440305001")
    stage.write(case)
    row = page.wait_for_selector(f'[data-case="{case.case_id}"]')
    assert row is not None
    assert row.evaluate("e => getComputedStyle(e).animationName") == "none"
    assert row.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"


def test_each_citys_tile_lies_where_its_neighbours_expect_it(stage: Stage, open_screen: OpenScreen) -> None:
    page = open_screen()
    boxes = {
        code: page.locator(f'[data-division="{code}"]').bounding_box()
        for code in ("440200", "440800", "445100", "440100", "440300", "441200", "440400", "441400")
    }
    at = {code: (box["x"], box["y"]) for code, box in boxes.items() if box}
    assert min(at, key=lambda code: at[code][0]) == "440800"  # 湛江 is westernmost
    assert max(at, key=lambda code: at[code][1]) == "440800"  # and southernmost
    assert at["440200"][1] == min(y for _, y in at.values())  # 韶关 is north
    assert at["445100"][0] == max(x for x, _ in at.values())  # 潮州 is east
    assert at["441200"][0] < at["440100"][0] < at["440300"][0]  # 肇庆 < 广州 < 深圳
