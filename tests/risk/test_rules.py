# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule, cap and halt denies alone, at its limit and not a hair before it."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

from iverson.book import Book, Halt, Position
from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.history import DailyHistory
from iverson.model import Denial, Signal, Verdict
from iverson.risk import rules
from iverson.risk.gate import Gate
from iverson.risk.rules import RiskRule, standard
from iverson.risk.sizing import RiskSizing
from iverson.testing import START, FixedHistory, at, bars, book, signal

EQUITY = 100_000.0
SESSIONS = 60
LIMIT = 100.0
MANY = 10_000_000.0  # shares a day: never the bound
ALL = standard(short=True)
NOTHING = RiskSizing(risk=(0.0, 0.0, 0.0, 0.0, 0.001), notional=1.0, volume=1.0)


def noise(seed: int, n: int = SESSIONS) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.01, n)


UNRELATED = {name: noise(seed) for seed, name in enumerate(("TEST", "A", "B", "C", "D", "E"))}


def position(symbol: str, size: int = 1, *, mark: float = 10.0, stop: float = 9.9) -> Position:
    return Position(symbol, size, mark, mark, stop, START)


def side_signal(side: str, **changes: Any) -> Signal:
    """A signal with a stop of 2 % and a target of 4 % on the right sides."""
    way = 1 if side == "long" else -1
    usual = dict(side=side, limit=LIMIT, stop=LIMIT - 2 * way, target=LIMIT + 4 * way)
    return signal(**{**usual, **changes})


def known(**changes: Any) -> Book:
    return book(**{"history": FixedHistory(UNRELATED, volume=MANY), **changes})


def held(*symbols: str, **how: Any) -> Mapping[str, Position]:
    return {symbol: position(symbol, **how) for symbol in symbols}


def waiting(symbol: str, *, side: str = "long", size: int = 1) -> Mapping[str, Verdict]:
    return {symbol: Verdict(side_signal(side, symbol=symbol), True, size, "risk", "")}


def review(
    one: Signal, of: Book, using: tuple[RiskRule, ...] = ALL, sizing: RiskSizing = NOTHING
) -> Verdict:
    return Gate(using, sizing).review(one, of)


def without(name: str) -> tuple[RiskRule, ...]:
    return tuple(rule for rule in ALL if rule.name != name)


def tilted(target: float, seed: int = 7, n: int = SESSIONS) -> tuple[np.ndarray, np.ndarray]:
    """Two series whose sample correlation is the target to float precision."""
    x, e = noise(seed, n), noise(seed + 1, n)
    x, e = x - x.mean(), e - e.mean()
    e -= x * (e @ x) / (x @ x)
    y = target * x / np.linalg.norm(x) + math.sqrt(1 - target**2) * e / np.linalg.norm(e)
    return x, y


def pair(correlation: float) -> FixedHistory:
    x, y = tilted(correlation)
    return FixedHistory({"TEST": x, "A": y}, volume=MANY)


# What only one rule denies: its name, the book, words of the reason, its limit and its value.
ALONE: list[tuple[str, dict[str, Any], dict[str, Any], str, float, float]] = [
    (
        "one system per symbol",
        {},
        dict(positions=held("TEST")),
        "TEST is already held",
        1,
        1,
    ),
    (
        "one system per symbol",
        {},
        dict(pending=waiting("TEST")),
        "TEST already has a working entry",
        1,
        1,
    ),
    ("max positions", {}, dict(positions=held("A", "B", "C", "D", "E")), "the limit is 5", 5, 5),
    (
        "max positions",
        {},
        dict(positions=held("A", "B", "C", "D"), pending=waiting("E")),
        "5 positions and working entries",
        5,
        5,
    ),
    (
        "open risk",
        {},
        dict(positions={"A": position("A", 1000, mark=10.0, stop=4.0)}),
        "6.10% of equity, the limit is 6.00%",
        0.06,
        0.061,
    ),
    (
        "correlation",
        {},
        dict(positions=held("A"), history=FixedHistory({"TEST": UNRELATED["A"]}, volume=MANY)),
        "only 0 sessions shared with A, 40 are needed",
        40,
        0,
    ),
]


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize(("rule", "signals", "of", "words", "limit", "value"), ALONE)
def test_only_this_rule_denies(
    *,
    rule: str,
    signals: dict[str, Any],
    of: dict[str, Any],
    words: str,
    limit: float,
    value: float,
    side: str,
) -> None:
    one, account = side_signal(side, **signals), known(**of)
    verdict = review(one, account)

    assert not verdict.approved
    assert verdict.size == 0
    assert verdict.rule == rule
    assert words in verdict.reason
    assert (verdict.limit, verdict.value) == (limit, pytest.approx(value))
    assert not verdict.alert
    assert review(one, account, without(rule)).approved


