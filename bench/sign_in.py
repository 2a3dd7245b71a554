"""Log-ins: what a hundred at once do to the carts, and what their timing gives away."""

from __future__ import annotations

import asyncio
import math
import random
import secrets
import time
from typing import Any

import aiohttp

from bench.accounts import PASSWORD, email_of
from bench.figures import distribution_ms
from bench.loops import measure
from bench.scenario import ROOM, Context, Requirement, Scale, Scenario, all_acked
from bench.surroundings import Started

SOCKETS = 400
RATE = 1_000.0
AT_ONCE = 100
WAIT_S = 120.0
UNLIMITED = {
    "CARTROOM_AUTH_ATTEMPTS_PER_MINUTE": "1000000",
    "CARTROOM_MAILS_PER_HOUR": "1000000",
}

SAMPLES = 1_000
TIMED_COST = 6
"""A cheap hash: what else differs in time stands out more than beside a dear one."""


def _sockets(scale: Scale) -> int:
    return scale.count(SOCKETS, least=2 * ROOM, multiple=ROOM)


# A hundred at once


async def sign_ins(context: Context) -> dict[str, Any]:
    """The same load twice: with nobody logging in, and while a hundred do at once, all along."""
    around, scale = context.surroundings, context.scale
    server = await around.serve(**UNLIMITED)
    fleet = context.fleet(server)
    accounts = around.population.take(_sockets(scale))
    await fleet.open_rooms(accounts, ROOM)
    pids = around.pids(server=server)
    calm = await measure(fleet, scale.open(RATE), pids)
    took_s: list[float] = []
    users = [one.user for one in around.population.take(scale.count(AT_ONCE, least=4))]
    logging_in = asyncio.create_task(_log_in_all_along(server, users, took_s))
    busy = await measure(fleet, scale.open(RATE), pids)
    logging_in.cancel()
    await asyncio.gather(logging_in, return_exceptions=True)
    await fleet.close()
    return {
        "calm": calm,
        "busy": busy,
        "log_ins": {"done": len(took_s), "took_ms": distribution_ms(took_s)},
        "p50_ratio": round(busy["ack_ms"]["p50"] / calm["ack_ms"]["p50"], 3),
        "p99_ratio": round(busy["ack_ms"]["p99"] / calm["ack_ms"]["p99"], 3),
    }


