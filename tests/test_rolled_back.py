"""Writes that a majority of the store's members never got: they may be gone after a fail-over.

On a simulated store, since the embedded one has a single member. Each was found by a seed of the
simulation.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import cast

import bson
import pytest
from pymongo.errors import PyMongoError

from storage.carts import Carts
from storage.memberships import Membership, Memberships
from storage.mongo import Database
from tests.simulation.driver import SimDatabase
from tests.simulation.edge import Edge
from tests.simulation.loop import SimLoop
from tests.simulation.store import Store
from tests.simulation.trace import Trace


class Somewhere:
    """Where requests come from."""

    name = "test"

    def crash(self) -> None:
        raise AssertionError

    def freeze(self, duration_s: float) -> None:
        raise AssertionError


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    loop = SimLoop()
    yield loop
    loop.close()


@pytest.fixture
def store(loop: SimLoop) -> Store:
    return Store(Edge(loop, random.Random(1), Trace(loop.time)))


def test_a_membership_is_written_until_a_majority_has_it(loop: SimLoop, store: Store) -> None:
    """The second attempt met the first one, took it for a newer one, and both were rolled back."""
    memberships = Memberships(cast(Database, SimDatabase(store, Somewhere())))
    membership = Membership("usr_1", "crt_1", "editor", 7)
    store.minority = True
    for _ in range(2):
        with pytest.raises(PyMongoError):
            loop.run_until_complete(memberships.put(membership))
    store.end_minority(keep=False)
    loop.run_until_complete(memberships.put(membership))
    assert bson.decode(store.rows("memberships")["usr_1:crt_1"])["rev"] == 7
    loop.run_until_complete(memberships.put(membership))


def test_a_snapshot_is_not_stored_before_a_majority_has_it(loop: SimLoop, store: Store) -> None:
    """As with memberships; the room then thought that it had nothing more to store."""
    carts = Carts(cast(Database, SimDatabase(store, Somewhere())))
    store.minority = True
    for _ in range(2):
        with pytest.raises(PyMongoError):
            loop.run_until_complete(carts.save({"_id": "crt_1", "rev": 7}))
    store.end_minority(keep=False)
    assert loop.run_until_complete(carts.save({"_id": "crt_1", "rev": 7}))
    assert loop.run_until_complete(carts.save({"_id": "crt_1", "rev": 7})) is False
