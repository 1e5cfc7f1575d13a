"""From bytes to bodies, pure: every error of a wrong body is found and pointed at (RFC 6901)."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, TypeVar

import msgspec

from schemas.errors import InvalidPayload, Reason
from services.gateway import bodies

B = TypeVar("B")


class Invalid(Exception):
    """A body we refuse; every error that was found, each with its pointer."""

    def __init__(self, *errors: InvalidPayload) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = errors


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def decode(data: bytes, shape: type[B]) -> B:
    """The body, or Invalid."""
    body: B = _decode(data, shape)
    return body


def decode_line(data: bytes) -> bodies.IncidentLine | bodies.FactLine | bodies.CommandLine:
    """One line of a batch, or Invalid."""
    line: bodies.IncidentLine | bodies.FactLine | bodies.CommandLine = _decode(data, bodies.Line)
    return line


def _decode(data: bytes, shape: Any) -> Any:
    try:
        try:
            return _decoder(shape).decode(data)
        except msgspec.ValidationError as error:
            raise Invalid(*_all_errors(msgspec.json.decode(data), shape, error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(InvalidPayload(Reason.BAD_VALUE, f"not JSON: {error}")) from None
    except UnicodeDecodeError:
        raise Invalid(InvalidPayload(Reason.BAD_VALUE, "not UTF-8 (GB18030 must be converted first)")) from None


_PATH = re.compile(r" - at `\$?(.*)`$")
_FIELD = re.compile(r"field `(.*?)`")


def pointer_of(message: str) -> tuple[str, str]:
    """msgspec's message to (what is wrong, JSON Pointer of the place)."""
    found = _PATH.search(message)
    path = found.group(1) if found else ""
    text = message[: found.start()] if found else message
    parts = re.findall(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]", path)
    pointer = "".join("/" + _escape(name or index) for name, index in parts)
    field = _FIELD.search(text)
    return text, pointer + "/" + _escape(field.group(1)) if field else pointer


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _all_errors(value: Any, shape: Any, first: msgspec.ValidationError) -> list[InvalidPayload]:
    """msgspec stops at the first error; the sender is told all of them, field by field."""
    struct = _struct_of(value, shape)
    errors: list[InvalidPayload] = []
    if struct is not None:
        known = {f.encode_name: f for f in msgspec.structs.fields(struct)}
        tag = struct.__struct_config__.tag_field
        for name in value:
            if struct.__struct_config__.forbid_unknown_fields and name not in known and name != tag:
                errors.append(InvalidPayload(Reason.BAD_VALUE, f"unknown field {name!r}", "/" + _escape(name)))
        for name, field in known.items():
            if name not in value:
                if field.required:
                    errors.append(InvalidPayload(Reason.BAD_VALUE, "required", "/" + name))
                continue
            if field.type == msgspec.Raw | msgspec.UnsetType:
                continue
            try:
                msgspec.convert(value[name], field.type)
            except msgspec.ValidationError as error:
                text, pointer = pointer_of(str(error))
                errors.append(InvalidPayload(Reason.BAD_VALUE, text, f"/{name}{pointer}"))
    if not errors:
        text, pointer = pointer_of(str(first))
        errors.append(InvalidPayload(Reason.BAD_VALUE, text, pointer))
    return errors


def _struct_of(value: Any, shape: Any) -> type[msgspec.Struct] | None:
    if not isinstance(value, dict):
        return None
    if isinstance(shape, type):
        return shape
    lines: tuple[type[msgspec.Struct], ...] = (bodies.IncidentLine, bodies.FactLine, bodies.CommandLine)
    return next((line for line in lines if line.__struct_config__.tag == value.get("kind")), None)
