# SPDX-License-Identifier: GPL-3.0-or-later
"""Where orders go, and with whose keys: one of Alpaca's two hosts, or the exchange on loopback.

Nothing else is a venue. What trades on loopback is a rehearsal, whatever it was called, and only
the simulator's own keys go there; paper's keys do not open live trading, nor live's paper.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from iverson.errors import BrokerUnavailable, ConfigError, Refused
from iverson.execution.alpaca.pace import Pace
from iverson.execution.alpaca.rest import Rest
from iverson.execution.alpaca.store import AlpacaStore
from iverson.execution.alpaca.venue import Venue
from iverson.execution.reconcile import Written
from iverson.model import Stage

if TYPE_CHECKING:
    from iverson.config import Settings
    from iverson.market.alpaca.patience import Plan
    from iverson.market.alpaca.vendor import Feed

HOSTS = {Stage.PAPER: "paper-api.alpaca.markets", Stage.LIVE: "api.alpaca.markets"}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
FRESH_SECONDS = 0.002  # that what the exchange on loopback says of the time holds: as asking takes
FOREIGN_KEYS = {Stage.PAPER: "AK", Stage.LIVE: "PK"}


@dataclass(frozen=True)
class Connection:
    """One account: its address, its keys (never shown), and what the time is there."""

    stage: Stage
    url: str
    data_url: str
    plan: Plan
    key: str = field(repr=False)
    secret: str = field(repr=False)
    clock: Callable[[], datetime] = field(repr=False)
    venue: Venue = field(repr=False)
    rest: Rest = field(repr=False)

    @property
    def on_loopback(self) -> bool:
        """Whether the venue is the simulator."""
        return self.stage is Stage.REHEARSE

    @property
    def is_paper(self) -> bool:
        """Whether no real money is there."""
        return self.stage is not Stage.LIVE

    @property
    def feed(self) -> Feed:
        """The feed of what is asked for; a free plan sees the tape a quarter of an hour late."""
        return "sip" if self.plan == "paid" else "delayed_sip"

    @property
    def stream_feed(self) -> Feed:
        """The feed of the socket."""
        return "sip" if self.plan == "paid" else "iex"

    def socket(self, path: str) -> str | None:
        """Return the address of a socket on loopback; None leaves it to alpaca-py."""
        if not self.on_loopback:
            return None
        return f"ws://{urlsplit(self.url).netloc}{path}"

    def store(
        self, alarm: Callable[[str, str], None], told: Callable[[str], None], *, threaded: bool
    ) -> Callable[[Written, Callable[[Any], None]], AlpacaStore]:
        """Return what makes the store of a run."""

        def made(written: Written, note: Callable[[Any], None]) -> AlpacaStore:
            return AlpacaStore(
                rest=self.rest,
                threaded=threaded,
                written=written,
                note=note,
                alarm=alarm,
                told=told,
                clock=self.clock,
                pause=self.venue.pause,
                limited=not self.on_loopback,
            )

        return made

    def close(self) -> None:
        """Close the connection."""
        self.rest.close()

    def calendar(self, first: str, last: str) -> list[dict[str, Any]]:
        """Return the venue's sessions from one date to another."""
        reply = self.venue.caller.call("GET", "/calendar", {"start": first, "end": last})
        if reply.status != 200 or not isinstance(reply.body, list):
            raise BrokerUnavailable(
                f"Alpaca gave no calendar ({reply.words}); try again, nothing was sent"
            )
        return reply.body


def connect(settings: Settings, stage: Stage, clock: Callable[[], datetime]) -> Connection:
    """Return the connection of a stage.

    Raises
    ------
    ConfigError: no keys.
    Refused: an address that is none of Alpaca's, or keys that do not belong there.
    """
    live = stage is Stage.LIVE
    url = settings.alpaca_live_url if live else settings.alpaca_paper_url
    if settings.alpaca_key is None or settings.alpaca_secret is None:
        raise ConfigError(
            "no Alpaca keys; set IVERSON_ALPACA_KEY and IVERSON_ALPACA_SECRET, in the environment "
            "or in .env"
        )
    key, secret = settings.alpaca_key.get_secret_value(), settings.alpaca_secret.get_secret_value()
    host = urlsplit(url).hostname or ""
    if host in LOOPBACK and not live:
        _refuse_real(key)
        stage = Stage.REHEARSE
    else:
        _refuse_unknown(url, host, stage)
        if key.startswith(FOREIGN_KEYS[stage]):
            raise Refused(
                f"these keys are not of a {stage.value} account; set the {stage.value} account's "
                "as IVERSON_ALPACA_KEY and IVERSON_ALPACA_SECRET"
            )
    pause: Callable[[float], None] = time.sleep
    rest = Rest(key, secret, paper=not live, url=url.rstrip("/"))
    pace = Pace(time.monotonic, pause, limited=stage is not Stage.REHEARSE)
    venue = Venue(rest, pace, clock, pause)
    if stage is Stage.REHEARSE:
        # The time is that of the exchange on loopback, which is not that of this machine.
        clock = _Glance(venue.now, rest, time.monotonic)
        pause = clock.pausing(pause)
        venue = Venue(rest, pace, clock, pause)
    return Connection(
        stage, url, settings.alpaca_data_url, settings.alpaca_plan, key, secret, clock, venue, rest
    )


class _Glance:
    """The clock of the exchange on loopback, asked for once a moment.

    A wake reads the time several times for every bar of its warm-up, and to ask each time would be
    most of its work. What was said does not hold beyond a wait or another request, with which the
    exchange's time may go on.
    """

    def __init__(
        self, ask: Callable[[], datetime], rest: Rest, monotonic: Callable[[], float]
    ) -> None:
        self._ask, self._rest, self._monotonic = ask, rest, monotonic
        self._said: tuple[datetime, float, int] | None = None

    def __call__(self) -> datetime:
        said = self._said
        if said is not None and said[2] == self._rest.made and self._monotonic() < said[1]:
            return said[0]
        now = self._ask()
        self._said = now, self._monotonic() + FRESH_SECONDS, self._rest.made
        return now

    def pausing(self, pause: Callable[[float], None]) -> Callable[[float], None]:
        """Return a pause after which the time is asked for anew."""

        def paused(seconds: float) -> None:
            pause(seconds)
            self._said = None

        return paused


def stage_of_keys(settings: Settings) -> Stage:
    """Return the stage whose account the keys open: Alpaca's live keys begin with AK."""
    key = "" if settings.alpaca_key is None else settings.alpaca_key.get_secret_value()
    return Stage.LIVE if key.startswith(FOREIGN_KEYS[Stage.PAPER]) else Stage.PAPER


def _refuse_unknown(url: str, host: str, stage: Stage) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" and host == HOSTS[stage] and parts.port in (None, 443):
        return
    what = "loopback, where live trading does not go" if host in LOOPBACK else "no host of Alpaca's"
    raise Refused(
        f"the {stage.value} address {url!r} is {what}; expected https://{HOSTS[stage]}, or set "
        f"IVERSON_ALPACA_{stage.value.upper()}_URL back"
    )


def _refuse_real(key: str) -> None:
    from iverson.simulator.auth import LIVE_KEY, PAPER_KEY

    if key not in (PAPER_KEY, LIVE_KEY):
        raise Refused(
            "the address is on loopback and the keys are not the simulator's; keys of a real "
            "account go to Alpaca only"
        )
