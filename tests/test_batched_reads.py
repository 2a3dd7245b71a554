"""Look-ups by id that go together: each gets its own answer, and few queries do for many."""

from __future__ import annotations

import asyncio

import pytest
from pymongo.errors import AutoReconnect

from storage import batched
from storage.batched import IDS_PER_QUERY_MAX, BatchedReads
from tests.helpers import eventually

MANY = IDS_PER_QUERY_MAX + 100


@pytest.fixture
async def reads(database):
    collection = database.collection("things")
    await collection.insert_many([{"_id": f"t{n}", "n": n} for n in range(MANY)])
    return BatchedReads(collection)


@pytest.fixture
def queries(monkeypatch):
    """The ids of each query. An exception put in `failing` is what the next ones get."""
    asked, by_ids = [], batched.by_ids

    async def noting(collection, ids, projection=None):
        asked.append(list(ids))
        if noting.failing is not None:
            raise noting.failing
        return await by_ids(collection, ids, projection)

    noting.failing = None
    noting.asked = asked
    monkeypatch.setattr(batched, "by_ids", noting)
    return noting


async def test_each_gets_its_own_and_few_queries_do_for_many(reads, queries):
    names = [f"t{n}" for n in range(MANY)] + ["nothing"]
    found = await asyncio.gather(*map(reads.find, names))
    assert [one and one["n"] for one in found] == [*range(MANY), None]
    assert [len(ids) for ids in queries.asked] == [IDS_PER_QUERY_MAX, 101]


async def test_what_is_asked_for_during_a_query_is_read_after_it(reads, queries, database):
    first = asyncio.create_task(reads.find("t1"))
    await eventually(lambda: queries.asked)
    await database.collection("things").update_one({"_id": "t1"}, {"$set": {"n": -1}})
    assert (await reads.find("t1"))["n"] == -1
    await first
    assert queries.asked == [["t1"], ["t1"]]


async def test_a_failure_is_told_to_all_and_the_next_ask_anew(reads, queries):
    queries.failing = AutoReconnect("gone")
    outcomes = await asyncio.gather(*map(reads.find, ["t1", "t2"]), return_exceptions=True)
    assert [type(one) for one in outcomes] == [AutoReconnect] * 2
    queries.failing = None
    assert (await reads.find("t1"))["n"] == 1


async def test_who_gives_up_does_not_give_up_for_others(reads, queries):
    impatient, patient = (asyncio.create_task(reads.find("t7")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient)["n"] == 7
    assert len(queries.asked) == 1


async def test_an_answer_that_nobody_wants_does_no_harm(reads, queries):
    queries.failing = AutoReconnect("gone")
    asked = reads.ask("t1")
    await eventually(asked.done)
    queries.failing = None
    assert (await reads.find("t1"))["n"] == 1
