"""The Kafka broker's jars: resolved by package coordinates through jgo, checked against a committed lock.

The lock (`deploy/kafka/jars.lock`) holds coordinate, size in bytes and SHA-256 of every jar and no addresses: where jars come from is jgo's
setting ([repositories] of its own configuration file; Maven Central else). They are kept in `<cache>/kafka/repository`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KAFKA_FILES = ROOT / "deploy" / "kafka" if (ROOT / "deploy" / "kafka").is_dir() else Path(__file__).parent / "kafka"
LOCK = KAFKA_FILES / "jars.lock"
WANTED = ("org.apache.kafka:kafka_2.13:4.3.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4")

Report = Callable[[int, int], None]
"""Called with (jars there, jars in all)."""


class JarError(Exception):
    """Jars can't be had, or aren't the locked ones; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Jar:
    coordinate: str  # group:artifact:version
    size: int  # bytes
    sha256: str


def cache_dir() -> Path:
    """Where downloads are kept: $LIANDONG_CACHE, else `.cache` of the project."""
    setting = os.environ.get("LIANDONG_CACHE")
    return Path(setting).resolve() if setting else ROOT / ".cache"


def read_lock(lock: Path = LOCK) -> list[Jar]:
    """The locked jars, in the order of the class path."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return [Jar(coordinate, int(size), sha256) for coordinate, size, sha256 in rows]


def ensure_jars(cache: Path | None = None, lock: Path = LOCK, report: Report | None = None) -> list[Path]:
    """Paths of all locked jars, fetched where missing and checked. Raises JarError."""
    repository = (cache or cache_dir()) / "kafka" / "repository"
    jars = read_lock(lock)
    paths = [_path(repository, jar) for jar in jars]
    missing = [(jar, path) for jar, path in zip(jars, paths, strict=True) if not _checked(jar, path)]
    if missing:
        _fetch(repository, missing, len(jars), report)
    return paths


def _path(repository: Path, jar: Jar) -> Path:
    group, artifact, version = jar.coordinate.split(":")
    return repository.joinpath(*group.split("."), artifact, version, f"{artifact}-{version}.jar")


def _checked(jar: Jar, path: Path) -> bool:
    """Whether `path` is the locked jar. Hashed once; a note beside it with its size and mtime saves the next hashing."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return False
    note = path.with_suffix(".checked")
    seal = f"{jar.sha256} {stat.st_size} {stat.st_mtime_ns}"
    if note.exists() and note.read_text(encoding="ascii") == seal:
        return True
    if stat.st_size != jar.size or hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
        path.unlink()
        note.unlink(missing_ok=True)
        return False
    note.write_text(seal, encoding="ascii")
    return True


def _fetch(repository: Path, missing: list[tuple[Jar, Path]], total: int, report: Report | None) -> None:
    import requests

    there = total - len(missing)
    with _one_at_a_time(repository), ThreadPoolExecutor(4) as pool:
        missing = [(jar, path) for jar, path in missing if not _checked(jar, path)]
        context = _context(repository)
        try:
            for jar, path, got in pool.map(lambda item: (*item, _resolve(context, item[0])), missing):
                if got != path or not _checked(jar, path):
                    raise JarError(f"{jar.coordinate} is not the locked jar (size or SHA-256 differ). Check the repository jgo is set to.")
                there += 1
                if report:
                    report(there, total)
        except (requests.RequestException, RuntimeError) as error:
            raise JarError(
                f"can't fetch Kafka's jars: {error}. Needs a Maven repository: a network, or [repositories] in jgo's configuration file."
            ) from error


def _resolve(context: Any, jar: Jar) -> Path:
    group, artifact, version = jar.coordinate.split(":")
    found: Path = context.project(group, artifact).at_version(version).artifact().resolve()
    return found


def _context(repository: Path) -> Any:
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    return MavenContext(repo_cache=repository, remote_repos=GlobalSettings.load().repositories or None, timeout=60)


@contextmanager
def _one_at_a_time(repository: Path) -> Iterator[None]:
    """Two set-ups at once must not write the same files."""
    import fcntl

    repository.mkdir(parents=True, exist_ok=True)
    with (repository / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_lock(cache: Path, lock: Path = LOCK) -> int:
    """Resolves WANTED with all it depends on and writes the lock; answers the number of jars (a release step: `make lock`)."""
    repository = cache / "kafka" / "repository"
    context = _context(repository)
    inputs, others = context.resolver.resolve([context.create_dependency(f"{wanted}!") for wanted in WANTED])
    artifacts = {f"{a.groupId}:{a.artifactId}:{a.version}": a for a in (d.artifact for d in inputs)}
    artifacts |= {f"{d.groupId}:{d.artifactId}:{d.version}": d.artifact for d in others if d.scope in ("compile", "runtime")}
    lines = ["# Jars of the broker: group:artifact:version, size in bytes, SHA-256. Written by `make lock`."]
    for coordinate, artifact in sorted(artifacts.items()):
        data = artifact.resolve().read_bytes()
        lines.append(f"{coordinate} {len(data)} {hashlib.sha256(data).hexdigest()}")
    lock.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(artifacts)


def main() -> None:
    """`python -m services.embedded.jars`: fetches what is missing; `... lock`: resolves anew and writes the lock."""
    if sys.argv[1:] == ["lock"]:
        print(f"{write_lock(cache_dir())} jars locked in {LOCK.relative_to(ROOT)}")
        return

    def report(there: int, total: int) -> None:
        if there % 10 == 0 or there == total:
            print(f"    {there} of {total} jars", flush=True)

    try:
        ensure_jars(report=report)
    except JarError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
