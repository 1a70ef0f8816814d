# SPDX-License-Identifier: GPL-3.0-or-later
"""Assets: what the exchange says about a symbol, apart from its prices.

The identifier is drawn from a generator keyed by (seed, symbol), so that a symbol keeps its
identifier from run to run and whatever else is listed with it.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import Literal

Status = Literal["active", "inactive"]


@dataclass(frozen=True, slots=True)
class Asset:
    """One listed US equity with the flags that decide which orders are taken.

    `maintenance_margin` is a fraction of the position's value (0.3), for long positions.
    """

    symbol: str
    id: str
    name: str = ""
    exchange: str = "NASDAQ"
    status: Status = "active"
    tradable: bool = True
    marginable: bool = True
    shortable: bool = True
    easy_to_borrow: bool = True
    fractionable: bool = True
    maintenance_margin: float = 0.3
    attributes: tuple[str, ...] = ()


def stable_id(symbol: str, *, seed: int = 0) -> str:
    """Return the identifier of a symbol's asset: a UUID that depends on both arguments only."""
    draw = random.Random(f"asset {seed} {symbol}")
    return str(uuid.UUID(int=draw.getrandbits(128), version=4))


def listed(symbol: str, *, seed: int = 0) -> Asset:
    """Return the asset of a large, liquid stock: everything is allowed."""
    return Asset(symbol=symbol, id=stable_id(symbol, seed=seed), name=f"{symbol} Common Stock")
