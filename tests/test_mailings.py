"""Mails about changes: who was away gets one, when they want it, and can end them from it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo.errors import AutoReconnect

from commerce.mail import mailer as mailer_module
from commerce.notifying import mailings
from commerce.notifying.unsubscribing import UnsubscribeTokens, Wish
from handlers import keys
from server.settings import Settings
from storage.mail_due import Due, MailDue
from storage.mongo import Database
from storage.notifications import Notifications
from storage.users import Users
from tests.client import APPLE, BREAD, Client, Server, running_server
from tests.helpers import eventually
from tests.mailbox import Mailbox, html_of, mail_server, text_of
from tests.people import Person, person
from tests.worker_processes import running_workers

PATIENCE_S = 60.0
WHOLE_MS = 600_000 + 50
"""After so long a collection is whole, and known to be."""
ENDING, MUTING = "End these mails, without logging in", "Hear no more of this cart"
ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Clock:
    """What mailings take for the time: ahead of it by as much as a test says."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self._now_ms = mailings.now_ms

    def __call__(self) -> int:
        return self._now_ms() + self.ahead_ms

    def reach(self, at_ms: int) -> None:
        self.ahead_ms = max(self.ahead_ms, at_ms - self._now_ms())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(mailings, "now_ms", clock)
    monkeypatch.setattr(mailings, "POLL_S", 0.05)
    monkeypatch.setattr(mailer_module, "START_S", (0.0, 0.001))
    return clock


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as mailbox:
        yield mailbox


@pytest.fixture
def hasty(settings: Settings, mailbox: Mailbox) -> Settings:
    """Nobody can be there in time. Collections are as long as ever: the tests move the clock."""
    return replace(
        settings,
        workers=("notify",),
        smtp_url=f"smtp://127.0.0.1:{mailbox.port}",
        mail_from="Cartroom <no-reply@shop.example>",
        public_url="https://shop.example/carts/",
        notify_after_s=0.05,
        seen_every_s=1_000.0,
        follow_every_s=0.05,
    )


@dataclass
class Shop:
    """A service, whom it writes to, and what it takes for the time of mails."""

    server: Server
    mailbox: Mailbox
    clock: Clock
    people: list[Person] = field(default_factory=list)

    async def person(self, name: str, *, confirmed: bool = True, **wishes: Any) -> Person:
        someone = await person(self.server, name)
        if confirmed:
            await Users(self.server.app[keys.DATABASE]).confirm(someone.id)
        if wishes:
            await someone.done("PATCH", "me", wishes)
        return someone

    def news(self, someone: Person) -> list[EmailMessage]:
        """The mails about changes that they have got."""
        return [
            mail
            for mail in self.mailbox.mails
            if mail["To"] == someone.email and "#/inbox" in text_of(mail)
        ]

    async def mailed(self, someone: Person, count: int = 1) -> list[EmailMessage]:
        return await eventually(
            lambda: mails if len(mails := self.news(someone)) >= count else [],
            PATIENCE_S,
            f"{count} mails to {someone.name}",
        )

    async def let_in(self, someone: Person) -> None:
        """Until the mails are out that come of having an account and being let in to a cart."""

        def told() -> bool:
            mails = [mail for mail in self.mailbox.mails if mail["To"] == someone.email]
            return any(mail["Subject"].startswith("Ana shares") for mail in mails)

        await eventually(told, PATIENCE_S, f"a mail that {someone.name} was let in")
        mailer = self.server.app[keys.MAILER]
        await eventually(lambda: mailer.waiting == 0, PATIENCE_S, "the mails to be out")

    async def due(self, someone: Person) -> int | None:
        """When it is looked at what there is to mail to them; None for never."""
        database = self.server.app[keys.DATABASE]
        found = await database.collection("mail_due").find_one({"_id": someone.id})
        return None if found is None else found["due"]

    async def noted(self, *people: Person) -> list[int]:
        """When each of them is due, once each is."""
        return [
            await eventually(lambda one=one: self.due(one), PATIENCE_S, f"{one.name} to be due")
            for one in people
        ]

    async def settled(self, *people: Person) -> None:
        """Until nothing is to be looked at for any of them."""

        async def open_() -> list[str]:
            return [one.name for one in people if await self.due(one) is not None]

        async def none() -> bool:
            return not await open_()

        await eventually(none, PATIENCE_S, f"none of {[one.name for one in people]} to be due")


