"""What a command on a case asks for beyond its clocks: evidence at the report, and how long a closed case may be opened again.

Reference data, like the list of what a grid worker settles on the spot; each figure with its source and certainty.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from schemas.policy.terms import Certainty

FILE = Path(__file__).parent / "reference" / "case_rules.toml"
DAY_MS = 86_400_000


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    types: tuple[str, ...]  # prefixes of type codes
    needed: bool
    source: str
    certainty: Certainty


class Reopen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    types: tuple[str, ...]
    days: int  # of 24 hours
    source: str
    certainty: Certainty


class CaseRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    evidence: tuple[Evidence, ...]
    reopen: tuple[Reopen, ...]


class _ByType(Protocol):
    @property
    def types(self) -> tuple[str, ...]: ...


Rule = TypeVar("Rule", bound=_ByType)


@cache
def case_rules() -> CaseRules:
    """ValueError (msgspec.ValidationError) for a file that is wrong."""
    return msgspec.toml.decode(FILE.read_bytes(), type=CaseRules)


@cache
def needs_evidence(incident_type: str) -> bool:
    """Whether that it is done must be shown when it is reported."""
    return _first(case_rules().evidence, incident_type).needed


@cache
def reopen_window_ms(incident_type: str) -> int:
    """For how long after its closing a case of this type may be opened again, in milliseconds."""
    return _first(case_rules().reopen, incident_type).days * DAY_MS


def _first(rules: tuple[Rule, ...], incident_type: str) -> Rule:
    return next(rule for rule in rules if incident_type.startswith(rule.types))
