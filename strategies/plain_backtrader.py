# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain Backtrader strategy at Alpaca's paper account: nothing of Iverson's but the store.

    IVERSON_ALPACA_KEY=... IVERSON_ALPACA_SECRET=... python strategies/plain_backtrader.py AAPL

No desk, no rules, no journal. Ctrl-C ends it; protective stops stay at the broker, and what was
sent is not known to the next start.
"""

import os
import signal
import sys
from datetime import UTC, timedelta

import backtrader as bt

import iverson as iv


class CrossUp(bt.Strategy):
    """Buys when the close crosses above its average, with a stop and a target at the broker."""

    params = dict(period=20, shares=10, stop=0.005, target=0.01)

    def __init__(self):
        average = bt.ind.SMA(self.data.close, period=self.p.period)
        self.crossed = bt.ind.CrossUp(self.data.close, average)
        self.live = False
        self.orders = []

    def notify_data(self, data, status, *_, **__):
        self.live = status == data.LIVE  # what comes DELAYED is history, or a gap that was filled

    def notify_order(self, order):
        done = order.executed
        print(order.getordername(), order.getstatusname(), done.size, done.price)  # noqa: T201 (an example)

    def next(self):
        waits = any(order.alive() for order in self.orders)
        if not self.live or self.position or waits or not self.crossed[0]:
            return
        price = self.data.close[0]
        self.orders = self.buy_bracket(
            size=self.p.shares, exectype=bt.Order.Limit, price=price,
            stopprice=price * (1 - self.p.stop), limitprice=price * (1 + self.p.target),
        )  # fmt: skip


def made(store, symbol, *, hours=24, **params):
    """Return a Cerebro over an account and a symbol, with so many hours of history."""
    since = (store.clock() - timedelta(hours=hours)).astimezone(UTC).replace(tzinfo=None)
    cerebro = bt.Cerebro(quicknotify=True)
    cerebro.setbroker(store.getbroker())
    cerebro.adddata(store.getdata(dataname=symbol, fromdate=since))
    cerebro.addstrategy(CrossUp, **params)
    return cerebro


if __name__ == "__main__":
    key, secret = os.environ["IVERSON_ALPACA_KEY"], os.environ["IVERSON_ALPACA_SECRET"]
    running = made(iv.AlpacaStore(key=key, secret=secret, paper=True), *sys.argv[1:] or ["AAPL"])
    signal.signal(signal.SIGINT, lambda *_: running.runstop())
    running.run()