@pytest.mark.parametrize("side", ["long", "short"])
def test_standard_set_approves_when_nothing_stands_against_it(side: str) -> None:
    verdict = review(side_signal(side), known(positions=held("A", "B", "C", "D")))

    assert verdict.approved
    assert verdict.size == 50  # 0.1 % of 100,000 dollars over 2 dollars a share
    assert verdict.rule == "risk"


def test_short_is_denied_by_long_only_alone() -> None:
    verdict = review(side_signal("short"), known(), standard())

    assert (verdict.rule, verdict.reason) == ("long only", "short entries are not allowed")
    assert review(side_signal("long"), known(), standard()).approved
    assert "long only" not in [rule.name for rule in standard(short=True)]


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize(("distance", "approved"), [(4.99, True), (5.0, True), (5.01, False)])
def test_stop_may_lie_exactly_five_percent_away(side: str, distance: float, approved: bool) -> None:
    way = 1 if side == "long" else -1
    one = side_signal(side, stop=LIMIT - way * distance, target=None)
    verdict = review(one, known())

    assert verdict.approved is approved
    if not approved:
        assert (verdict.rule, verdict.limit) == ("stop distance", 0.05)
        assert verdict.value == pytest.approx(0.0501)
        assert "5.01% from the entry" in verdict.reason
        assert review(one, known(), without("stop distance")).approved


@pytest.mark.parametrize("price", [0.37, 1.1, 3.3, 17.77, 101.3, 999.99])
def test_float_noise_in_a_five_percent_stop_does_not_deny(price: float) -> None:
    cap = rules.StopDistance()

    assert (
        cap.deny(side_signal("long", limit=price, stop=price * 0.95, target=None), known()) is None
    )
    assert (
        cap.deny(side_signal("short", limit=price, stop=price * 1.05, target=None), known()) is None
    )


@pytest.mark.parametrize(("taken", "approved"), [(4, True), (5, False), (6, False)])
def test_fifth_position_is_the_last(taken: int, approved: bool) -> None:
    names = ("A", "B", "C", "D", "E", "F")[:taken]
    only = (rules.MaxPositions(),)

    assert review(signal(), known(positions=held(*names)), only).approved is approved


def test_symbol_both_held_and_waiting_takes_one_slot() -> None:
    of = known(positions=held("A", "B", "C", "D"), pending=waiting("D"))

    assert review(signal(), of, (rules.MaxPositions(),)).approved


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize(
    ("already", "approved"), [(5_899.0, True), (5_900.0, True), (5_901.0, False)]
)
def test_open_risk_may_reach_six_percent_exactly(side: str, already: float, approved: bool) -> None:
    size = 1_000 if side == "long" else -1_000
    stop = 10.0 - already / size
    of = known(positions={"A": position("A", size, mark=10.0, stop=stop)})
    verdict = review(side_signal(side), of, (rules.OpenRisk(),))

    assert verdict.approved is approved
    if not approved:
        assert (verdict.rule, verdict.limit) == ("open risk", 0.06)
        assert verdict.value == pytest.approx(0.06001)


