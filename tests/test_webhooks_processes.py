"""`cartroom worker webhooks` as people run it: two at once, killed where it hurts, started anew."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from commerce.webhooks.service import Webhooks
from server.settings import Settings
from server.webhooks import webhook_endpoints
from storage.mongo import Database
from storage.webhook_deliveries import WebhookDeliveries
from storage.webhook_endpoints import Endpoint
from tests.client import Server, running_server
from tests.helpers import eventually
from tests.receiving import WAIT_S, Got, Receiver, receiving
from tests.worker_processes import Worker, running_workers

CARTS = 3
OPS = 8


def in_a_hurry(settings: Settings) -> Settings:
    return replace(
        settings,
        webhooks_private=True,
        webhooks_timeout_s=2.0,
        webhooks_retry_s=0.2,
        webhooks_give_up_s=600.0,
        follow_every_s=0.1,
        follower_lease_s=2.0,
    )


async def register(settings: Settings, database: Database, receiver: Receiver) -> Endpoint:
    endpoints = webhook_endpoints(settings, database)
    admin = Webhooks(endpoints, WebhookDeliveries(database), private=True, give_up_s=600.0)
    made = await admin.register("usr_admin", url=receiver.url)
    receiver.secrets.append(made.secret or "")
    return made


@asynccontextmanager
async def carts_in(server: Server) -> AsyncIterator[tuple[list[str], asyncio.Task[None]]]:
    """Some carts, and somebody who is at work in all of them."""
    async with server.connect(await server.account()) as client:
        carts = [await client.create() for _ in range(CARTS)]

        async def work() -> None:
            for number in range(OPS - 1):
                for cart in carts:
                    await client.op(cart, "rename", name=f"Name {number}")

        yield carts, asyncio.create_task(work())


async def everything(receiver: Receiver, carts: list[str]) -> None:
    """Wait until all has come, each cart in its order."""
    wanted = list(range(1, OPS + 1))

    def all_there() -> bool:
        return all(sorted(receiver.first_revs(cart)) == wanted for cart in carts)

    await eventually(all_there, WAIT_S, "every rev of every cart")
    for cart in carts:
        assert receiver.first_revs(cart) == wanted


async def test_killed_between_sending_and_noting_the_next_one_sends_it_again(
    settings: Settings, database: Database
) -> None:
    settings = in_a_hurry(settings)
    async with (
        running_server(settings) as server,
        receiving() as receiver,
        AsyncExitStack() as first,
    ):
        (worker,) = await first.enter_async_context(running_workers(settings, "webhooks"))
        killed = asyncio.Event()

        async def kill_on_the_third(got: Got) -> int:
            if got.rev == 3 and not killed.is_set():
                killed.set()
                assert await worker.end(signal.SIGKILL) == -signal.SIGKILL
            return 204

        receiver.answer = kill_on_the_third
        await register(settings, database, receiver)
        async with carts_in(server) as (carts, work):
            await asyncio.wait_for(killed.wait(), WAIT_S)
            await first.aclose()
            async with running_workers(settings, "webhooks") as (second,):
                await work
                await everything(receiver, carts)
                assert await second.metric("cartroom_webhook_attempts_total", result="delivered")
                assert await second.end() == 0
    third = [one for one in receiver.got if one.rev == 3]
    sent = {one.id: [each.raw for each in third if each.id == one.id] for one in third}
    assert len(sent) == CARTS
    assert any(len(bodies) > 1 for bodies in sent.values())
    assert all(len(set(bodies)) == 1 for bodies in sent.values())


async def test_of_two_at_once_one_is_killed_and_one_loses_the_store(
    settings: Settings, database: Database
) -> None:
    settings = in_a_hurry(settings)
    async with (
        running_server(settings) as server,
        receiving() as receiver,
        running_workers(settings, "webhooks", "webhooks") as (first, second),
    ):
        failing = {3, 5}
        receiver.answer = lambda got: 500 if got.rev in failing else 204
        await register(settings, database, receiver)
        async with carts_in(server) as (carts, work):
            await receiver.until(3)
            await harmed(first, second)
            failing.clear()
            await work
            await everything(receiver, carts)


async def harmed(killed: Worker, cut_off: Worker) -> None:
    assert await killed.end(signal.SIGKILL) == -signal.SIGKILL
    await cut_off.store.down()
    await cut_off.store.up()
