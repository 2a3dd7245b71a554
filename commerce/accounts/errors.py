"""Why the accounts service refuses."""

from __future__ import annotations


class AccountsError(Exception):
    """Base of this package's refusals. The message is a sentence for a person."""


class EmailTakenError(AccountsError):
    """An account with this address exists."""

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
