# SPDX-License-Identifier: GPL-3.0-or-later
"""Long and Short: what a strategy's `entry` returns, lines instead of numbers.

One definition is computed for the whole history in one pass, read at the current bar by the spine
in every stage, and can be handed as arrays to a compiled search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar

import backtrader as bt

from iverson.model import Side, Signal


@dataclass(frozen=True, eq=False)
class Entry:
    """Lines (or plain numbers) that describe an entry; a bar with confidence 0 or NaN has none.

    `limit`, `stop` and `target` are in the units of the data's price lines; the spine turns them
    into raw dollars. `target` None: no profit target. `reason` is a line, a number or words.
    """

    confidence: Any
    limit: Any
    stop: Any
    target: Any = None
    reason: Any = ""

    side: ClassVar[Side]

    def wanted(self) -> float:
        """Confidence at this bar; 0 when there is no signal or the line is not ready (NaN)."""
        value = _now(self.confidence)
        return 0.0 if math.isnan(value) else float(value)

    def signal(
        self,
        *,
        at: datetime,
        session: date,
        symbol: str,
        factor: float,
        max_sessions: int | None,
        strategy: str,
    ) -> Signal:
        """Read the lines at this bar; `factor` divides line prices into raw dollars.

        A confidence that is no whole number is passed on as it is, for the gate to refuse.
        """
        confidence = self.wanted()
        whole = math.isfinite(confidence) and confidence == int(confidence)
        reason = _now(self.reason)
        return Signal(
            at=at,
            session=session,
            symbol=symbol,
            side=self.side,
            confidence=int(confidence) if whole else confidence,  # type: ignore[arg-type]  # fault() names it
            limit=float(_now(self.limit)) / factor,
            stop=float(_now(self.stop)) / factor,
            target=None if self.target is None else float(_now(self.target)) / factor,
            max_sessions=max_sessions,
            reason=reason if isinstance(reason, str) else float(reason),
            strategy=strategy,
        )


class Long(Entry):
    """Buy: the stop lies below the limit, the target above."""

    side = "long"


class Short(Entry):
    """Sell short: the stop lies above the limit, the target below."""

    side = "short"


def _now(value: Any) -> Any:
    return value[0] if isinstance(value, bt.linebuffer.LineRoot) else value
