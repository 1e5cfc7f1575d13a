"""The words of the screens: both languages say the same things, and every city and county has a romanised name."""

from __future__ import annotations

import json
import re
from pathlib import Path

from schemas.divisions import divisions
from schemas.realms import Realm
from streams.domain.incident.table import State

WORDS = Path(__file__).parents[2] / "services" / "web" / "src" / "i18n"


def words(name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((WORDS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def test_both_languages_have_the_same_words_with_the_same_places_to_fill() -> None:
    chinese, english = words("zh-CN"), words("en")
    assert list(chinese) == list(english)
    assert {word: set(re.findall(r"{\w+}", text)) for word, text in chinese.items()} == {
        word: set(re.findall(r"{\w+}", text)) for word, text in english.items()
    }


def test_every_state_and_realm_has_a_name_and_every_realm_but_live_a_ribbon() -> None:
    known = set(words("zh-CN"))
    assert {f"state.{state}" for state in State} <= known
    assert {f"realm.{realm}" for realm in Realm} <= known
    assert {f"ribbon.{realm}" for realm in Realm if realm is not Realm.LIVE} <= known


def test_every_division_down_to_the_county_has_a_romanised_name() -> None:
    assert set(words("romanised")) == {d.code for d in divisions().values() if d.level in ("province", "city", "county")}
