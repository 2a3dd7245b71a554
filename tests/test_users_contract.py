"""What the repository of users promises, on whatever MongoDB-compatible server is there."""

from __future__ import annotations

import asyncio

import pytest
from pymongo.errors import AutoReconnect

from storage.indexes import INDEXES, create_indexes
from storage.merges import MergeRecord, MergeRecords
from storage.mongo import Database
from storage.users import DuplicateEmailError, User, Users
from tests.faults import proxy_of
from tests.helpers import eventually

ADA = User("usr_a", "Ada@Shop.example", "Ada")


@pytest.fixture
async def users(database: Database) -> Users:
    await create_indexes(database)
    return Users(database)


async def test_what_was_inserted_is_found_by_id_and_by_any_spelling_of_the_address(users):
    await users.insert(ADA, "hash")

    assert await users.find("usr_a") == ADA
    for spelling in ("Ada@Shop.example", "ada@shop.example", "ADA@SHOP.EXAMPLE"):
        record = await users.find_by_email(spelling)
        assert (record.user, record.password_hash) == (ADA, "hash")


async def test_who_is_not_there_is_none(users):
    assert await users.find("usr_a") is None
    assert await users.find_by_email("ada@shop.example") is None


async def test_composed_and_decomposed_letters_are_one_address(users):
    await users.insert(User("usr_1", "jos\u00e9@shop.example", "José"), "hash")

    with pytest.raises(DuplicateEmailError):
        await users.insert(User("usr_2", "jose\u0301@shop.example", "José"), "hash")


async def test_a_second_user_with_the_address_is_refused(users):
    await users.insert(ADA, "hash")

    with pytest.raises(DuplicateEmailError):
        await users.insert(User("usr_b", "ADA@shop.example", "Eve"), "other")
    assert await users.find("usr_b") is None
    assert (await users.find_by_email("ada@shop.example")).user == ADA


async def test_of_many_inserts_of_one_address_at_once_exactly_one_wins(users):
    candidates = [User(f"usr_{n}", f"{'aA'[n % 2]}da@shop.example", f"N{n}") for n in range(20)]

    outcomes = await asyncio.gather(
        *(users.insert(user, "hash") for user in candidates), return_exceptions=True
    )

    winners = [user for user, outcome in zip(candidates, outcomes, strict=True) if outcome is None]
    assert len(winners) == 1
    assert {type(o) for o in outcomes if o is not None} == {DuplicateEmailError}
    assert (await users.find_by_email("ada@shop.example")).user == winners[0]


async def test_repeating_an_insert_has_no_further_effect(users):
    await users.insert(ADA, "hash")
    await users.insert(ADA, "hash")

    assert (await users.find_by_email(ADA.email)).user == ADA


async def test_an_insert_whose_answer_was_lost_counts_once(users, monkeypatch):
    """The document arrives, the connection breaks before the answer: one user, no refusal."""
    collection = users._users
    insert_one = collection.insert_one
    calls = []

    async def insert_and_lose_the_first_answer(document):
        calls.append(document)
        await insert_one(document)
        if len(calls) == 1:
            raise AutoReconnect("connection closed")

    class Losing:
        insert_one = staticmethod(insert_and_lose_the_first_answer)

        def __getattr__(self, name):
            return getattr(collection, name)

    monkeypatch.setattr(users, "_users", Losing())
    await users.insert(ADA, "hash")

    assert len(calls) == 2
    assert (await users.find_by_email(ADA.email)).user == ADA


async def test_names_of_those_who_exist(users):
    await users.insert(ADA, "hash")
    await users.insert(User("usr_b", "bob@shop.example", "Bob"), "hash")

    assert await users.names(["usr_a", "usr_b", "usr_c"]) == {"usr_a": "Ada", "usr_b": "Bob"}
    assert await users.names([]) == {}


async def test_names_of_more_users_than_one_query_takes(users, monkeypatch):
    monkeypatch.setattr("storage.users.IDS_PER_QUERY_MAX", 2)
    for n in range(5):
        await users.insert(User(f"usr_{n}", f"{n}@shop.example", f"N{n}"), "hash")

    names = await users.names([f"usr_{n}" for n in range(6)])

    assert names == {f"usr_{n}": f"N{n}" for n in range(5)}


async def test_a_role_is_changed_only_where_there_is_a_user(users):
    await users.insert(ADA, "hash")

    assert await users.set_role("usr_a", "admin") is True
    assert (await users.find("usr_a")).role == "admin"
    assert await users.set_role("usr_b", "admin") is False
    assert await users.find("usr_b") is None