@pytest.fixture
async def shop(hasty: Settings, mailbox: Mailbox, clock: Clock) -> AsyncIterator[Shop]:
    async with running_server(hasty) as server:
        await server.products(APPLE, BREAD)
        yield Shop(server, mailbox, clock)


@asynccontextmanager
async def shared(shop: Shop, *others: Person) -> AsyncIterator[tuple[Client, str]]:
    """Ana's client, and a cart that she shares with these."""
    ana = await shop.person("Ana")
    async with shop.server.connect(ana.account) as client:
        cart = await client.create(name="Picnic")
        await client.share(cart, *(one.account for one in others))
        yield client, cart


async def told(shop: Shop, someone: Person, count: int) -> int:
    """When the first of so many changes was made that they have been notified of, in ms."""
    async with shop.server.connect(someone.account) as client:

        async def found() -> int | None:
            for one in (await client.request("notifications.list"))["notifications"]:
                if one["kind"] == "changes" and one["count"] >= count:
                    return round(datetime.fromisoformat(one["opened_at"]).timestamp() * 1000)
            return None

        return await eventually(found, PATIENCE_S, f"{count} changes told to {someone.name}")


def next_eight(at_ms: int) -> int:
    """The next 08:00 in UTC."""
    there = datetime.fromtimestamp(at_ms / 1000, UTC)
    eight = there.replace(hour=8, minute=0, second=0, microsecond=0)
    return round((eight if eight >= there else eight + timedelta(days=1)).timestamp() * 1000)


def token_in(mail: EmailMessage, words: str) -> str:
    """What the link that follows these words ends with."""
    found = re.search(rf"{words}: https://shop\.example/carts/#/unsubscribe/(\S+)", text_of(mail))
    assert found is not None, text_of(mail)
    assert f'href="https://shop.example/carts/#/unsubscribe/{found.group(1)}"' in html_of(mail)
    return found.group(1)


async def test_who_was_away_gets_one_digest(shop: Shop) -> None:
    bea = await shop.person("Bea")
    async with shared(shop, bea) as (client, cart):
        before = shop.clock()
        await client.add(cart, "APPLE", 2)
        await client.op(cart, "rename", name="Feast")
        await client.add(cart, "BREAD")
        await told(shop, bea, 3)
        (due,) = await shop.noted(bea)
        assert due in (next_eight(before + WHOLE_MS), next_eight(shop.clock() + WHOLE_MS))
        assert shop.news(bea) == []

        shop.clock.reach(due)
        (mail,) = await shop.mailed(bea)
        await shop.settled(bea)
    assert len(shop.news(bea)) == 1

    assert mail["Subject"] == "What happened in “Feast”"
    text = text_of(mail)
    did = "Ana added something 2 times, renamed the cart (2 × Apple, 1 × Rye bread)"
    assert did in " ".join(text.split())
    assert f"https://shop.example/carts/#/cart/{cart}" in text
    assert f'href="https://shop.example/carts/#/cart/{cart}"' in html_of(mail)
    assert mail["List-Unsubscribe-Post"] == ONE_CLICK
    token = token_in(mail, ENDING)
    assert mail["List-Unsubscribe"] == f"<https://shop.example/carts/unsubscribe?token={token}>"
    line = f"List-Unsubscribe: <https://shop.example/carts/unsubscribe?token={token}>\r\n"
    assert any(line.encode() in one.content for one in shop.mailbox.envelopes)


async def test_at_once_means_when_the_collection_is_whole(shop: Shop) -> None:
    bea = await shop.person("Bea", notifications={"changes": "at_once"})
    async with shared(shop, bea) as (client, cart):
        for sku in ("APPLE", "BREAD", "APPLE"):
            await client.add(cart, sku)
        opened_at = await told(shop, bea, 3)
        (due,) = await shop.noted(bea)
        assert due == opened_at + WHOLE_MS
        shop.clock.reach(due)
        (mail,) = await shop.mailed(bea)
        assert mail["Subject"] == "Ana: news of the cart “Picnic”"
        assert "added something 3 times" in text_of(mail)


