"""The catalogue of types in schemas/README.md, made from ids.lock, the .avsc files, the table of topics and the gate's rules.

`python -m schemas.catalogue` prints it, `python -m schemas.catalogue --write` puts it into the README; a test compares both.
"""

from __future__ import annotations

import json
import sys

from schemas import compat, registry
from schemas.topics import TOPICS

README = registry.ROOT / "README.md"
BEGIN, END = "<!-- catalogue: made by python -m schemas.catalogue --write -->", "<!-- end of catalogue -->"


def catalogue() -> str:
    """A Markdown table, one row for each released version in the order of ids."""
    titles = ("id", "type", "version", "folder", "topics", "fields", "compatibility", "what it is")
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    for version in registry.versions():
        schema = json.loads(version.text)
        topics = ", ".join(f"`{t.name}.<department>`" if t.per_department else f"`{t.name}`" for t in TOPICS if version.name in t.types)
        folder = registry.folder(version.name).relative_to(registry.ROOT).as_posix()
        cells = (
            version.id, f"`{version.name}`", version.version, f"[{folder}]({folder})", topics or "(in tables)", len(schema["fields"]),
            compat.mode_of(version.name).value, schema["doc"],
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def within(text: str) -> str:
    """What stands between the marks in a README's text."""
    return text.split(BEGIN)[1].split(END, maxsplit=1)[0].strip()


def main() -> None:
    if sys.argv[1:] != ["--write"]:
        print(catalogue())
        return
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    README.write_text(f"{head}{BEGIN}\n{catalogue()}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
