"""The sockets of one instance by who speaks through them, and what ends that.

A sign-in (a session of `commerce.accounts`) that ends on one instance is announced to all. Each
keeps what it heard lately: a socket may be in the middle of its `hello` then.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from commerce.accounts.principal import Principal
from realtime import wire
from realtime.errors import CartroomError

if TYPE_CHECKING:
    from realtime.hub import Hub
    from realtime.session import Session

ENDINGS_REMEMBERED: Final = 1_000
"""More within the time of one `hello` are left to the regular look at the store."""

log = logging.getLogger(__name__)


class Ending(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A session that has ended; or those of a user from before `epoch`, save the one `kept`."""

    session: str | None = None
    user: str | None = None
    epoch: int = 0
    kept: str | None = None

    def covers(self, principal: Principal) -> bool:
        if self.session is not None:
            return principal.session == self.session
        return (
            principal.user == self.user
            and principal.epoch < self.epoch
            and (self.kept is None or principal.session != self.kept)
        )


class Push(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A push for every socket of a user."""

    user: str
    message: dict[str, Any]


class Announcement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What instances tell each other of people. One of these, or what a later version adds."""

    ended: Ending | None = None
    push: Push | None = None
    renamed: str | None = None
    """A user."""


class SignIns:
    """Every socket that has said who it is, until it is gone and owes nothing more.

    The `News` of `commerce.accounts.sessions`.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._by_user: dict[str, dict[Session, None]] = {}
        self._by_session: dict[str, dict[Session, None]] = {}
        self._endings: OrderedDict[str, Ending] = OrderedDict()
        """What has ended lately, by its session or user."""

    def admit(self, session: Session, principal: Principal) -> None:
        """Note who speaks through a socket, from now on.

        Raises `unauthorized` when that has ended while it was looked up.
        """
        if session.revoked or self._has_ended(principal):
            raise CartroomError("unauthorized", "This session has ended; sign in again.")
        self.discard(session)
        session.principal = principal
        self._by_user.setdefault(principal.user, {})[session] = None
        self._by_session.setdefault(principal.session, {})[session] = None

    def _has_ended(self, principal: Principal) -> bool:
        lately = (self._endings.get(principal.session), self._endings.get(principal.user))
        return any(ending is not None and ending.covers(principal) for ending in lately)

    def discard(self, session: Session) -> None:
        principal = session.principal
        for index, key in (
            (self._by_user, principal.user),
            (self._by_session, principal.session),
        ):
            sessions = index.get(key)
            if sessions is not None:
                sessions.pop(session, None)
                if not sessions:
                    del index[key]

    # What happens to them. What another instance is to know, the bus tells it.

    def session_ended(self, session: str, user: str) -> None:
        """`user`'s session has been ended, and the store knows."""
        self._announce(Announcement(ended=Ending(session=session)))

    def user_ended(self, user: str, epoch: int, kept: str | None = None) -> None:
        """The user's sessions from before `epoch` have ended, but for the one `kept`."""
        self._announce(Announcement(ended=Ending(user=user, epoch=epoch, kept=kept)))

    def name_changed(self, user: str) -> None:
        """The user has another name, and the store knows."""
        self._announce(Announcement(renamed=user))

    def push_to_user(self, user: str, message: dict[str, Any]) -> None:
        self._announce(Announcement(push=Push(user, message)))

    def principals(self) -> list[Principal]:
        """Who speaks through our sockets, one of each sign-in."""
        return [next(iter(sessions)).principal for sessions in self._by_session.values()]

    def rename(self, user: str, name: str) -> None:
        """What the user's sockets make from now on is made under this name."""
        for session in self._by_user.get(user, ()):
            session.name = name

    def found_ended(self, sessions: Iterable[str]) -> None:
        """The store says that these have ended. The others find out for themselves."""
        for session in sessions:
            self._end(Ending(session=session))

    def _announce(self, announcement: Announcement) -> None:
        self._hub.services.bus.announce(msgspec.to_builtins(announcement))
        self._take(announcement)

    def on_announcement(self, payload: dict[str, Any]) -> None:
        """Raises msgspec.ValidationError for what isn't one."""
        self._take(msgspec.convert(payload, Announcement))

    def _take(self, announcement: Announcement) -> None:
        if announcement.ended is not None:
            self._end(announcement.ended)
        if announcement.push is not None:
            self._push(announcement.push)
        if announcement.renamed is not None:
            self._hub.name_changed(announcement.renamed)

    def _push(self, push: Push) -> None:
        sessions = self._by_user.get(push.user)
        if sessions:
            frame = wire.encode(push.message)
            for session in sessions:
                session.push(frame)

    def _end(self, ending: Ending) -> None:
        self._remember(ending)
        if ending.session is not None:
            sessions = self._by_session.get(ending.session, {})
        else:
            sessions = self._by_user.get(ending.user or "", {})
            # They may end because nothing is to be left of the user.
            self._hub.services.directory.forget(ending.user or "")
            self._hub.services.new_names.forget(ending.user or "")
        self.sign_out([session for session in sessions if ending.covers(session.principal)])

    def _remember(self, ending: Ending) -> None:
        key = ending.session or ending.user or ""
        earlier = self._endings.pop(key, ending)
        self._endings[key] = max(ending, earlier, key=lambda one: one.epoch)
        if len(self._endings) > ENDINGS_REMEMBERED:
            self._endings.popitem(last=False)

    def sign_out(self, sessions: list[Session]) -> None:
        """End these: what they have asked for and isn't in a commit yet is refused."""
        for session in sessions:
            session.revoked = True
        try:
            if any(session.under_way for session in sessions):
                self._hub.refuse_ended()
        finally:  # whatever became of that, nobody stays
            for session in sessions:
                session.sign_out()