async def test_indexes_are_created_again_and_at_once_without_harm(database):
    await asyncio.gather(create_indexes(database), create_indexes(database))
    await create_indexes(database)

    for index in INDEXES:
        found = await database.collection(index.collection).index_information()
        keys = {tuple(field for field, _ in each["key"]) for each in found.values()}
        assert (index.field,) in keys


async def test_making_an_index_may_take_longer_than_an_operation(
    mongodb_url, database_name, database
):
    async with proxy_of(mongodb_url) as store:
        impatient = Database(store.url, database_name, journal=False, timeout_s=1.0)
        try:
            hold = store.hold(lambda message: b"createIndexes" in message)
            making = asyncio.create_task(create_indexes(impatient))
            await eventually(lambda: hold.held >= 2 or making.done(), 60.0)
            assert not making.done()
            hold.release()
            await making
            assert len(await database.collection("users").index_information()) > 1
        finally:
            impatient.close()


# Guests, and what becomes of them

GUEST = User("usr_g", None, "Guest", guest=True)


@pytest.fixture
async def guest(users: Users) -> User:
    await users.insert(GUEST, None)
    return GUEST


async def test_guests_have_no_address_and_are_many(users, guest):
    await users.insert(User("usr_h", None, "Guest", guest=True), None)

    assert await users.find("usr_g") == guest
    assert await users.names(["usr_g", "usr_h"]) == {"usr_g": "Guest", "usr_h": "Guest"}


async def test_a_guest_becomes_an_account_once(users, guest):
    made = await users.become_account("usr_g", "Ada@shop.example", "Ada", "hash")

    assert made == User("usr_g", "Ada@shop.example", "Ada", epoch=1)
    record = await users.find_by_email("ada@shop.example")
    assert (record.user, record.password_hash) == (made, "hash")
    assert await users.become_account("usr_g", "bob@shop.example", "Bob", "other") is None
    assert await users.become_account("usr_x", "bob@shop.example", "Bob", "other") is None
    assert await users.find("usr_g") == made


async def test_a_guest_does_not_become_an_account_with_anothers_address(users, guest):
    await users.insert(ADA, "hash")

    with pytest.raises(DuplicateEmailError):
        await users.become_account("usr_g", "ADA@shop.example", "Eve", "other")
    assert await users.find("usr_g") == guest


async def test_of_many_guests_who_take_one_address_at_once_one_gets_it(users):
    guests = [User(f"usr_{n}", None, "Guest", guest=True) for n in range(10)]
    for one in guests:
        await users.insert(one, None)

    outcomes = await asyncio.gather(
        *(users.become_account(one.id, "ada@shop.example", "Ada", one.id) for one in guests),
        return_exceptions=True,
    )

    (winner,) = [one for one in outcomes if isinstance(one, User)]
    assert (await users.find_by_email("ada@shop.example")).user == winner


async def test_a_merge_begins_once_and_for_one_account(users, guest):
    assert await users.begin_merge("usr_g", "usr_a") == 1
    assert await users.begin_merge("usr_g", "usr_a") == 1, "twice is as once"
    assert await users.begin_merge("usr_g", "usr_b") is None
    assert await users.begin_merge("usr_x", "usr_a") is None
    assert await users.become_account("usr_g", "ada@shop.example", "Ada", "hash") is None
    assert await users.names(["usr_g"]) == {"usr_g": "Guest"}
    assert await users.names_of_staying(["usr_g"]) == {}


async def test_an_account_is_no_guest_to_merge_or_bury(users):
    await users.insert(ADA, "hash")

    assert await users.begin_merge("usr_a", "usr_b") is None
    await users.bury_guest("usr_a")
    assert await users.find("usr_a") == ADA
    assert await users.names_of_staying(["usr_a", "usr_x"]) == {"usr_a": "Ada"}


async def test_nothing_is_left_of_a_guest_but_the_id(users, guest, database):
    await users.begin_merge("usr_g", "usr_a")
    await users.bury_guest("usr_g")
    await users.bury_guest("usr_g")

    found = await database.collection("users").find_one({"_id": "usr_g"})
    assert "Guest" not in found.values()
    assert await users.names(["usr_g"]) == await users.names_of_staying(["usr_g"]) == {}
    assert await users.begin_merge("usr_g", "usr_a") == 1


async def test_the_first_intention_to_merge_a_guest_stays(database):
    merges = MergeRecords(database)
    first = MergeRecord("usr_g", "usr_a", 1)

    assert await merges.add(first) == first
    assert await merges.add(MergeRecord("usr_g", "usr_b", 2)) == first
    assert await merges.of_account("usr_a") == await merges.all(9) == [first]
    assert await merges.of_account("usr_b") == []
    await merges.remove("usr_g")
    await merges.remove("usr_g")
    assert await merges.all(9) == []
