"""Who is signed out anywhere is out everywhere: sockets close, ops that wait are refused."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from operator import attrgetter

import pytest
from pymongo.errors import AutoReconnect

from commerce.accounts.principal import Principal
from realtime import signin_checks
from tests.helpers import eventually
from tests.stage import Gate, Message, Socket, Stage, principal_of, turns

SIGNED_OUT = {"type": "closed", "code": 4503, "reason": "signed_out"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as stage:
        yield stage


def kinds(stage: Stage, cart: str) -> list[tuple[str, str]]:
    """Who did what, by the log."""
    return [(entry["by"], entry["op"]["kind"]) for entry in stage.store.entries(cart)]


async def shared_cart(stage: Stage, *sockets: Socket) -> str:
    """A cart of the first's, in which the others are editors; all have joined."""
    owner, *others = sockets
    cart = await owner.create()
    users = [{"user": one.user, "role": "editor"} for one in others]
    assert (await owner.reply(owner.op(cart, "share", users=users)))["type"] == "ok"
    for one in others:
        assert (await one.ask("cart.join", cart=cart))["type"] == "ok"
    return cart


def principals(stage: Stage) -> list[Principal]:
    """Who is signed in by sockets here."""
    return [one.session.principal for one in stage.sockets if not one.session.revoked]


def ended(stage: Stage, session: str) -> None:
    """Somebody has ended this session on that instance."""
    stage.hub.sign_ins.session_ended(session, "usr_whoever")


# What is heard


async def test_a_session_that_ends_closes_its_sockets_and_no_other(stage: Stage) -> None:
    tabs = [await stage.connect("ana", session="ses_1") for _ in range(2)]
    phone, ben = await stage.connect("ana", session="ses_2"), await stage.connect("ben")
    ended(stage, "ses_1")
    assert [tab.frames[-1] for tab in tabs] == [SIGNED_OUT] * 2
    assert [one.frames[-1]["type"] for one in (phone, ben)] == ["welcome"] * 2
    tabs[0].say("ping")
    assert tabs[0].frames[-1] == SIGNED_OUT
    assert (await phone.ask("ping"))["type"] == "pong"


async def test_a_user_whose_sessions_end_keeps_the_one_that_is_kept(stage: Stage) -> None:
    here, there = [await stage.connect("ana", session=f"ses_{n}") for n in (1, 2)]
    stage.hub.sign_ins.user_ended("usr_ana", 1)  # older ones than these
    stage.hub.sign_ins.user_ended("usr_ana", 2, kept="ses_1")
    assert (here.frames[-1]["type"], there.frames[-1]) == ("welcome", SIGNED_OUT)
    stage.hub.sign_ins.user_ended("usr_ana", 3)
    assert here.frames[-1] == SIGNED_OUT


async def test_it_is_heard_on_other_instances_and_pushes_are_too(stage: Stage) -> None:
    async with stage.other() as other:
        here, there = await stage.connect("ana"), await other.connect("ana", session="ses_1")
        stage.hub.push_to_user("usr_ana", {"type": "notification", "kind": "greeting"})
        for one in (here, there):
            assert one.frames[-1] == {"type": "notification", "kind": "greeting"}
        ended(stage, "ses_1")
        assert (here.frames[-1]["type"], there.frames[-1]) == ("notification", SIGNED_OUT)


async def test_who_is_signed_out_in_the_middle_of_hello_does_not_come_in(stage: Stage) -> None:
    socket = Socket(stage.hub, "usr_ana", str(uuid.uuid4()), "ses_1")
    stage.sockets.append(socket)
    socket.identifying.shut()
    arriving = asyncio.create_task(socket.greet())
    await socket.identifying.has(1)
    ended(stage, "ses_1")
    socket.identifying.open()
    assert not await arriving
    assert [one.get("code") for one in socket.frames] == ["unauthorized", 4501]


async def test_who_is_signed_out_at_the_end_of_hello_is_not_welcomed(stage: Stage) -> None:
    socket, gate = Socket(stage.hub, "usr_ana", str(uuid.uuid4()), "ses_1"), Gate()
    stage.sockets.append(socket)

    async def greeted(_user: str, _client: str) -> bool:
        await gate.pass_through()
        return False

    stage.bus.greeted = greeted  # type: ignore[method-assign]
    gate.shut()
    arriving = asyncio.create_task(socket.greet())
    await gate.has(1)
    ended(stage, "ses_1")
    gate.open()
    assert not await arriving
    assert socket.frames == [SIGNED_OUT]


