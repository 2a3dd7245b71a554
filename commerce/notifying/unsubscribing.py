"""Ending mails by a link in one of them: whoever has it needs no log-in.

The link holds a token that says whose mails, and which; we have signed it, and nothing is stored of
it. It is good for as long as its key: a mail may be read years later. It ends mails, or mutes a
cart, and can do nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from commerce.accounts.errors import UnreadableLinkError
from commerce.accounts.tokens import derive_key
from storage.users import Users

Ended = Literal["changes", "shared", "cart"]
"""Mails about changes in one's carts; mails about being let in to one; all about one cart."""

KEY: Final = b"unsubscribe links"
TOKEN_CHARS_MAX: Final = 300
MAC_CHARS: Final = 40
_ENDED: Final[Mapping[str, Ended]] = {"changes": "changes", "shared": "shared"}
_SEPARATOR: Final = "."


@dataclass(frozen=True, slots=True)
class Wish:
    """What a link is for. `cart` goes with `ended="cart"`."""

    user: str
    ended: Ended
    cart: str | None = None


class UnsubscribeTokens:
    """Makes and reads tokens. The first secret signs; those signed with any are read."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [derive_key(secret, KEY) for secret in secrets]

    def make(self, wish: Wish) -> str:
        """Of letters, digits, `.` and `_` alone."""
        what = _SEPARATOR.join((wish.user, wish.cart or wish.ended))
        return _SEPARATOR.join((what, _mac(self._keys[0], what)))

    def read(self, token: str) -> Wish:
        """What a token of ours is for. Raises UnreadableLinkError."""
        what, _, mac = token.rpartition(_SEPARATOR)
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise UnreadableLinkError
        if not any(hmac.compare_digest(_mac(key, what), mac) for key in self._keys):
            raise UnreadableLinkError
        user, _, ended = what.partition(_SEPARATOR)
        known = _ENDED.get(ended)
        return Wish(user, "cart", ended) if known is None else Wish(user, known)


class Muting(Protocol):
    """Keeps what members have set for one cart."""

    async def mute(self, user: str, cart: str, *, muted: bool) -> None:
        """Have the user hear no more of what others do in a cart; tell them. Twice is as once."""


class Unsubscribing:
    """Does what a link is for."""

    def __init__(self, users: Users, muting: Muting, tokens: UnsubscribeTokens) -> None:
        self._users = users
        self._muting = muting
        self._tokens = tokens

    async def obey(self, token: str) -> Wish:
        """End these mails, and answer which. Of who is gone there is nothing to end.

        Raises UnreadableLinkError, and what the driver raises when the store is away.
        """
        wish = self._tokens.read(token)
        if wish.cart is not None:
            if await self._users.find(wish.user) is not None:
                await self._muting.mute(wish.user, wish.cart, muted=True)
        elif wish.ended == "changes":
            await self._users.change(wish.user, {"notifications.changes": "none"})
        else:
            await self._users.change(wish.user, {"notifications.shared": False})
        return wish


def _mac(key: bytes, what: str) -> str:
    return hmac.digest(key, what.encode(), hashlib.sha256).hex()[:MAC_CHARS]
