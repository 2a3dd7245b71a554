"""The pool of members: accounts made in the store, each with a token to sign in with."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from commerce.accounts.passwords import Passwords
from commerce.accounts.sessions import Sessions
from storage.users import DuplicateEmailError, User, Users

MEMBERS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Member:
    """An account of the pool. `token` opens a socket for it."""

    user: str
    token: str


async def ensure_members(
    users: Users, sessions: Sessions, bcrypt_cost: int, count: int
) -> list[Member]:
    """The first `count` accounts of the pool, made where they are missing.

    They are the same for every replay on a store. Nobody knows their passwords.
    """
    passwords = Passwords(bcrypt_cost)
    try:
        password_hash = await passwords.hash(secrets.token_urlsafe(32))
    finally:
        passwords.close()
    members = []
    for number in range(count):
        user = await _ensure(users, number, password_hash)
        opened = await sessions.open(user, "token", "Replay")
        members.append(Member(user.id, opened.access_token or ""))
    return members


async def _ensure(users: Users, number: int, password_hash: str) -> User:
    # A top-level domain that never has an address (RFC 2606).
    email = f"replay-{number}@cartroom.invalid"
    record = await users.find_by_email(email)
    if record is not None:
        return record.user
    user = User(f"usr_{secrets.token_hex(12)}", email, f"Shopper {number + 1}")
    try:
        await users.insert(user, password_hash)
    except DuplicateEmailError:  # another replay was faster
        return await _ensure(users, number, password_hash)
    return user
