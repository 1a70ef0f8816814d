# SPDX-License-Identifier: GPL-3.0-or-later
"""What a split or a dividend does to a simulated account, on the first bar of its session.

A split converts the position and its standing exits and pays the fraction of a share in cash at
that bar's open; waiting entries are withdrawn, their plan was made in other shares.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from iverson.execution.groups import Group
from iverson.execution.orders import convert, resize


class Flow(NamedTuple):
    """Cash that moved without a fill: bar's date number, symbol, kind, dollars, split ratio."""

    number: float
    symbol: str
    kind: str
    amount: float
    ratio: float


def apply(broker: Any, data: Any, before: float | None) -> Iterator[Flow]:
    """Yield the cash that this bar's split and dividend move, positions and exits converted.

    `before` is the split ratio known before the feed's first bar, None when nothing was held then.
    """
    if not broker.is_factored(data):
        return
    factor = data.factor[0]
    if len(data) > 1:
        before = data.factor[-1]
    if before is not None and factor != before:
        yield from split(broker, data, factor / before, broker.quote(data).open)
        broker.drop_orphans(data)
    if data.dividend[0] and broker.positions[data].size:
        amount = broker.positions[data].size * data.dividend[0]
        yield Flow(data.datetime[0], data._name, "dividend", amount, 1.0)


def split(broker: Any, data: Any, ratio: float, price: float) -> Iterator[Flow]:
    """Convert what is held and what works; yield the cash in lieu when anything was held.

    `ratio` new shares for each old one, `price` dollars for a fraction of a new share.
    """
    groups = [group for group in broker.groups.values() if group.data is data]
    before = after = 0
    for group in groups:
        before += group.held
        group.held = whole(before, ratio) - after  # two groups keep the share their halves make
        after += group.held
        _convert(broker, group, ratio)
    position = broker.positions[data]
    if not position.size:
        return
    size = whole(position.size, ratio)
    amount = (position.size * ratio - size) * price
    position.size, position.price = size, position.price / ratio if size else 0.0
    yield Flow(data.datetime[0], data._name, "split", amount, ratio)


def whole(size: float, ratio: float) -> int:
    """Return the whole shares that `size` shares become, towards zero."""
    return int(math.copysign(math.floor(abs(size) * ratio + 1e-9), size))


def _convert(broker: Any, group: Group, ratio: float) -> None:
    if group.waiting:
        entry = group.entry
        left = whole(abs(entry.executed.remsize), ratio)
        if group.reduces and left:
            convert(entry, ratio)
            resize(entry, abs(entry.executed.size) + left)
        else:
            broker.cancel(entry)
    for leg in group.legs:
        if leg.alive():
            convert(leg, ratio)
    group.fit_legs()
    broker.drop_finished(group)
