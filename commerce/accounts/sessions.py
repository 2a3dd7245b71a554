"""Sign-ins: opened on a device, renewed, listed, ended.

What counts is in the store and is read each time, so that what was ended on one instance is ended
on all. `news` tells open sockets of it at once; it may be lost, and then they find out by asking.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from commerce.accounts.errors import InvalidSessionError, InvalidTokenError, ReusedTokenError
from commerce.accounts.principal import Principal, SessionKind
from commerce.accounts.security import Event, note
from commerce.accounts.tokens import Tokens
from storage.sessions import SessionRecord, SessionRecords
from storage.users import User, Users

SESSIONS_PER_USER_MAX: Final = 50
"""Devices signed in at once; the one used longest ago makes room."""
REUSE_GRACE_S: Final = 30.0
"""A refresh token that was just used gives the same answer again: the first may have got lost."""
TOUCH_EVERY_S: Final = 600.0
REFRESH_CHARS_MAX: Final = 200
DEVICE_CHARS_MAX: Final = 100
SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Opened:
    """A sign-in as its device gets it. A cookie's has neither token."""

    user: User
    session: str
    expires_at: float
    """Until when it can be used without being renewed, in seconds since the epoch."""
    access_token: str | None = None
    refresh_token: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A sign-in, to its user. Times in seconds since the epoch."""

    id: str
    device: str
    kind: str
    created_at: float
    used_at: float


class News(Protocol):
    """Hears at once of what was ended. Never blocks, never fails."""

    def session_ended(self, session: str, user: str) -> None: ...

    def user_ended(self, user: str, epoch: int, kept: str | None) -> None:
        """All sessions of the user from before `epoch`, but for the one `kept`."""

    def name_changed(self, user: str) -> None:
        """The user has another name."""


class _Nobody:
    def session_ended(self, session: str, user: str) -> None:
        pass

    def user_ended(self, user: str, epoch: int, kept: str | None) -> None:
        pass

    def name_changed(self, user: str) -> None:
        pass


class Sessions:
    """The sign-ins of one service. `idle_s`: unused for so long it ends; `max_s`: at the latest."""

    def __init__(
        self,
        users: Users,
        records: SessionRecords,
        tokens: Tokens,
        *,
        idle_s: float,
        max_s: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._users = users
        self._records = records
        self._tokens = tokens
        self._idle_ms = int(idle_s * 1000)
        self._max_ms = int(max_s * 1000)
        self._now = now
        self.news: News = _Nobody()
        self.on_reuse: Callable[[User, str], None] = lambda user, device: None
        """Told of a refresh token of this device that was used twice."""

    @property
    def token_ttl_s(self) -> int:
        """Life of an access token, in seconds."""
        return self._tokens.ttl_s

    async def open(self, user: User, kind: SessionKind, device: str) -> Opened:
        """Sign `user` in on a device. They have proved who they are."""
        now_ms = self._now_ms()
        session = f"ses_{secrets.token_hex(12)}"
        record = SessionRecord(
            id=session,
            user=user.id,
            epoch=user.epoch,
            kind=kind,
            device=device[:DEVICE_CHARS_MAX],
            created_at=now_ms,
            used_at=now_ms,
            expires_at=now_ms + min(self._idle_ms, self._max_ms),
            salt=secrets.token_hex(SALT_BYTES),
        )
        await self._records.insert(record)
        await self._make_room(record)
        note(Event.SIGNED_IN, user.id, session=session, kind=kind)
        return self._opened(user, record)

    async def refresh(self, token: str) -> Opened:
        """New tokens for a refresh token, which is used up by that.

        Raises InvalidTokenError, InvalidSessionError, and ReusedTokenError, after which the
        session is ended: of two who hold the same token one has stolen it.
        """
        session, generation, mac = _parts(token)
        record = await self._records.find(session)
        if record is None or record.kind != "token":
            raise InvalidTokenError
        if not self._tokens.is_refresh(mac, session, record.salt, generation):
            raise InvalidTokenError  # made up by who knows the session's id; nothing is ended
        user = await self._users.find(record.user)
        if user is None or not self._is_alive(record, user):
            raise InvalidSessionError
        if generation == record.generation:
            expires_at = self._expiry(record)
            if await self._records.rotate(session, generation, self._now_ms(), expires_at):
                return self._opened(
                    user, replace(record, generation=generation + 1, expires_at=expires_at)
                )
            # Somebody was faster: with the same token, or by ending the session.
            record = await self._records.find(session)
            if record is None or not self._is_alive(record, user):
                raise InvalidSessionError
        age_ms = self._now_ms() - record.rotated_at
        if generation == record.generation - 1 and age_ms <= REUSE_GRACE_S * 1000:
            return self._opened(user, record)
        note(Event.REFRESH_TOKEN_REUSED, None, user=user.id, session=session)
        await self._end(record)
        self.on_reuse(user, record.device)
        raise ReusedTokenError

    async def identify_token(self, token: str) -> Principal:
        """Who bears this access token. Raises InvalidTokenError and its kinds."""
        claims = self._tokens.read(token)
        principal = await self.identify(claims.session, "token", claims.user)
        return replace(principal, expires_at=min(claims.expires_at, principal.expires_at))

    async def identify(
        self, session: str, kind: SessionKind, of_user: str | None = None
    ) -> Principal:
        """Who is signed in by this session. Raises InvalidSessionError.

        `of_user` is who it is said to be: session and user are then read at the same time.
        """
        asked = None if of_user is None else self._users.asking(of_user)
        record = await self._records.find(session)
        if record is None or record.kind != kind or of_user not in (None, record.user):
            raise InvalidSessionError
        user = await (self._users.find(record.user) if asked is None else asked())
        if user is None:
            raise InvalidSessionError
        if not self._is_alive(record, user):
            raise InvalidSessionError
        if kind == "cookie" and self._now_ms() - record.used_at > TOUCH_EVERY_S * 1000:
            await self._records.touch(record.id, self._now_ms(), self._expiry(record))
        return Principal(
            user=user.id,
            name=user.name,
            session=record.id,
            epoch=record.epoch,
            role=user.role,
            guest=user.guest,
            confirmed=user.confirmed,
            kind=kind,
            expires_at=record.expires_at / 1000,
        )

    async def ended(self, principals: Iterable[Principal]) -> set[str]:
        """The sessions, of these, that don't count any more."""
        asked = {one.session: one.user for one in principals}
        records = {one.id: one for one in await self._records.find_many(list(asked))}
        users = {one.id: one for one in await self._users.find_many(set(asked.values()))}
        ended: set[str] = set()
        for session, user_id in asked.items():
            record, user = records.get(session), users.get(user_id)
            if record is None or user is None or not self._is_alive(record, user):
                ended.add(session)
        return ended

    async def devices(self, user_id: str) -> list[Device]:
        """Where the user is signed in, the one used last first."""
        user = await self._users.find(user_id)
        if user is None:
            return []
        return [
            Device(one.id, one.device, one.kind, one.created_at / 1000, one.used_at / 1000)
            for one in await self._records.of_user(user_id)
            if self._is_alive(one, user)
        ]

    async def end(self, user_id: str, session: str) -> bool:
        """Sign the user out on one device. False when they aren't signed in there."""
        record = await self._records.find(session)
        user = await self._users.find(user_id)
        if record is None or user is None or record.user != user_id:
            return False
        alive = self._is_alive(record, user)
        await self._end(record)
        return alive

    async def end_all(self, user_id: str, keep: str | None = None) -> None:
        """Sign the user out everywhere, but for the session `keep`."""
        await self._users.raise_epoch(user_id, keep)
        await self.tell_of_epoch(user_id)

    async def tell_of_epoch(self, user_id: str) -> None:
        """Have everybody know of sessions that the user's epoch has ended."""
        user = await self._users.find(user_id)
        if user is not None:
            note(Event.SIGNED_OUT_EVERYWHERE, user_id, kept=user.kept)
            self.news.user_ended(user_id, user.epoch, user.kept)

    def ended_before(self, user_id: str, epoch: int) -> None:
        """Tell open sockets of what a change of the user has ended."""
        self.news.user_ended(user_id, epoch, None)

    def renamed(self, user_id: str) -> None:
        """Tell open carts that a user has another name now."""
        self.news.name_changed(user_id)

    async def _end(self, record: SessionRecord) -> None:
        await self._records.end(record.id, record.user, self._now_ms())
        note(Event.SIGNED_OUT, record.user, session=record.id)
        self.news.session_ended(record.id, record.user)

    async def _make_room(self, newest: SessionRecord) -> None:
        """End those that are too many, once the newest is stored: two at once see each other."""
        records = await self._records.of_user(newest.user)
        now_ms = self._now_ms()
        gone = [one for one in records if one.ended_at is not None or one.expires_at <= now_ms]
        others = [one for one in records if one not in gone and one.id != newest.id]
        for one in others[SESSIONS_PER_USER_MAX - 1 :]:
            await self._end(one)
        for one in gone:
            await self._records.delete(one.id)

    def _opened(self, user: User, record: SessionRecord) -> Opened:
        expires_at = record.expires_at / 1000
        if record.kind != "token":
            return Opened(user, record.id, expires_at)
        return Opened(
            user=user,
            session=record.id,
            expires_at=expires_at,
            access_token=self._tokens.issue(user.id, record.id),
            refresh_token=self._tokens.issue_refresh(record.id, record.salt, record.generation),
        )

    def _is_alive(self, record: SessionRecord, user: User) -> bool:
        return (
            record.ended_at is None
            and record.expires_at > self._now_ms()
            and (record.epoch == user.epoch or record.id == user.kept)
            and not user.disabled
            and not user.going
        )

    def _expiry(self, record: SessionRecord) -> int:
        return min(self._now_ms() + self._idle_ms, record.created_at + self._max_ms)

    def _now_ms(self) -> int:
        return int(self._now() * 1000)


def _parts(token: str) -> tuple[str, int, str]:
    """A refresh token's session, generation and proof. Raises InvalidTokenError."""
    if len(token) > REFRESH_CHARS_MAX or not token.isascii():
        raise InvalidTokenError
    session, _, rest = token.partition(".")
    generation, _, mac = rest.partition(".")
    if not session or not generation.isdigit() or not mac:
        raise InvalidTokenError
    return session, int(generation), mac
