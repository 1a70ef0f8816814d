# SPDX-License-Identifier: GPL-3.0-or-later
"""A page for programs: canonical JSON of its facts, the same bytes for the same journal.

`schema` grows when a name goes away or changes its meaning; names may be added without notice.
Units stand in the names (`_usd`, `_fraction`, `_bps`), undefined numbers are null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from iverson.reports.page import Page

SCHEMA = 1


def as_dict(page: Page) -> dict[str, Any]:
    """Return the page as plain values, each section's facts under its name."""
    return {
        "schema": SCHEMA,
        "kind": page.kind,
        "run": page.run,
        "first": page.first.isoformat(),
        "last": page.last.isoformat(),
        "title": page.title,
        "headline": page.headline,
        "made_up": page.made_up,
        "sections": {section.id: _plain(section.facts) for section in page.sections},
    }


def render(page: Page) -> str:
    """Return the page as JSON: sorted names, ASCII, no NaN, a line end."""
    text = json.dumps(as_dict(page), sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False)
    return f"{text}\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part) for part in value]
    if hasattr(value, "isoformat"):
        text = str(value.isoformat())
        return None if value != value else text  # noqa: PLR0124 (NaT)
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)
