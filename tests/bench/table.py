# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts and tables: a row counts only if every number of it agrees with the plain loop's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.bench.measure import Measured

CENT = 0.005
BEGIN, END = "<!-- measured by make bench: begin -->", "<!-- measured by make bench: end -->"
HEAD = (
    "| engine | CPU s | median | wall s | cold CPU s | peak MB | CPU x Iverson | cold x Iverson "
    "| result |\n|---|--:|--:|--:|--:|--:|--:|--:|---|"
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


def table(found: Mapping[str, Sequence[Measured] | str], expected: Rows | None) -> list[str]:
    """Return the lines of one work's table; `found` by engine, a text where there is no figure."""
    lines = [HEAD]
    ours = found.get("Iverson")
    base = None if ours is None or isinstance(ours, str) else ours
    ranked = sorted(
        found.items(), key=lambda item: 1e9 if isinstance(item[1], str) else least(item[1], "cpu")
    )
    for title, runs in ranked:
        if isinstance(runs, str):
            lines.append(f"| {title} | | | | | | | | {runs} |")
            continue
        said = "not compared" if expected is None else verdict(runs[0].rows, expected)
        ratios = ["", ""]
        if base is not None and said == "equal":
            ratios = [f"{least(runs, n) / least(base, n):.2f}" for n in ("cpu", "cold_cpu")]
        lines.append(
            f"| {title} | {least(runs, 'cpu'):.3f} | {median(one.cpu for one in runs):.3f} "
            f"| {least(runs, 'wall'):.3f} | {least(runs, 'cold_cpu'):.2f} "
            f"| {max(one.peak_mb for one in runs):.0f} | {ratios[0]} | {ratios[1]} | {said} |"
        )
    return lines


def least(runs: Sequence[Measured], name: str) -> float:
    """Return the minimum of one figure."""
    return min(float(getattr(one, name)) for one in runs)


def put_between_markers(page: Path, text: str) -> None:
    """Replace what stands between the markers of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
