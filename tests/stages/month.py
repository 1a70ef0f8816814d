# SPDX-License-Identifier: GPL-3.0-or-later
"""A month as the telephone sees it: 21 sessions rehearsed with a Bot API on loopback.

python -m tests.stages.month docs/month      writes the transcript and its pictures anew
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import iverson as iv
from iverson.market import sample
from iverson.monitoring.message import plain
from iverson.monitoring.telegram import Telegram
from iverson.stages.evening import Evening
from iverson.stages.herald import Herald
from iverson.stages.rehearsed import Rehearsal
from iverson.stages.trade_picture import picture_of
from strategies.rsi_reversion import RsiReversion
from tests.monitoring.bot_api import BotApi, Message

FIRST, LAST = date(2008, 10, 3), date(2008, 10, 31)  # 21 sessions of a month with everything in it
SYMBOLS = ["AAPL", "IBM", "MSFT"]
SHOWN = 6  # pictures that the transcript keeps, the first of each kind


@dataclass(frozen=True)
class Month:
    """What was rehearsed, and all that the telephone got, in order."""

    rehearsal: Rehearsal
    messages: list[Message]
    photos: list[Message]
    told: list[Message]
    refused: list[str]


def rehearsed(folder: Path, *, scenario: str | None = "lost-reply") -> Month:
    """Rehearse the month; the journal is written into `folder`."""
    bars = {
        symbol: one.between(date(2006, 6, 1), LAST) for symbol, one in sample.load(SYMBOLS).items()
    }
    system = iv.System(
        RsiReversion, symbols=SYMBOLS, params=dict(oversold=45), cash=10_000, bars=bars,
        capital=iv.CapitalSteps(), store=folder / "store",
    )  # fmt: skip
    with BotApi() as api:

        def herald(journal: Path, clock: Any) -> Herald:
            phone = Telegram(api.token, chat=api.chat, url=api.url, pace_seconds=0.0)
            return Herald(
                journal, channel=phone, clock=clock, picture=picture_of,
                evening=Evening(journal, store=folder / "store"),
            )  # fmt: skip

        rehearsal = system.rehearse(
            FIRST, LAST, scenario=scenario, journal=folder / "month.db", herald=herald, seed=3
        )
        return Month(rehearsal, api.messages, api.photos, list(api.told), list(api.refused))


def transcript(month: Month, folder: Path) -> Path:
    """Write what the telephone showed as a page, with the first pictures of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# A month on the telephone",
        "",
        (
            f"{month.rehearsal.sessions} sessions, {FIRST} to {LAST}, of "
            "`strategies.rsi_reversion` (`oversold=45`, capital steps, $10,000) on the exchange on "
            "loopback, where the first order's answer is lost. Every message as it was sent; "
            "pictures are in this folder, the first of each kind. Made by "
            "`python -m tests.stages.month docs/month`."
        ),
    ]
    kept: dict[str, int] = {}
    for one in month.told:
        lines.append("")
        if one.picture:
            kind = _kind(one.text)
            kept[kind] = kept.get(kind, 0) + 1
            caption = " / ".join(plain(one.text).splitlines())
            if kept[kind] > 1 or len(kept) > SHOWN:
                lines.append(f"*picture: {caption}*")
                continue
            name = f"{kind}.png"
            (folder / name).write_bytes(one.picture)
            lines += [f"*picture: {caption}*", "", f"![{caption}]({name})"]
            continue
        lines += ["> " + line if line else ">" for line in _markdown(one.html).splitlines()]
    path = folder / "transcript.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _kind(text: str) -> str:
    words = plain(text)
    if " left by " in words:
        return f"exit-{re.sub(r'[^a-z]+', '-', words.split(' left by ')[1].split(':')[0])}"
    return re.sub(r"[^a-z]+", "-", words.split(": ")[-1].lower()).strip("-")


def _markdown(html: str) -> str:
    """Turn Telegram's few tags into Markdown."""
    text = re.sub(r"</?b>", "**", html)
    text = re.sub(r"</?i>", "*", text)
    text = re.sub(r"</?code>", "`", text)
    text = re.sub(r"<pre>(.*?)</pre>", r"```\n\1\n```", text, flags=re.DOTALL)
    body = plain(text)
    return "\n".join(f"{line}  " if line.strip() else "" for line in body.splitlines())


def main() -> None:
    """Write the page."""
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        began = time.monotonic()
        month = rehearsed(Path(place))
        path = transcript(month, Path(sys.argv[1]))
    took = time.monotonic() - began
    print(f"{path}: {len(month.messages)} messages, {len(month.photos)} pictures, {took:.0f} s")  # noqa: T201 (a script)


if __name__ == "__main__":
    main()
