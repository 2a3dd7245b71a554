"""How many ops a second one instance takes, and how long they take: store, stub, echo."""

from __future__ import annotations

from typing import Any

from bench.fleet import Fleet
from bench.loops import measure
from bench.scenario import ROOM, STUB_MS, Context, Requirement, Scale, Scenario, all_acked
from bench.surroundings import Started

CHURN_PER_S = 50.0


def sockets(full: int) -> Any:
    return lambda scale: scale.count(full, least=2 * ROOM, multiple=ROOM)


async def _filled(context: Context, server: Started, count: int) -> Fleet:
    fleet = context.fleet(server)
    await fleet.open_rooms(context.surroundings.population.take(count), ROOM)
    return fleet


def on_store(full: int, rate: float) -> Any:
    async def run(context: Context) -> dict[str, Any]:
        server = await context.surroundings.serve()
        before = server.resident_bytes
        fleet = await _filled(context, server, sockets(full)(context.scale))
        joined = server.resident_bytes
        pids = context.surroundings.pids(server=server)
        figures = {"open": await measure(fleet, context.scale.open(rate), pids)}
        figures["memory"] = {
            "bytes_a_socket_rooms_included": (joined - before) // len(fleet.seats),
            "bytes_a_room_sockets_included": (joined - before) * ROOM // len(fleet.seats),
        }
        await fleet.close()
        return figures

    return run


async def on_stub(context: Context) -> dict[str, Any]:
    """Open loop, then the same closed loop on the service and on the yardstick."""
    scale, around = context.scale, context.surroundings
    await around.put_stub_before_store(STUB_MS)
    server = await around.serve()
    fleet = await _filled(context, server, sockets(400)(scale))
    pids = around.pids(server=server)
    opened = await measure(fleet, scale.open(10_000), pids)
    closed = await measure(fleet, scale.closed(), pids)
    await fleet.close()
    await server.stop()
    bare = await _broadcast(context, closed)
    ratio = closed["ops_per_s"] / bare["ops_per_s"] if bare["ops_per_s"] else 0.0
    return {"open": opened, "closed": closed, "broadcast": bare, "ratio": round(ratio, 3)}


async def _broadcast(context: Context, ours: dict[str, Any]) -> dict[str, Any]:
    sizes = [f"--{kind}-bytes={ours[f'{kind}_bytes']}" for kind in ("ack", "push")]
    bare = await context.surroundings.yardstick("bench.broadcast", *sizes)
    fleet = context.fleet(bare)
    await fleet.open_bare(sockets(400)(context.scale), ROOM)
    pids = {"server": [bare.pid]}
    figures = await measure(fleet, context.scale.closed(paced=False), pids)
    fleet.cut()
    return figures


async def on_stub_with_churn(context: Context) -> dict[str, Any]:
    scale, around = context.scale, context.surroundings
    await around.put_stub_before_store(STUB_MS)
    server = await around.serve()
    fleet = await _filled(context, server, sockets(2_000)(scale))
    pids = around.pids(server=server)
    busy = await measure(fleet, scale.open(7_000, CHURN_PER_S), pids)
    calm = await measure(fleet, scale.open(1_000, CHURN_PER_S), pids)
    await fleet.close()
    return {"busy": busy, "calm": calm}


async def on_echo(context: Context) -> dict[str, Any]:
    """What the load costs, beside the cheapest server and beside the service itself."""
    scale, around = context.scale, context.surroundings
    count = sockets(400)(scale)
    bare = await around.yardstick("bench.echo")
    fleet = context.fleet(bare)
    await fleet.open_bare(count, 1)
    pids = {"server": [bare.pid]}
    echo = await measure(fleet, scale.closed(paced=False), pids)
    paced = await measure(fleet, scale.open(10_000), pids)
    fleet.cut()
    await bare.stop()
    server = await around.serve()
    fleet = await _filled(context, server, count)
    store = await measure(fleet, scale.open(3_000), around.pids(server=server))
    await fleet.close()
    return {
        "echo": echo,
        "echo_open": paced,
        "store": store,
        "load_to_server": {"echo": _load_to_server(echo), "store": _load_to_server(store)},
    }


def _load_to_server(figures: dict[str, Any]) -> float:
    cpu = figures["cpu_ms_per_1000_ops"]
    return round(cpu["load"] / cpu["server"], 3) if cpu["server"] else 0.0


def _users(full: int) -> Any:
    return sockets(full)


def _store(name: str, full: int, rate: int) -> Scenario:
    return Scenario(
        name,
        f"embedded store, rooms of {ROOM}, {full} sockets, open loop",
        "One instance on the embedded store (w: majority, no j), Redis, snapshots and registry on.",
        (
            Requirement("durable ops/s", "open.ops_per_s", at_least=rate),
            Requirement("ack p99", "open.ack_ms.p99", at_most=100, unit="ms"),
            *all_acked("open"),
        ),
        on_store(full, rate),
        _users(full),
    )


def _echo_users(scale: Scale) -> int:
    return int(sockets(400)(scale))


SCENARIOS = (
    _store("store-400", 400, 3_000),
    _store("store-2000", 2_000, 2_500),
    Scenario(
        "stub-400",
        f"STORE STUB of 2 ms, rooms of {ROOM}, 400 sockets",
        "The stub acknowledges inserts into the log after 2 ms and keeps nothing of them: this is"
        " the service's own ceiling, not a store's. The yardstick is a bare aiohttp broadcast in"
        " rooms of the same size with frames of the same sizes, in the same closed loop of one op"
        " in flight a socket.",
        (
            Requirement("ops/s", "open.ops_per_s", at_least=10_000),
            Requirement("ack p99", "open.ack_ms.p99", at_most=50, unit="ms"),
            Requirement("closed loop, of the bare broadcast", "ratio", at_least=0.4),
            *all_acked("open"),
            *all_acked("closed"),
        ),
        on_stub,
        _users(400),
        stub=True,
    ),
    Scenario(
        "stub-2000-churn",
        f"STORE STUB of 2 ms, rooms of {ROOM}, 2,000 sockets that come and go",
        "As stub-400. All along, 50 sockets a second leave, every other one without a word, and"
        " come back within a second to resume their cart.",
        (
            Requirement("ops/s", "busy.ops_per_s", at_least=7_000),
            Requirement("ack p99.9 at 1,000 ops/s", "calm.ack_ms.p99.9", at_most=150, unit="ms"),
            *all_acked("busy"),
            *all_acked("calm"),
        ),
        on_stub_with_churn,
        _users(2_000),
        stub=True,
    ),
    Scenario(
        "echo",
        "what the load costs",
        "The same load on a bare aiohttp echo, as fast as it goes (a closed loop of one op in"
        " flight a socket), and on the service with the embedded store (3,000 ops/s): CPU time of"
        " the load over that of the server, an op. `echo_open` has the echo at 10,000 ops/s.",
        (
            Requirement("the load's own ceiling, ops/s", "echo.ops_per_s", at_least=20_000),
            Requirement("load's CPU over the echo's", "load_to_server.echo", at_most=1),
            Requirement("load's CPU over the service's", "load_to_server.store", at_most=1),
        ),
        on_echo,
        _echo_users,
    ),
)
