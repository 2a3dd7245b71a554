"""All indexes of the database, created at start."""

from __future__ import annotations

from typing import Final

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


async def create_indexes(database: Database) -> None:
    """Create what is missing. Repeating it, also at the same time elsewhere, changes nothing."""
    for index in INDEXES:
        collection = database.collection(index.collection)
        await collection.create_index(index.field, unique=index.unique)
