"""Who is here: the clients that have a cart open, on every instance, and what they look at.

Ephemeral: nothing of it is stored. Each instance tells the others about its own clients; what a
dead instance told goes when its lease has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtime import wire
from realtime.limits import PRESENCE_FLUSH_S
from realtime.pending import Peer

if TYPE_CHECKING:
    from realtime.audience import Audience
    from realtime.services import Services

Here = dict[str, Any]
"""`{user, client, data}`: one client in the room."""
Key = tuple[str, str]


class Presence:
    """The clients in one room. Changes are gathered for a moment and told as one diff."""

    def __init__(self, services: Services, cart: str, audience: Audience) -> None:
        self._services = services
        self._cart = cart
        self._audience = audience
        self._local: dict[Peer, Here] = {}
        self._remote: dict[str, dict[Key, Here]] = {}
        self._told: dict[Key, Here] = {}
        """What our own peers were told last."""
        self._published: dict[Key, Here] = {}
        """What other instances were told last of ours."""
        self._flushing = False

    def join(self, peer: Peer) -> None:
        self._local[peer] = {"user": peer.user, "client": peer.client, "data": {}}
        self._changed()

    def leave(self, peer: Peer) -> None:
        if self._local.pop(peer, None) is not None:
            self._changed()

    def set(self, peer: Peer, data: dict[str, Any]) -> None:
        """What `peer` wants others to know, instead of what it said before."""
        here = self._local.get(peer)
        if here is not None:
            self._local[peer] = {**here, "data": data}
            self._changed()

    def frame(self) -> bytes:
        """A `presence.state` for a peer that just came, or came back."""
        return wire.push(
            "presence.state", cart=self._cart, members=list(self._everybody().values())
        )

    def ask(self) -> None:
        """Ask the other instances that hold the cart who is there, and tell them who is here."""
        self._published = self._ours()
        self._services.bus.signal(
            self._cart, {"presence": {"all": list(self._published.values()), "ask": True}}
        )

    def on_signal(self, instance: str, message: dict[str, Any]) -> None:
        """Another instance told who is there: all of them, or changes."""
        if "all" in message:
            self._remote[instance] = {_key(here): here for here in message["all"]}
        else:
            there = self._remote.setdefault(instance, {})
            there.update((_key(here), here) for here in message["set"])
            for user, client in message["drop"]:
                there.pop((user, client), None)
        if message.get("ask"):
            self._published = self._ours()
            self._services.bus.signal(
                self._cart, {"presence": {"all": list(self._published.values())}}
            )
        self._changed()

    def on_peers(self, alive: frozenset[str]) -> None:
        """Forget what instances told that are no more."""
        dead = self._remote.keys() - alive
        for instance in dead:
            del self._remote[instance]
        if dead:
            self._changed()

    def _ours(self) -> dict[Key, Here]:
        return {_key(here): here for here in self._local.values()}

    def _everybody(self) -> dict[Key, Here]:
        everybody: dict[Key, Here] = {}
        for there in self._remote.values():
            everybody.update(there)
        everybody.update(self._ours())
        return everybody

    def _changed(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._services.clock.call_later(PRESENCE_FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        ours = self._ours()
        changed = _difference(self._published, ours)
        if changed is not None:
            self._published = ours
            message = {"set": changed[0] + changed[2], "drop": changed[1]}
            self._services.bus.signal(self._cart, {"presence": message})
        everybody = self._everybody()
        diff = _difference(self._told, everybody)
        if diff is None:
            return
        self._told = everybody
        joined, left, here = diff
        self._audience.push_all(
            wire.push(
                "presence.diff",
                cart=self._cart,
                joined=joined,
                left=[{"user": user, "client": client} for user, client in left],
                changed=here,
            )
        )


def _key(here: Here) -> Key:
    return (here["user"], here["client"])


def _difference(
    old: dict[Key, Here], new: dict[Key, Here]
) -> tuple[list[Here], list[Key], list[Here]] | None:
    """Who joined, who left, who changed; None when nobody did."""
    joined = [here for key, here in new.items() if key not in old]
    left = [key for key in old if key not in new]
    changed = [here for key, here in new.items() if key in old and old[key] != here]
    return (joined, left, changed) if joined or left or changed else None
