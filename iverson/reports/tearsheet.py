# SPDX-License-Identifier: GPL-3.0-or-later
"""The tearsheet of a run, from its journal: quantstats' page of the account's daily returns."""

from __future__ import annotations

from pathlib import Path

from iverson.errors import ConfigError, DataError
from iverson.monitoring.journal import Journal
from iverson.reports.journaled import read
from iverson.research.charts_style import MARK
from iverson.research.tearsheet import quantstats_page


def write_tearsheet(journal: Journal, path: Path, *, run: str | None = None) -> Path:
    """Write the tearsheet of a run, the last by default; return its path.

    The returns are after costs and without deposits. A journal holds no bars, so there is no
    benchmark beside them; a walk-forward's own report has one.

    Raises
    ------
    ConfigError: the place cannot be written to.
    DataError: no such run, or, in words, why there is no tearsheet of it.
    """
    told = read(journal, run=run)
    title = f"{told.run.strategy}, run {told.name}"
    try:
        missing = quantstats_page(
            told.returns.rename("this system"),
            path,
            title=f"{MARK}: {title}" if told.made_up else title,
        )
    except OSError as error:
        raise ConfigError(
            f"the tearsheet cannot be written to {path}: {error.strerror or error}; "
            "choose a place that can be written to"
        ) from error
    if missing:
        raise DataError(f"run {told.name!r} has no tearsheet: {missing}")
    return path
