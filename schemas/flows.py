"""Named flows: the stages in which people elsewhere see a case, as data over our states. A case has a stage; nothing is decided by it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from schemas.policy.terms import Certainty

FOLDER = Path(__file__).parent / "reference" / "flows"
OUTSIDE = ("declined", "withdrawn", "merged")  # ends that are no stage of any flow


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    title_zh: str
    title_en: str
    states: tuple[str, ...]


class Flow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`supervised`: code of the stage in which a supervised case is while it is open; "" none of its own."""

    code: str
    title_zh: str
    title_en: str
    source: str
    certainty: Certainty
    stages: tuple[Stage, ...]
    supervised: str = ""
    notes: str = ""


@cache
def flow(code: str) -> Flow:
    """KeyError for a flow that is none."""
    path = FOLDER / f"{code}.toml"
    if code not in flows():
        raise KeyError(code)
    return msgspec.toml.decode(path.read_bytes(), type=Flow)


@cache
def flows() -> tuple[str, ...]:
    """Codes of all flows."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def stage_of(named: Flow, state: str, supervised: bool = False) -> Stage | None:
    """The stage of a case in this state; None for a case that left the flow (declined, withdrawn, merged).

    `supervised`: a supervision 督办 is in force. It moves an open case to the stage where it is followed up, not back from a later one.
    """
    stages = list(named.stages)
    at = next((index for index, stage in enumerate(stages) if state in stage.states), None)
    if at is None:
        return None
    if supervised and named.supervised:
        at = max(at, next(index for index, stage in enumerate(stages) if stage.code == named.supervised))
    return stages[at]
