# SPDX-License-Identifier: GPL-3.0-or-later

"""`LeanCerebro`: Backtrader's Cerebro with a faster way through preloaded bars, same results.

    cerebro = LeanCerebro()          # otherwise as bt.Cerebro
    cerebro.adddata(ArrayData(dataname=columns), name="AAPL")
    cerebro.addstrategy(AnyStrategy)
    cerebro.run()
    print(cerebro.explain())

Each lever has its own precondition and falls back to stock by itself: indicators are computed by
`once.compute`, bars are walked by `loop.LeanLoop`, orders matched by `LeanBroker` (the default
broker). Where a run differs from what the levers can do, that part is stock Backtrader.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import backtrader as bt

from iverson.engine import once
from iverson.engine.broker import LeanBroker
from iverson.engine.decline import Decline
from iverson.engine.loop import LeanLoop, check

_COLLECT = (500_000, 10, 10)  # garbage is looked for seldom during a run, yet its amount is bounded


class LeanCerebro(bt.Cerebro):
    """A Cerebro that runs lean where that changes nothing.

    Parameters
    ----------
    lean: False runs stock Backtrader (with `LeanBroker`, unless another broker is set).
    """

    params = (("lean", True),)

    def __init__(self, **params: Any) -> None:  # Backtrader's metaclass has taken its own out
        super().__init__(**params)
        self._notes: dict[str, str] = {}
        self.setbroker(LeanBroker())

    def explain(self) -> str:
        """Say which way the last run in this process took and why, one line per lever."""
        if not self._notes:
            return "nothing has run yet"
        return "\n".join(f"{lever}: {note}" for lever, note in self._notes.items())

    def runstrategies(self, iterstrat: Any, predata: bool = False) -> Any:
        """Run one combination of strategies; Backtrader's own step."""
        self._notes = {}
        with _seldom_collected():
            return super().runstrategies(iterstrat, predata=predata)

    def _runonce(self, runstrats: list[Any]) -> None:
        if not self.p.lean:
            self._notes["bars"] = "stock loop: lean=False"
            super()._runonce(runstrats)
            return
        self._notes["feeds"] = _feeds(self.datas)
        self._notes["broker"] = _broker(self._broker)
        tally = once.Tally()
        for strategy in runstrats:
            once.compute(strategy, tally)
            strategy.reset()
        self._notes["indicators"] = str(tally)
        try:
            check(self, runstrats)
            loop = LeanLoop(self, runstrats)
        except Decline as reason:
            self._notes["bars"] = f"stock loop: {reason}"
            for strategy in runstrats:
                _skip_next(strategy, "_once")
                _skip_next(strategy, "reset")
            super()._runonce(runstrats)
            return
        self._notes["bars"] = f"lean loop: {loop.summary()}"
        loop.run()

    def _runonce_old(self, runstrats: list[Any]) -> None:
        self._notes["bars"] = "stock loop: oldsync=True"
        super()._runonce_old(runstrats)

    def _runnext(self, runstrats: list[Any]) -> None:
        self._notes["bars"] = f"stock loop, bar by bar: {self._why_bar_by_bar()}"
        super()._runnext(runstrats)

    def _runnext_old(self, runstrats: list[Any]) -> None:
        self._notes["bars"] = "stock loop, bar by bar: oldsync=True"
        super()._runnext_old(runstrats)

    def _why_bar_by_bar(self) -> str:
        for condition, reason in (
            (self._exactbars, f"exactbars={self.p.exactbars}"),
            (not self.p.runonce, "runonce=False"),
            (not self.p.preload, "preload=False"),
            (self._dolive or self.p.live, "a feed is live"),
            (self._doreplay, "a feed is resampled or replayed by Cerebro"),
        ):
            if condition:
                return reason
        return "an indicator works bar by bar only"


def _skip_next(strategy: Any, step: str) -> None:
    """Let the next call of a step do nothing, because it has been made."""
    own = vars(strategy)
    own[step] = lambda: own.pop(step) and None


_LARGE = 64_000  # objects that a run leaves: so long a run that a collection before it is little


class _Unseen:
    """How many objects of earlier runs the garbage collector has not gone through."""

    count = 0
    last = 0  # of them, those of the last run
    at = 0  # collections of everything so far, when they were counted


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for garbage seldom: a run makes many objects that live as long as it does.

    At the end the collector would go through all of them, young as they are, to find them alive.
    They are counted as old instead, and looked at before a later run once they are many, or when
    the last run alone left many: two such runs are never in memory unless somebody holds both.
    """
    usual = gc.get_threshold()
    if not usual[0] or usual == _COLLECT:  # switched off, or a run in another thread has done it
        yield
        return
    if gc.get_stats()[-1]["collections"] > _Unseen.at:  # somebody else has collected
        _Unseen.count = _Unseen.last = 0
    elif _Unseen.count > _COLLECT[0] or _Unseen.last > _LARGE:
        gc.collect()
        _Unseen.count = _Unseen.last = 0
    gc.set_threshold(*_COLLECT)
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            _Unseen.last = gc.get_count()[0]
            _Unseen.count += _Unseen.last
            _Unseen.at = gc.get_stats()[-1]["collections"]
            gc.freeze()
            gc.unfreeze()
        gc.set_threshold(*usual)


def _feeds(datas: list[Any]) -> str:
    whole = 0
    for data in datas:
        given = getattr(data, "_columns", {}).get("datetime")
        whole += given is not None and data.lines.datetime.array is given
    return f"{whole} of {len(datas)} handed over as columns"


def _broker(broker: Any) -> str:
    name = type(broker).__name__
    return f"{name}, lean" if isinstance(broker, LeanBroker) else f"{name}, as it is"
