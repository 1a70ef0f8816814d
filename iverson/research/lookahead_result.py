# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of `iverson check`: a verdict for each way of looking, and where it first failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import Any

import pandas as pd

from iverson.research.lookahead_compare import Difference
from iverson.research.warm_up import Settling
from iverson.strategy import Strategy

SLOWEST = 6  # lines of the warm-up table that are printed
COLUMNS = ["check", "verdict", "runs", "of", "what", "session", "symbol", "line", "whole", "other"]


@dataclass(frozen=True)
class Step:
    """One way of looking: runs made of those planned, and the first differences found."""

    name: str
    runs: int
    planned: int
    differences: tuple[Difference, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was different."""
        return not self.differences


@dataclass(frozen=True)
class Check:
    """Whether a strategy decides from the past alone. Printed, it is a small table.

    `steps` are the ways of looking, `settling` the bars each line needs against those asked for.
    `looked_at` counts the sampled bars and the decision bars of which the future was changed,
    `sessions` those of the range and those that were asked for.
    """

    strategy: type[Strategy]
    params: Mapping[str, Any]
    symbols: tuple[str, ...]
    first: date
    last: date
    bars: int
    decision_bars: int
    looked_at: tuple[int, int]
    steps: tuple[Step, ...]
    settling: tuple[Settling, ...]
    frames: tuple[str, ...]
    seed: int
    columns: tuple[str, ...] = ()
    sessions: tuple[int, int] = (0, 0)

    @property
    def passed(self) -> bool:
        """Whether nothing was different, and there were decisions to look at."""
        return self.decision_bars > 0 and all(step.passed for step in self.steps)

    @property
    def first_difference(self) -> Difference | None:
        """The first difference of the first step that has one."""
        return next((step.differences[0] for step in self.steps if step.differences), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know about the check itself."""
        sampled, decided = self.looked_at
        told = [f"later data changed at {sampled} sampled of {self.bars} bars (seed {self.seed})"]
        if decided < self.decision_bars:
            told[0] += f" and {decided} of {self.decision_bars} decision bars, evenly spread"
        else:
            told[0] += f" and all {decided} decision bars"
        kept, asked = self.sessions
        if kept < asked:
            told.append(
                f"{kept} of {asked} sessions looked at, the last with a decision: minutes are "
                "many; ask for others with --from and --to"
            )
        if not self.decision_bars:
            told.append("nothing was decided in this range, so nothing is shown: take a longer one")
        elif not self.settling:
            told.append("no decision has more history than the warm-up, so that was not measured")
        if self.frames:
            told.append(f"frames changed beside the bars: {', '.join(self.frames)}")
        if self.columns:
            told.append(f"columns made anew beside the bars: {'; '.join(self.columns)}")
        slow = [one.line for one in self.settling if not one.is_settled]
        if slow:
            told.append(f"not settled after the warm-up asked for: {', '.join(slow[:3])}")
        return tuple(told)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each step and difference."""
        rows: list[tuple[Any, ...]] = []
        for step in self.steps:
            head = (step.name, "passed" if step.passed else "refused", step.runs, step.planned)
            if step.passed:
                rows.append((*head, "", pd.NaT, "", "", "", ""))
            rows.extend(
                (*head, d.kind, pd.Timestamp(d.session), d.symbol, d.line, d.whole, d.other)
                for d in step.differences
            )
        return pd.DataFrame(rows, columns=COLUMNS)

    @property
    def warm_up(self) -> pd.DataFrame:
        """Bars that each line needs within the tolerance, to the bit, and those asked for."""
        rows = [(one.line, one.needed, one.exact, one.asked) for one in self.settling]
        frame = pd.DataFrame(rows, columns=["line", "needed", "exact", "asked"])
        return frame.astype(dict.fromkeys(("needed", "exact", "asked"), "Int64"))

    def __str__(self) -> str:
        return check_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown = [
            f"<p><b>{escape(headline(self))}</b></p>",
            self.table.fillna("").to_html(index=False),
        ]
        slowest_lines = pd.DataFrame(
            [settling_row(one) for one in slowest(self)],
            columns=["line", "needed", "exact", "asked"],
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return "".join([*shown, slowest_lines.to_html(index=False), f"<ul>{notes}</ul>"])


def headline(check: Check) -> str:
    """Return the verdict in one line."""
    verdict = "passed" if check.passed else "refused"
    if not check.decision_bars and all(step.passed for step in check.steps):
        verdict = "refused, because nothing was decided"
    name, symbols = check.strategy.__name__, ", ".join(check.symbols)
    return f"{name} on {symbols}, {check.first} to {check.last}: {verdict}"


def slowest(check: Check) -> list[Settling]:
    """Return the lines that need the most bars, the slowest first."""
    return sorted(check.settling, key=_bars_needed, reverse=True)[:SLOWEST]


def _bars_needed(one: Settling) -> int:
    return one.followed + 1 if one.needed is None else one.needed


def settling_row(one: Settling) -> tuple[str, str, str, str]:
    """Return a line's name and its bars in words."""
    shown = (f"> {one.followed}" if n is None else str(n) for n in (one.needed, one.exact))
    return (one.line, *shown, str(one.asked))  # type: ignore[return-value]  # four


def check_text(check: Check) -> str:
    """Return the small table a check prints as."""
    lines = [headline(check)]
    for step in check.steps:
        lines.append(f"  {step.name}: {'passed' if step.passed else 'refused'}")
        lines += [f"    {difference}" for difference in step.differences]
    lines.append("  bars of warm-up (within 0.1 %, to the bit, asked)")
    for one in slowest(check):
        name, *bars = settling_row(one)
        lines.append(f"    {name}: {', '.join(bars)}")
    return "\n".join([*lines, *(f"note: {note}" for note in check.notes)])
