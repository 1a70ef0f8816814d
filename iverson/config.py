# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: where things are kept, from the environment, a `.env` or `iverson.toml`.

The names are the same on a laptop and on a server.

An unknown `IVERSON_...` variable is an error, because a misspelt setting that is silently ignored
is the default in disguise. The environment wins over `.env`, `.env` over `iverson.toml`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from iverson.errors import ConfigError, UnknownParameter
from iverson.redaction import hide

PREFIX = "IVERSON_"
# Alpaca's own names for its keys, which its other programs use; ours win over them.
ALPACA_NAMES = {"APCA_API_KEY_ID": "alpaca_key", "APCA_API_SECRET_KEY": "alpaca_secret"}

SECRETS = frozenset({*ALPACA_NAMES.values(), "telegram_token", "ping_url"})


class Settings(BaseSettings):
    """What the command line needs to know beside its arguments.

    store: directory of stored bars. store_format: parquet, npz, or auto for what fits. reports:
    where reports are written. journal: the file that `iverson journal` and `iverson report` read.
    jobs: processes of a search, -1 for all cores. alpaca_key and alpaca_secret: never shown, also
    read from APCA_API_KEY_ID and APCA_API_SECRET_KEY. alpaca_data_url: where market data comes
    from. alpaca_plan: free or paid, of the market data. alpaca_paper_url and alpaca_live_url: where
    orders go; on loopback it is a rehearsal, and live trading refuses.

    telegram_token: of the bot, never shown. telegram_chat: the chat that is told; telegram_users:
    who may give commands there (JSON, as [12345]). telegram_url: of the Bot API. alerts: how each
    kind of alert is told, as {"entry filled": "silent"}; on, silent or off. ping_url: an address
    that is asked for as long as all is well, never shown; the watcher at its other end misses it.
    expected: the journal of the walk-forward that the monthly review is laid beside.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        toml_file="iverson.toml",
        extra="forbid",
        frozen=True,
    )

    store: Path = Path("data/cache")
    reports: Path = Path("reports")
    journal: Path = Path("iverson.db")
    jobs: Annotated[int, Field(ge=-1, le=1024)] = -1
    store_format: Literal["auto", "parquet", "npz"] = "auto"
    alpaca_key: SecretStr | None = None
    alpaca_secret: SecretStr | None = None
    alpaca_data_url: str = "https://data.alpaca.markets"
    alpaca_plan: Literal["free", "paid"] = "free"
    alpaca_paper_url: str = "https://paper-api.alpaca.markets"
    alpaca_live_url: str = "https://api.alpaca.markets"
    telegram_token: SecretStr | None = None
    telegram_chat: int | None = None
    telegram_users: tuple[int, ...] = ()
    telegram_url: str = "https://api.telegram.org"
    alerts: Mapping[str, Literal["on", "silent", "off"]] = Field(default_factory=dict)
    ping_url: SecretStr | None = None
    expected: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (as below)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (pydantic's signature)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, environment, `.env`, then `iverson.toml`."""
        dotenv, toml = _OwnNames(settings_cls), TomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, _AlpacaNames(settings_cls), dotenv, toml


class _AlpacaNames(PydanticBaseSettingsSource):
    """The keys under Alpaca's own names, from the environment."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 (pydantic's signature)
        """Return the value of one field, as pydantic asks for it."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return {
            field: os.environ[name] for name, field in ALPACA_NAMES.items() if os.environ.get(name)
        }


class _OwnNames(DotEnvSettingsSource):
    """A `.env` is shared with other programs: but for the keys, their names are not ours."""

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        found = super().__call__()
        own = {
            name.lower().removeprefix(PREFIX.lower()): value
            for name, value in found.items()
            if name in fields or name.lower().startswith(PREFIX.lower())
        }
        theirs = {
            field: value
            for name, field in ALPACA_NAMES.items()
            if (value := found.get(name.lower(), found.get(name)))
        }
        return theirs | own


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; one sentence when a value is wrong or a name is unknown.

    Raises
    ------
    ConfigError: a value of the wrong kind or out of bounds, or a file that cannot be read.
    UnknownParameter: a misspelt name.
    """
    given = os.environ if environment is None else environment
    known = list(Settings.model_fields)
    for name in given:
        if name.upper().startswith(PREFIX) and name[len(PREFIX) :].lower() not in known:
            names = [PREFIX + field.upper() for field in known]
            raise UnknownParameter.named(name, names, owner="the environment")
    try:
        return _hidden(Settings())
    except TOMLDecodeError as error:
        raise ConfigError(f"iverson.toml is no TOML: {error}; mend it or move it away") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            "iverson.toml or .env is not UTF-8; save it as UTF-8 or move it away"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UnknownParameter.named(place, known, owner="iverson.toml or .env") from error
        shown = "****" if place in SECRETS else repr(first.get("input"))
        raise ConfigError(
            f"setting {place!r} is {shown}: {first['msg'].lower()}; "
            f"set {PREFIX}{place.upper()} or mend iverson.toml"
        ) from error


def _hidden(made: Settings) -> Settings:
    """Have the values of all secrets kept out of what is shown from now on."""
    for name in SECRETS:
        secret = getattr(made, name)
        if secret is not None:
            hide(secret.get_secret_value())
    return made
