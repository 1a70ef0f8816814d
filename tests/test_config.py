# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: who wins, what is refused, whose names are left alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from iverson.config import Settings, settings
from iverson.errors import ConfigError, UnknownParameter


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_need_no_file() -> None:
    found = settings()

    assert found.store == Path("data/cache")
    assert found.reports == Path("reports")
    assert found.journal == Path("iverson.db")
    assert found.jobs == -1


def test_environment_wins_over_dotenv_over_toml(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "iverson.toml").write_text("jobs = 1\nstore = 'toml'\nreports = 'toml'\n")
    (folder / ".env").write_text("IVERSON_JOBS=2\nIVERSON_STORE=dotenv\n")
    monkeypatch.setenv("IVERSON_JOBS", "3")

    found = settings()

    assert (found.jobs, found.store, found.reports) == (3, Path("dotenv"), Path("toml"))


def test_names_of_other_programs_in_dotenv_are_left_alone(folder: Path) -> None:
    (folder / ".env").write_text("APCA_API_KEY_ID=abc\nFOO=1\nIVERSON_JOBS=2\n")

    assert settings().jobs == 2


def test_keys_are_masked_and_known_by_alpacas_names_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("APCA_API_KEY_ID=dotenv\nAPCA_API_SECRET_KEY=hidden\n")
    found = settings()
    monkeypatch.setenv("APCA_API_KEY_ID", "environment")
    theirs = settings()
    monkeypatch.setenv("IVERSON_ALPACA_KEY", "ours")
    ours = settings()

    keys = [one.alpaca_key for one in (found, theirs, ours)]
    assert [key and key.get_secret_value() for key in keys] == ["dotenv", "environment", "ours"]
    assert found.alpaca_secret is not None
    assert found.alpaca_secret.get_secret_value() == "hidden"
    assert not {"dotenv", "hidden", "environment", "ours"} & set(
        re.findall(r"\w+", f"{found!r} {theirs!r} {ours!r}")
    )


def test_a_secret_of_the_wrong_kind_is_not_shown(folder: Path) -> None:
    (folder / "iverson.toml").write_text("alpaca_secret = 123456\n")

    with pytest.raises(ConfigError, match="'alpaca_secret' is") as caught:
        settings()

    assert "123456" not in str(caught.value)


def test_misspelt_names_are_refused_wherever_they_stand(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownParameter, match="did you mean 'IVERSON_JOBS'"):
        settings({"IVERSON_JBOS": "1"})
    (folder / "iverson.toml").write_text("jbos = 1\n")
    with pytest.raises(UnknownParameter, match="did you mean 'jobs'"):
        settings()
    (folder / "iverson.toml").unlink()
    (folder / ".env").write_text("IVERSON_JBOS=1\n")
    with pytest.raises(UnknownParameter, match="did you mean 'jobs'"):
        settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [("jobs = 'all'", "'jobs' is 'all'"), ("jobs = [", "is no TOML"), ("jobs = -5", "-1")],
)
def test_wrong_values_are_one_sentence(folder: Path, text: str, words: str) -> None:
    (folder / "iverson.toml").write_text(text)

    with pytest.raises(ConfigError, match=words):
        settings()


def test_file_that_is_not_text_is_one_sentence(folder: Path) -> None:
    (folder / "iverson.toml").write_bytes(b"jobs = 1 # \xff\xfe")

    with pytest.raises(ConfigError, match="UTF-8"):
        settings()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().jobs = 3
