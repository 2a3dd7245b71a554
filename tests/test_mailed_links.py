"""Links that are mailed: to confirm an address, and to choose a new password."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from commerce.accounts.confirming import CONFIRM_TTL_S
from commerce.accounts.links import OneTimeLinks
from commerce.accounts.resetting import RESET_TTL_S
from handlers import keys
from storage.links import Links
from tests.client import running_server
from tests.mailbox import folder_mails, mails_to, text_of
from tests.people import Person, mail_settled, person


@pytest.fixture(scope="module")
async def server(module_settings):
    """One for all tests here: each has people of its own."""
    async with running_server(module_settings) as server:
        yield server


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the time of links is ahead."""
    ahead = [0.0]
    make = OneTimeLinks.__init__

    def make_with_clock(self, links):
        make(self, links, lambda: time.time() + ahead[0])

    monkeypatch.setattr(OneTimeLinks, "__init__", make_with_clock)
    return ahead


async def refused(someone, path, body, part=""):
    """The reason for which a link is refused."""
    status, problem = await someone.post(path, body)
    assert (status, problem["code"]) == (400, "bad_request")
    assert problem["errors"] == {"token": [problem["detail"]]}
    assert part in problem["detail"]
    return problem["detail"]


async def ask_for_reset(someone, count=1):
    """The token of the count-th link that they have asked for."""
    assert await someone.post("reset", {"email": someone.email}) == (202, {})
    return await someone.mailed("reset", count)


# Confirming


async def test_the_mailed_link_confirms_the_address(server):
    ada = await person(server)
    assert (await ada.me())["confirmed"] is False
    token = await ada.mailed("confirm")

    stranger = Person(server, "")  # whoever holds the mail may be signed in, or not
    status, user = await stranger.post("confirm", {"token": token})

    assert status == 200, user
    assert (user["id"], user["confirmed"]) == (ada.id, True)
    assert await ada.me() == user


async def test_a_link_confirms_once(server):
    ada = await person(server)
    token = await ada.mailed("confirm")
    statuses = await asyncio.gather(*(ada.post("confirm", {"token": token}) for _ in range(5)))

    assert sorted(status for status, _ in statuses) == [200, 400, 400, 400, 400]
    await refused(ada, "confirm", {"token": token}, "used already")


async def test_a_link_to_confirm_ends_after_three_days(settings, clock):
    async with running_server(settings) as server:
        ada = await person(server)
        token = await ada.mailed("confirm")
        clock[0] = CONFIRM_TTL_S + 1
        await refused(ada, "confirm", {"token": token}, "time is over")
        assert (await ada.me())["confirmed"] is False
        clock[0] = CONFIRM_TTL_S - 60
        await ada.done("POST", "confirm", {"token": token})


async def test_a_new_link_takes_the_place_of_the_one_before(server):
    ada = await person(server)
    first = await ada.mailed("confirm")
    assert await ada.post("confirm/resend") == (202, {})
    second = await ada.mailed("confirm", 2)

    await refused(ada, "confirm", {"token": first}, "only the newest")
    await ada.done("POST", "confirm", {"token": second})
    assert await ada.post("confirm/resend") == (202, {})
    await mail_settled(server)
    assert len(await mails_to(ada.folder, ada.email, "confirm")) == 2, "there is nothing to do"


@pytest.mark.parametrize(
    "make",
    [
        lambda token, other: "nonsense",
        lambda token, other: token[:-1],
        lambda token, other: f"{token}x",
        lambda token, other: token.partition(".")[0] + ".",
        lambda token, other: f"{other}.{token.partition('.')[2]}",
        lambda token, other: f"usr_of_nobody.{token.partition('.')[2]}",
        lambda token, other: f"nobody-00.{token.partition('.')[2]}",
        lambda token, other: "\u00e9.\u00e9",
    ],
    ids=["nonsense", "cut", "long", "no secret", "another's", "nobody's", "feigned", "not ascii"],
)
async def test_a_made_up_link_does_nothing(server, make):
    ada, bob = await person(server), await person(server, "Bob")
    token = await ada.mailed("confirm")
    for path, extra in (("confirm", {}), ("reset/complete", {"password": "a new horse"})):
        await refused(ada, path, {"token": make(token, bob.id), **extra})
    assert not (await ada.me())["confirmed"]
    assert not (await bob.me())["confirmed"]


async def test_a_link_of_one_purpose_is_none_of_another(server):
    ada = await person(server)
    confirm, reset = await ada.mailed("confirm"), await ask_for_reset(ada)

    await refused(ada, "confirm", {"token": reset})
    await refused(ada, "reset/complete", {"token": confirm, "password": "a new horse"})
    assert not (await ada.me())["confirmed"]
    assert await ada.can_log_in()


async def test_links_that_are_asked_for_too_often_are_not_mailed(settings):
    async with running_server(replace(settings, mails_per_hour=3)) as server:
        ada = await person(server)  # registering isn't among them
        statuses = [(await ada.post("confirm/resend"))[0] for _ in range(4)]
        assert statuses == [202, 202, 202, 429]


