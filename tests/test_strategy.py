# SPDX-License-Identifier: GPL-3.0-or-later
"""The spine: what happens on a bar, in which order, and what can never happen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.book import Book, Halt
from iverson.errors import ConfigError
from iverson.execution.costs import Costs
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.model import Fill, OrderEvent, Signal, Verdict
from iverson.research.backtest import Outcome, Prepared, Setup, simulate
from iverson.risk import rules
from iverson.risk.rules import RiskRule
from iverson.signals.entry import Long, Short
from iverson.strategy import Strategy
from iverson.testing import START, bars, run_signals, signal

CASH = 100_000.0
WARM_UP = 62
FLAT = "100/101/99/100 "
RISING = st.sampled_from([-0.03, -0.01, -0.004, 0.0, 0.004, 0.01, 0.03])


def flat(n: int, symbol: str = "TEST", **how: Any) -> Bars:
    """Bars that trade from 99 to 101 and close at 100, every session."""
    return bars(FLAT * n, symbol=symbol, **how)


def walk(steps: list[float], symbol: str = "TEST", **how: Any) -> Bars:
    """Bars whose closes follow these returns from 100, each with a range of a percent."""
    closes = 100.0 * np.cumprod(1.0 + np.asarray(steps))
    words = (f"{c:.2f}/{c * 1.01:.2f}/{c * 0.99:.2f}/{c:.2f}" for c in closes)
    return bars(" ".join(words), symbol=symbol, **how)


def go(strategy: type[Strategy], given_bars: Bars | Mapping[str, Bars], **options: Any) -> Outcome:
    """Run a strategy over the sessions of its bars, or those from `first` to `last`."""
    series = {given_bars.symbol: given_bars} if isinstance(given_bars, Bars) else given_bars
    sessions = np.unique(np.concatenate([one.session for one in series.values()]))
    first = options.pop("first", sessions[0].item())
    last = options.pop("last", sessions[-1].item())
    setup = Setup(strategy, **{"rules": (), "costs": Costs.none(), "cash": CASH, **options})
    return simulate(setup, Prepared.of(series), first=first, last=last)


def entries(outcome: Outcome) -> list[Fill]:
    return [fill for fill in outcome.record.fills if fill.leg == "entry"]


def exits(outcome: Outcome) -> list[Fill]:
    return [fill for fill in outcome.record.fills if fill.leg != "entry"]


class Always(Strategy):
    """Wants every symbol at every bar."""

    def entry(self, data: Any) -> Long:
        return Long(confidence=5, limit=data.close, stop=data.close * 0.97, reason=data.close)


class Eager(Always):
    """The same without a warm-up."""

    warm_up = 0


class Dips(Strategy):
    """Buys below and sells above a short average, after few bars."""

    params = dict(period=3)
    warm_up = 5

    def entry(self, data: Any) -> tuple[Long, Short]:
        off = data.close / bt.ind.SMA(data, period=self.p.period) - 1
        gap = bt.Min(2 * bt.ind.ATR(data, period=3), 0.04 * data.close)
        return (
            Long(bt.If(off < -0.01, 5, bt.If(off < 0, 3, 0)), data.close, data.close - gap),
            Short(bt.If(off > 0.01, 4, 0), data.close, data.close + gap, data.close - gap),
        )


# -- one bar's journey ----------------------------------------------------------------------------


def test_steps_of_a_bar_come_in_order_and_signals_are_all_heard_before_the_first_order() -> None:
    heard: list[str] = []

    class Spy(Eager):
        def close_expired(self) -> None:
            heard.append("expired")
            super().close_expired()

        def signals(self) -> Iterator[Signal]:
            for one in super().signals():
                heard.append(f"signal {one.symbol}")
                yield one

        def open(self, verdict: Verdict) -> None:
            heard.append(f"open {verdict.signal.symbol}")
            super().open(verdict)

    go(Spy, {name: flat(3, name) for name in ("A", "B")}, rules=(rules.OneSystemPerSymbol(),))

    first = ["expired", "signal A", "signal B", "open A", "open B"]
    second = ["expired", "signal A", "signal B"]
    assert heard == [*first, *second, "expired"]


def test_scarce_slots_go_to_the_highest_confidence_then_to_the_first_symbol() -> None:
    series = {name: flat(4, name) for name in ("C", "A", "B", "D")}
    plan = [signal(symbol=s, confidence=c) for s, c in zip("DBAC", (3, 4, 3, 3), strict=True)]
    outcome = run_signals(series, {1: plan}, rules=(rules.MaxPositions(limit=2),))
    verdicts = outcome.record.verdicts

    assert [v.signal.symbol for v in verdicts] == ["B", "C", "A", "D"]
    assert [v.approved for v in verdicts] == [True, True, False, False]


def test_slot_is_taken_when_the_order_is_decided() -> None:
    series = {name: flat(4, name) for name in ("A", "B")}
    plan = [signal(symbol=name) for name in ("A", "B")]
    first, second = run_signals(
        series, {1: plan}, rules=(rules.MaxPositions(limit=1),)
    ).record.verdicts

    assert first.approved
    assert (second.rule, second.limit, second.value) == ("max positions", 1, 1)


@pytest.mark.parametrize("poison", [math.nan, math.inf, "5", None])
def test_impossible_confidence_does_not_disturb_the_ranking_of_the_others(poison: Any) -> None:
    names = ("A", "B", "C", "D", "E")
    plan = [
        signal(symbol=name, confidence=confidence)
        for name, confidence in zip(names, (2, 4, poison, 3, 5), strict=True)
    ]
    verdicts = run_signals({n: flat(3, n) for n in names}, {1: plan}).record.verdicts

    assert [v.signal.symbol for v in verdicts] == ["E", "B", "D", "A", "C"]
    assert [v.approved for v in verdicts] == [True] * 4 + [False]


def test_each_approved_verdict_makes_one_entry_and_no_denied_one_does() -> None:
    outcome = go(
        Dips,
        {name: walk([0.03, -0.02] * 15, name) for name in ("A", "B", "C")},
        rules=(rules.OneSystemPerSymbol(), rules.MaxPositions(limit=1)),
    )
    made = [
        event.order_id
        for event in outcome.record.of(OrderEvent)
        if event.leg == "entry" and event.status == "accepted"
    ]
    approved = [verdict for verdict in outcome.record.verdicts if verdict.approved]

    assert len(made) == len(set(made)) == len(approved) > 5
    assert len(outcome.record.verdicts) > len(approved)


def test_denied_signal_is_noted_with_rule_limit_and_value_and_makes_no_order() -> None:
    wide = signal(stop=90.0)
    outcome = run_signals(flat(4), {1: wide}, rules=(rules.StopDistance(),))
    (verdict,) = outcome.record.verdicts

    assert (verdict.approved, verdict.rule, verdict.limit) == (False, "stop distance", 0.05)
    assert verdict.value == pytest.approx(0.10)
    assert outcome.record.of(OrderEvent) == []


def test_error_inside_a_rule_denies_with_an_alert_and_the_run_goes_on() -> None:
    class Broken(RiskRule):
        def deny(self, signal: Signal, book: Book) -> str | None:
            raise KeyError("cache")

    outcome = run_signals(flat(6), {1: signal(), 3: signal()}, rules=(Broken(),))

    assert [(v.rule, v.alert) for v in outcome.record.verdicts] == [("broken", True)] * 2
    assert outcome.record.of(OrderEvent) == []


def test_halt_cancels_working_entries_and_leaves_exits_alone() -> None:
    series = {
        "A": bars("100 | 100/101/99/100 99/99/97/97 97/97/96/96 108/108/104/104", symbol="A"),
        "B": flat(5, "B"),
    }
    deep = signal(symbol="B", limit=90.0, stop=88.0, target=None)  # never reached
    run = run_signals(
        series,
        {1: signal(symbol="A", stop=95.0), 2: deep, 3: signal(symbol="B")},
        rules=(rules.DailyLossHalt(),),
        params=dict(entry_sessions=4, max_sessions=None),
    )
    (halt,) = run.record.halts
    canceled = [
        (event.at, event.symbol)
        for event in run.record.of(OrderEvent)
        if event.leg == "entry" and event.status == "canceled"
    ]

    assert halt.since == new_york().close_at(date(2024, 1, 4))
    assert [v.rule for v in run.record.verdicts if not v.approved] == ["daily loss halt"]
    assert canceled == [(halt.since, "B")]
    assert [fill.leg for fill in run.record.fills] == ["entry", "target"]


def test_drawdown_halt_stops_a_strategy_for_twenty_sessions() -> None:
    falling = bars("100 " * 3 + "100/100/80/80 " + "80 " * 30)
    often = {n: signal(limit=101.0, stop=60.0, target=None) for n in range(1, 34)}
    run = run_signals(
        falling,
        often,
        rules=(rules.DrawdownHalt(limit=0.005), rules.OneSystemPerSymbol()),
        params=dict(max_sessions=2),
    )
    (halt,) = run.record.halts
    refused = [v.signal.session for v in run.record.verdicts if v.rule == "drawdown halt"]

    assert halt.latched
    assert (
        refused
        == new_york()
        .sessions[new_york().ordinal(refused[0]) : new_york().ordinal(refused[0]) + 20]
        .tolist()
    )


@pytest.mark.parametrize("flatten", [True, False])
def test_halt_leaves_positions_only_when_asked_to(flatten: bool) -> None:
    """The loss of bar 3 halts; a flattening halt leaves at the next close, whatever the time."""
    falling = bars("100 | 100/101/99/100 | 99/99/97/97 | 97/98/96/97.5 | 97 97")
    run = run_signals(
        falling,
        {1: signal(stop=90.0, target=None, max_sessions=None)},
        rules=(rules.DailyLossHalt(flatten=flatten),),
    )
    (trade,) = run.record.trades

    assert trade.exit_reason == ("flatten" if flatten else "fold end")
    assert trade.exit == (97.5 if flatten else 97.0)
    assert [halt.flatten for halt in run.record.halts] == [flatten]


# -- when nothing may be entered ------------------------------------------------------------------


def test_warm_up_is_62_bars_or_ten_times_the_longest_period() -> None:
    class Slow(Always):
        def entry(self, data: Any) -> Long:
            bt.ind.SMA(data, period=9)
            return super().entry(data)

    assert go(Always, flat(70)).warm_up == WARM_UP
    assert go(Slow, flat(100)).warm_up == 90


@pytest.mark.parametrize("begin", [0, 30, 62, 65])
def test_nothing_is_decided_in_warm_up_nor_on_the_last_session(begin: int) -> None:
    series = flat(70)
    verdicts = go(Always, series, first=series.session[begin].item()).record.verdicts
    expected = series.session[max(begin, WARM_UP) : -1].tolist()

    assert [verdict.signal.session for verdict in verdicts] == expected


def test_young_symbol_warms_up_on_its_own_bars_and_holds_nobody_up() -> None:
    late = 20
    series = {"OLD": flat(100), "NEW": flat(80, "NEW", start=_session(late))}
    series = {name: replace(one, symbol=name) for name, one in series.items()}
    verdicts = go(Always, series).record.verdicts
    first = {v.signal.symbol: v.signal.session for v in reversed(verdicts)}

    assert first == {"OLD": _session(WARM_UP), "NEW": _session(late + WARM_UP)}


def _session(n: int) -> date:
    return new_york().offset(START, n)


def test_generator_cannot_enter_a_symbol_that_is_young_absent_or_unknown() -> None:
    class Reckless(Strategy):
        warm_up = 3

        def signals(self) -> Iterator[Signal]:
            now = self.desk.now
            for name in ("OLD", "NEW", "GONE", "NONE"):
                yield signal(symbol=name, max_sessions=None, at=now.at, session=now.session)

    series = {
        "OLD": flat(12, "OLD"),
        "NEW": flat(6, "NEW", start=_session(6)),
        "GONE": flat(5, "GONE"),
    }
    verdicts = go(Reckless, series, rules=(rules.OneSystemPerSymbol(),)).record.verdicts
    unfit = {
        name: [v.signal.session for v in verdicts if v.rule == "bars" and v.signal.symbol == name]
        for name in ("OLD", "NEW", "GONE", "NONE")
    }

    assert unfit == {
        "OLD": [_session(n) for n in range(3)],
        "NEW": [_session(n) for n in range(9)],
        "GONE": [_session(n) for n in (0, 1, 2, *range(5, 11))],
        "NONE": [_session(n) for n in range(11)],
    }
    assert [v.signal.symbol for v in verdicts if v.approved] == ["OLD", "GONE", "NEW"]
    assert "has no bar now" in verdicts[0].reason


def test_symbol_is_judged_only_on_sessions_it_printed() -> None:
    whole = flat(20, "B")
    keep = np.ones(20, dtype=bool)
    keep[[7, 8, 13]] = False
    run = go(Eager, {"A": flat(20, "A"), "B": whole[keep]})
    judged = [v.signal.session for v in run.record.verdicts if v.signal.symbol == "B"]

    assert judged == whole.session[keep][:-1].tolist()


def test_future_of_a_symbol_that_has_not_started_is_never_read() -> None:
    """Backtrader's [0] of a feed that has not started is the last bar of the file."""

    class Both(Strategy):
        warm_up = 2

        def entry(self, data: Any) -> Long:
            cheap = bt.If(data.close < 90, 5, 0)
            return Long(cheap, data.close, data.close * 0.97)

    old = walk([0.0] * 4 + [-0.15] + [0.0] * 15, "OLD")
    tails = ("100 100 100 100 100 80", "100 100 100 100 100 900")
    runs = []
    for tail in tails:
        young = bars(f"100 100 100 100 {tail}", symbol="NEW", start=_session(10))
        verdicts = go(Both, {"OLD": old, "NEW": young}).record.verdicts
        runs.append([v for v in verdicts if v.signal.session < _session(19)])

    assert runs[0] == runs[1]
    assert {v.signal.symbol for v in runs[0]} == {"OLD"}


