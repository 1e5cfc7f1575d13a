"""Settings: what wins over what."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.realms import Realm
from services.settings import as_environment, load


def test_arguments_win_over_environment_over_file_over_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(tmp_path).partitions == 12
    (tmp_path / "liandong.toml").write_text('partitions = 7\nrealms = "live"\n', encoding="utf-8")
    assert load(tmp_path).partitions == 7
    monkeypatch.setenv("LIANDONG_PARTITIONS", "8")
    assert load(tmp_path).partitions == 8
    assert load(tmp_path, partitions=9).partitions == 9
    assert load(tmp_path, partitions=None).partitions == 8
    assert load(tmp_path).realm_list == (Realm.LIVE,)


def test_a_child_gets_the_same_settings_by_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(tmp_path, gateway_port=1234, realms="live,replay", bootstrap="127.0.0.1:9")
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load() == settings


def test_an_unknown_realm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        load(tmp_path, realms="live,mars")
    with pytest.raises(ValidationError):
        load(tmp_path, realms=" , ")


def test_the_data_directory_is_absolute() -> None:
    assert load(Path("somewhere")).data_dir.is_absolute()