def test_working_entries_count_as_open_risk_and_locked_profits_do_not() -> None:
    cap = rules.OpenRisk()

    assert cap.deny_size(signal(), 50, known(pending=waiting("A", size=2_951))) is not None
    assert cap.deny_size(signal(), 50, known(pending=waiting("A", size=2_950))) is None
    assert cap.deny_size(signal(), 50, known(positions=held("A", size=9_000, stop=11.0))) is None


def test_unprotected_position_is_at_risk_with_its_whole_value() -> None:
    bare = known(positions={"A": position("A", 700, stop=math.nan)})

    assert review(signal(), bare, (rules.OpenRisk(),)).value == pytest.approx(0.071)


@pytest.mark.parametrize("mine", ["long", "short"])
@pytest.mark.parametrize("theirs", ["long", "short"])
@pytest.mark.parametrize("correlation", [0.7001, 0.6999, -0.6999, -0.7001])
@pytest.mark.parametrize("where", ["positions", "pending"])
def test_correlation_is_signed_by_both_directions(
    mine: str, theirs: str, correlation: float, where: str
) -> None:
    signed = correlation * (1 if mine == theirs else -1)
    other = (
        dict(positions=held("A", size=1 if theirs == "long" else -1, stop=math.nan))
        if where == "positions"
        else dict(pending=waiting("A", side=theirs))
    )
    verdict = review(side_signal(mine), known(history=pair(correlation), **other))

    assert verdict.approved is (signed <= 0.70)
    if signed > 0.70:
        assert (verdict.rule, verdict.limit) == ("correlation", 0.70)
        assert verdict.value == pytest.approx(signed, abs=1e-12)
        assert "correlation of TEST with A is 0.70" in verdict.reason


def priced(symbol: str, returns: np.ndarray) -> Bars:
    """Bars whose daily log returns are these, from 100 on."""
    closes = 100.0 * np.exp(np.cumsum(np.r_[0.0, returns]))
    return bars(" ".join(f"{close:.17g}" for close in closes), symbol=symbol)


def with_history(series: Mapping[str, Bars], session: date) -> Book:
    return known(session=session, positions=held("A"), history=DailyHistory(series))


@pytest.mark.parametrize("seed", range(4))
def test_correlation_agrees_with_numpy_and_scipy(seed: int) -> None:
    x, y = tilted(0.9, seed=seed * 10, n=150)
    series = {"TEST": priced("TEST", x / 50), "A": priced("A", y / 50)}
    session = series["A"].session[140].item()
    window = slice(79, 139)  # the 60 returns of the sessions 80 to 139, on the day before 140
    expected = np.corrcoef(x[window], y[window])[0, 1]
    verdict = review(signal(), with_history(series, session), (rules.Correlation(),))

    assert verdict.value == pytest.approx(expected, abs=1e-9)
    assert verdict.value == pytest.approx(stats.pearsonr(x[window], y[window])[0], abs=1e-9)


def test_return_on_the_day_of_the_decision_does_not_matter() -> None:
    x, y = tilted(0.9, n=100)
    changed = x.copy()
    changed[79:] = noise(99, 21) * 10  # the return into session 80 and all later ones
    answers = []
    for mine in (x, changed):
        series = {"TEST": priced("TEST", mine / 50), "A": priced("A", y / 50)}
        session = series["A"].session[80].item()
        answers.append(review(signal(), with_history(series, session), (rules.Correlation(),)))

    assert answers[0].value == answers[1].value
    assert answers[0].rule == "correlation"


def test_return_before_the_window_does_not_matter_and_the_first_in_it_does() -> None:
    x, y = tilted(0.9, n=100)
    values = []
    for number in (None, 28, 29):  # decision in session 90: the window is returns 29 to 88
        mine = x.copy()
        if number is not None:
            mine[number] += 5.0
        series = {"TEST": priced("TEST", mine / 50), "A": priced("A", y / 50)}
        of = with_history(series, series["A"].session[90].item())
        found = rules.Correlation(limit=-1.0).deny(signal(), of)
        assert isinstance(found, Denial)
        values.append(found.value)

    assert values[0] == pytest.approx(values[1], abs=1e-9)
    assert values[0] != pytest.approx(values[2], abs=1e-3)


