# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategy A: buy what has fallen too fast, leave at the stop, the target or the last close."""

import backtrader as bt

import iverson as iv


class RsiReversion(iv.Strategy):
    """Mean reversion on daily bars, long only.

    An RSI below `oversold` is a dip of confidence 1, which the standard sizing skips; each further
    `step` points of RSI add one, up to 5. The entry is a limit at the close, the stop `stop_atrs`
    ATRs below but never more than 5 % away, the target `reward` times that distance above.
    """

    params = dict(period=14, oversold=35, step=4, stop_atrs=2.0, reward=1.5, max_sessions=3)

    def entry(self, data):
        rsi = bt.ind.RSI(data, period=self.p.period, safediv=True)
        stop = iv.atr_stop(data, atrs=self.p.stop_atrs, cap=0.05)
        depth = iv.steps(self.p.oversold - rsi, self.p.step, most=4)
        return iv.Long(
            confidence=iv.confidence(rsi < self.p.oversold, depth),
            limit=data.close,
            stop=stop,
            target=data.close + self.p.reward * (data.close - stop),
            reason=rsi,
        )


system = iv.System(RsiReversion, symbols=["AAPL", "FB", "GOOG", "IBM", "MSFT"])

grid = dict(period=[7, 14, 21], oversold=[25, 30, 35], stop_atrs=[1.5, 2.5], reward=[1.0, 1.5, 2.5])
