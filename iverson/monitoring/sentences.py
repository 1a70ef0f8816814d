# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite's errors as sentences: what is wrong with the journal and what to do about it."""

from __future__ import annotations

from iverson.errors import DataError, IversonError


def sentence(error: Exception, name: str, wait_seconds: float) -> IversonError:
    """Turn an error met in the journal called `name` into one that says what to do."""
    code, words = getattr(error, "sqlite_errorname", None) or "", str(error)
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return IversonError(
            f"{name} is locked by another process and stayed so for "
            f"{wait_seconds:g} s; stop the other writer, then try again"
        )
    if code.startswith("SQLITE_NOTADB"):
        return DataError(f"{name} is not an Iverson journal; choose another file")
    if code.startswith("SQLITE_CANTOPEN"):
        return DataError(f"{name} cannot be opened; expected a file that may be read")
    if code.startswith("SQLITE_CORRUPT") or "decode to UTF-8" in words:
        return DataError(f"{name} is damaged ({words}); keep the file and do not trade on it")
    if isinstance(error, UnicodeError):
        return DataError(f"{name} takes Unicode text only ({words})")
    if "closed database" in words:
        return IversonError(f"{name} is closed ({words})")
    return IversonError(f"{name} cannot be used ({words}); nothing was written")