@pytest.mark.parametrize(("shared", "approved"), [(39, False), (40, True)])
def test_fewer_than_forty_shared_sessions_deny(shared: int, approved: bool) -> None:
    history = FixedHistory({"TEST": noise(1), "A": noise(2, shared)}, volume=MANY)
    verdict = review(signal(), known(positions=held("A"), history=history))

    assert verdict.approved is approved
    if not approved:
        assert (verdict.rule, verdict.limit, verdict.value) == ("correlation", 40, 39)


def test_sessions_that_only_one_symbol_has_are_not_made_up_for_by_older_ones() -> None:
    whole = priced("A", noise(3, 200))
    keep = np.ones(len(whole), dtype=bool)
    keep[141:162] = False  # 21 of the last 60 sessions before session 180 are missing
    ragged = whole[keep]
    series = {"TEST": replace(ragged, symbol="TEST"), "A": ragged}
    of = with_history(series, whole.session[180].item())
    verdict = review(signal(), of, (rules.Correlation(),))

    assert (verdict.rule, verdict.value) == ("correlation", 39)


STEADY = {
    "never moved": np.zeros(SESSIONS),
    "one percent a day": np.full(SESSIONS, math.log(1.01)),
    "one percent but for float noise": math.log(1.01) + np.resize([1e-16, -1e-16, 2e-16], SESSIONS),
    "not all numbers": np.r_[np.nan, noise(5, SESSIONS - 1)],
    "infinite": np.r_[np.inf, noise(5, SESSIONS - 1)],
}


@pytest.mark.parametrize("returns", STEADY.values(), ids=STEADY)
@pytest.mark.parametrize("swapped", [False, True])
def test_returns_without_variance_deny(returns: np.ndarray, swapped: bool) -> None:
    names = ("A", "TEST") if swapped else ("TEST", "A")
    history = FixedHistory(dict(zip(names, (returns, noise(5)), strict=True)), volume=MANY)
    with np.errstate(invalid="ignore"):
        verdict = review(signal(), known(positions=held("A"), history=history))

    assert verdict.rule == "correlation"
    assert not verdict.approved


def test_perfect_correlation_never_exceeds_one() -> None:
    history = FixedHistory({"TEST": noise(8), "A": noise(8) * 3}, volume=MANY)
    of = known(positions=held("A"), history=history)

    assert review(signal(), of, (rules.Correlation(limit=1.0),)).approved
    assert review(signal(), of, (rules.Correlation(),)).value == pytest.approx(1.0)


# -- sizing caps ----------------------------------------------------------------------------------

# What bounds the size: sizing, book, the bound, its limit in dollars or shares, shares allowed.
CAPS: list[tuple[dict[str, Any], dict[str, Any], str, float, int]] = [
    (dict(notional=1.0), {}, "risk", 2_000.0, 1_000),
    (dict(), {}, "notional", 20_000.0, 200),
    (
        dict(notional=1.0),
        dict(positions=held("A", size=9_950)),
        "buying power",
        500.0,
        5,
    ),
    (dict(notional=1.0), dict(history=FixedHistory(volume=12_345.0)), "volume", 123.45, 123),
]


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize(("sizing", "of", "bound", "limit", "size"), CAPS)
def test_each_cap_bounds_the_size(
    *, sizing: dict[str, Any], of: dict[str, Any], bound: str, limit: float, size: int, side: str
) -> None:
    verdict = review(side_signal(side), known(**of), (), RiskSizing(**sizing))

    assert (verdict.approved, verdict.rule, verdict.size) == (True, bound, size)
    assert verdict.limit == pytest.approx(limit)


