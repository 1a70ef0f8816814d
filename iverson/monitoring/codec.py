# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen values to canonical JSON and back, exactly.

Canonical: ASCII, sorted keys, no spaces, floats by repr. A price that is NaN is null and an
infinite one "inf" or "-inf"; where None is a price of its own, NaN is "nan"; in free fields (a
signal's reason, parameters) they are {"float": "nan"} and the like. What has another type than its
field says (a faulty signal) is written as in a free field, so that it comes back as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, date, datetime
from functools import cache
from json.encoder import encode_basestring_ascii as quote
from typing import Any, NamedTuple, get_type_hints

from iverson.errors import DataError
from iverson.model import Signal, Stage


class Column(NamedTuple):
    """How one kind of field is written, read, and kept in a DataFrame."""

    encode: Callable[[Any], str]
    decode: Callable[[Any], Any]
    dtype: str


def encode(value: Any) -> str:
    """Write a dataclass as a JSON object."""
    parts = [f'"{name}":{write(getattr(value, name))}' for name, write in _writers(value.__class__)]
    return f"{{{','.join(parts)}}}"


def build(row: Any, payload: dict[str, Any]) -> Any:
    """Build a dataclass from its parsed JSON; fields that it lacks get their defaults."""
    columns = columns_of(row)
    if not payload.keys() <= columns.keys():
        raise DataError(
            f"a {row.__name__} in the journal has the fields {', '.join(sorted(payload))}; "
            "this Iverson does not know them: update it"
        )
    return row(**{name: columns[name].decode(part) for name, part in payload.items()})


@cache
def columns_of(row: Any) -> dict[str, Column]:
    """Look up the columns of a dataclass, by the types of its fields and in their order."""
    hints = get_type_hints(row)
    return {part.name: _COLUMNS.get(hints[part.name], TEXT) for part in fields(row)}


@cache
def _writers(row: Any) -> list[tuple[str, Callable[[Any], str]]]:
    columns = columns_of(row)
    return [(name, columns[name].encode) for name in sorted(columns)]


def at_text(at: datetime) -> str:
    """Write an instant as ISO 8601 in UTC."""
    if at.tzinfo is None:
        raise DataError(f"at is {at}, without a time zone; expected an instant in UTC")
    if getattr(at, "nanosecond", 0):  # of a pandas Timestamp
        raise DataError(f"at is {at}; expected whole microseconds")
    return at.astimezone(UTC).isoformat()


def session_text(session: date) -> str:
    """Write a session as ISO 8601."""
    return (session.date() if isinstance(session, datetime) else session).isoformat()


def _at_json(at: datetime | None) -> str:
    return "null" if at is None else f'"{at_text(at)}"'


def _at(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored)


def _session_json(session: date | None) -> str:
    return "null" if session is None else f'"{session_text(session)}"'


def _session(stored: str | None) -> date | None:
    return None if stored is None else date.fromisoformat(stored)


def _price_json(price: Any) -> str:
    if not isinstance(price, float):
        return _free_json(price)
    text = float.__repr__(price)
    if math.isfinite(price):
        return text
    return "null" if text == "nan" else f'"{text}"'


def _price(stored: Any) -> Any:
    if isinstance(stored, float):
        return stored
    if stored is None:
        return math.nan
    return float(stored) if stored in ("inf", "-inf", "nan") else _from_free(stored)


def _optional_price_json(price: Any) -> str:
    if price is None:
        return "null"
    text = _price_json(price)
    return '"nan"' if text == "null" else text


def _optional_price(stored: Any) -> Any:
    return None if stored is None else _price(stored)


def _table_json(table: Mapping[str, Any]) -> str:
    pairs = (f"{quote(name)}:{_free_json(table[name])}" for name in sorted(table))
    return f"{{{','.join(pairs)}}}"


def _table(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: _from_free(part) for name, part in stored.items()}


def _free_json(value: Any) -> str:
    """Write anything plain; what JSON has no word for becomes an object with one key."""
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        text = float.__repr__(value)
        return text if math.isfinite(value) else f'{{"float":"{text}"}}'
    if isinstance(value, datetime):
        return f'{{"at":"{at_text(value)}"}}'
    if isinstance(value, date):
        return f'{{"date":"{value.isoformat()}"}}'
    if isinstance(value, (list, tuple)):
        text = f"[{','.join(map(_free_json, value))}]"
        return text if isinstance(value, tuple) else f'{{"list":{text}}}'
    if isinstance(value, Mapping):
        return f'{{"map":{_table_json(value)}}}'
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a NumPy scalar
        return _free_json(value.item())
    raise TypeError(
        f"{value!r} cannot be journaled; expected text, a number, a date, None or a tuple of those"
    )


def _from_free(stored: Any) -> Any:
    if isinstance(stored, list):
        return tuple(map(_from_free, stored))
    if not isinstance(stored, dict):
        return stored
    ((tag, inner),) = stored.items()
    return _UNTAG[tag](inner)


_UNTAG: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "at": datetime.fromisoformat,
    "date": date.fromisoformat,
    "list": lambda inner: list(map(_from_free, inner)),
    "map": _table,
}

AT, SESSION = "datetime64[us, UTC]", "datetime64[s]"
TEXT = Column(_free_json, _from_free, "str")
_COLUMNS: dict[object, Column] = {
    bool: TEXT._replace(dtype="bool"),
    int: TEXT._replace(dtype="int64"),
    int | None: TEXT._replace(dtype="Int64"),
    float: Column(_price_json, _price, "float64"),
    float | None: Column(_optional_price_json, _optional_price, "float64"),
    str | float: TEXT._replace(dtype="object"),
    datetime: Column(_at_json, _at, AT),
    datetime | None: Column(_at_json, _at, AT),
    date: Column(_session_json, _session, SESSION),
    date | None: Column(_session_json, _session, SESSION),
    tuple[str, ...]: TEXT._replace(dtype="object"),
    Mapping[str, Any]: Column(_table_json, _table, "object"),
    Mapping[str, str]: Column(_table_json, _table, "object"),
    Stage: Column(_free_json, Stage, "str"),
    Signal: Column(encode, lambda stored: build(Signal, stored), "signal"),
}
