# SPDX-License-Identifier: GPL-3.0-or-later
"""The go-live token: a small file beside the journal; a system passed, for one account.

    iverson.db -> iverson.db.RsiReversion.go-live.json

It holds for one account, one source of the strategy and one configuration; live trading refuses
without it, after a change of any of them, and for a larger maximum loss than was agreed when the
checklist passed. The digest finds what was edited or cut short. It is
no secret and no signature: who can write the file can also write a new one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from iverson.errors import ConfigError, Refused
from iverson.market.files import replace_file
from iverson.research.backtest import Setup, parameters_of
from iverson.research.checked import parts_digest, source_digest
from iverson.research.journaling import plain


@dataclass(frozen=True, slots=True)
class Binding:
    """What a token holds for; source and configuration are hexadecimal digests."""

    account: str
    strategy: str
    source: str
    configuration: str


def binding(setup: Setup, symbols: tuple[str, ...], interval: str, *, account: str) -> Binding:
    """Return what a token of this system and account is bound to; the cash is no part of it.

    Raises
    ------
    ConfigError: the strategy's source is in no file.
    """
    source = source_digest(setup.strategy)
    if source is None:
        raise ConfigError(
            f"{setup.strategy.__name__} is in no file, so nobody can tell later whether it is "
            "still the same; put it into a module"
        )
    parts = parts_digest((*setup.rules, setup.sizing))
    if parts is None:
        raise ConfigError(
            "a rule or the sizing is in no file, so nobody can tell later whether it is still the "
            "same; put it into a module"
        )
    given = {**parameters_of(setup.strategy), **setup.params}
    facts = {
        "parameters": {name: repr(plain(value)) for name, value in given.items()},
        "rules": [repr(rule) for rule in setup.rules],
        "sizing": repr(setup.sizing),
        "capital": repr(setup.capital),
        "universe": repr(setup.universe),
        "symbols": list(symbols),
        "interval": interval,
        "parts": parts,
    }
    return Binding(account, setup.strategy.__name__, source, _digest(facts))


def token_path(journal: Path | str, strategy: str) -> Path:
    """Return the file of a strategy's token."""
    journal = Path(journal)
    return journal.with_name(f"{journal.name}.{strategy}.go-live.json")


def write_token(
    journal: Path | str, bound: Binding, *, at: datetime, max_loss: float | None = None
) -> Path:
    """Write the token of a system that has passed its checklist; returns its file.

    `max_loss` is what was agreed on, dollars; None leaves it open.
    """
    facts = {**asdict(bound), "at": at.isoformat(), "max_loss": max_loss}
    text = json.dumps({**facts, "digest": _digest(facts)}, indent=1, sort_keys=True) + "\n"
    path = token_path(journal, bound.strategy)

    def write(part: Path) -> None:
        part.write_text(text, encoding="utf-8")

    replace_file(path, write)
    return path


def refuse_without_token(
    journal: Path | str, bound: Binding, *, max_loss: float | None = None
) -> None:
    """Raise `Refused`, naming what differs, unless there is a whole token for exactly this."""
    path = token_path(journal, bound.strategy)
    remedy = "pass `iverson checklist` again"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        digest = kept.pop("digest")
    except FileNotFoundError:
        raise Refused(
            f"{bound.strategy} has no go-live token ({path}); pass `iverson checklist` on paper "
            "first"
        ) from None
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise Refused(f"the go-live token {path} cannot be read; {remedy}") from error
    if digest != _digest(kept):
        raise Refused(f"the go-live token {path} was changed after it was written; {remedy}")
    names = {"account": "account", "source": "source", "configuration": "configuration"}
    differ = [word for name, word in names.items() if kept.get(name) != getattr(bound, name)]
    if differ or kept.get("strategy") != bound.strategy:
        what = " and ".join(differ) or "strategy"
        raise Refused(f"the go-live token {path} is for another {what}; {remedy}")
    agreed = kept.get("max_loss")
    if agreed is not None and max_loss is not None and max_loss > agreed:
        raise Refused(
            f"a maximum loss of ${max_loss:,.2f} is more than the ${agreed:,.2f} agreed on when "
            f"the checklist passed; give less, or {remedy}"
        )


def _digest(facts: dict[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
