# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategy C: go with the first close outside the opening range, flat again by the close."""

import backtrader as bt

import iverson as iv


class OpeningRangeBreakout(iv.Strategy):
    """Breakout on minute bars, long and short; the rules decide which sides are traded.

    The setup is the session's first close outside its first half hour, on at least `volume` times
    the average of 30 bars. A point of evidence each: a gap of half a percent the same way, a range
    below `narrow` ATRs of sessions, opening volume a half, and twice, above its usual. The entry is
    a limit `collar` beyond the close, for `entry_minutes`; the stop the range's other side,
    `stop_atrs` ATRs of sessions or 5 %, whichever is nearest.
    """

    params = dict(volume=1.5, narrow=0.5, collar=0.001, stop_atrs=0.5, reward=2.0)
    params |= dict(max_sessions=0, entry_minutes=5)
    least_feed = "iex"  # fifteen minutes later a breakout is history

    def entry(self, data):
        # an hour before the close, 15:00, no entry may be left that could fill
        opening = iv.OpeningRange(data, until=60 + self.p.entry_minutes)
        volume = data.volume >= self.p.volume * bt.ind.SMA(data.volume, period=30)
        evidence = (
            opening.width <= self.p.narrow,
            iv.steps(opening.relative_volume - 1, 0.5, most=2),
        )

        def bracket(kind, way, nearest, other_side):
            limit = data.close * (1 + way * self.p.collar)
            reach = bt.Min(self.p.stop_atrs * opening.atr, 0.05 * limit)
            stop = nearest(other_side, limit - way * reach)
            # without an ATR, after weeks in which nothing moved, there is no place for a stop
            setup = bt.And(opening.breakout == way, volume, opening.atr > 0)
            return kind(
                confidence=iv.confidence(setup, way * opening.gap >= 0.005, *evidence),
                limit=limit,
                stop=stop,
                target=limit + self.p.reward * (limit - stop),
                reason=opening.relative_volume,
            )

        long = bracket(iv.Long, 1, bt.Max, opening.low)
        return long, bracket(iv.Short, -1, bt.Min, opening.high)


system = iv.System(OpeningRangeBreakout, ["AAPL", "FB", "GOOG", "IBM", "MSFT"], interval="1m")

both_sides = system.with_rules(*iv.rules.standard(short=True))

grid = dict(volume=[1.0, 1.5, 2.0], stop_atrs=[0.25, 0.5, 1.0], reward=[1.0, 2.0, 3.0])
