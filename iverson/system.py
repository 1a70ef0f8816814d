# SPDX-License-Identifier: GPL-3.0-or-later
"""System: a strategy, its symbols, its rules and its sizing, and the verbs that run them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iverson.execution.costs import Costs
from iverson.market import store as stores
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import utc_now
from iverson.market.columns import Columns, Source, attach, notes
from iverson.market.universe import Universe
from iverson.research.backtest import (
    Prepared,
    Setup,
    first_ready,
    interval_of,
    parameters_of,
    simulate,
    warm_up_bars,
)
from iverson.research.composition import (
    checked_columns,
    checked_rules,
    checked_strategy,
    checked_symbols,
    refuse_foreign,
    refuse_other_kinds,
)
from iverson.research.days import Day, asked_range
from iverson.research.failures import refuse_faults
from iverson.research.several import Use
from iverson.risk.capital import CapitalSteps
from iverson.risk.rules import RiskRule, standard
from iverson.risk.sizing import RiskSizing
from iverson.stages.verbs import Trades
from iverson.strategy import Strategy

if TYPE_CHECKING:
    from iverson.research.lookahead_result import Check
    from iverson.research.results import Run
    from iverson.research.walk_forward import Border
    from iverson.research.walk_result import WalkForward


@dataclass(frozen=True)
class System(Trades):
    """What trades: frozen; `with_rules`, `with_params`, `with_costs` give a new one.

    Parameters
    ----------
    strategy: a subclass of `Strategy`, a `Use` of one, or several of either. Several share the
        account and the rules; of all their signals the highest confidence comes first, then the
        order of the symbols, then that of the strategies.
    symbols: what it may trade, a list or a `Universe`; their order breaks ties between signals.
    rules: the guard rails, asked in this order; default the standard set (long-only).
    sizing, costs: how many shares, and what a fill costs.
    cash: starting equity of a backtest, dollars.
    params: parameters that differ from the strategy's own.
    through_ticks, volume_share: see `EquityBroker`.
    store: directory of imported bars; default `data/cache`, then the bundled sample.
    bars: bars to use instead of a store, by symbol.
    columns: what the strategy reads beside the prices, as [iv.News()].
    clock: what the time is, for the trial ledger (`trials.db` beside the bars).
    universe: when each symbol belonged, beside a list of some of its symbols; those without bars
        are left out, and a note says so.
    capital: steps by which sizes grow from a small beginning, which live trading wants; or None.
    as_alpaca: whether backtests take orders on Alpaca's terms, a short's stop with Alpaca's collar
        among them: after a gap it may wait; see `EquityBroker`.
    """

    strategy: type[Strategy] | Use | Sequence[type[Strategy] | Use]
    symbols: Sequence[str] | Universe = ()
    rules: Iterable[RiskRule] = field(default_factory=standard)
    sizing: RiskSizing = field(default_factory=RiskSizing)
    costs: Costs = field(default_factory=Costs)
    cash: float = 10_000.0
    params: Mapping[str, Any] = field(default_factory=dict)
    through_ticks: int = 1
    volume_share: float = 0.10
    interval: str = DAILY
    store: Path | str | None = None
    bars: Mapping[str, Bars] | None = None
    columns: Sequence[Columns] = ()
    clock: Callable[[], datetime] = utc_now
    universe: Universe | None = None
    capital: CapitalSteps | None = None
    as_alpaca: bool = False

    def __post_init__(self) -> None:
        made, params, own = checked_strategy(self.strategy)
        if isinstance(self.symbols, Universe):
            object.__setattr__(self, "universe", self.symbols)
            object.__setattr__(self, "symbols", self.symbols.symbols)
        symbols = checked_symbols(self.symbols or own, self.universe)
        refuse_foreign(made, symbols)
        object.__setattr__(self, "strategy", made)
        object.__setattr__(self, "symbols", symbols)
        object.__setattr__(self, "rules", checked_rules(self.rules))
        refuse_other_kinds(self.sizing, self.costs, self.capital)
        object.__setattr__(self, "params", {**params, **self.params})
        object.__setattr__(self, "columns", checked_columns(self.columns))
        self._setup({})

    # -- making another one --------------------------------------------------------------------

    def with_params(self, **params: Any) -> System:
        """Return the system with some parameters changed."""
        return replace(self, params={**self.params, **params})

    def with_rules(self, *rules: RiskRule) -> System:
        """Return the system with other rules."""
        return replace(self, rules=rules)

    def with_costs(self, costs: Costs) -> System:
        """Return the system with other costs."""
        return replace(self, costs=costs)

    # -- the verbs -----------------------------------------------------------------------------

    def backtest(
        self,
        start: Day | None = None,
        end: Day | None = None,
        *,
        journal: Path | str | None = None,
        **params: Any,
    ) -> Run:
        """Run once over history; `start` and `end` are dates, "2005", "2005-03" or None (all).

        Positions are closed at the end. `journal` names a file to write everything into.

        Raises
        ------
        ConfigError, DataError: one sentence each; nothing is written then.
        """
        from iverson.research.journaling import journal_run
        from iverson.research.results import Run, gone_notes, universe_notes, warm_up_notes
        from iverson.research.trials import remember, trial, where

        setup = self._setup(params)
        bars, sources, noted = self._ready()
        asked, last = asked_range(bars, start, end)
        warm_up = warm_up_bars(
            setup.strategy, setup.params, tuple(bars), interval=interval_of(bars)
        )
        first = first_ready(bars, asked, last, warm_up)
        outcome = simulate(setup, Prepared.of(bars), first=first, last=last)
        refuse_faults(outcome.record, setup.strategy, setup.params)
        passport = self._passport(bars, sources)
        shared = where(setup, data=passport.digest, first=first, last=last, at=self.clock())
        row = trial(setup, shared, np.r_[outcome.start, outcome.equity], len(outcome.pnl))
        _, problems = remember([row], self.store)
        run = Run(
            setup=setup,
            record=outcome.record,
            bars=bars,
            passport=passport,
            start=outcome.start,
            warm_up=warm_up,
            notes=(
                *noted,
                *universe_notes(setup, bars),
                *warm_up_notes(bars, outcome.traded, warm_up, asked, first),
                *gone_notes(outcome.record.trades),
                *problems,
            ),
        )
        if journal is not None:
            journal_run(run, journal)
        return run

    def walk_forward(
        self,
        start: Day | None = None,
        end: Day | None = None,
        *,
        in_sample: str | int = "2y",
        out_of_sample: str | int = "6mo",
        purge: int | None = None,
        anchored: bool = False,
        grid: Mapping[str, Any] | None = None,
        sampler: str | None = None,
        trials: int | None = None,
        objective: str = "sharpe",
        minimum_trades: int = 10,
        at_border: Border = "close",
        jobs: int | str = 1,
        resume: Path | str | None = None,
        seed: int = 0,
        journal: Path | str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> WalkForward:
        """Tune in sample, judge out of sample, fold after fold.

        Parameters
        ----------
        in_sample, out_of_sample: "2y", "6mo", "3w", "90d", or a number of sessions.
        purge: sessions left out between the two; default the longest holding period plus the wait
            for the entry. With positions closed at borders 0 is safe too.
        anchored: let in-sample start at the beginning in every fold instead of rolling along.
        grid: values to try by parameter, `dict(period=[7, 14])`, or a range of `search_space`; None
            tries the defaults only.
        sampler: "grid" tries every combination, "random" and "qmc" (a Sobol sequence) try `trials`
            sets, the same in each fold; Optuna's "tpe" and "cmaes" are led by each fold's own
            in-sample scores. None: "grid", or "random" with `trials`.
        trials: how many different sets to try in each fold.
        objective: what in-sample ranks by; sets with fewer than `minimum_trades` cannot win.
        at_border: "close" positions at the end of each fold, or "carry" them into the next.
        jobs: where to search: a number of processes, -1 for all cores, "dask" or "ray" for a
            cluster on this machine, or a cluster's address as "tcp://host:8786" (Dask) or
            "ray://host:10001". The result does not depend on it.
        resume: a file that keeps the finished parts of the search; a walk-forward that was ended
            goes on from there. What other code, bars or settings found is never taken from it.
        """
        from iverson.research.journaling import journal_walk_forward
        from iverson.research.samplers import checked, corners, listed_sets
        from iverson.research.search_space import check_space
        from iverson.research.walk_forward import Plan, default_gap
        from iverson.research.walked import walked

        setup = self._setup({})
        space = dict(grid or {})
        check_space(space, self.parameters, owner=self.name)
        sampler = checked(sampler, space, trials)
        sets = listed_sets(sampler, space, trials, seed)
        gap = default_gap(setup, sets or corners(space))
        plan = Plan(
            in_sample=in_sample,
            out_of_sample=out_of_sample,
            purge=gap if purge is None else purge,
            anchored=anchored,
            objective=objective,
            minimum_trades=minimum_trades,
            at_border=at_border,
            sets=sets,
            seed=seed,
            sampler=sampler,
            trials=trials,
            space=space,
        )
        bars, sources, noted = self._ready()
        result = walked(
            setup,
            bars,
            plan,
            asked=asked_range(bars, start, end),
            gap=gap,
            passport=self._passport(bars, sources),
            noted=noted,
            store=self.store,
            at=self.clock(),
            jobs=jobs,
            resume=resume,
            progress=progress,
        )
        if journal is not None:
            journal_walk_forward(result, journal)
        return result

    def check(self, start: Day | None = None, end: Day | None = None, **how: Any) -> Check:
        """Look for future data and too short a warm-up; a pass is noted beside the bars.

        `start` and `end` as in `backtest`; `how` (sample, decisions, seed) and errors as in
        `check_lookahead`.
        """
        from iverson.research.checked import check_and_note

        bars, _ = self._admitted()
        first, last = asked_range(bars, start, end)
        return check_and_note(
            self._setup({}), bars, first=first, last=last, sources=self._sources(),
            store=self.store, **how,
        )  # fmt: skip

    # -- its parts -----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The strategy's name, or those of several."""
        return self._setup({}).strategy.__name__

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter with its value; of several strategies by `strategy.name`."""
        setup = self._setup({})
        return {**parameters_of(setup.strategy), **setup.params}

    def load(self) -> dict[str, Bars]:
        """Return the bars of the symbols, in their order, with the system's columns.

        Those within regular hours; of a universe, those that there are.

        Raises
        ------
        Refused: they are of a lesser feed than the strategy needs (`least_feed`).
        """
        return self._ready()[0]

    def _ready(self) -> tuple[dict[str, Bars], tuple[Source, ...], tuple[str, ...]]:
        """Return the bars to run on, what their columns are made of, and what there is to note."""
        bars, noted = self._admitted()
        sources = self._sources()
        return attach(bars, sources), sources, (*noted, *notes(sources))

    def _sources(self) -> tuple[Source, ...]:
        folder, symbols = Path(self.store or stores.DEFAULT), self._symbols
        return tuple(one.opened(symbols, folder) for one in self.columns)

    def _admitted(self) -> tuple[dict[str, Bars], tuple[str, ...]]:
        from iverson.research.ready import admitted, found

        bars = found(
            self._symbols,
            self.bars,
            interval=self.interval,
            store=self.store,
            all_of_them=self.universe is None,
        )
        return admitted(bars, self._setup({}).strategy, store=self.store)

    @property
    def _symbols(self) -> Sequence[str]:
        assert not isinstance(self.symbols, Universe)  # unpacked when the system was made
        return self.symbols

    def _passport(self, bars: Mapping[str, Bars], sources: Sequence[Source]) -> Any:
        from iverson.market.source import passport

        words = "; ".join(source.words for source in sources)
        return replace(passport(bars, store=self.store), columns=words)

    def _setup(self, params: Mapping[str, Any]) -> Setup:
        assert isinstance(self.strategy, type)  # one, or the one made of several
        return Setup(
            strategy=self.strategy, rules=tuple(self.rules), sizing=self.sizing, costs=self.costs,
            cash=self.cash, params={**self.params, **params}, through_ticks=self.through_ticks,
            volume_share=self.volume_share, universe=self.universe, capital=self.capital,
            as_alpaca=self.as_alpaca,
        )  # fmt: skip
