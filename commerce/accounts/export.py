"""Everything that is stored about an account, for its owner: one JSON document, piece by piece.

It is made while it is sent, a cart and a few hundred ops at a time, so that it takes as little
memory for somebody with a thousand carts as for somebody with one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from commerce.accounts.errors import InvalidSessionError
from commerce.accounts.security import Event, note
from commerce.accounts.sessions import Sessions
from storage.cart_settings import CartSettings
from storage.invitations import Invitation, Invitations
from storage.memberships import Memberships
from storage.notifications import Notifications
from storage.seen import Seen
from storage.users import User, Users

CARTS_MAX: Final = 5_000
"""As many as a user's list has."""
INVITATIONS_MAX: Final = 5_000


class CartArchive(Protocol):
    """Reads carts as they are stored. Raises what the driver raises when the store is away."""

    async def part_of(self, user: str, cart: str) -> dict[str, Any] | None:
        """What concerns this user in a cart: `rev, name, currency, role, note, lines, saved`.

        None where they are no member (any more).
        """

    def ops_of(self, user: str, cart: str, head: int) -> AsyncIterator[dict[str, Any]]:
        """What the user did in the cart up to rev `head`: `{rev, at, op}`, ascending."""


class Export:
    """Reads out accounts. One an instance."""

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        invitations: Invitations,
        memberships: Memberships,
        archive: CartArchive,
        *,
        notifications: Notifications,
        settings: CartSettings,
        seen: Seen,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._invitations = invitations
        self._memberships = memberships
        self._archive = archive
        self._notifications = notifications
        self._settings = settings
        self._seen = seen

    async def chunks(self, user_id: str) -> AsyncIterator[bytes]:
        """The document, in pieces. Raises InvalidSessionError before the first, or never."""
        user = await self._users.find(user_id)
        if user is None:
            raise InvalidSessionError
        note(Event.EXPORTED, user_id)
        head = {
            "profile": await self._profile(user),
            "devices": await self._devices(user_id),
            "invitations": await self._invitations_of(user),
            "notifications": await self._told(user_id),
            "muted": await self._settings.all_muted_by(user_id, CARTS_MAX),
        }
        yield _open(head, "carts")
        separator = b""
        for membership in await self._memberships.of_user(user_id, CARTS_MAX):
            part = await self._archive.part_of(user_id, membership.cart)
            if part is None:
                continue
            rev = part.pop("rev")
            part["seen"] = (await self._seen.of_cart(membership.cart)).get(user_id)
            yield separator
            async for piece in self._cart(user_id, membership.cart, rev, **part):
                yield piece
            separator = b","
        yield b'], "former_carts": ['
        separator = b""
        for membership in await self._memberships.former_of(user_id, CARTS_MAX):
            yield separator
            async for piece in self._cart(user_id, membership.cart, membership.rev):
                yield piece
            separator = b","
        yield b"]}"

    async def _cart(self, user: str, cart: str, rev: int, **part: Any) -> AsyncIterator[bytes]:
        """What there is of the user in a cart, and what they did there up to `rev`."""
        yield _open({"cart": cart, **part}, "history")
        async for piece in _listed(self._archive.ops_of(user, cart, rev)):
            yield piece
        yield b"]}"

    async def _profile(self, user: User) -> dict[str, Any]:
        created_at, confirmed_at = await self._users.times(user.id)
        return {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "role": user.role,
            "guest": user.guest,
            "confirmed": user.confirmed,
            "locale": user.locale,
            "currency": user.currency,
            "notifications": dict(user.notifications),
            "time_zone": user.time_zone,
            "quiet_hours": user.quiet_hours,
            "digest_at": user.digest_at,
            "created_at": None if created_at is None else _time(created_at),
            "confirmed_at": None if confirmed_at is None else _time(confirmed_at),
        }

    async def _devices(self, user_id: str) -> list[dict[str, Any]]:
        return [
            {
                "id": one.id,
                "device": one.device,
                "kind": one.kind,
                "created_at": _time(one.created_at * 1000),
                "used_at": _time(one.used_at * 1000),
            }
            for one in await self._sessions.devices(user_id)
        ]

    async def _told(self, user_id: str) -> list[dict[str, Any]]:
        return [
            {
                "id": one.id,
                "kind": one.kind,
                "cart": one.cart,
                "cart_name": one.cart_name,
                "by": one.actor,
                "count": one.count,
                "kinds": dict(one.kinds),
                "lines": list(one.lines),
                "at": _time(one.at),
                "read": one.read,
            }
            for one in (await self._notifications.inbox(user_id)).items
        ]

    async def _invitations_of(self, user: User) -> dict[str, Any]:
        sent = await self._invitations.of_inviter(user.id, INVITATIONS_MAX)
        received: Iterable[Invitation] = ()
        if user.email is not None and user.confirmed:  # or it may be somebody else's address
            received = await self._invitations.to_address(user.email, INVITATIONS_MAX)
        return {
            "sent": [{**_invitation(one), "email": one.email} for one in sent],
            "received": [_invitation(one) for one in received],
        }


def _invitation(one: Invitation) -> dict[str, Any]:
    return {
        "invitation": one.id,
        "cart": one.cart,
        "role": one.role,
        "created_at": _time(one.created_at),
        "expires_at": _time(one.expires_at),
    }


def _open(members: dict[str, Any], then: str) -> bytes:
    """An object that isn't closed yet, and in it an array that isn't."""
    return json.dumps(members)[:-1].encode() + f', "{then}": ['.encode()


async def _listed(items: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    separator = b""
    async for item in items:
        yield separator + json.dumps(item).encode()
        separator = b","


def _time(ms: float) -> str:
    """RFC 3339, UTC, with milliseconds."""
    text = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
