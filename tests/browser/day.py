"""A simulated day as deltas: the product's own plan of a Guangdong day, followed until now."""

from __future__ import annotations

from schemas.avro.live_delta.event import LiveDelta
from schemas.realms import Realm
from services.clock import now_ms
from services.embedded.simulation_plan import MINUTE_MS, Planned, plan_minute
from streams.domain.incident.table import COMMANDS
from tests.browser.stage import Stage, step


def simulated_day(stage: Stage, hours: int, rate: float, realm: Realm = Realm.SANDBOX) -> list[LiveDelta]:
    """All that happened in the last hours at `rate` new incidents a minute, in time order."""
    now = now_ms()
    deltas: list[LiveDelta] = []
    for minute in range(now // MINUTE_MS - 60 * hours, now // MINUTE_MS + 1):
        for planned in plan_minute("picture", minute, rate):
            deltas += _followed(stage, planned, realm, now)
    return sorted((delta for delta in deltas if delta.received_at <= now), key=lambda delta: delta.received_at)


def _followed(stage: Stage, planned: Planned, realm: Realm, now: int) -> list[LiveDelta]:
    at = planned.at
    case = stage.incident(planned.body["division"], planned.body["type"], at, realm)
    deltas = [case]
    for command in planned.steps:
        at += int(command.delay_s * 1000)
        if at > now:
            break
        case = step(case, COMMANDS[command.command].target or case.state, at)
        deltas.append(case)
    return deltas
