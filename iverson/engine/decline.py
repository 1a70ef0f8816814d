# SPDX-License-Identifier: GPL-3.0-or-later
"""`Decline`: a lever that says no, and why."""

from __future__ import annotations


class Decline(Exception):
    """The reason, in words, why a run takes the stock loop."""
