"""What the gateway process holds of people: the vault, the register that follows topic `people`, the keeper that writes it, sessions."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import structlog

from services.adapters.keyfile import KeyFile, KeyFileError
from services.clock import now_ms
from services.gateway.sessions import Sessions
from services.people.directory import PeopleDirectory
from services.people.keeper import Keeper, PeopleAway
from services.people.passwords import Passwords
from services.people.register import Register
from services.people.topic import PeopleTopic
from services.ports import Producer
from services.settings import Settings

log = structlog.get_logger(__name__)
TIDY_SECONDS = 3600.0


class People:
    """Built with the process; `start` begins to follow, `close` ends it."""

    def __init__(self, settings: Settings, producer: Producer) -> None:
        """Raises KeyFileError: another gateway holds the vault."""
        self._vault = KeyFile(settings.people_keys_file)
        self.register = Register()
        self._topic = PeopleTopic(settings.bootstrap, self.register, "liandong-gateway-people")
        passwords = Passwords(settings.passwords_file)
        self._keeper = Keeper(producer, self._vault, self.register, self._topic, passwords, now_ms)
        self.sessions = Sessions(
            PeopleDirectory(self.register, self._vault), self._keeper, passwords, self._vault.fingerprint, now_ms, settings.realm_list,
            hours=settings.session_hours, idle_minutes=settings.session_idle_minutes,
        )  # fmt: skip
        self._tasks: list[asyncio.Task[None]] = []

    def facts(self) -> dict[str, Any]:
        """For the health page. People that are not known yet make nothing unhealthy: keys work without them."""
        return {"people_known": self.register.ready, "users": len(self.register.users)}

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._topic.run()), asyncio.create_task(self._tidy())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._vault.close()

    async def _tidy(self) -> None:
        """What is known of logged-out sessions goes when they would have expired anyway."""
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            with suppress(PeopleAway, KeyFileError):
                log.info("sessions_forgotten", count=await self._keeper.forget_sessions())
