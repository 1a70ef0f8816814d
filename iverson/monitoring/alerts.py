# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows of a journal deserve a human, and in which words.

Pure: rows go in, in order, and alerts come out; nothing is sent here. Denials, signals and orders
are not alerts: they are for the daily report. What happened is told from the journal alone, so
nobody is told what was not written down first. An alert is named by its row, so that a row that is
read again gives the same alert and not another one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from iverson.book import Halt
from iverson.errors import ConfigError
from iverson.market.calendar import NEW_YORK
from iverson.model import CashFlow, Fill, Stage, Trade, Verdict
from iverson.monitoring.events import Alarm, Drill, Heartbeat
from iverson.monitoring.message import message
from iverson.monitoring.record import EquityRow, Note, Release, RunRow
from iverson.monitoring.tables import dollars

Way = Literal["on", "silent", "off"]


class Kind(NamedTuple):
    """A kind of alert: whether it may be lost, its sign, and several of it in words."""

    critical: bool
    sign: str
    several: str


KINDS: dict[str, Kind] = {
    "entry filled": Kind(False, "🔵", "entries filled"),
    "exit filled": Kind(False, "🏁", "exits filled"),
    "milestone": Kind(False, "📈", "milestones"),
    "faulty strategy": Kind(False, "🐞", "faults of the strategy"),
    "drill failed": Kind(False, "🧯", "drills failed"),
    "halt": Kind(True, "⛔", "halts"),
    "resume": Kind(True, "🟢", "halts over"),
    "protection": Kind(True, "🛡", "alerts of protection"),
    "out of sync": Kind(True, "⚠️", "books out of sync"),
    "keys": Kind(True, "🔑", "keys refused"),
    "heartbeat lost": Kind(True, "💔", "heartbeats lost"),
    "alarm": Kind(True, "🚨", "alarms"),
    "daily report": Kind(False, "📋", "daily reports"),
    "weekly report": Kind(False, "🗓", "weekly reports"),
    "monthly report": Kind(False, "📅", "monthly reports"),
}
REPORTS = ("daily report", "weekly report", "monthly report")  # made elsewhere, told like alerts
KIND_OF_ALARM = {
    "out of sync": "out of sync",
    "keys": "keys",
    "unprotected": "protection",
    "heartbeat": "heartbeat lost",
}  # all others are an "alarm"
DRILLS = "drill-"  # how the runs of drills begin; what is drilled there is no emergency
STEP = 0.05  # of the cash that a run began with: how far apart milestones are
GRACE = timedelta(minutes=1)  # beyond the instant by which a sign of life was due
PROTECTED = "protected again"  # the note of a stop that was missing and is there again
TRADING = frozenset({Stage.REHEARSE, Stage.PAPER, Stage.LIVE})  # others only work out the past


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell: `text` in full and `line` in a line, both in Telegram's HTML.

    `key` is the same whenever the journal is read. Of alerts with one `group` (the fills of one
    order, an alarm and the halt that follows from it) the newest says all; "" stands alone.
    """

    key: str
    seq: int
    kind: str
    at: datetime
    text: str
    line: str
    group: str = ""

    @property
    def critical(self) -> bool:
        """Whether it must not be lost."""
        return KINDS[self.kind].critical


def ways(chosen: Mapping[str, str]) -> dict[str, Way]:
    """Return how each kind is told: on, unless chosen otherwise.

    Raises
    ------
    ConfigError: a kind or a way that there is not.
    """
    found: dict[str, Way] = dict.fromkeys(KINDS, "on")
    for kind, way in chosen.items():
        if kind not in KINDS:
            raise ConfigError(
                f"alerts has no kind {kind!r}; expected one of {', '.join(map(repr, KINDS))}"
            )
        if way not in ("on", "silent", "off"):
            raise ConfigError(f"alerts of {kind!r} are {way!r}; expected on, silent or off")
        found[kind] = way  # type: ignore[assignment]  # one of the three
    return found


class Alerts:
    """Reads rows in order and says what each gives a person to know."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    def take(self, seq: int, run: str, value: Any) -> Alert | None:
        """Read one row: its number, its run, its value."""
        told = _TOLD.get(type(value))
        if told is None or (run.startswith(DRILLS) and not isinstance(value, Drill)):
            return None
        account = self._runs.setdefault(run, _Run(run))
        found = told(account, seq, value)
        return found if account.trades else None

    def tells_of(self, run: str) -> bool:
        """Whether people wait for what this run does."""
        account = self._runs.get(run)
        return account is None or account.trades

    def overdue(self, now: datetime) -> list[Alert]:
        """Return an alert for each run whose last sign of life was to be followed by now."""
        found = (account.overdue(now) for account in self._runs.values() if account.trades)
        return [one for one in found if one is not None]


