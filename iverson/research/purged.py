# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-validation with gaps: every session judged, no session tuned on that has seen the answer.

A decision at the close of session t is known to be right or wrong only when its trade ends, up to
`purge` sessions later: its label spans t to t + purge. A session may be tuned on only if its
label shares no session with a label that is judged. Pure: sessions in, positions out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from iverson.errors import ConfigError
from iverson.monitoring.intervals import Floats
from iverson.research.folds import Sessions, Span, checked_sessions, purge_meaning, span_of

Positions = NDArray[np.intp]

MOST_SPLITS = 2_000


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """Where to tune and where to judge: positions in the sessions, increasing.

    `groups` are the numbers of the judged groups, `test` their sessions in order. `purged` and
    `embargoed` are the sessions that belong to neither; those after a judged span are purged as far
    as its labels reach and embargoed beyond. `number` starts at 1.
    """

    number: int
    groups: tuple[int, ...]
    train: Positions
    test: Positions
    purged: Positions
    embargoed: Positions

    def train_spans(self, sessions: Sessions) -> list[Span]:
        """Give the runs of consecutive sessions to tune on, as a walk-forward's folds have them."""
        return _spans(checked_sessions(sessions), self.train)

    def test_spans(self, sessions: Sessions) -> list[Span]:
        """Give the runs of consecutive sessions to judge; neighbouring groups are one run."""
        return _spans(checked_sessions(sessions), self.test)

    def __str__(self) -> str:
        """Print as `split 3: groups 0+3, 400 sessions to tune, 200 to judge, 24 left out`."""
        left_out = self.purged.size + self.embargoed.size
        return (
            f"split {self.number}: groups {'+'.join(map(str, self.groups))}, {self.train.size} "
            f"sessions to tune, {self.test.size} to judge, {left_out} left out"
        )


def combinatorial_purged(
    sessions: Sessions, *, groups: int, test_groups: int, purge: int, embargo: int = 0
) -> list[Split]:
    """Cut sessions into groups and judge every choice of some of them, tuning on the rest.

    Parameters
    ----------
    sessions
        Exchange sessions in increasing order, each once.
    groups, test_groups
        N consecutive groups, as equal as they can be (the first ones a session longer), of which
        each choice of k is judged: `math.comb(N, k)` splits. k = 1 is purged k-fold.
    purge
        Sessions from a decision to the end of its label; see `default_purge`. As many sessions
        before every judged span are not tuned on, because their labels end inside it, and as many
        after it, because its labels end inside them.
    embargo
        Further sessions after every judged span that are not tuned on, because what is measured in
        them (averages, volatility) still remembers the judged prices. None before it: looking
        forward is what the purge is for.

    Returns
    -------
    The splits in lexicographic order of their groups.

    Raises
    ------
    ConfigError
        For sessions out of order, fewer sessions than groups, k not between 1 and N − 1, more than
        2,000 splits, negative gaps, and gaps that leave a split nothing to tune on.

    Notes
    -----
    López de Prado (2018), "Advances in Financial Machine Learning", Wiley, sections 7.4 (purging
    and embargo; snippets 7.1 to 7.3) and 12.4 (combinatorial purged cross-validation).
    """
    days = checked_sessions(sessions)
    if not 1 <= test_groups < groups:
        raise ConfigError(
            f"test_groups={test_groups} of groups={groups} cannot be judged; expected 1 or more, "
            f"and at least one group to tune on"
        )
    if days.size < groups:
        raise ConfigError(f"groups={groups} of {days.size} sessions; expected fewer groups")
    if math.comb(groups, test_groups) > MOST_SPLITS:
        raise ConfigError(
            f"groups={groups} and test_groups={test_groups} make {math.comb(groups, test_groups)} "
            f"splits; expected at most {MOST_SPLITS}: ask for fewer groups"
        )
    if purge < 0 or embargo < 0:
        raise ConfigError(
            f"purge={purge} and embargo={embargo} sessions; expected 0 or more of both"
        )
    edges = np.cumsum([0, *(len(part) for part in np.array_split(days, groups))])
    splits = []
    for number, chosen in enumerate(combinations(range(groups), test_groups), 1):
        split = _split(number, chosen, edges, purge, embargo)
        if split.train.size == 0:
            raise ConfigError(
                f"purge={purge} and embargo={embargo} leave nothing to tune on when groups "
                f"{chosen} are judged; expected shorter gaps or fewer, longer groups"
            )
        splits.append(split)
    return splits


