# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run stands, by its journal alone: state, halts, equity, positions, entries that wait.

Pure reading: no venue is asked and nothing is written. What the journal cannot know (marks of this
minute, what really stands at the broker) may be laid over it by `AtBroker`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from iverson.book import Halt, State
from iverson.market.calendar import new_york
from iverson.model import Fill, Stage
from iverson.monitoring.events import Alarm, Heartbeat
from iverson.monitoring.journal import Journal
from iverson.monitoring.standing_rows import KINDS, WHOLE, Held, Reader, Waiting


@dataclass(frozen=True, slots=True)
class Standing:
    """One run as its journal has it.

    `at` is the instant it is told for. `halts` are those in force then. `equity` is that of
    `equity_at`, the last instant at which it was noted, and `day_pnl` what that session had gained
    since the close before it, without deposits; both NaN when unknown. `previous_close` is the
    equity from which the session of `at` is counted. `alarms` are those of that session.
    """

    run: str
    system: str
    stage: Stage | None
    at: datetime | None
    state: State
    halts: tuple[Halt, ...] = ()
    cash: float = math.nan
    equity: float = math.nan
    equity_at: datetime | None = None
    day_pnl: float = math.nan
    previous_close: float = math.nan
    positions: tuple[Held, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    heartbeat: Heartbeat | None = None
    alarms: tuple[Alarm, ...] = ()
    fills: tuple[Fill, ...] = ()
    denied: int = 0
    approved: int = 0


def standing_of(journal: Journal, run: str, *, at: datetime | None = None) -> Standing:
    """Read how a run stands at an instant; None takes that of its newest row.

    A run that the journal does not have stands empty: stage None, everything unknown.
    """
    reader = Reader()
    for _, value in journal.each(*KINDS, run=run):
        reader.take(value)
    at = at or reader.newest
    if at is None:
        return Standing(run, "", None, None, "active")
    today = new_york().session_of(at)
    halts = tuple(halt for halt in reader.halts.values() if halt.in_force(at))
    state: State = "halted" if halts else "active"
    if any(halt.flatten for halt in halts):
        state = "reducing"
    last, row = reader.equity, reader.row
    judged = [one for one in reader.judged if last and one.signal.session == last.session]
    return Standing(
        run=run,
        system="" if row is None else row.system,
        stage=None if row is None else row.stage,
        at=at,
        state=state,
        halts=halts,
        cash=math.nan if last is None else last.cash,
        equity=math.nan if last is None else last.equity,
        equity_at=None if last is None else last.at,
        day_pnl=math.nan if last is None else last.equity - reader.close_before(last.session),
        previous_close=reader.close_before(today),
        positions=tuple(reader.held(symbol, today) for symbol in reader.open),
        waiting=tuple(reader.waits(at)),
        heartbeat=reader.heartbeat,
        alarms=tuple(one for one in reader.alarms if new_york().session_of(one.at) == today),
        fills=tuple(one for one in reader.fills if one.session == today),
        denied=sum(not one.approved for one in judged),
        approved=sum(one.approved for one in judged),
    )


# -- in words --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the broker shows it; `price` is its limit or stop, None at the market."""

    symbol: str
    side: str
    kind: str
    size: float
    price: float | None


@dataclass(frozen=True, slots=True)
class AtBroker:
    """What the broker shows at an instant: equity, last prices of what is held, orders at work.

    `sizes` are the signed shares by symbol, `marks` their last prices.
    """

    at: datetime
    equity: float
    sizes: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, float] = field(default_factory=dict)
    orders: Sequence[Order] = ()


def status_lines(standing: Standing, broker: AtBroker | None = None) -> list[str]:
    """Say in a few lines how a run stands."""
    lines = [f"state: {standing.state}", *halt_lines(standing.halts)]
    lines.append(_money_line(standing, broker))
    held, waiting = len(standing.positions), len(standing.waiting)
    lines.append(f"{_count(held, 'position')}, {_count(waiting, 'entry', 'entries')} waiting")
    lines.append(f"last bar: {when(standing.equity_at)}")
    beat = standing.heartbeat
    if beat is not None:
        due = "none is to come" if beat.due is None else f"the next is due {when(beat.due)}"
        lines.append(f"last heartbeat: {when(beat.at)}, {due}")
    if standing.alarms:
        lines.append(f"{_count(len(standing.alarms), 'alarm')} today:")
        lines += [f"{one.rule}: {one.reason}" for one in standing.alarms[-5:]]
    if broker is None:
        lines.append("by the journal alone")
    return lines


