"""What the notifier tells others of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from storage.notifications import Inbox, Notification

Names = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""Display names by id. Who is nobody any more is not in the answer."""


class Pushes(Protocol):
    """Tells a user's sockets what has become of the inbox. They may miss it."""

    async def raised(self, inbox: Inbox, one: Notification) -> None:
        """One has come, or has more to tell. Raises PyMongoError."""

    def moved(self, inbox: Inbox) -> None:
        """It is another than before: ask for it."""


class OnNotified(Protocol):
    """Hears of each notification that is unread, once that is stored."""

    async def note(self, user: str, notification: str, at_ms: int, kind: str) -> None:
        """From `at_ms` on the user may be told of it in other ways.

        It may be called again for the same one, as long as that is unread. Raises PyMongoError:
        then it is called again.
        """


class NobodyElse:
    """An `OnNotified` without other ways."""

    async def note(self, user: str, notification: str, at_ms: int, kind: str) -> None:
        pass
