"""One-time links: what is mailed to prove that an address is somebody's.

A token is `<user>.<secret>`. The store has its hash alone, so that a copy of it opens nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final, Literal

from commerce.accounts.errors import DeadLinkError
from storage.links import Links

Purpose = Literal["confirm", "reset"]

PURPOSES: Final[tuple[Purpose, ...]] = ("confirm", "reset")
SECRET_BYTES: Final = 32
TOKEN_CHARS_MAX: Final = 200


class OneTimeLinks:
    """Makes links and uses them up. The newest of a purpose and user is the only good one."""

    def __init__(self, links: Links, now: Callable[[], float] = time.time) -> None:
        self._links = links
        self._now = now

    async def issue(self, purpose: Purpose, user: str, ttl_s: float) -> str:
        """A new token for this user, good for `ttl_s`."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        expires_at = int((self._now() + ttl_s) * 1000)
        await self._links.put(purpose, user, _hash(secret), expires_at)
        return f"{user}.{secret}"

    async def feign(self, purpose: Purpose, ttl_s: float) -> str:
        """A token like `issue` makes, after the same work. It is nobody's."""
        # Among a few, or those who feign at once would wait for each other.
        await self.issue(purpose, f"nobody-{secrets.token_hex(1)}", ttl_s)
        return f"usr_{secrets.token_hex(12)}.{secrets.token_urlsafe(SECRET_BYTES)}"

    async def check(self, purpose: Purpose, token: str) -> str:
        """Whose link it is, without using it up. Raises DeadLinkError."""
        user, secret = _parts(purpose, token)
        link = await self._links.get(purpose, user)
        if link is None or not hmac.compare_digest(link.hash, _hash(secret)):
            raise DeadLinkError(purpose, "replaced")
        if link.used:
            raise DeadLinkError(purpose, "used")
        if link.expires_at <= self._now() * 1000:
            raise DeadLinkError(purpose, "expired")
        return user

    async def redeem(self, purpose: Purpose, token: str) -> str:
        """Use the link up and answer whose it was. Raises DeadLinkError.

        Of many who do it at once, one succeeds.
        """
        user = await self.check(purpose, token)
        _, secret = _parts(purpose, token)
        if not await self._links.use(purpose, user, _hash(secret), secrets.token_hex(8)):
            raise DeadLinkError(purpose, "used")
        return user

    async def forget(self, user: str) -> None:
        """Remove all links of a user."""
        await self._links.delete_of(user, PURPOSES)


def _parts(purpose: Purpose, token: str) -> tuple[str, str]:
    user, dot, secret = token.partition(".")
    if not dot or not user.startswith("usr_") or len(token) > TOKEN_CHARS_MAX:
        raise DeadLinkError(purpose, "replaced")
    return user, secret


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
