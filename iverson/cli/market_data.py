# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca's market data by the settings: keys, address, plan and patience."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iverson.errors import ConfigError

if TYPE_CHECKING:
    from iverson.config import Settings
    from iverson.market.alpaca.client import AlpacaData
    from iverson.market.alpaca.patience import Plan


def alpaca_data(chosen: Settings, plan: Plan) -> AlpacaData:
    """Return the data API with the keys of the settings; `ConfigError` when there are none."""
    from iverson.market.alpaca.client import AlpacaData
    from iverson.market.alpaca.patience import PER_MINUTE, Backoff, TokenBucket

    if chosen.alpaca_key is None or chosen.alpaca_secret is None:
        raise ConfigError(
            "no Alpaca keys; set IVERSON_ALPACA_KEY and IVERSON_ALPACA_SECRET, in the environment "
            "or in .env (a free account has them)"
        )
    return AlpacaData(
        chosen.alpaca_key.get_secret_value(),
        chosen.alpaca_secret.get_secret_value(),
        url=chosen.alpaca_data_url,
        bucket=TokenBucket(PER_MINUTE[plan]),
        backoff=Backoff(),
    )
