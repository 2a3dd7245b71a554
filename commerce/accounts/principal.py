"""Who is asking: what a token or a browser's session stands for, as the store has it now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from storage.users import User

SessionKind = Literal["token", "cookie", "service"]


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, signed in on one device.

    `session` is the id of that sign-in, `epoch` the user's at that time: a higher one ends all
    that were before. `expires_at`: until when what was shown is good, in seconds since the epoch.
    """

    user: str
    name: str
    session: str
    epoch: int
    role: str
    guest: bool
    confirmed: bool
    kind: SessionKind
    expires_at: float

    @property
    def group(self) -> str:
        """What the policy goes by: `guest`, or the account's role."""
        return "guest" if self.guest else self.role


def of_account(user: User) -> Principal:
    """What somebody is by their account alone, whichever device they use."""
    return Principal(
        user=user.id,
        name=user.name,
        session="",
        epoch=user.epoch,
        role=user.role,
        guest=user.guest,
        confirmed=user.confirmed,
        kind="service",
        expires_at=float("inf"),
    )


def of_service(user: str, name: str = "") -> Principal:
    """A user for whom the service itself acts; there is no device, and nothing ends it."""
    return Principal(user, name, "", 0, "customer", False, True, "service", float("inf"))
