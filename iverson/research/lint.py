# SPDX-License-Identifier: GPL-3.0-or-later
"""The lint of a result: what a sceptic would say about it first, in plain words.

A finding is no proof that a result is wrong, and an empty list none that it is right. Each rule
looks at one way in which results are known to fool people; its threshold is a constant beside it,
with the reason for it. The rules stand in `lint_trades`, `lint_account` and `lint_search`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from iverson.research import lint_account, lint_search, lint_trades
from iverson.research.lint_finding import Finding, Rule
from iverson.research.walk_result import WalkForward

if TYPE_CHECKING:
    from iverson.research.lint_finding import Result

# In the order in which they are said: what settles the matter first, what is always true last.
RULES: tuple[Rule, ...] = (
    lint_trades.too_few_trades,
    lint_account.too_few_sessions,
    lint_account.impossible_growth,
    lint_account.impossible_sharpe,
    lint_trades.implausible_win_rate,
    lint_trades.one_trade,
    lint_trades.one_symbol,
    lint_trades.one_year,
    lint_trades.costs_unbearable,
    lint_trades.no_costs,
    lint_trades.ambiguous_bars,
    lint_trades.same_bar_trades,
    lint_account.flat_equity,
)
SEARCH_RULES: tuple[Callable[[WalkForward], Iterator[Finding]], ...] = (
    lint_search.in_sample_promise,
    lint_search.cliff,
    lint_search.edge_of_the_grid,
)


def lint(result: Result) -> list[Finding]:
    """Return every finding about a backtest or a walk-forward, the gravest first.

    A walk-forward is judged out of sample and under the worst reading; the rules about the search
    apply to it alone. Pure: the same result gives the same list.
    """
    found = [finding for rule in RULES for finding in rule(result)]
    if isinstance(result, WalkForward):
        found += [finding for search_rule in SEARCH_RULES for finding in search_rule(result)]
    return [*found, *lint_account.survivorship(result)]