NO_SHARE: list[tuple[dict[str, Any], dict[str, Any], str, float, float]] = [
    (dict(equity=99.99), dict(notional=1.0), "risk", 1.9998, 2.0),
    (dict(equity=499.99), dict(), "notional", 99.998, 100.0),
    (
        dict(positions=held("A", size=9_991)),
        dict(),
        "buying power",
        90.0,
        100.0,
    ),
    (dict(history=FixedHistory(volume=99.0)), dict(), "volume", 0.99, 1.0),
]


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize(("of", "sizing", "bound", "limit", "value"), NO_SHARE)
def test_cap_that_allows_no_share_denies(
    *, of: dict[str, Any], sizing: dict[str, Any], bound: str, limit: float, value: float, side: str
) -> None:
    verdict = review(side_signal(side), known(**of), (), RiskSizing(**sizing))

    assert (verdict.approved, verdict.size) == (False, 0)
    assert verdict.rule == f"size: {bound}"
    assert (verdict.limit, verdict.value) == (pytest.approx(limit), value)
    assert bound in verdict.reason


@pytest.mark.parametrize(
    ("of", "sizing"),
    [
        (dict(equity=100.0), dict(notional=1.0)),
        (dict(equity=500.0), dict()),
        (dict(positions=held("A", size=9_990)), dict()),
        (dict(history=FixedHistory(volume=100.0)), dict()),
    ],
)
def test_cap_that_allows_exactly_one_share_approves_one(
    of: dict[str, Any], sizing: dict[str, Any]
) -> None:
    assert review(signal(), known(**of), (), RiskSizing(**sizing)).size == 1


@pytest.mark.parametrize(("confidence", "size"), [(1, 0), (2, 250), (3, 500), (4, 750), (5, 1_000)])
def test_confidence_sets_the_risk(confidence: int, size: int) -> None:
    verdict = review(signal(confidence=confidence), known(), (), RiskSizing(notional=1.0))

    assert verdict.size == size
    if confidence == 1:
        assert (verdict.rule, verdict.value) == ("size: confidence", 1.0)
        assert verdict.reason == "confidence 1 is skipped"


def test_unknown_volume_denies() -> None:
    verdict = review(signal(), known(history=FixedHistory(volume=math.nan)), (), RiskSizing())

    assert verdict.rule == "size: volume"
    assert verdict.reason == "the average daily volume is unknown"


# -- halts ----------------------------------------------------------------------------------------

SINCE = new_york().close_at(START)


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize(
    ("halt", "refused"),
    [
        (Halt("h", "why", SINCE, latched=True, limit=-0.1, value=-0.2), True),
        (Halt("h", "why", SINCE, limit=-0.1, value=-0.2), True),
        (Halt("h", "why", SINCE, SINCE + timedelta(seconds=1), limit=-0.1, value=-0.2), True),
        (Halt("h", "why", SINCE, SINCE), False),
    ],
)
def test_halt_in_force_denies(halt: Halt, refused: bool, side: str) -> None:
    verdict = review(side_signal(side), known(halts=(halt,)))

    assert verdict.approved is not refused
    if refused:
        assert (verdict.rule, verdict.reason) == ("h", "halted: why")
        assert (verdict.limit, verdict.value) == (-0.1, -0.2)


@pytest.mark.parametrize(
    ("close", "loss", "halted"),
    [
        (100_000.0, 499.99, False),
        (100_000.0, 500.0, True),
        (16_666.67, 500.0, True),
        (10_000.0, 299.99, False),
        (10_000.0, 300.0, True),
        (10_000.0, -300.0, False),
    ],
)
def test_day_is_over_at_500_dollars_or_three_percent_of_the_previous_close(
    close: float, loss: float, halted: bool
) -> None:
    of = known(equity=close - loss, equity_at_previous_close=close)
    halt = rules.DailyLossHalt().halt(of)

    assert (halt is not None) is halted
    if halt is not None:
        assert (halt.rule, halt.latched, halt.since) == ("daily loss halt", False, of.at)
        assert halt.value == pytest.approx(-loss)
        assert halt.limit == pytest.approx(-min(500.0, 0.03 * close))