async def test_mails_at_once_are_apart_by_the_time_of_a_collection(shop: Shop) -> None:
    bea = await shop.person("Bea", notifications={"changes": "at_once"})
    async with shared(shop, bea) as (client, cart):
        await client.add(cart, "APPLE")
        (due,) = await shop.noted(bea)
        shop.clock.reach(due)
        await shop.mailed(bea)
        # It is known late: to the mailings' clock it is due already.
        await client.add(cart, "BREAD")
        await told(shop, bea, 2)
        shop.clock.reach(shop.clock() + mailings.SETTLE_MS)

        async def held() -> bool:
            found = await shop.due(bea)
            return found is not None and found > shop.clock()

        await eventually(held, PATIENCE_S, "the next mail to be put off")
        (then,) = await shop.noted(bea)
        assert then >= due + 600_000
        assert len(shop.news(bea)) == 1
        shop.clock.reach(then)
        await shop.mailed(bea, 2)
        shop.clock.reach(then + 600_000)
        await shop.settled(bea)


async def test_quiet_hours_hold_it(shop: Shop) -> None:
    now = datetime.fromtimestamp(shop.clock() / 1000, UTC)
    quiet = {
        "from": f"{now - timedelta(hours=1):%H:%M}",
        "to": f"{now + timedelta(hours=8):%H:%M}",
    }
    bea = await shop.person("Bea", notifications={"changes": "at_once"}, quiet_hours=quiet)
    cem = await shop.person("Cem", notifications={"changes": "at_once"})
    async with shared(shop, bea, cem) as (client, cart):
        await client.add(cart, "APPLE")
        due, control = await shop.noted(bea, cem)
        end = now.replace(second=0, microsecond=0) + timedelta(hours=8)
        assert due == round(end.timestamp() * 1000)
        shop.clock.reach(control)
        await shop.mailed(cem)
        assert shop.news(bea) == []
        shop.clock.reach(due)
        (mail,) = await shop.mailed(bea)
        assert "added something" in text_of(mail)


async def test_a_worker_that_comes_late_keeps_quiet(shop: Shop) -> None:
    """What was due before the quiet hours waits for their end, too, when they have begun."""
    now = datetime.fromtimestamp(shop.clock() / 1000, UTC).replace(second=0, microsecond=0)
    begin, end = now + timedelta(minutes=20), now + timedelta(hours=8)
    quiet = {"from": f"{begin:%H:%M}", "to": f"{end:%H:%M}"}
    bea = await shop.person("Bea", notifications={"changes": "at_once"}, quiet_hours=quiet)
    async with shared(shop, bea) as (client, cart):
        await client.add(cart, "APPLE")
        (due,) = await shop.noted(bea)
        assert due < begin.timestamp() * 1000
        shop.clock.reach(round(begin.timestamp() * 1000) + 60_000)

        async def put_off() -> bool:
            return await shop.due(bea) == round(end.timestamp() * 1000)

        await eventually(put_off, PATIENCE_S, "the mail to be put off")
        assert shop.news(bea) == []
        shop.clock.reach(round(end.timestamp() * 1000))
        await shop.mailed(bea)


async def test_who_need_not_be_told_gets_none(shop: Shop) -> None:
    """What was read, muted, left or not wanted, and addresses that may be somebody else's."""
    names = ("Reader", "Muter", "Leaver", "Ender", "Wanter")
    reader, muter, leaver, ender, wanter = [await shop.person(name) for name in names]
    stranger = await shop.person("Stranger", confirmed=False)
    uninterested = await shop.person("Uninterested", notifications={"changes": "none"})
    everybody = (reader, muter, leaver, ender, wanter, stranger, uninterested)
    async with shared(shop, *everybody) as (client, cart):
        await client.add(cart, "APPLE")
        for one in everybody:
            await told(shop, one, 1)
        dues = await shop.noted(reader, muter, leaver, ender, wanter)
        assert await shop.due(stranger) is None
        async with shop.server.connect(leaver.account) as one:
            await one.op(cart, "unshare", user=leaver.id)
        async with shop.server.connect(reader.account) as one:

            async def heard_of_leaving() -> bool:
                found = (await one.request("notifications.list"))["notifications"]
                return any(news["by"]["user"] == leaver.id for news in found)

            await eventually(heard_of_leaving, PATIENCE_S, "the reader to hear of the leaver")
            await one.request("notifications.read")
        async with shop.server.connect(muter.account) as one:
            await one.request("cart.mute", cart=cart, muted=True)
        await ender.done("PATCH", "me", {"notifications": {"changes": "none"}})
        shop.clock.reach(max(dues))
        await shop.mailed(wanter)
        await shop.settled(reader, muter, ender, uninterested)
    assert [one.name for one in everybody if shop.news(one)] == ["Wanter"]


