# SPDX-License-Identifier: GPL-3.0-or-later
"""A universe file is read in the ways people write one."""

from __future__ import annotations

from pathlib import Path

import pytest

from iverson.errors import ConfigError
from iverson.market.symbol_list import read_symbols

GOOD = {
    "lines": "AAPL\nbrk.b\n",
    "comments": "# mine\nAAPL   # apple\n\n  brk.b\n",
    "windows": "\ufeffAAPL\r\nBRK.B\r\n",
    "twice": "AAPL\nBRK.B\nAAPL\n",
    "csv": 'Name,Symbol\n"Apple, Inc.",AAPL\nBerkshire,BRK.B\n',
    "ticker": "# from a vendor\nticker;weight\nAAPL;0.5\n# the other\nBRK.B;0.5\n",
    "one column": "Symbol\nAAPL\nBRK.B\n",
}
BAD = {
    "empty": ("# nothing\n\n", "names no symbol"),
    "header only": ("Symbol,Name\n", "names no symbol"),
    "no column": ("Name,Weight\nApple,0.5\n", "without a column named symbol"),
    "words": ("AAPL\nthe rest\n", "line 2: 'the rest' is not a symbol"),
    "empty cell": ("Symbol,Name\nAAPL,Apple\n,Berkshire\n", "line 3: '' is not a symbol"),
}


@pytest.mark.parametrize("name", GOOD)
def test_symbols_are_read_in_order_and_once(tmp_path: Path, name: str) -> None:
    path = tmp_path / "universe.txt"
    path.write_bytes(GOOD[name].encode())

    assert read_symbols(path) == ["AAPL", "BRK.B"]


@pytest.mark.parametrize("name", BAD)
def test_what_names_no_symbols_is_one_sentence(tmp_path: Path, name: str) -> None:
    text, words = BAD[name]
    path = tmp_path / "universe.txt"
    path.write_text(text)

    with pytest.raises(ConfigError, match=words):
        read_symbols(path)


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00A")

    for path in (tmp_path / "absent", tmp_path / "bytes", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_symbols(path)
