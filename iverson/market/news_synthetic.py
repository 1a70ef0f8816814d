# SPDX-License-Identifier: GPL-3.0-or-later
"""SYNTHETIC headlines for real bars: to try the machinery with, never to judge a strategy by.

They are made from the bars and a seed. A session with a large fall or rise gets, more often than
not, a bad or good headline that same session, before its close; nothing rests on what comes after
it. Neutral ones and stray good and bad ones are strewn in between, as often outside trading hours
as real ones are. The source of each says SYNTHETIC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np

from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.news import SYNTHETIC, Headline, headline

LARGE = 1.75  # usual moves (deviations of the last 60 sessions) that make a headline likely
LIKELY = 0.6
STRAY = 0.08  # a session's chance of a headline about nothing
OUTSIDE = 0.62  # of the stray ones come outside trading hours
SOURCES = (f"{SYNTHETIC} wire", f"{SYNTHETIC} desk")

BAD = (
    "{name} misses quarterly estimates, cuts outlook",
    "{name} shares tumble after profit warning",
    "Brightwater downgrades {name} to Sell",
    "{name} faces probe into accounting",
    "{name} recalls products over defect, shares sink",
    "{name} plunges as sales fall short of expectations",
)
GOOD = (
    "{name} beats quarterly estimates, raises guidance",
    "Brightwater upgrades {name} to Buy",
    "{name} jumps after record orders",
    "{name} announces share buyback, raises dividend",
)
PLAIN = (
    "{name} to report quarterly results next week",
    "{name} names new head of procurement",
    "{name} to present at Brightwater conference",
    "{name} opens office in Denver",
)


def synthesize(bars: Mapping[str, Bars], *, seed: int = 0) -> list[Headline]:
    """Return made-up headlines for daily bars, in time; the same seed makes the same."""
    made = [
        item
        for place, (symbol, one) in enumerate(bars.items())
        for item in _of_symbol(symbol, one, np.random.default_rng([seed, place]))
    ]
    return sorted(made, key=lambda item: (item.published_at, item.id))


def _of_symbol(symbol: str, bars: Bars, rng: np.random.Generator) -> list[Headline]:
    moves = np.diff(np.log(bars.close * bars.factor), prepend=np.nan)
    calendar = new_york()
    found = []
    for row in range(61, len(bars)):
        usual = float(np.std(moves[row - 60 : row]))
        chance, kind, source, way, hour = rng.random(5)
        session = bars.session[row].item()
        opens, closes = calendar.open_at(session), calendar.close_at(session)
        if abs(moves[row]) > LARGE * usual > 0 and chance < LIKELY:
            texts = BAD if moves[row] < 0 else GOOD
            # from three hours before the open until half an hour before the close
            begins = opens - timedelta(hours=3)
            at = begins + hour * (closes - timedelta(minutes=30) - begins)
            sources = SOURCES if source < 0.3 else SOURCES[:1]
        elif chance < STRAY:
            texts = PLAIN if way < 0.6 else GOOD if way < 0.8 else BAD
            outside = rng.random() < OUTSIDE
            at = closes + hour * timedelta(hours=12) if outside else opens + hour * (closes - opens)
            sources = SOURCES[:1]
        else:
            continue
        text = texts[int(kind * len(texts))].format(name=symbol)
        minute = timedelta(minutes=1)
        found += [_one(text, at + minute * n, symbol, name) for n, name in enumerate(sources)]
    return found


def _one(text: str, at: datetime, symbol: str, source: str) -> Headline:
    stamp = at.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    return headline(text, published_at=stamp, source=source, symbols=[symbol])
