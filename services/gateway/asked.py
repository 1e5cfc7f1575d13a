"""What each desk command takes beside the fields all of them share: which are required, which have no meaning. Pure.

A field that a command does not know is refused like an unknown one: who writes `rung` under `accept` means something else.
"""

from __future__ import annotations

import uuid
from typing import Any

from schemas import bounds, divisions
from schemas.errors import InvalidPayload, Reason
from schemas.policies import latest, policies
from schemas.policy import store
from schemas.policy.terms import LEVELS, Purpose
from services.gateway import bodies
from streams.domain.incident.filing import STAGES

PARTICULAR = (
    "level", "orgs", "until", "purpose", "amount", "rung", "paper", "target", "person", "score", "response_level", "division", "place",
    "occurred_at", "policy_version", "stage",
)  # fmt: skip
REQUIRED: dict[str, tuple[str, ...]] = {
    "decline": ("reason", "org"), "return": ("reason",), "assign_down": ("org",), "convene": ("orgs",), "task_waive": ("reason",),
    "suspend": ("reason",), "shelve": ("reason", "until"), "supervise": ("rung",), "respond": ("response_level",),
    "extend": ("reason", "purpose"), "merge_into": ("target",), "void": ("reason",), "contest": ("reason", "purpose"),
    "uphold_breach": ("reason", "purpose"), "withdraw_breach": ("reason", "purpose"), "repin": ("reason",), "draft_report": ("stage",),
    "sign_report": ("stage",),
}  # fmt: skip
TAKES: dict[str, tuple[str, ...]] = {
    "offer_up": ("level",), "assign": ("level",), "assign_down": ("level",), "convene": ("orgs",), "suspend": ("until",),
    "shelve": ("until",), "supervise": ("rung", "paper"), "reply_supervision": ("rung", "paper"), "lift_supervision": ("rung", "paper"),
    "respond": ("response_level",), "extend": ("purpose", "amount"), "evaluate": ("score", "person"), "reopen": ("person",),
    "acknowledge": ("purpose",), "repin": ("policy_version",), "draft_report": ("stage", "level", "paper"),
    "sign_report": ("stage", "level", "paper"), "contest": ("purpose",), "uphold_breach": ("purpose",), "withdraw_breach": ("purpose",),
    "merge_into": ("target",), "amend": ("division", "place"), "accept": ("occurred_at",), "sign": ("occurred_at",),
    "report": ("occurred_at",), "self_handle": ("occurred_at",),
}  # fmt: skip
LEVEL_NAMES = frozenset(level.value for level in LEVELS)
PURPOSES = frozenset(purpose.value for purpose in Purpose)
LATEST_MS = 10 * 366 * 86_400_000  # no review lies further ahead


def check(body: bodies.Command, name: str, now: int, errors: list[InvalidPayload]) -> dict[str, Any]:
    """The command's particular fields as the core takes them. What is wrong goes to `errors`, each with its pointer."""
    allowed = TAKES.get(name, ())
    for field in PARTICULAR:
        if getattr(body, field) is not None and field not in allowed:
            errors.append(InvalidPayload(Reason.BAD_VALUE, f"{name} does not take it", f"/{field}"))
    for field in REQUIRED.get(name, ()):
        if getattr(body, field) in (None, ""):
            errors.append(InvalidPayload(Reason.BAD_VALUE, f"{name} needs it", f"/{field}"))
    found: dict[str, Any] = {
        "level": _one_of(body.level, LEVEL_NAMES, "/level", errors),
        "purpose": _one_of(body.purpose, PURPOSES, "/purpose", errors),
        "rung": _one_of(body.rung, policies(latest()).rungs, "/rung", errors),
        "orgs": tuple(dict.fromkeys(body.orgs or ())),
        "policy_version": _one_of(body.policy_version, store.versions(), "/policy_version", errors) if body.policy_version else "",
        "stage": _one_of(body.stage, STAGES, "/stage", errors),
        "paper": body.paper or "",
        "amount": body.amount or 0,
        "score": body.score or 0,
        "response_level": body.response_level or 0,
        "until": _time(body.until, "/until", now, now + LATEST_MS, errors) if body.until is not None else 0,
        "target": _case(body.target, errors) if body.target is not None else "",
        "division": body.division or "",
    }
    if name == "suspend" and body.reason and policies(latest()).suspension(body.reason) is None:
        grounds = ", ".join(policies(latest()).suspensions)
        errors.append(InvalidPayload(Reason.BAD_VALUE, f"{body.reason!r} is no ground of suspension; there are {grounds}", "/reason"))
    if body.division is not None and body.division not in divisions.divisions():
        detail = f"{body.division[:20]!r} is not in the register of 2023"
        errors.append(InvalidPayload(Reason.UNKNOWN_DIVISION, detail, "/division"))
    return found


def done_at(body: bodies.Command, now: int, errors: list[InvalidPayload]) -> int:
    """When what the command tells of was done: now, unless the body says that it was earlier."""
    return now if body.occurred_at is None else _time(body.occurred_at, "/occurred_at", bounds.OLDEST_MS, now, errors)


def _one_of(value: str | None, known: Any, pointer: str, errors: list[InvalidPayload]) -> str:
    if value is not None and value not in known:
        errors.append(InvalidPayload(Reason.BAD_VALUE, f"{value[:40]!r} is none of {', '.join(sorted(known))}", pointer))
    return value or ""


def _time(text: str, pointer: str, earliest: int, last: int, errors: list[InvalidPayload]) -> int:
    try:
        moment, _ = bounds.parse_time(text, pointer)
    except InvalidPayload as error:
        errors.append(error)
        return 0
    if moment < earliest:
        errors.append(InvalidPayload(Reason.TIME_TOO_OLD, "too early", pointer))
    elif moment > last:
        errors.append(InvalidPayload(Reason.TIME_IN_FUTURE, "too far ahead", pointer))
    return moment


def _case(text: str, errors: list[InvalidPayload]) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        errors.append(InvalidPayload(Reason.BAD_VALUE, f"{text[:40]!r} is not a case id", "/target"))
        return ""