async def test_another_choice_holds_for_what_waits(shop: Shop) -> None:
    bea = await shop.person("Bea")
    async with shared(shop, bea) as (client, cart):
        await client.add(cart, "APPLE")
        (eight,) = await shop.noted(bea)
        await bea.done("PATCH", "me", {"notifications": {"changes": "at_once"}})

        async def another() -> int | None:
            due = await shop.due(bea)
            return due if due and due != eight else None

        soon = await eventually(another, PATIENCE_S, "another time")
        shop.clock.reach(soon)
        await shop.mailed(bea)


# Ending them


async def post(shop: Shop, address: str, **options: Any) -> tuple[int, Any]:
    """As somebody who isn't signed in."""
    async with shop.server.http.post(shop.server.url + address, **options) as response:
        return response.status, await response.json(content_type=None)


async def a_mail(shop: Shop, bea: Person) -> EmailMessage:
    async with shared(shop, bea) as (client, cart):
        await client.add(cart, "APPLE")
        (due,) = await shop.noted(bea)
        shop.clock.reach(due)
        (mail,) = await shop.mailed(bea)
    return mail


async def wanted(someone: Person) -> Any:
    return (await someone.me())["notifications"].get("changes")


async def test_a_mail_program_ends_them_by_one_click(shop: Shop) -> None:
    bea = await shop.person("Bea", notifications={"changes": "at_once"})
    mail = await a_mail(shop, bea)
    url = urlsplit(mail["List-Unsubscribe"].strip("<>"))
    address = f"/{url.path.removeprefix('/carts/')}?{url.query}"

    # Looking at the address ends nothing: programs look at all links.
    async with shop.server.http.get(shop.server.url + address, allow_redirects=False) as looked:
        assert looked.status == 302
        assert looked.headers["Location"] == f"/#/unsubscribe/{token_in(mail, ENDING)}"
    async with shop.server.http.head(shop.server.url + address) as looked:
        assert looked.status < 400
    assert await wanted(bea) == "at_once"

    for _ in range(2):
        answer = await post(shop, address, data=ONE_CLICK, headers=FORM)
        assert answer == (200, {"ended": "changes", "cart": None})
        assert await wanted(bea) == "none"


async def test_a_person_ends_them_by_the_link_and_mutes_a_cart_by_the_other(shop: Shop) -> None:
    bea = await shop.person("Bea", notifications={"changes": "at_once"})
    mail = await a_mail(shop, bea)
    path = "/api/v1/auth/unsubscribe"
    async with shop.server.connect(bea.account) as client:
        status, answer = await post(shop, path, json={"token": token_in(mail, MUTING)})
        cart = answer["cart"]
        assert (status, answer) == (200, {"ended": "cart", "cart": cart})
        told = await eventually(
            lambda: [one for one in client.pushes if one.get("kind") == "cart.muted"],
            PATIENCE_S,
            "the page to be told",
        )
        assert [(one["cart"], one["muted"]) for one in told] == [(cart, True)]
        rows = (await client.request("cart.list"))["carts"]
    assert [(row["cart"], row["muted"]) for row in rows] == [(cart, True)]
    assert await wanted(bea) == "at_once"

    status, answer = await post(shop, path, json={"token": token_in(mail, ENDING)})
    assert (status, answer) == (200, {"ended": "changes", "cart": None})
    assert await wanted(bea) == "none"


