"""How mail leaves this instance, by its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from commerce.mail import FolderTransport, Mailer, MailMetrics, SmtpServer, SmtpTransport, Transport
from server.settings import Settings, SettingsError

LOCAL_SENDER = "Cartroom <cartroom@localhost>"
"""Of mails that go to a folder, unless one is set."""


def check_mail(settings: Settings) -> None:
    """Raise SettingsError when mail can't be sent with these settings."""
    if settings.smtp_url is not None and settings.mail_from is None:
        raise SettingsError("CARTROOM_MAIL_FROM: needed with CARTROOM_SMTP_URL")


@asynccontextmanager
async def mailing(
    settings: Settings, registry: CollectorRegistry, public_url: Callable[[], str]
) -> AsyncIterator[Mailer]:
    """A mailer. Leaving it gives what waits a last try."""
    transport: Transport
    if settings.smtp_url is None:
        transport = FolderTransport(settings.data / "mail")
    else:
        transport = SmtpTransport(SmtpServer.parse(settings.smtp_url))
    mailer = Mailer(
        transport,
        sender=settings.mail_from or LOCAL_SENDER,
        public_url=public_url,
        metrics=MailMetrics(registry),
    )
    try:
        yield mailer
    finally:
        await mailer.stop()
