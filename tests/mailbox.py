"""Where tests receive mail: a real SMTP server in this process, and the folder of mails."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from tests.helpers import eventually


class Mailbox:
    """An SMTP server's handler: what was accepted, and what it is to answer next."""

    def __init__(self) -> None:
        self.port = 0
        self.envelopes: list[Envelope] = []
        self.answers: deque[str] = deque()
        """Answers to the next mails, in the place of accepting them."""
        self.refused = 0
        self.logins: list[tuple[bytes, bytes]] = []
        self.encrypted: list[bool] = []
        """Of each mail, whether it came over TLS."""
        self.heard: list[str] = []
        """The commands of all sessions, by their first word."""

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Envelope) -> str:
        if self.answers:
            self.refused += 1
            return self.answers.popleft()
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        self.envelopes.append(envelope)
        return "250 OK"

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        self.logins.append((data.login, data.password))
        accepted = data.password == b"s3cret/@:"
        return AuthResult(success=accepted, handled=False)

    @property
    def mails(self) -> list[EmailMessage]:
        return [read(envelope.content) for envelope in self.envelopes]

    async def wait_for(self, count: int) -> list[EmailMessage]:
        await eventually(lambda: len(self.envelopes) >= count, what=f"{count} mails")
        return self.mails


@asynccontextmanager
async def mail_server(
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    login: bool = False,
    international: bool = True,
    mailbox: Mailbox | None = None,
) -> AsyncIterator[Mailbox]:
    """An SMTP server on loopback. `tls` from the first byte, or `starttls` on offer."""
    mailbox = mailbox or Mailbox()
    loop = asyncio.get_running_loop()
    protocols: list[SMTP] = []

    def protocol() -> SMTP:
        smtp = SMTP(
            mailbox,
            enable_SMTPUTF8=international,
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=login,
            auth_require_tls=starttls is not None,
            authenticator=mailbox.authenticate if login else None,
            hostname="mail.shop.example",
            loop=loop,
        )
        protocols.append(smtp)
        return smtp

    server = await loop.create_server(protocol, "127.0.0.1", port, ssl=tls)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        for one in protocols:
            if one.transport is not None:
                one.transport.abort()
        await server.wait_closed()


def read(content: bytes) -> EmailMessage:
    """A mail as a mail program reads it, strictly."""
    message = email.message_from_bytes(content, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def folder_mails(folder: Path) -> list[EmailMessage]:
    """The mails in `<data>/mail`, the oldest first."""
    return [read(path.read_bytes()) for path in sorted(folder.glob("*.eml"))]


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def token_of(mail: EmailMessage) -> str:
    """The token in the link of a mail's text."""
    found = re.search(r"#/[a-z]+/(\S+)", text_of(mail))
    assert found is not None, text_of(mail)
    return found.group(1)


async def mails_to(folder: Path, email: str, kind: str, count: int = 1) -> list[EmailMessage]:
    """The mails of a kind in `<data>/mail` to this address, in order, once there are so many."""

    def found() -> list[EmailMessage]:
        paths = sorted(folder.glob(f"*-{kind}-*.eml"), key=lambda path: path.stat().st_mtime_ns)
        texts = [path.read_bytes() for path in paths]
        # There may be many, and to read one properly takes its time.
        mails = [read(text) for text in texts if email.encode() in text]
        return [mail for mail in mails if mail["To"] == email]

    return await eventually(
        lambda: mails if len(mails := found()) >= count else [], what=f"{count} {kind} to {email}"
    )
