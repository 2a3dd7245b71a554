"""Contracts of the log and of what is derived from it, on any MongoDB-compatible server.

`CARTROOM_TEST_MONGODB_URL` names the server; without it the embedded store is held to them.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from typing import Any

import bson
import pytest
from pymongo.errors import BulkWriteError, DuplicateKeyError

from storage.carts import Carts
from storage.indexes import create_indexes
from storage.memberships import Membership, Memberships
from storage.mongo import Database, IncompleteReadError
from storage.oplog import (
    CANDIDATES_MAX,
    COMMIT_OPS_MAX,
    Commit,
    OpLog,
    Outcome,
    commit_id,
    first_rev,
)
from storage.outbox import PLACES, Outbox, shard_of
from tests.faults import proxy_of

CART = "crt_contract"


def commit(first: int, count: int = 1, *, cart: str = CART, token: str = "") -> Commit:
    token = token or secrets.token_hex(16)
    document = {
        "_id": commit_id(cart, first),
        "cart": cart,
        "last": first + count - 1,
        "commit": token,
        "v": 1,
        "ops": [{"n": first + index} for index in range(count)],
    }
    return Commit(document["_id"], token, bson.encode(document))


async def write(log: OpLog, *sizes: int, cart: str = CART) -> list[int]:
    """A chain of commits of these sizes; returns the first rev of each."""
    firsts = [1 + sum(sizes[:index]) for index in range(len(sizes))]
    commits = [commit(*one, cart=cart) for one in zip(firsts, sizes, strict=True)]
    assert set(await log.insert(commits)) == {Outcome.COMMITTED}
    return firsts


@pytest.fixture
async def log(database: Database) -> OpLog:
    await create_indexes(database)
    return OpLog(database)


# Inserting


async def test_commits_are_made_durable_as_they_are(log: OpLog, database: Database) -> None:
    commits = [commit(1, 3), commit(1, 2, cart="crt_other")]
    assert await log.insert(commits) == [Outcome.COMMITTED] * 2
    stored = await database.collection("cart_ops").find_one({"_id": f"{CART}:1"})
    assert stored == bson.decode(commits[0].raw)


async def test_the_same_commit_again_is_still_committed(log: OpLog, database: Database) -> None:
    again = commit(1)
    assert await log.insert([again]) == [Outcome.COMMITTED]
    assert await log.insert([again]) == [Outcome.COMMITTED]
    assert len(await database.collection("cart_ops").find({}).to_list(None)) == 1


async def test_another_commit_of_that_rev_is_lost(log: OpLog) -> None:
    await log.insert([commit(1, token="first")])
    assert await log.insert([commit(1, token="second")]) == [Outcome.LOST]
    (stored,) = await log.tail(CART, 0)
    assert stored["commit"] == "first"


async def test_a_batch_has_an_outcome_for_each_of_its_commits(log: OpLog) -> None:
    mine, theirs = commit(5), commit(9, token="theirs")
    await log.insert([mine, theirs])
    batch = [commit(1), mine, commit(2), commit(9, token="ours"), commit(3)]
    assert await log.insert(batch) == [
        Outcome.COMMITTED,
        Outcome.COMMITTED,
        Outcome.COMMITTED,
        Outcome.LOST,
        Outcome.COMMITTED,
    ]


@pytest.mark.parametrize("racers", [2, 5, 20])
async def test_of_racing_commits_exactly_one_wins(log: OpLog, racers: int) -> None:
    for rev in range(1, 6):
        outcomes = await asyncio.gather(*(log.insert([commit(rev)]) for _ in range(racers)))
        assert sorted(one.value for (one,) in outcomes) == ["committed"] + ["lost"] * (racers - 1)
    assert [first_rev(found) for found in await log.tail(CART, 0)] == [1, 2, 3, 4, 5]


async def test_racing_batches_share_the_revs_between_them(log: OpLog) -> None:
    carts = [f"crt_{number}" for number in range(100)]
    racers = [[commit(1, cart=cart) for cart in carts] for _ in range(4)]
    outcomes = await asyncio.gather(*(log.insert(batch) for batch in racers))
    for one in zip(*outcomes, strict=True):
        assert list(one).count(Outcome.COMMITTED) == 1
        assert list(one).count(Outcome.LOST) == 3


async def test_a_store_that_is_away_leaves_the_outcome_unknown() -> None:
    nowhere = Database(
        "mongodb://127.0.0.1:9/?directConnection=true", "x", journal=False, timeout_s=0.2
    )
    try:
        assert await OpLog(nowhere).insert([commit(1), commit(2)]) == [Outcome.UNKNOWN] * 2
    finally:
        nowhere.close()


# Reading


async def test_the_tail_is_the_chain_after_a_rev(log: OpLog) -> None:
    firsts = await write(log, 1, 256, 2, 1, 100)
    for index, first in enumerate(firsts):
        tail = await log.tail(CART, first - 1)
        assert [first_rev(found) for found in tail] == firsts[index:]
    assert await log.tail(CART, 360) == []
    assert await log.tail("crt_unknown", 0) == []


async def test_a_log_with_a_hole_is_not_read_past_it_nor_up_to_it(log: OpLog) -> None:
    """There are no holes; an answer that shows one is not all of what there is."""
    await log.insert([commit(1), commit(2), commit(4)])
    with pytest.raises(IncompleteReadError):
        await log.tail(CART, 0)
    for low, high in ((1, 4), (3, 3), (3, 4), (4, 5)):
        with pytest.raises(IncompleteReadError):
            await log.covering(CART, low, high)
    assert len(await log.covering(CART, 1, 2)) == 2


async def test_a_commit_that_appears_while_the_tail_is_read_is_not_skipped(
    log: OpLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server looks the ids up one by one: the next may be seen, and the one before it not."""
    await write(log, 1, 1, 1)
    answers = [[1, 3], [2, 3]]
    read = log._read

    async def read_between_writes(*asked: Any) -> Any:
        seen = answers.pop(0)
        return [found for found in await read(*asked) if first_rev(found) in seen]

    monkeypatch.setattr(log, "_read", read_between_writes)
    assert [first_rev(found) for found in await log.tail(CART, 0)] == [1, 2, 3]


