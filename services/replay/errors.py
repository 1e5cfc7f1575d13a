"""What can be wrong with a mapping file, and with one row of a department's file."""

from __future__ import annotations


class MappingError(Exception):
    """The mapping file itself is wrong. `key` is the dotted TOML key."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(f"{key}: {detail}")
        self.key = key


class RowRefused(Exception):
    """One row cannot be mapped. `reason` is a short code that the summary counts by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
