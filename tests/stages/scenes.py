# SPDX-License-Identifier: GPL-3.0-or-later
"""Short scenes of a trading system that wakes: a few daily bars, a plan, and what others do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from iverson.book import Book, Halt
from iverson.execution.costs import Costs
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.model import Signal
from iverson.research.backtest import Prepared, Setup
from iverson.risk.rules import DailyLossHalt, OneSystemPerSymbol, RiskRule
from iverson.simulator.faults import Fault
from iverson.simulator.settings import Switches
from iverson.strategy import Strategy
from iverson.testing import bars, signal
from tests.stages.rig import Street

ZONE = ZoneInfo("America/New_York")
LIMIT, STOP, TARGET = 100.0, 95.0, 104.0
SIZE = 200  # a fifth of $100,000 at $100
SWITCHES = Switches.exact(close_early_seconds=600.0)


@dataclass(frozen=True)
class Scene:
    """One story: bars, the signals of each bar's close, and what happens besides.

    `acts` maps (number of a bar, New York time) to what somebody else does then; `race` acts on the
    exchange when a request was taken. `alarms` names the rules that have to alarm.
    """

    name: str
    series: Mapping[str, Bars]
    plan: Mapping[int, tuple[Signal, ...]]
    rules: tuple[RiskRule, ...] = ()
    faults: tuple[Fault, ...] = ()
    switches: Switches = SWITCHES
    acts: Mapping[tuple[int, time], Callable[[Street], None]] = field(default_factory=dict)
    race: Callable[[Street], Callable[[str, str], None]] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    alarms: frozenset[str] = frozenset()

    @property
    def sessions(self) -> list[Any]:
        """The sessions of the bars; the first is warm-up."""
        return next(iter(self.series.values())).session.tolist()

    def setup(self) -> Setup:
        """The system of the scene."""
        sessions = self.sessions
        plan = {sessions[number + 1]: found for number, found in self.plan.items()}

        class Planned(Strategy):
            warm_up = 0

            def signals(self) -> Iterator[Signal]:
                now = self.desk.now
                assert now is not None
                for one in plan.get(now.session, ()):
                    yield replace(one, at=now.at, session=now.session)

        return Setup(
            Planned,
            (OneSystemPerSymbol(), *self.rules),
            costs=Costs.none(),
            cash=100_000.0,
            params=dict(self.params),
        )

    def prepared(self, number: int) -> Prepared:
        """The bars as they are known after the bar of this place."""
        return Prepared.of({name: one[: number + 1] for name, one in self.series.items()})

    def timeline(self) -> list[tuple[datetime, int | Callable[[Street], None]]]:
        """Instants, each with the number of the newest bar of a wake, or with an act."""
        calendar, found = new_york(), []
        for number, session in enumerate(self.sessions):
            if number == 0:
                continue
            if number > 1:
                if any(
                    one.factor[number] != one.factor[number - 1] for one in self.series.values()
                ):
                    found.append((_clock(session, time(9, 0)), number - 1))
                found.append((calendar.close_at(session) - timedelta(minutes=5), number - 1))
            found.append((calendar.close_at(session) + timedelta(minutes=1), number))
        found += [(_clock(self.sessions[n + 1], at), act) for (n, at), act in self.acts.items()]
        return sorted(found, key=lambda one: one[0])


def _clock(session: Any, at: time) -> datetime:
    return datetime.combine(session, at, ZONE).astimezone(new_york().close_at(session).tzinfo)


class FlattenOn(RiskRule):
    """Halts and leaves everything on one session."""

    params = (("session", None),)

    def halt(self, book: Book) -> Halt | None:
        """Halt on the session."""
        if book.session != self.p.session:
            return None
        return Halt(self.name, "as told", since=book.at, latched=True, flatten=True)


def _long(symbol: str = "TEST", **changes: Any) -> Signal:
    usual = dict(limit=LIMIT, stop=STOP, target=TARGET, max_sessions=None)
    return signal(symbol=symbol, **{**usual, **changes})


def _close_by_hand(street: Street) -> None:
    street.exchange.cancel_all(street.account)
    street.advance_to(street.now + timedelta(seconds=1))
    if street.exchange.positions(street.account):
        street.exchange.close_position(street.account, "TEST")


def _fill_on_cancel(street: Street) -> Callable[[str, str], None]:
    """Let the fill of an entry win against its cancel."""

    def raced(method: str, path: str) -> None:
        if method != "DELETE":
            return
        order = street.exchange.order(street.account, id=path.rpartition("/")[2])
        if order.opens and not order.is_ended and order.remaining:
            street.exchange.force_fill(order.id, qty=order.remaining, price=Decimal(95))

    return raced


QUIET = "100 | 100 | 100"


def scenes() -> dict[str, Scene]:
    """Return every scene by name."""
    partial = (Fault(on="POST /v2/orders", do="partial", share=0.4),)
    one = {0: (_long(),)}
    listed = [
        Scene("target", {"TEST": _bars(f"{QUIET} | 100/105/100/103 103")}, one),
        Scene("stop", {"TEST": _bars(f"{QUIET} | 100/100/94/96 96")}, one),
        Scene("time limit", {"TEST": _bars(f"{QUIET} 101 102")}, {0: (_long(max_sessions=2),)}),
        Scene(
            "time limit without target",
            {"TEST": _bars(f"{QUIET} 101 102")},
            {0: (_long(max_sessions=2, target=None),)},
        ),
        Scene("never filled", {"TEST": _bars(QUIET)}, {0: (_long(limit=97.0),)}),
        Scene(
            "partial, then stopped",
            {"TEST": _bars(f"{QUIET} | 100/100/94/96 96")},
            one,
            faults=partial,
        ),
        Scene(
            "partial, then target",
            {"TEST": _bars(f"{QUIET} | 100/105/100/103 103")},
            one,
            faults=partial,
            params=dict(entry_sessions=2),
        ),
        Scene(
            "rejected",
            {"TEST": _bars(QUIET)},
            one,
            faults=(Fault(on="POST /v2/orders", do="reject"),),
        ),
        Scene(
            "fill wins against cancel",
            {"TEST": _bars(f"{QUIET} | 100/105/100/103")},
            {0: (_long(limit=97.0),)},
            switches=replace(SWITCHES, cancel_seconds=2.0),
            race=_fill_on_cancel,
        ),
        Scene(
            "fill between two reads",
            {"TEST": _bars(f"{QUIET} | 100/105/100/103")},
            {0: (_long(limit=97.0),)},
            race=_fill_between_reads,
        ),
        Scene(
            "split",
            {"TEST": _bars("100 100 100 | gap 50 50 | 50/50/47/48 48", splits={3: 2.0})},
            one,
        ),
        Scene(
            "reverse split",
            {"TEST": _bars("100 100 100 | gap 1000 1000 | 1000/1045/1000/1030", splits={3: 0.1})},
            one,
        ),
        Scene(
            "daily loss halts",
            {
                "TEST": _bars("100 100 | 96 | 96 96"),
                "WAIT": _bars("100 100 | 100 | 96 100", symbol="WAIT"),
            },
            {0: (_long(),), 1: (_long("WAIT", limit=97.0),), 2: (_long("WAIT", limit=99.0),)},
            rules=(DailyLossHalt(),),
            params=dict(entry_sessions=3),
        ),
        Scene(
            "flattened",
            {"TEST": _bars("100 100 101 | 101 101 101")},
            one,
            rules=(FlattenOn(session=_bars("100 100 100").session[3].item()),),
        ),
        Scene(
            "closed by hand",
            {"TEST": _bars("100 100 101 101 | 90 90")},
            {**one, 3: (_long("TEST", limit=101.0),)},
            acts={(2, time(12, 0)): _close_by_hand},
            alarms=frozenset({"out of sync"}),
        ),
        Scene(
            "two symbols, dividend, deposit",
            {
                "TEST": _bars("100 100 100 | 100/105/100/103 103", dividends={2: 0.5}),
                "NEXT": _bars("50 50 50 | 50 51", symbol="NEXT"),
            },
            {0: (_long(), _long("NEXT", limit=50.0, stop=48.0, target=54.0, max_sessions=3))},
            switches=replace(SWITCHES, dividends=True),
            acts={(2, time(12, 0)): _deposit},
        ),
    ]
    return {scene.name: scene for scene in listed}


def _bars(words: str, *, symbol: str = "TEST", **actions: Mapping[int, float]) -> Bars:
    """Bars in words after one of warm-up; splits and dividends are numbered from the first."""
    first = words.split(maxsplit=1)[0]
    moved = {kind: {n + 1: one for n, one in found.items()} for kind, found in actions.items()}
    return bars(f"{first} {words}", symbol=symbol, **moved)


def _fill_between_reads(street: Street) -> Callable[[str, str], None]:
    """Let an entry fill just after the executions were read, and before the positions are."""

    def raced(_: str, path: str) -> None:
        living = [one for one in street.exchange.orders(street.account) if one.opens]
        if path.endswith("activities/FILL") and street.exchange.next_at() and living:
            (entry,) = living
            if entry.status == "new" and street.now > _clock(street.now.date(), time(9, 30)):
                price = Decimal("97.00")
                street.exchange.force_fill(entry.id, qty=entry.remaining, price=price)

    return raced


def _deposit(street: Street) -> None:
    street.exchange.deposit(street.account, Decimal(1_000))
