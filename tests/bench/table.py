# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts and tables: a row counts only if every number of it agrees with the plain loop's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.measure import Measured

CENT = 0.005
HEAD = (
    "| engine | CPU s | median | wall s | cold CPU s | peak MB | CPU x Iverson | cold x Iverson "
    "| result | measured, load |\n|---|--:|--:|--:|--:|--:|--:|--:|---|---|"
)
Rows = Sequence[tuple[str, int, float]]


def verdict(rows: Rows, expected: Rows) -> str:
    """Say "equal", or how many rows differ and the first that does."""
    if len(rows) != len(expected):
        return f"differs: {len(rows)} results instead of {len(expected)}"
    differing = [
        (mine, theirs)
        for mine, theirs in zip(rows, expected, strict=True)
        if mine[:2] != theirs[:2] or not abs(mine[2] - theirs[2]) < CENT
    ]
    if not differing:
        return "equal"
    (label, trades, equity), (wanted, wanted_trades, wanted_equity) = differing[0]
    return (
        f"differs: {len(differing)} of {len(rows)}, first {label}: {trades} trades, "
        f"{equity:,.2f}; expected "
        f"{'' if wanted == label else wanted + ': '}{wanted_trades}, {wanted_equity:,.2f}"
    )


def table(
    found: Mapping[str, Sequence[Measured] | str], expected: Rows | None, when: Mapping[str, str]
) -> dict[str, str]:
    """Return one work's rows by engine; `found` has a text where there is no figure.

    `when` says of each engine when it was measured, and beside what.
    """
    ours = found.get("Iverson")
    base = None if ours is None or isinstance(ours, str) else ours
    lines = {}
    for title, runs in found.items():
        if isinstance(runs, str):
            lines[title] = f"| {title} | | | | | | | | {runs} | {when.get(title, '')} |"
            continue
        said = "not compared" if expected is None else verdict(runs[0].rows, expected)
        ratios = ["", ""]
        if base is not None and said == "equal":
            ratios = [f"{least(runs, n) / least(base, n):.2f}" for n in ("cpu", "cold_cpu")]
        version = next(iter(runs[0].versions.values()), "")
        lines[title] = (
            f"| {f'{title} {version}'.strip()} "
            f"| {least(runs, 'cpu'):.3f} | {median(one.cpu for one in runs):.3f} "
            f"| {least(runs, 'wall'):.3f} | {least(runs, 'cold_cpu'):.2f} "
            f"| {max(one.peak_mb for one in runs):.0f} | {ratios[0]} | {ratios[1]} | {said} "
            f"| {when.get(title, '')} |"
        )
    return lines


def cells(line: str) -> list[str]:
    """Return the cells of a row."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def cpu_of(line: str) -> float | None:
    """Return a row's CPU seconds, None when it has no figure."""
    cell = cells(line)[1]
    return float(cell) if cell else None


def least(runs: Sequence[Measured], name: str) -> float:
    """Return the minimum of one figure."""
    return min(float(getattr(one, name)) for one in runs)
