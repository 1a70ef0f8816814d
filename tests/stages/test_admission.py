# SPDX-License-Identifier: GPL-3.0-or-later
"""Every refusal: one sentence, before anything is sent."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.errors import Refused
from iverson.execution.alpaca.states import Standing, standing
from iverson.market.calendar import new_york
from iverson.research.backtest import Setup
from iverson.risk import rules
from iverson.risk.capital import CapitalSteps
from iverson.stages import admission
from iverson.stages.token import Binding, binding, token_path, write_token
from strategies.opening_range import OpeningRangeBreakout
from strategies.rsi_reversion import RsiReversion

NOW = datetime(2024, 11, 27, 15, 0, tzinfo=UTC)
ACCOUNT = Standing("123456789", 10_000.0, 10_000.0, 20_000.0, "ACTIVE", shorting=True)
STEPS = CapitalSteps()
SETUP = Setup(RsiReversion, tuple(rules.standard()), capital=STEPS)
SYMBOLS, INTERVAL, MAX_LOSS = ("AAPL", "IBM"), "1d", 500.0
OPEN, CLOSE, HALF = "09:30", "16:00", "13:00"


def bound(setup: Setup = SETUP, account: str = ACCOUNT.number) -> Binding:
    return binding(setup, SYMBOLS, INTERVAL, account=account)


def ask_live(folder: Path, **more: Any) -> None:
    given = dict(
        typed=ACCOUNT.number, max_loss=MAX_LOSS, capital=STEPS, journal=folder / "j.db",
        bound=bound(),
    )  # fmt: skip
    admission.admit_live(ACCOUNT, **(given | more))


def test_strategy_that_was_not_checked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has not passed `iverson check` for its current source"):
        admission.admit_strategy(RsiReversion, store=tmp_path)


@pytest.mark.parametrize("words", ["delayed_sip", "iex; delayed"])
def test_delayed_feed_is_refused_to_who_needs_a_fresh_one(words: str) -> None:
    with pytest.raises(Refused, match="needs at least the feed 'iex'"):
        admission.admit_feed(words, OpeningRangeBreakout)

    admission.admit_feed(words, RsiReversion)
    admission.admit_feed("iex", OpeningRangeBreakout)


@pytest.mark.parametrize("words", ["unknown", "SYNTHETIC; sip"])
def test_bars_of_no_known_feed_are_refused(words: str) -> None:
    with pytest.raises(Refused, match="a feed that is not known, or made by a computer"):
        admission.admit_feed(words, RsiReversion)


def test_more_symbols_than_a_free_plan_streams_are_refused() -> None:
    admission.admit_symbols(30, feed="iex")
    admission.admit_symbols(300, feed="sip")

    with pytest.raises(Refused, match="streams 30 symbols at most, and 31 are asked for"):
        admission.admit_symbols(31, feed="iex")


@pytest.mark.parametrize("flag", ["trading_blocked", "account_blocked", "trade_suspended_by_user"])
def test_blocked_account_is_refused_by_the_name_of_the_flag(flag: str) -> None:
    raw = dict(status="ACTIVE", account_number="1", cash="1", equity="1", buying_power="1")

    admission.admit_account(standing(raw))
    with pytest.raises(Refused, match=flag):
        admission.admit_account(standing(raw | {flag: True}))
    with pytest.raises(Refused, match="status ONBOARDING"):
        admission.admit_account(standing(raw | {"status": "ONBOARDING"}))


@pytest.mark.parametrize(("seconds", "way"), [(31, "ahead of"), (-31, "behind")])
def test_clock_more_than_thirty_seconds_off_is_refused(seconds: int, way: str) -> None:
    admission.admit_clock(NOW, NOW + timedelta(seconds=30))
    with pytest.raises(Refused, match=f"31 seconds {way} Alpaca's"):
        admission.admit_clock(NOW + timedelta(seconds=seconds), NOW)


def test_calendar_that_disagrees_is_refused_by_its_first_day() -> None:
    """Thanksgiving week of 2024: Thursday closed, Friday a half day (NYSE's own page)."""
    first, last = date(2024, 11, 27), date(2024, 11, 29)
    theirs = [
        {"date": "2024-11-27", "open": OPEN, "close": CLOSE},
        {"date": "2024-11-29", "open": OPEN, "close": HALF},
    ]
    admission.admit_calendar(theirs, new_york(), first, last)

    with pytest.raises(Refused, match=r"09:30 to 16:00, ours has a session 09:30 to 13"):
        admission.admit_calendar([theirs[0], theirs[1] | {"close": CLOSE}], new_york(), first, last)
    extra = {"date": "2024-11-28", "open": OPEN, "close": CLOSE}
    with pytest.raises(Refused, match=r"on 2024-11-28 .* ours has no session"):
        admission.admit_calendar([*theirs, extra], new_york(), first, last)


@pytest.mark.parametrize("typed", [None, "", "987654321"])
def test_live_refuses_without_the_number_of_its_account(tmp_path: Path, typed: str | None) -> None:
    write_token(tmp_path / "j.db", bound(), at=NOW)

    with pytest.raises(Refused, match="needs the number of the account"):
        ask_live(tmp_path, typed=typed)


@pytest.mark.parametrize("max_loss", [None, 0.0, -1.0, math.nan, math.inf, ACCOUNT.equity])
def test_live_refuses_without_a_maximum_loss_below_the_account(
    tmp_path: Path, max_loss: float | None
) -> None:
    write_token(tmp_path / "j.db", bound(), at=NOW)

    with pytest.raises(Refused, match="maximum loss"):
        ask_live(tmp_path, max_loss=max_loss)


def test_live_refuses_without_capital_steps(tmp_path: Path) -> None:
    write_token(tmp_path / "j.db", bound(), at=NOW)

    with pytest.raises(Refused, match=r"begins small: add capital=iv\.CapitalSteps\(\)"):
        ask_live(tmp_path, capital=None)


def test_live_is_admitted_with_number_loss_and_token(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"has no go-live token .* pass `iverson checklist`"):
        ask_live(tmp_path)

    write_token(tmp_path / "j.db", bound(), at=NOW)
    ask_live(tmp_path)


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (bound(account="1"), "account"),
        (bound(replace(SETUP, params={"period": 9})), "configuration"),
        (bound(replace(SETUP, rules=())), "configuration"),
        (bound(replace(SETUP, capital=CapitalSteps(trades=20))), "configuration"),
        (replace(bound(), source="0" * 64), "source"),
    ],
)
def test_token_holds_for_one_account_source_and_configuration(
    tmp_path: Path, other: Binding, word: str
) -> None:
    write_token(tmp_path / "j.db", other, at=NOW)

    with pytest.raises(Refused, match=f"is for another {word}"):
        ask_live(tmp_path)


def test_cash_is_no_part_of_the_configuration() -> None:
    assert bound() == bound(replace(SETUP, cash=SETUP.cash * 2))


def test_token_that_was_edited_or_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_token(tmp_path / "j.db", bound(account="1"), at=NOW)
    whole = path.read_text()
    assert path == token_path(tmp_path / "j.db", RsiReversion.__name__)

    path.write_text(whole.replace('"account": "1"', f'"account": "{ACCOUNT.number}"'))
    with pytest.raises(Refused, match="was changed after it was written"):
        ask_live(tmp_path)
    path.write_text(whole[:40])
    with pytest.raises(Refused, match="cannot be read"):
        ask_live(tmp_path)
