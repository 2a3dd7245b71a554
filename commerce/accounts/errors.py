"""Why the accounts service refuses."""

from __future__ import annotations

from typing import Final, Literal


class AccountsError(Exception):
    """Base of this package's refusals. The message is a sentence for a person.

    `field` names what was sent that is wrong, where it is one thing.
    """

    field: str | None = None


class EmailTakenError(AccountsError):
    """An account with this address exists."""

    field = "email"

    def __init__(self) -> None:
        super().__init__("An account with this e-mail address exists; log in instead")


class WrongCredentialsError(AccountsError):
    """No account has this address and password. It doesn't tell which of the two was wrong."""

    def __init__(self) -> None:
        super().__init__("E-mail address or password is wrong")


class InvalidTokenError(AccountsError):
    """The token is malformed, forged, signed with another key, or of another kind."""

    def __init__(self) -> None:
        super().__init__("The access token is not valid; log in again")


class ExpiredTokenError(InvalidTokenError):
    """The token was good, and its time is over."""

    def __init__(self) -> None:
        AccountsError.__init__(self, "The access token has ended; log in again")


class PasswordsBusyError(AccountsError):
    """Too many passwords wait to be hashed. Nothing was done; try again in `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("Too many people are signing in at this moment; try again shortly")
        self.retry_after_s = retry_after_s


class InvalidSessionError(InvalidTokenError):
    """The session behind it was ended, or its time is over."""

    def __init__(self) -> None:
        AccountsError.__init__(self, "You are signed out on this device; log in again")


class ReusedTokenError(InvalidTokenError):
    """A refresh token was used twice: somebody has a copy, so its session is ended."""

    def __init__(self) -> None:
        AccountsError.__init__(self, "The refresh token was used before; log in again")


class NotSignedInError(AccountsError):
    """It needs somebody who is signed in."""

    def __init__(self) -> None:
        super().__init__("Sign in first, or send your access token as `Authorization: Bearer …`")


class NotAllowedError(AccountsError):
    """Who is signed in may not do this."""

    def __init__(self, group: str) -> None:
        who = "guests" if group == "guest" else f"accounts of the role {group}"
        super().__init__(f"This is not for {who}")


class NotOnThisAccountError(NotAllowedError):
    """They may do it, but not to this account."""

    def __init__(self) -> None:
        AccountsError.__init__(self, "You may not do this to that account")


class NoSuchUserError(AccountsError):
    """There is no such account."""

    def __init__(self) -> None:
        super().__init__("There is no such account")


class GuestRoleError(AccountsError):
    """A guest has no other role, having no account yet."""

    def __init__(self) -> None:
        super().__init__("A guest can't have a role; they must register first")


class LastAdminError(AccountsError):
    """Nobody would be left to administrate. Nothing was changed."""

    def __init__(self) -> None:
        super().__init__("An administrator must be left; nothing was changed")


class NotConfirmedError(AccountsError):
    """It needs a confirmed address."""

    def __init__(self) -> None:
        super().__init__("Confirm your e-mail address first: open the link that was mailed to you")


class AccountLockedError(WrongCredentialsError):
    """The account was locked by an administrator. Nobody outside is told that."""


class WrongPasswordError(WrongCredentialsError):
    """Who is signed in has not proved to be the account's owner. `field`: what it was sent as."""

    def __init__(self, field: str) -> None:
        AccountsError.__init__(self, "That is not your password")
        self.field = field


class WeakPasswordError(AccountsError):
    """Too many would guess this password. `field`: what it was sent as."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class UnreadableLinkError(AccountsError):
    """A mailed link isn't one that we have mailed."""

    field = "token"

    def __init__(self) -> None:
        super().__init__("This link isn't good; open it as it stands in the mail")


class DeadLinkError(AccountsError):
    """A mailed link is good no more, or never was."""

    field = "token"

    def __init__(
        self, purpose: Literal["confirm", "reset"], why: Literal["used", "expired", "replaced"]
    ) -> None:
        super().__init__(f"{_WHY_DEAD[why]} {_NEXT[purpose]}")


_WHY_DEAD: Final = {
    "used": "This link was used already.",
    "expired": "This link's time is over.",
    "replaced": "This link isn't good, or not any more; only the newest one is.",
}
_NEXT: Final = {
    "confirm": "Log in, and if your address isn't confirmed yet have a new link sent.",
    "reset": "If you still can't log in, ask for a new link.",
}
