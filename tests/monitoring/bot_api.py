# SPDX-License-Identifier: GPL-3.0-or-later
"""A Bot API on loopback: what Telegram's server does with a bot's messages, and what goes wrong.

    with BotApi() as api:
        Telegram(api.token, chat=api.chat, url=api.url)
        api.fail(TooMany(2), Forbidden())     # the next two requests that send
        api.say("/status", user=7)            # an update for getUpdates
        api.messages, api.photos              # what has arrived, once parsed

It parses HTML as Telegram does and refuses what Telegram refuses (a tag that is not closed or not
known, an entity that is none, more than 4096 or 1024 characters), and it finds what Telegram would
make a link, a mention or a command of, by rules of its own.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

TOKEN = "987654:" + "Canary-of-the-Bot_0123456789-abcdef"
TAGS = {"b", "strong", "i", "em", "u", "s", "code", "pre", "a", "tg-spoiler", "blockquote"}
LINK = re.compile(
    r"[a-z][a-z0-9+.-]*://\S+|(?<![\w.])[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}(?!\w)"
    r"|(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])|(?<!\w)@\w+|(?<![\w/])/\w+|\S+@\S+\.\w+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Message:
    """One message as it arrived: its text once parsed, its tags, and what would be clickable."""

    id: int
    chat: int
    text: str
    html: str
    tags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    silent: bool = False
    preview: bool = True
    picture: bytes = b""


@dataclass(frozen=True)
class Answer:
    """An answer that is sent in place of the usual one; `takes`: the message arrives all the same.

    `status` 0 is no answer: the connection ends. `seconds` go by before it.
    """

    status: int
    body: Any = None
    takes: bool = False
    seconds: float = 0.0


def too_many(seconds: int) -> Answer:
    words = f"Too Many Requests: retry after {seconds}"
    return Answer(429, _fault(429, words, parameters={"retry_after": seconds}))


def unparsable() -> Answer:
    words = "Bad Request: can't parse entities: Unsupported start tag at byte offset 3"
    return Answer(400, _fault(400, words))


def forbidden() -> Answer:
    return Answer(403, _fault(403, "Forbidden: bot was blocked by the user"))


def unauthorized() -> Answer:
    return Answer(401, _fault(401, "Unauthorized"))


def broken() -> Answer:
    return Answer(502, "<html><head><title>502 Bad Gateway</title></head></html>")


def hangs(seconds: float, *, takes: bool = False) -> Answer:
    return Answer(0, takes=takes, seconds=seconds)


def answer_lost() -> Answer:
    return Answer(0, takes=True)


@dataclass
class BotApi:
    """The server; `url` is what `Telegram` takes, and everything that was asked is in `asked`.

    `seconds` go by before every answer; `on_ask` is called with the method before anything else.
    """

    token: str = TOKEN
    chat: int = 42
    seconds: float = 0.0
    on_ask: Callable[[str], None] | None = None
    messages: list[Message] = field(default_factory=list)
    photos: list[Message] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Condition()
        self._faults: deque[Answer] = deque()
        self._always: Answer | None = None
        self._updates: list[dict[str, Any]] = []
        self._next = 1
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def told(self) -> list[Message]:
        """Messages and photos, in order."""
        return sorted([*self.messages, *self.photos], key=lambda one: one.id)

    def fail(self, *answers: Answer) -> None:
        """Answer the next requests that send so, one each."""
        self._faults.extend(answers)

    def always(self, answer: Answer | None) -> None:
        """Answer every request that sends so; None ends it."""
        self._always = answer

    def say(self, text: str, *, user: int = 7, chat: int | None = None, **more: Any) -> int:
        """Have somebody write to the bot; returns the number of the update."""
        with self._lock:
            number = self._take_number()
            where = self.chat if chat is None else chat
            body = {
                "message_id": number, "date": int(time.time()),
                "chat": {"id": where, "type": "private", "first_name": "A"},
                "from": {"id": user, "is_bot": False, "first_name": "A"},
                **({"text": text} if text else {}), **more,
            }  # fmt: skip
            self._updates.append({"update_id": number, "message": body})
            self._lock.notify_all()
            return number

    # What the handler asks

    def answer(self, token: str, method: str, given: dict[str, Any]) -> Answer:
        if self.on_ask is not None:
            self.on_ask(method)
        self.asked.append((method, given))
        if token != self.token:
            return unauthorized()
        act = {
            "getMe": self._me, "sendMessage": self._message, "sendPhoto": self._photo,
            "getUpdates": self._get_updates, "getChat": self._chat,
        }.get(method)  # fmt: skip
        if act is None:
            return Answer(404, _fault(404, "Not Found"))
        if not method.startswith("send"):
            return act(given)
        fault = self._always or (self._faults.popleft() if self._faults else None)
        if fault is None or fault.takes:
            done = act(given)
            return done if fault is None else fault
        return fault

    def _me(self, _: dict[str, Any]) -> Answer:
        return _ok({"id": 987654, "is_bot": True, "first_name": "Iverson", "username": "iv_bot"})

    def _chat(self, given: dict[str, Any]) -> Answer:
        chat = int(given["chat_id"])
        return _ok({
            "id": chat, "type": "private", "first_name": "Ann", "accent_color_id": 0,
            "max_reaction_count": 11,
            "accepted_gift_types": dict.fromkeys(
                ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription",
                 "gifts_from_channels"), False,
            ),
        })  # fmt: skip

    def _message(self, given: dict[str, Any]) -> Answer:
        return self._accept(given, "text", 4096, self.messages)

    def _photo(self, given: dict[str, Any]) -> Answer:
        picture = given.get("photo", b"")
        if not isinstance(picture, bytes) or not picture.startswith(b"\x89PNG"):
            return self._refuse("Bad Request: IMAGE_PROCESS_FAILED")
        return self._accept(given, "caption", 1024, self.photos, picture=picture)

    def _accept(
        self,
        given: dict[str, Any],
        name: str,
        limit: int,
        where: list[Message],
        picture: bytes = b"",
    ) -> Answer:
        raw = given.get(name, "")
        try:
            text, tags, links = parse(raw) if given.get("parse_mode") == "HTML" else (raw, (), ())
        except ValueError as error:
            return self._refuse(f"Bad Request: can't parse entities: {error}")
        if name == "text" and not text.strip():
            return self._refuse("Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > limit:
            words = "message is too long" if name == "text" else "message caption is too long"
            return self._refuse(f"Bad Request: {words}")
        if int(given["chat_id"]) != self.chat:
            return self._refuse("Bad Request: chat not found")
        preview = not json.loads(given.get("link_preview_options", "{}")).get("is_disabled", False)
        with self._lock:
            number = self._take_number()
            where.append(
                Message(
                    number,
                    self.chat,
                    text,
                    raw,
                    tags,
                    links,
                    given.get("disable_notification") == "true",
                    preview,
                    picture,
                )
            )
            self.times.append(time.monotonic())
        made = {"message_id": number, "date": int(time.time()), "text": text}
        return _ok({**made, "chat": {"id": self.chat, "type": "private", "first_name": "A"}})

    def _get_updates(self, given: dict[str, Any]) -> Answer:
        offset, until = int(given.get("offset", 0)), time.monotonic() + int(given.get("timeout", 0))
        with self._lock:
            self._updates = [one for one in self._updates if one["update_id"] >= offset]
            while not self._updates and (left := until - time.monotonic()) > 0:
                if self._server.over.is_set():
                    break
                self._lock.wait(min(left, 0.1))
            return _ok(list(self._updates))

    def _refuse(self, words: str) -> Answer:
        self.refused.append(words)
        return Answer(400, _fault(400, words))

    def _take_number(self) -> int:
        self._next += 1
        return self._next - 1


class _Parser(HTMLParser):
    """Telegram's HTML, and nothing else."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text: list[str] = []
        self.linked: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in TAGS:
            raise ValueError(f'Unsupported start tag "{tag}"')
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise ValueError(f'Unexpected end tag "{tag}"')
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise ValueError("Unclosed start tag")
        self._put(data)

    def handle_entityref(self, name: str) -> None:
        known = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
        self._put(known.get(name, f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self._put(chr(int(name[1:], 16) if name[0] in "xX" else int(name)))

    def _put(self, text: str) -> None:
        self.text.append(text)
        self.linked.append(" " if {"code", "pre"} & set(self.open) else text)

    def handle_comment(self, data: str) -> None:
        raise ValueError("Unsupported start tag")

    handle_decl = handle_pi = unknown_decl = handle_comment


def parse(html: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the text, the tags and what would be clickable; ValueError as Telegram's 400."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    if parser.open:
        raise ValueError(f"Can't find end tag corresponding to start tag {parser.open[-1]}")
    if "<" in "".join(re.findall(r"<[^>]*$", html)):
        raise ValueError("Unclosed start tag at the end")
    found = (match[0] for match in LINK.finditer("".join(parser.linked)))
    return "".join(parser.text), tuple(parser.tags), tuple(found)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, api: BotApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api
        self.over = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.headers.get("Content-Type", "")
        given = _multipart(kind, body) if kind.startswith("multipart") else _form(body)
        _, bot, method = self.path.split("/", 2)
        answer = self.server.api.answer(bot.removeprefix("bot"), method, given)
        if seconds := answer.seconds + self.server.api.seconds:
            self.server.over.wait(seconds)
        if not answer.status:
            self.close_connection = True
            return
        html = isinstance(answer.body, str)
        sent = (answer.body if html else json.dumps(answer.body)).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/html" if html else "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _form(body: bytes) -> dict[str, Any]:
    return {name: values[-1] for name, values in parse_qs(body.decode()).items()}


def _multipart(kind: str, body: bytes) -> dict[str, Any]:
    whole = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    given: dict[str, Any] = {}
    for part in whole.get_payload():  # type: ignore[union-attr]  # it is multipart
        name = part.get_param("name", header="Content-Disposition")  # type: ignore[union-attr]  # no str
        content = part.get_payload(decode=True)  # type: ignore[union-attr]  # no str
        binary = part.get_filename() is not None  # type: ignore[union-attr]  # no str
        given[str(name)] = content if binary else content.decode()  # type: ignore[union-attr]  # no str
    return given


def _ok(result: Any) -> Answer:
    return Answer(200, {"ok": True, "result": result})


def _fault(code: int, words: str, **more: Any) -> dict[str, Any]:
    return {"ok": False, "error_code": code, "description": words, **more}
