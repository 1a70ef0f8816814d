# SPDX-License-Identifier: GPL-3.0-or-later
"""The corporate actions of a fetch: asked for before the prices, over everything that is stored.

They are few, and vendors list some of them late; so all of them are asked for each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pandas as pd

from iverson.errors import BadBars, BrokerUnavailable, ConfigError
from iverson.market.fetch_state import State, halves
from iverson.market.store import Store
from iverson.market.vendor import NotServed, Vendor

_AT_ONCE = 50


def list_actions(
    store: Store, vendor: Vendor, state: State, first: Mapping[str, date], last: date
) -> str:
    """Ask for the actions of all symbols; without them their prices are not asked for."""
    symbols = state.open(list(state.found))
    waiting = [tuple(symbols[at : at + _AT_ONCE]) for at in range(0, len(symbols), _AT_ONCE)]
    while waiting:
        batch = waiting.pop(0)
        begin = min(min(first[one], state.covered.get(one, (first[one],))[0]) for one in batch)
        try:
            listed = vendor.actions(batch, begin, last)
        except NotServed as error:
            if len(batch) == 1 or not error.divisible:
                state.refuse(batch, str(error))
            else:
                waiting[:0] = halves(batch)
            continue
        except BadBars as error:
            state.refuse(batch, str(error))
            continue
        except (BrokerUnavailable, ConfigError) as error:
            return str(error)
        for symbol in batch:
            state.listed[symbol] = listed
            gone = _unlisted(store.actions(symbol), listed.actions, begin, last)
            known = state.covered.get(symbol)
            new = [
                text
                for when, text in listed.notes.get(symbol, ())
                if known is None or not known[0] <= when <= known[1]  # else it was told before
            ]
            state.add(symbol, notes=(*new, *gone))
    return ""


def _unlisted(
    stored: pd.DataFrame, listed: pd.DataFrame, first: date, last: date
) -> tuple[str, ...]:
    """Say which stored actions the vendor does not list; they are kept."""
    if stored.empty:
        return ()
    keys = ["symbol", "session", "kind"]
    inside = stored["session"].between(pd.Timestamp(first), pd.Timestamp(last))
    known = listed[keys].drop_duplicates()
    both = stored.loc[inside].merge(known, on=keys, how="left", indicator=True)
    return tuple(
        f"the stored {row.kind} of {row.value:g} on {row.session:%Y-%m-%d} is not listed by the "
        "vendor; it is kept"
        for row in both.loc[both["_merge"] == "left_only"].itertuples(index=False)
    )
