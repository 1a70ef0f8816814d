# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems that the tests of the search share: other processes import them from here."""

from __future__ import annotations

import os
import signal
from datetime import date
from pathlib import Path

import backtrader as bt

import iverson as iv
from iverson.market import sample
from iverson.research.backtest import Setup

BARS = {symbol: bars[1200:1420] for symbol, bars in sample.load(["AAPL", "IBM"]).items()}
SPANS = [(date(2005, 3, 1), date(2005, 6, 30)), (date(2005, 7, 1), date(2005, 9, 30))]
DEADLY = 4  # value of max_sessions at which `Deadly` ends its worker


class Dip(iv.Strategy):
    """Buy a close below its average."""

    params = dict(period=5, max_sessions=2)

    def entry(self, data):
        dip = data.close < bt.ind.SMA(data, period=self.p.period)
        return iv.Long(confidence=bt.If(dip, 3, 0), limit=data.close, stop=data.close * 0.97)


class Deadly(Dip):
    """Ends its worker with one parameter, once when `once` names a file, or each time.

    It never ends the process `home`, which started the search.
    """

    params = dict(home=0, once="")

    def entry(self, data):
        if self.p.max_sessions == DEADLY and os.getpid() != self.p.home:
            marker = Path(self.p.once) if self.p.once else None
            if marker is None or not marker.exists():
                if marker is not None:
                    marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().entry(data)


SETUP = Setup(Dip, iv.rules.standard())


def deadly(once: Path | str = "") -> Setup:
    """The setup whose batch with DEADLY ends its worker."""
    return Setup(Deadly, iv.rules.standard(), params=dict(home=os.getpid(), once=str(once)))
