# SPDX-License-Identifier: GPL-3.0-or-later
"""A universe file: the symbols to fetch, one a line or in the symbol column of a CSV.

# text: one symbol a line; what follows # is a comment
AAPL
BRK.B      # class B

Symbol,Name                      CSV: a column named symbol or ticker, any others beside it
AAPL,"Apple, Inc."
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from iverson.errors import BadBars, ConfigError
from iverson.market.spellings import clean_symbol, plain

_HEADERS = ("symbol", "ticker")


def read_symbols(path: Path) -> list[str]:
    """Return the symbols of a file, in upper case, each once, in the order of the file.

    `ConfigError` when the file cannot be read, names no symbol, or has a line that is none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}); expected a text file of symbols, one a line, or a "
            "CSV with a symbol column"
        ) from error
    symbols: dict[str, None] = {}
    for number, word in _words(text, path):
        try:
            symbols[clean_symbol(word, path)] = None
        except BadBars as error:
            raise ConfigError(
                f"{path}, line {number}: {word!r} is not a symbol; expected up to 20 letters, "
                "digits or . - /, one symbol a line or a CSV with a symbol column"
            ) from error
    if not symbols:
        raise ConfigError(f"{path} names no symbol; expected one a line, or a symbol column")
    return list(symbols)


def _words(text: str, path: Path) -> Iterator[tuple[int, str]]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(n, line) for n, line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return
    delimiter = max(",;\t", key=lines[0][1].count)
    header = [plain(name) for name in next(csv.reader([lines[0][1]], delimiter=delimiter))]
    named = [position for position, name in enumerate(header) if name in _HEADERS]
    if not named:
        if len(header) > 1:
            raise ConfigError(
                f"{path}, line {lines[0][0]}: a CSV without a column named symbol; its first line "
                f"is {lines[0][1].strip()!r}"
            )
        yield from ((number, line.partition("#")[0].strip()) for number, line in lines)
        return
    for number, line in lines[1:]:
        cells = next(csv.reader([line], delimiter=delimiter))
        yield number, cells[named[0]].strip() if len(cells) > named[0] else ""