async def test_reads_come_in_one_answer(
    mongodb_url: str, database: Database, database_name: str, log: OpLog
) -> None:
    """The embedded store calls the rest of a longer one empty when a connection broke."""
    await write(log, *[1] * CANDIDATES_MAX)
    memberships = Memberships(database)
    for number in range(150):
        await memberships.put(Membership("usr_a", f"crt_{number}", "editor", 1))
    async with proxy_of(mongodb_url) as store:
        more: list[bytes] = []
        store.hold(lambda message: b"getMore\0" in message and more.append(message) is not None)
        near = Database(store.url, database_name, journal=False)
        try:
            assert len(await OpLog(near).covering(CART, 1, CANDIDATES_MAX)) == CANDIDATES_MAX
            assert len(await OpLog(near).tail(CART, 0)) == CANDIDATES_MAX
            assert len(await Memberships(near).of_user("usr_a", 1_000)) == 150
        finally:
            await asyncio.to_thread(near.close)
        assert more == []


async def test_a_long_tail_is_read_to_its_end(log: OpLog) -> None:
    firsts = await write(log, *[1] * 500, *[COMMIT_OPS_MAX] * 6, *[1] * 100)
    assert [first_rev(found) for found in await log.tail(CART, 0)] == firsts


async def test_reading_a_tail_ends_while_somebody_writes(
    log: OpLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look found another commit, and so there was always one more look."""
    await write(log, 1, 1)
    looks = 0
    read = log._read

    async def read_while_another_commits(*asked: Any) -> Any:
        nonlocal looks
        looks += 1
        found = await read(*asked)
        assert await log.insert([commit(2 + looks)]) == [Outcome.COMMITTED]
        return found

    monkeypatch.setattr(log, "_read", read_while_another_commits)
    assert [first_rev(found) for found in await log.tail(CART, 0)] == [1, 2]
    assert looks == 1


async def test_covering_finds_the_commits_that_hold_a_range_whatever_their_sizes(
    log: OpLog,
) -> None:
    sizes = [1, COMMIT_OPS_MAX, 1, 255, 17, COMMIT_OPS_MAX, 3]
    firsts = await write(log, *sizes)
    lasts = [first + size - 1 for first, size in zip(firsts, sizes, strict=True)]
    edges = sorted({*firsts, *lasts, *(last + 1 for last in lasts), *(f - 1 for f in firsts)})
    within = [edge for edge in edges if 0 < edge <= lasts[-1]]
    for low, high in itertools.combinations_with_replacement(within, 2):
        found = [first_rev(document) for document in await log.covering(CART, low, high)]
        expected = [f for f, last in zip(firsts, lasts, strict=True) if f <= high and last >= low]
        assert found == expected, (low, high)


async def test_covering_asks_in_bounded_portions(log: OpLog) -> None:
    firsts = await write(log, *[1] * (CANDIDATES_MAX + 200))
    found = await log.covering(CART, 2, CANDIDATES_MAX + 200)
    assert [first_rev(document) for document in found] == firsts[1:]


async def test_moved_names_the_carts_with_a_commit_beyond(log: OpLog) -> None:
    await write(log, 2, 3)
    await write(log, 4, cart="crt_other")
    heads = [(CART, 2), ("crt_other", 4), ("crt_unknown", 0)]
    assert await log.moved(heads) == {CART}
    assert await log.moved([(CART, 5), ("crt_other", 0)]) == {"crt_other"}
    many = [(f"crt_{number}", 0) for number in range(CANDIDATES_MAX + 5)]
    assert await log.moved([*many, (CART, 2)]) == {CART}
    assert await log.moved([]) == set()


# Snapshots


def snapshot(rev: int, **fields: Any) -> dict[str, Any]:
    return {
        "_id": CART,
        "rev": rev,
        "at": rev,
        "name": f"At {rev}",
        "line_count": 0,
        "status": "open",
        **fields,
    }


async def test_snapshots_only_go_forward(database: Database) -> None:
    carts = Carts(database)
    assert await carts.load(CART) is None
    assert await carts.save(snapshot(5))
    assert not await carts.save(snapshot(4))
    assert not await carts.save(snapshot(5, name="Another"))
    assert await carts.load(CART) == snapshot(5)
    assert await carts.save(snapshot(6))
    assert await carts.load(CART) == snapshot(6)


async def test_racing_snapshots_leave_the_latest(database: Database) -> None:
    carts = Carts(database)
    await asyncio.gather(*(carts.save(snapshot(rev)) for rev in range(1, 31)))
    assert await carts.load(CART) == snapshot(30)


async def test_summaries_are_those_there_are(database: Database) -> None:
    carts = Carts(database)
    await carts.save(snapshot(3, lines=[{"sku": "TEA"}]))
    assert await carts.summaries([CART, "crt_unknown"]) == {CART: snapshot(3)}


# Memberships


async def test_memberships_only_go_forward(database: Database) -> None:
    memberships = Memberships(database)
    await memberships.put(Membership("usr_a", CART, "editor", 4))
    await memberships.put(Membership("usr_a", CART, "viewer", 3))
    assert await memberships.of_user("usr_a", 10) == [Membership("usr_a", CART, "editor", 4)]
    await memberships.put(Membership("usr_a", CART, "owner", 9))
    assert await memberships.of_user("usr_a", 10) == [Membership("usr_a", CART, "owner", 9)]


async def test_a_removal_stays_against_late_writes(database: Database) -> None:
    memberships = Memberships(database)
    await memberships.put(Membership("usr_a", CART, None, 7))
    await memberships.put(Membership("usr_a", CART, "editor", 6))
    assert await memberships.of_user("usr_a", 10) == []
    await memberships.put(Membership("usr_a", CART, "viewer", 8))
    assert await memberships.of_user("usr_a", 10) == [Membership("usr_a", CART, "viewer", 8)]


async def test_racing_memberships_leave_the_latest(database: Database) -> None:
    memberships = Memberships(database)
    roles = ["viewer", "editor", None]
    await asyncio.gather(
        *(memberships.put(Membership("usr_a", CART, roles[rev % 3], rev)) for rev in range(1, 31))
    )
    assert await memberships.of_user("usr_a", 10) == [Membership("usr_a", CART, "viewer", 30)]


async def test_a_user_s_memberships_are_bounded(database: Database) -> None:
    memberships = Memberships(database)
    for number in range(5):
        await memberships.put(Membership("usr_a", f"crt_{number}", "editor", 1))
    await memberships.put(Membership("usr_b", "crt_0", "editor", 1))
    assert len(await memberships.of_user("usr_a", 3)) == 3
    assert len(await memberships.of_user("usr_a", 10)) == 5


async def test_marking_a_cart_active_keeps_how_far_its_places_are(database: Database) -> None:
    outbox, documents = Outbox(database), database.collection("outbox")
    await outbox.mark_active(CART, 1_000)
    shard = shard_of(CART) + 1
    active = {f"{place}_active": shard for place in PLACES}
    revs = {f"{place}_rev": 0 for place in PLACES}
    assert await documents.find_one({"_id": CART}) == {
        "_id": CART,
        "mark": 1,
        "marked_ms": 1_000,
        **active,
        **revs,
    }
    await documents.update_one({"_id": CART}, {"$set": {"relay_active": -shard, "relay_rev": 7}})
    await asyncio.gather(*(outbox.mark_active(CART, 2_000) for _ in range(5)))
    assert await documents.find_one({"_id": CART}) == {
        "_id": CART,
        "mark": 6,
        "marked_ms": 2_000,
        **active,
        **revs,
        "relay_rev": 7,
    }


# What we rely on


async def test_a_bulk_insert_reports_its_duplicates_by_index(database: Database) -> None:
    things = database.collection("things")
    await things.insert_one({"_id": 3})
    with pytest.raises(BulkWriteError) as raised:
        await things.insert_many([{"_id": index} for index in (1, 3, 2, 1)], ordered=False)
    errors = raised.value.details["writeErrors"]
    assert [(error["index"], error["code"]) for error in errors] == [(1, 11000), (3, 11000)]
    assert {thing["_id"] for thing in await things.find({}).to_list(None)} == {1, 2, 3}


async def test_unique_indexes_hold_single_and_compound(database: Database) -> None:
    things = database.collection("things")
    await things.create_index("a", unique=True)
    await things.create_index([("b", 1), ("c", 1)], unique=True)
    await things.insert_one({"a": 1, "b": 1, "c": 1})
    for taken in ({"a": 1, "b": 2, "c": 2}, {"a": 2, "b": 1, "c": 1}):
        with pytest.raises(DuplicateKeyError):
            await things.insert_one(taken)
    await things.insert_one({"a": 2, "b": 1, "c": 2})


async def test_an_upsert_whose_condition_fails_is_a_duplicate_key(database: Database) -> None:
    things = database.collection("things")
    await things.insert_one({"_id": "x", "rev": 5})
    with pytest.raises(DuplicateKeyError):
        await things.update_one({"_id": "x", "rev": {"$lt": 5}}, {"$set": {"rev": 4}}, upsert=True)
    assert await things.find_one({"_id": "x"}) == {"_id": "x", "rev": 5}


async def test_conditional_updates_of_one_document_count_once_each(database: Database) -> None:
    things = database.collection("things")
    await things.insert_one({"_id": "x", "left": 10})
    results = await asyncio.gather(
        *(
            things.update_one({"_id": "x", "left": {"$gte": 1}}, {"$inc": {"left": -1}})
            for _ in range(40)
        )
    )
    assert sum(result.modified_count for result in results) == 10
    assert await things.find_one({"_id": "x"}) == {"_id": "x", "left": 0}


async def test_equality_on_an_indexed_field_finds_all(database: Database) -> None:
    things = database.collection("things")
    await things.create_index("user")
    await things.insert_many([{"_id": index, "user": f"u{index % 7}"} for index in range(70)])
    found = await things.find({"user": "u3"}).to_list(None)
    assert sorted(thing["_id"] for thing in found) == list(range(3, 70, 7))


@pytest.mark.parametrize(
    "value",
    ["a\0b", "\U0010ffff", "\uffff", "\u2028", "$set", "a.b", "", "ﷺ" * 500, 2**63 - 1, -(2**63)],
)
async def test_values_come_back_as_they_went(database: Database, value: Any) -> None:
    things = database.collection("things")
    document = {"_id": "x", "value": value, "nested": [{"value": value}]}
    await things.insert_many([document, {"_id": "y"}], ordered=False)
    assert await things.find_one({"_id": "x"}) == document


async def test_many_ids_are_found_in_one_query(database: Database) -> None:
    things = database.collection("things")
    await things.insert_many([{"_id": f"i{index}"} for index in range(3_000)])
    wanted = [f"i{index}" for index in range(0, 6_000, 5)]
    found = await things.find({"_id": {"$in": wanted}}).to_list(None)
    assert {thing["_id"] for thing in found} == {one for one in wanted if int(one[1:]) < 3_000}
