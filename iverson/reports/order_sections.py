# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections on signals, entries and fills of any span of days: for daily, weekly, monthly."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date

from iverson.model import Fill, Verdict
from iverson.reports.entries import Entry, entries, fill_rate, outcomes
from iverson.reports.journaled import Journaled
from iverson.reports.page import Section, Table
from iverson.reports.slippage import Slip, costs_of, slips
from iverson.reports.words import price, shares, signed_money
from iverson.research.report_parts import number, percent, plural

SLIPPAGE_NOTE = (
    "Positive is a cost, negative an improvement. Against the order: fill less the order's own "
    "price (limit of an entry or target, trigger of a stop) x shares, mirrored for sales; basis "
    "points of the fill's notional. Against the model: fill less what the fill model books when "
    "the market trades through that price within a bar (a limit at the limit, a stop at its "
    "trigger less half the spread). Orders at the market or the close mean no price. The journal "
    "holds no bars, so an open beyond the price shows here; iverson parity compares bar by bar."
)


def denied_section(known: Journaled, first: date, last: date) -> Section:
    """Count the denied signals of a span by the rule that denied them, the most frequent first."""
    verdicts = known.within(first, last).of(Verdict)
    denied = [verdict for verdict in verdicts if not verdict.approved]
    counts = Counter(verdict.rule for verdict in denied)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    symbols: dict[str, list[str]] = defaultdict(list)
    for verdict in denied:
        symbols[verdict.rule].append(verdict.signal.symbol)
    rows = tuple((rule, _first_few(sorted(set(symbols[rule]))), count) for rule, count in ranked)
    summed = f"{plural(len(verdicts), 'signal')}, {len(denied)} denied" if verdicts else "No signal"
    listed = ", ".join(f"{rule} {count}" for rule, count in ranked)
    return Section(
        "Denied signals",
        lines=(f"{summed}.",),
        table=Table(("Rule", "Symbols", "Denied"), rows, words=2) if rows else None,
        facts={
            "signals": len(verdicts),
            "approved": len(verdicts) - len(denied),
            "denied": len(denied),
            "by_rule": dict(ranked),
        },
        on_phone=bool(denied),
        phone=(f"{summed} ({listed})",),
    )


def entries_section(known: Journaled, first: date, last: date) -> Section:
    """Tell what became of the entry orders whose last word fell into a span."""
    every = entries(known.values)
    own = [entry for entry in every if first <= entry.session <= last]
    ended = [entry for entry in own if entry.ended]
    rate, to_date = fill_rate(own), fill_rate(every)
    words = f"{_told(own)}; to date {_rate(to_date, every)}"
    rows = tuple(
        (entry.symbol, entry.outcome, entry.reason, shares(entry.size), shares(entry.filled))
        for entry in own
    )
    return Section(
        "Entries",
        lines=(f"{words}.",),
        table=Table(("Symbol", "Outcome", "Why", "Shares", "Filled"), rows, words=3)
        if rows
        else None,
        facts={
            "orders_ended": len(ended),
            **outcomes(own),
            "fill_rate_fraction": rate,
            "fill_rate_to_date_fraction": to_date,
            "orders_ended_to_date": sum(entry.ended for entry in every),
        },
        on_phone=bool(own),
        note=(
            "Fill rate: entry orders that filled, whole or in part, of those that have ended, "
            "counted when they end; rejected ones never met the market and do not count."
        ),
        phone=(words,),
    )


def slippage_section(known: Journaled, first: date, last: date) -> Section:
    """Lay the fills of a span beside their orders' prices and beside the fill model."""
    every = slips(known.values, costs_of(known.run))
    booked = zip(every, known.days_of(Fill), strict=True)
    own = [slip for slip, day in booked if day is not None and first <= day <= last]
    against, model = _total(own), _total(own, model=True)
    to_date = _total(every)
    told = (
        f"{signed_money(against[0])} ({_bps(against[1])}) against the orders' prices, "
        f"{signed_money(model[0])} against the model, of {plural(against[2], 'priced fill')}"
    )
    none = "No fill of an order that means a price" if own else "No fill"
    total = f"to date {signed_money(to_date[0])} ({_bps(to_date[1])})"
    words = f"{told if against[2] else none}; {total}"
    lines = (f"{words}. Positive is a cost.",)
    columns = (
        *("Symbol", "Order", "Side", "Shares", "Meant", "Price", "Cost, $", "Bps"),
        *("Model", "Beyond it, $"),
    )
    return Section(
        "Slippage",
        lines=lines,
        table=Table(columns, tuple(map(_row, own)), words=3) if own else None,
        facts={
            "usd": against[0],
            "bps": against[1],
            "model_usd": model[0],
            "model_bps": model[1],
            "priced_fills": against[2],
            "to_date_usd": to_date[0],
            "to_date_bps": to_date[1],
            "spread_usd": math.fsum(s.fill.spread * s.fill.size for s in own),
            "commission_usd": math.fsum(s.fill.commission for s in own),
            "fills": [_fact(slip) for slip in own],
        },
        on_phone=bool(against[2]),
        note=SLIPPAGE_NOTE,
        phone=(words,),
    )


def _total(own: Sequence[Slip], *, model: bool = False) -> tuple[float, float, int]:
    """Sum dollars, and give their basis points of notional, over the fills that have a price."""
    lost = [(slip.model_usd if model else slip.usd, slip.fill) for slip in own]
    priced = [(usd, fill) for usd, fill in lost if not math.isnan(usd)]
    usd = math.fsum(one for one, _ in priced)
    notional = math.fsum(fill.size * fill.price for _, fill in priced)
    return usd, usd / notional * 10_000 if notional else math.nan, len(priced)


def _row(slip: Slip) -> tuple[object, ...]:
    fill = slip.fill
    return (
        *(fill.symbol, fill.leg, fill.side, shares(fill.size)),
        *(price(slip.meant), price(fill.price), slip.usd, slip.bps),
        *(price(slip.expected), slip.model_usd),
    )


def _fact(slip: Slip) -> dict[str, object]:
    fill = slip.fill
    return {
        "at": fill.at,
        "symbol": fill.symbol,
        "leg": fill.leg,
        "side": fill.side,
        "shares": fill.size,
        "price_usd": fill.price,
        "meant_usd": slip.meant,
        "expected_usd": slip.expected,
        "usd": slip.usd,
        "bps": slip.bps,
        "model_usd": slip.model_usd,
        "commission_usd": fill.commission,
        "spread_usd": fill.spread * fill.size,
    }


def _told(own: Sequence[Entry]) -> str:
    counted = [f"{count} {name}" for name, count in outcomes(own).items() if count]
    return ", ".join(counted) or "No entry order"


def _rate(rate: float, every: Sequence[Entry]) -> str:
    ended = sum(entry.ended and entry.outcome != "rejected" for entry in every)
    return f"{percent(rate, 0)} of {plural(ended, 'entry order')} filled"


def _bps(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{number(value, 1)} bps"


def _first_few(names: Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
