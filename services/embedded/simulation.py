"""Process `simulation`: a believable Guangdong day in realm sandbox, through the public HTTP interface like any department.

What happens is planned in simulation_plan.py; this shell posts it, waits out a gateway that is away, and stops cleanly.
Captures come at the wall clock's pace; desks work `sim_speed` times faster than life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx
from prometheus_client import Counter, Gauge

from schemas.divisions import PROVINCE
from schemas.principals import Kind, Principal
from schemas.realms import Realm
from services.clock import now_ms
from services.embedded.simulation_plan import MINUTE_MS, Action, OpenCases, Planned, plan_minute, rest_of
from services.keys import KeyStore
from services.process import Process
from services.settings import Settings

TICK_S = 0.2
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
REQUEST_S = 15.0
MAX_CAPTURING = 200  # captures wait on a gateway that is away; what would have happened meanwhile is held back
PAGE = 100
LEFTOVERS = 500  # open cases of an earlier run that are taken over at most
AGAIN = frozenset({429, 502, 503, 504})

PRINCIPALS = {
    "producer": Principal("sim-producer", Kind.PRODUCER, "", "sim", "department", "province", PROVINCE, (Realm.SANDBOX,)),
    "desk": Principal("sim-desk", Kind.DESK, "sim-desk", "440000-desk", "officer", "province", PROVINCE, (Realm.SANDBOX,)),
    "verifier": Principal("sim-verifier", Kind.DESK, "sim-verifier", "440000-desk", "verifier", "province", PROVINCE, (Realm.SANDBOX,)),
}

SIMULATED = Counter("liandong_simulated", "Incidents and commands that the gateway accepted, by name", ["name"])
HELD_BACK = Counter("liandong_simulated_held_back", "Planned incidents that did not happen: too many open, or the gateway away")
REFUSED = Counter("liandong_simulated_refused", "Posts that the gateway refused for good", ["name", "status"])
OPEN = Gauge("liandong_simulated_open", "Cases the simulated desks are working on")


async def serve(process: Process) -> None:
    """Runs until `process.stop`."""
    settings = process.settings
    if Realm.SANDBOX not in settings.realm_list:
        process.log.warning("idle: this platform does not serve realm sandbox")
        process.ready()
        await process.stop.wait()
        return
    keys = fresh_keys(settings)
    async with httpx.AsyncClient(timeout=REQUEST_S, trust_env=False, limits=httpx.Limits(max_connections=32)) as client:
        await Simulation(process, client, keys).run()


def fresh_keys(settings: Settings) -> dict[str, str]:
    """New keys for the simulated people, in place of those of an earlier run: their plaintext is kept nowhere."""
    store = KeyStore(settings.keys_file)
    for principal in PRINCIPALS.values():
        store.revoke(principal.id)
    return {name: store.add(principal) for name, principal in PRINCIPALS.items()}


class Simulation:
    def __init__(self, process: Process, client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        self._process = process
        self._settings = process.settings
        self._client = client
        self._keys = keys
        self._cases = OpenCases(self._settings.sim_speed)
        self._capturing = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        started = self._started = now_ms()
        self._seed = f"sim-{self._settings.sim_seed}-{started // 1000}"  # a restart plans new cases, with new keys
        self._planned_to = started // MINUTE_MS
        self._waiting = [planned for planned in self._plan(self._planned_to) if planned.at >= started]

    async def run(self) -> None:
        self._process.health(lambda: {"open": len(self._cases), "in_flight": len(self._tasks)})
        self._process.ready()
        self._start(self._take_over())
        while not self._process.stop.is_set():
            self._turn(now_ms())
            if self._failure:
                raise self._failure
            OPEN.set(len(self._cases))
            await self._rest(TICK_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _plan(self, minute: int) -> list[Planned]:
        return plan_minute(self._seed, minute, self._settings.sim_rate_per_minute)

    def _turn(self, now: int) -> None:
        """Starts everything that is due."""
        while self._planned_to < now // MINUTE_MS:
            self._planned_to += 1
            self._waiting += self._plan(self._planned_to) if self._planned_to == now // MINUTE_MS else []
        while self._waiting and self._waiting[0].at <= now:
            planned = self._waiting.pop(0)
            if len(self._cases) + self._capturing >= self._settings.sim_max_open or self._capturing >= MAX_CAPTURING:
                HELD_BACK.inc()
            else:
                self._capturing += 1
                self._start(self._capture(planned))
        for action in self._cases.next_actions(now):
            self._start(self._act(action))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            self._failure = task.exception()

    async def _capture(self, planned: Planned) -> None:
        try:
            answer = await self._post("capture", "producer", "/v1/incidents", planned.body, planned.key)
        finally:
            self._capturing -= 1
        if answer is not None:
            self._cases.captured(planned.key, answer["case_id"], planned.steps, now_ms())

    async def _act(self, action: Action) -> None:
        step = action.step
        path = f"/v1/cases/{action.case_id}/commands/{step.command}"
        answer = await self._post(step.command, step.by, path, step.body | {"expected_seq": action.expected_seq}, action.key)
        if answer is None:
            self._cases.dropped(action.case)
        else:
            self._cases.done(action.case, now_ms())

    async def _post(self, name: str, who: str, path: str, body: dict[str, Any], key: str) -> dict[str, Any] | None:
        """The answer, after as many tries as it takes; None when the gateway refuses for good."""
        answer = await self._ask(name, "POST", path, who, headers={"Idempotency-Key": key}, json=body)
        if answer is not None:
            SIMULATED.labels(name).inc()
        return answer

    async def _ask(self, name: str, method: str, path: str, who: str, *, headers: dict[str, str], **more: Any) -> dict[str, Any] | None:
        pause = FIRST_PAUSE_S
        headers = headers | {"Authorization": f"Bearer {self._keys[who]}"}
        url = self._settings.gateway_url + path
        params = {"realm": Realm.SANDBOX.value} | more.pop("params", {})
        while True:
            try:
                answer = await self._client.request(method, url, headers=headers, params=params, **more)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                found: dict[str, Any] = answer.json()
                return found
            if answer is not None and answer.status_code not in AGAIN:
                REFUSED.labels(name, answer.status_code).inc()
                self._process.log.warning("refused", name=name, status=answer.status_code, problem=answer.text[:300])
                return None
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _take_over(self) -> None:
        """Goes on with cases that an earlier run left open; those of other senders are not ours to touch."""
        left = LEFTOVERS
        for level in ("county", "city"):
            page: dict[str, Any] | None = {"next": ""}
            while left > 0 and page is not None and page["next"] is not None:
                path = f"/v1/desks/{PROVINCE}/{level}/work"
                page = await self._ask("work", "GET", path, "desk", headers={}, params={"after": page["next"], "limit": PAGE})
                for item in page["items"] if page else ():
                    left -= item["opened_at"] < self._started and await self._take(item["case_id"])

    async def _take(self, case_id: str) -> bool:
        case = await self._ask("case", "GET", f"/v1/cases/{case_id}", "desk", headers={})
        if case is None or case.get("producer") != PRINCIPALS["producer"].id:
            return False
        steps = rest_of(self._seed, case_id, case["state"], case["division"])
        if steps:
            self._cases.captured(f"{self._seed}:rest:{case_id}", case_id, steps, now_ms(), seq=case["seq"])
            SIMULATED.labels("taken_over").inc()
        return bool(steps)

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._process.stop.wait(), seconds)
        except TimeoutError:
            return
