# SPDX-License-Identifier: GPL-3.0-or-later
"""The random-entry null: the same trades, begun in other sessions drawn by chance.

What is left of a strategy when its entries are thrown away: symbols, sides, dollars, holding times
and exits stay as they were, and only the sessions of entry are drawn. A strategy whose own entries
do no better than these has earned what the market gave to anybody with its exits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from iverson.errors import ConfigError, MissingBars
from iverson.market.bars import Bars
from iverson.market.universe import Universe
from iverson.model import Trade
from iverson.monitoring.intervals import Floats
from iverson.research.random_entry_replay import Prices, replay, session_prices

Positions = NDArray[np.intp]


@dataclass(frozen=True, eq=False, slots=True)
class RandomEntry:
    """P&L of the trades against that of the same trades at random sessions; dollars after costs.

    `realised` is what the trades earned; `actual` what they earn replayed like the random ones, in
    at the open of their own session; `null` the P&L of each draw. `percentile` is the share of
    draws below `actual`, and `p_value` = (1 + draws at least as good) / (1 + draws) is the test.
    `realised_percentile` places the P&L with its real fills, which differ from the replay's, and
    is for information.
    """

    realised: float
    actual: float
    null: Floats
    percentile: float
    realised_percentile: float
    p_value: float
    trades: int
    seed: int

    def __str__(self) -> str:
        """Print as `random entry p 0.031: 96.9% of 1000 draws earn less than $1,234.00`."""
        return (
            f"random entry p {self.p_value:.3f}: {self.percentile:.1%} of {self.null.size} draws "
            f"earn less than {'-' if self.actual < 0 else ''}${abs(self.actual):,.2f}"
        )


def random_entry(
    trades: Sequence[Trade],
    bars: Mapping[str, Bars],
    *,
    first: date,
    last: date,
    seed: int,
    draws: int = 1000,
    max_sessions: int | None = None,
    universe: Universe | None = None,
) -> RandomEntry:
    """Place the trades of a run in random sessions, and compare.

    Parameters
    ----------
    trades
        Closed trades of one run. Dollars at work are size × entry.
    bars
        The bars of every symbol traded, daily or finer; raw prices, splits and dividends counted.
    first, last
        The sessions in which the run could trade; entries are drawn from first, and all trades end
        by last.
    max_sessions
        None: every draw holds as long as the trade did and leaves at the close. A number: every
        draw has the trade's own stop and target, as far from its entry as they were, and leaves at
        the close after so many sessions (0 is the entry's own) at the latest. Of stop and target
        in one bar the stop counts, and a bar that opens beyond either leaves at its open.
    universe
        Entries are drawn from sessions on whose eve the symbol was a member: what it did before it
        belonged is nobody's luck. Floors of price and volume are not asked for.

    Returns
    -------
    Costs (commission and spread) are those of each trade in every draw. Per symbol the draw puts
    the trades in random order and spreads the idle sessions at random between them, so that they
    never overlap, as the run's never did.

    Raises
    ------
    ConfigError
        Without trades, for fewer than 100 draws, a negative limit, trades outside first to last,
        and trades that leave no idle session to move them to.
    MissingBars
        For a symbol without bars, or an entry session that has none.

    Notes
    -----
    A randomisation test, and exact whatever the market did, for a strategy that draws its entries
    blindly and holds for times that do not depend on prices: its own sessions are then one more
    draw. Stops and targets make holding times depend on prices; `max_sessions` replays them in the
    draws and in `actual`, which comes closer as long as trades are further apart than the limit.
    It says nothing about how many trials were made.

    Fisher (1935), "The Design of Experiments", ch. 3; Phipson and Smyth (2010), Statistical
    Applications in Genetics and Molecular Biology 9(1), 39, doi:10.2202/1544-6115.1585, for the
    1 + in the p-value. For trading rules:
    Aronson (2007), "Evidence-Based Technical Analysis", ch. 5, doi:10.1002/9781118268315, and
    Brock, Lakonishok and LeBaron (1992), Journal of Finance 47(5), 1731-1764,
    doi:10.1111/j.1540-6261.1992.tb04681.x.
    """
    if not trades:
        raise ConfigError("there are no trades to compare; expected at least one closed trade")
    if draws < 100:
        raise ConfigError(f"draws={draws} are too few for a tail; expected 1000 or more")
    if max_sessions is not None and max_sessions < 0:
        raise ConfigError(f"max_sessions={max_sessions} is negative; expected 0 or more, or None")
    generator = np.random.default_rng(seed)
    null, actual = np.zeros(draws), 0.0
    for symbol in sorted({trade.symbol for trade in trades}):
        if symbol not in bars:
            raise MissingBars(f"{symbol} was traded but has no bars; give the bars of the run")
        prices = session_prices(bars[symbol], first, last)
        own = [trade for trade in trades if trade.symbol == symbol]
        entries = np.array([_entry(trade, prices) for trade in own], dtype=np.intp)
        held = np.array([_held(trade, prices, max_sessions) for trade in own], dtype=np.intp)
        allowed = _allowed(prices, symbol, universe)
        places = allowed[np.array(list(_places(held, len(allowed), draws, generator, symbol)))]
        for k, trade in enumerate(own):
            cost = trade.commission + trade.spread
            bracket = max_sessions is not None
            everywhere = np.append(places[:, k], entries[k])
            pnl = replay(trade, prices, everywhere, int(held[k]), bracket=bracket) - cost
            null += pnl[:-1]
            actual += float(pnl[-1])
    realised = sum(trade.pnl for trade in trades)
    tolerance = 1e-9 * max(1.0, abs(actual))
    as_good = int(np.count_nonzero(null >= actual - tolerance))
    return RandomEntry(
        realised=realised,
        actual=actual,
        null=null,
        percentile=float(np.mean(null < actual - tolerance)),
        realised_percentile=float(np.mean(null < realised)),
        p_value=(1 + as_good) / (1 + draws),
        trades=len(trades),
        seed=seed,
    )


def _allowed(prices: Prices, symbol: str, universe: Universe | None) -> Positions:
    """Return the positions at which the symbol may be entered, decided the evening before.

    Trades that do not overlap among these do not overlap among all sessions either.
    """
    if universe is None:
        return np.arange(prices.session.size)
    decided = np.r_[prices.session[:1], prices.session[:-1]]
    return np.flatnonzero(universe.is_member(symbol, decided))


def _entry(trade: Trade, prices: Prices) -> int:
    day = np.datetime64(trade.entry_session, "D")
    place = int(np.searchsorted(prices.session, day))
    if place == prices.session.size or prices.session[place] != day:
        raise MissingBars(
            f"{trade.symbol} was entered on {trade.entry_session}, which has no bar in the span; "
            f"give the bars and the span of the run"
        )
    return place


def _held(trade: Trade, prices: Prices, max_sessions: int | None) -> int:
    """Sessions from entry to exit, counted in this symbol's own bars, cut off at the end."""
    start = _entry(trade, prices)
    if max_sessions is not None:
        return min(max_sessions, prices.session.size - 1 - start)
    day = np.datetime64(trade.exit_session, "D")
    if day > prices.session[-1]:
        raise ConfigError(
            f"{trade.symbol} was held to {trade.exit_session}, after the last session of the span; "
            f"give a later last session"
        )
    return int(np.searchsorted(prices.session, day, side="right")) - 1 - start


def _places(
    held: Positions, sessions: int, draws: int, generator: np.random.Generator, symbol: str
) -> Iterator[Positions]:
    """Draw an entry position for every trade: random order, idle sessions spread at random."""
    count = held.size
    idle = sessions - int((held + 1).sum())
    if idle < 1:
        raise ConfigError(
            f"the {count} trades of {symbol} fill all {sessions} sessions, so that no other entry "
            f"was possible; the random-entry null needs idle sessions"
        )
    for _ in range(draws):
        order = generator.permutation(count)
        # Which of the places for trades and idle sessions are trades: every way equally likely.
        slots = np.sort(generator.choice(idle + count, count, replace=False))
        before = np.concatenate(([0], np.cumsum(held[order])[:-1]))
        places = np.empty(count, dtype=np.intp)
        places[order] = slots + before
        yield places