def halt_lines(halts: Sequence[Halt]) -> list[str]:
    """Say of each halt since when it stands, until when, and why."""
    return [f"halt, {one.rule}: {one.reason}; {_until(one)}" for one in halts]


def position_lines(standing: Standing, broker: AtBroker | None = None) -> list[str]:
    """Say of each position what is held, where its stop and its target are, and for how long."""
    marks = {} if broker is None else broker.marks
    lines = [_held_line(one, marks.get(one.symbol)) for one in standing.positions]
    if broker is not None:
        stops = {one.symbol for one in broker.orders if "stop" in one.kind}
        lines += [
            f"{symbol}: no stop stands at the broker"
            for symbol, size in broker.sizes.items()
            if size and symbol not in stops
        ]
        ours = {one.symbol: one.size for one in standing.positions}
        lines += [
            f"{symbol}: the broker shows {size:g}, the journal {ours.get(symbol, 0.0):g}"
            for symbol, size in broker.sizes.items()
            if abs(size - ours.get(symbol, 0.0)) > WHOLE
        ]
    return lines or ["no positions"]


def order_lines(standing: Standing, broker: AtBroker | None = None) -> list[str]:
    """Say what is at work: by the broker when it answers, else the entries of the journal."""
    if broker is not None:
        lines = [
            f"{one.symbol}: {one.side} {one.size:g} {one.kind}"
            + ("" if one.price is None else f" at {price(one.price)}")
            for one in broker.orders
        ]
    else:
        lines = [
            f"{one.symbol}: {one.side} entry, {one.size:g} at {price(one.limit)} until "
            f"{when(one.until)}"
            for one in standing.waiting
        ]
    return lines or ["no orders"]


def today_lines(standing: Standing, broker: AtBroker | None = None) -> list[str]:
    """Say what the session has brought so far."""
    lines = [_money_line(standing, broker)]
    fills = [
        f"{one.symbol}: {one.leg}, {one.side} {one.size:g} at {price(one.price)}"
        for one in standing.fills
    ]
    lines += fills or ["no fills"]
    lines.append(
        f"signals of the last bars: {standing.approved} approved, {standing.denied} denied"
    )
    return lines + [f"alarm, {one.rule}: {one.reason}" for one in standing.alarms]


def money(dollars: float, *, signed: bool = False) -> str:
    """Write dollars to the cent, unknown ones as "unknown"."""
    if not math.isfinite(dollars):
        return "unknown"
    sign = "-" if dollars < 0 else "+" if signed else ""
    return f"{sign}${abs(dollars):,.2f}"


def price(value: float) -> str:
    """Write a price; below a dollar with four decimals."""
    if not math.isfinite(value):
        return "none"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4f}"


def when(at: datetime | None) -> str:
    """Write an instant, UTC."""
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _money_line(standing: Standing, broker: AtBroker | None) -> str:
    if broker is not None:
        pnl = money(broker.equity - standing.previous_close, signed=True)
        return f"equity {money(broker.equity)}, today {pnl}"
    day = "" if standing.equity_at is None else f" at {when(standing.equity_at)}"
    return f"equity {money(standing.equity)}{day}, that day {money(standing.day_pnl, signed=True)}"


def _held_line(held: Held, mark: float | None) -> str:
    words = f"{held.symbol}: {held.size:g} at {price(held.entry)}"
    base = held.entry if mark is None else mark
    if mark is not None:
        words += f", now {price(mark)} ({money((mark - held.entry) * held.size, signed=True)})"
    away = "" if math.isnan(held.stop) else f" ({abs(held.stop / base - 1):.1%} away)"
    words += f", stop {price(held.stop)}{away}, target {price(held.target)}"
    return f"{words}, held {_count(held.sessions, 'session')}"


def _until(halt: Halt) -> str:
    if halt.latched or halt.until is None:
        return f"since {when(halt.since)}, until somebody resumes"
    return f"since {when(halt.since)}, until {when(halt.until)}"


def _count(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or f'{one}s'}"
