"""Rate limits: the buckets, here and in Redis, and what they mean at the doors."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import redis.asyncio
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from commerce.limits.limiter import Limits
from commerce.limits.local import LocalBuckets
from commerce.limits.network import network_of, site_of
from commerce.limits.rule import Claim, Rule, refusal
from commerce.limits.rules import ALL
from commerce.limits.signing_in import Origin, SignInGuard
from realtime.errors import TRY_LATER
from storage.buckets import RedisBuckets
from tests.client import Door, Server, read_to_the_end, running_server
from tests.faults import FaultProxy, proxy_of
from tests.helpers import PATIENCE_S, eventually

CLIENT = "7d0c9a52-5d3c-4f5e-9a51-0f6a4b1f2c3d"
AGES = 1e6
SLOW = Rule("slow", 5, AGES, "network")  # nothing comes back while a test runs
OTHER = Rule("other", 3, AGES, "account")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis gets more time, so that a busy machine doesn't count as an absent Redis."""
    for module in ("commerce.limits.limiter", "server.limits"):
        monkeypatch.setattr(f"{module}.SHARED_WAIT_S", PATIENCE_S)
    monkeypatch.setattr("server.app.REDIS_TIMEOUT_S", PATIENCE_S)


class Now:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture(params=["redis", "instance"])
async def limits(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Limits]:
    """Both sides of limits, which must decide alike."""
    where = set()
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        shared = RedisBuckets(client, f"test_{secrets.token_hex(6)}")
        limits = Limits(
            shared if request.param == "redis" else None,
            secret="s",
            on_decision=lambda rule, place, allowed: where.add(place),
        )
        yield limits
    assert where == {request.param}


async def test_a_bucket_gives_its_burst_and_then_says_when_to_come_back(limits: Limits) -> None:
    left = [await limits.take(SLOW, "a") for _ in range(5)]
    assert [(one.allowed, one.remaining) for one in left] == [(True, n) for n in (4, 3, 2, 1, 0)]
    refused = await limits.take(SLOW, "a")
    assert not refused.allowed
    assert refused.remaining == 0
    assert refused.retry_after_s == pytest.approx(AGES / 5, rel=0.01)
    assert refused.reset_s == pytest.approx(AGES, rel=0.01)
    assert (await limits.take(SLOW, "b")).remaining == 4, "another subject's"
    assert (await limits.take(OTHER, "a")).remaining == 2, "another rule's"


async def test_several_claims_are_met_together_or_not_at_all(limits: Limits) -> None:
    for _ in range(3):
        await limits.take(OTHER, "a")
    both = await limits.take_all(Claim(SLOW, "a"), Claim(OTHER, "a"))
    assert [one.allowed for one in both] == [True, False]
    assert refusal(both) == both[1]
    assert (await limits.look(SLOW, "a")).remaining == 5


async def test_what_is_given_back_can_be_taken_again(limits: Limits) -> None:
    await limits.give_back(SLOW, "a")
    assert (await limits.look(SLOW, "a")).remaining == 5, "not more than there was"
    await limits.take(SLOW, "a", 4)
    assert not (await limits.take(SLOW, "a", 2)).allowed
    await limits.give_back(SLOW, "a", 2)
    assert (await limits.take(SLOW, "a", 2)).allowed


async def test_a_burst_can_shrink_for_a_bucket_that_stays(limits: Limits) -> None:
    async def careful() -> bool:
        (decision,) = await limits.take_all(Claim(SLOW, "a", burst=2))
        return decision.allowed

    assert [await careful() for _ in range(3)] == [True, True, False]
    assert [(await limits.take(SLOW, "a")).allowed for _ in range(4)] == [True] * 3 + [False]
    assert not await careful()