# -- what a strategy may get wrong ----------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    (dict(confidence=3.5), "confidence is 3.5"),
    (dict(confidence=3.0), "confidence is 3.0"),
    (dict(confidence=math.nan), "confidence is nan"),
    (dict(confidence=7), "confidence is 7"),
    (dict(confidence=0), "confidence is 0"),
    (dict(confidence=-1), "confidence is -1"),
    (dict(confidence=True), "confidence is True"),
    (dict(confidence="5"), "confidence is '5'"),
    (dict(limit=math.nan), "limit is nan"),
    (dict(limit=math.inf), "limit is inf"),
    (dict(limit=0.0), "limit is 0"),
    (dict(stop=math.nan), "stop is nan"),
    (dict(stop=-1.0), "stop is -1"),
    (dict(target=math.inf), "target is inf"),
    (dict(stop=100.0), "stop 100 must lie below the limit 100"),
    (dict(stop=101.0), "must lie below"),
    (dict(target=99.0), "must lie above"),
    (dict(side="short"), "must lie above the limit"),
    (dict(side="short", stop=102.0, target=104.0), "must lie below the limit"),
    (dict(side="flat"), "side is 'flat'"),
    (dict(max_sessions=-1), "max_sessions is -1"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG)
def test_faulty_signal_is_denied_noted_and_alerted(wrong: dict[str, Any], words: str) -> None:
    outcome = run_signals(flat(4), {1: signal(**wrong)})
    (verdict,) = outcome.record.verdicts

    assert (verdict.approved, verdict.rule, verdict.alert) == (False, "signal", True)
    assert words in verdict.reason
    assert outcome.record.of(OrderEvent) == []


