"""Why the invitations service refuses."""

from __future__ import annotations


class InvitationError(Exception):
    """Base of this package's refusals. The message is a sentence for a person."""


class NotAnAddressError(InvitationError):
    """No mail can go there."""

    def __init__(self) -> None:
        super().__init__("`email` is no e-mail address.")


class TooManyInvitationsError(InvitationError):
    """As many are pending as a cart may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"A cart has at most {most} pending invitations; take some back.")


class TooFastError(InvitationError):
    """Nothing was done; try again in `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("Too many invitations in a short time; wait.")
        self.retry_after_s = retry_after_s


class ComingInError(InvitationError):
    """Its addressee is coming in by it, or has been until something failed. Try again."""

    def __init__(self) -> None:
        super().__init__("Who was invited is coming in at this moment; try again.")


class NoInvitationError(InvitationError):
    """There is none, or not for this user. It doesn't tell which."""

    def __init__(self) -> None:
        super().__init__(
            "There is no such invitation for you. It may have ended or been taken back, or have"
            " gone to another address than yours."
        )
