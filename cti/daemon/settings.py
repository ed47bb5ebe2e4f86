"""Settings of the process: `ringcard.toml`, and the environment, which wins."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

DATABASE_OPTIONS = frozenset({"host", "port", "ssl", "passfile"})  # of the driver, after the "?"
LEAST_ACCESS_DAYS = 180  # the database refuses to remove younger rows (crm.pruning)
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """A setting is wrong; the text names it, its value and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one process runs with. Secrets stay out of `repr`."""

    host: str = "127.0.0.1"
    port: int = 8080
    data: Path = Path("data")
    database_url: str | None = field(default=None, repr=False)
    key_file: Path = Path("data/key")
    log_level: str = "info"
    time_zone: str = "Europe/Moscow"
    region: str = "RU"
    trusted_proxies: tuple[str, ...] = ()
    public_origins: tuple[str, ...] = ()
    agi_listen: str | None = None  # HOST:PORT where dialplans may ask over FastAGI; None: nowhere
    story_days: int = 14  # how long the story of a call is kept; 0: none is
    story_megabytes: int = 1024
    subscriber_networks: tuple[str, ...] = ()  # of our own, where subscribers may be as well
    outbox_days: int = 30  # how long what happened can be asked for, and sent to whoever was paused
    delivery_days: int = 14  # how long what was sent to subscribers is shown
    session_days: int = 90  # how long sessions that are over stay in the list
    access_log_days: int = 1095  # 0: for ever

    @property
    def listen(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """What a person opens in the browser on this machine."""
        host = "localhost" if self.host in {"127.0.0.1", "::1", "0.0.0.0", "::"} else self.host  # noqa: S104
        return f"http://{host}:{self.port}"


NAMES = (
    "listen",
    "data",
    "database_url",
    "key_file",
    "log_level",
    "time_zone",
    "region",
    "trusted_proxies",
    "public_origins",
    "agi_listen",
    "story_days",
    "story_megabytes",
    "subscriber_networks",
    "outbox_days",
    "delivery_days",
    "session_days",
    "access_log_days",
)


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the file named by RINGCARD_CONFIG (or ./ringcard.toml if there is one), then the environment.

    Raises:
        SettingsError: a name is unknown or a value cannot be used.
    """
    environment = os.environ if environment is None else environment
    values = {**_from_file(environment), **_from_environment(environment)}
    return _checked(values)