def paths(splits: Sequence[Split]) -> NDArray[np.intp]:
    """Say which split judges which group on which path: split indices, paths × groups.

    Every group is judged by φ = k/N · C(N, k) splits, so that φ paths can be put together, each
    judging every session once. `splits` are those of one `combinatorial_purged`.

    Raises
    ------
    ConfigError
        For splits that do not judge every group equally often.

    Notes
    -----
    López de Prado (2018), section 12.4.1: path j takes the j-th split that judges a group.
    """
    if not splits:
        raise ConfigError("there are no splits; expected those of combinatorial_purged")
    judged = np.concatenate([split.test for split in splits])
    if np.setdiff1d(np.concatenate([split.train for split in splits]), judged).size:
        raise ConfigError("some sessions are never judged; expected all splits of one call")
    count = max(max(split.groups) for split in splits) + 1
    judges = [[i for i, split in enumerate(splits) if group in split.groups]
              for group in range(count)]  # fmt: skip
    if len({len(one) for one in judges}) != 1:
        raise ConfigError("some groups are judged more often; expected all splits of one call")
    return np.array(judges, dtype=np.intp).T


def path_returns(splits: Sequence[Split], returns: Sequence[Floats]) -> Floats:
    """Put the returns of all splits together into paths over all sessions: paths × sessions.

    `returns[i]` are those of split i in its `test` sessions, in order, shape (test sessions,); NaN
    stays NaN. Each path is one history of out-of-sample returns; their spread says how much of a
    walk-forward's single one is the luck of its cuts. Paths share splits and are not independent.

    Raises
    ------
    ConfigError
        For another number of returns than splits or sessions, and as `paths`.
    """
    table = paths(splits)
    if len(returns) != len(splits):
        raise ConfigError(f"{len(returns)} returns for {len(splits)} splits; expected one each")
    total = int(max(split.test[-1] for split in splits)) + 1
    judged = np.full((len(splits), total), math.nan)
    owner = np.full(total, -1)
    for i, (split, values) in enumerate(zip(splits, returns, strict=True)):
        if np.shape(values) != split.test.shape:
            raise ConfigError(
                f"split {split.number} has returns of shape {np.shape(values)}; expected "
                f"{split.test.shape}, one for each session it judges"
            )
        judged[i, split.test] = values
    for group in range(table.shape[1]):
        # The sessions of a group are those that all of its splits judge and nobody else claims.
        together = np.bincount(
            np.concatenate([splits[i].test for i in table[:, group]]), minlength=total
        )
        owner[together == table.shape[0]] = group
    result: Floats = np.stack([judged[row[owner], np.arange(total)] for row in table])
    return result


def default_purge(longest_holding: int, label_span: int = 1) -> int:
    """Give the purge, in sessions, that keeps every in-sample label out of what is judged.

    The longest holding period (sessions from entry to exit, `max_sessions`), plus the label span
    before it: sessions from the decision to the entry, 1 for an order that works in the next
    session. A label that looks further than the trade (a 5-session forward return) adds that too.

    Raises
    ------
    ConfigError
        For negative numbers.
    """
    if longest_holding < 0 or label_span < 0:
        raise ConfigError(
            f"longest_holding={longest_holding} and label_span={label_span} sessions; expected 0 "
            f"or more of both"
        )
    return longest_holding + label_span


def gap_meaning(purge: int, embargo: int = 0, *, longest_holding: int | None = None) -> list[str]:
    """Say in words what each gap assumes about execution, one sentence each, for the report.

    `longest_holding` is the strategy's time limit in sessions; None is unlimited.
    """
    said = [purge_meaning(purge, max_sessions=longest_holding)]
    if purge:
        said.append(
            f"after a judged span the same {purge} session{_s(purge)} are left out of tuning, "
            f"because trades decided in the span may still run there"
        )
    else:
        said.append(
            "after a judged span tuning starts at the next session: this assumes that every judged "
            "trade is closed at the span's last session"
        )
    if longest_holding is None:
        said.append(
            "the strategy has no time limit, so that no purge is long enough for certain: trades "
            "have to be closed at the ends of the spans"
        )
    if embargo:
        said.append(
            f"embargo {embargo}: a further {embargo} session{_s(embargo)} after a judged span are "
            f"not tuned on; this assumes that what the strategy measures has forgotten the span's "
            f"prices by then"
        )
    else:
        said.append(
            "embargo 0: this assumes that nothing measured after a judged span still depends on "
            "prices inside it"
        )
    said.append(
        "tuning on sessions after the judged ones uses a future that no trader had: these paths "
        "show how much a result varies, not what could have been earned"
    )
    return said


def _split(
    number: int, chosen: tuple[int, ...], edges: NDArray[np.intp], purge: int, embargo: int
) -> Split:
    total = int(edges[-1])
    test, near, far = (np.zeros(total, dtype=bool) for _ in range(3))
    for group in chosen:
        first, end = int(edges[group]), int(edges[group + 1])
        test[first:end] = True
        near[max(0, first - purge) : end + purge] = True
        far[end + purge : end + purge + embargo] = True
    near &= ~test
    far &= ~test & ~near
    train = ~(test | near | far)
    at = np.flatnonzero
    return Split(number, chosen, at(train), at(test), at(near), at(far))


def _spans(days: Sessions, positions: Positions) -> list[Span]:
    runs = np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1)
    return [span_of(days, int(run[0]), int(run[-1]) + 1) for run in runs if run.size]


def _s(count: int) -> str:
    return "" if count == 1 else "s"
