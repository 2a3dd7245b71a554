"""After a commit about membership: those who were let in learn it, live and by mail.

The instance that made the commit tells them, at most once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from pymongo.errors import PyMongoError

from commerce.invitations.notices import LetIn, Notices
from commerce.invitations.service import Inviting
from realtime.reducer import Entry
from realtime.state import CartState
from realtime.wire import FORMER_MEMBER

if TYPE_CHECKING:
    from realtime.hub import Hub

SWEEP_EVERY_S: Final = 3_600.0

log = logging.getLogger(__name__)


def let_in(entries: Iterable[Entry], after: CartState) -> Iterator[tuple[str, str]]:
    """Whom these entries have let in by sharing, as (user, by whom); `after` is what they led to.

    Not those who were in already, nor those who are out again.
    """
    for entry in entries:
        if entry.op["kind"] != "share":
            continue
        for grant in entry.op["users"]:
            member = after.members.get(grant["user"])
            if member is not None and member.since == entry.rev:
                yield member.user, entry.by


class Newcomers:
    """Hears of the commits of this instance's rooms that changed memberships."""

    def __init__(self, hub: Hub, inviting: Inviting, notices: Notices) -> None:
        self._hub = hub
        self._inviting = inviting
        self._notices = notices

    def committed(self, entries: list[Entry], after: CartState) -> None:
        """A commit is durable, and the cart's members know. Returns at once."""
        tasks = self._hub.services.tasks
        if after.status == "deleted":
            tasks.start(self._forget(after.cart), f"end invitations to {after.cart}")
            return
        pairs = list(let_in(entries, after))
        if pairs:
            tasks.start(self._tell(pairs, after), f"tell newcomers of {after.cart}")

    async def sweep_regularly(self) -> None:
        """Remove invitations that have ended, and with them the addresses; as long as we serve."""
        while True:
            await self._hub.services.clock.sleep(SWEEP_EVERY_S)
            try:
                await self._inviting.sweep()
            except PyMongoError as error:
                log.warning("Invitations were not swept: %s", type(error).__name__)
            except Exception:
                log.exception("Sweeping invitations failed")

    async def _forget(self, cart: str) -> None:
        try:
            await self._inviting.forget_cart(cart)
        except PyMongoError as error:
            # Nobody can accept them any more, and they end by themselves.
            self._log_failure("Invitations were not ended", cart, error)

    async def _tell(self, pairs: list[tuple[str, str]], state: CartState) -> None:
        try:
            directory = self._hub.services.directory
            names = await directory.names({by for _, by in pairs})
            news = [
                LetIn(
                    user=user,
                    cart=state.cart,
                    cart_name=state.name,
                    role=state.members[user].role,
                    by=by,
                    by_name=names.get(by, FORMER_MEMBER),
                )
                for user, by in pairs
            ]
            for one in news:
                self._push(one)
            for one in news:
                await self._notices.tell(one)
        except PyMongoError as error:
            self._log_failure("Newcomers were not told", state.cart, error)

    def _push(self, news: LetIn) -> None:
        message = {
            "type": "notification",
            "kind": "cart.shared",
            "cart": news.cart,
            "name": news.cart_name,
            "role": news.role,
            "by": {"user": news.by, "name": news.by_name},
        }
        self._hub.push_to_user(news.user, message)

    def _log_failure(self, what: str, cart: str, error: PyMongoError) -> None:
        log.warning("%s: %s", what, type(error).__name__, extra={"cart": cart})