# What waits


async def held_commit(stage: Stage) -> tuple[str, Socket, Socket]:
    """A cart of Ana and Ben, with a commit of Ana's on its way to the store."""
    ana, ben = await stage.connect("ana"), await stage.connect("ben", session="ses_ben")
    cart = await shared_cart(stage, ana, ben)
    stage.log.before_insert.shut()
    ana.rename(cart, "On its way")
    await stage.log.before_insert.has(1)
    return cart, ana, ben


def before_the_close(socket: Socket, count: int) -> list[Message]:
    """The last frames that it was sent, of which the close must be the very last."""
    assert socket.frames[-1] == SIGNED_OUT
    return socket.frames[-1 - count : -1]


async def test_an_op_that_waits_for_a_commit_is_refused_for_good(stage: Stage) -> None:
    cart, ana, ben = await held_commit(stage)
    asked = [ben.rename(cart, "Ben's"), ben.op(cart, "clear")]
    behind = ana.op(cart, "note", text="after those")
    ended(stage, "ses_ben")
    told = before_the_close(ben, 2)
    assert [(one["id"], one["code"], one["temporary"]) for one in told] == [
        (id_, "unauthorized", False) for id_ in asked
    ]
    stage.log.before_insert.open()
    assert (await ana.reply(behind))["type"] == "ok"
    assert kinds(stage, cart)[2:] == [("usr_ana", "rename"), ("usr_ana", "note")]
    # Whoever sends a copy of it hears the same, also once signed in again.
    again = await stage.connect("ben", client=ben.client, session="ses_new")
    copy = again.rename(cart, "Ben's", f"{ben.client}:1")
    assert (await again.reply(copy))["code"] == "unauthorized"
    assert (await again.reply(again.rename(cart, "New", f"{ben.client}:3")))["type"] == "ok"


async def test_what_is_in_a_commit_already_takes_its_course(stage: Stage) -> None:
    cart, ana, _ = await held_commit(stage)
    stage.hub.sign_ins.user_ended(ana.user, 2)
    assert ana.frames[-1] == SIGNED_OUT
    stage.log.before_insert.open()
    await eventually(lambda: kinds(stage, cart)[2:] == [("usr_ana", "rename")])


async def test_an_op_whose_socket_is_gone_is_refused_all_the_same(stage: Stage) -> None:
    cart, ana, ben = await held_commit(stage)
    ben.rename(cart, "Ben's")
    ben.session.on_closed()
    stage.hub.remove_session(ben.session)
    ended(stage, "ses_ben")
    behind = ana.op(cart, "clear")
    stage.log.before_insert.open()
    assert (await ana.reply(behind))["type"] == "ok"
    assert kinds(stage, cart)[2:] == [("usr_ana", "rename"), ("usr_ana", "clear")]
    assert stage.hub.sign_ins.principals() == [ana.principal]  # and it is forgotten


async def test_an_op_that_lost_its_race_meanwhile_is_refused(stage: Stage) -> None:
    cart, ana, ben = await held_commit(stage)
    async with stage.other() as other:
        stage.bus.flowing = other.bus.flowing = False
        rival = await other.connect("ana")
        assert (await rival.reply(rival.op(cart, "note", text="first")))["type"] == "ok"
        stage.hub.sign_ins.user_ended(ana.user, 2)
        stage.log.before_insert.open()
        assert (await ben.reply(ben.op(cart, "clear")))["type"] == "ok"
        assert kinds(stage, cart)[2:] == [("usr_ana", "note"), ("usr_ben", "clear")]


async def test_an_op_that_is_being_looked_up_is_refused(stage: Stage) -> None:
    ana, ben = await stage.connect("ana"), await stage.connect("ben", session="ses_ben")
    cart = await shared_cart(stage, ana, ben)
    stage.catalog.looking_up.shut()
    ben.op(cart, "add", items=[{"sku": "APPLE", "qty": 1}])
    await stage.catalog.looking_up.has(1)
    ended(stage, "ses_ben")
    stage.catalog.looking_up.open()
    await turns()
    assert (await ana.reply(ana.rename(cart, "Ana's")))["type"] == "ok"
    assert kinds(stage, cart)[2:] == [("usr_ana", "rename")]


