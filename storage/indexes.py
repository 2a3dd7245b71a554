"""All indexes of the database, created at start."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from pymongo.errors import AutoReconnect

from storage import (
    audiences,
    cart_settings,
    carts,
    deletions,
    followers,
    invitations,
    links,
    mail_due,
    memberships,
    merges,
    notifications,
    oplog,
    outbox,
    products,
    seen,
    sessions,
    users,
    web_sessions,
    webhook_deliveries,
    webhook_endpoints,
)
from storage.mongo import Database, Index

INDEXES: Final[tuple[Index, ...]] = (
    *users.INDEXES,
    *invitations.INDEXES,
    *sessions.INDEXES,
    *web_sessions.INDEXES,
    *links.INDEXES,
    *deletions.INDEXES,
    *mail_due.INDEXES,
    *oplog.INDEXES,
    *carts.INDEXES,
    *memberships.INDEXES,
    *merges.INDEXES,
    *followers.INDEXES,
    *outbox.INDEXES,
    *products.INDEXES,
    *webhook_endpoints.INDEXES,
    *webhook_deliveries.INDEXES,
    *audiences.INDEXES,
    *cart_settings.INDEXES,
    *notifications.INDEXES,
    *seen.INDEXES,
)


BUILD_S: Final = 300.0
"""How long one index may take to make, which is far longer than an operation may."""

PAUSE_S: Final = 0.2

log = logging.getLogger(__name__)


async def create_indexes(database: Database) -> None:
    """Create what is missing. Repeating it, also at the same time elsewhere, changes nothing."""
    for index in INDEXES:
        await _create(database, index)


async def _create(database: Database, index: Index) -> None:
    """Ask for it until it is there: the store goes on making it when we no longer wait."""
    collection = database.collection(index.collection)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + BUILD_S
    while True:
        try:
            await collection.create_index(index.field, unique=index.unique)
            return
        except AutoReconnect as error:
            if loop.time() > deadline:
                raise
            log.info("An index of %s isn't there yet: %s", index.collection, type(error).__name__)
        await asyncio.sleep(PAUSE_S)