async def _log_in_all_along(server: Started, users: list[str], took_s: list[float]) -> None:
    """All of them at once, each again as soon as it is in."""
    timeout = aiohttp.ClientTimeout(total=WAIT_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        await asyncio.gather(*(_log_in_again_and_again(http, server, one, took_s) for one in users))


async def _log_in_again_and_again(
    http: aiohttp.ClientSession, server: Started, user: str, took_s: list[float]
) -> None:
    body = {"email": email_of(user), "password": PASSWORD}
    while True:
        start_s = time.perf_counter()
        status = await _post(http, f"{server.url}/api/v1/auth/login", body)
        if status != 200:
            raise RuntimeError(f"a log-in was answered {status}")
        took_s.append(time.perf_counter() - start_s)


async def _post(http: aiohttp.ClientSession, url: str, body: dict[str, str]) -> int:
    async with http.post(url, json=body) as response:
        await response.read()
        return response.status


# What timing tells


async def told_apart(context: Context) -> dict[str, Any]:
    """Ask of known and unknown addresses in random order; see whether the time tells which."""
    around, scale = context.surroundings, context.scale
    server = await around.serve(**UNLIMITED)
    count = scale.count(SAMPLES, least=10)
    known = [email_of(one.user) for one in around.population.take(count)]
    async with aiohttp.ClientSession() as http:
        return {
            name: await _compare(http, server, path, body, status, known)
            for name, (path, body, status) in _ASKED.items()
        }


# Where, with what beside the address, and the statuses expected for a known and an unknown one.
_ASKED: dict[str, tuple[str, dict[str, str], set[int]]] = {
    "log_in": ("login", {"password": "not the password"}, {401}),
    "reset": ("reset", {}, {202}),
    # Registering tells, by design: the control, which shows that a difference would be seen.
    "register": ("register", {"password": "quite a long passphrase", "name": "Eve"}, {201, 409}),
}


async def _compare(
    http: aiohttp.ClientSession,
    server: Started,
    path: str,
    body: dict[str, str],
    expected: set[int],
    known: list[str],
) -> dict[str, Any]:
    unknown = [f"{secrets.token_hex(12)}@bench.example" for _ in known]
    asked = [(email, True) for email in known] + [(email, False) for email in unknown]
    random.shuffle(asked)
    times: dict[bool, list[float]] = {True: [], False: []}
    for email, is_known in asked:
        start_s = time.perf_counter()
        status = await _post(http, f"{server.url}/api/v1/auth/{path}", {"email": email, **body})
        if status not in expected:
            raise RuntimeError(f"{path} was answered {status}")
        times[is_known].append(time.perf_counter() - start_s)
    share = probability_of_longer(times[True], times[False])
    deviation = math.sqrt((2 * len(known) + 1) / (12 * len(known) ** 2))
    return {
        "known_ms": distribution_ms(times[True]),
        "unknown_ms": distribution_ms(times[False]),
        "known_is_slower": round(share, 4),
        "apart": round(abs(share - 0.5), 4),
        "standard_deviations": round(abs(share - 0.5) / deviation, 2),
    }


def probability_of_longer(these: list[float], those: list[float]) -> float:
    """Of two samples, how likely one of `these` is longer than one of `those`: ½ tells nothing.

    The Mann-Whitney U statistic over the number of pairs; ties count half.
    """
    ranked = sorted([(value, True) for value in these] + [(value, False) for value in those])
    rank_sum, start = 0.0, 0
    while start < len(ranked):
        end = start
        while end < len(ranked) and ranked[end][0] == ranked[start][0]:
            end += 1
        middle = (start + 1 + end) / 2
        rank_sum += middle * sum(mine for _, mine in ranked[start:end])
        start = end
    u = rank_sum - len(these) * (len(these) + 1) / 2
    return u / (len(these) * len(those))


SCENARIOS = (
    Scenario(
        "log-ins",
        f"{AT_ONCE} log-ins at once, all along, beside {RATE:,.0f} ops/s from {SOCKETS} sockets",
        "Open loops on the embedded store, one without log-ins and one with as many under way at"
        " every moment. Passwords are hashed at the default cost, by a thread of the service that"
        " has its one core to share with the event loop.",
        (
            Requirement("ack p50 beside log-ins, of that without", "p50_ratio", at_most=1.5),
            Requirement("ack p99 beside log-ins, of that without", "p99_ratio", at_most=1.5),
            *all_acked("calm"),
            *all_acked("busy"),
        ),
        sign_ins,
        lambda scale: _sockets(scale) + scale.count(AT_ONCE, least=4),
    ),
    Scenario(
        "known-addresses",
        "whether the time of an answer tells that an address has an account",
        f"{SAMPLES:,} known and as many unknown addresses a door, in random order, one at a time,"
        f" with hashes of cost {TIMED_COST}. `known_is_slower` is the probability that of one"
        " known and one unknown address the known one took longer (Mann-Whitney): 0.5 tells"
        " nothing, `apart` is the distance from it. Registering tells by design, and shows that a"
        " difference would be seen.",
        (
            Requirement("log-in: distance from telling nothing", "log_in.apart", at_most=0.04),
            Requirement("reset: distance from telling nothing", "reset.apart", at_most=0.04),
            Requirement("registering, the control", "register.apart", at_least=0.2),
        ),
        told_apart,
        lambda scale: scale.count(SAMPLES, least=10),
        bcrypt_cost=TIMED_COST,
    ),
)
