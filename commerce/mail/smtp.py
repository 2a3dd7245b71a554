"""Mails over SMTP (RFC 5321), by aiosmtplib."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import aiosmtplib

from commerce.mail.message import Message
from commerce.mail.transport import MailError

TIMEOUT_S: Final = 10.0
"""Of each step: connecting, a command, its answer."""
DELIVERY_S: Final = 60.0
"""Of all steps together."""
PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed in. `SmtpServer.parse` reads one.

    `tls` from the first byte; else `starttls`: True demands it, False forbids it, None takes it
    where it is offered. Certificates are checked.
    """

    host: str
    port: int
    tls: bool
    starttls: bool | None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> SmtpServer:
        """`smtp[s]://user:password@host:port`. Raises ValueError.

        `smtp` demands STARTTLS, except on this machine; `?starttls=no` does without.
        """
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/"):
            raise ValueError("expected smtp://… or smtps://…")
        options = dict(parse_qsl(parts.query, strict_parsing=True) if parts.query else ())
        if options not in ({}, {"starttls": "no"}) or (parts.password and not parts.username):
            raise ValueError("expected no option but starttls=no")
        tls = parts.scheme == "smtps"
        demanded = None if _is_here(parts.hostname) and not parts.username else True
        return cls(
            host=parts.hostname,
            port=parts.port or PORTS[parts.scheme],
            tls=tls,
            starttls=False if tls or options else demanded,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class SmtpTransport:
    """Hands each mail to the server over a connection of its own."""

    def __init__(self, server: SmtpServer, *, timeout_s: float = TIMEOUT_S) -> None:
        self._server = server
        self._timeout_s = timeout_s

    async def deliver(self, message: Message) -> None:
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            # Ours would be looked up, which may take its time.
            local_hostname=message.sender.domain,
            timeout=self._timeout_s,
            use_tls=server.tls,
            start_tls=server.starttls,
            username=server.username,
            password=server.password,
        )
        try:
            content = await asyncio.to_thread(message.to_bytes)
            async with asyncio.timeout(DELIVERY_S), client:
                await client.sendmail(
                    message.sender.addr_spec,
                    [message.recipient.addr_spec],
                    content,
                    mail_options=["SMTPUTF8"] if message.international else [],
                )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _failure(error) from error

    async def forget(self, user_id: str, email: str | None) -> int:
        return 0  # what was handed in is not ours any more


def _failure(error: Exception) -> MailError:
    """What a failed attempt means. A reply's text may quote the address: only its code is kept."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPResponseException):
        reason = f"the mail server answers {error.code}"
        return MailError(reason, temporary=400 <= error.code < 500)
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return MailError("the mail server lacks what this mail needs", temporary=False)
    if isinstance(error, ValueError):
        return MailError("the mail can't be put into SMTP", temporary=False)
    return MailError(f"the mail server can't be reached ({type(error).__name__})", temporary=True)
