# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal: the system as it would trade, on the exchange on loopback, over history.

Everything but the venue is what paper and live use: broker, protocol, reconciliation, journal.
Daily bars are traded by wakes, two a session: shortly before the close for what has to be left,
after it for the new bar. Before the open of a session with a split there is one more: the stops at
the venue are made for other shares, and the open would meet them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.errors import BrokerUnavailable, ConfigError
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.research.backtest import Prepared, Setup
from iverson.stages.herald import HeraldMaker
from iverson.stages.rehearsed import Rehearsal
from iverson.stages.scene import scene_of
from iverson.stages.seen import Seen
from iverson.stages.wake import wake

if TYPE_CHECKING:
    from iverson.simulator.settings import Switches

AFTER_CLOSE = timedelta(minutes=1)
BEFORE_CLOSE = timedelta(minutes=5)
BEFORE_OPEN = timedelta(minutes=30)


def rehearse_daily(
    setup: Setup,
    bars: Mapping[str, Bars],
    *,
    system: str,
    first: date,
    last: date,
    journal: Path,
    scenario: Any = None,
    switches: Switches | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    herald: HeraldMaker | None = None,
) -> Rehearsal:
    """Trade daily bars from the close before `first` to the close of `last`.

    `scenario` and `switches` say how the exchange behaves; `switches` None is paper with `seed`.
    `herald` makes what tells people after each wake; None: nobody is told.
    """
    from iverson.simulator.settings import Switches

    calendar, sessions = new_york(), sessions_of(bars, first, last)
    prepared = Prepared.of(bars)
    start = calendar.close_at(calendar.offset(sessions[0], -1)) + AFTER_CLOSE
    behaves = switches or Switches(seed=seed, close_early_seconds=600.0)
    opened = scene_of(
        setup, bars, system=system, start=start, journal=journal, switches=behaves,
        scenario=scenario, herald=herald,
    )  # fmt: skip
    with opened as scene:
        venue, seen = scene.venue, Seen(journal, scene.run)

        def pause(seconds: float) -> None:
            venue.advance_to(venue.now + timedelta(seconds=seconds))

        def wakes(session: date) -> None:
            try:
                wake(
                    setup, prepared, session=session,
                    store=partial(scene.store, threaded=False, pause=pause),
                    journal=scene.book, run=scene.run,
                )  # fmt: skip
            except BrokerUnavailable as error:
                scene.away(error)
            scene.tell()

        before = calendar.offset(sessions[0], -1)
        splits = _splits(bars)
        for number, session in enumerate(sessions):
            if session in splits and number:
                venue.advance_to(calendar.open_at(session) - BEFORE_OPEN)
                wakes(before)
            if number:
                venue.advance_to(calendar.close_at(session) - BEFORE_CLOSE)
                wakes(before)
            venue.advance_to(calendar.close_at(session) + AFTER_CLOSE)
            seen.note({symbol: one.between(date.min, session) for symbol, one in bars.items()})
            wakes(session)
            before = session
            if progress is not None:
                progress(number + 1, len(sessions))
        return scene.result(len(sessions))


def sessions_of(bars: Mapping[str, Bars], first: date, last: date) -> list[date]:
    """Return the sessions of a rehearsal of daily bars; `ConfigError` if it cannot be one."""
    if any(one.interval != DAILY for one in bars.values()):
        raise ConfigError("rehearse_daily takes daily bars; minute bars are rehearsed as a stream")
    sessions: list[date] = new_york().between(first, last).tolist()
    if not sessions:
        raise ConfigError(f"there is no session from {first} to {last}; ask for a longer range")
    return sessions


def _splits(bars: Mapping[str, Bars]) -> set[date]:
    """Return the sessions on which any symbol is split."""
    return {
        one.session[number].item()
        for one in bars.values()
        for number in range(1, len(one))
        if one.factor[number] != one.factor[number - 1]
    }
