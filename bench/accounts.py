"""Who shops, and what there is to buy, put into a store in bulk before a run.

Tokens are signed with the instances' own secret, so that ten thousand accounts need no ten
thousand password hashes; the door checks them as any other.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.fleet import Account
from commerce.accounts.passwords import Passwords
from commerce.accounts.tokens import Tokens
from commerce.catalog.importing import import_products
from commerce.catalog.product import Product
from storage import users as stored_users
from storage.mongo import Database
from storage.products import Products
from storage.sessions import SessionRecord, SessionRecords
from storage.users import email_key

TTL_S = 86_400
PASSWORD = "bench pass phrase"
BATCH = 1_000
SKUS_IN_OPS = 20
"""Products that the load's ops choose from: carts of up to that many lines a member."""


@dataclass
class Population:
    """Accounts, handed out once each, and skus without tracked stock, priced in EUR."""

    secret: str
    skus: list[str]
    accounts: list[Account]
    bcrypt_cost: int
    _taken: int = 0

    @classmethod
    async def settle(
        cls, database: Database, *, users: int, products: int, bcrypt_cost: int
    ) -> Population:
        secret = secrets.token_hex(32)
        skus = [f"BENCH-{number:04d}" for number in range(max(products, SKUS_IN_OPS))]
        await import_products(
            Products(database),
            [Product(sku, f"Product {sku[6:]} of the bench", 1_250, "EUR", None) for sku in skus],
        )
        ids = [f"usr_{secrets.token_hex(12)}" for _ in range(users)]
        sessions = {user: f"ses_{user.removeprefix('usr_')}" for user in ids}
        hashed = await _hashed(bcrypt_cost)
        records = SessionRecords(database)
        collection = database.collection(stored_users.COLLECTION)
        for first in range(0, users, BATCH):
            part = ids[first : first + BATCH]
            await collection.insert_many([_document(user, hashed) for user in part])
            await records.insert_many([_session(user, sessions[user]) for user in part])
        tokens = Tokens(secret, TTL_S)
        accounts = [Account(user, tokens.issue(user, sessions[user])) for user in ids]
        return cls(secret, skus, accounts, bcrypt_cost)

    def take(self, count: int) -> list[Account]:
        """Accounts that nobody has taken before."""
        taken = self.accounts[self._taken : self._taken + count]
        if len(taken) < count:
            raise LookupError(f"only {len(self.accounts)} accounts were settled")
        self._taken += count
        return taken


def email_of(user: str) -> str:
    return f"{user}@bench.example"


async def _hashed(bcrypt_cost: int) -> str:
    """The one password's hash: all have the same, as hashing costs more than all else."""
    passwords = Passwords(bcrypt_cost)
    try:
        return await passwords.hash(PASSWORD)
    finally:
        passwords.close()


def _document(user: str, password_hash: str) -> dict[str, object]:
    email = email_of(user)
    return {
        "_id": user,
        "email": email,
        "email_key": email_key(email),
        "name": f"Shopper {user[-4:]}",
        "role": "customer",
        "password_hash": password_hash,
        "created_at": datetime.now(UTC),
        "v": stored_users.FORMAT_VERSION,
    }


def _session(user: str, session: str) -> SessionRecord:
    now_ms = int(time.time() * 1000)
    return SessionRecord(
        id=session,
        user=user,
        epoch=0,
        kind="token",
        device="Bench",
        created_at=now_ms,
        used_at=now_ms,
        expires_at=now_ms + TTL_S * 1000,
    )
