"""The way out: what a mailer asks of whatever carries its mails."""

from __future__ import annotations

from typing import Protocol

from commerce.mail.message import Message


class MailError(Exception):
    """A mail didn't leave. `temporary`: it may, later. The text is for the log: no addresses."""

    def __init__(self, reason: str, *, temporary: bool) -> None:
        super().__init__(reason)
        self.temporary = temporary


class Transport(Protocol):
    """Carries mails out of the service, several at once."""

    async def deliver(self, message: Message) -> None:
        """Return once the mail is in other hands. Raises MailError.

        Cancelled, it may or may not have left.
        """

    async def forget(self, user_id: str, email: str | None) -> int:
        """Remove what is kept of mails that concern this user or went to this address.

        Returns how many there were. Raises OSError where they can't be removed.
        """
