"""What rooms and sessions work with: the ports and the settings of one instance."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from commerce.accounts.principal import Principal
from commerce.catalog.product import ProductFacts
from commerce.invitations.service import Inviting
from realtime.limits import SLOW_READER_S, Limits
from realtime.metrics import RealtimeMetrics
from realtime.naming import NewNames
from realtime.ports import Bus, Clock
from realtime.reducer import Entry
from realtime.state import CartState
from realtime.tasks import Tasks
from storage.carts import Carts
from storage.committer import Committer
from storage.memberships import Memberships
from storage.oplog import Log
from storage.outbox import MARK_LIFE_S, MARK_RENEWED_AT, Outbox

if TYPE_CHECKING:
    from realtime.inboxes import InboxStores
    from realtime.pending import Peer
    from realtime.room import Room
    from realtime.snapshots import Snapshots


class FactSource(Protocol):
    """Where products are looked up. Skus without a product are not in the answers."""

    def cached(self, skus: Collection[str]) -> dict[str, ProductFacts] | None:
        """The facts, if all are at hand and young; None otherwise."""

    async def facts(self, skus: Collection[str]) -> dict[str, ProductFacts]: ...


class Access(Protocol):
    """The truth about sign-ins."""

    async def ended(self, principals: Iterable[Principal]) -> set[str]:
        """The sessions, of these, that don't count any more. Raises PyMongoError."""


class Directory(Protocol):
    """Where users' display names are looked up. Users who don't exist are not in the answer."""

    async def names(self, user_ids: Collection[str]) -> Mapping[str, str]: ...

    def forget(self, user: str) -> None:
        """Look the user up anew when next asked."""

    async def names_of_staying(self, user_ids: Collection[str]) -> Mapping[str, str]:
        """Of users who can be let in to a cart now. Not those who are about to be nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. See the settings and limits of the same names."""

    heartbeat_s: float = 25.0
    hello_timeout_s: float = 10.0
    commit_timeout_s: float = 5.0
    snapshot_every_s: float = 5.0
    room_idle_s: float = 30.0
    catch_up_every_s: float = 5.0
    slow_reader_s: float = SLOW_READER_S
    seen_every_s: float = 10.0
    mark_renew_s: float = MARK_LIFE_S * MARK_RENEWED_AT
    """A room whose mark in the outbox is older renews it before its next commit."""


@dataclass(slots=True, kw_only=True)
class Services:
    log: Log
    committer: Committer
    carts: Carts
    memberships: Memberships
    outbox: Outbox
    catalog: FactSource
    directory: Directory
    access: Access
    bus: Bus
    clock: Clock
    snapshots: Snapshots
    metrics: RealtimeMetrics
    limits: Limits
    timing: Timing
    currency: str = "EUR"
    """Of carts created without one."""
    tasks: Tasks = field(default_factory=Tasks)
    new_names: NewNames = field(default_factory=NewNames)
    inviting: Inviting | None = None
    """None: nobody can be invited here."""
    on_memberships: Callable[[list[Entry], CartState], None] = lambda entries, after: None
    """Hears of each commit of ours that changed memberships, once they are told."""
    inboxes: InboxStores | None = None
    """None: nobody is told here of what happened while they were away."""
    on_left: Callable[[Room, Peer], None] = lambda room, peer: None
    """Hears of each socket that had kept up with a room and listens to it no more."""