async def test_an_op_in_a_stalled_room_is_refused(stage: Stage) -> None:
    """While it reads what another instance committed."""
    ana, ben = await stage.connect("ana"), await stage.connect("ben", session="ses_ben")
    cart = await shared_cart(stage, ana, ben)
    stage.log.reading.shut()
    stage.hub.on_gap()
    joining = ana.say("cart.join", cart=cart)
    await stage.log.reading.has(1)
    asked = ben.rename(cart, "Ben's")
    ended(stage, "ses_ben")
    (told,) = before_the_close(ben, 1)
    assert (told["id"], told["code"]) == (asked, "unauthorized")
    stage.log.reading.open()
    assert (await ana.reply(joining))["rev"] == 2
    assert len(kinds(stage, cart)) == 2


async def test_an_op_that_may_be_under_way_elsewhere_is_not_refused_for_good(stage: Stage) -> None:
    """That would have to go on record, and who is signed out writes nothing."""
    async with stage.other() as other:
        before = await other.connect("ben")
        ana = await stage.connect("ana")
        ben = await stage.connect("ben", client=before.client, session="ses_ben")
        cart = await shared_cart(stage, ana, ben)
        stage.log.before_insert.shut()
        ana.rename(cart, "On its way")
        await stage.log.before_insert.has(1)
        ben.rename(cart, "Ben's")
        ended(stage, "ses_ben")
        (told,) = before_the_close(ben, 1)
        assert (told["code"], told["temporary"]) == ("unavailable", True)
        stage.log.before_insert.open()
        again = await stage.connect("ben", client=ben.client, session="ses_new")
        copy = again.rename(cart, "Ben's", f"{ben.client}:1")
        assert (await again.reply(copy))["rev"] == 4
        assert kinds(stage, cart)[2:] == [("usr_ana", "rename"), ("usr_ben", "rename")]


async def test_an_op_that_another_session_has_sent_too_goes_on(stage: Stage) -> None:
    cart, _, ben = await held_commit(stage)
    again = await stage.connect("ben", client=ben.client, session="ses_new")
    ben.rename(cart, "Ben's")
    copy = again.rename(cart, "Ben's", f"{ben.client}:1")
    await turns()
    ended(stage, "ses_ben")
    (told,) = before_the_close(ben, 1)
    assert told["code"] == "unavailable"
    stage.log.before_insert.open()
    assert (await again.reply(copy))["type"] == "ok"


async def test_a_join_that_waits_is_never_answered(stage: Stage) -> None:
    ana, ben = await stage.connect("ana"), await stage.connect("ben", session="ses_ben")
    cart = await shared_cart(stage, ana, ben)
    stage.log.reading.shut()
    stage.hub.on_gap()
    ben.say("cart.join", cart=cart)
    await stage.log.reading.has(1)
    ended(stage, "ses_ben")
    stage.log.reading.open()
    assert (await ana.reply(ana.rename(cart, "Without Ben")))["type"] == "ok"
    assert ben.frames[-1] == SIGNED_OUT


