# SPDX-License-Identifier: GPL-3.0-or-later
"""The review's chapter on drift: whether the run is inside what was to be expected of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from iverson.monitoring.events import Step
from iverson.reports.drift import Comparison, compared
from iverson.reports.expectation import LEAST, Band, Expectation, band
from iverson.reports.journaled import Journaled
from iverson.reports.page import Section, Table
from iverson.reports.words import signed_percent
from iverson.research.report_parts import NONE, number, percent, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Against the walk-forward"


def drift_section(
    told: Journaled, expected: Expectation | None, *, seed: int, resamples: int
) -> Section:
    """Place the run within its band, the one test; lay trades beside trades, to describe."""
    if expected is None:
        line = "No expectation was given; a walk-forward's journal tells what was to be expected."
        return Section(TITLE, (line,), facts={"given": False})
    if expected.returns.size < LEAST:
        line = f"Insufficient data: the expectation has fewer than {LEAST} sessions."
        return Section(TITLE, (line,), facts={"given": True, "enough": False})
    returns = told.returns
    found = band(
        expected.returns, returns.to_numpy(dtype=float), seed=seed, draws=max(100, 2 * resamples)
    )
    trades: list[Comparison] = []
    if expected.told is not None:
        trades = compared(told, expected.told, seed=seed, resamples=resamples)
    lines = (verdict(found), *_differences(told, expected))

    def chart() -> Figure:
        from iverson.reports.charts_monthly import fan_chart

        return fan_chart(found, returns.index)

    return Section(
        title=TITLE,
        lines=lines,
        table=_table(trades) if trades else None,
        chart=chart,
        facts={
            "given": True,
            "expectation": expected.name,
            "enough": found.enough,
            "inside": found.inside,
            "percentile": found.percentile,
            "p_value": found.p_value,
            "return_fraction": float(found.live[-1]),
            "median_fraction": float(found.fan[-1, 2]),
            "low_fraction": found.low,
            "high_fraction": found.high,
            "sessions": found.sessions,
            "expected_sessions": found.expected_sessions,
            "seed": found.seed,
            "draws": found.draws,
            "compared": {one.name: _facts(one) for one in trades},
        },
        note="The band: the expectation's daily returns drawn again in blocks over as many "
        "sessions, the shortness of the expectation's own record included. It is the one test; "
        "looked at every month, it is left by luck now and then. The rows below it describe: each "
        "p is uncorrected, and of four one is below 0.05 by luck almost every fifth time.",
        phone=(*lines, *map(_said, trades)),
    )


def verdict(found: Band) -> str:
    """Say in one sentence whether the run is inside its band."""
    place = (
        f"{signed_percent(float(found.live[-1]))} in {plural(found.sessions, 'session')} is at the "
        f"{percentile_words(found.percentile)} of what {plural(found.expected_sessions, 'session')}"
        f" out of sample lead to expect (95 %: {signed_percent(found.low)} to "
        f"{signed_percent(found.high)}; p = {number(found.p_value, 3)})"
    )
    if not found.enough:
        return f"Insufficient data for a judgement: {place}."
    return f"Inside the band: {place}." if found.inside else f"Outside the band: {place}."


def percentile_words(share: float) -> str:
    """Write a share of the runs as a percentile, from the 1st to the 99th: 37th percentile."""
    rank = min(99, max(1, round(100 * share)))
    ending = "th" if 10 <= rank % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{ending} percentile"


def _differences(told: Journaled, expected: Expectation) -> Iterator[str]:
    """Say what else differs between the run and the run that was expected."""
    steps, other = told.of(Step), expected.told
    if other is not None and other.made_up:
        yield f"The expectation rests on {other.made_up}."
    if other is not None and other.run.strategy != told.run.strategy:
        yield f"The expectation is of another strategy, {other.run.strategy}."
    if steps and not (other is not None and other.of(Step)):
        # With a smaller stake an unchanged edge gains and loses less.
        yield (
            f"Sizes are capped by capital steps (now {percent(steps[-1].cap, 1)}), those of the "
            "expectation were not: smaller gains and losses are no drift."
        )


def _table(found: Sequence[Comparison]) -> Table:
    return Table(
        ("", "This run", "Expected", "Difference", "95 % interval", "p", "Over", "Says"),
        tuple(
            (
                one.name,
                in_unit(one.live, one),
                in_unit(one.expected, one),
                in_unit(one.difference, one),
                _span(one),
                number(one.p_value, 3),
                _over(one),
                "" if one.enough else "insufficient data",
            )
            for one in found
        ),
    )


def in_unit(value: float, one: Comparison) -> str:
    """Write a number of a comparison in its unit."""
    if one.unit == "fraction":
        return percent(value, 1)
    written = number(value)
    return written if written == NONE else f"{written} {one.unit}"


def _span(one: Comparison) -> str:
    low, high = in_unit(one.low, one), in_unit(one.high, one)
    return "" if NONE in (low, high) else f"{low} to {high}"


def _said(one: Comparison) -> str:
    few = "" if one.enough else f", insufficient data ({_over(one)})"
    return f"{one.name}: {in_unit(one.live, one)}, expected {in_unit(one.expected, one)}{few}"


def _over(one: Comparison) -> str:
    return f"{one.observations:,} and {one.expected_observations:,}"


def _facts(one: Comparison) -> dict[str, Any]:
    return {
        "unit": one.unit,
        "live": one.live,
        "expected": one.expected,
        "difference": one.difference,
        "low": one.low,
        "high": one.high,
        "p_value_uncorrected": one.p_value,
        "observations": one.observations,
        "expected_observations": one.expected_observations,
        "enough": one.enough,
    }
