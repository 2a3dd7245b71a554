"""What administrators and support do about other people's accounts, and who may not."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from commerce.accounts import policy
from commerce.accounts.people import People
from handlers import keys
from tests.cast import Cast, Somebody
from tests.client import Server

OF_STAFF = {
    "person_looked_up",
    "role_changed",
    "account_disabled",
    "account_enabled",
    "signed_out_by_staff",
}
USERS = "/api/v1/auth/users"
FIND = "/api/v1/auth/find-user"


@pytest.fixture
def cast(server: Server) -> Cast:
    return Cast(server)


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture):
    """The security events so far of what is done to other people, each as its fields."""
    caplog.set_level(logging.INFO, "commerce.security")
    names = ("event", "by", "user", "old", "new")

    def noted() -> list[dict[str, Any]]:
        return [
            {name: getattr(record, name) for name in names if hasattr(record, name)}
            for record in caplog.records
            if record.name == "commerce.security" and record.event in OF_STAFF
        ]

    return noted


async def ask(
    server: Server, person: Somebody, method: str, path: str, **options: Any
) -> tuple[int, Any]:
    url = server.url + path
    async with server.http.request(method, url, headers=person.headers, **options) as response:
        body = await response.read()
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, json.loads(body) if body else None


async def change(server: Server, by: Somebody, whose: str, **changes: Any) -> tuple[int, Any]:
    return await ask(server, by, "PATCH", f"{USERS}/{whose}", json=changes)


async def still_in(server: Server, person: Somebody) -> bool:
    return (await ask(server, person, "GET", "/api/v1/auth/me"))[0] == 200


@pytest.mark.parametrize("group", [policy.SUPPORT, policy.ADMIN])
async def test_an_account_is_found_by_its_address_and_by_its_id(server, cast, events, group):
    staff, customer = await cast.one(group), await cast.one(policy.CUSTOMER)
    expected = {
        "id": customer.user,
        "email": customer.email,
        "name": customer.name,
        "role": "customer",
        "guest": False,
        "confirmed": True,
        "disabled": False,
    }
    assert await ask(server, staff, "GET", f"{USERS}/{customer.user}") == (200, expected)
    spelled = {"email": customer.email.upper()}
    assert await ask(server, staff, "POST", FIND, json=spelled) == (
        200,
        {"items": [expected]},
    )
    nobody = {"email": "nobody@shop.example"}
    assert await ask(server, staff, "POST", FIND, json=nobody) == (200, {"items": []})
    part = {"email": customer.email[1:]}
    assert await ask(server, staff, "POST", FIND, json=part) == (200, {"items": []})
    status, problem = await ask(server, staff, "GET", f"{USERS}/usr_nobody")
    assert (status, problem["code"]) == (404, "not_found")
    looked_up = {"event": "person_looked_up", "by": staff.user, "user": customer.user}
    assert events() == [looked_up, looked_up]


async def test_a_new_role_counts_at_once_and_ends_the_sessions_of_before(server, cast, events):
    admin, person = await cast.one(policy.ADMIN), await cast.one(policy.CUSTOMER)
    async with server.connect(person.account) as client:
        status, answer = await change(server, admin, person.user, role="support")
        assert (status, answer["role"]) == (200, "support")
        assert await client.closed() == 4503
    assert not await still_in(server, person)
    again = await cast.again(person)
    assert (await ask(server, again, "GET", f"{USERS}/{person.user}"))[0] == 200
    changed = {"event": "role_changed", "by": admin.user, "user": person.user}
    assert events()[0] == {**changed, "old": "customer", "new": "support"}

    # What is so already changes nothing.
    assert (await change(server, admin, person.user, role="support"))[0] == 200
    assert (await change(server, admin, person.user))[0] == 200
    assert await still_in(server, again)

    await change(server, admin, person.user, role="customer")
    customer = await cast.again(person)
    assert (await ask(server, customer, "GET", f"{USERS}/{person.user}"))[0] == 403


async def test_who_is_locked_out_is_out_at_once_until_unlocked(server, cast, events):
    admin, person = await cast.one(policy.ADMIN), await cast.one(policy.CUSTOMER)
    async with server.connect(person.account) as client:
        status, answer = await change(server, admin, person.user, disabled=True)
        assert (status, answer["disabled"]) == (200, True)
        assert await client.closed() == 4503
    assert not await still_in(server, person)
    credentials = {"email": person.email, "password": "correct horse battery staple"}
    wrong = {**credentials, "password": "something else"}
    nobody = Somebody(policy.ANONYMOUS)
    locked = await ask(server, nobody, "POST", "/api/v1/auth/login", json=credentials)
    assert locked[0] == 401
    assert locked == await ask(server, nobody, "POST", "/api/v1/auth/login", json=wrong)

    status, answer = await change(server, admin, person.user, disabled=False)
    assert (status, answer["disabled"]) == (200, False)
    assert not await still_in(server, person)  # what was ended stays ended
    assert await still_in(server, await cast.again(person))
    assert [one["event"] for one in events()] == ["account_disabled", "account_enabled"]


async def test_support_signs_people_out_but_not_administrators(server, cast, events):
    support, admin = await cast.one(policy.SUPPORT), await cast.one(policy.ADMIN)
    person = await cast.one(policy.CUSTOMER)
    async with server.connect(person.account) as client:
        assert await ask(server, support, "POST", f"{USERS}/{person.user}/sign-out") == (204, None)
        assert await client.closed() == 4503
    assert not await still_in(server, person)
    assert await still_in(server, await cast.again(person))
    status, problem = await ask(server, support, "POST", f"{USERS}/{admin.user}/sign-out")
    assert (status, problem["code"]) == (403, "forbidden")
    assert await still_in(server, admin)
    assert await ask(server, admin, "POST", f"{USERS}/{support.user}/sign-out") == (204, None)
    assert not await still_in(server, support)
    status, problem = await ask(server, admin, "POST", f"{USERS}/usr_nobody/sign-out")
    assert (status, problem["code"]) == (404, "not_found")
    assert [(one["by"], one["user"]) for one in events()] == [
        (support.user, person.user),
        (admin.user, support.user),
    ]


async def test_nobody_changes_their_own_role_or_locks_themselves_out(server, cast, events):
    admin = await cast.one(policy.ADMIN)
    for changes in ({"role": "customer"}, {"disabled": True}, {"role": "admin"}):
        status, problem = await change(server, admin, admin.user, **changes)
        assert (status, problem["code"]) == (403, "forbidden")
    assert await still_in(server, admin)
    assert events() == []


async def test_two_who_depose_each_other_at_once_leave_an_administrator(server, cast):
    pair = [await cast.one(policy.ADMIN) for _ in range(2)]
    for _ in range(5):
        answers = await asyncio.gather(
            change(server, pair[0], pair[1].user, role="customer"),
            change(server, pair[1], pair[0].user, disabled=True),
        )
        assert {status for status, _ in answers} <= {200, 401, 403, 409}
        found = []
        for person in pair:
            users = server.app[keys.DATABASE].collection("users")
            stored = await users.find_one({"_id": person.user})
            found.append(stored["role"] == "admin" and not stored.get("disabled"))
        assert any(found), answers
        if all(found):
            continue
        pair = [await cast.one(policy.ADMIN) for _ in range(2)]


async def test_who_takes_back_a_role_leaves_what_others_did_meanwhile(server, cast, monkeypatch):
    admin, other, third = [await cast.one(policy.ADMIN) for _ in range(3)]
    is_admin = People._is_admin

    async def meanwhile(self, user):
        if user == admin.user:
            assert (await change(server, third, other.user, disabled=True))[0] == 200
            assert (await change(server, third, admin.user, role="customer"))[0] == 200
        return await is_admin(self, user)

    monkeypatch.setattr(People, "_is_admin", meanwhile)
    status, problem = await change(server, admin, other.user, role="seller")
    assert (status, problem["code"]) == (409, "conflict")
    _, person = await ask(server, third, "GET", f"{USERS}/{other.user}")
    assert (person["role"], person["disabled"]) == ("admin", True)


async def test_a_guest_has_no_role(server, cast):
    admin, guest = await cast.one(policy.ADMIN), await cast.one(policy.GUEST)
    status, problem = await change(server, admin, guest.user, role="seller")
    assert (status, problem["code"]) == (409, "conflict")
    assert (await ask(server, admin, "GET", f"{USERS}/{guest.user}"))[1]["email"] is None
    assert (await change(server, admin, guest.user, disabled=True))[0] == 200
    assert not await still_in(server, guest)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"role": "boss"}, ["role"]),
        ({"role": None}, ["role"]),
        ({"disabled": "yes"}, ["disabled"]),
        ({"disabled": 1}, ["disabled"]),
        ({"disabled": None}, ["disabled"]),
        ({"email": "x@shop.example"}, ["email"]),
        ({"role": "seller", "password_hash": "x", "epoch": 9}, ["epoch", "password_hash"]),
    ],
)
async def test_what_can_not_be_changed_is_named(server, cast, changes, fields):
    admin, person = await cast.one(policy.ADMIN), await cast.one(policy.CUSTOMER)
    status, problem = await change(server, admin, person.user, **changes)
    assert (status, problem["code"]) == (400, "bad_request")
    assert sorted(problem["errors"]) == fields
    assert await still_in(server, person)
