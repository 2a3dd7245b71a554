"""Who was let in to a cart learns it, live on every socket and by mail; nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from commerce.accounts import policy
from commerce.mail import mailer as mailer_module
from handlers import keys
from server.settings import Settings
from storage.users import Users
from tests.cast import UNCONFIRMED, Somebody
from tests.client import Client
from tests.helpers import eventually
from tests.inviting import Scene, staged
from tests.mailbox import text_of


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailer_module, "START_S", (0.0, 0.001))


@pytest.fixture
async def two(settings: Settings) -> AsyncIterator[Scene]:
    """A scene with two instances."""
    async with staged(settings, 2) as scene:
        yield scene


@pytest.fixture
async def scene(settings: Settings) -> AsyncIterator[Scene]:
    async with staged(settings, 1) as scene:
        yield scene


async def news(client: Client) -> list[dict[str, Any]]:
    """The notifications that have come to a socket."""
    await client.request("ping")  # what was sent before its answer is here with that
    return [one for one in client.frames if one["type"] == "notification"]


def mails_to(scene: Scene, person: Somebody) -> list[EmailMessage]:
    return [
        mail
        for mail in scene.mailbox.mails
        if mail["To"] == person.email and "shares the cart" in mail["Subject"]
    ]


async def settle(scene: Scene) -> None:
    """Wait until everybody has been told of the shares that are committed."""

    def telling() -> bool:
        names = [task.get_name() for task in asyncio.all_tasks()]
        return any(name.startswith("tell newcomers") for name in names)

    await eventually(lambda: not telling(), what="the news to be told")
    mailers = [server.app[keys.MAILER] for server in scene.servers]
    await eventually(lambda: not any(one.waiting for one in mailers), what="the mails to go")


async def test_every_socket_of_who_is_let_in_is_told_and_one_mail_goes_out(two: Scene) -> None:
    scene = two
    bea, first = await scene.somebody(name="Bea")
    second = await scene.connect(bea, at=1)
    _, stranger = await scene.somebody(at=1)
    # She has something else open; it makes no difference.
    await second.create()

    await scene.ana.share(scene.cart, bea.account, role="viewer")

    told = {
        "type": "notification",
        "kind": "cart.shared",
        "cart": scene.cart,
        "name": "Picnic",
        "role": "viewer",
        "by": {"user": scene.owner.user, "name": "Ana"},
    }
    assert await first.push("notification") == told
    assert await second.push("notification") == told
    await settle(scene)
    (mail,) = mails_to(scene, bea)
    assert mail["Subject"] == "Ana shares the cart “Picnic” with you"
    assert f"#/cart/{scene.cart}" in text_of(mail)
    assert "Hello Bea" in text_of(mail)
    assert (len(await news(first)), len(await news(second))) == (1, 1)
    assert (await news(stranger), await news(scene.ana)) == ([], [])


async def test_an_accepted_invitation_tells_the_other_devices(two: Scene) -> None:
    scene = two
    bea, phone = await scene.somebody(at=1)
    laptop = await scene.connect(bea)
    token = await scene.invite(bea.email)

    await phone.request("invitation.accept", token=token)

    for client in (phone, laptop):
        push = await client.push("notification")
        assert (push["cart"], push["by"]["user"]) == (scene.cart, scene.owner.user)
    await settle(scene)
    assert len(mails_to(scene, bea)) == 1


async def test_only_who_was_not_in_is_told(scene: Scene) -> None:
    bea, client = await scene.somebody()
    await scene.ana.share(scene.cart, bea.account, role="viewer")
    await scene.ana.share(scene.cart, bea.account, role="editor")  # only the role
    cem, other = await scene.somebody()
    await scene.ana.share(scene.cart, bea.account, cem.account)
    await settle(scene)
    assert (len(await news(client)), len(await news(other))) == (1, 1)
    assert (len(mails_to(scene, bea)), len(mails_to(scene, cem))) == (1, 1)

    await scene.ana.op(scene.cart, "unshare", user=bea.user)
    await scene.ana.share(scene.cart, bea.account)
    await settle(scene)
    assert (len(await news(client)), len(mails_to(scene, bea))) == (2, 2)


async def test_a_resent_share_tells_nobody_again(scene: Scene) -> None:
    bea, client = await scene.somebody()
    op_id = scene.ana.next_op_id()
    users = [{"user": bea.user, "role": "editor"}]
    for _ in range(3):
        await scene.ana.op(scene.cart, "share", op_id, users=users)
    await settle(scene)
    assert (len(await news(client)), len(mails_to(scene, bea))) == (1, 1)


async def test_mail_goes_to_confirmed_addresses_of_those_who_want_it(scene: Scene) -> None:
    dan, dan_s = await scene.somebody(UNCONFIRMED)
    eve, eve_s = await scene.somebody(policy.GUEST)
    fay, fay_s = await scene.somebody()
    users = scene.servers[0].app[keys.DATABASE].collection("users")
    choice = {"$set": {"notifications": {"shared": False}}}
    await users.update_one({"_id": fay.user}, choice)

    await scene.ana.share(scene.cart, dan.account, eve.account, fay.account)

    for client in (dan_s, eve_s, fay_s):
        await client.push("notification")
    await settle(scene)
    subjects = [mail["Subject"] for mail in scene.mailbox.mails]
    assert not [one for one in subjects if "shares the cart" in one]


async def let_in_and_out(scene: Scene, who: Somebody, client: Client, *, times: int) -> None:
    for _ in range(times):
        await scene.ana.share(scene.cart, who.account)
        await scene.ana.op(scene.cart, "unshare", user=who.user)
        await client.push("notification")
    await settle(scene)


async def test_nobody_is_mailed_without_end(scene: Scene) -> None:
    bea, client = await scene.somebody()
    await let_in_and_out(scene, bea, client, times=8)
    assert len(mails_to(scene, bea)) == 6


async def test_inviting_an_address_tells_nothing_of_who_was_let_in(scene: Scene) -> None:
    """Or who lets somebody in as often as they are mailed could tell which address is theirs."""
    bea, client = await scene.somebody()
    await let_in_and_out(scene, bea, client, times=7)
    for _ in range(6):
        for email in (bea.email, "nobody@shop.example"):
            await scene.ana.request("cart.invite", cart=scene.cart, email=email, role="editor")
    for email in (bea.email, "nobody@shop.example"):
        fields = {"cart": scene.cart, "email": email, "role": "editor"}
        await scene.ana.refusal("rate_limited", "cart.invite", **fields)


async def test_a_store_that_is_away_costs_the_mail_and_nothing_else(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bea, client = await scene.somebody()

    async def away(*_: Any) -> None:
        raise AutoReconnect("gone")

    with monkeypatch.context() as broken:
        broken.setattr(Users, "find", away)
        await scene.ana.share(scene.cart, bea.account)
        await client.push("notification")
        await scene.ana.op(scene.cart, "note", text="still here")
        await settle(scene)
    assert mails_to(scene, bea) == []
    assert "Newcomers were not told: AutoReconnect" in caplog.text
