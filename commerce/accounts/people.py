"""What administrators and support do about other people's accounts.

Whether they may at all is the policy's to say; each act is noted as a security event.
"""

from __future__ import annotations

from commerce.accounts import policy, security
from commerce.accounts.errors import GuestRoleError, LastAdminError, NoSuchUserError
from commerce.accounts.policy import Action
from commerce.accounts.principal import Principal
from commerce.accounts.security import Event
from commerce.accounts.sessions import Sessions
from storage.users import User, Users


class People:
    """Other people's accounts. What the driver raises when the store is away passes through."""

    def __init__(self, users: Users, sessions: Sessions) -> None:
        self._users = users
        self._sessions = sessions

    async def find(self, by: Principal, user_id: str) -> User:
        """The account with this id. Raises NoSuchUserError."""
        user = await self._users.find(user_id)
        if user is None:
            raise NoSuchUserError
        security.note(Event.PERSON_LOOKED_UP, by.user, user=user.id)
        return user

    async def find_by_email(self, by: Principal, email: str) -> User | None:
        """The account with this address, in any spelling of it, or None."""
        record = await self._users.find_by_email(email)
        if record is None:
            return None
        security.note(Event.PERSON_LOOKED_UP, by.user, user=record.user.id)
        return record.user

    async def change(
        self, by: Principal, user_id: str, *, role: str | None = None, disabled: bool | None = None
    ) -> User:
        """Give the account another role, lock it or unlock it; the account as it is then.

        A new role and a lock end the account's sessions, at once and everywhere. What is so
        already changes nothing. Raises NoSuchUserError, NotAllowedError for one's own account,
        GuestRoleError and LastAdminError.
        """
        user = await self._users.find(user_id)
        if user is None:
            raise NoSuchUserError
        policy.check_on(Action.MANAGE_USERS, by, user.id, user.role)
        events: list[tuple[Event, dict[str, str]]] = []
        changes: dict[str, str | bool] = {}
        if role is not None and role != user.role:
            if user.guest:
                raise GuestRoleError
            changes["role"] = role
            events.append((Event.ROLE_CHANGED, {"old": user.role, "new": role}))
        if disabled is not None and disabled != user.disabled:
            changes["disabled"] = disabled
            event = Event.ACCOUNT_DISABLED if disabled else Event.ACCOUNT_ENABLED
            events.append((event, {}))
        if not changes:
            return user
        ends = "role" in changes or disabled is True
        await self._users.change(user.id, changes, end_sessions=ends)
        if user.role == policy.ADMIN and not await self._is_admin(by.user):
            # Two take it from each other at once: neither may, or nobody would be left.
            before = {"role": user.role, "disabled": user.disabled}
            await self._users.change(user.id, {name: before[name] for name in changes})
            raise LastAdminError
        if ends:
            await self._sessions.end_all(user.id)
        for event, details in events:
            security.note(event, by.user, user=user.id, **details)
        return await self._users.find(user.id) or user

    async def sign_out(self, by: Principal, user_id: str) -> None:
        """End all of the account's sessions. Raises NoSuchUserError, NotAllowedError."""
        user = await self._users.find(user_id)
        if user is None:
            raise NoSuchUserError
        policy.check_on(Action.END_SESSIONS, by, user.id, user.role)
        await self._sessions.end_all(user.id)
        security.note(Event.SIGNED_OUT_BY_STAFF, by.user, user=user.id)

    async def _is_admin(self, user_id: str) -> bool:
        user = await self._users.find(user_id)
        return user is not None and user.role == policy.ADMIN and not user.disabled
