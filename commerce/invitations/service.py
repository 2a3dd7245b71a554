"""Invitations by e-mail: made, listed, taken back, and shown by who was invited.

Nothing here looks up whether an address has an account: to invite costs and answers the same
either way. Who may invite into a cart, and what accepting does to it, is up to the caller.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from commerce.accounts import policy, principal
from commerce.accounts.errors import NotSignedInError
from commerce.invitations.errors import (
    ComingInError,
    NoInvitationError,
    NotAnAddressError,
    TooFastError,
    TooManyInvitationsError,
)
from commerce.limits.limiter import Limits
from commerce.limits.rule import Claim, refusal
from commerce.limits.rules import ACCOUNT_MAILS, INVITATIONS
from commerce.mail import Address, Mailer
from commerce.mail.message import header_address
from storage.invitations import EnteringError, Invitation, Invitations, invitation_id
from storage.users import User, Users, email_key

log = logging.getLogger(__name__)

PENDING_MAX: Final = 100
"""Invitations to a cart that nobody has accepted yet."""
LIFE: Final = timedelta(days=14)
KEPT_MAX: Final = 10 * PENDING_MAX
"""Of a cart, with those that were accepted or have ended; an hour after its end one is gone."""

ENTERING: Final = timedelta(seconds=45)
"""Longer than accepting one is tried, and what it has begun goes on after that."""

_SECRET_BYTES: Final = 32


class Inviting:
    """The invitations of all carts. One an instance, without a state of its own.

    Methods raise an InvitationError or AccountsError where they say so, and what the driver raises
    when the store is away.
    """

    def __init__(
        self,
        invitations: Invitations,
        users: Users,
        mailer: Mailer,
        limits: Limits,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._invitations = invitations
        self._users = users
        self._mailer = mailer
        self._limits = limits
        self._now_ms = now_ms

    async def invite(self, by: str, cart: str, cart_name: str, email: str, role: str) -> Invitation:
        """Invite an address to a cart: store it, and mail a link. An earlier one of it ends.

        Raises NotAllowedError or NotConfirmedError by the policy, NotAnAddressError,
        TooManyInvitationsError, TooFastError.
        """
        try:
            header_address(email)
        except ValueError:
            raise NotAnAddressError from None
        inviter = await self._permitted(by)
        identity = invitation_id(cart, email)
        await self._check_room(cart, identity)
        await self._slow_down(by, email_key(email))
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        now_ms = self._now_ms()
        invitation = Invitation(
            identity, cart, email, role, by, now_ms, now_ms + _ms(LIFE), hash=_hash(secret)
        )
        await self._invitations.put(invitation, email)
        try:
            # Several at once may have found room for one; the one stored last sees them all.
            await self._check_room(cart, identity)
        except TooManyInvitationsError:
            await self._invitations.remove(invitation)
            raise
        log.info("Invited", extra={"cart": cart, "invitation": identity, "by": by})
        self._mailer.send(
            "invitation",
            Address(None, email, None, inviter.locale),
            [by],
            token=f"{invitation.id}.{secret}",
            ttl_s=int(LIFE.total_seconds()),
            cart_name=cart_name,
            by_name=inviter.name,
            role=role,
        )
        return invitation

    async def pending(self, cart: str) -> list[Invitation]:
        """The invitations to a cart that may still be accepted, the earliest first."""
        pending = self._pending(await self._invitations.of_cart(cart, KEPT_MAX))
        return sorted(pending, key=lambda one: (one.created_at, one.id))

    async def take_back(self, cart: str, identity: str) -> None:
        """End an invitation to a cart: nobody comes in by it after this.

        Raises NoInvitationError, ComingInError.
        """
        try:
            taken_back = await self._invitations.remove_from(cart, identity)
        except EnteringError:
            raise ComingInError from None
        if not taken_back:
            raise NoInvitationError
        log.info("Invitation taken back", extra={"cart": cart, "invitation": identity})

    async def show(self, user: str, token: str) -> Invitation:
        """The invitation behind a mailed token, for its addressee, who may have accepted it.

        Raises NoInvitationError for who isn't, before that what `invite` does by the policy.
        """
        account = await self._permitted(user)
        identity, _, secret = token.partition(".")
        found = await self._invitations.find(identity)
        # All of it is compared in any case: what was wrong can't be timed.
        right = hmac.compare_digest("" if found is None else found.hash, _hash(secret))
        if found is None or not right or found.expires_at <= self._now_ms():
            raise NoInvitationError
        if found.accepted_by == user:
            return found
        if found.email is None or account.email is None:
            raise NoInvitationError
        if email_key(account.email) != email_key(found.email):
            raise NoInvitationError
        return found

    async def begin(self, invitation: Invitation) -> bool:
        """Its addressee is about to come in: it isn't taken back meanwhile.

        False if it isn't what it was. Call `accepted`, `void` or `give_up` then; whatever has
        become of the op where none of these is called is known after `ENTERING`.
        """
        return await self._invitations.begin(invitation, self._now_ms() + _ms(ENTERING))

    async def give_up(self, invitation: Invitation) -> None:
        """Its addressee can't come in for now."""
        await self._invitations.give_up(invitation)

    async def accepted(self, invitation: Invitation, user: str) -> None:
        """Its addressee is in. A later invitation of the same address stays."""
        await self._invitations.accept(invitation, user)
        where = {"cart": invitation.cart, "invitation": invitation.id, "user": user}
        log.info("Invitation accepted", extra=where)

    async def void(self, invitation: Invitation) -> None:
        """Nobody can accept it any more. A later invitation of the same address stays."""
        await self._invitations.remove(invitation)

    async def forget_cart(self, cart: str) -> None:
        """The cart is deleted: end its invitations."""
        await self._invitations.remove_cart(cart)

    async def forget_user(self, user: str, email: str | None) -> None:
        """The account is deleted: end what it invited to, and what was sent to its address."""
        await self._invitations.remove_user(user, email)

    async def sweep(self) -> int:
        """Remove what has ended, and with it the addresses; answers how many there were."""
        return await self._invitations.remove_ended(self._now_ms())

    async def _check_room(self, cart: str, identity: str) -> None:
        """Raise TooManyInvitationsError where there is no room beside the others of a cart."""
        kept = await self._invitations.of_cart(cart, KEPT_MAX + 1)
        others = [one for one in kept if one.id != identity]
        if len(self._pending(others)) >= PENDING_MAX or len(others) >= KEPT_MAX:
            raise TooManyInvitationsError(PENDING_MAX)

    def _pending(self, invitations: list[Invitation]) -> list[Invitation]:
        now_ms = self._now_ms()
        return [one for one in invitations if one.expires_at > now_ms and one.accepted_by is None]

    async def _permitted(self, user: str) -> User:
        """The account as it is now: it may have been confirmed since its socket was opened."""
        account = await self._users.find(user)
        if account is None:
            raise NotSignedInError
        policy.check(policy.Action.INVITE, principal.of_account(account))
        return account

    async def _slow_down(self, by: str, mailbox: str) -> None:
        """Raise TooFastError when too many mails go to that address, or come from this user."""
        decisions = await self._limits.take_all(
            Claim(ACCOUNT_MAILS, by), Claim(INVITATIONS, mailbox)
        )
        refused = refusal(decisions)
        if refused is not None:
            raise TooFastError(refused.retry_after_s)


def _ms(time_: timedelta) -> int:
    return time_ // timedelta(milliseconds=1)


def _hash(secret: str) -> str:
    # The surrogates of a token that is none must not raise.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
