"""Demo data: products, two accounts, a cart that they share. Loading it again changes nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from commerce import catalog
from commerce.accounts.service import Accounts
from commerce.catalog.importing import import_products
from commerce.catalog.jsonl import read_jsonl
from commerce.catalog.lines import Lines
from commerce.catalog.product import Product
from commerce.catalog.rows import Accepted
from handlers import keys
from realtime import ops
from realtime.acting import perform
from realtime.commands import cart_id
from realtime.errors import CartroomError
from realtime.hub import Hub
from server.errors import UnusableError
from server.keys import SETTINGS
from storage.products import Products
from storage.users import User

SAMPLE: Final = Path(catalog.__path__[0]) / "data" / "sample.jsonl"
CART_NAME: Final = "Weekend by the sea"
LINES: Final = 3
PIECES: Final = 2
NOTE: Final = "One of them for me, please"
FIRST_LINE: Final = "lin_2_0"
"""Of those that the second deed makes."""
CARTS_MAX: Final = 50

# The demo's carts are found again by what created them: the op_ids of these clients.
_CLIENTS: Final = uuid.UUID("6f1c2f0e-8a39-4d0a-9a5e-7c1d3b2e4f60")
_OWNER: Final = ("ada@cartroom.example", "Ada")
_GUEST: Final = ("ben@cartroom.example", "Ben")


@dataclass(frozen=True, slots=True)
class Demo:
    """What was loaded: the accounts as (address, password), and the cart's id."""

    accounts: tuple[tuple[str, str], ...]
    cart: str

    def text(self, address: str) -> str:
        """What to tell the person at the terminal; `address` is the service's."""
        accounts = "\n".join(f"  {email}   password: {word}" for email, word in self.accounts)
        return (
            f"Two accounts are ready:\n{accounts}\n"
            f"They share the cart “{CART_NAME}”: {address}#/cart/{self.cart}\n"
            "Sign in as one of them in this browser, and as the other in a private window: an"
            " ordinary\nsecond window is signed in as the first."
        )


async def load(app: web.Application) -> Demo:
    """Load the demo data through the services of a started application.

    Raises UnusableError with the reason when that can't be done.
    """
    products = list(sample())
    stored = Products(app[keys.DATABASE])
    found = await stored.find([one.sku for one in products])
    # What was imported before may have been changed since, its stock above all.
    await import_products(stored, (one for one in products if one.sku not in found))
    secret = app[SETTINGS].jwt_secret or ""
    accounts = app[keys.ACCOUNTS]
    owner, owner_password = await _account(accounts, secret, *_OWNER)
    guest, guest_password = await _account(accounts, secret, *_GUEST)
    try:
        cart = await _shared_cart(app[keys.HUB], owner, guest, products)
    except CartroomError as error:
        raise UnusableError(f"The demo cart can't be made: {error}") from error
    return Demo(((_OWNER[0], owner_password), (_GUEST[0], guest_password)), cart)


def sample() -> Iterator[Product]:
    """The products that ship with the project."""
    with SAMPLE.open("rb") as file:
        for row in read_jsonl(Lines(file)):
            if isinstance(row, Accepted):
                yield row.product


async def _account(accounts: Accounts, secret: str, email: str, name: str) -> tuple[User, str]:
    """The account and its password, which is this installation's own and always the same."""
    digest = hmac.digest(secret.encode(), f"demo account {email}".encode(), hashlib.sha256)
    letters = base64.b32encode(digest).decode().lower()
    password = "-".join(letters[start : start + 4] for start in (0, 4, 8))
    user = await accounts.ensure(email, password, name)
    await accounts.ensure_password(user, password)
    return user, password


async def _shared_cart(hub: Hub, owner: User, guest: User, products: list[Product]) -> str:
    """The first of the demo's carts that the two still share, made if there is none."""
    for number in range(1, CARTS_MAX + 1):
        client = str(uuid.uuid5(_CLIENTS, f"{owner.id} {number}"))
        cart = cart_id(owner.id, f"{client}:1", "")
        await _do(hub, cart, client, owner, _deeds(guest, products))
        if guest.id in await _members(hub, cart):
            # So that both of them have been told of something that the other did.
            client = str(uuid.uuid5(_CLIENTS, f"{guest.id} {number}"))
            await _do(hub, cart, client, guest, (ops.Note(NOTE, line=FIRST_LINE),))
            return cart
    raise UnusableError(f"The {CARTS_MAX} carts of earlier demos are all gone or unshared.")


def _deeds(guest: User, products: list[Product]) -> tuple[ops.Op, ...]:
    """What makes, fills and shares a demo cart."""
    currency = products[0].currency
    skus = list(_various(products, currency).values())[:LINES]
    return (
        ops.Create(CART_NAME, currency),
        ops.Add(tuple(ops.Item(sku, PIECES) for sku in skus), partial=True),
        ops.Share((ops.Grant(guest.id, "editor"),)),
    )


async def _do(hub: Hub, cart: str, client: str, user: User, deeds: tuple[ops.Op, ...]) -> None:
    """Do all that to a demo cart, for a user; what was done before has no effect again."""
    for n, op in enumerate(deeds, start=1):
        try:
            await perform(
                hub,
                cart,
                user=user.id,
                op_id=f"{client}:{n}",
                op=op,
                names={user.id: user.name},
            )
        except CartroomError as error:
            # An earlier version's sample was another; its cart stays as people left it. Another
            # may have been deleted or paid since.
            if error.code not in ("conflict", "not_found", "cart_closed"):
                raise


async def _members(hub: Hub, cart: str) -> set[str]:
    """Who is in the cart: nobody, when it was deleted."""
    room = await hub.acquire(cart)
    try:
        await hub.ensure_fresh(room)
        return set(room.committed.members)
    finally:
        hub.release(cart)


def _various(products: list[Product], currency: str) -> dict[str, str]:
    """One sku that is in stock of each product, by the product's handle."""
    various: dict[str, str] = {}
    for one in products:
        in_stock = one.available is None or one.available >= PIECES
        if one.currency == currency and in_stock:
            various.setdefault(one.handle, one.sku)
    return various