def test_stop_that_rounds_onto_the_limit_is_denied() -> None:
    (verdict,) = run_signals(flat(4), {1: signal(limit=100.004, stop=99.991)}).record.verdicts

    assert not verdict.approved


@pytest.mark.parametrize(
    ("confidence", "judged"),
    [(0, False), (math.nan, False), (3.5, True), (7, True), (-1, True), (math.inf, True)],
)
def test_confidence_line_that_is_no_whole_number_is_denied_and_zero_is_no_signal(
    confidence: float, judged: bool
) -> None:
    class Line(Strategy):
        warm_up = 0

        def entry(self, data: Any) -> Long:
            line = bt.If(data.close > 0, confidence, confidence)
            return Long(line, data.close, data.close * 0.97)

    verdicts = go(Line, flat(4)).record.verdicts

    assert len(verdicts) == (3 if judged else 0)
    assert all(v.rule == "signal" and v.alert for v in verdicts)


def test_strategy_without_entry_or_signals_says_so() -> None:
    class Empty(Strategy):
        pass

    with pytest.raises(ConfigError, match="neither entry\\(data\\) nor signals"):
        go(Empty, flat(70))


@pytest.mark.parametrize("wrong", [None, 5, "buy", [5], {}, (None,)])
def test_entry_that_returns_something_else_says_so(wrong: Any) -> None:
    class Other(Strategy):
        def entry(self, data: Any) -> Any:
            return wrong

    with pytest.raises(ConfigError, match="expected Long or Short"):
        go(Other, flat(70))


