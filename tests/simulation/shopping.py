"""Shoppers in the simulation, and what they do."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from commerce.catalog.product import Product
from tests.client import Account, Message
from tests.history import History
from tests.mirror import Mirror
from tests.shopper import Act, Shopper
from tests.simulation.network import SimSocket

Open = Callable[[str, str], Awaitable[SimSocket]]

SCARCE: Final = Product("SCARCE", "Scarce", 250, "EUR", 12)
PLENTY: Final = [Product(f"PLENTY-{n}", f"Plenty {n}", 100 + n, "EUR", None) for n in range(3)]
PATIENCE_S: Final = 3.0
PING_S: Final = 1.5


class SimShopper(Shopper):
    """A shopper whose sockets are simulated, who pings, and gives up a connection that is dead."""

    reply_s = PATIENCE_S
    settle_s = 60.0

    def __init__(
        self,
        account: Account,
        urls: list[str],
        carts: list[str],
        rng: random.Random,
        history: History,
        open_socket: Open,
    ) -> None:
        super().__init__(account, urls, carts, rng, history)
        self.client = str(uuid.UUID(int=rng.getrandbits(128)))
        self.pace_s = rng.choice([0.05, 0.1, 0.4])
        self._open_socket = open_socket
        self._heard_s = 0.0
        self._pinged_s = 0.0
        self._slow: SimSocket | None = None

    async def _open(self, url: str) -> Any:
        self._slow = socket = await self._open_socket(self.name, url)
        self._heard_s = self._pinged_s = _now()
        return socket

    @property
    def name(self) -> str:
        return self.client[:6]

    def _take(self, message: Message) -> None:
        self._heard_s = _now()
        super()._take(message)

    async def _step(self, act: Act) -> None:
        now_s = _now()
        if self._socket is not None and now_s - max(self._heard_s, self._pinged_s) > PING_S:
            self._pinged_s = now_s
            await self._ask("ping", "", {"type": "ping"})
        await super()._step(act)

    def _lose_patience(self) -> None:
        if _now() - self._heard_s > PATIENCE_S:
            self.counts["patience lost"] += 1
            raise ConnectionError("silence")

    def _may_be_behind(self) -> bool:
        return self._slow is not None and self._slow.reads_slowly


def _now() -> float:
    return asyncio.get_running_loop().time()


def conduct(rng: random.Random, accounts: list[Account]) -> Act:
    """What a shopper does at each step."""

    async def act(shopper: Shopper) -> None:
        draw = rng.random()
        if draw < 0.6:
            cart = rng.choice(list(shopper.carts))
            await shopper.start_op(cart, _some_op(shopper, cart, rng, accounts))
        elif draw < 0.7:
            await shopper.copy(shopper, answered=True)
        elif draw < 0.72:
            shopper.drop()

    return act


def _some_op(shopper: Shopper, cart: str, rng: random.Random, accounts: list[Account]) -> Message:
    """An op that makes sense on what the shopper sees, most of the time."""
    mirror = shopper.carts[cart].mirror or Mirror()
    line = rng.choice([*mirror.lines, *mirror.saved, "lin_never"])
    member = rng.choice(accounts).user
    role = rng.choice(["editor", "editor", "viewer"])
    kinds: dict[str, Callable[[], Message]] = {
        "add": lambda: {"items": _some_items(rng), "partial": rng.random() < 0.5},
        "change_quantity": lambda: {"line": line, "by": rng.choice([-2, -1, 1, 2, 5])},
        "set_quantity": lambda: {"line": line, "qty": rng.randint(1, 9)},
        "remove": lambda: {"line": line},
        "rename": lambda: {"name": f"Name {rng.randrange(1000)}"},
        "note": lambda: {"line": line, "text": f"{rng.randrange(1000)}"},
        "save_for_later": lambda: {"line": line},
        "move_to_cart": lambda: {"line": line},
        "clear": dict,
        "share": lambda: {"users": [{"user": member, "role": role}]},
        "unshare": lambda: {"user": member},
    }
    weights = [40, 15, 8, 8, 8, 6, 6, 6, 1, 8, 4]
    (kind,) = rng.choices(list(kinds), weights)
    return {"kind": kind, **kinds[kind]()}


def _some_items(rng: random.Random) -> list[Message]:
    items = [{"sku": rng.choice([SCARCE, *PLENTY]).sku, "qty": rng.randint(1, 3)}]
    if rng.random() < 0.3:
        items.append({"sku": rng.choice(PLENTY).sku, "qty": 1})
    return items
