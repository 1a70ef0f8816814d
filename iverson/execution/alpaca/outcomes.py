# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer to an order means: accepted, rejected, or not known yet. Pure.

A timeout is neither a rejection nor a fill. Only an answer that certainly came from the venue and
certainly refuses is `rejected`; everything that leaves a doubt asks for a look at the venue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Outcome = Literal["accepted", "rejected", "look", "keys", "limited", "unknown"]

_DUPLICATE = 40010001  # shared with other refusals: whether the name is taken, the venue knows
_INSUFFICIENT = 40310000


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, or none: `status` 0 when the connection gave nothing that can be read.

    `body` is the decoded JSON, None when it is not JSON. `reset_at`: when the rate limit is lifted.
    """

    status: int
    body: Any = None
    error: str = ""
    reset_at: datetime | None = None

    @property
    def code(self) -> int | None:
        """Alpaca's own error code, None when the body has none."""
        code = self.body.get("code") if isinstance(self.body, Mapping) else None
        return code if isinstance(code, int) and not isinstance(code, bool) else None

    @property
    def words(self) -> str:
        """What to tell a human: Alpaca's message, else the error, else the status."""
        said = self.body.get("message") if isinstance(self.body, Mapping) else None
        return str(said or self.error or f"HTTP {self.status}")


def outcome_of_order(reply: Reply, name: str, *, replaces: bool = False) -> Outcome:
    """Judge the answer to a POST (with `replaces`: a PATCH) of the order with this client id.

    "look": refused in a way that is also the answer to a name already used, so the order may be
    there. "keys": the keys are not accepted. "limited": not taken, certainly; the same may be sent
    again. "unknown": the order may or may not be there.
    """
    if reply.status in (200, 201):
        body = reply.body
        known = isinstance(body, Mapping) and body.get("id") and body.get("client_order_id") == name
        return "accepted" if known else "unknown"
    if reply.status == 401:
        return "keys"
    if reply.status == 429:
        return "limited"
    if reply.status == 409 or (reply.status == 422 and (replaces or reply.code == _DUPLICATE)):
        return "look"  # an order that was re-priced already refuses to be so again
    if reply.status in (400, 403, 404, 422) and reply.code is not None:
        return "rejected"
    return "unknown"


def lacks_money(reply: Reply) -> bool:
    """Whether a refusal is for buying power: Backtrader's Margin, not Rejected."""
    return reply.code == _INSUFFICIENT and "buying_power" in (reply.body or {})
