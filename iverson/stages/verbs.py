# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of a system that send orders: rehearse on loopback, wake, paper and live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.model import Stage
from iverson.research.days import Day
from iverson.stages.traded import Traded

if TYPE_CHECKING:
    from iverson.market.bars import Bars
    from iverson.research.backtest import Setup
    from iverson.stages.checked_off import CheckedOff
    from iverson.stages.doctor import Finding
    from iverson.stages.drill import Drilled
    from iverson.stages.herald import HeraldMaker
    from iverson.stages.rehearsed import Rehearsal
    from iverson.stages.review import Review
    from iverson.stages.trading import Went


class Trades:
    """What a system can do beside research; each verb refuses in one sentence what may not be."""

    if TYPE_CHECKING:  # of the system that inherits them
        interval: str
        store: Path | str | None
        bars: Mapping[str, Bars] | None
        clock: Callable[[], datetime]

        @property
        def name(self) -> str:
            """The strategy's name."""

        def load(self) -> dict[str, Bars]:
            """Return the bars."""

        def _setup(self, params: Mapping[str, Any]) -> Setup: ...
        @property
        def _symbols(self) -> Any: ...

    def rehearse(
        self,
        start: Day | None = None,
        end: Day | None = None,
        *,
        scenario: Any = None,
        journal: Path | str | None = None,
        seed: int = 0,
        stream: bool = False,
        progress: Callable[[int, int], None] | None = None,
        herald: HeraldMaker | None = None,
    ) -> Rehearsal:
        """Trade history on the exchange on loopback, with all that paper and live use.

        Parameters
        ----------
        start, end: dates as in `backtest`; without `end` the period of `start` ("2012-03" is that
            month), without both the last month of daily bars, or the last two sessions of minutes.
        scenario: what goes wrong, by name (`iverson rehearse --list`) or a file.
        journal: where everything is written; None keeps it as long as the result.
        seed: of all that is left to chance at the exchange.
        stream: daily bars by one stream a session, as `paper(stream=True)`, instead of wakes.
        progress: called with the sessions done and those there are.
        herald: makes, of a journal and the exchange's clock, what tells people; default nobody is.
        """
        from iverson.stages.rehearsing import rehearse

        return rehearse(
            self._traded(), start, end, scenario=scenario, journal=journal, seed=seed,
            stream=stream, progress=progress, herald=herald,
        )  # fmt: skip

    def wake(self, at: datetime | None = None, *, journal: Path | str | None = None) -> Went:
        """Act once on the newest complete bar, through the paper account; for a timer.

        It may be repeated, overlap a restart or follow a crash: a bar is acted on once. Keys,
        addresses and the journal come from the settings; on loopback it is a rehearsal. Daily bars
        want three slots a session: before the open (at nine, say), where nothing is decided and
        stops are made anew for shares that a split has changed; some minutes before the close for
        what has to be left; and some after it (on a free plan 20) for the new bar.

        Parameters
        ----------
        at: the instant whose newest bar is meant; default now.

        Raises
        ------
        Refused: what has to be there first, in one sentence (`iverson check`, an account that may
            trade, a clock and a calendar that agree with the venue's, a feed that is fresh enough).
        """
        from iverson.stages.opened import Asked
        from iverson.stages.trading import wake_once

        return wake_once(self._traded(), Asked(Stage.PAPER, journal), at=at)

    def paper(self, *, stream: bool = False, journal: Path | str | None = None) -> Went:
        """Trade the paper account: one wake for daily bars, the session's stream for minutes.

        Parameters
        ----------
        stream: stay awake for a session with daily bars, too. Started up to two hours before the
            open, it needs no wakes: shares that fill are protected a moment later, and it decides
            once the session's bar is there (on a free plan a quarter of an hour after the close).
        """
        from iverson.stages.opened import Asked
        from iverson.stages.trading import trade

        return trade(self._traded(), Asked(Stage.PAPER, journal, stream=stream))

    def live(
        self,
        *,
        max_loss: float | None = None,
        account: str | None = None,
        stream: bool = False,
        journal: Path | str | None = None,
    ) -> Went:
        """Trade real money; refuses without what `paper` asks for, and more.

        Parameters
        ----------
        max_loss: dollars agreed beforehand, of the account as it was when the run began: when they
            are lost every position is left and nothing begins again.
        account: the number of the account that the keys open, typed by whoever trades it.
        stream: as of `paper`.

        Raises
        ------
        Refused: without either, without capital steps (`System(capital=...)`), without the go-live
            token of `iverson checklist` for this account, source and configuration, for a larger
            loss than was agreed on there, or with an address that is not Alpaca's.
        """
        from iverson.stages.opened import Asked
        from iverson.stages.trading import trade

        return trade(self._traded(), Asked(Stage.LIVE, journal, account, max_loss, stream))

    def drill(
        self,
        *,
        symbol: str | None = None,
        wait_seconds: int = 600,
        flatten: bool = False,
        journal: Path | str | None = None,
    ) -> Drilled:
        """Make happen on paper what trading rarely shows, and note it; live is refused.

        Each rule denies, a halt holds and is released, an order far from the market is taken back,
        and one share is bought and stopped out. The account is left as it was found.

        Parameters
        ----------
        symbol: what one share is bought of; default the first that the account has nothing of.
        wait_seconds: how long its stop is waited for.
        flatten: have the kill switch leave a share too; only on an account that has nothing.
        """
        from iverson.stages.going_live import drill

        return drill(
            self._traded(), journal, symbol=symbol, wait_seconds=wait_seconds, flatten=flatten
        )

    def checklist(
        self,
        *,
        account: str | None = None,
        max_loss: float | None = None,
        journal: Path | str | None = None,
    ) -> CheckedOff:
        """Judge the paper run item by item; when all have passed, write the go-live token.

        Parameters
        ----------
        account: the number of the live account that the token is for.
        max_loss: dollars agreed beforehand; `live` takes no more than that.
        """
        from iverson.stages.going_live import checklist

        return checklist(self._traded(), journal, account=account, max_loss=max_loss)

    def review(self, journal: Path | str, *, run: str | None = None) -> Review:
        """Lay a run of a journal beside the backtest of the bars that it saw; default the last."""
        from iverson.stages.review import review

        return review(self._setup({}), self.load(), journal=journal, run=run)

    def examine(self) -> list[Finding]:
        """Look at the system's check for future data and at its bars, as `iverson doctor` does."""
        from iverson.stages.doctor import examine_system

        return list(examine_system(self._traded(), now=self.clock()))

    def _traded(self) -> Traded:
        return Traded(
            name=self.name,
            setup=self._setup({}),
            symbols=tuple(self._symbols),
            interval=self.interval,
            store=self.store,
            clock=self.clock,
            load=self.load,
            in_memory=self.bars is not None,
        )
