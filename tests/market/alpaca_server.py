# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on loopback that speaks the dialect of Alpaca's data API, and fails as it is told.

Written from Alpaca's published API description, not from our client: rows sorted by symbol and
time, news by its last edit, a limit over all symbols, opaque page tokens, `{"message": ...}`
errors, rate-limit headers.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY, SECRET = "PKTESTKEY", "testsecret0123"
FORBIDDEN = {"message": "forbidden."}
NO_RECENT_SIP = {"message": "subscription does not permit querying recent SIP data"}
NEWS = "/v1beta1/news"
Row = dict[str, Any]


@dataclass
class Failure:
    """One request that goes wrong: a status with body and headers, or a way to break an answer."""

    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    how: str = "answer"  # or "short" (less than promised), "half" (half the JSON), "stall"
    path: str = "/v2/stocks/bars"
    symbols: str = ""  # only a request that names this symbol


@dataclass
class FakeAlpaca:
    """What the server knows and does; `bars` by symbol and timeframe, `actions` by kind."""

    bars: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    actions: dict[str, list[Row]] = field(default_factory=dict)
    news: list[Row] = field(default_factory=list)
    failures: deque[Failure] = field(default_factory=deque)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    page: int = 10_000
    now: datetime = datetime(2026, 11, 28, 12, tzinfo=UTC)
    recent_sip: bool = False
    empty_page_first: bool = False
    empty: Any = field(default_factory=dict)  # what "bars" is when there are none: {} or None
    url: str = ""

    def answer(self, path: str, query: dict[str, str], headers: Any) -> tuple[int, Any]:
        """Return the status and the JSON of a request."""
        if (headers["APCA-API-KEY-ID"], headers["APCA-API-SECRET-KEY"]) != (KEY, SECRET):
            return 403, FORBIDDEN
        symbols = query.get("symbols", "").split(",")
        for symbol in symbols:
            if not re.fullmatch(r"[A-Z]+(\.[A-Z]+)?", symbol):
                return 400, {"message": f"invalid symbol: {symbol}"}
        if path == "/v1/corporate-actions":
            return self._corporate_actions(query, symbols)
        if path == "/v2/stocks/bars":
            return self._bars(query, symbols)
        if path == NEWS:
            return self._news(query, symbols)
        return 404, {"message": "endpoint not found."}

    def _bars(self, query: dict[str, str], symbols: list[str]) -> tuple[int, Any]:
        if query["feed"] not in ("sip", "iex"):
            return 400, {"message": f"invalid feed: {query['feed']}"}
        first, last = instant(query["start"]), instant(query["end"])
        late = self.now - timedelta(minutes=15)
        if query["feed"] == "sip" and not self.recent_sip and last > late:
            return 403, NO_RECENT_SIP
        rows = [
            (symbol, row)
            for symbol in sorted(symbols)
            for row in self.bars.get((symbol, query["timeframe"]), [])
            if first <= instant(row["t"]) <= last
        ]
        if self.empty_page_first and "page_token" not in query and rows:
            return 200, {"bars": {}, "next_page_token": base64.b64encode(b"0").decode()}
        listed, token = self._page(rows, query)
        return 200, {"bars": grouped(listed) or self.empty, "next_page_token": token}

    def _corporate_actions(self, query: dict[str, str], symbols: list[str]) -> tuple[int, Any]:
        rows = [
            (kind, row)
            for kind, listed in self.actions.items()
            for row in listed
            if query["start"] <= row["process_date"] <= query["end"]
            and any(value in symbols for name, value in row.items() if name.endswith("symbol"))
        ]
        listed, token = self._page(rows, query)
        return 200, {"corporate_actions": grouped(listed), "next_page_token": token}

    def _news(self, query: dict[str, str], symbols: list[str]) -> tuple[int, Any]:
        if not 1 <= int(query["limit"]) <= 50:
            return 400, {"message": "invalid limit"}
        first, last = instant(query["start"]), instant(query["end"])
        rows = sorted(
            (
                row
                for row in self.news
                if first <= instant(row["updated_at"]) <= last
                and not {*symbols}.isdisjoint(row["symbols"])
            ),
            key=lambda row: (instant(row["updated_at"]), row["id"]),
            reverse=query.get("sort", "desc") == "desc",
        )
        listed, token = self._page(rows, query)
        return 200, {"news": listed, "next_page_token": token}

    def _page(self, rows: list[Any], query: dict[str, str]) -> tuple[list[Any], str | None]:
        """Return the rows of the page asked for, and the token of the next."""
        start = int(base64.b64decode(query.get("page_token", "MA==")))
        end = min(start + min(int(query["limit"]), self.page), len(rows))
        token = base64.b64encode(str(end).encode()).decode() if end < len(rows) else None
        return rows[start:end], token

    def failure(self, path: str, query: dict[str, str]) -> Failure | None:
        """Return the failure that this request meets, if any."""
        for one in self.failures:
            named = not one.symbols or one.symbols in query.get("symbols", "").split(",")
            if one.path == path and named:
                self.failures.remove(one)
                return one
        return None

    def asked(self, path: str = "/v2/stocks/bars") -> list[dict[str, str]]:
        """Return the queries of a path, in order."""
        return [query for one, query in self.requests if one == path]


