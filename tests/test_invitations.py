"""Inviting by e-mail, through sockets and a mail server: who may, who gets in, who learns what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest
from pymongo.errors import AutoReconnect

from commerce.accounts import policy
from commerce.invitations import service as invitations_service
from commerce.mail import mailer as mailer_module
from handlers import keys
from realtime import inviting
from realtime.acting import deed_id, perform
from realtime.errors import CartroomError
from realtime.ops import Depart
from realtime.recovery import Recovery
from server.settings import Settings
from storage.invitations import Invitation, Invitations, invitation_id
from storage.users import Users
from tests.cast import UNCONFIRMED
from tests.helpers import eventually
from tests.inviting import Scene, staged
from tests.mailbox import text_of

BOGUS = "inv_000000000000000000000000.nothing"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailer_module, "START_S", (0.0, 0.001))


@pytest.fixture
async def scene(settings: Settings) -> AsyncIterator[Scene]:
    async with staged(settings, 1) as scene:
        yield scene


@pytest.fixture
async def two(settings: Settings) -> AsyncIterator[Scene]:
    """A scene with two instances."""
    async with staged(settings, 2) as scene:
        yield scene


async def test_who_is_invited_comes_in_on_any_instance(two: Scene) -> None:
    scene = two
    bea, client = await scene.somebody(name="Bea", at=1)
    token = await scene.invite(bea.email, "viewer")

    (mail,) = scene.invitations
    assert "Ana invites you to the cart “Picnic”" in mail["Subject"]
    (row,) = await scene.pending()
    assert (row["email"], row["role"]) == (bea.email, "viewer")
    assert await scene.members() == {scene.owner.user: "owner"}
    await client.refusal("not_found", "cart.join", cart=scene.cart)

    reply = await client.request("invitation.accept", token=token)

    assert (reply["cart"], reply["role"]) == (scene.cart, "viewer")
    assert (await client.join(scene.cart))["role"] == "viewer"
    # Ana sees it as an op of her own, and nothing else of it.
    push = await scene.ana.push("cart.ops")
    (op,) = push["ops"]
    assert op["by"] == scene.owner.user
    assert op["op"] == {
        "kind": "share",
        "users": [{"user": bea.user, "role": "viewer", "name": "Bea"}],
    }
    assert await scene.pending() == []


async def test_no_address_gets_into_the_cart_or_stays_with_what_was_accepted(scene: Scene) -> None:
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)
    (stored,) = await scene.documents()
    # What opens it can't be read from the store.
    assert token.partition(".")[2] not in str(stored)

    await client.request("invitation.accept", token=token)

    assert bea.email not in str(await scene.documents(rests=True))
    log = scene.servers[0].app[keys.DATABASE].collection("cart_ops")
    commits = await log.find({"cart": scene.cart}).to_list(None)
    assert len(commits) == 2
    assert b"shop.example" not in b"".join(bson.encode(commit) for commit in commits)


async def test_it_is_answered_again_with_no_further_effect(two: Scene) -> None:
    scene = two
    bea, client = await scene.somebody(at=1)
    token = await scene.invite(bea.email)
    other = await scene.connect(bea, at=0)

    replies = await asyncio.gather(
        *(one.request("invitation.accept", token=token) for one in (client, other, client))
    )
    replies.append(await client.request("invitation.accept", token=token))

    assert [(one["cart"], one["role"]) for one in replies] == [(scene.cart, "editor")] * 4
    assert await scene.shares() == 1
    # Who was taken out doesn't come in again by it.
    await scene.ana.op(scene.cart, "unshare", user=bea.user)
    await other.refusal("not_found", "invitation.accept", token=token)
    assert await scene.shares() == 1


async def test_a_crash_before_it_was_noted_is_completed_by_the_next_try(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)

    async def away(*_: Any) -> None:
        raise AutoReconnect("gone")

    with monkeypatch.context() as broken:
        broken.setattr(Invitations, "accept", away)
        await client.refusal("unavailable", "invitation.accept", token=token)
    assert len(await scene.pending()) == 1

    reply = await client.request("invitation.accept", token=token)
    assert (reply["role"], await scene.shares()) == ("editor", 1)
    assert await scene.pending() == []


async def test_a_try_after_being_taken_out_again_doesn_t_bring_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)

    async def away(*_: Any) -> None:
        raise AutoReconnect("gone")

    with monkeypatch.context() as broken:
        broken.setattr(Invitations, "accept", away)
        await client.refusal("unavailable", "invitation.accept", token=token)
    await scene.ana.op(scene.cart, "unshare", user=bea.user)

    await client.refusal("not_found", "invitation.accept", token=token)
    assert (await scene.shares(), await scene.pending()) == (1, [])


# Who may not


async def test_others_are_not_told_what_it_was(scene: Scene) -> None:
    token = await scene.invite("bea@shop.example")
    _, stranger = await scene.somebody()
    told = await stranger.refusal("not_found", "invitation.accept", token=token)
    for wrong in (BOGUS, "", "x", f"{token}x", token[:-1], f"{token.partition('.')[0]}.", "\u2028"):
        same = await stranger.refusal("not_found", "invitation.accept", token=wrong)
        assert same["message"] == told["message"]
    assert len(await scene.pending()) == 1


async def test_without_a_confirmed_address_nobody_accepts(scene: Scene) -> None:
    cem, unconfirmed = await scene.somebody(UNCONFIRMED)
    _, guest = await scene.somebody(policy.GUEST)
    token = await scene.invite(cem.email)

    for client in (unconfirmed, guest):
        real = await client.refusal("forbidden", "invitation.accept", token=token)
        bogus = await client.refusal("forbidden", "invitation.accept", token=BOGUS)
        assert real["message"] == bogus["message"]
    assert await scene.members() == {scene.owner.user: "owner"}

    # Confirmed in the meantime, on the same socket.
    users = scene.servers[0].app[keys.DATABASE].collection("users")
    now = {"$set": {"confirmed_at": datetime.now(UTC)}}
    await users.update_one({"_id": cem.user}, now)
    await unconfirmed.request("invitation.accept", token=token)
    assert (await scene.members())[cem.user] == "editor"


async def test_only_an_owner_with_a_confirmed_address_invites(scene: Scene) -> None:
    editor, client = await scene.somebody()
    await scene.ana.share(scene.cart, editor.account)
    _, stranger = await scene.somebody()
    fields = {"cart": scene.cart, "email": "bea@shop.example", "role": "editor"}
    await client.refusal("forbidden", "cart.invite", **fields)
    await stranger.refusal("not_found", "cart.invite", **fields)
    await stranger.refusal("not_found", "cart.invite", **{**fields, "cart": "crt_none"})
    for group in (UNCONFIRMED, policy.GUEST):
        _, own = await scene.somebody(group)
        cart = await own.create()
        refusal = await own.refusal("forbidden", "cart.invite", **{**fields, "cart": cart})
        assert "onfirm" in refusal["message"] or "guest" in refusal["message"]
    assert await scene.documents() == []
    assert not scene.tokens("bea@shop.example")


async def test_only_the_owner_sees_and_takes_back(scene: Scene) -> None:
    token = await scene.invite("bea@shop.example")
    (row,) = await scene.pending()
    editor, client = await scene.somebody()
    await scene.ana.share(scene.cart, editor.account)
    _, stranger = await scene.somebody()
    theirs = await stranger.create()
    named = {"cart": scene.cart, "invitation": row["invitation"]}

    await client.refusal("forbidden", "cart.invitations", cart=scene.cart)
    await client.refusal("forbidden", "cart.uninvite", **named)
    await stranger.refusal("not_found", "cart.invitations", cart=scene.cart)
    await stranger.refusal("not_found", "cart.uninvite", **named)
    # In a cart of one's own, somebody else's invitation is as one that isn't there.
    foreign = await stranger.refusal("not_found", "cart.uninvite", **{**named, "cart": theirs})
    missing = {"cart": theirs, "invitation": "inv_none"}
    assert (
        foreign["message"]
        == ((await stranger.refusal("not_found", "cart.uninvite", **missing))["message"])
    )
    assert await scene.pending() == [row]

    await scene.ana.request("cart.uninvite", **named)
    assert await scene.pending() == []
    await scene.ana.refusal("not_found", "cart.uninvite", **named)
    bea, late = await scene.somebody(email="bea@shop.example")
    await late.refusal("not_found", "invitation.accept", token=token)
    assert bea.user not in await scene.members()


async def test_an_accepted_invitation_can_t_be_taken_back(scene: Scene) -> None:
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)
    (row,) = await scene.pending()
    await client.request("invitation.accept", token=token)
    await scene.ana.refusal(
        "not_found", "cart.uninvite", cart=scene.cart, invitation=row["invitation"]
    )


async def test_by_one_that_is_taken_back_before_the_op_nobody_comes_in(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)
    (row,) = await scene.pending()
    named = {"cart": scene.cart, "invitation": row["invitation"]}
    begin = Invitations.begin

    async def taken_back(self: Invitations, *args: Any) -> bool:
        await scene.ana.request("cart.uninvite", **named)
        return await begin(self, *args)

    monkeypatch.setattr(Invitations, "begin", taken_back)
    await client.refusal("not_found", "invitation.accept", token=token)
    assert await scene.members() == {scene.owner.user: "owner"}


async def test_what_another_device_has_accepted_just_now_is_accepted_here(
    two: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where this instance hasn't heard of the op yet."""
    scene = two
    bea, client = await scene.somebody(at=1)
    other = await scene.connect(bea, at=0)
    token = await scene.invite(bea.email)
    begin, at_first = Invitations.begin, [True]

    async def accepted(self: Invitations, *args: Any) -> bool:
        if at_first:
            at_first.clear()
            with monkeypatch.context() as deaf:
                deaf.setattr(Recovery, "heard", lambda *_: None)
                await other.request("invitation.accept", token=token)
        return await begin(self, *args)

    monkeypatch.setattr(Invitations, "begin", accepted)
    reply = await client.request("invitation.accept", token=token)
    assert (reply["role"], await scene.shares()) == ("editor", 1)


