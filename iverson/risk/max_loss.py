# SPDX-License-Identifier: GPL-3.0-or-later
"""The loss agreed beforehand: when it is reached everything is left, and nothing begins again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from iverson.book import Book, Halt
from iverson.errors import ConfigError
from iverson.risk.rules import RiskRule, has_fallen

FOR_GOOD = datetime(2199, 12, 31, tzinfo=UTC)


class MaxLoss(RiskRule):
    """Leave every position and halt for good once `limit_usd` of the starting equity is lost.

    Reads: book.equity. `start` is the equity that the loss is counted from, dollars; None takes
    that of the run: the cash of a backtest, what the account held when it began to trade. It has
    an end that nobody sees, so that a backtest, which releases latched halts, does not release it.
    """

    params = (("limit_usd", 500.0), ("start", None))

    def halt(self, book: Book) -> Halt | None:
        """Halt when the loss since the start reaches the limit."""
        if self.p.start is None:
            raise ConfigError("MaxLoss has no start; give the dollars that the loss counts from")
        pnl = book.equity - self.p.start
        if not has_fallen(pnl, self.p.limit_usd):
            return None
        return Halt(
            rule=self.name,
            reason=(
                f"${-pnl:,.2f} of ${self.p.start:,.2f} are lost, "
                f"the agreed maximum is ${self.p.limit_usd:,.2f}"
            ),
            since=book.at,
            until=FOR_GOOD,
            limit=-self.p.limit_usd,
            value=pnl,
            flatten=True,
        )


def counted_from(cash: float, rule: RiskRule) -> RiskRule:
    """Return a rule as it is, or a `MaxLoss` without a start with the cash of the run as its."""
    if isinstance(rule, MaxLoss) and rule.p.start is None:
        made: Any = type(rule)  # its params are Backtrader's, which mypy does not see
        counted: RiskRule = made(**{**rule.p._getkwargs(), "start": cash})
        return counted
    return rule
