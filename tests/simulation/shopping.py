"""Shoppers in the simulation: those of `tests.shopper`, on simulated sockets."""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from realtime import reducer
from realtime.limits import CLIENTS_PER_USER_MAX, N_MAX
from tests.client import Account, Message
from tests.history import History
from tests.shopper import Act, Shopper
from tests.shopping import conduct as buy
from tests.simulation.network import SimSocket

Open = Callable[[str, str], Awaitable[SimSocket]]

PATIENCE_S: Final = 3.0
PING_S: Final = 1.5
LOOK_AROUND: Final = 0.06
"""How often, of its steps, a shopper does something else than change a cart."""
BURST: Final = 260


class SimShopper(Shopper):
    """A shopper that pings, and gives up a connection that is silent all the same."""

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
        self._slow = socket = await self._open_socket(self.client[:6], url)
        self._heard_s = self._pinged_s = self._now()
        return socket

    def _take(self, message: Message) -> None:
        self._heard_s = self._now()
        asked = self._asked.get(message.get("id", -1))
        if asked is not None and asked.what == "join" and message.get("n") == 0 and _forgets():
            message = {**message, "n": N_MAX}  # it is in the log, where joins don't look
        super()._take(message)

    async def _step(self, act: Act) -> None:
        now_s = self._now()
        if self._socket is not None and now_s - max(self._heard_s, self._pinged_s) > PING_S:
            self._pinged_s = now_s
            await self._ask("ping", "", {"type": "ping"})
        await super()._step(act)

    def _lose_patience(self) -> None:
        if self._now() - self._heard_s > PATIENCE_S:
            self.counts["patience lost"] += 1
            raise ConnectionError("silence")

    def _may_be_behind(self) -> bool:
        return self._slow is not None and self._slow.reads_slowly

    async def look_around(self) -> None:
        """Read, tell where one looks, or ask for too much."""
        cart = self._rng.choice(list(self.carts))
        seen = self.carts[cart]
        match self._rng.randrange(5):
            case 0:
                before = self._rng.choice([None, 1, 2, 10, 1_000])
                limit = self._rng.choice([1, 5, 500])
                request = {"type": "cart.history", "before": before, "limit": limit}
                await self._ask("history", cart, request)
            case 1:
                await self._ask("list", "", {"type": "cart.list"})
            case 2 if seen.joined:
                data = {"line": f"lin_{self._rng.randrange(50)}"}
                await self._ask("presence", cart, {"type": "presence.set", "data": data})
            case 3 if seen.joined:
                await self._ask("join", cart, {"type": "cart.join"})  # once more: allowed
            case 4 if self._rng.random() < 0.1:
                await self.burst(BURST)


def _forgets() -> bool:
    """Whether carts remember fewer of a user's clients than some users have here."""
    return reducer.CLIENTS_PER_USER_MAX < CLIENTS_PER_USER_MAX


def conduct(rng: random.Random, accounts: list[Account], shoppers: list[SimShopper]) -> Act:
    """What a shopper does at each step."""
    shop = buy(rng, accounts, list(shoppers))

    async def act(shopper: Shopper) -> None:
        if rng.random() < LOOK_AROUND:
            assert isinstance(shopper, SimShopper)
            await shopper.look_around()
        else:
            await shop(shopper)

    return act
