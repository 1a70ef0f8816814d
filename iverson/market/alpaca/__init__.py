# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca's market data: the only place in `market` that knows this vendor."""
