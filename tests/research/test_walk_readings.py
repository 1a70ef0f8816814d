# SPDX-License-Identifier: GPL-3.0-or-later
"""The readings of doubtful bars: judged once as long as they agree, and never taken to agree."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from iverson.errors import IversonError
from iverson.market.calendar import new_york
from iverson.model import Reading
from iverson.research.backtest import Outcome, Prepared, Setup
from iverson.research.folds import Fold, Span
from iverson.research.search import Score
from iverson.research.walk_forward import READINGS, Border, Judged, judge
from tests.research.sweep_campaign import random_case

SEEDS = range(8, 16)
FOLDS = 6
CHOSEN = Score({}, score=1.0, trades=1, total_return=0.0, cagr=0.0, sharpe=0.0, bars=1)

Case = tuple[Setup, Prepared, list[Fold]]


def case(seed: int) -> Case:
    """Return a random system with targets, and folds over its bars."""
    task, prepared = random_case(seed)
    last = max(feed.bars.session[-1] for feed in prepared.feeds.values()).item()
    sessions = new_york().between(task.first, min(task.last, last))
    spans = [
        Span(part[0].item(), part[-1].item(), len(part)) for part in np.array_split(sessions, FOLDS)
    ]
    folds = [Fold(n, span, None, span) for n, span in enumerate(spans, start=1)]
    return task.setup.with_params(dict(target=True)), prepared, folds


def judged(one: Case, reading: Reading, border: Border, other: Judged | None = None) -> Judged:
    setup, prepared, folds = one
    return judge(
        replace(setup, reading=reading), prepared, folds, [CHOSEN] * FOLDS, border, other=other
    )


def left_by(outcome: Outcome) -> tuple[Any, ...]:
    """Return everything that a run leaves behind, NaN equal to NaN."""
    return (
        repr(outcome.record.values), outcome.start, outcome.equity.tobytes(),
        outcome.sessions.tobytes(), outcome.pnl.tobytes(), outcome.opening.cash,
        outcome.opening.state, repr(outcome.opening.carried), outcome.doubtful,
    )  # fmt: skip


def certain(outcomes: Sequence[Outcome]) -> int:
    """Count the folds before the first with a doubtful bar."""
    return next((n for n, one in enumerate(outcomes) if one.doubtful), len(outcomes))


@pytest.fixture(scope="module", params=["close", "carry"])
def walks(request: pytest.FixtureRequest) -> list[tuple[Case, Border, Judged]]:
    border: Border = request.param
    found = []
    for one in map(case, SEEDS):
        with suppress(IversonError):  # a signal that is refused, a fold without bars
            found.append((one, border, judged(one, "worst", border)))
    return found


def test_some_systems_meet_doubtful_bars_at_once_some_later_and_some_never(
    walks: list[tuple[Case, Border, Judged]],
) -> None:
    """Else the tests below would say little."""
    lengths = [certain(worst.by_fold) for _, _, worst in walks]

    assert {0, FOLDS} < set(lengths)
    assert len(lengths) > len(SEEDS) // 2


def test_judging_beside_another_reading_gives_what_judging_alone_gives(
    walks: list[tuple[Case, Border, Judged]],
) -> None:
    for one, border, worst in walks:
        for reading in READINGS[1:]:
            alone = judged(one, reading, border)
            beside = judged(one, reading, border, worst)

            assert [left_by(a) for a in alone.by_fold] == [left_by(b) for b in beside.by_fold]
            assert repr(alone.record.values) == repr(beside.record.values)


def test_folds_before_the_first_doubtful_bar_are_run_once_and_those_after_for_each_reading(
    walks: list[tuple[Case, Border, Judged]],
) -> None:
    one, border, worst = next(w for w in walks if 0 < certain(w[2].by_fold) < FOLDS)

    best = judged(one, "best", border, worst)

    shared = [a is b for a, b in zip(best.by_fold, worst.by_fold, strict=True)]
    assert shared == [n < certain(worst.by_fold) for n in range(FOLDS)]


def test_a_trade_marked_ambiguous_makes_its_fold_or_an_earlier_one_doubtful(
    walks: list[tuple[Case, Border, Judged]],
) -> None:
    marked = 0
    for _, _, worst in walks:
        for n, outcome in enumerate(worst.by_fold):
            if any(trade.ambiguous for trade in outcome.record.trades):
                marked += 1
                assert certain(worst.by_fold) <= n
    assert marked
