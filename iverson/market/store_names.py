# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in the store: of a symbol's files, and of what was meant by a symbol that is not there."""

from __future__ import annotations

from difflib import get_close_matches
from urllib.parse import quote

from iverson.errors import MissingBars
from iverson.market.bars import DAILY

_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{p}{n}" for p in ("COM", "LPT") for n in range(1, 10))}


def file_name(symbol: str) -> str:
    """Return the name of a symbol's files, without suffix, that no file system objects to."""
    name = quote(symbol, safe="^=")
    # Windows keeps these names for devices, whatever the suffix.
    return f"%{ord(name[0]):02X}{name[1:]}" if name.upper() in _RESERVED else name


def missing(symbol: str, known: list[str], *, where: str, interval: str) -> MissingBars:
    """Build the sentence for an unknown symbol, with a "did you mean" when one is close.

    Minutes can be made up too: for whoever has none and wants to try.
    """
    close = get_close_matches(symbol.upper(), known, n=1)
    shown = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
    hint = f"did you mean {close[0]}?" if close else f"there are {shown or 'none of any symbol'}."
    made_up = (
        "" if interval == DAILY else ", SYNTHETIC ones to try with by `iverson bars synthesize`"
    )
    return MissingBars(
        f"{symbol} has no {interval} bars in {where}; {hint} "
        f"Others can be had with `iverson bars fetch` or `iverson bars import`{made_up}"
    )
