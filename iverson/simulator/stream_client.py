# SPDX-License-Identifier: GPL-3.0-or-later
"""One client of a data stream: its socket, its dialogue, and the frames that wait for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.hours import zulu
from iverson.simulator.stream_dialogue import Dialogue, Message
from iverson.simulator.stream_tape import Due

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

KEY, SECRET = "apca-api-key-id", "apca-api-secret-key"
FAREWELL = 1.0  # wall seconds in which a client that is shown out may still read why


class Client:
    """One connection: its dialogue, its queue of frames, and the two tasks that read and write."""

    def __init__(self, websocket: WebSocket, dialogue: Dialogue, switches: DataSwitches) -> None:
        self.dialogue = dialogue
        self._websocket = websocket
        self._binary = "msgpack" in websocket.headers.get("content-type", "")
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._limit = switches.queue_limit
        self._auth_timeout = switches.auth_timeout
        self._patience = switches.patience
        self._tasks: list[asyncio.Task[None]] = []

    async def converse(self) -> None:
        """Serve the client until one side ends it."""
        await self._websocket.accept()
        self._say(self.dialogue.greet())
        headers = self._websocket.headers
        if KEY in headers and SECRET in headers:
            keys = {"action": "auth", "key": headers[KEY], "secret": headers[SECRET]}
            self._say(self.dialogue.receive(keys))
        timer = asyncio.get_running_loop().call_later(self._auth_timeout, self._time_out)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            await self.cut()
        for task in done:
            _raise_what_broke(task)

    def tell(self, due: Iterable[Due]) -> None:
        """Queue a frame with those messages that the client wants."""
        wants = self.dialogue.wants
        messages = [one.message for one in due if wants(one.channel, one.symbols)]
        if self.dialogue.ended or not messages:
            return
        if self._queue.qsize() >= self._limit:
            self._slow()
        else:
            self._queue.put_nowait(self._frame(messages))

    @property
    def is_behind(self) -> bool:
        """Whether half of the frames that may wait for the client do."""
        return self._queue.qsize() > self._limit // 2

    async def taken(self) -> None:
        """Wait until the socket has taken every frame, but not for ever."""
        if not self.dialogue.ended:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._queue.join(), timeout=self._patience)

    async def cut(self) -> None:
        """End the connection at once, whatever is still queued."""
        self.dialogue.ended = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._forget()

    async def _read(self) -> None:
        from starlette.websockets import WebSocketDisconnect

        with suppress(WebSocketDisconnect):
            while not self.dialogue.ended:
                event = await self._websocket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                self._say(self.dialogue.receive(_decoded(event)))
            # The error that ended it is still to be written; the writer closes after it.
            await asyncio.Event().wait()

    async def _write(self) -> None:
        while (frame := await self._queue.get()) is not None:
            if self._binary:
                await self._websocket.send_bytes(frame)
            else:
                await self._websocket.send_text(frame.decode())
            self._queue.task_done()
        await self._websocket.close()

    def _say(self, message: Message) -> None:
        self._queue.put_nowait(self._frame([message]))
        if self.dialogue.ended:
            self._queue.put_nowait(None)

    def _time_out(self) -> None:
        message = self.dialogue.time_out()
        if message is not None:
            self._say(message)

    def _slow(self) -> None:
        self._forget()
        self._say(self.dialogue.error(407))
        # It does not read, so it may never see this; then it is cut off all the same.
        asyncio.get_running_loop().call_later(FAREWELL, self._tasks[1].cancel)

    def _forget(self) -> None:
        with suppress(asyncio.QueueEmpty):
            while True:
                self._queue.get_nowait()
                self._queue.task_done()

    def _frame(self, messages: list[Message]) -> bytes:
        if not self._binary:
            return json.dumps(messages, default=zulu).encode()
        packed: bytes = _msgpack().packb(messages, datetime=True)
        return packed


def _raise_what_broke(task: asyncio.Task[None]) -> None:
    """Raise what ended a task, unless it was told to end or its client has gone."""
    from starlette.websockets import WebSocketDisconnect

    if task.cancelled():
        return
    error = task.exception()
    if error is not None and not isinstance(error, WebSocketDisconnect | OSError):
        raise error


def _decoded(event: Any) -> object:
    """Return what a client sent, None if it cannot be read."""
    library = _msgpack()
    try:
        if event.get("bytes") is not None:
            return library.unpackb(event["bytes"])
        return json.loads(event["text"])
    except (ValueError, RecursionError, library.UnpackException):
        return None


def _msgpack() -> Any:
    # Untyped, and installed with the extra [simulator] only.
    return import_module("msgpack")