# What nobody has told us of


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Rounds that take next to no time."""
    for name in ("EVERY_S", "EVERY_DEAF_S", "AT_ONCE_S"):
        monkeypatch.setattr(signin_checks, name, 0.02)
    return monkeypatch


async def is_out(*sockets: Socket) -> None:
    await eventually(lambda: all(one.frames[-1] == SIGNED_OUT for one in sockets), what="out")


async def test_what_has_ended_is_found_in_the_store(
    quick: pytest.MonkeyPatch, stage: Stage
) -> None:
    ana, ben = await stage.connect("ana", session="ses_1"), await stage.connect("ben")
    stage.access.gone.add("ses_1")
    await is_out(ana)
    assert ben.frames[-1]["type"] == "welcome"


async def test_the_store_is_asked_for_a_few_at_a_time(
    quick: pytest.MonkeyPatch, stage: Stage
) -> None:
    quick.setattr(signin_checks, "BATCH_MAX", 3)
    sockets = [await stage.connect("ana", session=f"ses_{n}") for n in range(10)]
    tabs = [await stage.connect("ana", session="ses_0") for _ in range(5)]
    stage.access.asking.shut()
    await stage.access.asking.has(1)
    stage.access.asked.clear()
    await turns()
    assert stage.access.asked == []  # one question at a time
    stage.access.asking.open()
    await eventually(lambda: len(stage.access.asked) > 8)
    assert max(stage.access.asked) == 3
    assert sum(stage.access.asked[4:8]) == 10  # each sign-in once a round
    stage.access.gone.update(f"ses_{n}" for n in range(10))
    await is_out(*sockets, *tabs)


async def test_a_second_asks_for_no_more_than_so_many(
    quick: pytest.MonkeyPatch, stage: Stage
) -> None:
    quick.setattr(signin_checks, "BATCH_MAX", 2)
    quick.setattr(signin_checks, "PER_S_MAX", 4 / 3600)
    for number in range(4):
        await stage.connect("ana", session=f"ses_{number}")
    await eventually(lambda: stage.access.asked)
    stage.access.gone.add("ses_3")
    await turns()
    assert stage.access.asked == [2]  # the next two are asked for in half an hour
    stage.hub.on_gap()
    await eventually(lambda: "ses_3" not in map(attrgetter("session"), principals(stage)))


async def test_while_the_store_is_away_nobody_is_out(
    quick: pytest.MonkeyPatch, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    ana = await stage.connect("ana", session="ses_1")
    stage.access.answers.extend([AutoReconnect("away")] * 5)
    stage.access.gone.add("ses_1")
    await eventually(lambda: not stage.access.answers)
    assert ana.frames[-1]["type"] == "welcome"
    assert caplog.text.count("AutoReconnect") == 1
    await is_out(ana)


async def test_after_a_gap_the_store_is_asked_at_once(
    quick: pytest.MonkeyPatch, stage: Stage
) -> None:
    quick.setattr(signin_checks, "EVERY_S", 3600.0)
    ana = await stage.connect("ana", session="ses_1")
    await eventually(lambda: stage.access.asked)
    await turns()
    stage.access.gone.add("ses_1")
    stage.hub.on_gap()
    await is_out(ana)


async def test_while_announcements_do_not_come_it_is_asked_more_often(
    quick: pytest.MonkeyPatch,
) -> None:
    quick.setattr(signin_checks, "EVERY_S", 3600.0)
    deaf = Stage()
    deaf.bus.fresh = False
    async with deaf as stage:
        await turns()  # the first round is over
        ana = await stage.connect("ana", session="ses_1")
        stage.access.gone.add("ses_1")
        await is_out(ana)


# Until when


async def test_a_socket_closes_when_its_token_ends_unless_that_is_put_off(stage: Stage) -> None:
    ana = await stage.connect("ana")
    for expires_at in (1_000.0, 2_000.0):
        ana.principal = principal_of("usr_ana", "ses_1", expires_at=expires_at)
        assert (await ana.ask("auth.renew", token="-"))["type"] == "ok"
        ana.session.check_time(0.0, expires_at - 1)
    assert ana.frames[-1]["expires_at"] == "1970-01-01T00:33:20.000Z"
    ana.session.check_time(0.0, 2_000.0)
    assert (ana.frames[-1]["code"], ana.frames[-1]["reason"]) == (4502, "token_ended")


async def test_a_renewal_under_a_session_that_ends_meanwhile_fails(stage: Stage) -> None:
    ana = await stage.connect("ana", session="ses_1")
    ana.principal = principal_of("usr_ana", "ses_2")
    ana.identifying.shut()
    asked = ana.say("auth.renew", token="-")
    await ana.identifying.has(1)
    ended(stage, "ses_2")
    ana.identifying.open()
    assert (await ana.reply(asked))["code"] == "unauthorized"
    ended(stage, "ses_1")
    assert ana.frames[-1] == SIGNED_OUT


async def test_a_socket_that_is_gone_is_forgotten(stage: Stage) -> None:
    """Also when it goes in the middle of a renewal."""
    ana = await stage.connect("ana")
    ana.identifying.shut()
    ana.say("auth.renew", token="-")
    await ana.identifying.has(1)
    ana.session.on_closed()
    stage.hub.remove_session(ana.session)
    ana.identifying.open()
    await turns()
    assert stage.hub.sign_ins.principals() == []
