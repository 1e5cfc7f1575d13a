"""Where policies stand: released versions in `schemas/policies`, frozen by hashes in `policies.lock`, and drafts in a folder or file.

A version is a set of documents that a manifest names. `python -m schemas.policy.store --write` locks what is new; a test compares.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from schemas.errors import UnknownPolicy
from schemas.policy.documents import Document, Draft, Manifest
from schemas.policy.reading import Fault, read_document, read_table

ROOT = Path(__file__).parents[1] / "policies"
LOCK = "policies.lock"
DRAFT = "draft.toml"


@dataclass(frozen=True, slots=True)
class Placed:
    """A document and the file it was read from."""

    file: str  # as faults name it
    document: Document
    sha256: str


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents that hold together."""

    version: str  # "draft of 2026.1" for a draft
    title_zh: str
    in_force_from: date
    placed: tuple[Placed, ...]  # by id

    @property
    def digest(self) -> str:
        """SHA-256 over those of its documents."""
        return hashlib.sha256(" ".join(placed.sha256 for placed in self.placed).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Locked:
    """A line of the lock."""

    file: str  # below ROOT
    sha256: str
    used: bool = True  # False: this release reads the version; the next one gives it to new cases

    @property
    def version(self) -> str:
        """ "" for a document."""
        folder, _, name = self.file.partition("/")
        return name.removesuffix(".toml") if folder == "versions" else ""


class AlteredPolicy(Exception):
    """A released file differs from the lock, or is missing: this installation must not decide anything."""


def locked(root: Path = ROOT) -> tuple[Locked, ...]:
    """In order of release."""
    found = []
    for line in (root / LOCK).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            sha256, file, *only_read = line.split()
            found.append(Locked(file, sha256, only_read != ["read"]))
    return tuple(found)


def versions() -> tuple[str, ...]:
    """Released versions, oldest first."""
    return tuple(line.version for line in locked() if line.version)


def fingerprint(version: str) -> str:
    """SHA-256 over those of a version's documents: releases that agree on it agree on every rule. UnknownPolicy if there is no such
    version."""
    return released(version).digest


@cache
def released(version: str) -> Collection:
    """UnknownPolicy if there is no such version, AlteredPolicy if its files are not those that were released."""
    hashes = {line.file: line.sha256 for line in locked()}
    if f"versions/{version}.toml" not in hashes:
        raise UnknownPolicy(f"no policies of version {version!r}; there are {', '.join(versions())}")
    text = _verified(f"versions/{version}.toml", hashes)
    manifest, faults = read_table(text, Manifest, f"versions/{version}.toml")
    if manifest is None:
        raise AlteredPolicy(str(faults[0]))
    placed = []
    for name, number in sorted(manifest.documents.items()):
        file = file_of(name, number)
        document, faults = read_document(_verified(file, hashes), file)
        if document is None:
            raise AlteredPolicy(str(faults[0]))
        placed.append(Placed(file, document, hashes[file]))
    return Collection(version, manifest.title_zh, manifest.in_force_from, tuple(placed))


def file_of(name: str, version: int) -> str:
    """Below ROOT."""
    return f"{name}/v{version}.toml"


def _verified(file: str, hashes: dict[str, str]) -> str:
    path = ROOT / file
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != hashes.get(file):
        raise AlteredPolicy(f"schemas/policies/{file} is not the one in {LOCK}")
    return content.decode()


def draft(path: Path, latest: str) -> tuple[Collection, list[Fault]]:
    """A folder of documents, or one document, over the version it is based on: a document replaces the one of its id. Documents with
    faults are left out. ValueError when there is nothing to read."""
    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    if not path.exists() or not files:
        raise ValueError(f"there is no document (*.toml) at {path}")
    faults: list[Fault] = []
    head = Draft()
    fresh: dict[str, Placed] = {}
    for file in files:
        content = file.read_bytes()
        try:
            text = content.decode()
        except UnicodeDecodeError:
            faults.append(Fault(file.name, "", "is not text in UTF-8", "UTF-8"))
            continue
        if file.name == DRAFT and path.is_dir():
            read, wrong = read_table(text, Draft, DRAFT)
            faults += wrong
            head = read or head
            continue
        document, wrong = read_document(text, file.name)
        faults += wrong
        if document and document.id in fresh:
            faults.append(Fault(file.name, "/id", f"{document.id} stands in {fresh[document.id].file} too", "one file for each document"))
        elif document:
            fresh[document.id] = Placed(file.name, document, hashlib.sha256(content).hexdigest())
    if head.based_on is not None and head.based_on not in versions():
        faults.append(Fault(DRAFT, "/based_on", f"there is no version {head.based_on!r}", ", ".join(versions())))
        head = Draft(in_force_from=head.in_force_from, without=head.without)
    base = released(head.based_on or latest)
    faults += _against(base, head, fresh)
    kept = [placed for placed in base.placed if placed.document.id not in {*fresh, *head.without}]
    together = sorted((*kept, *fresh.values()), key=lambda placed: placed.document.id)
    return Collection(f"draft of {base.version}", base.title_zh, head.in_force_from or base.in_force_from, tuple(together)), faults


def _against(base: Collection, head: Draft, fresh: dict[str, Placed]) -> list[Fault]:
    """What does not go with the released files."""
    faults = []
    for index, name in enumerate(head.without):
        if name not in {placed.document.id for placed in base.placed}:
            faults.append(Fault(DRAFT, f"/without/{index}", f"{base.version} has no document {name!r}", _ids(base)))
    taken = {line.file: line.sha256 for line in locked()}
    for placed in fresh.values():
        document = placed.document
        numbers = [int(file.rpartition("/v")[2][:-5]) for file in taken if file.startswith(f"{document.id}/")]
        if taken.get(file_of(document.id, document.version), placed.sha256) != placed.sha256:
            wrong = f"version {document.version} was released with other content and never changes"
            faults.append(Fault(placed.file, "/version", wrong, str(max(numbers) + 1)))
        elif document.version > max(numbers, default=0) + 1:
            faults.append(Fault(placed.file, "/version", f"{document.version} leaves a gap", str(max(numbers, default=0) + 1)))
    return faults


def _ids(collection: Collection) -> str:
    return ", ".join(placed.document.id for placed in collection.placed)


def lock_text(root: Path = ROOT) -> str:
    """The lock with a line more for each file that is new. AlteredPolicy if a locked file was changed or removed."""
    lines = (root / LOCK).read_text(encoding="utf-8").rstrip("\n").splitlines()
    there = {line.file: line.sha256 for line in locked(root)}
    files = {file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in root.glob("*/*.toml")}
    for file, sha256 in there.items():
        if files.get(file) != sha256:
            raise AlteredPolicy(f"{file} was released and never changes: restore it, and write a new version beside it")
    fresh = sorted(set(files) - set(there), key=lambda file: (file.startswith("versions/"), file))
    return "\n".join([*lines, *(f"{files[file]}  {file}" for file in fresh)]) + "\n"


def main() -> None:
    text = lock_text()
    if sys.argv[1:] == ["--write"]:
        (ROOT / LOCK).write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
