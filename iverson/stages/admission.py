# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a system from trading: each question is asked before anything is fetched or sent.

Every refusal is one sentence and changes nothing. What is asked of a paper account is asked of a
live one too; what is asked of a live one beyond it is in `admit_live`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from iverson.errors import ConfigError, Refused
from iverson.execution.alpaca.states import Standing
from iverson.execution.alpaca.stream import check_symbols
from iverson.market.calendar import Calendar
from iverson.market.feeds import admit, serves
from iverson.research.checked import passed
from iverson.risk.capital import CapitalSteps
from iverson.stages.token import Binding, refuse_without_token
from iverson.strategy import Strategy

SKEW_SECONDS = 30.0
ZONE = ZoneInfo("America/New_York")


def admit_strategy(strategy: type[Strategy], *, store: Path | str | None) -> None:
    """Refuse a strategy whose current source has not passed `iverson check`."""
    if not passed(strategy, store=store):
        raise Refused(
            f"{strategy.__name__} has not passed `iverson check` for its current source; run "
            f"`iverson check {strategy.__module__}`"
        )


def admit_feed(words: str, strategy: type[Strategy]) -> None:
    """Refuse bars that come later than the strategy needs them, or of a feed that is not known."""
    admit(words, strategy.least_feed, owner=strategy.__name__)
    if serves(words, strategy.least_feed) is None:
        raise Refused(
            f"the bars are of {words!r}: a feed that is not known, or made by a computer; orders "
            "need bars of a known feed, as `iverson bars fetch` stores them"
        )


def admit_symbols(count: int, *, feed: str) -> None:
    """Refuse more symbols than the plan's socket gives bars of, before it is connected."""
    try:
        check_symbols(count, feed=feed)
    except ConfigError as error:
        raise Refused(str(error)) from None


def admit_account(account: Standing) -> None:
    """Refuse an account that may not trade, in Alpaca's own words."""
    if account.blocks:
        raise Refused(
            f"account {account.number} does not trade: {', '.join(account.blocks)}; see to it at "
            "Alpaca first"
        )


def admit_clock(mine: datetime, theirs: datetime) -> None:
    """Refuse a clock that is more than 30 seconds from the venue's."""
    skew = (mine - theirs).total_seconds()
    if abs(skew) > SKEW_SECONDS:
        way = "ahead of" if skew > 0 else "behind"
        raise Refused(
            f"this machine's clock is {abs(skew):,.0f} seconds {way} Alpaca's, at most "
            f"{SKEW_SECONDS:.0f} are allowed; set it (NTP)"
        )


def admit_calendar(
    rows: Iterable[Mapping[str, Any]], calendar: Calendar, first: date, last: date
) -> None:
    """Refuse when the venue's sessions or hours from `first` to `last` are not the calendar's."""
    theirs = {row["date"]: (row["open"], row["close"]) for row in rows}
    mine = {}
    for day in calendar.between(first, last):
        session = day.item()
        mine[str(session)] = (_clock(calendar.open_at(session)), _clock(calendar.close_at(session)))
    for session in sorted({*mine, *theirs}):
        if mine.get(session) != theirs.get(session):
            raise Refused(
                f"on {session} Alpaca's calendar has {_hours(theirs.get(session))}, ours has "
                f"{_hours(mine.get(session))}; update exchange_calendars before trading"
            )


def admit_live(
    account: Standing,
    *,
    typed: str | None,
    max_loss: float | None,
    capital: CapitalSteps | None,
    journal: Path | str,
    bound: Binding,
) -> None:
    """Refuse live trading without the account's number, a maximum loss, steps and a token."""
    if not typed or typed.strip() != account.number:
        said = f"{typed!r} was given" if typed else "none was given"
        raise Refused(
            f"live trading needs the number of the account that these keys open, and {said}; type "
            "it as --account, from Alpaca's own page"
        )
    if max_loss is None or not math.isfinite(max_loss) or max_loss <= 0:
        raise Refused(
            f"live trading needs a maximum loss in dollars, and {max_loss!r} was given; decide on "
            "one beforehand, as --max-loss 500"
        )
    if max_loss >= account.equity:
        raise Refused(
            f"a maximum loss of ${max_loss:,.2f} is all of the account's ${account.equity:,.2f}; "
            "give less"
        )
    if capital is None:
        raise Refused(
            "live trading begins small: add capital=iv.CapitalSteps() to the system, and trade it "
            "on paper like that first"
        )
    refuse_without_token(journal, bound, max_loss=max_loss)


def _clock(at: datetime) -> str:
    return f"{at.astimezone(ZONE).time().replace(tzinfo=None):%H:%M}"


def _hours(edges: tuple[str, str] | None) -> str:
    return "no session" if edges is None else f"a session {edges[0]} to {edges[1]}"
