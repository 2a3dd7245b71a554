"""Settings: read once from the environment into a frozen object.

Every setting is a field of `Settings` whose metadata names its variable; README's table is
checked against the fields. A malformed value raises `SettingsError`, one line that names the
variable and what was expected.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class SettingsError(Exception):
    """A setting can't be used. The message is one line for the person who set it."""


def _text(value: str) -> str:
    return value


def _positive_int(value: str) -> int:
    number = int(value)
    if number <= 0:
        raise ValueError
    return number


def _bcrypt_cost(value: str) -> int:
    number = int(value)
    if not 4 <= number <= 31:
        raise ValueError
    return number


def _port(value: str) -> int:
    number = int(value)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def _positive_float(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def _flag(value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return words[value.lower()]


def _origins(value: str) -> frozenset[str]:
    """Split a comma-separated list of origins as browsers send them, `https://shop.example`."""
    return frozenset(_origin(part.strip()) for part in value.split(",") if part.strip())


def _origin(value: str) -> str:
    parts = urlsplit(value.rstrip("/").lower())
    default_port = {"http": 80, "https": 443}[parts.scheme]
    if not parts.hostname or "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        raise ValueError
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, default_port) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _networks(value: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Split a comma-separated list of addresses and networks."""
    return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())


def _mongodb_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("mongodb", "mongodb+srv"):
        raise ValueError
    if parts.scheme == "mongodb+srv" and parts.hostname:
        return value  # what is behind it is up to DNS
    # Imported here, as it takes longer than reading all other settings.
    from pymongo.errors import ConfigurationError
    from pymongo.uri_parser import parse_uri

    try:
        parse_uri(value, warn=True)
    except ConfigurationError as error:
        raise ValueError from error
    return value


def _redis_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError
        return value
    if not parts.hostname or not (parts.path.strip("/") or "0").isdecimal():
        raise ValueError
    _ = parts.port  # raises ValueError unless it is one
    return value


def _database_name(value: str) -> str:
    # MongoDB forbids more characters on some platforms than on others.
    if re.fullmatch(r"[A-Za-z0-9_-]{1,63}", value) is None:
        raise ValueError
    return value


def _currency(value: str) -> str:
    from commerce.money import is_currency

    if not is_currency(value):
        raise ValueError
    return value


def _smtp_url(value: str) -> str:
    from commerce.mail import SmtpServer

    SmtpServer.parse(value)
    return value


def _sender(value: str) -> str:
    from commerce.mail.mailer import parse_sender

    parse_sender(value)
    return value


def _web_address(value: str) -> str:
    """An http(s) address without query and fragment; ends with a slash."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError
    _ = parts.port  # raises ValueError unless it is one
    return value if value.endswith("/") else f"{value}/"


def _secret(value: str) -> str:
    if len(value) < 32:
        raise ValueError
    return value


def _secrets(value: str) -> tuple[str, ...]:
    return tuple(_secret(part.strip()) for part in value.split(",") if part.strip())


def _setting(
    variable: str,
    parse: Callable[[str], Any],
    default: Any,
    expected: str,
    help: str,  # noqa: A002
) -> Any:
    return field(
        default=default,
        metadata={"variable": variable, "parse": parse, "expected": expected, "help": help},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of the service's settings. `Settings.from_environ(os.environ)` makes one."""

    host: str = _setting(
        "CARTROOM_HOST", _text, "127.0.0.1", "a host name or address", "Where to listen"
    )
    port: int = _setting(
        "CARTROOM_PORT", _port, 8080, "a number from 0 to 65535", "Port; 0 takes a free one"
    )
    data: Path = _setting(  # noqa: RUF009 - it makes a field
        "CARTROOM_DATA", Path, Path("var"), "a folder", "Data of the embedded services"
    )
    mongodb_url: str | None = _setting(
        "MONGODB_URL",
        _mongodb_url,
        None,
        "a URL mongodb://… or mongodb+srv://…",
        "The MongoDB server; unset: the embedded store",
    )
    mongodb_database: str = _setting(
        "CARTROOM_DATABASE",
        _database_name,
        "cartroom",
        "up to 63 letters, digits, - and _",
        "Name of the database",
    )
    redis_url: str | None = _setting(
        "REDIS_URL",
        _redis_url,
        None,
        "a URL redis://…, rediss://… or unix://…",
        "The Redis server; unset: the embedded one",
    )
    jwt_secret: str | None = _setting(
        "CARTROOM_JWT_SECRET",
        _secret,
        None,
        "at least 32 characters",
        "Signs access tokens; one for all instances. Unset: made once, kept in the data folder",
    )
    token_ttl_s: int = _setting(
        "CARTROOM_TOKEN_TTL_S", _positive_int, 600, "seconds", "Life of an access token"
    )
    jwt_secrets_old: tuple[str, ...] = _setting(
        "CARTROOM_JWT_SECRETS_OLD",
        _secrets,
        (),
        "secrets of at least 32 characters, separated by commas",
        "Secrets of before: what they have signed is still good",
    )
    session_idle_s: float = _setting(
        "CARTROOM_SESSION_IDLE_S",
        _positive_float,
        2_592_000.0,
        "seconds",
        "A sign-in that is unused for so long ends",
    )
    session_max_s: float = _setting(
        "CARTROOM_SESSION_MAX_S",
        _positive_float,
        7_776_000.0,
        "seconds",
        "Longest life of a sign-in",
    )
    allowed_origins: frozenset[str] = _setting(
        "CARTROOM_ALLOWED_ORIGINS",
        _origins,
        frozenset(),
        "origins like https://shop.example, separated by commas",
        "Web origins whose pages may use REST and the socket, with access tokens",
    )
    bcrypt_cost: int = _setting(
        "CARTROOM_BCRYPT_COST",
        _bcrypt_cost,
        12,
        "a number from 4 to 31",
        "Work a password hash costs",
    )
    auth_attempts_per_minute: int = _setting(
        "CARTROOM_AUTH_ATTEMPTS_PER_MINUTE",
        _positive_int,
        30,
        "a number above 0",
        "Registrations and log-ins one address may try a minute",
    )
    guesses_per_hour: int = _setting(
        "CARTROOM_GUESSES_PER_HOUR",
        _positive_int,
        10,
        "a number above 0",
        "Wrong passwords for one account from one address an hour",
    )
    requests_per_minute: int = _setting(
        "CARTROOM_REQUESTS_PER_MINUTE",
        _positive_int,
        1_200,
        "a number above 0",
        "REST requests of one address a minute",
    )
    account_requests_per_minute: int = _setting(
        "CARTROOM_ACCOUNT_REQUESTS_PER_MINUTE",
        _positive_int,
        600,
        "a number above 0",
        "REST requests of one account a minute",
    )
    sockets_per_minute: int = _setting(
        "CARTROOM_SOCKETS_PER_MINUTE",
        _positive_int,
        600,
        "a number above 0",
        "Sockets one address may open a minute",
    )
    account_sockets_per_minute: int = _setting(
        "CARTROOM_ACCOUNT_SOCKETS_PER_MINUTE",
        _positive_int,
        120,
        "a number above 0",
        "Sockets one account may open a minute",
    )
    mails_per_hour: int = _setting(
        "CARTROOM_MAILS_PER_HOUR",
        _positive_int,
        20,
        "a number above 0",
        "Requests of one address an hour that cause a mail",
    )
    tls_cert: Path | None = _setting(  # noqa: RUF009 - it makes a field
        "CARTROOM_TLS_CERT",
        Path,
        None,
        "a PEM file",
        "Certificate chain to serve TLS with, 1.2 and up; unset: plain HTTP",
    )
    tls_key: Path | None = _setting(  # noqa: RUF009 - it makes a field
        "CARTROOM_TLS_KEY", Path, None, "a PEM file", "The certificate's private key"
    )
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = _setting(
        "CARTROOM_TRUSTED_PROXIES",
        _networks,
        (),
        "addresses and networks like 10.0.0.0/8, separated by commas",
        "Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed",
    )
    public_url: str | None = _setting(
        "CARTROOM_PUBLIC_URL",
        _web_address,
        None,
        "an address like https://shop.example/",
        "Where mailed links lead. Unset: the address that is served",
    )
    smtp_url: str | None = _setting(
        "CARTROOM_SMTP_URL",
        _smtp_url,
        None,
        "smtp://user:password@host:587 or smtps://…",
        "Where mail is handed in, see below. Unset: files in the data folder",
    )
    mail_from: str | None = _setting(
        "CARTROOM_MAIL_FROM",
        _sender,
        None,
        "an address like Cartroom <no-reply@shop.example>",
        "Who mails are from; needed with `CARTROOM_SMTP_URL`",
    )
    currency: str = _setting(
        "CARTROOM_CURRENCY",
        _currency,
        "EUR",
        "an ISO 4217 code like EUR",
        "Currency of carts that are created without one",
    )
    heartbeat_s: float = _setting(
        "CARTROOM_HEARTBEAT_S",
        _positive_float,
        25.0,
        "seconds",
        "A client sends something this often; twice that of silence closes",
    )
    hello_timeout_s: float = _setting(
        "CARTROOM_HELLO_TIMEOUT_S", _positive_float, 10.0, "seconds", "Time allowed until `hello`"
    )
    commit_timeout_s: float = _setting(
        "CARTROOM_COMMIT_TIMEOUT_S",
        _positive_float,
        5.0,
        "seconds",
        "After this an op whose outcome is unknown is answered `unavailable`",
    )
    snapshot_every_s: float = _setting(
        "CARTROOM_SNAPSHOT_EVERY_S",
        _positive_float,
        5.0,
        "seconds",
        "How long a snapshot may trail a cart that changes",
    )
    room_idle_s: float = _setting(
        "CARTROOM_ROOM_IDLE_S",
        _positive_float,
        30.0,
        "seconds",
        "An unused room leaves memory after",
    )
    catch_up_every_s: float = _setting(
        "CARTROOM_CATCH_UP_EVERY_S",
        _positive_float,
        5.0,
        "seconds",
        "How often open rooms are compared with the store",
    )
    lease_s: float = _setting(
        "CARTROOM_LEASE_S",
        _positive_float,
        10.0,
        "seconds",
        "Life of an instance's registration in Redis",
    )
    drain_s: float = _setting(
        "CARTROOM_DRAIN_S", _positive_float, 10.0, "seconds", "Longest wait for commits at shutdown"
    )
    journal: bool | None = _setting(
        "CARTROOM_JOURNAL",
        _flag,
        None,
        "1 or 0",
        "Ask for `j: true`. Unset: on MongoDB yes, on the embedded store no",
    )
    log_level: str = _setting(
        "CARTROOM_LOG_LEVEL",
        lambda value: {"DEBUG": "DEBUG", "INFO": "INFO", "WARNING": "WARNING", "ERROR": "ERROR"}[
            value.upper()
        ],
        "INFO",
        "DEBUG, INFO, WARNING or ERROR",
        "What is logged",
    )
    log_format: str = _setting(
        "CARTROOM_LOG_FORMAT",
        lambda value: {"json": "json", "text": "text"}[value.lower()],
        "json",
        "json or text",
        "How it is logged",
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read every setting; an empty variable counts as unset. Raises SettingsError."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for item in fields(cls):
            raw = environ.get(item.metadata["variable"], "")
            if not raw:
                continue
            try:
                values[item.name] = item.metadata["parse"](raw)
            except (ValueError, KeyError):
                # The value itself is not repeated: it may be a secret.
                raise SettingsError(
                    f"{item.metadata['variable']}: expected {item.metadata['expected']}"
                ) from None
        return cls(**values)
