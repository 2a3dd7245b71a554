"""What the repository of users promises, on whatever MongoDB-compatible server is there."""

from __future__ import annotations

import asyncio

import pytest
from pymongo.errors import AutoReconnect

from storage.indexes import INDEXES, create_indexes
from storage.mongo import Database
from storage.users import DuplicateEmailError, User, Users

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