@pytest.mark.parametrize("wrong", [None, [None], [5], [{"side": "long"}]])
def test_signals_that_gives_something_else_says_so(wrong: Any) -> None:
    class Other(Strategy):
        warm_up = 0

        def signals(self) -> Any:
            return wrong

    with pytest.raises(ConfigError, match="signals\\(\\)"):
        go(Other, flat(5))


def test_own_init_without_super_says_so() -> None:
    class Mine(Eager):
        def __init__(self) -> None:
            self.seen = 0

    with pytest.raises(ConfigError, match="must call super"):
        go(Mine, flat(5))


def test_strategy_in_a_foreign_cerebro_says_so() -> None:
    cerebro = bt.Cerebro()
    cerebro.adddata(Prepared.of({"TEST": flat(3)}).feeds["TEST"].data(slice(0, 3)))
    cerebro.addstrategy(Eager)

    with pytest.raises(ConfigError, match="has no desk"):
        cerebro.run()


def test_signals_may_filter_the_entries() -> None:
    class Filtered(Eager):
        def signals(self) -> Iterator[Signal]:
            yield from (one for one in super().signals() if one.session != _session(1))

    judged = [v.signal.session for v in go(Filtered, flat(5)).record.verdicts]

    assert judged == [_session(0), _session(2), _session(3)]


