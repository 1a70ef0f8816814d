# SPDX-License-Identifier: GPL-3.0-or-later
"""The herald reads what the journal has new and tells people what deserves it.

Beside a stream it is a thread of its own, at the end of a wake it speaks once. It reads through a
connection of its own that is open for milliseconds, and waits for nobody who trades; nobody who
trades waits for it. Whatever fails in it is logged, and never ends a run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from iverson.config import Settings
from iverson.errors import ConfigError, IversonError
from iverson.monitoring.alerts import Alert, Alerts, Way, ways
from iverson.monitoring.channel import Channel, Later, Log, Undelivered
from iverson.monitoring.hiding import check_token
from iverson.monitoring.journal import Journal
from iverson.monitoring.kinds import Kind
from iverson.monitoring.message import plain
from iverson.monitoring.outbox import Outbox, Sending, path_of

POLL_SECONDS = 1.0
FLUSH_SECONDS = 20.0  # that the end of a run may take for its alerts
SEND_SECONDS = 10.0  # that one message takes at most
TIMEOUT_SECONDS = 5.0  # for each step of a request: half of it
READ: tuple[Kind, ...] = (
    "run", "verdict", "fill", "cash_flow", "trade", "equity", "halt", "release", "note", "alarm",
    "heartbeat", "drill",
)  # fmt: skip
logger = logging.getLogger(__name__)

Picture = Callable[[Path, int], bytes | None]  # of a row of a journal
HeraldMaker = Callable[[Path, Callable[[], datetime]], "Herald"]


class Herald:
    """Tells what a journal has to tell, each thing once; close it.

    Parameters
    ----------
    journal: its file, which need not be there yet; the outbox is beside it.
    channel: where to; closed with the herald.
    chosen: how each kind is told, as in the settings.
    clock: the time of the journal's rows, the venue's. monotonic, pause: seconds, and waiting some.
    picture: what draws a closed trade; None: no pictures.

    What the journal had before there was an outbox is not told any more.
    """

    def __init__(
        self,
        journal: Path,
        *,
        channel: Channel,
        clock: Callable[[], datetime],
        chosen: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
        picture: Picture | None = None,
    ) -> None:
        self._ways: Mapping[str, Way] = ways(chosen or {})
        self.journal, self.channel, self.clock = journal, channel, clock
        self._monotonic, self._pause, self._picture = monotonic, pause, picture
        path = path_of(journal)
        self.outbox = Outbox(path, start=None if path.exists() else _end_of(journal))
        self._alerts, self._name, self._read = Alerts(), "", 0
        self._found: list[tuple[int, Alert]] = []  # not in the outbox yet, each with its row
        self._last_reason = ""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # Once

    def tell(self, *, seconds: float = 0.0, ending: bool = False, at_once: bool = False) -> int:
        """Read what is new and send what may be sent; returns the messages sent.

        `seconds` is how long what may not go yet is waited for, 0 not at all. `ending`: nothing is
        waited for to come together. `at_once`: not even for the next try.
        """
        with self._lock:
            try:
                self.read()
                return self._deliver(seconds, ending=ending, at_once=at_once)
            except (IversonError, OSError) as error:
                self._complain(f"alerts wait: {error}")
                return 0

    def flush(self, seconds: float = FLUSH_SECONDS) -> int:
        """Tell everything as far as it can be within a time."""
        return self.tell(seconds=seconds, ending=True)

    def read(self) -> int:
        """Put what is new in the journal into the outbox; returns the alerts that were new."""
        self._look()
        if not self._name:
            return 0
        now = self.clock()
        began, place = self.outbox.place(self._name)
        due = [one for one in self._alerts.overdue(now) if one.seq > began]
        new = [alert for row, alert in self._found if row > place]
        told = [one for one in (*new, *due) if self._ways[one.kind] != "off"]
        queued = 0
        if told or self._read > place:
            queued = self.outbox.queue(
                [(one, self._ways[one.kind] == "silent") for one in told],
                journal=self._name, seq=self._read, now=now,
            )  # fmt: skip
        self._found.clear()
        return queued

    # Beside a stream

    def start(self, poll_seconds: float = POLL_SECONDS) -> None:
        """Tell from now on, in a thread that no trading waits for."""

        def watch() -> None:
            while not self._stopping.wait(poll_seconds):
                try:
                    self.tell()
                except Exception:  # the thread's edge: a fault here must not end the telling
                    logger.exception("the herald met a fault of its own")

        self._thread = threading.Thread(target=watch, name="herald", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = SEND_SECONDS) -> bool:
        """End the thread; False when it is still in the middle of something by then."""
        self._stopping.set()
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """Stop, tell what is left within a time, and let go of everything."""
        began = self._monotonic()
        if self.stop(min(seconds, SEND_SECONDS)):
            self.flush(max(0.0, seconds - (self._monotonic() - began)))
            self.outbox.close()
        self.channel.close()

    # Inside

    def _look(self) -> None:
        """Read the rows that were not read yet, and keep what each gives a person to know."""
        if not self.journal.exists():
            return
        with Journal(self.journal, read_only=True) as journal:
            name = journal.hash_of(1) or ""
            if name != self._name:  # the first time, or another file under the same name
                self._alerts, self._name, self._read = Alerts(), name, 0
                self._found.clear()
            last = journal.head.seq
            for seq, run, value in journal.each_of_runs(*READ, after=self._read):
                alert = self._alerts.take(seq, run, value)
                self._read = seq
                if alert is not None:
                    self._found.append((seq, alert))
            self._read = max(self._read, last)

    def _deliver(self, seconds: float, *, ending: bool, at_once: bool) -> int:
        until, sent = self._monotonic() + seconds, 0
        while not self._stopping.is_set() or ending:
            left = until - self._monotonic()
            with self.outbox.turn() as mine:
                sending = (
                    self.outbox.begin(self.clock(), ending=ending, at_once=at_once)
                    if mine and (left > SEND_SECONDS or not sent or not seconds)
                    else None
                )
                if sending is not None:
                    delivered = self._send(sending)
                    sent += delivered
            if sending is not None:
                at_once = at_once and delivered
                continue
            wait = self.outbox.wait(self.clock()) if mine else POLL_SECONDS
            if not wait or wait > left:
                break
            self._pause(wait)
        self._call_late()
        return sent

    def _send(self, sending: Sending) -> bool:
        draft = sending.draft
        try:
            png = self._draw(draft.pictured)
            if png is None:
                number = self.channel.send(draft.text, silent=draft.silent)
            else:
                number = self.channel.photo(png, caption=draft.text, silent=draft.silent)
        except Undelivered as error:
            self.outbox.undelivered(
                sending, str(error), now=self.clock(), retry_after=error.retry_after,
                permanent=error.permanent, unsure=error.unsure,
            )  # fmt: skip
            self._complain(f"an alert was not delivered: {error}")
            return False
        self.outbox.sent(sending, number, now=self.clock())
        self._last_reason = ""
        return True

    def _draw(self, row: int | None) -> bytes | None:
        if row is None or self._picture is None:
            return None
        try:
            return self._picture(self.journal, row)
        except (IversonError, OSError, ValueError, LookupError) as error:
            logger.info("no picture of row %s: %s", row, error)
            return None

    def _call_late(self) -> None:
        """Say on the log, the other way there is, what Telegram has not taken for too long."""
        late = self.outbox.late(self.clock())
        if not late:
            return
        named = [" ".join(plain(one.text).split()) for one in late if one.critical]
        others = len(late) - len(named)
        words = [*named, *([f"and {others} that matter less"] if others else [])]
        logger.error("not delivered for 15 minutes: %s", "; ".join(words))
        self.outbox.called_late(late)

    def _complain(self, reason: str) -> None:
        if reason != self._last_reason:
            logger.warning("%s", reason)
        self._last_reason = reason


def herald_of(journal: Path, clock: Callable[[], datetime], chosen: Settings) -> Herald:
    """Return the herald that the settings ask for: by Telegram, or on the log without it.

    Raises
    ------
    ConfigError: a kind of alert that there is not, or half of what Telegram needs.
    """
    from iverson.stages.trade_picture import picture_of

    check(chosen)
    return Herald(
        journal,
        channel=channel_of(chosen),
        clock=clock,
        chosen=chosen.alerts,
        picture=None if chosen.telegram_token is None else picture_of,
    )


def check(chosen: Settings) -> None:
    """Raise `ConfigError` for settings that no herald could be made of."""
    ways(chosen.alerts)
    token, chat = chosen.telegram_token, chosen.telegram_chat
    if (token is None) != (chat is None):
        missing = "TOKEN" if token is None else "CHAT"
        raise ConfigError(
            f"alerts by Telegram need a token and a chat; set IVERSON_TELEGRAM_{missing} too"
        )
    if token is not None:
        check_token(token.get_secret_value())


def channel_of(chosen: Settings) -> Channel:
    """Return the bot of the settings, or the log when there is none."""
    check(chosen)
    token, chat = chosen.telegram_token, chosen.telegram_chat
    if token is None or chat is None:
        return Log()

    def make() -> Channel:
        from iverson.monitoring.telegram import Telegram

        return Telegram(
            token.get_secret_value(), chat=chat, url=chosen.telegram_url,
            timeout_seconds=TIMEOUT_SECONDS,
        )  # fmt: skip

    return Later(make)


@contextmanager
def heralded(
    journal: Path, clock: Callable[[], datetime], chosen: Settings, *, threaded: bool
) -> Iterator[None]:
    """Have what happens inside told: while it happens (`threaded`), and what is left at its end.

    A wrong setting is raised at once; an outbox that cannot be used is logged and costs the alerts,
    not the trading.
    """
    try:
        herald = herald_of(journal, clock, chosen)
    except ConfigError:
        raise
    except (IversonError, OSError) as error:
        logger.error("nobody is told: %s", error)
        yield
        return
    if threaded:
        herald.start()
    try:
        yield
    finally:
        herald.close()


@contextmanager
def telling(
    maker: HeraldMaker | None,
    journal: Path,
    clock: Callable[[], datetime],
    *,
    threaded: bool = False,
) -> Iterator[Callable[[], None]]:
    """Have a rehearsal told by a herald, if there is one; yields what tells all up to now."""
    if maker is None:
        yield lambda: None
        return
    herald = maker(journal, clock)

    def tell() -> None:
        herald.flush(0.0)

    if threaded:
        herald.start()
    try:
        yield tell
    finally:
        herald.close()


def _end_of(journal: Path) -> tuple[str, int] | None:
    """Return a journal by the hash of its first row, and the number of its last."""
    if not journal.exists():
        return None
    with Journal(journal, read_only=True) as opened:
        name, head = opened.hash_of(1), opened.head
    return None if name is None else (name, head.seq)
