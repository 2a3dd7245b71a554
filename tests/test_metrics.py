"""What an operator sees of the live rooms: metrics, and ops in the log."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.client import Server
from tests.helpers import eventually


async def figures(server: Server) -> dict[str, float]:
    """All samples of `/metrics`, by name and labels."""
    async with server.http.get(f"{server.url}/metrics") as response:
        text = await response.text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


async def test_metrics_count_sockets_rooms_and_ops(server: Server) -> None:
    ana = await server.account("Ana")
    async with server.connect(ana) as client:
        cart = await client.create(name="Trip")
        await client.op(cart, "note", text="one")
        await client.op_refusal("not_found", cart, "remove", line="lin_none")
        now = await figures(server)
        assert now["cartroom_sockets"] == 1
        assert now["cartroom_rooms"] == 1
        assert now["cartroom_ops_committed_total"] == 2
        assert now['cartroom_requests_total{type="CartOp"}'] == 2
        assert now['cartroom_errors_total{code="not_found"}'] == 1
        assert now["cartroom_op_seconds_count"] == 2
        assert now["cartroom_commit_seconds_count"] == 2
        assert now["cartroom_fanout_queue"] >= 0

        async def fresh() -> bool:
            return (await figures(server))["cartroom_fanout_fresh"] == 1

        await eventually(fresh)
    await eventually(lambda: not server.hub.sessions, what="the socket to be counted out")
    assert (await figures(server))["cartroom_sockets"] == 0


async def test_queues_show_while_commits_wait(server: Server, held: asyncio.Event) -> None:
    ana = await server.account("Ana")
    async with server.connect(ana) as client:
        cart = await client.create(name="Trip")
        held.clear()
        first = client.start_op(cart, "note", text="one")
        second = client.start_op(cart, "note", text="two")
        await eventually(lambda: server.hub.waiting == 2, what="two ops to wait")
        now = await figures(server)
        assert now["cartroom_requests_waiting"] == 2
        assert now["cartroom_commits_pending"] == 1
        held.set()
        await asyncio.gather(first, second)
        now = await figures(server)
        assert (now["cartroom_requests_waiting"], now["cartroom_commits_pending"]) == (0, 0)


async def test_ops_are_in_the_log_by_their_ids(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    ana = await server.account("Ana")
    async with server.connect(ana) as client:
        cart = await client.create(name="Trip")
        with caplog.at_level(logging.DEBUG, logger="realtime.lane"):
            reply = await client.op(cart, "note", text="a secret between us")
            await client.op_refusal("not_found", cart, "remove", line="lin_none")
    committed, refused = (
        record.__dict__ for record in caplog.records if record.name == "realtime.lane"
    )
    assert (committed["cart"], committed["op"], committed["rev"]) == (
        cart,
        f"{client.client}:1",
        reply["rev"],
    )
    assert (refused["op"], refused["code"]) == (f"{client.client}:2", "not_found")
    assert committed["conn"] == refused["conn"]
    assert "a secret between us" not in caplog.text
