"""What shoppers buy, and what they do with it: random ops that make sense most of the time."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from commerce.catalog.product import Product
from tests.client import Account, Door, succeeded
from tests.mirror import Mirror
from tests.shopper import Act, Shopper

Message = dict[str, Any]

SCARCE = Product("SCARCE", "Scarce", 250, "EUR", 12)
PLENTY = [Product(f"PLENTY-{n}", f"Plenty {n}", 100 + n, "EUR", None) for n in range(5)]
LONG_NOTE = "\N{SHOPPING TROLLEY}" * 2_000
"""8 kB on the wire."""


async def shared_cart(door: Door, accounts: list[Account], owner: int) -> str:
    """A cart of one of them, which all others may edit, however soon the door loses patience."""
    others = [one for one in accounts if one is not accounts[owner]]
    op = {"kind": "share", "users": [{"user": one.user, "role": "editor"} for one in others]}
    async with door.connect(accounts[owner]) as client:
        cart: str = succeeded(await client.insist("cart.create"))["cart"]
        op_id = client.next_op_id()
        succeeded(await client.insist("cart.op", cart=cart, op_id=op_id, op=op))
        return cart


def some_op(shopper: Shopper, cart: str, rng: random.Random, accounts: list[Account]) -> Message:
    """An op on what the shopper sees."""
    mirror = shopper.carts[cart].mirror or Mirror()
    line = rng.choice([*mirror.lines, *mirror.saved, "lin_never"])
    sku = rng.choice([SCARCE, *PLENTY]).sku
    kinds: dict[str, Callable[[], Message]] = {
        "add": lambda: {"items": some_items(sku, rng), "partial": rng.random() < 0.5},
        "change_quantity": lambda: {"line": line, "by": rng.choice([-2, -1, 1, 2, 5])},
        "set_quantity": lambda: {"line": line, "qty": rng.randint(1, 9)},
        "remove": lambda: {"line": line},
        "rename": lambda: {"name": f"Name {rng.random()}"},
        "note": lambda: {"line": line, "text": f"{rng.random()}"},
        "save_for_later": lambda: {"line": line},
        "move_to_cart": lambda: {"line": line},
        "clear": dict,
        "share": lambda: some_grant(rng, accounts),
        "unshare": lambda: {"user": rng.choice(accounts).user},
    }
    weights = [40, 15, 8, 8, 8, 6, 6, 6, 1, 5, 2]
    (kind,) = rng.choices(list(kinds), weights)
    return {"kind": kind, **kinds[kind]()}


def some_items(sku: str, rng: random.Random) -> list[Message]:
    items = [{"sku": sku, "qty": rng.randint(1, 3)}]
    if rng.random() < 0.3:
        items.append({"sku": rng.choice(PLENTY).sku, "qty": 1})
    return items


def some_grant(rng: random.Random, accounts: list[Account]) -> Message:
    role = rng.choice(["editor", "editor", "viewer"])
    return {"users": [{"user": rng.choice(accounts).user, "role": role}]}


def conduct(rng: random.Random, accounts: list[Account], shoppers: list[Shopper]) -> Act:
    """What a shopper does at each step: mostly ops, at times one again, at times a cut."""

    async def act(shopper: Shopper) -> None:
        draw = rng.random()
        if draw < 0.6:
            cart = rng.choice(list(shopper.carts))
            await shopper.start_op(cart, some_op(shopper, cart, rng, accounts))
        elif draw < 0.68:
            author = rng.choice([one for one in shoppers if one.account is shopper.account])
            await shopper.copy(author, answered=author is not shopper or rng.random() < 0.5)
        elif draw < 0.695:
            shopper.drop()
        elif draw < 0.7:
            shopper.reopen()

    return act
