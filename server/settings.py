"""Settings: read once from the environment into a frozen object.

Every setting is a field of `Settings` whose metadata names its variable; README's tables are
checked against the fields. A malformed value raises `SettingsError`, one line that names the
variable and what was expected.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from server import read
from server.kafka_settings import KafkaSettings
from server.setting import setting
from server.worker_settings import WorkerSettings


class SettingsError(Exception):
    """A setting can't be used. The message is one line for the person who set it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(KafkaSettings, WorkerSettings):
    """All of the service's settings. `Settings.from_environ(os.environ)` makes one."""

    host: str = setting(
        "CARTROOM_HOST", read.text, "127.0.0.1", "a host name or address", "Where to listen"
    )
    port: int = setting(
        "CARTROOM_PORT", read.port, 8080, "a number from 0 to 65535", "Port; 0 takes a free one"
    )
    data: Path = setting(  # noqa: RUF009 - it makes a field
        "CARTROOM_DATA", Path, Path("var"), "a folder", "Data of the embedded services"
    )
    mongodb_url: str | None = setting(
        "MONGODB_URL",
        read.mongodb_url,
        None,
        "a URL mongodb://… or mongodb+srv://…",
        "The MongoDB server; unset: the embedded store",
    )
    mongodb_database: str = setting(
        "CARTROOM_DATABASE",
        read.database_name,
        "cartroom",
        "up to 63 letters, digits, - and _",
        "Name of the database",
    )
    redis_url: str | None = setting(
        "REDIS_URL",
        read.redis_url,
        None,
        "a URL redis://…, rediss://… or unix://…",
        "The Redis server; unset: the embedded one",
    )
    jwt_secret: str | None = setting(
        "CARTROOM_JWT_SECRET",
        read.secret,
        None,
        "at least 32 characters",
        "Signs access tokens, seals webhooks' secrets; one for all instances and workers. Unset:"
        " made once, kept in the data folder",
    )
    token_ttl_s: int = setting(
        "CARTROOM_TOKEN_TTL_S", read.positive_int, 600, "seconds", "Life of an access token"
    )
    jwt_secrets_old: tuple[str, ...] = setting(
        "CARTROOM_JWT_SECRETS_OLD",
        read.secrets,
        (),
        "secrets of at least 32 characters, separated by commas",
        "Secrets of before: what they have signed or sealed is still good",
    )
    session_idle_s: float = setting(
        "CARTROOM_SESSION_IDLE_S",
        read.positive_float,
        2_592_000.0,
        "seconds",
        "A sign-in that is unused for so long ends",
    )
    session_max_s: float = setting(
        "CARTROOM_SESSION_MAX_S",
        read.positive_float,
        7_776_000.0,
        "seconds",
        "Longest life of a sign-in",
    )
    allowed_origins: frozenset[str] = setting(
        "CARTROOM_ALLOWED_ORIGINS",
        read.origins,
        frozenset(),
        "origins like https://shop.example, separated by commas",
        "Web origins whose pages may use REST and the socket, with access tokens",
    )
    bcrypt_cost: int = setting(
        "CARTROOM_BCRYPT_COST",
        read.bcrypt_cost,
        12,
        "a number from 4 to 31",
        "Work a password hash costs",
    )
    auth_attempts_per_minute: int = setting(
        "CARTROOM_AUTH_ATTEMPTS_PER_MINUTE",
        read.positive_int,
        30,
        "a number above 0",
        "Registrations and log-ins one address may try a minute",
    )
    guesses_per_hour: int = setting(
        "CARTROOM_GUESSES_PER_HOUR",
        read.positive_int,
        10,
        "a number above 0",
        "Wrong passwords for one account from one address an hour",
    )
    requests_per_minute: int = setting(
        "CARTROOM_REQUESTS_PER_MINUTE",
        read.positive_int,
        1_200,
        "a number above 0",
        "REST requests of one address a minute",
    )
    account_requests_per_minute: int = setting(
        "CARTROOM_ACCOUNT_REQUESTS_PER_MINUTE",
        read.positive_int,
        600,
        "a number above 0",
        "REST requests of one account a minute",
    )
    sockets_per_minute: int = setting(
        "CARTROOM_SOCKETS_PER_MINUTE",
        read.positive_int,
        600,
        "a number above 0",
        "Sockets one address may open a minute",
    )
    account_sockets_per_minute: int = setting(
        "CARTROOM_ACCOUNT_SOCKETS_PER_MINUTE",
        read.positive_int,
        120,
        "a number above 0",
        "Sockets one account may open a minute",
    )
    mails_per_hour: int = setting(
        "CARTROOM_MAILS_PER_HOUR",
        read.positive_int,
        20,
        "a number above 0",
        "Requests of one address an hour that cause a mail",
    )
    tls_cert: Path | None = setting(  # noqa: RUF009 - it makes a field
        "CARTROOM_TLS_CERT",
        Path,
        None,
        "a PEM file",
        "Certificate chain to serve TLS with, 1.2 and up; unset: plain HTTP",
    )
    tls_key: Path | None = setting(  # noqa: RUF009 - it makes a field
        "CARTROOM_TLS_KEY", Path, None, "a PEM file", "The certificate's private key"
    )
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = setting(
        "CARTROOM_TRUSTED_PROXIES",
        read.networks,
        (),
        "addresses and networks like 10.0.0.0/8, separated by commas",
        "Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed",
    )
    public_url: str | None = setting(
        "CARTROOM_PUBLIC_URL",
        read.web_address,
        None,
        "an address like https://shop.example/",
        "Where mailed links lead. Unset: the address that is served",
    )
    smtp_url: str | None = setting(
        "CARTROOM_SMTP_URL",
        read.smtp_url,
        None,
        "smtp://user:password@host:587 or smtps://…",
        "Where mail is handed in, see below. Unset: files in the data folder",
    )
    mail_from: str | None = setting(
        "CARTROOM_MAIL_FROM",
        read.sender,
        None,
        "an address like Cartroom <no-reply@shop.example>",
        "Who mails are from; needed with `CARTROOM_SMTP_URL`",
    )
    webhooks_timeout_s: float = setting(
        "CARTROOM_WEBHOOKS_TIMEOUT_S",
        read.positive_float,
        15.0,
        "seconds",
        "A receiver of webhooks answers within",
    )
    webhooks_retry_s: float = setting(
        "CARTROOM_WEBHOOKS_RETRY_S",
        read.positive_float,
        5.0,
        "seconds",
        "Wait before a webhook is sent for the second time; each further one is longer",
    )
    webhooks_give_up_s: float = setting(
        "CARTROOM_WEBHOOKS_GIVE_UP_S",
        read.positive_float,
        86_400.0,
        "seconds",
        "How long a webhook is sent again",
    )
    webhooks_disable_s: float = setting(
        "CARTROOM_WEBHOOKS_DISABLE_S",
        read.positive_float,
        432_000.0,
        "seconds",
        "A webhook that nothing has reached for so long is switched off",
    )
    webhooks_private: bool = setting(
        "CARTROOM_WEBHOOKS_PRIVATE",
        read.flag,
        False,
        "1 or 0",
        "Allow webhooks to private addresses, over plain HTTP, to any port. For development",
    )
    currency: str = setting(
        "CARTROOM_CURRENCY",
        read.currency,
        "EUR",
        "an ISO 4217 code like EUR",
        "Currency of carts that are created without one",
    )
    heartbeat_s: float = setting(
        "CARTROOM_HEARTBEAT_S",
        read.positive_float,
        25.0,
        "seconds",
        "A client sends something this often; twice that of silence closes",
    )
    hello_timeout_s: float = setting(
        "CARTROOM_HELLO_TIMEOUT_S",
        read.positive_float,
        10.0,
        "seconds",
        "Time allowed until `hello`",
    )
    commit_timeout_s: float = setting(
        "CARTROOM_COMMIT_TIMEOUT_S",
        read.positive_float,
        5.0,
        "seconds",
        "After this an op whose outcome is unknown is answered `unavailable`",
    )
    snapshot_every_s: float = setting(
        "CARTROOM_SNAPSHOT_EVERY_S",
        read.positive_float,
        5.0,
        "seconds",
        "How long a snapshot may trail a cart that changes",
    )
    room_idle_s: float = setting(
        "CARTROOM_ROOM_IDLE_S",
        read.positive_float,
        30.0,
        "seconds",
        "An unused room leaves memory after",
    )
    catch_up_every_s: float = setting(
        "CARTROOM_CATCH_UP_EVERY_S",
        read.positive_float,
        5.0,
        "seconds",
        "How often open rooms are compared with the store",
    )
    lease_s: float = setting(
        "CARTROOM_LEASE_S",
        read.positive_float,
        10.0,
        "seconds",
        "Life of an instance's registration in Redis",
    )
    drain_s: float = setting(
        "CARTROOM_DRAIN_S",
        read.positive_float,
        10.0,
        "seconds",
        "Longest wait for commits at shutdown",
    )
    seen_every_s: float = setting(
        "CARTROOM_SEEN_EVERY_S",
        read.positive_float,
        10.0,
        "seconds",
        "How often it is stored what members have seen live",
    )
    notify_after_s: float = setting(
        "CARTROOM_NOTIFY_AFTER_S",
        read.positive_float,
        45.0,
        "seconds",
        "Members who haven't seen a change after this are told",
    )
    notify_window_s: float = setting(
        "CARTROOM_NOTIFY_WINDOW_S",
        read.positive_float,
        600.0,
        "seconds",
        "What one member does in a cart within this is told as one",
    )
    journal: bool | None = setting(
        "CARTROOM_JOURNAL",
        read.flag,
        None,
        "1 or 0",
        "Ask for `j: true`. Unset: on MongoDB yes, on the embedded store no",
    )
    log_level: str = setting(
        "CARTROOM_LOG_LEVEL",
        lambda value: {"DEBUG": "DEBUG", "INFO": "INFO", "WARNING": "WARNING", "ERROR": "ERROR"}[
            value.upper()
        ],
        "INFO",
        "DEBUG, INFO, WARNING or ERROR",
        "What is logged",
    )
    log_format: str = setting(
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
