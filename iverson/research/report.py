# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML report of a walk-forward: one page that carries everything it shows, and a tearsheet.

The same result gives the same page, byte for byte; nothing is loaded from anywhere. The tearsheet
is quantstats' own page, beside it, for who is used to reading one.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from iverson.errors import ConfigError
from iverson.research.charts_style import mark_of, marked
from iverson.research.pages import template
from iverson.research.report_facts import Facts
from iverson.research.report_parts import plural, tile
from iverson.research.report_sections import metrics_table, sections
from iverson.research.report_words import caveats, membership, verdict
from iverson.research.results import HEADLINE, titled, universe_notes
from iverson.research.tearsheet import publish, quantstats_page
from iverson.research.walk_result import WalkForward

PAGES = (".html", ".htm")


def write_report(result: WalkForward, path: Path) -> Path:
    """Write the report and, beside it, the tearsheet; return the page's path.

    `path` is a folder (the page is `index.html` in it, the tearsheet `tearsheet.html`) or a file
    name ending in `.html` (the tearsheet is then `NAME-tearsheet.html`). What was there before is
    replaced, each file at once. Without quantstats there is no tearsheet, and the page says so.

    Raises
    ------
    ConfigError: the place cannot be written to.
    """
    page = _page(path)
    facts = Facts(result)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        sheet = "tearsheet.html" if page.stem == "index" else f"{page.stem}-tearsheet.html"
        missing = write_tearsheet(facts, page.with_name(sheet))
        text = render(facts, tearsheet=None if missing else sheet, missing=missing)
        _replace(page, text)
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written to {page}: {error.strerror or error}; "
            "choose a folder that can be written to"
        ) from error
    return page


def render(facts: Facts, *, tearsheet: str | None = None, missing: str = "") -> str:
    """Return the page. `tearsheet` is the file to link to; `missing` says why there is none."""
    result = facts.result
    folds = result.results
    with marked(mark_of(result)):
        chapters = sections(facts)
    said = universe_notes(result.setup, result.bars)  # by `membership`, in more words
    return template("walk_forward.html.j2").render(
        name=result.setup.strategy.__name__,
        made_up=result.passport.made_up,
        symbols=list(result.bars),
        first=folds[0].fold.out_of_sample.first,
        last=folds[-1].fold.out_of_sample.last,
        counts=", ".join([
            plural(len(folds), "fold"),
            plural(len(result.trades), "trade"),
            f"{plural(len(result.denied), 'signal')} denied",
            f"{plural(result.trials_a_fold, 'parameter set')} tried in each fold",
        ]),
        verdict=verdict(result),
        caveats=[
            *caveats(result, facts.held_metrics),
            membership(result),
            *(note for note in result.notes if note not in said),
        ],
        tiles=[tile(result.metrics[name]) for name in HEADLINE],
        metrics=metrics_table(result.metrics),
        sections=chapters,
        tearsheet=quote(tearsheet) if tearsheet else None,
        missing=missing,
    )  # fmt: skip


def write_tearsheet(facts: Facts, target: Path) -> str:
    """Write the tearsheet beside buy-and-hold; return "" or, in words, why there is none."""
    start = facts.result.start
    returns = _returns(facts.result.equity, start, "this system")
    benchmark = _returns(facts.held.reindex(returns.index).ffill(), start, "buy and hold")
    return quantstats_page(returns, target, title=titled(facts.result), benchmark=benchmark)


def _returns(equity: pd.Series, start: float, name: str) -> pd.Series:
    before = equity.shift(1)
    before.iloc[0] = start
    return (equity / before - 1.0).rename(name)


def _page(path: Path) -> Path:
    path = Path(path)
    if path.suffix.lower() in PAGES and not path.is_dir():
        return path
    return path / "index.html"


def _replace(target: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=".html")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        publish(name, target)
    finally:
        Path(name).unlink(missing_ok=True)