def grouped(listed: list[tuple[str, Row]]) -> dict[str, list[Row]]:
    page: dict[str, list[Row]] = {}
    for name, row in listed:
        page.setdefault(name, []).append(row)
    return page


def article(number: int, headline: str, *, at: str = "2024-01-03T17:00:01Z", **more: Any) -> Row:
    """One item of news as the API documentation shows it."""
    return {
        "id": number, "headline": headline, "author": "A. Writer", "created_at": at,
        "updated_at": at, "summary": "", "content": "", "url": None, "images": [],
        "symbols": ["ACME"], "source": "benzinga", **more,
    }  # fmt: skip


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def bar(stamp: str, close: float, *, volume: int = 1000) -> Row:
    """A bar as the API lists it; opens a cent below its close, a cent of room on both sides."""
    return {
        "t": stamp, "o": round(close - 0.01, 4), "h": round(close + 0.01, 4),
        "l": round(close - 0.02, 4), "c": close, "v": volume, "n": 7, "vw": close,
    }  # fmt: skip


def daily_bars(sessions: list[date], start: float = 100.0) -> list[Row]:
    """One bar a session, stamped at New York's midnight in winter or summer time."""
    return [
        bar(f"{day}T{4 if is_summer(day) else 5:02d}:00:00Z", round(start + 0.25 * n, 2))
        for n, day in enumerate(sessions)
    ]


def minute_bars(day: date, first: str, last: str, start: float = 100.0) -> list[Row]:
    """One bar a minute, stamped at the left edge, from clock to clock (New York, inclusive)."""
    shift = timedelta(hours=4 if is_summer(day) else 5)
    at = datetime.fromisoformat(f"{day}T{first}") + shift
    end = datetime.fromisoformat(f"{day}T{last}") + shift
    rows = []
    while at <= end:
        rows.append(bar(f"{at.isoformat()}Z", round(start + 0.01 * len(rows), 2), volume=100))
        at += timedelta(minutes=1)
    return rows


def is_summer(day: date) -> bool:
    """Daylight saving time of the United States since 2007 (Energy Policy Act of 2005)."""
    march, november = date(day.year, 3, 1), date(day.year, 11, 1)
    begins = march + timedelta(days=(6 - march.weekday()) % 7 + 7)
    return begins <= day < november + timedelta(days=(6 - november.weekday()) % 7)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    market: FakeAlpaca

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.market.requests.append((parts.path, query))
        failure = self.market.failure(parts.path, query)
        if failure is not None and failure.body is not None:
            self._send(failure.status, failure.body, failure.headers)
            return
        status, content = self.market.answer(parts.path, query, self.headers)
        body = json.dumps(content).encode()
        if failure is None:
            self._send(status, body, {"X-RateLimit-Limit": "200"})
            return
        if failure.how == "stall":
            time.sleep(0.5)  # longer than the client under test waits
            self.close_connection = True
            return
        if failure.how == "half":
            body = body[: len(body) // 2]
        short = 10 if failure.how == "short" else 0
        self._send(failure.status, body, failure.headers, short=short)

    def _send(self, status: int, body: bytes, headers: dict[str, str], short: int = 0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) - short])
        self.close_connection = bool(short) or self.close_connection

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that were killed."""


@contextmanager
def serving(market: FakeAlpaca) -> Iterator[FakeAlpaca]:
    """Serve on a free port of loopback until the block ends."""
    handler = type("Handler", (_Handler,), {"market": market})
    server = _Server(("127.0.0.1", 0), handler)
    market.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield market
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