def _from_file(environment: Mapping[str, str]) -> dict[str, Any]:
    named = environment.get("RINGCARD_CONFIG")
    path = Path(named) if named else Path("ringcard.toml")
    if not named and not path.exists():
        return {}
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(
            f"Cannot read the settings file {str(path)!r}: {error.strerror}. Correct RINGCARD_CONFIG."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {str(path)!r} is not valid TOML: {error}.") from error
    unknown = sorted(set(content) - set(NAMES))
    if unknown:
        raise SettingsError(
            f"Unknown setting {unknown[0]!r} in {str(path)!r}. Known are: {', '.join(NAMES)}."
        )
    return content


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {name: environment.get(f"RINGCARD_{name.upper()}") for name in NAMES}
    return {name: value for name, value in found.items() if value}


def _checked(values: dict[str, Any]) -> Settings:
    data = Path(str(values.get("data", "data"))).expanduser().absolute()
    host, port = _listen(str(values.get("listen", "127.0.0.1:8080")))
    return Settings(
        host=host,
        port=port,
        data=data,
        database_url=_database_url(values.get("database_url")),
        key_file=Path(str(values.get("key_file", data / "key"))).expanduser().absolute(),
        log_level=_one_of("log_level", str(values.get("log_level", "info")).lower(), LOG_LEVELS),
        time_zone=_time_zone(str(values.get("time_zone", "Europe/Moscow"))),
        region=_one_of(
            "region", str(values.get("region", "RU")).upper(), sorted(phonenumbers.SUPPORTED_REGIONS)
        ),
        trusted_proxies=_networks("trusted_proxies", values.get("trusted_proxies", ())),
        public_origins=_words(values.get("public_origins", ())),
        agi_listen=_agi_listen(values.get("agi_listen")),
        story_days=_whole("story_days", values.get("story_days", 14), least=0, most=3650),
        story_megabytes=_whole("story_megabytes", values.get("story_megabytes", 1024), least=1, most=2**20),
        subscriber_networks=_networks("subscriber_networks", values.get("subscriber_networks", ())),
        outbox_days=_whole("outbox_days", values.get("outbox_days", 30), least=2, most=3650),
        delivery_days=_whole("delivery_days", values.get("delivery_days", 14), least=2, most=3650),
        session_days=_whole("session_days", values.get("session_days", 90), least=1, most=3650),
        access_log_days=_access_log_days(values.get("access_log_days", 1095)),
    )


def address_of(listen: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:4573".

    Raises:
        SettingsError: it is no such.
    """
    return _listen(listen, name="agi_listen", example="127.0.0.1:4573")


def _agi_listen(value: object) -> str | None:
    if value:
        address_of(str(value))
    return str(value) if value else None


def _listen(value: str, *, name: str = "listen", example: str = "127.0.0.1:8080") -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise SettingsError(f"{name} is {value!r}, which is not HOST:PORT. Write for example {example}.")
    return host, int(port)


def _database_url(value: object) -> str | None:
    if not value:
        return None
    url = str(value)
    if not url.startswith(("postgresql://", "postgres://", "postgresql+asyncpg://")):
        scheme = url.partition("://")[0][:20]
        raise SettingsError(
            f"database_url begins with {scheme!r}; ringcard needs postgresql://USER:PASSWORD@HOST/NAME."
        )
    try:
        options = make_url(url).query
    except (ArgumentError, ValueError):  # its text would quote the password
        raise SettingsError(
            "database_url is not postgresql://USER:PASSWORD@HOST:PORT/NAME. Write signs of the password that mean "
            "something in an address by their codes: %40 for @, %2F for /, %3A for :."
        ) from None
    if unknown := sorted(options.keys() - DATABASE_OPTIONS):
        raise SettingsError(
            f"database_url ends with ?{unknown[0]}=…, which is not taken there; known are: "
            f"{', '.join(sorted(DATABASE_OPTIONS))}. The password stands before the @."
        )
    return url


def _one_of(name: str, value: str, known: tuple[str, ...] | list[str]) -> str:
    if value not in known:
        raise SettingsError(
            f"{name} is {value!r}; use one of: {', '.join(known[:12])}{', …' if len(known) > 12 else ''}."
        )
    return value


def _whole(name: str, value: object, *, least: int, most: int) -> int:
    text = "" if isinstance(value, bool) else str(value).strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise SettingsError(f"{name} is {value!r}; it is a whole number from {least} to {most}.")
    return int(text)


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"time_zone is {value!r}, which this machine does not know. Write for example Europe/Moscow."
        ) from error
    return value


def _access_log_days(value: object) -> int:
    days = _whole("access_log_days", value, least=0, most=36_500)
    if 0 < days < LEAST_ACCESS_DAYS:
        raise SettingsError(
            f"access_log_days is {days}; the journal of accesses is kept for {LEAST_ACCESS_DAYS} days at least. "
            "Write that or more, or 0 for ever."
        )
    return days


def _networks(name: str, value: object) -> tuple[str, ...]:
    words = _words(value)
    for word in words:
        try:
            ip_network(word, strict=False)
        except ValueError as error:
            raise SettingsError(f"{name} names {word!r}, which is no address or network.") from error
    return words


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return tuple(str(word) for word in value) if isinstance(value, (list, tuple)) else ()


def described(settings: Settings) -> dict[str, str]:
    """Every setting as text, without secrets: for `serve --check` and the log."""
    hidden = {"database_url": "set" if settings.database_url else "embedded"}
    return {item.name: hidden.get(item.name, str(getattr(settings, item.name))) for item in fields(settings)}
