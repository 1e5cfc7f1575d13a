"""The hash of a record's fields, which the engine computes alike: `services/warehouse/sums.py` mirrors it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, get_args, get_origin, get_type_hints

Text = Callable[[Any], str]
BETWEEN_COLUMNS = 0x1F  # each array and record within takes the next one: U+001E, U+001D, …


class Digest:
    """Hash of some fields of a record: first eight bytes of MD5 over their texts, by name, joined with U+001F; the engine does the same.

    An array's text is its items' joined with U+001E, a record's in it its fields' by name joined with U+001D, and so on inwards.
    """

    def __init__(self, struct: Any, columns: Sequence[str]) -> None:
        self.columns = tuple(sorted(columns))
        self._get = attrgetter(*self.columns, self.columns[0])  # one more, so that it is a tuple also of one column
        kinds = get_type_hints(struct)
        self._text = "\x1f".join("%d" if kinds[name] in (int, bool) else "%s" for name in self.columns)
        self._composed = [(at, text_of(kinds[name])) for at, name in enumerate(self.columns) if kinds[name] not in (int, bool, str)]

    def __call__(self, record: Any) -> int:
        values = self._get(record)[:-1]
        if self._composed:
            changed = list(values)
            for at, text in self._composed:
                changed[at] = text(values[at])
            values = tuple(changed)
        return int.from_bytes(hashlib.md5((self._text % values).encode(), usedforsecurity=False).digest()[:8], "little")


def text_of(kind: Any, above: int = BETWEEN_COLUMNS) -> Text:
    """How a value of this type is written. `above`: the character that joins it to its neighbours."""
    if kind is str:
        return str
    if kind in (int, bool):
        return "{:d}".format
    if get_origin(kind) is tuple:
        item, joint = text_of(get_args(kind)[0], above - 1), chr(above - 1)
        return lambda items: joint.join(map(item, items))
    names = sorted(kind.__struct_fields__)
    kinds, get, between = get_type_hints(kind), attrgetter(*names), chr(above - 1)
    texts = [text_of(kinds[name], above - 1) for name in names]
    return lambda record: between.join(text(value) for text, value in zip(texts, get(record), strict=True))
