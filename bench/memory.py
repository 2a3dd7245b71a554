"""What idle sockets and rooms weigh, how fast ten thousand come back, and what they leave."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.fleet import Fleet, Seat, at_once
from bench.scenario import ROOM, Context, Requirement, Scale, Scenario
from bench.surroundings import Started

SOCKETS = 10_000
LINES = 10
JOINS_AT_ONCE = 100
IDLE_S = 2.0
LEAVE_S = 120.0
"""Longest wait for rooms to leave memory."""


def _sockets(scale: Scale) -> int:
    return scale.count(SOCKETS, least=2 * ROOM, multiple=ROOM)


async def memory(context: Context) -> dict[str, Any]:
    """Rooms are made on one instance; their members come back to a new one that knows none."""
    around = context.surroundings
    maker = await around.serve()
    fleet = context.fleet(maker)
    await fleet.open_rooms(around.population.take(_sockets(context.scale)), ROOM)
    await _fill(fleet, around.population.skus[:LINES])
    await fleet.close()
    await maker.stop()
    server = await around.serve(CARTROOM_ROOM_IDLE_S=str(IDLE_S))
    for seat in fleet.seats:
        fleet.addresses = context.fleet(server).addresses
        seat.instance = 0
    first = await _come_back(fleet, server)
    left = await _leave(fleet, server)
    second = await _come_back(fleet, server)
    await fleet.close()
    grown = second["bytes_joined"] / first["bytes_joined"]
    return {"first": first, "left": left, "second": second, "second_over_first": round(grown, 3)}


async def _fill(fleet: Fleet, skus: list[str]) -> None:
    """Some lines in every cart."""
    owners = fleet.seats[::ROOM]
    items = [{"sku": sku, "qty": 1} for sku in skus]

    async def add(index: int) -> None:
        await owners[index].op(4, kind="add", items=items)

    await at_once(add, len(owners))


async def _come_back(fleet: Fleet, server: Started) -> dict[str, Any]:
    """One socket of every room joins, then the others: what the second lot adds is theirs alone."""
    empty = server.resident_bytes
    start_s = time.perf_counter()
    openers = fleet.seats[::ROOM]
    others = [seat for index, seat in enumerate(fleet.seats) if index % ROOM]
    await _join(openers)
    opened = server.resident_bytes
    await _join(others)
    joined_s = time.perf_counter() - start_s
    joined = server.resident_bytes
    a_socket = (joined - opened) / len(others)
    return {
        "sockets": len(fleet.seats),
        "rooms": await server.gauge("cartroom_rooms"),
        "joined_s": round(joined_s, 2),
        "bytes_before": empty,
        "bytes_joined": joined,
        "kib_a_socket": round(a_socket / 1_024, 2),
        "kib_a_room": round(((opened - empty) / len(openers) - a_socket) / 1_024, 2),
        "kib_a_socket_rooms_included": round((joined - empty) / len(fleet.seats) / 1_024, 2),
    }


async def _join(seats: list[Seat]) -> None:
    async def one(index: int) -> None:
        await seats[index].hello()
        await seats[index].join()

    await at_once(one, len(seats), JOINS_AT_ONCE)


async def _leave(fleet: Fleet, server: Started) -> dict[str, Any]:
    await fleet.close()
    deadline_s = time.perf_counter() + LEAVE_S
    while await server.gauge("cartroom_rooms"):
        if time.perf_counter() > deadline_s:
            break  # the figures say so
        await asyncio.sleep(0.2)
    return {
        "rooms": await server.gauge("cartroom_rooms"),
        "sockets": await server.gauge("cartroom_sockets"),
        "bytes": server.resident_bytes,
    }


SCENARIOS = (
    Scenario(
        "memory",
        f"{SOCKETS:,} idle joined sockets in rooms of {ROOM}",
        f"Carts of {LINES} lines and {ROOM} members. All clients come back at once,"
        f" {JOINS_AT_ONCE} at a time, to an instance that has just started and has none of their"
        " carts open. A socket's weight is what the second, third and fourth member of each room"
        " add; a room's is the rest. Then all leave, and after the rooms have left memory all come"
        " back once more: what the process weighs then, over the first time, would show a leak.",
        (
            Requirement("an idle joined socket", "first.kib_a_socket", at_most=30, unit="KiB"),
            Requirement(
                "the same, its share of a room included",
                "first.kib_a_socket_rooms_included",
                at_most=30,
                unit="KiB",
            ),
            Requirement("all joined within", "first.joined_s", at_most=20, unit="s"),
            Requirement("rooms in memory after all have left", "left.rooms", at_most=0),
            Requirement("memory the second time, of the first", "second_over_first", at_most=1.2),
        ),
        memory,
        _sockets,
    ),
)