async def test_mails_of_being_let_in_can_be_ended_from_one(shop: Shop) -> None:
    bea = await shop.person("Bea")
    async with shared(shop, bea):
        (mail,) = await eventually(
            lambda: [one for one in shop.mailbox.mails if one["Subject"].startswith("Ana shares")],
            PATIENCE_S,
            "a mail that Bea was let in",
        )
    assert mail["List-Unsubscribe-Post"] == ONE_CLICK
    token = token_in(mail, ENDING)
    answer = await post(shop, "/api/v1/auth/unsubscribe", json={"token": token})
    assert answer == (200, {"ended": "shared", "cart": None})
    assert (await bea.me())["notifications"] == {"shared": False}


async def test_no_other_token_ends_anything(shop: Shop, hasty: Settings) -> None:
    bea = await shop.person("Bea")
    assert hasty.jwt_secret is not None
    good = UnsubscribeTokens([hasty.jwt_secret]).make(Wish(bea.id, "changes"))
    user, what, mac = good.split(".")
    foreign = UnsubscribeTokens(["x" * 40]).make(Wish(bea.id, "changes"))
    for token in (
        *(f"{user}.{what}", f"{user}.shared.{mac}", f"{user}.crt_1.{mac}", f"{good}0"),
        *(f"usr_{'0' * 24}.{what}.{mac}", foreign, f"{user}.{what}."),
        *(".", bea.token, "é", "\x00", "x" * 300),
    ):
        for answer in (
            await post(shop, "/api/v1/auth/unsubscribe", json={"token": token}),
            await post(shop, "/unsubscribe", params={"token": token}, data=ONE_CLICK, headers=FORM),
        ):
            assert (answer[0], answer[1]["code"]) == (400, "bad_request"), token
            assert list(answer[1]["errors"]) == ["token"]
    assert (await post(shop, "/unsubscribe"))[0] == 400
    assert await wanted(bea) is None


async def test_links_are_good_when_the_key_has_changed_and_their_user_has_gone(
    hasty: Settings, shop: Shop
) -> None:
    bea = await shop.person("Bea")
    assert hasty.jwt_secret is not None
    tokens = UnsubscribeTokens([hasty.jwt_secret])
    newer = replace(hasty, jwt_secret="n" * 40, jwt_secrets_old=(hasty.jwt_secret,))
    async with running_server(newer) as server:
        after = replace(shop, server=server)
        body = {"token": tokens.make(Wish(bea.id, "shared"))}
        answer = await post(after, "/api/v1/auth/unsubscribe", json=body)
        assert answer == (200, {"ended": "shared", "cart": None})
    assert (await bea.me())["notifications"] == {"shared": False}
    await bea.done("DELETE", "me", {"password": bea.password})
    for wish in (Wish(bea.id, "changes"), Wish(bea.id, "cart", "crt_1")):
        body = {"token": tokens.make(wish)}
        assert (await post(shop, "/api/v1/auth/unsubscribe", json=body))[0] == 200
    database = shop.server.app[keys.DATABASE]
    assert await database.collection("cart_settings").find_one({"user": bea.id}) is None


# Misfortunes


