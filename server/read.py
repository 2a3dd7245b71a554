"""How the kinds of settings' values are read. What can't be read raises ValueError or KeyError."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from yarl import URL


def text(value: str) -> str:
    return value


def positive_int(value: str) -> int:
    number = int(value)
    if number <= 0:
        raise ValueError
    return number


def bcrypt_cost(value: str) -> int:
    number = int(value)
    if not 4 <= number <= 31:
        raise ValueError
    return number


def port(value: str) -> int:
    number = int(value)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def positive_float(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def flag(value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return words[value.lower()]


def origins(value: str) -> frozenset[str]:
    """Split a comma-separated list of origins as browsers send them, `https://shop.example`."""
    return frozenset(origin(part.strip()) for part in value.split(",") if part.strip())


def origin(value: str) -> str:
    parts = urlsplit(value.rstrip("/").lower())
    default_port = {"http": 80, "https": 443}[parts.scheme]
    if not parts.hostname or "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        raise ValueError
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, default_port) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def networks(value: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Split a comma-separated list of addresses and networks."""
    return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())


def mongodb_url(value: str) -> str:
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


def redis_url(value: str) -> str:
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


def database_name(value: str) -> str:
    # MongoDB forbids more characters on some platforms than on others.
    if re.fullmatch(r"[A-Za-z0-9_-]{1,63}", value) is None:
        raise ValueError
    return value


def currency(value: str) -> str:
    from commerce.money import is_currency

    if not is_currency(value):
        raise ValueError
    return value


def smtp_url(value: str) -> str:
    from commerce.mail import SmtpServer

    SmtpServer.parse(value)
    return value


def sender(value: str) -> str:
    from commerce.mail.mailer import parse_sender

    parse_sender(value)
    return value


def web_address(value: str) -> str:
    """An http(s) address without query and fragment; ends with a slash."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError
    _ = parts.port  # raises ValueError unless it is one
    if not value.isascii():
        value = str(URL(value))  # as it has to be in a mail's headers
    return value if value.endswith("/") else f"{value}/"


def secret(value: str) -> str:
    if len(value) < 32:
        raise ValueError
    return value


def secrets(value: str) -> tuple[str, ...]:
    return tuple(secret(part.strip()) for part in value.split(",") if part.strip())


def servers(value: str) -> tuple[str, ...]:
    """Split a comma-separated list of `host:port`."""
    found = tuple(part.strip() for part in value.split(",") if part.strip())
    for one in found:
        parts = urlsplit(f"//{one}")
        if not parts.hostname or parts.port is None or parts.netloc != one or "@" in one:
            raise ValueError
    if not found:
        raise ValueError
    return found


def topic_prefix(value: str) -> str:
    # Kafka allows a topic 249 of these; ours add up to 12.
    if re.fullmatch(r"[A-Za-z0-9._-]{1,200}", value) is None:
        raise ValueError
    return value


def uri_reference(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,1000}", value) is None:
        raise ValueError
    urlsplit(value)
    return value


def sasl_mechanism(value: str) -> str:
    known = {name: name for name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")}
    return known[value.upper()]


WORKERS = ("relay", "notify", "webhooks")


def workers(value: str) -> tuple[str, ...]:
    """Split a comma-separated list of kinds of workers; `none` is the list of none."""
    names = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
    if names != ("none",) and not set(names) <= set(WORKERS):
        raise ValueError
    return names