@pytest.mark.parametrize(
    ("equity", "halted"), [(90_000.01, False), (90_000.0, True), (89_000.0, True), (110_000, False)]
)
def test_drawdown_halts_at_exactly_ten_percent(equity: float, halted: bool) -> None:
    halt = rules.DrawdownHalt().halt(known(equity=equity, high=EQUITY))

    assert (halt is not None) is halted
    if halt is not None:
        assert halt.latched
        assert halt.until is None
        assert (halt.limit, halt.value) == (-0.10, pytest.approx(equity / EQUITY - 1))


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("2024-01-09 16:00", "2024-01-10 16:00"),  # Tuesday 11:00 -> Wednesday 11:00
        ("2024-01-12 16:00", "2024-01-16 14:30"),  # Friday 11:00 -> Tuesday: King's day between
        ("2024-01-05 16:00", "2024-01-08 14:30"),  # Friday 11:00 -> Monday's open
        ("2024-01-09 21:00", "2024-01-10 21:00"),  # Tuesday's close -> Wednesday's close
        ("2024-03-08 16:00", "2024-03-11 13:30"),  # clocks go forward: Monday's open is earlier
        ("2024-11-01 15:00", "2024-11-04 14:30"),  # clocks go back: Monday's open is later
        ("2023-07-03 15:00", "2023-07-05 13:30"),  # half day before Independence Day
        ("2024-11-29 18:00", "2024-12-02 14:30"),  # half day after Thanksgiving, at its close
    ],
)
def test_daily_halt_ends_after_24_hours_but_not_before_the_next_open(when: str, until: str) -> None:
    of = known(at=at(when), equity=99_000.0, equity_at_previous_close=EQUITY)
    halt = rules.DailyLossHalt().halt(of)

    assert halt is not None
    assert halt.until == at(until)


def test_halt_that_stands_is_not_called_for_again() -> None:
    gate = Gate(ALL, RiskSizing())
    low = known(equity=85_000.0, high=EQUITY, equity_at_previous_close=EQUITY)
    called = tuple(gate.halts(low))

    assert [halt.rule for halt in called] == ["drawdown halt", "daily loss halt"]
    assert list(gate.halts(replace(low, halts=called))) == []
    later = replace(low, halts=called, at=low.at + timedelta(days=1))
    assert [halt.rule for halt in gate.halts(later)] == ["daily loss halt"]


# -- the gate fails closed ------------------------------------------------------------------------


class Failing(RiskRule):
    params = dict(where="deny")

    def _fail(self, where: str) -> None:
        if self.p.where == where:
            raise ZeroDivisionError("no volume")

    def deny(self, signal: Signal, book: Book) -> str | None:
        return self._fail("deny")

    def deny_size(self, signal: Signal, size: int, book: Book) -> str | None:
        return self._fail("deny_size")

    def halt(self, book: Book) -> Halt | None:
        return self._fail("halt")


@pytest.mark.parametrize("where", ["deny", "deny_size"])
def test_error_inside_a_rule_denies_and_asks_for_an_operator(where: str) -> None:
    verdict = review(signal(), known(), (Failing(where=where),))

    assert (verdict.approved, verdict.rule, verdict.alert) == (False, "failing", True)
    assert verdict.reason == "the rule failed: ZeroDivisionError('no volume')"


def test_error_inside_a_halt_latches_a_halt() -> None:
    (halt,) = Gate((Failing(where="halt"),), RiskSizing()).halts(known())

    assert (halt.rule, halt.latched) == ("failing", True)


def test_error_inside_the_sizing_denies_and_asks_for_an_operator() -> None:
    class NoHistory(FixedHistory):
        def average_volume(self, symbol: str, *, through: date, sessions: int) -> float:
            raise OSError("disk")

    verdict = review(signal(), known(history=NoHistory()), ())

    assert (verdict.approved, verdict.rule, verdict.alert) == (False, "size", True)
    assert "disk" in verdict.reason


