# SPDX-License-Identifier: GPL-3.0-or-later
"""One call through the real alpaca-py to a server that misbehaves: it always ends, and once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from iverson.execution.alpaca.rest import Rest

READ_SECONDS = 0.3
ORDER = b'{"id":"o-1","client_order_id":"n"}'
RESET = 1_700_000_000


class Answers(BaseHTTPRequestHandler):
    """Answers every request with the one answer of its server, and counts them."""

    protocol_version = "HTTP/1.1"
    server: Any

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.seen.append((self.command, self.path, self.rfile.read(length)))
        status, body, how = self.server.answer
        if how == "stall":
            self.server.over.wait(5 * READ_SECONDS)
        if how == "reset":
            self.connection.close()
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + (20 if how == "cut" else 0)))
        self.send_header("X-RateLimit-Reset", str(RESET))
        self.end_headers()
        self.wfile.write(body)
        if how == "cut":
            self.connection.close()

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 (http.server's names)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def served(status: int, body: bytes, how: str = "") -> Iterator[tuple[Rest, list[Any]]]:
    """A server with one answer, and a client of it."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.answer, server.seen, server.over = (status, body, how), [], threading.Event()
    server.handle_error = lambda *args: None  # a client that gave up is what is tested
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    rest = Rest(
        "PK", "secret", paper=True, url=f"http://127.0.0.1:{server.server_port}",
        read_seconds=READ_SECONDS,
    )  # fmt: skip
    try:
        yield rest, server.seen
    finally:
        rest.close()
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_answer_is_handed_over_decoded(method: Any) -> None:
    with served(200, ORDER) as (rest, seen):
        reply = rest.call(method, "/orders", {"a": "1"})

    assert (reply.status, reply.body["id"]) == (200, "o-1")
    assert [(verb, path.partition("?")[0]) for verb, path, _ in seen] == [(method, "/v2/orders")]


@pytest.mark.parametrize("status", [429, 504, 500, 503])
def test_nothing_is_repeated_behind_our_back(status: int) -> None:
    with served(status, b'{"code":1,"message":"no"}') as (rest, seen):
        reply = rest.call("POST", "/orders", {"a": "1"})

    assert (reply.status, len(seen)) == (status, 1)


def test_server_that_stalls_is_given_up() -> None:
    with served(200, ORDER, "stall") as (rest, _):
        began = time.monotonic()
        reply = rest.call("POST", "/orders", {})
        took = time.monotonic() - began

    assert reply.status == 0
    assert "ReadTimeout" in reply.error
    assert took < 4 * READ_SECONDS


@pytest.mark.parametrize(
    ("body", "how"), [(ORDER, "reset"), (ORDER, "cut"), (ORDER[:9], ""), (b"<html>", "")]
)
def test_answer_that_cannot_be_read_is_no_answer(body: bytes, how: str) -> None:
    with served(200, body, how) as (rest, _):
        reply = rest.call("POST", "/orders", {})

    assert (reply.status, reply.body) == (0, None)


def test_empty_success_has_no_body() -> None:
    with served(200, b"") as (rest, _):
        assert rest.call("POST", "/orders", {}).body is None


def test_refusal_carries_code_words_and_when_the_limit_is_lifted() -> None:
    with served(429, b'{"code":42910000,"message":"rate limit exceeded"}') as (rest, _):
        reply = rest.call("GET", "/account")

    assert (reply.code, reply.words) == (42910000, "rate limit exceeded")
    assert reply.reset_at is not None
    assert reply.reset_at.timestamp() == RESET


@pytest.mark.parametrize("body", [b"<html>503</html>", b"[]", b'{"message":"forbidden."}'])
def test_refusal_without_a_code_is_read_all_the_same(body: bytes) -> None:
    with served(403, body) as (rest, _):
        reply = rest.call("GET", "/account")

    assert (reply.status, reply.code) == (403, None)
    assert reply.words


def test_nobody_there_is_no_answer() -> None:
    rest = Rest("PK", "secret", paper=True, url="http://127.0.0.1:9", connect_seconds=0.5)

    assert rest.call("GET", "/account").status == 0
