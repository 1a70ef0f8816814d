# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate against future data: decisions must stay what they were in any other future.

The strategy runs over all bars once. Then it runs over bars that end at a bar, or go on
differently after it, and bar by bar, and one bar at a time; at that bar and before, every line and
every decision has to be the same, to the bit. Last it is started late with the warm-up it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.columns import Source, attach
from iverson.market.moments import moment
from iverson.research.backtest import Feed, Setup, first_ready, interval_of, warm_up_bars
from iverson.research.lookahead_bars import acted, changed, cut, frame_changed
from iverson.research.lookahead_compare import Difference, differences, place
from iverson.research.lookahead_frames import Frames
from iverson.research.lookahead_result import Check, Step
from iverson.research.lookahead_runs import NEVER, Trace, Watched, Way, spread
from iverson.research.lookahead_span import narrowed
from iverson.research.warm_up import DenyAll, sweep

SAMPLE, DECISIONS = 30, 100  # bars at which lines are computed anew
WALKED_SAMPLE, WALKED_DECISIONS = 6, 24  # bars up to which the whole account is walked anew

Futures = Callable[[float], Mapping[str, Bars]]


@dataclass(frozen=True)
class _Case:
    """What is checked: a strategy, its bars, the full run, and the bars at which to look.

    `bars` are without the columns that `sources` make.
    """

    watched: Watched
    bars: Mapping[str, Bars]
    sources: Sequence[Source]
    numbers: Mapping[str, NDArray[np.float64]]
    least: Mapping[str, int]  # rows a symbol must keep to be in a run at all
    whole: Trace
    by_lines: bool
    sampled: NDArray[np.float64]
    decided: NDArray[np.float64]
    walked: frozenset[float]
    seed: int

    @property
    def looked_at(self) -> list[float]:
        """The bars at which the future is changed, in time."""
        return sorted({*self.sampled.tolist(), *self.decided.tolist()})

    def after(self, bar: float) -> dict[str, int]:
        """Return, by symbol, the first row after a bar."""
        return {s: int(np.searchsorted(n, bar, side="right")) for s, n in self.numbers.items()}

    @property
    def whole_bars(self) -> dict[str, Bars]:
        """The bars as they are, with their columns."""
        return attach(self.bars, self.sources)

    def otherwise(self, bar: float) -> list[Source]:
        """Return sources that are the same up to a bar and different after it."""
        return [source.changed(moment(bar).at, self.seed) for source in self.sources]

    def ending(self, bar: float) -> dict[str, Bars]:
        """Return bars, and what is known beside them, that end at a bar.

        A symbol too young to be in a run by then keeps the fewest rows it needs, but not as they
        were.
        """
        after = self.after(bar)
        kept = {symbol: max(row, self.least[symbol]) for symbol, row in after.items()}
        known = [source.as_of(moment(bar).at) for source in self.sources]
        return attach(cut(changed(self.bars, after, self.seed), kept), known)


