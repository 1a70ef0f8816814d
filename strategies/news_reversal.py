# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategy B: buy what fell too far on bad news, once it has stopped falling."""

import backtrader as bt

import iverson as iv


class NewsReversal(iv.Strategy):
    """Overreaction to bad headlines and recovery, on daily or minute bars, long only.

    Bad news (`worst` or lower) of the last `patience` bars, a fall of `fall` ATRs or more since it
    was seen, and a close above the open: a setup of confidence 1, which the standard sizing skips.
    A point more each for very bad news, a second source, heavy volume, and one ATR further down.
    The entry is a limit at the close, the stop `stop_atrs` ATRs below but never more than 5 % away,
    the target `back` of the way up to the price before the news.
    """

    reads = ("bad_news_score", "bad_news_sources", "bad_news_age", "bad_news_price")
    least_feed = "iex"  # fifteen minutes late, the news is in the price
    params = dict(worst=-0.5, patience=3, fall=1.5, stop_atrs=2.0, back=0.6, max_sessions=3)

    def entry(self, data):
        atr = bt.ind.ATR(data, period=14)
        fallen = bt.DivByZero(data.bad_news_price - data.close, atr)
        recent = bt.And(
            data.bad_news_score <= self.p.worst,
            data.bad_news_age <= self.p.patience,
        )
        setup = bt.And(recent, fallen >= self.p.fall, data.close > data.open)
        volume = bt.ind.SMA(data.volume, period=20)
        return iv.Long(
            confidence=iv.confidence(
                setup,
                data.bad_news_score <= self.p.worst - 0.2,
                data.bad_news_sources >= 2,
                bt.ind.Highest(data.volume, period=3) > 1.5 * volume,
                fallen >= self.p.fall + 1.0,
            ),
            limit=data.close,
            stop=iv.atr_stop(data, atrs=self.p.stop_atrs, cap=0.05),
            target=data.close + self.p.back * (data.bad_news_price - data.close),
            reason=data.bad_news_score,
        )


system = iv.System(NewsReversal, symbols=["AAPL", "FB", "GOOG", "IBM", "MSFT"], columns=[iv.News()])

grid = dict(patience=[1, 3, 5], fall=[1.0, 1.5, 2.0], stop_atrs=[1.5, 2.5], back=[0.4, 0.6, 1.0])