def test_entry_may_leave_a_symbol_out() -> None:
    class One(Eager):
        def entry(self, data: Any) -> Any:
            return super().entry(data) if data._name == "A" else ()

    run = go(One, {name: flat(4, name) for name in ("A", "B")})

    assert {v.signal.symbol for v in run.record.verdicts} == {"A"}


# -- time limits ----------------------------------------------------------------------------------


def _held(outcome: Outcome) -> list[tuple[date, date, str]]:
    return [(t.entry_session, t.exit_session, t.exit_reason) for t in outcome.record.trades]


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize(
    ("entered", "sessions", "left"),
    [
        (date(2024, 1, 9), 0, date(2024, 1, 9)),
        (date(2024, 1, 9), 1, date(2024, 1, 10)),
        (date(2024, 1, 9), 2, date(2024, 1, 11)),
        (date(2024, 1, 5), 0, date(2024, 1, 5)),
        (date(2024, 1, 5), 1, date(2024, 1, 8)),  # Friday, 1: Monday
        (date(2024, 1, 5), 2, date(2024, 1, 9)),
        (date(2024, 1, 12), 1, date(2024, 1, 16)),  # over King's day
        (date(2024, 7, 2), 1, date(2024, 7, 3)),  # a half day
        (date(2024, 7, 3), 0, date(2024, 7, 3)),
        (date(2024, 7, 3), 1, date(2024, 7, 5)),  # over Independence Day
        (date(2024, 11, 27), 2, date(2024, 12, 2)),  # Thanksgiving, then a half day
    ],
)
def test_time_limit_leaves_at_the_close_of_its_session(
    side: str, entered: date, sessions: int, left: date
) -> None:
    way = 1 if side == "long" else -1
    series = flat(8, start=new_york().offset(entered, -1))
    one = signal(side=side, stop=100 - 3 * way, target=None, max_sessions=sessions)
    outcome = run_signals(series, {1: one})

    assert _held(outcome) == [(entered, left, "time limit")]
    assert outcome.record.fills[-1].at == new_york().close_at(left)
    assert outcome.record.fills[-1].price == 100.0


def test_without_a_time_limit_the_position_stays_to_the_end() -> None:
    outcome = run_signals(flat(10), {1: signal(target=None, max_sessions=None)})

    assert _held(outcome) == [(_session(1), _session(9), "fold end")]


def test_stop_and_target_still_work_while_the_time_limit_waits() -> None:
    series = bars("100 | 100/101/99/100 | 100/101/97/99 | 99")
    outcome = run_signals(series, {1: signal(max_sessions=1)})

    assert _held(outcome) == [(_session(1), _session(2), "stop")]
    assert len(exits(outcome)) == 1


