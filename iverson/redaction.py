# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets kept out of what is shown: sentences, tracebacks, log lines, messages.

What the settings hold as a secret is known by its exact value, and what looks like a key or a
token by its shape, because libraries put addresses with tokens in them into errors and logs.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any
from urllib.parse import quote

SHOWN = "****"
SHORTEST = 6  # a shorter value would black out half of every text
_SHAPES = re.compile(
    r"(?<!\d)\d{6,12}:[A-Za-z0-9_-]{30,}"  # a Telegram bot's token, also inside /bot.../sendMessage
    r"|\b(?:PK|AK|CK)[A-Z0-9]{14,24}\b"  # an Alpaca key
    r"|(?<=SECRET-KEY['\"]: ['\"])[^'\"]+",  # a header printed as a dictionary
    re.ASCII,
)
_known: set[str] = set()


def hide(secret: str) -> None:
    """Keep an exact value, also as addresses spell it, out of all that is redacted from now on."""
    if len(secret) >= SHORTEST:
        _known.update((secret, quote(secret), quote(secret, safe="")))


def redacted(text: str) -> str:
    """Return a text with every secret in it as ****."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, SHOWN)
    return _SHAPES.sub(SHOWN, text)


def redacted_traceback(error: BaseException) -> str:
    """Return an error with its traceback, as Python prints it, without secrets."""
    return redacted("".join(traceback.format_exception(error)))


def guard_loggers(names: Iterable[str]) -> None:
    """Redact what these loggers log, whoever listens to them: for a library that logs secrets."""
    for name in names:
        logging.getLogger(name).addFilter(_FILTER)  # adds it once


def guard_process() -> None:
    """Redact what this process logs and what threads and fatal errors print; twice is once.

    For programs (the command line, a server), not for who imports the library.
    """
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Factory):
        logging.setLogRecordFactory(_Factory(make))
    sys.excepthook = _say
    threading.excepthook = lambda given: _say(given.exc_type, given.exc_value, given.exc_traceback)
    for name in ("httpx", "httpcore", "urllib3", "websockets", "telegram"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))


class _Filter(logging.Filter):
    """Rewrites records on their way through a logger, so that no handler sees a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, without secrets; of an error its last line."""
        words = record.getMessage()
        if record.exc_info:
            words += f" ({record.exc_info[1]!r})"
        clean = redacted(words)
        if record.exc_info or clean != words:
            record.msg, record.args, record.exc_info, record.exc_text = clean, (), None, None
        return True


_FILTER = _Filter()


class _Factory:
    """Makes log records whose message is redacted."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *args: Any, **more: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._make(*args, **more)
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # the logging module says that itself, later
            return record
        record.msg, record.args = redacted(text), ()
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = redacted_traceback(record.exc_info[1])  # which handlers print as is
        return record


def _say(
    kind: type[BaseException], error: BaseException | None, place: TracebackType | None
) -> None:
    if issubclass(kind, SystemExit):
        return
    text = "".join(traceback.format_exception(kind, error, place))
    print(redacted(text), file=sys.stderr, end="")  # noqa: T201 (what the interpreter would print)