@pytest.mark.parametrize("entering", [timedelta(0), invitations_service.ENTERING])
async def test_one_that_somebody_is_coming_in_by_is_not_taken_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, entering: timedelta
) -> None:
    """Else it would be taken back, and they would be in; but who never comes keeps nobody."""
    monkeypatch.setattr(invitations_service, "ENTERING", entering)
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)
    (row,) = await scene.pending()
    named = {"cart": scene.cart, "invitation": row["invitation"]}
    enter, replies = inviting._enter, []

    async def meanwhile(*args: Any) -> bool:
        replies.append(await scene.ana.ask("cart.uninvite", **named))
        if not entering:
            raise CartroomError("unavailable", "This server is shutting down; try again.")
        return await enter(*args)

    monkeypatch.setattr(inviting, "_enter", meanwhile)
    reply = await client.ask("invitation.accept", token=token)
    if entering:
        assert (replies[0]["code"], reply["type"]) == ("unavailable", "ok")
        await scene.ana.refusal("not_found", "cart.uninvite", **named)
    else:
        assert (replies[0]["type"], reply["code"]) == ("ok", "unavailable")
        await client.refusal("not_found", "invitation.accept", token=token)


async def test_an_invitation_of_who_owns_the_cart_no_more_is_void(scene: Scene) -> None:
    editor, _ = await scene.somebody()
    await scene.ana.share(scene.cart, editor.account)
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)
    # As if the editor had been the owner then.
    collection = scene.servers[0].app[keys.DATABASE].collection("invitations")
    await collection.update_one({}, {"$set": {"by": editor.user}})

    await client.refusal("not_found", "invitation.accept", token=token)
    assert bea.user not in await scene.members()
    assert await scene.documents() == []


