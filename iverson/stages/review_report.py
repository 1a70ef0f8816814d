# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML page of a review: the causes, both accounts, every decision that differs.

The same review gives the same page, byte for byte; nothing is loaded from anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from iverson.research.charts_style import (
    BLUE,
    DOLLARS,
    GREY,
    INK,
    MARK,
    data_uri,
    date_axis,
    days,
    empty_figure,
    make_figure,
    marked,
    styled,
)
from iverson.research.pages import template
from iverson.research.report_parts import Picture, Section, Table, money, plural
from iverson.stages.parity import CENT
from iverson.stages.review import Review

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = {
    "feed": "the vendor has another bar now than the run saw, and it decided",
    "signal": "one of the two had a signal, or another one",
    "risk": "the rules or the size answered differently",
    "missed fill": "the run entered fewer shares than the backtest",
    "extra fill": "the run entered more shares than the backtest",
    "delay": "filled in another session",
    "fill price": "filled at another price, or left for another reason",
    "fees": "other fees",
}


def render(review: Review) -> str:
    """Return the page."""
    return template("review.html.j2").render(
        name=review.system,
        run=review.run,
        stage=review.stage.value,
        symbols=review.symbols,
        first=review.first,
        last=review.last,
        verdict=_verdict(review),
        caveats=[*review.notes, *_unexplained(review)],
        sections=[_causes(review), _accounts(review), _decisions(review)],
    )


def equity_chart(review: Review) -> Figure:
    """Draw the run's account and the backtest's, and below them the dollars between the two."""
    equity = review.parity.equity
    if len(equity) < 2:
        return empty_figure("fewer than two sessions to draw")
    x = days(pd.DatetimeIndex(list(equity)))
    run, backtest = (pd.Series(column) for column in zip(*equity.values(), strict=True))
    with styled(), marked(MARK if review.made_up else ""):
        figure = make_figure(4.8)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        above.plot(x, backtest, color=GREY, linestyle="--", label="backtest of the seen bars")
        above.plot(x, run, color=BLUE, label=review.stage.value)
        above.set_title(f"{review.system}: equity")
        above.legend(loc="best")
        below.axhline(0.0, color=INK, linewidth=0.8)
        below.fill_between(x, run - backtest, 0.0, color=BLUE, alpha=0.35)
        below.set_title("run minus backtest")
        for axes in (above, below):
            axes.yaxis.set_major_formatter(DOLLARS)
        date_axis(below)
    return figure


def _verdict(review: Review) -> str:
    parity = review.parity
    words = f"{parity.same} of {plural(parity.decisions, 'decision')} are the same"
    if not parity.equity:
        return f"{words}."
    run, backtest = list(parity.equity.values())[-1]
    side = "above" if run >= backtest else "below"
    return f"{words}; the account ended {money(abs(run - backtest))} {side} its backtest."


def _unexplained(review: Review) -> list[str]:
    left = review.parity.unexplained
    if abs(left) <= CENT:
        return ["The causes add up to the whole difference."]
    return [f"{money(left)} are explained by no decision: cash flows, or fills yet to be booked."]


def _causes(review: Review) -> Section:
    found = review.parity.by_cause()
    rows = tuple(
        (cause, WORDS[cause], str(count), money(dollars))
        for cause, (count, dollars) in found.items()
    )
    table = Table(("Cause", "What it means", "Decisions", "Run minus backtest"), rows, left=2)
    words = () if rows else ("There is no difference.",)
    return Section("causes", "Why they differ", words, (table,) if rows else ())


def _accounts(review: Review) -> Section:
    words = "Equity of the run and of its backtest by session; below, the dollars between them."
    picture = Picture(data_uri(equity_chart(review)), words)
    return Section("accounts", "Both accounts", (words,), (picture,))


def _decisions(review: Review) -> Section:
    rows = tuple(
        (one.symbol, f"{one.at:%Y-%m-%d %H:%M}", one.cause, one.words, money(one.dollars))
        for one in review.parity.differences
    )
    table = Table(("Symbol", "Decided, UTC", "Cause", "What", "Dollars"), rows, left=4, wrap=True)
    words = () if rows else ("Every decision is the same, fills and fees included.",)
    return Section("decisions", "Decisions that differ", words, (table,) if rows else ())