async def test_a_mailbox_gets_so_many_mails_and_no_more(server):
    ada = await person(server)
    statuses = [(await ada.post("confirm/resend"))[0] for _ in range(6)]
    assert statuses == [202] * 5 + [429], "the first was mailed on registering"

    assert await ada.post("reset", {"email": ada.email.upper()}) == (202, {})
    await mails_to(ada.folder, ada.email, "confirm", 6)
    await mail_settled(server)
    assert len([mail for mail in folder_mails(ada.folder) if mail["To"] == ada.email]) == 6


# A new password


async def test_the_mailed_link_opens_the_way_to_a_new_password(server):
    ada = await person(server)
    elsewhere = await ada.again()
    token = await ask_for_reset(ada)

    status, nothing = await Person(server, "").post(
        "reset/complete", {"token": token, "password": "a new horse"}
    )

    assert (status, nothing) == (204, None)
    assert not await ada.can_log_in()
    assert await ada.can_log_in("a new horse")
    for device in (ada, elsewhere):
        assert not await device.is_signed_in()
        status, _ = await device.post("refresh", {"refresh_token": device.refresh_token})
        assert status == 401
    (mail,) = await mails_to(ada.folder, ada.email, "password_changed")
    assert "was" in mail["Subject"]
    ada.password = "a new horse"
    assert (await (await ada.again()).me())["confirmed"], "the link came by the address"


async def test_of_two_who_use_a_link_at_once_one_sets_the_password(server):
    ada = await person(server)
    token = await ask_for_reset(ada)
    words = [f"horse number {n}" for n in range(4)]
    answers = await asyncio.gather(
        *(ada.post("reset/complete", {"token": token, "password": word}) for word in words)
    )

    statuses = [status for status, _ in answers]
    assert sorted(statuses) == [204, 400, 400, 400]
    opened = [await ada.can_log_in(word) for word in words]
    assert opened == [status == 204 for status in statuses]


async def test_a_link_to_a_new_password_ends_after_half_an_hour(settings, clock):
    async with running_server(settings) as server:
        ada = await person(server)
        token = await ask_for_reset(ada)
        clock[0] = RESET_TTL_S + 1
        await refused(
            ada, "reset/complete", {"token": token, "password": "a new horse"}, "time is over"
        )
        assert await ada.can_log_in()


async def test_one_link_to_a_new_password_is_live(server):
    ada = await person(server)
    first = await ask_for_reset(ada)
    second = await ask_for_reset(ada, 2)

    await refused(
        ada, "reset/complete", {"token": first, "password": "a new horse"}, "only the newest"
    )
    await ada.done("POST", "reset/complete", {"token": second, "password": "a new horse"})
    await refused(ada, "reset/complete", {"token": second, "password": "another horse"}, "used")


async def test_a_password_that_is_refused_uses_up_no_link(server):
    ada = await person(server)
    token = await ask_for_reset(ada)
    for word in ("short", "password1", ada.email):
        status, problem = await ada.post("reset/complete", {"token": token, "password": word})
        assert (status, list(problem["errors"])) == (400, ["password"])
    await ada.done("POST", "reset/complete", {"token": token, "password": "a new horse"})


async def test_the_answer_does_not_tell_whether_an_address_is_known(server):
    ada, eve = await person(server), await person(server, "Eve")
    users = server.app[keys.DATABASE].collection("users")
    await users.update_one({"_id": eve.id}, {"$set": {"disabled": True}})
    addresses = (ada.email, "nobody@shop.example", eve.email)
    answers = []
    for email in addresses:
        url = f"{server.url}/api/v1/auth/reset"
        async with server.http.post(url, json={"email": email}) as response:
            kept = {k: v for k, v in response.headers.items() if k not in VARYING}
            answers.append((response.status, kept, await response.read()))

    assert answers[0] == answers[1] == answers[2]
    await ada.mailed("reset")
    await mail_settled(server)
    mails = [mail["To"] for mail in folder_mails(ada.folder) if "new password" in mail["Subject"]]
    assert [address for address in addresses if address in mails] == [ada.email]


VARYING = {"Date", "RateLimit", "X-Request-ID"}


async def test_an_unknown_address_costs_the_same_work(server, monkeypatch):
    ada = await person(server)
    puts, put = [], Links.put

    async def counting(self, purpose, user, digest, expires_at):
        puts.append((purpose, len(digest), user == ada.id))
        await put(self, purpose, user, digest, expires_at)

    monkeypatch.setattr(Links, "put", counting)
    await ada.post("reset", {"email": ada.email})
    await ada.post("reset", {"email": "nobody@shop.example"})
    assert puts == [("reset", 64, True), ("reset", 64, False)]


async def test_the_store_holds_nothing_that_is_a_link(server):
    ada = await person(server)
    tokens = [await ada.mailed("confirm"), await ask_for_reset(ada)]
    stored = repr(await server.app[keys.DATABASE].collection("links").find({}).to_list(None))
    assert ada.id in stored
    for token in tokens:
        assert token.partition(".")[2] not in stored


async def test_a_mail_leads_to_the_page_and_nowhere_else(server):
    """Where the link leads is a setting, not what the request's Host says."""
    ada = await person(server)
    ada.headers["Host"] = "evil.example"
    await ask_for_reset(ada)
    (mail,) = await mails_to(ada.folder, ada.email, "reset")
    assert "evil.example" not in str(mail)
    assert "/#/reset/usr_" in text_of(mail)
