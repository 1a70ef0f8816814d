# SPDX-License-Identifier: GPL-3.0-or-later
"""Lint of the account and its universe: too short, too good, idle for long, all survivors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from iverson.market import sample
from iverson.monitoring.intervals import Floats
from iverson.monitoring.measured import MINIMUM_SESSIONS
from iverson.monitoring.metrics import cagr, returns_of, sharpe, years_between
from iverson.research.lint_finding import Finding
from iverson.research.report_parts import number, percent, plural

if TYPE_CHECKING:
    from iverson.research.lint_finding import Result

# The best long record known, the Medallion fund from 1988 to 2018: 39 % a year after fees and a
# Sharpe ratio a little above 2 from yearly returns before them.  Cornell (2020), "Medallion Fund:
# The Ultimate Counterexample?", Journal of Portfolio Management 46(4), 156-159,
# doi:10.3905/jpm.2020.1.128, with the figures of Zuckerman (2019), "The Man Who Solved the Market".
GROWTH = 0.50
GROWTH_YEARS = 3.0  # a shorter run of luck is not impossible
SHARPE = 3.0
# Half a year in which equity does not move: the record is shorter than it looks.
FLAT_SESSIONS = 126
MEMBERSHIPS = 1  # tables that say who belonged when


def too_few_sessions(result: Result) -> Iterator[Finding]:
    """A shorter record than any statement about returns needs."""
    count = len(result.equity)
    if count < MINIMUM_SESSIONS:
        words = f"{plural(count, 'session')} are too few; expected at least {MINIMUM_SESSIONS}."
        yield Finding("too few sessions", words, count, MINIMUM_SESSIONS, "count")


def impossible_growth(result: Result) -> Iterator[Finding]:
    """A growth over years that nobody has."""
    years, growth = length(result), growth_a_year(result)
    if years > GROWTH_YEARS and growth > GROWTH:
        words = (
            f"{percent(growth, 0)} a year for {number(years, 1)} years: more than "
            f"{percent(GROWTH, 0)} over {GROWTH_YEARS:g} years has been nobody's. Look for future "
            "data, free leverage or fills that could not have happened."
        )
        yield Finding("growth", words, growth, GROWTH, "fraction")


def impossible_sharpe(result: Result) -> Iterator[Finding]:
    """A Sharpe ratio that daily strategies do not have."""
    returns = returns_of(path(result))
    ratio = sharpe(returns)
    if returns.size >= MINIMUM_SESSIONS and ratio > SHARPE:
        words = (
            f"A Sharpe ratio of {number(ratio)} (above {SHARPE:g}) from daily returns is not "
            "earned by strategies like this. Look for future data, stale prices or missing costs."
        )
        yield Finding("sharpe", words, ratio, SHARPE)


def flat_equity(result: Result) -> Iterator[Finding]:
    """A long time in which equity did not move at all."""
    still = returns_of(path(result)) == 0.0
    ends = np.flatnonzero(np.diff(np.concatenate(([False], still, [False])).astype(np.int8)))
    lengths = ends[1::2] - ends[::2]
    if lengths.size == 0 or lengths.max() < FLAT_SESSIONS:
        return
    which = int(lengths.argmax())
    first, last = (result.equity.index[at] for at in (ends[2 * which], ends[2 * which + 1] - 1))
    words = (
        f"Equity did not move for {plural(int(lengths.max()), 'session')} ({first:%Y-%m-%d} to "
        f"{last:%Y-%m-%d}; {FLAT_SESSIONS} is half a year): the result rests on the others."
    )
    yield Finding("flat equity", words, float(lengths.max()), FLAT_SESSIONS, "count")


def survivorship(result: Result) -> Iterator[Finding]:
    """A universe that nobody says was known at the time.

    A table of membership answers it, as far as the symbols that it names have bars. Without one
    the universe is taken as chosen by who lived, however many symbols stopped trading.
    """
    universe = result.setup.universe
    if universe is not None and universe.membership is not None:
        yield from _absent(universe.symbols, result)
        return
    last = np.datetime64(result.equity.index[-1], "D")
    gone = sum(1 for one in result.bars.values() if one.session[-1] < last)
    words = (
        f"Survivorship-biased: {gone} of {plural(len(result.bars), 'symbol')} stopped trading "
        "before the end, and no membership says who belonged when. A universe chosen knowing who "
        "would survive looks better than it could have been."
    )
    if sample.SOURCE in result.passport.source:
        words += " The passport names the bundled sample, companies chosen because they lived."
    yield Finding("survivorship", words, 0, MEMBERSHIPS, "count")


def _absent(symbols: Sequence[str], result: Result) -> Iterator[Finding]:
    absent = sum(1 for symbol in symbols if symbol not in result.bars)
    if absent:
        words = (
            f"{absent:,} of {plural(len(symbols), 'symbol')} of the universe have no bars here: "
            "what they would have done is unknown, and those that failed are the likeliest to "
            "be absent."
        )
        yield Finding("absent symbols", words, absent, 0, "count")


def path(result: Result) -> Floats:
    """Return equity by session with the starting dollars in front."""
    return np.concatenate(([result.start], result.equity.to_numpy(dtype=np.float64)))


def length(result: Result) -> float:
    """Return calendar years from the day before the first session to the last."""
    index = result.equity.index
    return years_between(index[0].date() - timedelta(days=1), index[-1].date())


def growth_a_year(result: Result) -> float:
    """Return the compound annual growth rate, as in the metrics, without their intervals."""
    return cagr(path(result), length(result))