def check_lookahead(
    setup: Setup,
    bars: Mapping[str, Bars],
    *,
    first: date,
    last: date,
    sources: Sequence[Source] = (),
    sample: int | None = None,
    decisions: int | None = None,
    seed: int = 0,
) -> Check:
    """Check a strategy for future data and for too short a warm-up.

    `sources` make columns beside the bars, and are asked what they knew at a bar.

    `sample` bars are drawn at random (seeded); of the bars with a decision at most `decisions` are
    taken, spread evenly from the first to the last. None: 30 and 100 for a strategy whose entry
    lines decide, 6 and 24 for one that has to be walked bar by bar. Either way one run, one bar at
    a time, looks at all of them. Of a long range of minute bars only the last part that decides is
    looked at (`lookahead_span`).

    Raises
    ------
    ConfigError: the strategy fails on, or gives faulty signals from, the bars as they are.
    MissingBars: no symbol has bars beyond its warm-up.
    """
    frames = Frames.of(setup.strategy, setup.params)
    warm_up = warm_up_bars(setup.strategy, setup.params, tuple(bars), interval=interval_of(bars))
    first = first_ready(bars, first, last, warm_up)
    watched = Watched(setup, frames, first=first, last=last)
    span = narrowed(watched, bars, first=first, last=last, warm_up=warm_up)
    bars, first, last = span.bars, span.first, span.last
    watched = Watched(setup, frames, first=first, last=last)
    feeds = {symbol: Feed(one) for symbol, one in bars.items()}
    windows = {symbol: feed.window(first, last, warm_up) for symbol, feed in feeds.items()}
    traded = [s for s, rows in windows.items() if rows.stop - rows.start > warm_up]
    bars = {symbol: bars[symbol] for symbol in traded}

    dressed = attach(bars, sources)
    whole = watched.walk(dressed, strict=True)
    by_lines = watched.decides_by_lines and not differences(
        whole, watched.lines(dressed), until=NEVER
    )
    instants = np.unique(np.concatenate([feeds[symbol].numbers for symbol in bars]))
    instants = instants[[first <= moment(n).session < last for n in instants.tolist()]]
    rng = np.random.default_rng(seed)
    most = sample if sample is not None else (SAMPLE if by_lines else WALKED_SAMPLE)
    sampled = np.sort(rng.choice(instants, min(most, len(instants)), replace=False))
    acts = np.unique([d.number for d in whole.decisions or ()])
    acts = acts[np.isin(acts, instants)]
    most = decisions if decisions is not None else (DECISIONS if by_lines else WALKED_DECISIONS)
    decided = spread(acts, most)
    case = _Case(
        watched=watched,
        bars=bars,
        sources=sources,
        numbers={symbol: feeds[symbol].numbers for symbol in bars},
        least={symbol: windows[symbol].start + warm_up + 1 for symbol in bars},
        whole=whole,
        by_lines=by_lines,
        sampled=sampled,
        decided=decided,
        walked=frozenset(spread(sampled, WALKED_SAMPLE).tolist()),
        seed=seed,
    )
    lines, late = _late_starts(setup, case, warm_up)
    return Check(
        strategy=setup.strategy,
        params=dict(setup.params),
        symbols=tuple(bars),
        first=first,
        last=last,
        bars=len(instants),
        decision_bars=len(acts),
        looked_at=(len(sampled), len(decided)),
        steps=(*_futures(case, frames), *_ways(case), late),
        settling=tuple(lines),
        frames=tuple(frames.names()),
        columns=tuple(source.words for source in sources),
        seed=seed,
        sessions=(len(new_york().between(first, last)), span.sessions),
    )


def _futures(case: _Case, frames: Frames) -> Iterator[Step]:
    """Look from each chosen bar into several futures."""
    yield _step(case, "the data end", case.ending, case.looked_at)
    other = lambda bar: attach(changed(case.bars, case.after(bar), case.seed), case.otherwise(bar))
    yield _step(case, "later bars change", other, case.looked_at)
    if case.sources:
        beside = lambda bar: attach(case.bars, case.otherwise(bar))
        yield _step(case, "later columns change", beside, case.looked_at)
    split = lambda bar: attach(acted(case.bars, case.after(bar)), case.sources)
    yield _step(case, "a later split, a later dividend", split, case.sampled.tolist())
    if frames:
        same = lambda bar: case.whole_bars
        yield _step(case, "later rows of frames change", same, case.looked_at, frames)


def _step(
    case: _Case, name: str, future: Futures, at: list[float], frames: Frames | None = None
) -> Step:
    for number, bar in enumerate(at, start=1):
        found = list(_seen_from(case, bar, future(bar), frames))
        if found:
            return Step(name, number, len(at), tuple(sorted(found, key=place)[:2]))
    return Step(name, len(at), len(at))


def _seen_from(
    case: _Case, bar: float, bars: Mapping[str, Bars], frames: Frames | None
) -> Iterator[Difference]:
    given = None if frames is None else _later_rows(frames, bar, case.seed)
    if case.by_lines:
        yield from differences(case.whole, case.watched.lines(bars, frames=given), until=bar)
    if not case.by_lines or bar in case.walked:
        trace = case.watched.walk(bars, until=bar, frames=given)
        yield from differences(case.whole, trace, until=bar)


def _later_rows(frames: Frames, bar: float, seed: int) -> Frames:
    now = moment(bar)
    change = lambda frame: frame_changed(
        frame, at=pd.Timestamp(now.at), session=now.session, seed=seed
    )
    return frames.each(change)


def _ways(case: _Case) -> Iterator[Step]:
    """Run over the same bars in other ways."""
    ways: tuple[tuple[str, Way], ...] = (
        ("indicators bar by bar", "bar by bar"),
        ("bars arrive one at a time", "one at a time"),
    )
    for name, way in ways:
        trace = case.watched.walk(case.whole_bars, way=way)
        found = differences(case.whole, trace, until=NEVER, known_only=True)
        yield Step(name, 1, 1, tuple(found[:2]))


def _late_starts(setup: Setup, case: _Case, warm_up: int) -> tuple[list[Any], Step]:
    denying = replace(setup, rules=(DenyAll(),))
    watched = Watched(
        denying, case.watched.frames, first=case.watched.first, last=case.watched.last
    )
    bars = case.whole_bars
    lines, found, starts = sweep(watched, bars, watched.walk(bars), warm_up=warm_up)
    return lines, Step("starts late", starts, starts, () if found is None else (found,))
