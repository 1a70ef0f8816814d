# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections on signals, entries and fills of any span of days: for daily, weekly, monthly."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date

from iverson.model import Fill, Verdict
from iverson.monitoring.replay import CENT_USD
from iverson.reports.entries import Entry, entries, fill_rate, outcomes
from iverson.reports.journaled import Journaled
from iverson.reports.page import Section, Table
from iverson.reports.slippage import MODELLED, Slip, costs_of, slips
from iverson.reports.words import price, shares
from iverson.research.report_parts import money, number, percent, plural

SLIPPAGE_NOTE = (
    "In the table positive is a cost, negative an improvement. Against the order: fill less the "
    "order's own price (limit of an entry or target, trigger of a stop) x shares, mirrored for "
    "sales; basis points of the fill's notional. Orders at the market or the close mean no price. "
    "Against the model: fill less what the fill model books; of a backtest or walk-forward that is "
    "the fill itself, elsewhere a limit at its price and a stop at its trigger less half the "
    "spread. The journal holds no bars, so an open beyond a stop shows as a cost, and a limit "
    "filled better than its price is left out there; iverson parity compares bar by bar."
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
    table = Table(
        ("Symbol", "Outcome", "Shares", "Filled", "Why"),
        tuple(
            (one.symbol, one.outcome, shares(one.size), shares(one.filled), one.reason)
            for one in own
        ),
        words=2,
    )
    return Section(
        "Entries",
        lines=(f"{words}.",),
        table=table if own else None,
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
    run = known.run
    every = slips(known.values, costs_of(run), modelled=run.stage in MODELLED)
    booked = zip(every, known.days_of(Fill), strict=True)
    own = [slip for slip, day in booked if day is not None and first <= day <= last]
    against, model, to_date = _total(own), _total(own, model=True), _total(every)
    total = f"to date {_lost(*to_date)}"
    told = f"{_lost(*against)} against the orders' prices, {_lost(*model)} against the model"
    none = "No fill of an order that means a price" if own else "No fill"
    words = f"{told if against[2] or model[2] else none}; {total}"
    lines = (f"{words}.",)
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
            "modelled_fills": model[2],
            "to_date_usd": to_date[0],
            "to_date_bps": to_date[1],
            "spread_usd": math.fsum(s.fill.spread * s.fill.size for s in own),
            "commission_usd": math.fsum(s.fill.commission for s in own),
            "fills": [_fact(slip) for slip in own],
        },
        on_phone=bool(against[2] or model[2]),
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


def _lost(usd: float, bps: float, fills: int) -> str:
    """Write a total in words that need no sign convention."""
    if not fills:
        return "n/a"
    if abs(usd) < CENT_USD:
        return f"nothing lost in {plural(fills, 'fill')}"
    size = f"{money(abs(usd))} {'lost' if usd > 0 else 'gained'}"
    return f"{size} ({number(abs(bps), 1)} bps) in {plural(fills, 'fill')}"


def _first_few(names: Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
