# SPDX-License-Identifier: GPL-3.0-or-later
"""The passport of stored bars: the JSON beside them, and how a write becomes true all at once.

A write concerns two files, the bars and their passport. First the passport gets the new one as
`pending`, then the bars are replaced, then the passport. Whoever reads in between, or after a
write that was killed, takes the one of the two whose digest the bars have: bars and passport agree
at every instant, and nothing has to be repaired.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from iverson.errors import BadBars
from iverson.market.faults import Fault
from iverson.market.feeds import joined
from iverson.market.files import replace_file

Record = dict[str, Any]
Span = tuple[date, date]


def read(path: Path) -> tuple[Record, Record | None]:
    """Return the passport and the pending one, if a write is under way or was interrupted.

    An absent file gives an empty passport; `BadBars` when it is no passport.
    """
    if not path.is_file():
        return {}, None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        pending = record.pop("pending", None)
    except (ValueError, AttributeError, TypeError) as error:
        raise BadBars(
            f"{path} is no passport ({error}); move it and its bars away, then fetch or import "
            "them again"
        ) from error
    return record, pending


def write(path: Path, record: Record, *, pending: Record | None = None) -> None:
    """Write the passport, whole or not at all."""
    content = record if pending is None else record | {"pending": pending}
    text = json.dumps(content, indent=2) + "\n"
    replace_file(path, lambda part: _write_text(part, text))


def refuse_mixture(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse rows of another feed or adjustment than the stored ones; `BadBars` says which.

    Two feeds differ in every volume and in many prices, so that a file of both has a seam that
    looks like the market. The same goes for symbols followed through renamings and symbols not.
    """
    for name in ("feed", "adjustment"):
        was, becomes = str(old.get(name) or "unknown"), str(new.get(name) or "unknown")
        if was.casefold() != becomes.casefold():
            raise BadBars(
                f"the stored {old['interval']} bars of {old['symbol']} have the {name} {was!r}, "
                f"these have {becomes!r}; keep one {name} in a store: give the same as before, or "
                "another folder with --store"
            )
    was, becomes = str(old.get("asof") or ""), str(new.get("asof") or "")
    if was and becomes and (was == "-") != (becomes == "-"):
        raise BadBars(
            f"the stored {old['interval']} bars of {old['symbol']} are as of {was!r}, these as of "
            f"{becomes!r}: one follows renamings, the other does not; give --asof as before, or "
            "another folder with --store"
        )


def counted(faults: Iterable[Fault]) -> dict[str, int]:
    """Count faults by kind."""
    counts: dict[str, int] = {}
    for fault in faults:
        counts[fault.kind] = counts.get(fault.kind, 0) + 1
    return dict(sorted(counts.items()))


def sources(old: str, new: str) -> str:
    """Return the distinct sources, the oldest first."""
    return joined((*old.split("; "), new))


def span(record: Mapping[str, Any]) -> Span:
    """Return the sessions that the vendor was asked for; those of the bars if nothing tells."""
    first, last = record.get("covered") or (record["first"], record["last"])
    return date.fromisoformat(first), date.fromisoformat(last)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
