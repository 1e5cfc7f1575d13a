"""Which Java is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.embedded.java import JavaError, find_java, java_version


def fake_java(directory: Path, version: str) -> Path:
    """A home whose bin/java says it is `version`, as real ones do: on standard error."""
    java = directory / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize(("said", "major"), [("1.8.0_402", 8), ("17.0.15", 17), ("21", 21), ("25-ea", 25)])
def test_versions_old_and_new_are_read(tmp_path: Path, said: str, major: int) -> None:
    assert java_version(str(fake_java(tmp_path / "j", said))) == major


def test_something_that_is_no_java_has_version_0(tmp_path: Path) -> None:
    assert java_version("/bin/true") == 0
    assert java_version(str(tmp_path / "missing")) == 0


def test_the_order_is_setting_java_home_path_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, home, path = (fake_java(tmp_path / name, version) for name, version in (("n", "19.0"), ("h", "20.0"), ("p", "21.0")))
    monkeypatch.setenv("JAVA_HOME", str(home.parents[1]))
    monkeypatch.setenv("PATH", f"{path.parent}:/bin:/usr/bin")
    assert find_java(str(named)).origin == "--java"
    assert find_java(str(named.parents[1])).version == 19
    assert (find_java().origin, find_java().version) == ("JAVA_HOME", 20)
    monkeypatch.delenv("JAVA_HOME")
    assert (find_java().origin, find_java().version) == ("PATH", 21)


def test_a_java_that_is_too_old_is_passed_over_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = fake_java(tmp_path / "old", "11.0.2"), fake_java(tmp_path / "new", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(old.parents[1]))
    monkeypatch.setenv("PATH", f"{new.parent}:/bin:/usr/bin")
    assert find_java().version == 17
    with pytest.raises(JavaError, match="needs Java 17"):
        find_java(str(old))
