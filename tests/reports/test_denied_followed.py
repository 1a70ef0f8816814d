# SPDX-License-Identifier: GPL-3.0-or-later
"""What each rule saved or cost: shadow trades added up by hand, and nothing of the future."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

import iverson as iv
from iverson.execution.costs import Costs
from iverson.market.bars import Bars
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import FoldRow
from iverson.reports.denied import Denied, follow_run, mean_risk
from iverson.reports.journaled import Journaled, read
from iverson.research.shadow import NEVER, follow
from iverson.testing import bars, noise
from tests.reports.hand_made import SETTINGS, approved, denied, sessions, told_of

START = date(2024, 1, 8)
MON, TUE, WED, THU, FRI = sessions(START, 5)
FREE = replace(SETTINGS, parameters={"costs": repr(Costs.none()), "entry_sessions": 1})


class Always(iv.Strategy):
    """Buy every close: more signals than slots, so that rules deny."""

    warm_up = 63
    params = dict(max_sessions=2)

    def entry(self, data):
        return iv.Long(confidence=3, limit=data.close, stop=data.close * 0.97)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Journaled, dict[str, Bars]]:
    made = noise("A B C D E F G", seed=5, sessions=200)
    path = tmp_path_factory.mktemp("denied") / "a.db"
    iv.System(Always, list(made), bars=made).backtest(journal=path)
    with Journal(path, read_only=True) as journal:
        return read(journal), made


def by_hand(told: Journaled, made: dict[str, Bars], until: date) -> dict[str, list[float]]:
    """Follow one signal after the other and collect R by rule."""
    found = defaultdict(list)
    for verdict in told.of(iv.Verdict):
        if verdict.approved or verdict.signal.session > until:
            continue
        one = follow(
            verdict.signal, made[verdict.signal.symbol].between(date.min, until),
            rule=verdict.rule, costs=Costs(),
        )  # fmt: skip
        if one.exit_reason != NEVER:
            found[verdict.rule].append(one.r_multiple)
    return found


@pytest.mark.parametrize("place", [-1, -30])
def test_savings_are_the_shadow_trades_summed_by_hand(
    run: tuple[Journaled, dict[str, Bars]], place: int
) -> None:
    told, made = run
    until = told.sessions[place]
    expected = by_hand(told, made, until)

    found = follow_run(told, made, date.min, until, until=until).rules(seed=1)

    assert len(expected) >= 2
    for rule, multiples in expected.items():
        assert found.loc[rule, "filled"] == len(multiples)
        assert found.loc[rule, "total_r"] == pytest.approx(sum(multiples))
        assert found.loc[rule, "low"] <= found.loc[rule, "total_r"] <= found.loc[rule, "high"]


def test_bars_of_the_future_change_nothing(run: tuple[Journaled, dict[str, Bars]]) -> None:
    told, made = run
    until = told.sessions[-30]
    spoilt = {}
    for symbol, one in made.items():
        later = one.session > np.datetime64(until)
        columns = {
            name: np.where(later, getattr(one, name) * 3, getattr(one, name))
            for name in ("open", "high", "low", "close")
        }
        spoilt[symbol] = replace(one, **columns)

    honest, other = (
        follow_run(told, given, date.min, until, until=until) for given in (made, spoilt)
    )

    assert honest.followed.equals(other.followed)
    assert (honest.waiting, honest.still_open) == (other.waiting, other.still_open)


def test_every_denied_signal_is_counted_once(run: tuple[Journaled, dict[str, Bars]]) -> None:
    told, made = run
    some = {symbol: one for symbol, one in made.items() if symbol != "G"}
    last = told.sessions[-1]

    found = follow_run(told, some, date.min, last, until=last)

    refused = [one for one in told.of(iv.Verdict) if not one.approved]
    assert found.count == len(refused)
    assert found.without_bars == sum(one.signal.symbol == "G" for one in refused) > 0


def followed(values: list, words: str, *, until: date, **other: object) -> Denied:
    made = {"TEST": bars(words, start=MON)}
    settings = replace(FREE, parameters={**FREE.parameters, **other})
    return follow_run(told_of([*values], settings), made, MON, FRI, until=until)


def test_denied_winner_costs_two_r_and_denied_loser_saves_one() -> None:
    # limit 100, stop 96, target 108: Tuesday trades down to 99, then up through 109 or to 95
    winner = followed([denied(MON), account_of(WED)], "100 100/100/99/99 99/109/99/109", until=WED)
    loser = followed([denied(MON), account_of(WED)], "100 100/100/99/99 99/99/95/95", until=WED)

    assert winner.rules().loc["max positions", "total_r"] == pytest.approx(2.0)
    assert loser.rules().loc["max positions", "total_r"] == pytest.approx(-1.0)


def test_signal_of_the_last_evening_waits_and_an_open_one_is_told() -> None:
    values = [denied(MON), denied(WED, "correlation"), account_of(WED)]
    found = followed(values, "100 100/100/99/99 99/101/99/101 90", until=WED)

    assert (found.waiting, found.still_open, len(found.followed)) == (1, 1, 1)


def test_patient_entry_waits_as_long_as_its_strategy_would() -> None:
    values = [denied(MON, limit=90.0, stop=85.0), account_of(WED)]

    patient = followed(values, "100 100 100", until=WED, entry_sessions=3)
    hasty = followed(values, "100 100 100", until=WED, entry_sessions=2)

    assert (patient.waiting, len(patient.followed)) == (1, 0)
    assert (hasty.waiting, hasty.followed["filled"].tolist()) == (0, [False])


def test_faulty_signal_is_counted_and_not_followed() -> None:
    found = followed([denied(MON, stop=120.0), account_of(WED)], "100 100 100", until=WED)

    assert (found.faulty, len(found.followed)) == (1, 0)


def test_fold_that_closes_positions_ends_what_is_followed() -> None:
    fold = FoldRow(1, MON, MON, MON, TUE, {}, 1)
    words = "100 100/100/99/99 99/109/99/109"
    values = [fold, denied(MON), account_of(WED)]

    closed = followed(values, words, until=WED, at_border="close")
    carried = followed(values, words, until=WED, at_border="carry")

    assert closed.followed["exit_session"].tolist() == [TUE]
    assert closed.rules()["total_r"].tolist() == pytest.approx([-0.25])  # 100 to 99
    assert carried.rules()["total_r"].tolist() == pytest.approx([2.0])


def test_mean_risk_is_of_the_approved() -> None:
    told = told_of([denied(MON), approved(MON, 10), approved(TUE, 20), account_of(TUE)])

    assert mean_risk(told) == (10 * 4 + 20 * 4) / 2


def account_of(session: date) -> object:
    from tests.reports.hand_made import account

    return account(session, 10_000.0)
