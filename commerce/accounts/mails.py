"""What people are told by mail about their accounts."""

from __future__ import annotations

from typing import Any

from commerce.mail import Address, Mailer
from storage.users import User


class AccountMails:
    """Has mails written. Nobody waits for them, and no answer tells whether there was one."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    def link(self, kind: str, user: User, token: str, ttl_s: float) -> None:
        """A link that confirms an address, or opens the way to a new password."""
        self._send(kind, user, token=token, ttl_s=ttl_s)

    def no_link(self, kind: str, token: str, ttl_s: float) -> None:
        """The work of `link`, for nobody."""
        self._mailer.feign(kind, token=token, ttl_s=ttl_s)

    def password_changed(self, user: User) -> None:
        self._send("password_changed", user)

    def sign_in_ended(self, user: User, device: str) -> None:
        """A refresh token of this device was used twice, so that its session was ended."""
        self._send("sign_in_ended", user, device=device)

    def _send(self, kind: str, user: User, **facts: Any) -> None:
        if user.email is not None:  # a guest has none
            to = Address(user.id, user.email, user.name, user.locale)
            self._mailer.send(kind, to, **facts)