async def test_the_answer_doesn_t_tell_whether_an_address_is_known(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No look-up is made that could: neither in the answer nor in its time is there a trace."""
    bea, _ = await scene.somebody()
    looked_up: list[str] = []

    async def find_by_email(_: Users, email: str) -> None:
        looked_up.append(email)

    monkeypatch.setattr(Users, "find_by_email", find_by_email)
    fields = {"cart": scene.cart, "role": "editor"}
    replies = [
        await scene.ana.request("cart.invite", email=email, **fields)
        for email in (bea.email, "nobody@shop.example")
    ]
    assert replies[0].keys() == replies[1].keys()
    known, unknown = await scene.pending()
    assert known.keys() == unknown.keys()
    assert looked_up == []
    await eventually(lambda: len(scene.invitations) == 2, what="both mails")
    known_mail, unknown_mail = (text_of(mail).splitlines() for mail in scene.invitations)
    assert known_mail[0] == unknown_mail[0] == "Hello,"
    assert len(known_mail) == len(unknown_mail)


# Again, and its ends


async def test_inviting_again_replaces_the_invitation(scene: Scene) -> None:
    bea, client = await scene.somebody(email="Bea@Shop.example")
    old = await scene.invite("bea@shop.example", "editor")
    new = await scene.invite("BEA@shop.example", "viewer")

    (row,) = await scene.pending()
    assert (row["email"], row["role"]) == ("BEA@shop.example", "viewer")
    await client.refusal("not_found", "invitation.accept", token=old)
    assert (await client.request("invitation.accept", token=new))["role"] == "viewer"
    await client.refusal("not_found", "invitation.accept", token=old)

    # Taken out and invited anew: it is another invitation, with an effect of its own.
    await scene.ana.op(scene.cart, "unshare", user=bea.user)
    newest = await scene.invite("bea@shop.example", "editor")
    assert (await client.request("invitation.accept", token=newest))["role"] == "editor"
    assert await scene.shares() == 2


async def test_a_higher_role_stays(scene: Scene, held: asyncio.Event) -> None:
    bea, client = await scene.somebody(at=0)
    token = await scene.invite(bea.email, "viewer")
    # Made an editor by an op that isn't committed yet when the invitation is accepted.
    held.clear()
    share = asyncio.create_task(scene.ana.share(scene.cart, bea.account, role="editor"))
    await eventually(lambda: scene.servers[0].hub.waiting == 1, what="the share to wait")
    accept = client.start("invitation.accept", token=token)
    await eventually(lambda: scene.servers[0].hub.waiting == 2, what="both to wait")
    held.set()
    await share

    assert (await accept)["role"] == "editor"
    assert (await scene.members())[bea.user] == "editor"
    # And with the role already there, nothing is written.
    count = await scene.shares()
    again = await scene.invite(bea.email, "viewer")
    assert (await client.request("invitation.accept", token=again))["role"] == "editor"
    assert await scene.shares() == count


async def test_a_lower_role_is_raised(scene: Scene) -> None:
    bea, client = await scene.somebody()
    await scene.ana.share(scene.cart, bea.account, role="viewer")
    token = await scene.invite(bea.email, "editor")
    assert (await client.request("invitation.accept", token=token))["role"] == "editor"
    assert (await scene.members())[bea.user] == "editor"


async def test_the_owner_who_invites_themselves_stays_the_owner(scene: Scene) -> None:
    token = await scene.invite(scene.owner.email)
    assert (await scene.ana.request("invitation.accept", token=token))["role"] == "owner"
    assert await scene.shares() == 0


async def test_invitations_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    bea, client = await scene.somebody()
    monkeypatch.setattr(invitations_service, "LIFE", timedelta(milliseconds=1))
    token = await scene.invite(bea.email)
    assert await scene.pending() == []
    await client.refusal("not_found", "invitation.accept", token=token)
    assert len(await scene.documents()) == 1

    monkeypatch.undo()
    await scene.invite("cem@shop.example")
    assert await scene.servers[0].app[keys.INVITING].sweep() == 1
    assert [one["email"] for one in await scene.documents()] == ["cem@shop.example"]


async def test_a_deleted_cart_s_invitations_go(scene: Scene) -> None:
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)
    await scene.ana.op(scene.cart, "delete")

    async def gone() -> bool:
        return await scene.documents() == []

    await eventually(gone, what="the invitations to go")
    await client.refusal("not_found", "invitation.accept", token=token)


async def test_an_invitation_that_outlived_its_cart_is_void(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)
    monkeypatch.setattr(scene.servers[0].hub.services, "on_memberships", lambda *_: None)
    await scene.ana.op(scene.cart, "delete")

    await client.refusal("not_found", "invitation.accept", token=token)
    assert await scene.documents() == []


async def test_an_invitation_by_who_has_left_for_good_is_void(scene: Scene) -> None:
    editor, _ = await scene.somebody()
    await scene.ana.share(scene.cart, editor.account)
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)
    departure = {"user": scene.owner.user, "op_id": deed_id("leave", scene.owner.user)}
    hub = scene.servers[0].hub
    await perform(hub, scene.cart, **departure, op=Depart(user=scene.owner.user))

    await client.refusal("not_found", "invitation.accept", token=token)
    assert await scene.members() == {editor.user: "owner"}


async def test_what_concerns_a_deleted_account_goes(scene: Scene) -> None:
    await scene.invite("bea@shop.example")
    cem, client = await scene.somebody()
    theirs = await client.create()
    await client.request("cart.invite", cart=theirs, email="dan@shop.example", role="viewer")

    inviting = scene.servers[0].app[keys.INVITING]
    await inviting.forget_user("usr_x", "BEA@shop.example")
    assert [one["email"] for one in await scene.documents()] == ["dan@shop.example"]
    await inviting.forget_user(cem.user, cem.email)
    assert await scene.documents() == []


# Limits and bad input


async def test_a_cart_has_so_many_pending(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations_service, "PENDING_MAX", 2)
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)
    await scene.invite("cem@shop.example")
    fields = {"cart": scene.cart, "role": "editor"}

    await scene.ana.refusal("limit_exceeded", "cart.invite", email="dan@shop.example", **fields)
    await scene.ana.request("cart.invite", email="cem@shop.example", **fields)
    await client.request("invitation.accept", token=token)
    await scene.ana.request("cart.invite", email="dan@shop.example", **fields)
    assert {row["email"] for row in await scene.pending()} == {
        "cem@shop.example",
        "dan@shop.example",
    }


async def test_those_invited_at_once_are_no_more_than_that(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations_service, "PENDING_MAX", 1)
    fields, put = {"cart": scene.cart, "role": "editor"}, Invitations.put
    other = await scene.connect(scene.owner)

    async def after_another(self: Invitations, invitation: Invitation, email: str) -> None:
        if email == "bea@shop.example":
            await other.request("cart.invite", email="cem@shop.example", **fields)
        await put(self, invitation, email)

    monkeypatch.setattr(Invitations, "put", after_another)
    await scene.ana.refusal("limit_exceeded", "cart.invite", email="bea@shop.example", **fields)
    assert [row["email"] for row in await scene.pending()] == ["cem@shop.example"]


async def test_an_address_gets_so_many_mails(scene: Scene) -> None:
    fields = {"cart": scene.cart, "role": "editor"}
    replies = [
        await scene.ana.ask("cart.invite", email=email, **fields)
        for email in ("bea@shop.example", "BEA@shop.example") * 4
    ]
    refused = [one for one in replies if one["type"] == "error"]
    assert (len(refused), refused[0]["code"]) == (2, "rate_limited")
    assert refused[0]["retry_after_s"] > 0
    await scene.ana.request("cart.invite", email="cem@shop.example", **fields)


async def test_a_full_cart_refuses_and_keeps_the_invitation(scene: Scene) -> None:
    bea, client = await scene.somebody()
    token = await scene.invite(bea.email)
    for server in scene.servers:
        services = server.hub.services
        services.limits = type(services.limits)(members=1)
    await client.refusal("limit_exceeded", "invitation.accept", token=token)
    (row,) = await scene.pending()
    await scene.ana.request("cart.uninvite", cart=scene.cart, invitation=row["invitation"])


NO_ADDRESSES = (
    "bea",
    "@shop.example",
    "bea@",
    "bea@shop.example, eve@evil.example",
    "bea@shop.example\r\nBcc: eve@evil.example",
    "Bea <bea@shop.example>",
    "b\u0000a@shop.example",
    " bea@shop.example",
    "bea@" + "x" * 300,
)


async def test_what_is_no_address_is_bad_input(scene: Scene) -> None:
    for email in NO_ADDRESSES:
        await scene.ana.refusal(
            "bad_request", "cart.invite", cart=scene.cart, email=email, role="editor"
        )
    assert await scene.documents() == []


# The repository


def invitation(secret_hash: str) -> Invitation:
    identity = invitation_id("crt_1", "bea@shop.example")
    return Invitation(
        identity, "crt_1", "bea@shop.example", "editor", "usr_a", 1_000, 2_000, secret_hash
    )


async def test_what_was_put_is_found_and_replaced(scene: Scene) -> None:
    store, first, second = scene.store, invitation("h"), invitation("other")
    await asyncio.gather(*(store.put(first, "bea@shop.example") for _ in range(5)))
    assert await store.find(first.id) == first
    assert await store.of_cart("crt_1", 10) == [first]
    await store.put(second, "bea@shop.example")
    # What concerns the first has no effect on the second.
    assert await store.remove(first) is False
    await store.accept(first, "usr_b")
    assert await store.find(first.id) == second
    await store.accept(second, "usr_b")
    assert await store.find(first.id) == replace(second, email=None, accepted_by="usr_b")
    await store.put(first, "bea@shop.example")
    assert await store.find(first.id) == first
    assert await store.remove(first) is True
    assert await store.find(first.id) is None