claims = st.lists(
    st.tuples(
        st.sampled_from([SLOW, OTHER]),
        st.sampled_from("ab"),
        st.integers(-2, 3),
        st.sampled_from([None, 1, 2]),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda claim: claim[:2],
)


@given(st.lists(claims, max_size=12))
@hypothesis_settings(max_examples=40, deadline=None)
def test_redis_and_an_instance_decide_alike(
    redis_url: str, steps: list[list[tuple[Rule, str, int, int | None]]]
) -> None:
    async def play() -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            shared = RedisBuckets(client, f"test_{secrets.token_hex(6)}")
            both = [Limits(buckets, secret="s") for buckets in (shared, None)]
            for step in steps:
                asked = [Claim(*claim) for claim in step]
                one, other = [await limits.take_all(*asked) for limits in both]
                assert [(d.allowed, d.remaining) for d in one] == [
                    (d.allowed, d.remaining) for d in other
                ]

    asyncio.run(play())


async def test_tokens_come_back_one_by_one() -> None:
    now = Now()
    limits = Limits(None, secret="s", monotonic=now)
    rule = Rule("one-a-second", 60, 60.0, "network")
    assert all([(await limits.take(rule, "a")).allowed for _ in range(60)])
    assert (await limits.take(rule, "a")).retry_after_s == pytest.approx(1.0)
    now.s += 0.5
    assert (await limits.take(rule, "a")).retry_after_s == pytest.approx(0.5)
    now.s += 0.5
    assert (await limits.take(rule, "a")).allowed
    now.s += 1e6
    assert (await limits.look(rule, "a")).remaining == 60


async def test_redis_gives_tokens_back_by_its_own_clock(redis_url: str) -> None:
    rule = Rule("ten-a-second", 2, 0.2, "network")
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        limits = Limits(RedisBuckets(client, f"test_{secrets.token_hex(6)}"), secret="s")
        assert (await limits.take(rule, "a", 2)).allowed

        async def again() -> bool:
            return (await limits.take(rule, "a", 2)).allowed

        await eventually(again)


def test_an_instance_forgets_who_was_away_longest() -> None:
    local = LocalBuckets(2)

    def take(key: str) -> bool:
        (decision,) = local.take([key], [Claim(Rule("once", 1, AGES, "network"), "")], 0.0)
        return decision.allowed

    assert take("a")
    assert take("b")
    assert not take("a")
    assert take("c")
    assert not take("a"), "asked after b, so b was forgotten"
    assert take("b")


@pytest.mark.parametrize(
    ("address", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::1", True),
        (None, "", True),
    ],
)
def test_who_is_one_network(address: str | None, other: str, same: bool) -> None:
    assert (network_of(address) == network_of(other)) is same


# Guessing passwords


async def test_a_stranger_cannot_lock_anybody_out() -> None:
    now = Now()
    limits = Limits(None, secret="s", monotonic=now)
    guard = SignInGuard(limits)

    async def guess(network: str) -> bool:
        """Try a wrong password; whether it was looked at."""
        if refusal(await guard.attempt(Origin(network), "ada")) is not None:
            return False
        await guard.wrong("ada")
        return True

    assert [await guess("mallory") for _ in range(11)] == [True] * 10 + [False]
    assert await guess("home"), "another network has lost nothing"

    assert sum([await guess(f"bot {n}") for n in range(45) for _ in range(10)]) < 250
    assert [await guess("new") for _ in range(4)] == [True] * 3 + [False]
    assert not await guess("mallory")
    now.s += 3_600
    assert [await guess("mallory") for _ in range(4)] == [True] * 3 + [False], "still suspected"
    now.s += 3_600 * 2
    assert [await guess("mallory") for _ in range(11)] == [True] * 10 + [False], "no more"


async def test_who_signs_in_takes_back_an_attempt_of_their_own() -> None:
    limits = Limits(None, secret="s", monotonic=Now())
    guard = SignInGuard(limits)
    for _ in range(8):
        assert refusal(await guard.attempt(Origin("cafe"), "ada")) is None
        await guard.wrong("ada")
    for _ in range(20):
        assert refusal(await guard.attempt(Origin("cafe"), "ada")) is None
        await guard.not_wrong(Origin("cafe"), "ada")
    allowed = [refusal(await guard.attempt(Origin("cafe"), "ada")) is None for _ in range(3)]
    assert allowed == [True, True, False], "the eight wrong ones still count"


async def test_many_ipv6_networks_in_one_hand_are_not_many() -> None:
    guard = SignInGuard(Limits(None, secret="s", monotonic=Now()))
    tried = 0
    for n in range(1_000):
        address = f"2001:db8:0:{n:x}::1"
        origin = Origin(network_of(address), site_of(address))
        if refusal(await guard.attempt(origin, "ada")) is None:
            await guard.wrong("ada")
            tried += 1
    assert 10 < tried <= 160
    assert refusal(await guard.attempt(Origin(network_of("2001:db8:1::1")), "ada")) is None


# At the doors


ADA = {"email": "ada@shop.example", "password": "correct horse", "name": "Ada"}


async def sign_in(
    server: Door, email: str = ADA["email"], password: str = "wrong horse", network: str = ""
) -> int:
    headers = {"X-Forwarded-For": network} if network else {}
    body = {"email": email, "password": password}
    url = f"{server.url}/api/v1/auth/login"
    async with server.http.post(url, json=body, headers=headers) as response:
        return response.status


async def register(server: Door) -> None:
    url = f"{server.url}/api/v1/auth/register"
    async with server.http.post(url, json=ADA) as response:
        assert response.status == 201


async def test_two_instances_count_together(settings) -> None:
    few = replace(settings, guesses_per_hour=3)
    async with running_server(few) as one, running_server(few) as other:
        assert [await sign_in(server) for server in (one, other, one)] == [401] * 3
        assert [await sign_in(server) for server in (one, other)] == [429] * 2
        assert await sign_in(other, "Bob@shop.example") == 401
        assert await sign_in(other, "bob@SHOP.example") == 401
        assert await sign_in(one, "bob@shop.example") == 401
        assert await sign_in(one, "BOB@shop.example") == 429, "spelt otherwise, the same account"


async def decisions(server: Server, where: str) -> float:
    """How often the limits were decided in a place."""
    async with server.http.get(f"{server.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    name = "cartroom_limit_decisions_total{"
    counts = [line for line in lines if line.startswith(name) and f'where="{where}"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in counts)


async def test_without_redis_each_instance_goes_on_where_redis_stood(settings) -> None:
    few = replace(settings, guesses_per_hour=4)
    async with AsyncExitStack() as exits:
        way = await exits.enter_async_context(proxy_of(settings.redis_url, framed=False))
        way_of = replace(few, redis_url=way.url)
        one = await exits.enter_async_context(running_server(way_of))
        other = await exits.enter_async_context(running_server(way_of))
        assert [await sign_in(one) for _ in range(2)] == [401] * 2

        await way.down()
        assert [await sign_in(one) for _ in range(3)] == [401] * 2 + [429]
        assert [await sign_in(other) for _ in range(5)] == [401] * 4 + [429], "a budget of its own"
        assert await decisions(one, "instance") > 0

        await way.up()
        await until_shared(one)
        assert await sign_in(one) == 429, "what it let through alone counts"
        await until_shared(other)
        assert await sign_in(other) == 429


async def until_shared(server: Server) -> None:
    """Make harmless requests until Redis decides on them."""
    before = await decisions(server, "redis")

    async def decided() -> bool:
        async with server.http.get(f"{server.url}/api/v1/catalog/products") as response:
            assert response.status == 200
        return await decisions(server, "redis") > before

    await eventually(decided)


async def test_a_redis_that_hangs_holds_up_nobody(settings, monkeypatch) -> None:
    async with proxy_of(settings.redis_url, framed=False) as way:
        few = replace(settings, guesses_per_hour=4, redis_url=way.url)
        async with running_server(few) as server:
            assert await sign_in(server) == 401
            with monkeypatch.context() as patch:
                patch.setattr("commerce.limits.limiter.SHARED_WAIT_S", 0.25)
                release = hold_scripts(way)
                assert [await sign_in(server) for _ in range(4)] == [401] * 3 + [429]
                release()
            await until_shared(server)
            assert await sign_in(server) == 429


def hold_scripts(way: FaultProxy) -> Callable[[], None]:
    """Let no bucket be asked for; returns what ends that."""
    return way.hold(lambda message: b":limit:" in message).release


async def test_a_redis_that_lost_everything_gives_nobody_more(settings, redis_url) -> None:
    few = replace(settings, guesses_per_hour=3)
    async with running_server(few) as server:
        assert [await sign_in(server) for _ in range(3)] == [401] * 3
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            keys = [key async for key in client.scan_iter(f"*{settings.mongodb_database}:limit:*")]
            assert await client.delete(*keys) >= 1
        assert await sign_in(server) == 429


async def test_redis_learns_no_address_and_forgets_everything(settings, redis_url) -> None:
    few = replace(
        settings,
        trusted_proxies=networks("127.0.0.1"),
        auth_attempts_per_minute=2,
        requests_per_minute=2,
        guesses_per_hour=2,
    )
    async with running_server(few) as server:
        await register(server)
        assert await sign_in(server, network="192.0.2.77") == 401
        async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
            keys = [key async for key in client.scan_iter(f"*{settings.mongodb_database}:limit:*")]
            assert {key.split(":")[3] for key in keys} >= {"sign-in", "guesses", "requests"}
            for key in keys:
                assert await client.pttl(key) != -1, "it would stay for ever"
                assert (await client.get(key) or "0").isdigit()
                assert not any(known in key for known in ("192.0", "127.0", "ada@", "shop."))


async def test_networks_do_not_use_up_each_others_guesses(settings) -> None:
    few = replace(settings, guesses_per_hour=3, trusted_proxies=networks("127.0.0.1"))
    async with running_server(few) as server:
        await register(server)
        tried = [await sign_in(server, network="192.0.2.66") for _ in range(4)]
        assert tried == [401] * 3 + [429]
        assert await sign_in(server, password=ADA["password"], network="192.0.2.66") == 429
        for _ in range(5):
            assert await sign_in(server, password=ADA["password"], network="198.51.100.1") == 200


async def test_an_account_under_attack_from_everywhere_stays_open_to_new_networks(settings) -> None:
    proxied = replace(settings, guesses_per_hour=10, trusted_proxies=networks("127.0.0.1"))
    async with running_server(proxied) as server:
        await register(server)
        for bot in range(26):
            tried = [await sign_in(server, network=f"198.51.100.{bot}") for _ in range(4)]
            assert tried[:3] == [401] * 3
        tried = [await sign_in(server, network="192.0.2.1") for _ in range(4)]
        assert tried == [401] * 3 + [429], "fewer than the ten that there were"
        right = await sign_in(server, password=ADA["password"], network="192.0.2.2")
        assert right == 200, "and who lives there gets in"
        tried = [await sign_in(server, "bob@shop.example", network="192.0.2.1") for _ in range(4)]
        assert tried == [401] * 4, "another account"


def networks(*texts: str):
    return tuple(ipaddress.ip_network(text) for text in texts)


async def test_answers_tell_the_limits_and_where_one_stands(settings, caplog) -> None:
    async with running_server(replace(settings, guesses_per_hour=2)) as server:
        url, body = f"{server.url}/api/v1/auth/login", {"email": "a@b.example", "password": "wrong"}
        for left in (1, 0):
            async with server.http.post(url, json=body) as response:
                assert response.status == 401
                assert '"guesses";q=2;w=3600' in response.headers["RateLimit-Policy"]
                assert f'"guesses";r={left};t=' in response.headers["RateLimit"]
        with caplog.at_level(logging.INFO, "commerce.security"):
            response = await server.http.post(url, json=body)
        noted = [vars(one) for one in caplog.records if one.name == "commerce.security"]
        assert [(one["event"], one.get("rule")) for one in noted][-1] == ("rate_limited", "guesses")
        async with response:
            problem = await response.json()
            assert (response.status, problem["code"]) == (429, "rate_limited")
            assert problem["temporary"] is True
            assert 1_700 < problem["retry_after_s"] <= 1_800
            assert 1_700 < int(response.headers["Retry-After"]) <= 1_800
            policies, stands = (
                response.headers[name].split(", ") for name in ("RateLimit-Policy", "RateLimit")
            )
            assert [one.split(";")[0] for one in policies] == [one.split(";")[0] for one in stands]
            assert {"requests", "sign-in", "guesses"} == {one.split('"')[1] for one in policies}
        async with server.http.get(f"{server.url}/healthz") as response:
            assert "RateLimit" not in response.headers


async def test_requests_and_registrations_are_limited_by_network(settings) -> None:
    few = replace(
        settings,
        # One more comes back in 20 s.
        requests_per_minute=3,
        auth_attempts_per_minute=1,
        trusted_proxies=networks("127.0.0.0/8"),
    )
    async with running_server(few) as server:
        here, there = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
        url = f"{server.url}/api/v1/auth/register"
        for email, status in (("a@b.example", 201), ("b@b.example", 429)):
            async with server.http.post(url, json={**ADA, "email": email}, headers=here) as answer:
                assert answer.status == status
        url = f"{server.url}/api/v1/catalog/products"
        statuses = [(await server.http.get(url, headers=here)).status for _ in range(2)]
        assert statuses == [200, 429]
        assert (await server.http.get(url, headers=there)).status == 200
        assert (await server.http.get(f"{server.url}/healthz", headers=here)).status == 200
        assert (await server.http.get(f"{server.url}/", headers=here)).status == 200


async def test_requests_are_limited_by_account_wherever_they_come_from(settings) -> None:
    few = replace(settings, account_requests_per_minute=3, trusted_proxies=networks("127.0.0.1"))
    async with running_server(few) as one, running_server(few) as other:
        ana, bob = await one.account("Ana"), await one.account("Bob")

        async def me(server: Server, token: str, network: str) -> int:
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": network}
            async with server.http.get(f"{server.url}/api/v1/auth/me", headers=headers) as answer:
                return answer.status

        asked = [await me(one, ana.token, "192.0.2.1"), await me(other, ana.token, "192.0.2.2")]
        asked += [await me(one, ana.token, f"192.0.2.{n}") for n in (3, 4)]
        assert asked == [200] * 3 + [429]
        assert await me(one, bob.token, "192.0.2.1") == 200


async def test_sockets_are_limited_by_network(settings) -> None:
    async with running_server(replace(settings, sockets_per_minute=2)) as server:
        for _ in range(2):
            async with server.socket():
                pass
        with pytest.raises(InvalidStatus) as refused:
            async with server.socket():
                pass
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["Retry-After"]) > 0


async def test_sockets_are_limited_by_account_on_all_instances_together(settings) -> None:
    few = replace(settings, account_sockets_per_minute=2)
    async with running_server(few) as one, running_server(few) as other:
        ana, bob = await one.account("Ana"), await one.account("Bob")
        async with one.connect(ana) as renewing, other.connect(ana), other.connect(bob):
            assert (await renewing.ask("auth.renew", token=ana.token))["type"] == "ok"
            async with one.socket() as third:
                hello = {"id": 1, "type": "hello", "client": CLIENT, "token": ana.token}
                await third.send(json.dumps(hello))
                (refusal,), code = await read_to_the_end(third)
            assert (refusal["id"], refusal["code"]) == (1, "rate_limited")
            assert refusal["temporary"] is True
            assert refusal["retry_after_s"] > 0
            assert code == TRY_LATER.code, "come back later"


def test_every_rule_has_a_name_of_its_own() -> None:
    names = [rule.name for rule in ALL]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalpha() for name in names)
