"""Telling somebody by mail that they were let in to a cart."""

from __future__ import annotations

from dataclasses import dataclass

from commerce.limits.limiter import Limits
from commerce.limits.rule import Claim, refusal
from commerce.limits.rules import ACCOUNT_MAILS, ADDED
from commerce.mail import Address, Mailer
from commerce.notifying.unsubscribing import UnsubscribeTokens, Wish
from storage.users import Users, email_key


@dataclass(frozen=True, slots=True)
class LetIn:
    """`by` has let `user` in to a cart; `by_name` is how they are called."""

    user: str
    cart: str
    cart_name: str
    role: str
    by: str
    by_name: str


class Notices:
    """Mails to those who have a confirmed address and didn't choose otherwise."""

    def __init__(
        self, users: Users, mailer: Mailer, limits: Limits, tokens: UnsubscribeTokens
    ) -> None:
        self._users = users
        self._mailer = mailer
        self._limits = limits
        self._tokens = tokens

    async def tell(self, news: LetIn) -> None:
        """Mail the news, unless they don't want it, or get too many.

        Raises what the driver raises when the store is away.
        """
        user = await self._users.find(news.user)
        if user is None or user.email is None or not user.confirmed:
            return
        if not user.notifications.get("shared", True):
            return
        decisions = await self._limits.take_all(
            Claim(ACCOUNT_MAILS, news.by), Claim(ADDED, email_key(user.email))
        )
        if refusal(decisions) is not None:
            return
        self._mailer.send(
            "added_to_cart",
            Address(user.id, user.email, user.name, user.locale),
            [news.by],
            unsubscribe=self._tokens.make(Wish(user.id, "shared")),
            cart=news.cart,
            cart_name=news.cart_name,
            by_name=news.by_name,
            role=news.role,
        )
