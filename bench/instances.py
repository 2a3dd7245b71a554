"""Two instances on one store and one Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.fleet import Fleet
from bench.loops import Plan, measure
from bench.scenario import ROOM, Context, Requirement, Scale, Scenario, all_acked
from bench.surroundings import Started

SOCKETS = 400
WRITERS_A_SIDE = 10
"""Sockets a side in the race for one cart, since one may send no more than 50 ops a second."""
WRITERS_IN_FLIGHT = 4
SHARE_MIN = 0.1
"""Of the ops, for each side, to call it progress."""


def _sockets(scale: Scale) -> int:
    return scale.count(SOCKETS, least=4 * ROOM, multiple=ROOM)


async def _stretch(
    context: Context, servers: list[Started], place: Callable[[int, int], int], plan: Plan
) -> dict[str, Any]:
    """Measure a load of its own rooms, and leave them."""
    around = context.surroundings
    fleet = context.fleet(*servers)
    await fleet.open_rooms(around.population.take(_sockets(context.scale)), ROOM, place)
    pids = around.pids(first=servers[0], second=servers[1])
    figures = await measure(fleet, plan, pids)
    await fleet.close()
    return figures


def _whole(room: int, seat: int) -> int:
    return room % 2


def _spread(room: int, seat: int) -> int:
    return seat % 2


async def two_instances(context: Context) -> dict[str, Any]:
    around, scale = context.surroundings, context.scale
    servers = [await around.serve(), await around.serve()]
    whole = await _stretch(context, servers, _whole, scale.closed())
    spread = await _stretch(context, servers, _spread, scale.closed())
    busy = await _stretch(context, servers, _spread, scale.open(2_000))
    calm = await _stretch(context, servers, _spread, scale.open(1_000))
    across, within = calm["delivery_across_ms"], calm["delivery_within_ms"]
    return {
        "whole": whole,
        "spread": spread,
        "busy": busy,
        "calm": calm,
        "ratio": round(spread["ops_per_s"] / whole["ops_per_s"], 3),
        "across_adds_ms": round(across["p99"] - within["p99"], 2),
        "races_lost": sum([await server.gauge("cartroom_races_lost_total") for server in servers]),
    }


async def one_cart(context: Context) -> dict[str, Any]:
    around, scale = context.surroundings, context.scale
    servers = [await around.serve(), await around.serve()]
    fleet = context.fleet(*servers)
    await fleet.open_rooms(around.population.take(2 * WRITERS_A_SIDE), 2 * WRITERS_A_SIDE, _spread)
    pids = around.pids(first=servers[0], second=servers[1])
    race = await measure(fleet, scale.closed(WRITERS_IN_FLIGHT), pids)
    figures = {
        "race": race,
        **_progress(fleet),
        "races_lost": sum([await server.gauge("cartroom_races_lost_total") for server in servers]),
    }
    await fleet.close()
    return figures


def _progress(fleet: Fleet) -> dict[str, Any]:
    tally = fleet.tally
    acks = [len(tally.acked_at[instance]) for instance in (0, 1)]
    return {
        "acks": {"first": acks[0], "second": acks[1]},
        "smaller_share": round(min(acks) / max(1, sum(acks)), 3),
        "longest_pause_ms": round(
            max(tally.longest_pause_s(instance) for instance in (0, 1)) * 1_000, 1
        ),
    }


SCENARIOS = (
    Scenario(
        "two-instances",
        f"two instances, every room of {ROOM} spread over both, {SOCKETS} sockets",
        "Both instances share the service's one core, so the ratio shows what spreading costs and"
        " not what a second machine brings. On the embedded store: a stub that keeps nothing could"
        " not tell the instances who was first. `whole` has each room on one instance, `spread`"
        " two sockets of every room on each; both in a closed loop of one op in flight a socket."
        " Delivery is measured in an open loop of 1,000 ops/s, spread; `busy`, one of 2,000, shows"
        " how far spread rooms keep up when nobody waits for the last op's answer.",
        (
            Requirement("spread, of the throughput of rooms whole", "ratio", at_least=0.7),
            Requirement("across adds to delivery p99", "across_adds_ms", at_most=10, unit="ms"),
            *all_acked("whole"),
            *all_acked("spread"),
            *all_acked("calm"),
        ),
        two_instances,
        lambda scale: 4 * _sockets(scale),
    ),
    Scenario(
        "one-cart",
        "two instances writing one cart as fast as they can",
        f"{WRITERS_A_SIDE} sockets on each instance, all in one cart, each with"
        f" {WRITERS_IN_FLIGHT} ops in flight, on the embedded store; each socket stays below the"
        " 50 ops a second that it is allowed.",
        (
            Requirement("the slower side's share of the ops", "smaller_share", at_least=SHARE_MIN),
            Requirement("a side's longest pause", "longest_pause_ms", at_most=1_000, unit="ms"),
            Requirement("ops refused", "race.refused", at_most=0),
            *all_acked("race"),
        ),
        one_cart,
        lambda _scale: 2 * WRITERS_A_SIDE,
    ),
)
