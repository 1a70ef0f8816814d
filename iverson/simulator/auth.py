# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys: who may speak for which account, and whether a key still holds.

Paper keys begin with PK and live keys with AK, and each opens only its own environment. The
simulator's secrets are no secrets: they open an account that does not exist, on this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest

from iverson.errors import ConfigError

PREFIX = {True: "PK", False: "AK"}
PAPER_KEY, LIVE_KEY = "PKSIMULATOR", "AKSIMULATOR"
SECRET = "simulated-secret"  # noqa: S105 (of an account that does not exist)


@dataclass(frozen=True, slots=True)
class Key:
    """A key with its secret and the account it opens."""

    key: str
    secret: str
    account_id: str

    def __repr__(self) -> str:
        return f"Key({self.key!r}, ****, {self.account_id!r})"


class Keys:
    """The keys of one environment, paper or live."""

    def __init__(self, *, paper: bool = True) -> None:
        self.paper = paper
        self._keys: dict[str, Key] = {}
        self._revoked: set[str] = set()

    def add(self, key: str, secret: str, account_id: str) -> Key:
        """Let a key open an account; `ConfigError` for one of the other environment."""
        if not key.startswith(PREFIX[self.paper]):
            raise ConfigError(
                f"the key {key!r} is not one of the {'paper' if self.paper else 'live'} "
                f"environment; expected it to begin with {PREFIX[self.paper]}"
            )
        self._keys[key] = made = Key(key, secret, account_id)
        return made

    def account_of(self, key: str, secret: str) -> str | None:
        """Return the account that a key and its secret open, None if they open none."""
        found = self._keys.get(key)
        if found is None or key in self._revoked:
            return None
        return found.account_id if compare_digest(found.secret.encode(), secret.encode()) else None

    def account_in(self, headers: Mapping[str, str]) -> str | None:
        """Return the account that the headers of a request open, None if they open none."""
        return self.account_of(
            headers.get("apca-api-key-id", ""), headers.get("apca-api-secret-key", "")
        )

    def revoke(self) -> None:
        """Let every key stop working, as when somebody generates new ones."""
        self._revoked |= set(self._keys)

    def restore(self) -> None:
        """Let every key work again."""
        self._revoked.clear()
