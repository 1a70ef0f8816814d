# SPDX-License-Identifier: GPL-3.0-or-later
"""Reshaping history before it is replayed: a gap, or a split that never was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np

from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.simulator.faults import RESHAPING, Fault
from iverson.simulator.hours import ZONE

CENT = 2


def reshaped(
    history: Mapping[str, Bars], faults: Iterable[Fault], *, at: datetime
) -> dict[str, Bars]:
    """Return the history with the gaps and splits of a script.

    Sessions are counted from the first that has a bar after `at`. From the instant of a gap on,
    all prices are multiplied by its ratio. From the session of a split on, raw prices are divided
    by the new shares for one old share and volumes multiplied; the day's holders are told by
    `factor`. Prices are rounded to the cent, and are at least one.
    """
    changed = dict(history)
    for fault in faults:
        if fault.do not in RESHAPING:
            continue
        session = _session(history, fault, at=at)
        for symbol in changed if fault.symbol == "*" else [fault.symbol]:
            if symbol not in changed:
                raise ConfigError(
                    f"fault {fault.do!r} is of {symbol!r}, which is not replayed; "
                    f"expected one of {', '.join(sorted(changed))}"
                )
            changed[symbol] = _changed(changed[symbol], fault, session)
    return changed


def _changed(bars: Bars, fault: Fault, session: np.datetime64) -> Bars:
    if fault.do == "split":
        later = bars.session >= session
        by = np.where(later, 1 / fault.ratio, 1.0)
        return replace(
            _priced(bars, by),
            volume=np.where(later, np.round(bars.volume * fault.ratio), bars.volume),
            factor=np.where(later, bars.factor * fault.ratio, bars.factor),
        )
    day: date = session.item()  # type: ignore[assignment]  # of days, so a date
    moment = datetime.combine(day, fault.time, ZONE).astimezone(UTC)
    after = np.datetime64(moment.replace(tzinfo=None), "ns")
    return _priced(bars, np.where(bars.at > after, fault.ratio, 1.0))


def _priced(bars: Bars, by: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Bars:
    def prices(
        column: np.ndarray[tuple[int], np.dtype[np.float64]],
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        scaled = np.maximum(np.round(column * by, CENT), 10**-CENT)
        return np.where(by == 1.0, column, scaled)

    return replace(
        bars,
        open=prices(bars.open),
        high=prices(bars.high),
        low=prices(bars.low),
        close=prices(bars.close),
        dividend=bars.dividend.copy(),
    )


def _session(history: Mapping[str, Bars], fault: Fault, *, at: datetime) -> np.datetime64:
    moment = np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "ns")
    days = [bars.session[bars.at > moment] for bars in history.values()]
    first = min((day[0] for day in days if len(day)), default=None)
    if first is None:
        raise ConfigError("no bar is left to replay; begin earlier")
    sessions = new_york().sessions
    index = new_york().ordinal(first.item()) + fault.session - 1
    return np.datetime64(sessions[min(index, len(sessions) - 1)], "D")
