# SPDX-License-Identifier: GPL-3.0-or-later
"""One client's conversation with a data stream: who it is and what it wants, without a socket.

connected -> auth -> authenticated -> subscribe and unsubscribe, in any number. Every answer is one
control message. An error leaves the dialogue as it was, except those that end it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from iverson.simulator.data_settings import DataSwitches

Message = dict[str, Any]
Admit = Callable[[str, str], int | None]

ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    408: "v2 not enabled",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
}
ENDING = (402, 404, 406, 407, 408, 409)
STOCK_CHANNELS = (
    "trades",
    "quotes",
    "bars",
    "updatedBars",
    "dailyBars",
    "statuses",
    "lulds",
    "corrections",
    "cancelErrors",
)
NEWS_CHANNELS = ("news",)
WITH_TRADES = ("corrections", "cancelErrors")
COUNTED = ("trades", "quotes")
COUNTED_BARS = ("bars", "updatedBars", "dailyBars")


@dataclass
class Dialogue:
    """The state of one conversation; mutable.

    Parameters
    ----------
    channels : what this endpoint offers
    switches : the plan's limits
    listed : how many symbols "*" stands for
    admit : called with key and secret; returns an error code, None to let the client in
    """

    channels: tuple[str, ...]
    switches: DataSwitches
    listed: int
    admit: Admit
    authenticated: bool = False
    ended: bool = False
    wanted: dict[str, set[str]] = field(default_factory=dict)

    def greet(self) -> Message:
        """Return what the server says first."""
        return {"T": "success", "msg": "connected"}

    def receive(self, content: object) -> Message:
        """Answer one message of the client."""
        if not isinstance(content, dict):
            return self.error(400)
        action = content.get("action")
        if action == "auth":
            return self._authenticate(content)
        if action not in ("subscribe", "unsubscribe"):
            return self.error(400)
        if not self.authenticated:
            return self.error(401)
        asked = {name: value for name, value in content.items() if name != "action"}
        if not all(isinstance(value, list | tuple) for value in asked.values()):
            return self.error(400)
        if not all(isinstance(one, str) for value in asked.values() for one in value):
            return self.error(400)
        offered = [name for name in self.channels if name not in WITH_TRADES]
        if not asked or not all(name in offered for name in asked):
            known = (*STOCK_CHANNELS, *NEWS_CHANNELS)
            return self.error(410 if asked and all(name in known for name in asked) else 400)
        if action == "subscribe":
            return self._subscribe(asked)
        for name, symbols in asked.items():
            self.wanted.get(name, set()).difference_update(symbols)
        return self.subscription()

    def time_out(self) -> Message | None:
        """End a dialogue whose client has not said who it is; None if it has."""
        return None if self.authenticated or self.ended else self.error(404)

    def error(self, code: int) -> Message:
        """Return an error; some end the dialogue."""
        self.ended = self.ended or code in ENDING
        return {"T": "error", "code": code, "msg": ERRORS[code]}

    def wants(self, channel: str, symbols: Iterable[str]) -> bool:
        """Tell whether a message of a channel about these symbols is for this client."""
        asked = self.wanted.get(channel, ())
        return "*" in asked or any(symbol in asked for symbol in symbols)

    def subscription(self) -> Message:
        """Return the whole subscription, channel by channel."""
        lists = {name: sorted(self.wanted.get(name, ())) for name in self.channels}
        if "trades" in lists:
            lists |= {name: list(lists["trades"]) for name in WITH_TRADES}
        return {"T": "subscription", **lists}

    def _authenticate(self, content: Message) -> Message:
        if self.authenticated:
            return self.error(403)
        key, secret = content.get("key"), content.get("secret")
        if not isinstance(key, str) or not isinstance(secret, str):
            return self.error(400)
        refused = self.admit(key, secret)
        if refused is not None:
            return self.error(refused)
        self.authenticated = True
        return {"T": "success", "msg": "authenticated"}

    def _subscribe(self, asked: dict[str, Any]) -> Message:
        wider = {name: set(self.wanted.get(name, ())) for name in {*self.wanted, *asked}}
        for name, symbols in asked.items():
            wider[name] |= set(symbols)
        limit = self.switches.symbol_limit
        if limit is not None and self._counted(wider) > limit:
            return self.error(405)
        self.wanted = wider
        return self.subscription()

    def _counted(self, wider: dict[str, set[str]]) -> int:
        counted = (*COUNTED, *COUNTED_BARS) if self.switches.bars_count else COUNTED
        symbols = {one for name in counted for one in wider.get(name, ())}
        return max(self.listed, len(symbols) - 1) if "*" in symbols else len(symbols)
