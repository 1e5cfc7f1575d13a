"""Principals of tests."""

from __future__ import annotations

from schemas.divisions import PROVINCE
from schemas.principals import Kind, Principal
from schemas.realms import Realm

SERVED = (Realm.LIVE, Realm.SANDBOX, Realm.REPLAY)
PRODUCER = Principal("demo-producer", Kind.PRODUCER, "", "demo", "department", "province", PROVINCE, SERVED)
DESK = Principal("nanshan-desk", Kind.DESK, "p-17", "440305-desk", "officer", "county", "440305", SERVED)
CITY_DESK = Principal("shenzhen-desk", Kind.DESK, "p-18", "440300-desk", "officer", "city", "440300", SERVED)
OTHER_DESK = Principal("futian-desk", Kind.DESK, "p-19", "440304-desk", "officer", "county", "440304", SERVED)
SCREEN = Principal("screen", Kind.SCREEN, "", "440000-screen", "viewer", "province", PROVINCE, SERVED)
ADMIN = Principal("admin", Kind.ADMIN, "p-1", "440000-desk", "admin", "province", PROVINCE, SERVED)
COUNTY_ADMIN = Principal("nanshan-admin", Kind.ADMIN, "p-2", "440305-desk", "admin", "county", "440305", SERVED)
SANDBOX_ONLY = Principal("trainee", Kind.PRODUCER, "", "demo", "department", "county", "440305", (Realm.SANDBOX,))
TERMINALS = Principal("longhu-terminals", Kind.DEVICE, "", "longhu-care", "terminals", "county", "440507", SERVED)
LONGHU_DESK = Principal("longhu-desk", Kind.DESK, "p-21", "440507-desk", "officer", "county", "440507", SERVED)
EVERYONE = (PRODUCER, DESK, CITY_DESK, OTHER_DESK, SCREEN, ADMIN, COUNTY_ADMIN, SANDBOX_ONLY, TERMINALS, LONGHU_DESK)


class FixedKeys:
    """Fulfils ports.Keys: the key of a principal is `key-<its id>`."""

    def find(self, key: str) -> Principal | None:
        return next((who for who in EVERYONE if key == f"key-{who.id}"), None)
