"""Accounts: making them, proving that one is theirs, and whose name is what."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from commerce.accounts.choosing import check_choice
from commerce.accounts.errors import (
    AccountLockedError,
    EmailTakenError,
    PasswordsBusyError,
    WrongCredentialsError,
)
from commerce.accounts.passwords import Passwords
from commerce.accounts.security import Event, note
from commerce.accounts.timing import hide
from storage.users import DuplicateEmailError, User, Users

NAMES_CACHE_MAX: Final = 20_000
NAMES_TTL_S: Final = 30.0


class Accounts:
    """Makes accounts, and checks passwords. One an instance; its only state is a cache of names.

    Input is taken as validated: what an address or a name may look like is the door's business.
    """

    def __init__(
        self,
        users: Users,
        passwords: Passwords,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._names = _NamesCache(NAMES_CACHE_MAX, NAMES_TTL_S, monotonic)

    async def register(
        self, email: str, password: str, name: str, guest: str | None = None
    ) -> User:
        """Make an account: of the `guest`, who stays the same user, if that still is one.

        Raises WeakPasswordError, EmailTakenError, and PasswordsBusyError before anything was done.
        A guest's sessions have ended then: tell `Sessions.ended_before`.
        """
        check_choice(password, email, name)
        if await self._users.find_by_email(email) is not None:
            raise EmailTakenError  # before the expensive hash; the insert below decides
        if guest is not None:
            hashed = await self._passwords.hash(password)
            try:
                user = await self._users.become_account(guest, email, name, hashed)
            except DuplicateEmailError:
                raise EmailTakenError from None
            if user is not None:
                note(Event.REGISTERED, user.id)
                return user
        user = await self._insert(email, password, name, "customer")
        note(Event.REGISTERED, user.id)
        return user

    async def login(self, email: str, password: str) -> User:
        """The account. Raises WrongCredentialsError, its kind AccountLockedError,
        PasswordsBusyError.

        An unknown address costs the same hashing as a known one.
        """
        started_s = time.perf_counter()
        try:
            return await self._log_in(email, password)
        except WrongCredentialsError:
            await hide(started_s)
            raise

    async def _log_in(self, email: str, password: str) -> User:
        record = await self._users.find_by_email(email)
        hashed = None if record is None else record.password_hash
        if not await self._passwords.verify(password, hashed) or record is None or hashed is None:
            note(Event.SIGN_IN_FAILED, None, user=None if record is None else record.user.id)
            raise WrongCredentialsError
        if record.user.disabled:
            note(Event.SIGN_IN_FAILED, None, user=record.user.id)
            raise AccountLockedError
        if self._passwords.is_cheaper(hashed):
            await self._renew_hash(record.user, password, hashed)
        return record.user

    async def find(self, user_id: str) -> User | None:
        """The account with this id, or None."""
        return await self._users.find(user_id)

    async def names(self, user_ids: Collection[str]) -> dict[str, str]:
        """Display names by id; ids of nobody are not in the answer. Up to 30 s old."""
        known, missing = self._names.get(user_ids)
        if missing:
            asked = self._names.forgotten
            found = await self._users.names(missing)
            if self._names.forgotten == asked:  # or it may be the name of before
                self._names.put(found)
            known.update(found)
        return known

    async def names_of_staying(self, user_ids: Collection[str]) -> dict[str, str]:
        """Display names of those who can be let in to a cart: as the store has it now.

        Not those of guests on their way into an account, nor of accounts being deleted.
        """
        # Sorted: the same question whatever a set's order is in this process.
        return await self._users.names_of_staying(sorted(user_ids))

    def forget(self, user: str) -> None:
        """The user may have got another name, or none."""
        self._names.forget(user)

    async def make_guest(self, name: str) -> User:
        """Somebody without an address, for whom nothing but a session speaks."""
        user = User(f"usr_{secrets.token_hex(12)}", None, name, guest=True)
        await self._users.insert(user, None)
        return user

    async def ensure(self, email: str, password: str, name: str, role: str | None = None) -> User:
        """The account with this address, made now if there is none, and with this role.

        An existing account keeps its name and password, and without `role` its role; a new one
        without `role` is a customer's. Whoever runs the service vouches for the address: it
        counts as confirmed.
        """
        try:
            user = await self._find_or_insert(email, password, name, role or "customer")
        except EmailTakenError:  # somebody was faster, and now it is there
            user = await self._find_or_insert(email, password, name, role or "customer")
        if role is not None and user.role != role:
            await self._users.set_role(user.id, role)
            user = replace(user, role=role)
        if not user.confirmed:
            await self._users.confirm(user.id)
            user = replace(user, confirmed=True)
        return user

    async def ensure_password(self, user: User, password: str) -> None:
        """Have this password open the account, whatever it was before."""
        try:
            await self.login(user.email or "", password)
        except WrongCredentialsError:
            await self._users.set_password_hash(user.id, await self._passwords.hash(password))

    def close(self) -> None:
        """Stop hashing."""
        self._passwords.close()

    async def _renew_hash(self, user: User, password: str, hashed: str) -> None:
        """Store a hash of today's cost, unless the password was changed meanwhile."""
        try:
            renewed = await self._passwords.hash(password)
        except PasswordsBusyError:
            return  # the next log-in does it
        if await self._users.set_password_hash(user.id, renewed, instead_of=hashed):
            note(Event.PASSWORD_REHASHED, user.id)

    async def _find_or_insert(self, email: str, password: str, name: str, role: str) -> User:
        record = await self._users.find_by_email(email)
        return record.user if record else await self._insert(email, password, name, role)

    async def _insert(self, email: str, password: str, name: str, role: str) -> User:
        user = User(f"usr_{secrets.token_hex(12)}", email, name, role)
        try:
            await self._users.insert(user, await self._passwords.hash(password))
        except DuplicateEmailError:
            raise EmailTakenError from None
        return user


class _NamesCache:
    """Names by user id, the least recently added forgotten first, each good for `ttl_s`.

    `forgotten` counts how often one was said to have changed.
    """

    def __init__(self, size_max: int, ttl_s: float, monotonic: Callable[[], float]) -> None:
        self._size_max = size_max
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._entries: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self.forgotten = 0

    def get(self, user_ids: Collection[str]) -> tuple[dict[str, str], list[str]]:
        """What is known and young, and the ids to ask for."""
        now = self._monotonic()
        known: dict[str, str] = {}
        missing: list[str] = []
        for user_id in set(user_ids):
            name, good_until = self._entries.get(user_id, ("", 0.0))
            if now < good_until:
                known[user_id] = name
            else:
                missing.append(user_id)
        missing.sort()  # the same question whatever a set's order is in this process
        return known, missing

    def forget(self, user_id: str) -> None:
        self.forgotten += 1
        self._entries.pop(user_id, None)

    def put(self, names: dict[str, str]) -> None:
        good_until = self._monotonic() + self._ttl_s
        for user_id, name in names.items():
            self._entries[user_id] = (name, good_until)
            self._entries.move_to_end(user_id)
        while len(self._entries) > self._size_max:
            self._entries.popitem(last=False)
