# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be read from a journal: values, a DataFrame of each kind, its soundness, an export."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Unpack

from iverson.errors import DataError, IversonError
from iverson.monitoring.chain import EMPTY, Head, Row
from iverson.monitoring.codec import build
from iverson.monitoring.kinds import KINDS, Kind, Value
from iverson.monitoring.schema import Where

if TYPE_CHECKING:
    import pandas as pd


class Reading:
    """The reading half of a `Journal`; the functions that raise here are its other half's."""

    def values(self, *kinds: Kind, **where: Unpack[Where]) -> list[Value]:
        """Read the values of these kinds (none named: all) in order, equal to what was appended."""
        rows = self._select(kinds, where)
        known: dict[str, type[Value]] = dict(KINDS.items())
        with self._parsing():
            payloads = json.loads(f"[{','.join(payload for _, _, _, payload in rows)}]")
            return [
                build(known[kind], payload)
                for (_, _, kind, _), payload in zip(rows, payloads, strict=True)
            ]

    def each(self, *kinds: Kind, **where: Unpack[Where]) -> Iterator[tuple[int, Value]]:
        """Read the same one by one, each with the number of its row: memory for one of them.

        Nobody else uses this object's connection while the iterator is open.
        """
        return ((seq, value) for seq, _, value in self.each_of_runs(*kinds, **where))

    def each_of_runs(
        self, *kinds: Kind, **where: Unpack[Where]
    ) -> Iterator[tuple[int, str, Value]]:
        """Read the same one by one, each with the number of its row and the name of its run."""
        known: dict[str, type[Value]] = dict(KINDS.items())
        for seq, run, kind, payload in self._each(kinds, where):
            with self._parsing():
                value: Value = build(known[kind], json.loads(payload))
            yield seq, run, value

    def hash_of(self, seq: int) -> str | None:
        """Return the hash of a row, None when there is none: that of row 1 names the journal."""
        row = next(self._stored(f"WHERE seq = {int(seq)}"), None)
        return None if row is None else row.hash

    def runs(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the settings of the runs; columns of `RunRow`. The index of every frame is `seq`."""
        return self._frame("run", where)

    def signals(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the signals; columns of `Signal`."""
        return self._frame("signal", where)

    def verdicts(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the verdicts: the signal's columns, then the verdict's.

        A verdict's limit and reason are `verdict_limit` and `verdict_reason`.
        """
        return self._frame("verdict", where)

    def intents(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read what was written down before it was sent; columns of `Intent`."""
        return self._frame("intent", where)

    def answers(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read what became of the intents; columns of `Answer`."""
        return self._frame("answer", where)

    def executions(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the venue's words on fills; columns of `Execution`."""
        return self._frame("execution", where)

    def orders(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the order events; columns of `OrderEvent`."""
        return self._frame("order", where)

    def fills(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the fills; columns of `Fill`."""
        return self._frame("fill", where)

    def cash_flows(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the cash flows; columns of `CashFlow`."""
        return self._frame("cash_flow", where)

    def trades(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the closed trades, by the session of their exit; columns of `Trade`."""
        return self._frame("trade", where)

    def equity(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the equity; columns of `EquityRow`."""
        return self._frame("equity", where)

    def halts(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the halts as they began; columns of `Halt`."""
        return self._frame("halt", where)

    def releases(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the halts that a person lifted; columns of `Release`."""
        return self._frame("release", where)

    def folds(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the folds, by the first session out of sample; columns of `FoldRow`."""
        return self._frame("fold", where)

    def trials(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the trials, by the name of their strategy as `symbol`; columns of `TrialRow`."""
        return self._frame("trial", where)

    def run_names(self, *kinds: Kind, **where: Unpack[Where]) -> set[str]:
        """Read the names of the runs that have rows of these kinds, without reading the rows."""
        return set(self.each_run_name(*kinds, **where))

    def each_run_name(self, *kinds: Kind, **where: Unpack[Where]) -> Iterator[str]:
        """Read the name of each row's run, in order and one by one."""
        return (run for (run,) in self._runs(kinds, where))

    def notes(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the notes; columns of `Note`."""
        return self._frame("note", where)

    def alarms(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read what a person had to see; columns of `Alarm`."""
        return self._frame("alarm", where)

    def heartbeats(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the signs of life; columns of `Heartbeat`."""
        return self._frame("heartbeat", where)

    def steps(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the changes of what one trade may risk; columns of `Step`."""
        return self._frame("step", where)

    def commands(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read what persons asked from outside; columns of `Command`."""
        return self._frame("command", where)

    def drills(self, **where: Unpack[Where]) -> pd.DataFrame:
        """Read the rehearsed emergencies; columns of `Drill`."""
        return self._frame("drill", where)

    def verify(self) -> int | None:
        """Recompute the whole chain.

        Returns
        -------
        The number of the first row that is damaged or missing, or None when all is well.
        """
        last = EMPTY
        with self._snapshot() as head:
            try:
                for row in self._stored("ORDER BY seq"):
                    if not row.follows(last):
                        return last.seq + 1
                    last = row.head
            except DataError:  # SQLite itself cannot read on
                return last.seq + 1
        if head is None:
            return last.seq + 1
        if head.seq != last.seq:
            return min(head.seq, last.seq) + 1
        return None if head == last else max(last.seq, 1)

    def export_json_lines(self, target: str | os.PathLike[str] | IO[str]) -> int:
        """Write every row as a line of canonical JSON, its hash included; return how many.

        A file appears complete or not at all. `verify_json_lines` checks it without SQLite.
        """
        if not isinstance(target, (str, os.PathLike)):
            return self._export(target)
        from iverson.market.files import replace_file

        path, lines = Path(target), 0

        def write(temporary: Path) -> None:
            nonlocal lines
            with temporary.open("w", encoding="ascii", newline="\n") as stream:
                lines = self._export(stream)

        try:
            path.parent.stat()  # replace_file would make a missing directory
            replace_file(path, write)
        except OSError as error:
            raise IversonError(f"{path} cannot be written ({error.strerror})") from error
        return lines

    def _export(self, stream: IO[str]) -> int:
        lines = 0
        for row in self._stored("ORDER BY seq"):
            line = row.line
            if not line.isascii():
                raise DataError(f"{self._name} is damaged at row {row.seq}; nothing exported")
            stream.write(f"{line}\n")
            lines += 1
        return lines

    @property
    def _name(self) -> str:
        raise NotImplementedError

    def _select(self, kinds: tuple[Kind, ...], where: Where) -> list[tuple[int, str, str, str]]:
        """Give seq, run, kind and payload of the rows, in order."""
        raise NotImplementedError

    def _each(self, kinds: tuple[Kind, ...], where: Where) -> Iterator[tuple[int, str, str, str]]:
        """Give the same row by row."""
        raise NotImplementedError

    def _runs(self, kinds: tuple[Kind, ...], where: Where) -> Iterator[tuple[str]]:
        """Give the run of the rows, in order."""
        raise NotImplementedError

    def _stored(self, order: str) -> Iterator[Row]:
        """Give the rows as they are, damaged or not."""
        raise NotImplementedError

    def _snapshot(self) -> AbstractContextManager[Head | None]:
        """Hold one state of the file while reading; yields what its head says, None if lost."""
        raise NotImplementedError

    def _frame(self, kind: Kind, where: Where) -> pd.DataFrame:
        from iverson.monitoring.frames import to_frame

        rows = self._select((kind,), where)
        with self._parsing():
            return to_frame(KINDS[kind], [(seq, run, payload) for seq, run, _, payload in rows])

    @contextmanager
    def _parsing(self) -> Iterator[None]:
        """Name what cannot be parsed: only damage puts it there."""
        try:
            yield
        except (ValueError, LookupError, TypeError) as error:
            raise DataError(
                f"{self._name} has rows that cannot be read ({error}); keep the file and see "
                "`iverson journal verify`"
            ) from error