@dataclass(slots=True)
class _Run:
    """What has to be known of the rows before, to put one into words."""

    name: str
    trades: bool = True  # whether it is a run that people wait for
    cash: float = math.nan
    deposits: float = 0.0
    high: int = 0  # the steps that equity has been away from its start, up and down
    low: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    filled: dict[str, tuple[float, float]] = field(default_factory=dict)  # shares, dollars
    beat: tuple[int, Heartbeat] | None = None

    def began(self, _: int, row: RunRow) -> None:
        self.trades = row.stage in TRADING
        self.cash = row.cash

    def judged(self, seq: int, verdict: Verdict) -> Alert | None:
        signal = verdict.signal
        if verdict.approved:
            self.verdicts[signal.symbol] = verdict
        if not verdict.alert:
            return None
        return self._alert(
            seq, "faulty strategy", signal.at, "<b>{symbol}</b>: a signal could not be judged",
            "{rule}: {reason}", symbol=signal.symbol, rule=verdict.rule, reason=verdict.reason,
        )  # fmt: skip

    def fill(self, seq: int, fill: Fill) -> Alert | None:
        if fill.leg != "entry":
            return None
        shares, paid = self.filled.get(fill.order_id, (0.0, 0.0))
        before, shares, paid = shares, shares + fill.size, paid + fill.size * fill.price
        self.filled[fill.order_id] = shares, paid
        average = " on average" if before else ""
        verdict = self.verdicts.get(fill.symbol)
        plan = ""
        if verdict is not None:
            signal = verdict.signal
            target = "" if signal.target is None else f", target {_price(signal.target)}"
            plan = f"stop {_price(signal.stop)}{target}, confidence {signal.confidence} of 5"
        return self._alert(
            seq, "entry filled", fill.at,
            f"<b>{{symbol}}</b> {{did}}: {{shares}} shares at {{price}}{average}", "{plan}",
            group=f"{self.name}#{fill.order_id}", symbol=fill.symbol,
            did="bought" if fill.side == "buy" else "sold short", shares=f"{shares:,g}",
            price=_price(paid / shares), plan=plan,
        )  # fmt: skip

    def trade(self, seq: int, trade: Trade) -> Alert | None:
        r = "" if math.isnan(trade.r_multiple) else " ({r} R)"
        return self._alert(
            seq, "exit filled", trade.exit_at, f"<b>{{symbol}}</b> left by {{reason}}: {{pnl}}{r}",
            "{shares} shares {side}, {entry} to {exit}, {sessions}",
            sign="✅" if trade.pnl > 0 else "🔻", symbol=trade.symbol, reason=trade.exit_reason,
            pnl=("+" if trade.pnl > 0 else "") + dollars(trade.pnl), r=f"{trade.r_multiple:+.1f}",
            shares=f"{trade.size:,g}", side=trade.side, entry=_price(trade.entry),
            exit=_price(trade.exit),
            sessions=f"{trade.sessions} session{'s' * (trade.sessions != 1)}",
        )  # fmt: skip

    def moved(self, _: int, flow: CashFlow) -> None:
        if flow.kind == "deposit":
            self.deposits += flow.amount

    def equity(self, seq: int, row: EquityRow) -> Alert | None:
        """Tell a step away from the start that equity has not reached before."""
        if not self.cash > 0 or not math.isfinite(row.equity):
            return None
        gained = (row.equity - self.deposits) / self.cash - 1.0
        # A step is reached when it is, whatever the last bit of a float says.
        step = math.trunc(gained / STEP + math.copysign(1e-9, gained))
        if self.low <= step <= self.high:
            return None
        self.high, self.low = max(self.high, step), min(self.low, step)
        return self._alert(
            seq, "milestone", row.at, "<b>Equity {step}</b> of what the run began with",
            "{equity} now, {cash} then", sign="📈" if step > 0 else "📉",
            step=f"{step * STEP:+.0%}", equity=dollars(row.equity), cash=dollars(self.cash),
        )  # fmt: skip

    def halted(self, seq: int, halt: Halt) -> Alert | None:
        end = "until somebody releases it" if halt.latched or halt.until is None else (
            f"until {_when(halt.until)}"
        )  # fmt: skip
        flatten = "; positions are left too" if halt.flatten else ""
        return self._alert(
            seq, "halt", halt.since, "<b>Halt</b> ({rule}): {reason}",
            "no new entries {end}{flatten}", rule=halt.rule, reason=halt.reason, end=end,
            flatten=flatten, group=f"{self.name}#{halt.rule}#{halt.reason}",
        )  # fmt: skip

    def released(self, seq: int, row: Release) -> Alert | None:
        return self._alert(
            seq, "resume", row.at, "<b>Halt over</b> ({rule}): {reason}", "entries may come again",
            rule=row.rule, reason=row.reason,
        )  # fmt: skip

    def noted(self, seq: int, note: Note) -> Alert | None:
        if not note.text.endswith(PROTECTED):
            return None
        return self._alert(
            seq, "protection", note.at, "<b>Protection repaired</b>: {text}", "", text=note.text
        )

    def alarmed(self, seq: int, alarm: Alarm) -> Alert | None:
        symbol = "{symbol}, " if alarm.symbol else ""
        return self._alert(
            seq, KIND_OF_ALARM.get(alarm.rule, "alarm"), alarm.at,
            f"<b>Alarm</b> ({symbol}{{rule}}): {{reason}}", "", symbol=alarm.symbol,
            rule=alarm.rule, reason=alarm.reason, group=f"{self.name}#{alarm.rule}#{alarm.reason}",
        )  # fmt: skip

    def drilled(self, seq: int, drill: Drill) -> Alert | None:
        if drill.passed:
            return None
        return self._alert(
            seq, "drill failed", drill.at, "<b>Drill failed</b>: {item}", "{evidence}",
            item=drill.item, evidence=drill.evidence,
        )  # fmt: skip

    def lived(self, seq: int, beat: Heartbeat) -> Alert | None:
        late = self.overdue(beat.at)
        self.beat = seq, beat
        return late

    def overdue(self, now: datetime) -> Alert | None:
        """Tell that the last sign of life has had no follower; named by its row."""
        if self.beat is None:
            return None
        seq, beat = self.beat
        if beat.due is None or now <= beat.due + GRACE:
            return None
        return self._alert(
            seq, "heartbeat lost", beat.due, "<b>No sign of life</b> since {since}",
            "the next was due by {due}; stops stay at the broker, but nobody looks after them",
            since=_when(beat.at), due=_when(beat.due),
        )  # fmt: skip

    def _alert(
        self,
        seq: int,
        kind: str,
        at: datetime,
        head: str,
        rest: str,
        *,
        group: str = "",
        sign: str = "",
        **values: Any,
    ) -> Alert:
        line = f"{sign or KINDS[kind].sign} {message(head, **values)}"
        more = message(rest, **values)
        foot = message("<i>{run}, {at}</i>", run=self.name, at=_when(at))
        text = "\n".join(part for part in (line, more, foot) if part)
        return Alert(f"{self.name}#{seq}", seq, kind, at.astimezone(UTC), text, line, group)


_TOLD: dict[type, Callable[[Any, int, Any], Alert | None]] = {
    RunRow: _Run.began,
    Verdict: _Run.judged,
    Fill: _Run.fill,
    Trade: _Run.trade,
    CashFlow: _Run.moved,
    EquityRow: _Run.equity,
    Halt: _Run.halted,
    Release: _Run.released,
    Note: _Run.noted,
    Alarm: _Run.alarmed,
    Drill: _Run.drilled,
    Heartbeat: _Run.lived,
}


def _when(at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(NEW_YORK)):%Y-%m-%d %H:%M} New York"


def _price(price: float) -> str:
    return f"${price:,.2f}" if abs(price) >= 1 else f"${price:.4f}"


def _signed(multiple: float) -> str:
    """Write one digit with its sign, but no "-0.0"."""
    text = f"{multiple:+.1f}"
    return text if text.strip("+-0.") else "0.0"
