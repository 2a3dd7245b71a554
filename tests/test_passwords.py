"""Passwords: which may be chosen, changing them, and what they are stored as."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import bcrypt
import pytest

from commerce.accounts.choosing import check_choice
from commerce.accounts.errors import WeakPasswordError, WrongCredentialsError
from commerce.accounts.passwords import Passwords
from commerce.accounts.service import Accounts
from storage.indexes import create_indexes
from storage.users import Users
from tests.client import running_server
from tests.mailbox import mails_to
from tests.people import PASSWORD, Person, person

NEW = "a new horse"


@pytest.fixture(scope="module")
async def server(module_settings):
    """One for all tests here: each has people of its own."""
    async with running_server(module_settings) as server:
        yield server


async def change(someone, new=NEW, current=PASSWORD):
    return await someone.post("password", {"current_password": current, "new_password": new})


COMMON = ("password", "Password1", "PASSWORD", "12345678", "iloveyou", "\uff50assword")
OWN = ("ada@shop.example", "ADA@shop.example", "ada.lovelace", "AdaLovelace", "Ada Lovelace")


@pytest.mark.parametrize("word", [*COMMON, *OWN, "Cartroom", " cartroom "])
async def test_what_is_guessed_first_is_refused(server, word):
    email = "ada.lovelace@shop.example" if word == "ada.lovelace" else "ada@shop.example"
    ada = Person(server, email, "Ada Lovelace", password=word)
    body = {"email": ada.email, "password": word, "name": ada.name}
    status, problem = await ada.post("register", body)

    assert (status, problem["code"], list(problem["errors"])) == (400, "bad_request", ["password"])
    assert "Choose another one" in problem["errors"]["password"][0]


@pytest.mark.parametrize("word", ["correct horse", "password and more", "cartroom is no name"])
def test_what_only_contains_it_is_not(word):
    check_choice(word, "ada@shop.example", "Ada Lovelace")


def test_a_guest_has_no_address_to_choose():
    check_choice("correct horse", None, None)
    with pytest.raises(WeakPasswordError):
        check_choice("sunshine", None, None)


async def test_changing_it_ends_the_other_sessions_and_tells_by_mail(server):
    ada = await person(server)
    elsewhere = await ada.again()

    assert await change(ada) == (204, None)

    assert await ada.is_signed_in()
    assert not await elsewhere.is_signed_in()
    assert not await ada.can_log_in()
    assert await ada.can_log_in(NEW)
    await mails_to(ada.folder, ada.email, "password_changed")
    # What is left can be renewed, and ends with the next change elsewhere.
    await ada.done("POST", "refresh", {"refresh_token": ada.refresh_token})
    ada.password = NEW
    third = await ada.again()
    assert await change(third, "another new horse", NEW) == (204, None)
    assert not await ada.is_signed_in()
    assert await third.is_signed_in()


async def test_the_one_that_changed_it_is_signed_in_all_the_while(server, monkeypatch):
    """There is no moment between ending all sessions and keeping one."""
    ada = await person(server)
    states, change_password = [], Users.change_password

    async def look_after(self, *args, **kwargs):
        changed = await change_password(self, *args, **kwargs)
        states.append(await ada.is_signed_in())
        return changed

    monkeypatch.setattr(Users, "change_password", look_after)
    assert await change(ada) == (204, None)
    assert states == [True]


async def test_it_takes_the_current_one(server):
    ada = await person(server)
    elsewhere = await ada.again()
    status, problem = await change(ada, current="wrong horse")

    assert (status, problem["code"]) == (403, "forbidden")
    assert list(problem["errors"]) == ["current_password"]
    assert await ada.can_log_in()
    assert await elsewhere.is_signed_in()


async def test_a_new_one_is_held_to_the_same_rules(server):
    ada = await person(server)
    for word in ("short", "sunshine", ada.email, "x" * 1025):
        status, problem = await change(ada, word)
        assert (status, list(problem["errors"])) == (400, ["new_password"]), word
    assert await ada.can_log_in()


async def test_of_two_changes_at_once_one_counts(server):
    ada = await person(server)
    devices = [ada, await ada.again(), await ada.again()]
    words = [f"horse number {n}" for n in range(3)]
    answers = await asyncio.gather(
        *(change(device, word) for device, word in zip(devices, words, strict=True))
    )

    assert min(status for status, _ in answers) == 204
    opened = [await ada.can_log_in(word) for word in words]
    assert opened == [status == 204 for status, _ in answers]
    assert [await device.is_signed_in() for device in devices] == opened


async def test_who_is_signed_out_meanwhile_changes_nothing_and_stays_out(server, monkeypatch):
    ada = await person(server)
    elsewhere = await ada.again()
    hash_, signed_out = Passwords.hash, []

    async def slow(self, password):
        signed_out.append(await elsewhere.post("logout-everywhere"))
        return await hash_(self, password)

    monkeypatch.setattr(Passwords, "hash", slow)
    status, problem = await change(ada)
    monkeypatch.undo()
    assert signed_out == [(204, None)]
    assert (status, problem["code"]) == (401, "unauthorized")
    assert not await ada.is_signed_in()
    assert await ada.can_log_in()


async def test_guesses_at_the_current_one_are_counted(settings):
    async with running_server(replace(settings, guesses_per_hour=3)) as server:
        ada = await person(server)
        statuses = [(await change(ada, current="wrong horse"))[0] for _ in range(4)]
        assert statuses == [403, 403, 403, 429]
        assert (await change(ada))[0] == 429, "whether it is right or not"


async def test_passphrases_that_differ_late_are_different(server):
    """bcrypt itself looks at 72 bytes, and stops at a NUL."""
    ada = await person(server, password="correct horse battery staple " * 4 + "x")
    long, nul = ada.password[:-1] + "y", "correct horse\0x"
    assert await change(ada, long, long) == (403, (await change(ada, long, long))[1])
    assert await change(ada, nul, ada.password) == (204, None)
    for wrong in ("correct horse", "correct horse\0", "correct horse\0y"):
        assert not await ada.can_log_in(wrong)
    assert await ada.can_log_in(nul)


@pytest.fixture
async def users(database):
    await create_indexes(database)
    return Users(database)


async def hash_of(users, email="ada@shop.example"):
    return (await users.find_by_email(email)).password_hash


async def test_a_hash_is_renewed_at_log_in_when_the_cost_rose_and_not_when_it_fell(users):
    for cost, expected in ((5, "$2b$05$"), (4, "$2b$05$"), (6, "$2b$06$")):
        passwords = Passwords(cost)
        accounts = Accounts(users, passwords)
        await accounts.ensure("ada@shop.example", PASSWORD, "Ada")
        await accounts.login("ada@shop.example", PASSWORD)
        assert (await hash_of(users)).startswith(expected)
        await accounts.login("ada@shop.example", PASSWORD)
        passwords.close()


@pytest.mark.parametrize(("before", "today"), [(4, 6), (6, 4)])
async def test_a_wrong_password_is_as_much_work_for_a_hash_of_another_cost(
    users, monkeypatch, before, today
):
    """Or the time would tell which addresses are known."""
    earlier = Passwords(before)
    await Accounts(users, earlier).ensure("ada@shop.example", PASSWORD, "Ada")
    earlier.close()
    passwords, work, checkpw = Passwords(today), [], bcrypt.checkpw

    def counting(password, hashed):
        work[-1] += 2 ** int(hashed[4:6])
        return checkpw(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    for email in ("ada@shop.example", "nobody@shop.example"):
        work.append(0)
        with pytest.raises(WrongCredentialsError):
            await Accounts(users, passwords).login(email, "wrong horse")
    assert work == [2**6, 2**6]
    passwords.close()


async def test_renewing_a_hash_undoes_no_change_of_the_password(users, monkeypatch):
    accounts = Accounts(users, Passwords(4))
    user = await accounts.register("ada@shop.example", PASSWORD, "Ada")
    accounts.close()
    changed = await Passwords(4).hash(NEW)
    passwords = Passwords(5)
    make = passwords.hash

    async def hash_while_it_is_changed(password):
        await users.change_password(user.id, changed)
        return await make(password)

    monkeypatch.setattr(passwords, "hash", hash_while_it_is_changed)
    await Accounts(users, passwords).login("ada@shop.example", PASSWORD)
    assert await hash_of(users) == changed
    passwords.close()


async def test_no_password_gets_into_the_log(server, caplog):
    caplog.set_level(logging.INFO)
    ada = await person(server)
    await change(ada, current="wrong horse")
    await change(ada)
    await ada.can_log_in("wronger horse")
    told = " ".join(str(vars(record)) for record in caplog.records)
    events = [r.event for r in caplog.records if r.name == "commerce.security"]
    assert {"password_refused", "password_changed", "sign_in_failed"} <= set(events)
    for word in (PASSWORD, NEW, "wrong horse", "wronger horse", ada.email):
        assert word not in told


def test_common_passwords_are_looked_up_without_hashing(monkeypatch):
    monkeypatch.delattr(bcrypt, "hashpw")
    with pytest.raises(WeakPasswordError):
        check_choice("password", None, None)
