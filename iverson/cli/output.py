# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands hand out: CSV and JSON with exact numbers, files that are whole or not there.

Places are checked before a run begins, because a search of an hour must not end in "no such
folder".
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from iverson.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

PICTURES = (".png", ".svg", ".pdf")


def say_made_up(result: Any, *, aloud: bool) -> None:
    """Say on standard error what tables for machines leave out: that something was made up."""
    if aloud and result.passport.is_synthetic:
        typer.echo(f"iverson: {result.passport.made_up}", err=True)


def one_format(*, as_csv: bool, as_json: bool) -> None:
    """Refuse --csv together with --json."""
    if as_csv and as_json:
        raise ConfigError("--csv and --json are both given; choose one of them")


def check_journal(path: Path | None) -> None:
    """Refuse a journal that could not be appended to; nothing is made or changed."""
    if path is None:
        return
    _check_file(path, option="--journal")
    if path.exists() and path.stat().st_size:
        from iverson.monitoring.journal import Journal

        Journal(path, read_only=True).close()


def check_picture(path: Path | None) -> None:
    """Refuse a picture that could not be written."""
    if path is None:
        return
    if path.suffix.lower() not in PICTURES:
        raise ConfigError(f"--plot {path} is no picture; expected a name ending in .png")
    _check_file(path, option="--plot")


def check_html(path: Path | None) -> None:
    """Refuse a page that could not be written."""
    if path is not None:
        _check_file(path, option="--html")


def check_report(path: Path) -> None:
    """Refuse a place for a report that could not be written to; missing folders are made later."""
    folder = path.parent if path.suffix.lower() in (".html", ".htm") else path
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise ConfigError(f"--report {path}: {folder} is a file; expected a folder")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"--report {path}: {folder} cannot be written to; choose another folder")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file at once: what was there before stays until the new one is complete."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def csv_text(frame: pd.DataFrame, *, index: bool = False) -> str:
    """Return a table as CSV; numbers read back exactly."""
    return frame.to_csv(index=index, lineterminator="\n")


def json_text(frame: pd.DataFrame) -> str:
    """Return a table as a JSON array of objects; numbers read back exactly, NaN is null."""
    rows = frame.to_dict("records")
    return json.dumps([{str(k): plain(v) for k, v in row.items()} for row in rows], indent=1)


def plain(value: Any) -> Any:
    """Return what JSON knows: dates as text, NaN, NaT and infinities as None."""
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (str, bool)) or value is None:
        return value
    if hasattr(value, "isoformat"):
        text = str(value.isoformat())
        return None if value != value else text.removesuffix("T00:00:00")  # noqa: PLR0124 (NaT)
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, bool, int, float)) else None


def _check_file(path: Path, *, option: str) -> None:
    folder = path.absolute().parent
    if path.is_dir():
        raise ConfigError(f"{option} {path} is a folder; expected the name of a file")
    if not folder.is_dir():
        raise ConfigError(f"{option} {path}: there is no folder {folder}; make it first")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ConfigError(f"{option} {path} cannot be written to; choose another place")
