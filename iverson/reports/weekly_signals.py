# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest's chapters on judgement: what the rules did, what confidence meant, what to try."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from iverson.market.bars import Bars
from iverson.model import Trade, Verdict
from iverson.monitoring.metrics import MINIMUM_TRADES
from iverson.monitoring.tables import trades_frame
from iverson.reports.denied import Denied, follow_run, mean_risk
from iverson.reports.journaled import Journaled
from iverson.reports.page import Section, Table
from iverson.reports.periods import Period
from iverson.reports.suggestions import Suggestion
from iverson.reports.words import in_r, signed_money
from iverson.research.calibration import calibration
from iverson.research.report_parts import NONE, money, number, percent, plural, span

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RULES = "What the rules saved or cost"


def rules_section(
    told: Journaled,
    period: Period,
    bars: Mapping[str, Bars] | None,
    *,
    seed: int,
    resamples: int,
) -> Section:
    """Follow the denied signals on paper: what each rule saved or cost, this week and to date."""
    denied = [one for one in told.of(Verdict) if not one.approved]
    of_week = Counter(
        one.rule for one in denied if period.first <= one.signal.session <= period.last
    )
    counted = ", ".join(f"{rule} {count}" for rule, count in of_week.most_common())
    this_week = f"{plural(of_week.total(), 'signal')} denied this week" + (
        f": {counted}." if counted else "."
    )
    if not denied:
        return Section(RULES, ("No signal has been denied yet.",), facts={"denied": 0})
    if not bars:
        unknown = "No bars: the denied signals cannot be followed."
        return Section(RULES, (this_week, unknown), facts={"denied_in_week": dict(of_week)})
    found = follow_run(told, bars, date.min, period.last, until=told.sessions[-1])
    rules = found.rules(seed=seed, resamples=resamples)
    by_rule = rules.to_dict("index")
    week = _of_week(found, period)
    risk = mean_risk(told)
    lines: tuple[str, ...] = (this_week, *_left_out(found))
    rows = tuple(
        (
            str(rule),
            int(row["denied"]),
            int(row["filled"]),
            in_r(_total(week, rule)),
            in_r(row["total_r"]),
            span(row["low"], row["high"]),
            about(row["total_r"] * risk),
            judged(row),
        )
        for rule, row in by_rule.items()
    )

    def chart() -> Figure:
        from iverson.reports.charts_weekly import rules_chart

        return rules_chart(rules)

    columns = ("Rule", "Denied", "Would have filled", "Of this week", "To date",
               "95 % interval, R", "About", "The rule")  # fmt: skip
    return Section(
        title=RULES,
        lines=lines,
        table=Table(columns, rows),
        chart=chart,
        facts={
            "denied_in_week": dict(of_week),
            "mean_risk_usd": risk,
            "rules": {str(rule): _facts(row, _total(week, rule)) for rule, row in by_rule.items()},
            "waiting": found.waiting,
            "faulty": found.faulty,
            "without_bars": found.without_bars,
            "still_open": found.still_open,
        },
        note="Every denied signal is followed to its exit, one share, with the run's own fills and "
        "costs. A negative total is what the rule saved, a positive one what it cost, in R: profit "
        f"over planned risk, here {money(risk)} on average. Signals overlap, so totals are more "
        "than an account could have traded, and the intervals are too narrow. Insufficient data: "
        "fewer than 30 that would have filled.",
        phone=(*lines, *(_said(str(rule), row, risk) for rule, row in by_rule.items())),
    )