def test_time_limit_of_a_symbol_that_skips_its_session_fills_on_its_next_bar() -> None:
    whole = flat(8, "B")
    keep = np.array([True, True, False, True, True, True, True, True])
    outcome = run_signals(
        {"A": flat(8, "A"), "B": whole[keep]}, {1: signal(symbol="B", target=None, max_sessions=1)}
    )

    assert _held(outcome) == [(_session(1), _session(3), "time limit")]
    assert [f.leg for f in exits(outcome)] == ["time limit"]


def test_position_in_a_symbol_that_ended_is_closed_at_its_last_price() -> None:
    short = bars("100 | 100/101/99/100 | 98.5", symbol="B")
    outcome = run_signals(
        {"A": flat(8, "A"), "B": short}, {1: signal(symbol="B", target=None, max_sessions=3)}
    )
    (trade,) = outcome.record.trades

    assert (trade.exit_reason, trade.exit) == ("bars end", 98.5)


def minutes(n: int, step: int, symbol: str = "TEST") -> Bars:
    """Bars of `step` minutes over `n` whole sessions, each from 99 to 101 and closing at 100."""
    rights, owners = [], []
    for number in range(n):
        session = _session(number)
        opened, closed = new_york().open_at(session), new_york().close_at(session)
        edges = np.arange(step, (closed - opened) // timedelta(minutes=1) + 1, step)
        start = np.datetime64(opened.replace(tzinfo=None), "ns")
        rights.append(start + edges.astype("timedelta64[m]"))
        owners.append(np.full(len(edges), session, dtype="datetime64[D]"))
    at, session = np.concatenate(rights), np.concatenate(owners)
    column = lambda value: np.full(len(at), float(value))
    return Bars(
        symbol, f"{step}m", at, session, column(100), column(101), column(99), column(100),
        column(1e6), column(1), column(0),
    )  # fmt: skip


@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize("sessions", [0, 1])
def test_minute_bars_leave_before_the_close_of_the_last_session(step: int, sessions: int) -> None:
    series = minutes(4, step)
    per_day = 390 // step
    plan = {per_day + 10: signal(target=None, max_sessions=sessions)}
    outcome = run_signals(series, plan)
    (trade,) = outcome.record.trades
    left = new_york().close_at(_session(1 + sessions)) - trade.exit_at

    assert (trade.entry_session, trade.exit_reason) == (_session(1), "time limit")
    assert timedelta(0) <= left <= timedelta(minutes=5)


def test_minute_bars_of_the_first_session_have_no_known_volume() -> None:
    (verdict,) = run_signals(minutes(2, 5), {10: signal()}).record.verdicts

    assert verdict.rule == "size: volume"


# -- no look into the future ----------------------------------------------------------------------


def decisions(outcome: Outcome, before: date) -> list[Verdict]:
    return [v for v in outcome.record.verdicts if v.signal.session < before]


def before(outcome: Outcome, session: date) -> list[Fill]:
    return [fill for fill in outcome.record.fills if fill.session < session]


def test_prices_in_signals_are_raw_dollars_on_both_sides_of_a_split() -> None:
    series = bars("100 101 102 103 | 51.5/52/51/51.5 52 53 54", splits={4: 2.0})
    limits = [v.signal.limit for v in go(Eager, series).record.verdicts]

    assert limits == [100, 101, 102, 103, 51.5, 52, 53]


@pytest.mark.parametrize("ratio", [2.0, 7.0, 1.5, 0.1])
def test_split_does_not_change_a_decision_before_it(ratio: float) -> None:
    at_bar = 20
    plain = walk([0.02, -0.03, 0.01] * 12)
    split = replace(
        plain,
        **{
            name: np.r_[getattr(plain, name)[:at_bar], getattr(plain, name)[at_bar:] / ratio]
            for name in ("open", "high", "low", "close")
        },
        factor=np.r_[np.ones(at_bar), np.full(len(plain) - at_bar, ratio)],
    )
    cut = split[: at_bar + 1]
    using = dict(rules=rules.standard(short=True))
    day = split.session[at_bar].item()

    assert decisions(go(Dips, split, **using), day) == decisions(go(Dips, cut, **using), day)
    assert decisions(go(Dips, split, **using), day) == decisions(go(Dips, plain, **using), day)
    assert decisions(go(Dips, split, **using), day)


@settings(max_examples=6)
@given(
    st.lists(RISING, min_size=14, max_size=26),
    st.lists(RISING, min_size=8, max_size=14),
)
def test_run_cut_at_any_bar_decides_and_fills_the_same(
    steps: list[float], young: list[float]
) -> None:
    series = {"A": walk(steps, "A"), "B": walk(young, "B", start=_session(4))}
    using = dict(rules=(rules.DailyLossHalt(limit_usd=200.0), *rules.standard(short=True)[2:4]))
    whole = go(Dips, series, **using)
    for n in range(8, len(steps)):
        last = series["A"].session[n].item()
        cut = {
            name: one[: int(np.searchsorted(one.session, np.datetime64(last), side="right"))]
            for name, one in series.items()
        }
        part = go(Dips, cut, **using)

        assert decisions(part, last) == decisions(whole, last)
        assert before(part, last) == before(whole, last)
        assert [h for h in part.record.halts if h.since < new_york().close_at(last)] == [
            h for h in whole.record.halts if h.since < new_york().close_at(last)
        ]


@settings(max_examples=6)
@given(st.lists(RISING, min_size=20, max_size=40))
def test_batch_and_bar_by_bar_runs_are_identical(steps: list[float]) -> None:
    series = {"A": walk(steps, "A"), "B": walk(steps[::-1], "B", start=_session(3))}
    run = bt.Cerebro.run
    records = []
    for once, preload in ((True, True), (False, True), (False, False)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                bt.Cerebro,
                "run",
                lambda self: run(self, runonce=once, preload=preload),  # noqa: B023 (called at once)
            )
            records.append(go(Dips, series, rules=rules.standard(short=True)[:5]).record.values)

    assert records[0] == records[1] == records[2]
    assert any(isinstance(value, Verdict) for value in records[0])


# -- shorts, and several at once ------------------------------------------------------------------


def test_short_strategy_earns_when_the_price_falls() -> None:
    class Sell(Strategy):
        warm_up = 0

        def entry(self, data: Any) -> Short:
            return Short(5, data.close, data.close * 1.03, data.close * 0.96)

    series = bars("100 | 100/101/99/100 | 100/100/95/95 | 95")
    outcome = go(Sell, series, rules=(rules.OneSystemPerSymbol(),))
    (trade,) = [t for t in outcome.record.trades if t.exit_reason == "target"]

    assert (trade.side, trade.entry, trade.exit) == ("short", 100.0, 96.0)
    assert trade.pnl == pytest.approx(4.0 * trade.size)


@pytest.mark.parametrize(
    ("as_alpaca", "left"),
    [(False, 110.0), (True, 105.57)],  # 103 and 2.5 %, to the tick below
)
def test_stop_of_a_short_that_a_gap_has_passed_waits_at_alpacas_collar_if_asked_to(
    *, as_alpaca: bool, left: float
) -> None:
    class Sell(Strategy):
        warm_up = 0

        def entry(self, data: Any) -> Short:
            return Short(5, data.close, 103.0, 90.0)

    series = bars("100 | 100/101/99/100 | 110/112/108/110 | 110/111/104/106")
    outcome = go(Sell, series, rules=(rules.OneSystemPerSymbol(),), as_alpaca=as_alpaca)
    (trade,) = [one for one in outcome.record.trades if one.exit_reason == "stop"]

    assert (trade.side, trade.entry, trade.exit) == ("short", 100.0, left)


def test_opposite_entries_of_one_symbol_become_one_position() -> None:
    class Either(Strategy):
        warm_up = 0

        def entry(self, data: Any) -> list[Any]:
            return [
                Short(3, data.close, data.close * 1.03),
                Long(4, data.close, data.close * 0.97),
            ]

    run = go(Either, flat(5), rules=(rules.OneSystemPerSymbol(),))
    first, second = run.record.verdicts[:2]

    assert (first.signal.side, first.approved) == ("long", True)
    assert (second.signal.side, second.rule) == ("short", "one system per symbol")


def test_halt_is_decided_before_the_signals_of_its_bar() -> None:
    class Now(RiskRule):
        def halt(self, book: Book) -> Halt | None:
            return Halt(self.name, "now", book.at, latched=True)

    run = run_signals(flat(4), {1: signal()}, rules=(Now(),))

    assert [v.rule for v in run.record.verdicts] == ["now"]
    assert len(run.record.halts) == 1
