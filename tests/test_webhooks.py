"""Webhooks, from being put in line to a receiver that verifies them, with all that goes wrong."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect

from events.sink import CartEvents
from events.webhooks.metrics import WebhookMetrics
from events.webhooks.pace import Pace
from storage.mongo import Database
from storage.webhook_documents import Answer, message_id
from storage.webhook_endpoints import Endpoint
from tests.helpers import eventually
from tests.post import QUICK, Post, TestClock, post
from tests.receiving import WAIT_S, Got, receiving, speaking


async def no_lane_is_left(database: Database) -> bool:
    return await database.collection("webhook_lanes").find_one({}) is None


async def test_what_happens_is_sent_signed_and_in_order(database: Database) -> None:
    async with receiving() as receiver, post(database) as shop:
        endpoint = await shop.register(receiver)
        before = int(time.time())
        events = await shop.happen("crt_a", 15)
        got = await receiver.until(15)
        found = await shop.settled(endpoint, delivered=15)
        await eventually(lambda: no_lane_is_left(database), WAIT_S)
    assert receiver.refused == []
    assert [one.rev for one in got] == list(range(1, 16))
    assert [one.id for one in got] == [message_id(event.id) for event in events]
    assert got[0].body == {
        "type": "cartroom.cart.add",
        "timestamp": got[0].body["timestamp"],
        "data": events[0].data,
    }
    assert got[0].body["timestamp"].endswith("Z")
    assert got[0].headers["content-type"] == "application/json"
    assert abs(int(got[0].headers["webhook-timestamp"]) - before) < WAIT_S
    assert all((one.attempts, one.last.status) == (1, 204) for one in found if one.last)


async def test_only_what_is_wanted_from_when_it_was_registered(database: Database) -> None:
    async with receiving() as receiver, post(database) as shop:
        await shop.happen("crt_a")  # nobody is there
        exact = await shop.register(receiver, types=["cartroom.cart.share"])
        below = await shop.register(receiver, types=["cartroom.cart.*", "cartroom.product.x"])
        none = await shop.register(receiver, types=["cartroom.product.*", "cartroom.cart"])
        await shop.happen("crt_a", 1, "add")
        await shop.happen("crt_a", 1, "share")
        old = replace(shop.event("crt_old", 1), time_ms=shop.clock.wall_ms() - 3_600_000)
        await shop.sink.deliver([CartEvents("crt_old", (old,), 1)])
        await shop.settled(exact, delivered=1)
        await shop.settled(below, delivered=2)
        assert await shop.all(none) == []
    revs = Counter((one.rev, one.signed_by) for one in receiver.got)
    assert revs == {(3, (exact.secret,)): 1, (2, (below.secret,)): 1, (3, (below.secret,)): 1}


async def test_given_again_it_is_not_sent_again(database: Database) -> None:
    async with receiving() as receiver, post(database) as shop:
        endpoint = await shop.register(receiver)
        events = shop.events("crt_a", 3)
        for part in (events[:2], events[:2], events, events):
            await shop.sink.deliver([CartEvents("crt_a", tuple(part), 1)])
        await shop.settled(endpoint, delivered=3)
    assert [one.rev for one in receiver.got] == [1, 2, 3]


async def test_both_secrets_sign_for_a_day(database: Database) -> None:
    async with receiving() as receiver, post(database) as shop:
        endpoint = await shop.register(receiver)
        rotated = await shop.admin.rotate("usr_admin", endpoint.id)
        receiver.secrets.append(rotated.endpoint.secret)
        await shop.happen("crt_a")
        await receiver.until(1)
        assert set(receiver.got[0].signed_by) == {endpoint.secret, rotated.endpoint.secret}
        assert len(receiver.got[0].headers["webhook-signature"].split(" ")) == 2
        # Signatures are made as of then, which the library takes for forged.
        stored = await shop.endpoints.find(endpoint.id)
        assert stored is not None
        assert len(stored.signing_secrets(rotated.old_until - 1)) == 2
        assert stored.signing_secrets(rotated.old_until) == (rotated.endpoint.secret,)


async def test_what_fails_is_tried_again_and_the_cart_s_next_one_waits(database: Database) -> None:
    failing = Counter({2: 3, 4: 1})

    def answer(got: Got) -> int:
        if got.cart == "crt_a" and failing[got.rev]:
            failing[got.rev] -= 1
            return 503
        return 200

    async with receiving() as receiver, post(database) as shop:
        receiver.answer = answer
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a", 5)
        await shop.happen("crt_b", 5)
        found = await shop.settled(endpoint, delivered=10)
    for cart in ("crt_a", "crt_b"):
        assert receiver.first_revs(cart) == [1, 2, 3, 4, 5]
    of_a = [one.rev for one in receiver.got if one.cart == "crt_a"]
    assert of_a == [1, 2, 2, 2, 2, 3, 4, 4, 5]
    assert {one.id for one in receiver.got if one.rev == 2 and one.cart == "crt_a"} == {
        message_id("crt_a:2")
    }
    attempts = {one.message: one.attempts for one in found}
    assert attempts[message_id("crt_a:2")] == 4
    assert (await shop.endpoints.all())[0].failing_since is None


async def test_the_wait_grows_and_has_a_bound() -> None:
    pace = Pace()
    waits = [pace.wait_s(tries, 0, 0.5) for tries in range(1, 20)]
    assert waits[:5] == [5, 20, 80, 320, 1_280]
    assert max(waits) == waits[-1] == 86_400 / 6
    assert 10 < sum(wait < 86_400 for wait in _sums(waits)) < 16  # so many attempts a day
    assert 3.9 < pace.wait_s(1, 0, 0.0) < pace.wait_s(1, 0, 0.999) < 6.1
    assert pace.wait_s(1, 100.0, 0.5) == 100.0  # the receiver wants to be left alone
    assert pace.wait_s(1, 80_000.0, 0.5) == 86_400 / 6


def _sums(waits: list[float]) -> list[float]:
    return [sum(waits[:count]) for count in range(len(waits))]


async def test_given_up_it_lets_the_next_one_through_and_can_be_replayed(
    database: Database,
) -> None:
    bad, clock = {1}, TestClock()

    async with receiving() as receiver, post(database, clock=clock) as shop:
        receiver.answer = lambda got: 500 if got.rev in bad else 200
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a", 2)
        await receiver.until(2)  # the first one, twice
        assert {one.rev for one in receiver.got} == {1}
        clock.ahead_s = QUICK.give_up_s
        found = await shop.settled(endpoint, failed=1, delivered=1)
        assert [one.status for one in found if one.data.find('"rev":1,') > 0] == ["failed"]
        assert receiver.first_revs("crt_a") == [1, 2]

        bad.clear()
        replayed = await shop.admin.replay_all("usr_admin", endpoint.id)
        assert (replayed.count, replayed.next) == (1, None)
        await shop.settled(endpoint, delivered=2)
        assert receiver.got[-1].rev == 1
        assert receiver.got[-1].id == message_id("crt_a:1")


async def test_since_a_time_all_are_sent_again(database: Database) -> None:
    clock = TestClock()
    async with receiving() as receiver, post(database, clock=clock) as shop:
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a", 2)
        await shop.settled(endpoint, delivered=2)
        clock.ahead_s = 60.0
        since = clock.wall_ms()
        await shop.happen("crt_a", 3)
        await shop.settled(endpoint, delivered=5)
        done = await shop.admin.replay_all(
            "usr_admin", endpoint.id, since_ms=since, failed_only=False
        )
        assert done.count == 3
        await receiver.until(8)
        found = await shop.settled(endpoint, delivered=5)
    assert [one.rev for one in receiver.got] == [1, 2, 3, 4, 5, 3, 4, 5]
    assert [one.attempts for one in found] == [1, 1, 2, 2, 2]


async def test_who_is_gone_is_switched_off(database: Database) -> None:
    registry = CollectorRegistry()
    async with (
        receiving() as receiver,
        receiving() as other,
        post(database, metrics=WebhookMetrics(registry)) as shop,
    ):
        receiver.answer = lambda got: 410
        gone, stays = await shop.register(receiver), await shop.register(other)
        await shop.happen("crt_a", 3)
        await shop.settled(stays, delivered=3)
        await shop.settled(gone, failed=1, waiting=2)

        async def reason() -> str | None:
            stored = await shop.endpoints.find(gone.id)
            return None if stored is None or stored.enabled else stored.reason

        assert await eventually(reason, WAIT_S) == "gone"
        await shop.happen("crt_a", 1)
        await shop.settled(stays, delivered=4)
        assert len(receiver.got) == 1
        assert len(await shop.all(gone)) == 3  # what happens meanwhile isn't for it
        name = "cartroom_webhook_disabled_total"
        assert registry.get_sample_value(name, {"reason": "gone"}) == 1

        receiver.answer = lambda got: 200
        await shop.admin.change("usr_admin", gone.id, {"enabled": True})
        await shop.settled(gone, failed=1, delivered=2)
        assert [one.rev for one in receiver.got] == [1, 2, 3]


async def test_who_fails_for_days_is_switched_off(database: Database) -> None:
    clock = TestClock()
    pace = replace(QUICK, disable_s=100.0)
    async with receiving() as receiver, post(database, pace, clock=clock) as shop:
        receiver.answer = lambda got: 500
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a", 2)
        await receiver.until(1)

        async def stored(enabled: bool) -> bool:
            found = await shop.endpoints.find(endpoint.id)
            return (
                found is not None and found.failing_since is not None and (found.enabled is enabled)
            )

        await eventually(lambda: stored(enabled=True), WAIT_S)
        clock.ahead_s = pace.disable_s
        await eventually(lambda: stored(enabled=False), WAIT_S)
        (found,) = await shop.admin.all()
        assert found.reason == "failing"


async def test_a_look_from_before_a_success_does_not_bring_the_failures_back(
    database: Database,
) -> None:
    """It was switched off as if nothing had arrived for days."""
    clock, pace = TestClock(), replace(QUICK, disable_s=50.0)
    looked, arrived, failed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    taken_in = asyncio.Event()

    async with receiving() as receiver, post(database, pace, clock=clock) as shop:
        look = shop.endpoints.all

        async def look_late() -> list[Endpoint]:
            if looked.is_set():
                taken_in.set()
                await failed.wait()
            found = await look()
            if len(receiver.got) > 1:
                looked.set()
                await arrived.wait()
            return found

        async def answer(got: Got) -> int:
            if len(receiver.got) == 2:
                await looked.wait()
                return 200
            if got.rev == 2 and not arrived.is_set():
                arrived.set()
                await taken_in.wait()
                clock.ahead_s = pace.disable_s
            return 500

        async def noted() -> Endpoint | None:
            found = await shop.endpoints.find(endpoint.id)
            return found if found and (found.failing_since or not found.enabled) else None

        receiver.answer = answer
        endpoint = await shop.register(receiver)
        shop.endpoints.all = look_late  # type: ignore[method-assign]
        await shop.happen("crt_a", 2)
        try:
            await asyncio.wait_for(taken_in.wait(), WAIT_S)
            found = await eventually(noted, WAIT_S)
        finally:
            for event in (looked, arrived, taken_in, failed):
                event.set()
        assert found.enabled
        assert [one.rev for one in receiver.got[:3]] == [1, 1, 2]


async def test_too_much_that_waits_switches_it_off_alone(database: Database) -> None:
    pace = replace(QUICK, waiting_max=20)
    async with receiving() as receiver, receiving() as other, post(database, pace) as shop:
        receiver.answer = lambda got: 500
        full, stays = await shop.register(receiver), await shop.register(other)
        sent = 0
        while (found := await shop.endpoints.find(full.id)) and found.enabled:
            assert sent < 200
            await shop.happen(f"crt_{sent}", 5)
            sent += 5
        await shop.settled(stays, delivered=sent)
        assert found is not None
        assert found.reason == "overflow"
        assert 20 <= len(await shop.all(full)) <= 40


async def attempted(
    shop: Post, endpoint: Endpoint, status: int | None, error: str | None
) -> Answer | None:
    """The last attempt, where it ended so. On a slow machine the time may have been over before."""
    last = (await shop.all(endpoint))[0].last
    return last if last and (last.status, last.error) == (status, error) else None


async def test_one_that_doesn_t_answer_harms_only_itself(database: Database) -> None:
    """Nor one whose answer has no end, leads elsewhere, or is no HTTP."""
    pace = replace(QUICK, timeout_s=2.0)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def never_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 99999999999\r\n\r\nHello\x00\xff ")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfine")
        await reader.read()

    async def endless_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Filler: " + b"x" * 4_000 + b"\r\n")
            await writer.drain()

    async def lead_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = followed.url.encode()
        writer.write(
            b"HTTP/1.1 307 There\r\nContent-Length: 0\r\nLocation: " + target + b"\r\n\r\n"
        )

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.shop.example ESMTP\r\n\r\n")

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    expected = {
        say_nothing: (None, "timeout"),
        never_end: (500, None),
        trickle: (200, None),
        endless_head: (None, "answer"),
        lead_on: (307, None),
        garbage: (None, "answer"),
        hang_up: (None, "connection"),
    }
    async with AsyncExitStack() as exits:
        followed = await exits.enter_async_context(receiving())
        good = await exits.enter_async_context(receiving())
        shop = await exits.enter_async_context(post(database, pace))
        ends = {
            speak: await shop.register(await exits.enter_async_context(speaking(speak)))
            for speak in expected
        }
        well = await shop.register(good)
        await shop.happen("crt_a", 2)
        await good.until(2)  # while others are waited for
        await shop.settled(well, delivered=2)
        for speak, end in ends.items():
            last = await eventually(
                lambda end=end, speak=speak: attempted(shop, end, *expected[speak]),
                WAIT_S,
                f"{speak.__name__} as {expected[speak]}",
            )
            assert len(last.text) <= 200
            if speak is never_end:
                assert last.text.startswith("Hello")
                assert last.text.isprintable()
        assert followed.got == []
        assert followed.refused == []


async def test_retry_after_is_heeded(database: Database) -> None:
    async with receiving() as receiver, post(database) as shop:
        receiver.answer = lambda got: web.Response(status=429, headers={"Retry-After": "15"})
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a")
        await receiver.until(1)

        async def told() -> int | None:
            (found,) = await shop.all(endpoint)
            return found.next_at - found.last.at if found.last and found.next_at else None

        assert await eventually(told, WAIT_S) == 15_000


async def test_two_deliverers_share_the_work(database: Database) -> None:
    async with receiving() as receiver, post(database) as one, post(database) as two:
        failed: set[str] = set()

        def answer(got: Got) -> int:
            fails = got.rev % 3 == 0 and got.id not in failed
            failed.add(got.id)
            return 500 if fails else 204

        receiver.answer = answer
        endpoint = await one.register(receiver)
        for _ in range(4):
            for cart in range(5):
                await one.happen(f"crt_{cart}", 2)
                two.revs = one.revs
        await two.settled(endpoint, delivered=40)
    for cart in range(5):
        assert receiver.first_revs(f"crt_{cart}") == list(range(1, 9))
    assert len({got.id for got in receiver.got}) == 40
    assert len(receiver.got) == 40 + 2 * 5  # nobody has sent what the other was sending


async def test_several_followers_put_the_same_in_line_at_once(database: Database) -> None:
    async with receiving() as receiver, post(database) as shop:
        endpoint = await shop.register(receiver)
        for _ in range(5):
            events = tuple(shop.events("crt_a", 4))
            given = [CartEvents("crt_a", events[:count], 1) for count in (1, 4, 2, 4, 3, 4)]
            await asyncio.gather(*(shop.sink.deliver([one]) for one in given))
        await shop.settled(endpoint, delivered=20)
        await eventually(lambda: no_lane_is_left(database), WAIT_S)
    assert receiver.first_revs("crt_a") == list(range(1, 21))
    assert len(receiver.got) == 20


async def test_a_lane_is_one_s_at_a_time(database: Database) -> None:
    async with post(database, deliver=False) as shop:
        endpoint = await shop.register("http://127.0.0.1:9/")
        await shop.happen("crt_a")
        ((lane, due),) = await shop.deliveries.due(endpoint.id, shop.clock.wall_ms(), 10)
        until = shop.clock.wall_ms() + 60_000
        claims = [shop.deliveries.claim(lane, due, until) for _ in range(5)]
        (mine,) = [one for one in await asyncio.gather(*claims) if one is not None]
        assert await shop.deliveries.due(endpoint.id, until - 1, 10) == []
        ((_, later),) = await shop.deliveries.due(endpoint.id, until, 10)
        yours = await shop.deliveries.claim(lane, later, until + 60_000)
        assert yours is not None
        # Who has lost it can do nothing with it any more.
        assert await shop.deliveries.mark_of(mine) is None
        assert not await shop.deliveries.hold(mine, until + 90_000)
        assert not await shop.deliveries.give_back(mine, 0)
        mark = await shop.deliveries.mark_of(yours)
        assert mark is not None
        assert not await shop.deliveries.end(mine, mark)
        assert await shop.deliveries.give_back(yours, 0)


async def test_one_that_ends_between_sending_and_noting_leaves_it_to_the_next(
    database: Database,
) -> None:
    clock = TestClock()
    async with receiving() as receiver, AsyncExitStack() as first:
        shop = await first.enter_async_context(post(database))

        async def die(*args: object, **more: object) -> bool:
            raise asyncio.CancelledError

        shop.deliveries.done = die  # type: ignore[method-assign]
        shop.deliveries.give_back = die  # type: ignore[method-assign]
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a", 3)
        await receiver.until(1)
        await first.aclose()
        clock.ahead_s = QUICK.claim_s  # what the first one had taken is anybody's now
        async with post(database, clock=clock) as next_one:
            await next_one.settled(endpoint, delivered=3)
    assert [one.rev for one in receiver.got] == [1, 1, 2, 3]
    assert receiver.got[0].id == receiver.got[1].id
    assert receiver.got[0].raw == receiver.got[1].raw


async def test_what_comes_while_a_lane_ends_is_not_left_behind(database: Database) -> None:
    async with receiving() as receiver, post(database) as shop:
        endpoint = await shop.register(receiver)
        end = shop.deliveries.end
        late: list[int] = []

        async def something_comes_first(lane: object, mark: str) -> bool:
            if len(late) < 3:
                late.append(1)
                await shop.happen("crt_a")
            return await end(lane, mark)  # type: ignore[arg-type]

        shop.deliveries.end = something_comes_first  # type: ignore[method-assign]
        await shop.happen("crt_a")
        await shop.settled(endpoint, delivered=4)
    assert [one.rev for one in receiver.got] == [1, 2, 3, 4]


async def test_removed_it_gets_nothing_more_and_leaves_nothing(database: Database) -> None:
    async with receiving() as receiver, post(database) as shop:
        receiver.answer = lambda got: 500
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a", 3)
        await receiver.until(1)
        # A sink that still knew of it.
        await shop.admin.remove("usr_admin", endpoint.id)
        stale = shop.endpoints.all
        shop.endpoints.all = lambda: _these([endpoint])  # type: ignore[method-assign]
        await shop.happen("crt_b", 1)
        shop.endpoints.all = stale  # type: ignore[method-assign]
        await shop.deliverer.prune()
        for name in ("webhook_deliveries", "webhook_lanes", "webhook_endpoints"):
            assert await database.collection(name).find({}).to_list(None) == []


@pytest.mark.parametrize("what_ends", ["forgetting", "putting in line"])
async def test_no_lane_stays_behind_where_who_removes_or_puts_in_line_ends_half_way(
    database: Database, what_ends: str
) -> None:
    async with post(database, deliver=False) as shop:
        endpoint = await shop.register("http://127.0.0.1:9/")
        await shop.happen("crt_a")
        if what_ends == "forgetting":
            await shop.endpoints.remove(endpoint.id)
            # It has come to the deliveries, and not to the lanes.
            await database.collection("webhook_deliveries").delete_many({})
        else:
            insert = shop.deliveries._insert

            async def removed_meanwhile(documents: list[dict[str, object]]) -> None:
                await insert(documents)
                await shop.admin.remove("usr_admin", endpoint.id)

            shop.deliveries._insert = removed_meanwhile  # type: ignore[method-assign]
            await shop.happen("crt_b")
        assert not await no_lane_is_left(database)
        await shop.deliverer.prune()
        assert await no_lane_is_left(database)


async def test_sending_again_goes_on_where_it_came_to_an_end_half_way(database: Database) -> None:
    clock = TestClock()
    async with receiving() as receiver, post(database, clock=clock) as shop:
        receiver.answer = lambda got: 410
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a")
        await shop.settled(endpoint, failed=1)
        await eventually(lambda: no_lane_is_left(database), WAIT_S)
        await shop.admin.change("usr_admin", endpoint.id, {"enabled": True})
        receiver.answer = lambda got: 204
        mark = shop.deliveries._mark

        async def die(*args: object) -> None:
            shop.deliveries._mark = mark  # type: ignore[method-assign]
            raise AutoReconnect("gone")

        shop.deliveries._mark = die  # type: ignore[method-assign]
        with pytest.raises(AutoReconnect):
            await shop.admin.replay_all("usr_admin", endpoint.id)
        assert [one.status for one in await shop.all(endpoint)] == ["waiting"]
        await shop.admin.replay_all("usr_admin", endpoint.id)
        await shop.settled(endpoint, delivered=1)


async def _these(found: list[object]) -> list[object]:
    return found


async def test_old_ones_and_too_many_are_forgotten(database: Database) -> None:
    clock = TestClock()
    pace = replace(QUICK, kept_max=5, kept_s=200.0)
    async with receiving() as receiver, post(database, pace, clock=clock) as shop:
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a", 8)
        await shop.settled(endpoint, delivered=8)
        await shop.deliverer.prune()
        assert len(await shop.all(endpoint)) == 5
        clock.ahead_s = pace.kept_s - 60
        await shop.happen("crt_b", 1)
        await shop.settled(endpoint, delivered=6)
        clock.ahead_s = pace.kept_s + 60
        await shop.deliverer.prune()
        assert [one.key for one in await shop.all(endpoint)] == ["crt_b"]
