# SPDX-License-Identifier: GPL-3.0-or-later
"""`AccountLine`: cash and value on every bar, at the cost of three appends.

Stock's analyzers for returns and drawdowns cost more per bar than the whole lean loop. Record the
account, and compute what follows from it with numpy after the run.
"""

from __future__ import annotations

from array import array

import backtrader as bt
import numpy as np
from numpy.typing import NDArray


class AccountLine(bt.Analyzer):
    """Writes down the account after the strategy has acted; `get_analysis()` gives the arrays."""

    def start(self) -> None:
        """Begin empty."""
        self._numbers, self._cash, self._value = array("d"), array("d"), array("d")

    def next(self) -> None:
        """Note a bar."""
        broker = self.strategy.broker
        self._numbers.append(self.strategy.datetime[0])
        self._cash.append(broker.getcash())
        self._value.append(broker.getvalue())

    prenext = nextstart = next  # noqa: A003 (Backtrader's name)

    def get_analysis(self) -> dict[str, NDArray[np.float64]]:
        """Return `number` (date numbers), `cash` and `value` (dollars), each (bars,)."""
        return dict(
            number=np.array(self._numbers), cash=np.array(self._cash), value=np.array(self._value)
        )
