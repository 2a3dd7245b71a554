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
from tests.mirror import Broken
from tests.seen import Seen
from tests.shopper import Act, Shopper
from tests.shopping import conduct as buy
from tests.simulation.network import SimSocket

Open = Callable[[str, str], Awaitable[SimSocket]]

SETUP_CLIENT: Final = "00000000-0000-4000-8000-000000000000"
"""Who makes the carts that all share."""
PATIENCE_S: Final = 3.0
PING_S: Final = 1.5
CREATE_AGAIN_S: Final = 0.3
REFUSED: Final = ""
LOOK_AROUND: Final = 0.06
"""How often, of its steps, a shopper does something else than change a cart."""
BURST: Final = 260


class SimShopper(Shopper):
    """A shopper that pings, and gives up a connection that is silent all the same."""

    reply_s = PATIENCE_S
    settle_s = 60.0
    again_s = (0.0, 0.0)

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
        self.client = self._new_client()
        self.pace_s = rng.choice([0.05, 0.1, 0.4])
        self._open_socket = open_socket
        self._heard_s = 0.0
        self._pinged_s = 0.0
        self._slow: SimSocket | None = None
        self._create_at = 0.0
        self._creations_max = rng.choice([0, 0, 2])
        self.creations: dict[int, str | None] = {}
        """Carts of its own by the number of their creation; None while that has no answer.

        REFUSED where we were signed out meanwhile.
        """

    def _new_client(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    async def _open(self, url: str) -> Any:
        self._slow = socket = await self._open_socket(self.client[:6], url)
        self._heard_s = self._pinged_s = self._now()
        return socket

    def _take(self, message: Message) -> None:
        self._heard_s = self._now()
        asked = self._asked.get(message.get("id", -1))
        if asked is not None and asked.what == "create":
            self._take_creation(asked.n, message)
        if (
            asked is not None
            and asked.what == "join"
            and message.get("n") == 0
            and forgets_clients()
        ):
            message = {**message, "n": N_MAX}  # it is in the log, where joins don't look
        super()._take(message)

    async def _step(self, act: Act) -> None:
        now_s = self._now()
        if self._socket is not None and now_s - max(self._heard_s, self._pinged_s) > PING_S:
            self._pinged_s = now_s
            await self._ask("ping", "", {"type": "ping"})
        await super()._step(act)

    async def copy(self, author: Shopper, *, answered: bool) -> None:
        known = self.carts.keys() <= author.carts.keys()
        await super().copy(author if known else self, answered=answered)

    async def _keep_up(self) -> None:
        await super()._keep_up()
        under_way = any(one.what == "create" for one in self._asked.values())
        n = next((n for n, cart in self.creations.items() if cart is None), None)
        if n is not None and not under_way and self._now() >= self._create_at:
            await self._create(n)

    def _is_settled(self, heads: dict[str, int] | None) -> bool:
        return None not in self.creations.values() and super()._is_settled(heads)

    async def _create(self, n: int) -> None:
        """Make a cart, or find out whether we have."""
        message = {"type": "cart.create", "name": f"Mine {n}", "op_id": self.op_id(n)}
        await self._ask("create", "", message, n=n)

    def _take_creation(self, n: int, reply: Message) -> None:
        """The answer to a creation is that to a join of the cart."""
        if reply["type"] == "error":
            if reply["code"] == "unauthorized" and self.creations[n] in (None, REFUSED):
                self.creations[n] = REFUSED
            elif not reply["temporary"]:
                raise Broken(f"a cart of one's own: {reply}")
            self._create_at = self._now() + CREATE_AGAIN_S
            return
        cart = reply["cart"]
        if self.creations[n] not in (None, cart):
            raise Broken(f"made {self.creations[n]}, and then {reply}")
        self.creations[n] = cart
        self.carts.setdefault(cart, Seen(self.counts)).take_join(reply, self._first_n)

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
        match self._rng.randrange(6):
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
            case 5 if self._creations_max:
                if len(self.creations) < self._creations_max:
                    self._n += 1
                    self._op_ids[self._n] = f"{self.client}:{self._n}"
                    self.creations[self._n] = None
                wanted = [n for n, cart in self.creations.items() if cart != REFUSED]
                if wanted:
                    await self._create(self._rng.choice(wanted))


def forgets_clients() -> bool:
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