async def test_two_workers_send_one_mail_each(
    hasty: Settings, mailbox: Mailbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when both have found the same people due before either has claimed any."""
    find, both, met = MailDue.due_by, asyncio.Barrier(2), set[MailDue]()

    async def find_together(self: MailDue, now: int, limit: int) -> list[Due]:
        found = await find(self, now, limit)
        if len(found) == 10 and self not in met:
            met.add(self)
            async with asyncio.timeout(PATIENCE_S):
                await both.wait()
        return found

    monkeypatch.setattr(MailDue, "due_by", find_together)
    monkeypatch.setattr(mailings, "AT_ONCE", 10)
    async with running_server(hasty) as first, running_server(hasty):
        await first.products(APPLE)
        shop = Shop(first, mailbox, clock)
        people = [await shop.person(f"Member {number}") for number in range(10)]
        async with shared(shop, *people) as (client, cart):
            await client.add(cart, "APPLE")
            dues = await shop.noted(*people)
            clock.reach(max(dues))
            await shop.settled(*people)
        assert len(met) == 2
        assert [len(shop.news(one)) for one in people] == [1] * 10


async def test_workers_of_their_own_mail_what_a_server_without_any_has_noted(
    hasty: Settings, mailbox: Mailbox, clock: Clock
) -> None:
    """Two `cartroom worker notify`, by the true time."""
    quick = replace(hasty, notify_window_s=1.0)
    async with (
        running_server(replace(quick, workers=("none",))) as server,
        running_workers(quick, "notify", "notify"),
    ):
        await server.products(APPLE)
        shop = Shop(server, mailbox, clock)
        at_once = {"notifications": {"changes": "at_once"}}
        people = [await shop.person(f"Member {number}", **at_once) for number in range(3)]
        async with shared(shop, *people) as (client, cart):
            await client.add(cart, "APPLE")
            for one in people:
                (mail,) = await shop.mailed(one)
                assert "added something" in text_of(mail)
            await shop.settled(*people)
    assert [len(shop.news(one)) for one in people] == [1] * 3


async def test_who_was_slower_does_not_claim_what_another_has_seen_to(database: Database) -> None:
    """Else they would try at once what is to wait, or mail twice within ten minutes."""
    due = MailDue(database)
    await due.note("usr_bea", 1_000)
    seen = [(await due.due_by(2_000, 9))[0] for _ in range(2)]
    assert await due.claim(seen[0], "first", 3_000)
    await due.settle(seen[0], "first", 60_000, tries=1)
    assert not await due.claim(seen[1], "second", 3_000)
    assert [one.tries for one in await due.due_by(60_000, 9)] == [1]
    assert await due.due_by(59_999, 9) == []


async def test_what_the_mail_server_refuses_for_now_comes_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailings, "RETRY_DELAYS_S", (0.05,) * 7)
    bea = await shop.person("Bea")
    async with shared(shop, bea) as (client, cart):
        await client.add(cart, "APPLE")
        (due,) = await shop.noted(bea)
        await shop.let_in(bea)
        shop.mailbox.answers.extend(["451 not now"] * 2)
        shop.clock.reach(due)
        await shop.mailed(bea)
        await shop.settled(bea)
    assert (shop.mailbox.refused, len(shop.news(bea))) == (2, 1)


async def test_what_the_mail_server_refuses_for_good_is_left_in_the_inbox(
    hasty: Settings, mailbox: Mailbox, clock: Clock
) -> None:
    async with running_server(hasty, may_log_errors=True) as server:
        await server.products(APPLE)
        shop = Shop(server, mailbox, clock)
        bea = await shop.person("Bea")
        async with shared(shop, bea) as (client, cart):
            await client.add(cart, "APPLE")
            (due,) = await shop.noted(bea)
            await shop.let_in(bea)
            mailbox.answers.append("550 nobody here")
            clock.reach(due)
            await shop.settled(bea)
        assert (mailbox.refused, shop.news(bea)) == (1, [])
        await told(shop, bea, 1)


async def test_a_worker_that_ends_before_it_marks_a_mail_has_it_sent_again_as_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailings, "LEASE_S", 1.0)
    mark, failures = Notifications.mark_mailed, iter([AutoReconnect("gone")])

    async def gone_at_first(self: Notifications, *args: Any) -> None:
        for failure in failures:
            raise failure
        await mark(self, *args)

    monkeypatch.setattr(Notifications, "mark_mailed", gone_at_first)
    bea = await shop.person("Bea")
    async with shared(shop, bea) as (client, cart):
        await client.add(cart, "APPLE")
        (due,) = await shop.noted(bea)
        shop.clock.reach(due)
        first, second = await shop.mailed(bea, 2)
        await shop.settled(bea)
    assert first["Message-ID"] == second["Message-ID"]
    assert len(shop.news(bea)) == 2


async def test_a_deleted_account_leaves_nothing_that_is_due(shop: Shop) -> None:
    bea = await shop.person("Bea")
    async with shared(shop, bea) as (client, cart):
        await client.add(cart, "APPLE")
        await shop.noted(bea)
        await bea.done("DELETE", "me", {"password": bea.password})
        assert await shop.due(bea) is None