@pytest.mark.parametrize("field", ["equity", "equity_at_previous_close", "high"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_unknown_account_denies(field: str, value: float) -> None:
    of = replace(known(), **{field: value})
    verdict = review(signal(), of)

    assert (verdict.approved, verdict.rule, verdict.alert) == (False, "equity", True)
    assert list(Gate(ALL, NOTHING).halts(of)) == [] or math.isinf(value)


@pytest.mark.parametrize("equity", [0.0, -5.0])
def test_account_without_equity_denies(equity: float) -> None:
    assert review(signal(), known(equity=equity, high=EQUITY)).rule == "equity"


@pytest.mark.parametrize("answer", ["", False, "no"])
def test_any_answer_but_none_denies(answer: Any) -> None:
    class Answering(RiskRule):
        def deny(self, signal: Signal, book: Book) -> str | None:
            return answer

    assert not review(signal(), known(), (Answering(),)).approved


def test_mark_that_is_no_number_denies() -> None:
    of = known(positions={"A": position("A", mark=math.nan)})

    assert not review(signal(), of).approved


def test_faulty_signal_is_denied_with_an_alert_before_any_rule_is_asked() -> None:
    verdict = review(signal(confidence=7), known(), (Failing(),))

    assert (verdict.rule, verdict.alert) == ("signal", True)
    assert "confidence is 7" in verdict.reason


def test_first_denial_in_order_wins() -> None:
    of = known(positions=held("TEST", "A", "B", "C", "D"))
    both = (rules.OneSystemPerSymbol(), rules.MaxPositions())

    assert review(signal(), of, both).rule == "one system per symbol"
    assert review(signal(), of, both[::-1]).rule == "max positions"


@pytest.mark.parametrize("rule", [rules.MaxPositions, object(), "max positions", None])
def test_gate_takes_rules_only(rule: Any) -> None:
    with pytest.raises(ConfigError, match="expected a RiskRule"):
        Gate((rule,), RiskSizing())


def test_halt_is_known_by_its_rule_whatever_it_calls_itself() -> None:
    class Moody(RiskRule):
        def halt(self, book: Book) -> Halt | None:
            return Halt("mood", "bad", book.at, latched=True)

    gate = Gate((Moody(),), RiskSizing())
    called = tuple(gate.halts(known()))

    assert [halt.rule for halt in called] == ["moody"]
    assert list(gate.halts(known(halts=called))) == []


def test_standard_rules_survive_a_pickle_with_their_parameters() -> None:
    copies = pickle.loads(pickle.dumps((*ALL, rules.MaxPositions(limit=2))))  # noqa: S301 (our own bytes)

    assert [repr(rule) for rule in copies] == [repr(rule) for rule in ALL] + [
        "MaxPositions(limit=2)"
    ]


def test_denial_survives_a_pickle_with_limit_and_value() -> None:
    copy = pickle.loads(pickle.dumps(Denial("too much", limit=1.0, value=2.0)))  # noqa: S301 (our own bytes)

    assert (copy, copy.limit, copy.value) == ("too much", 1.0, 2.0)


def test_unknown_rule_parameter_is_an_error() -> None:
    with pytest.raises(TypeError):
        rules.MaxPositions(limt=3)


@pytest.mark.parametrize(
    "fields",
    [
        dict(risk=(0, 0, 0, 0)),
        dict(risk=(0, 0, 0, 0, 2)),
        dict(risk=(0, 0, 0, 0, math.nan)),
        dict(risk=(0, 0, 0, 0, -0.01)),
        dict(notional=0),
        dict(notional=20),
        dict(volume=math.nan),
        dict(volume_sessions=0),
    ],
)
def test_sizing_refuses_numbers_that_are_no_fractions(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        RiskSizing(**fields)
