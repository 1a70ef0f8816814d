# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as a periodic report writes them: gains with a plus, prices on their grid, R."""

from __future__ import annotations

import math
from datetime import datetime

from iverson.model import Stage
from iverson.research.report_parts import NONE, minus, money, percent


def signed_money(value: float) -> str:
    """Write dollars gained or lost: +$12.30, −$4.00, $0.00."""
    return _signed(money(value), value)


def signed_percent(value: float, digits: int = 2) -> str:
    """Write a fraction gained or lost as a percentage: +1.20%."""
    return _signed(percent(value, digits), value)


def in_r(value: float) -> str:
    """Write a multiple of the planned risk: +1.6 R."""
    return NONE if not math.isfinite(value) else f"{_signed(minus(f'{value:.1f}'), value)} R"


def price(value: float) -> str:
    """Write dollars a share, to the cent, below one dollar to the hundredth of a cent."""
    if not math.isfinite(value):
        return NONE
    return minus(f"{value:,.2f}" if abs(value) >= 1.0 else f"{value:,.4f}")


def shares(value: float) -> str:
    """Write a number of shares."""
    return minus(f"{value:,.0f}" if value == round(value) else f"{value:,.4g}")


def why(reason: str | float, limit: int = 120) -> str:
    """Write a signal's reason, which may be a number or anybody's words, cut to `limit`."""
    if isinstance(reason, str):
        return reason if len(reason) <= limit else f"{reason[: limit - 1].rstrip()}…"
    return "" if not math.isfinite(reason) else minus(f"{reason:,.2f}")


def stage_words(stage: Stage) -> str:
    """Write a stage for people: walk-forward, rehearsal."""
    return "rehearsal" if stage is Stage.REHEARSE else stage.value.replace("_", "-")


def clock(at: datetime) -> str:
    """Write the time of an instant, UTC."""
    return f"{at:%H:%M}"


def _signed(text: str, value: float) -> str:
    positive = math.isfinite(value) and value > 0 and text.strip("$0.,%")
    return f"+{text}" if positive else text