def confidence_section(told: Journaled, *, seed: int, resamples: int) -> Section:
    """Say whether confidence meant anything so far."""
    found = calibration(trades_frame(told.of(Trade)), seed=seed, resamples=resamples)
    rows = tuple(
        (
            f"confidence {step}",
            int(row["trades"]),
            percent(row["hit_rate"], 0),
            number(row["mean_r"]),
            span(row["mean_r_low"], row["mean_r_high"]),
            money(row["mean_pnl"]),
            "" if row["enough"] else "insufficient data",
        )
        for step, row in found.steps.iterrows()
    )
    columns = ("Step", "Trades", "Won", "Mean R", "95 % interval", "Mean P&L", "Says")
    sentences = tuple(found.sentences())
    return Section(
        title="Confidence",
        lines=sentences,
        table=Table(columns, rows) if rows else None,
        facts={
            "verdict": found.verdict,
            "trades": found.trades,
            "p_rising": found.test.p_rising,
            "p_falling": found.test.p_falling,
            "sized_usd": found.sized,
            "flat_usd": found.flat,
            "steps": {
                str(step): {
                    "trades": int(row["trades"]),
                    "hit_rate_fraction": row["hit_rate"],
                    "mean_r": row["mean_r"],
                    "mean_pnl_usd": row["mean_pnl"],
                }
                for step, row in found.steps.iterrows()
            },
        },
        note="All trades so far. 95 % intervals from 10 trades a step on.",
        phone=sentences[:1],
    )


def suggestion_section(found: Suggestion) -> Section:
    """Say what the trial ledger suggests, and how much of it may be luck."""
    changes = {name: {"from": a, "to": b} for name, (a, b) in (found.changes or {}).items()}
    return Section(
        title="Suggestions",
        lines=found.sentences(),
        facts={
            "suggested": changes,
            "applied": False,
            "compared": found.compared,
            "ever_tried": found.ideas,
            "ledger_sound": found.sound,
            "p_value": found.test.consistent if found.test else math.nan,
        },
        note="From recorded walk-forwards only, never applied by themselves. Following one and "
        "looking again is another trial.",
    )


def judged(row: Mapping[Any, Any]) -> str:
    """Say what a row of `Denied.rules` says of its rule; nothing below 30 followed signals."""
    low, high = row["low"], row["high"]
    if row["filled"] < MINIMUM_TRADES or math.isnan(low):
        return "insufficient data"
    if low <= 0 <= high:
        return "undecided"
    return "cost" if low > 0 else "saved"


def _of_week(found: Denied, period: Period) -> pd.Series:
    """Sum R by rule over the signals of the week, those that would have filled."""
    made = found.followed
    sessions = pd.to_datetime(made["session"])
    inside = (sessions >= pd.Timestamp(period.first)) & made["filled"]
    return made.loc[inside].groupby("rule")["r_multiple"].sum()


def _total(week: pd.Series, rule: Any) -> float:
    return float(week.get(rule, math.nan))


def _said(rule: str, row: Mapping[Any, Any], risk: float) -> str:
    verdict, total = judged(row), row["total_r"]
    if verdict in ("saved", "cost"):
        made = f"{verdict} {number(abs(total), 1)} R, about {money(round(abs(total * risk)), 0)}"
    else:
        made = f"{in_r(total)}, about {about(total * risk)}: {verdict}"
    return f"{rule}: {int(row['denied']):,} denied, {made}"


def _left_out(found: Denied) -> tuple[str, ...]:
    said = [
        (found.waiting, "may still have filled"),
        (found.still_open, "still open, valued at the last close"),
        (found.faulty, "faulty, not followed"),
        (found.without_bars, "without bars, not followed"),
    ]
    return tuple(f"{plural(count, 'signal')} {words}." for count, words in said if count)


def about(dollars: float) -> str:
    """Write dollars that are an estimate: whole ones."""
    return signed_money(round(dollars)).removesuffix(".00") if math.isfinite(dollars) else NONE


def _facts(row: Mapping[Any, Any], of_week: float) -> dict[str, Any]:
    return {
        "denied": int(row["denied"]),
        "filled": int(row["filled"]),
        "mean_r": row["mean_r"],
        "total_r": row["total_r"],
        "low_r": row["low"],
        "high_r": row["high"],
        "total_r_of_week": of_week,
        "says": judged(row),
    }
