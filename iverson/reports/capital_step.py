# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the capital stands on its steps: the level, and what the next one up or down waits for.

Whoever trades takes the steps, at most one a session, and journals each with its reason; here they
are only told.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from iverson.model import Trade
from iverson.monitoring.events import Step
from iverson.reports.journaled import Journaled
from iverson.reports.page import Section
from iverson.research.report_parts import number, percent, plural
from iverson.risk.capital import weigh

TITLE = "Capital step"
HIGH_DAYS = 30  # calendar days that the high looks back
USUAL: Mapping[str, Any] = {"trades": 10, "drawdown": 0.05, "levels": ()}


@dataclass(frozen=True, slots=True)
class Standing:
    """The last step, and what has happened since.

    `trades` counts the trades closed since that had a planned risk, `mean_r` is their expectancy
    and `lower_r` its lower bound, as whoever takes the steps has it (`risk.capital.weigh`); NaN
    without any. `drawdown` is the fraction below the 30-day high, <= 0. `needed`, `limit` and
    `levels` (0: unknown) are what the run was set to.
    """

    step: Step
    trades: int
    mean_r: float
    lower_r: float
    drawdown: float
    needed: int
    limit: float
    levels: int


def standing(told: Journaled) -> Standing | None:
    """Read where a run stands at its last noted session; None when no step was journaled."""
    places = [place for place, value in enumerate(told.values) if isinstance(value, Step)]
    if not places:
        return None
    last = told.values[places[-1]]
    assert isinstance(last, Step)
    since = [value for value in told.values[places[-1] :] if isinstance(value, Trade)]
    made = [one.r_multiple for one in since if math.isfinite(one.r_multiple)]
    evidence = weigh(made)
    known = {**USUAL, **_settings(told)}
    return Standing(
        step=last,
        trades=len(made),
        mean_r=evidence.mean,
        lower_r=evidence.lower,
        drawdown=_fall(told),
        needed=int(known["trades"]),
        limit=float(known["drawdown"]),
        levels=len(known["levels"]),
    )


def step_section(found: Standing | None) -> Section:
    """Say where the capital stands on its steps."""
    if found is None:
        line = "No step was journaled: sizes follow the confidence alone."
        return Section(TITLE, (line,), facts={"level": None})
    step, level = found.step, found.step.level + 1  # people count from 1
    of_all = f" of {found.levels}" if found.levels else ""
    highest = found.levels and level >= found.levels
    fallen = found.drawdown <= -found.limit
    waits = (
        "It is the highest level."
        if highest
        else f"{min(found.trades, found.needed)} of {found.needed} trades since the last step"
        + (f" ({found.trades:,} in all)" if found.trades > found.needed else "")
        + (
            ""
            if math.isnan(found.mean_r)
            else f", {number(found.mean_r)} R on average, lower bound {number(found.lower_r)} R"
        )
        + "; up takes all of them and a lower bound above 0."
    )
    below = (
        f"Equity is {percent(-found.drawdown, 1)} below its 30-day high; "
        f"{percent(found.limit, 0)} is a step down"
    )
    lines = (
        (
            f"Level {level}{of_all} since {step.session}: at most {percent(step.cap, 1)} of equity "
            f"at risk in a trade ({step.reason})."
        ),
        waits,
        f"{below}{', reached' if fallen else ''}.",
    )
    return Section(
        TITLE,
        lines=lines,
        facts={
            "level": step.level,
            "levels": found.levels or None,
            "cap_fraction": step.cap,
            "since": step.session,
            "reason": step.reason,
            "trades_since": found.trades,
            "trades_needed": found.needed,
            "mean_r": found.mean_r,
            "lower_r": found.lower_r,
            "drawdown_fraction": found.drawdown,
            "drawdown_limit_fraction": -found.limit,
        },
        note=f"Steps are taken by what trades, never here. {plural(found.trades, 'trade')} closed "
        "since the last one had a planned risk.",
    )


def _settings(told: Journaled) -> dict[str, Any]:
    """Read what the steps were set to, as they write themselves; nothing when it cannot be read."""
    try:
        call = ast.parse(str(told.run.parameters.get("capital", "")), mode="eval").body
        if not isinstance(call, ast.Call):
            return {}
        return {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    except (SyntaxError, ValueError):
        return {}


def _fall(told: Journaled) -> float:
    """Return the fraction below the high of the last 30 calendar days, deposits taken out."""
    last = told.growth.index[-1]
    recent = told.growth[told.growth.index >= last - timedelta(days=HIGH_DAYS)]
    return min(0.0, float(told.growth.iloc[-1]) / float(recent.max()) - 1.0)
