"""One JSON line per log entry on standard output, for our own code and for the libraries alike (Faust, aiokafka, uvicorn)."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

SEALED_FIELDS = frozenset({"name", "phone", "reporter", "address", "note", "id_number", "key", "authorization", "plaintext"})
"""Fields that hold persons, free text or keys: their values never reach a log."""

CHATTY = ("aiokafka", "kafka")
"""Clients that say the same every 100 ms while a broker is away."""


class Calm(logging.Filter):
    """Lets a message of a chatty library pass `burst` times in `seconds`, then holds it back; its next line says how often it was."""

    def __init__(self, burst: int = 3, seconds: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._burst, self._seconds, self._clock = burst, seconds, clock
        self._windows: dict[tuple[str, Any], tuple[float, int]] = {}  # begin and count, by logger and text before its arguments

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.split(".", 1)[0] not in CHATTY or record.exc_info:
            return True
        now, key = self._clock(), (record.name, record.msg)
        begin, count = self._windows.get(key, (now, 0))
        if now - begin < self._seconds:
            self._windows[key] = begin, count + 1
            return count < self._burst
        self._windows[key] = now, 1
        if count > self._burst:
            record.msg, record.args = f"{record.getMessage()} (said {count - self._burst} times more since)", None
        return True


def configure(process: str, level: int = logging.INFO) -> None:
    """Sets up logging of this process; every line carries `process`."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _mask,
        _named(process),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(Calm())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in (*CHATTY, "httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))


def _mask(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for field in SEALED_FIELDS & event.keys():
        event[field] = "***"
    return event


def _named(process: str) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = process
        return event

    return add
