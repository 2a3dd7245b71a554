"""The rate limits of one application: which numbers hold, where they are counted, what is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Counter
from redis.asyncio import Redis

from commerce.limits import rules
from commerce.limits.limiter import SHARED_WAIT_S, Limits
from commerce.limits.rule import Rule
from realtime.fanout.registry import derive_client
from server.settings import Settings
from storage.buckets import CONNECTIONS, RedisBuckets


def tuned_rules(settings: Settings) -> tuple[Rule, ...]:
    """The rules whose numbers are settings."""
    return (
        rules.SIGN_IN.tuned(settings.auth_attempts_per_minute),
        rules.GUESSES.tuned(settings.guesses_per_hour),
        rules.SITE_SIGN_IN.tuned(rules.SITE_FACTOR * settings.auth_attempts_per_minute),
        rules.SITE_GUESSES.tuned(rules.SITE_FACTOR * settings.guesses_per_hour),
        rules.REQUESTS.tuned(settings.requests_per_minute),
        rules.ACCOUNT_REQUESTS.tuned(settings.account_requests_per_minute),
        rules.SOCKETS.tuned(settings.sockets_per_minute),
        rules.ACCOUNT_SOCKETS.tuned(settings.account_sockets_per_minute),
        rules.MAILS.tuned(settings.mails_per_hour),
    )


@asynccontextmanager
async def shared_limits(
    settings: Settings, *, redis: Redis, secret: str, registry: CollectorRegistry
) -> AsyncIterator[Limits]:
    """The limits, counted in this Redis while it answers. `secret` is that of all instances."""
    decisions = Counter(
        "cartroom_limit_decisions_total",
        "Decisions of rate limits, and whether Redis or this instance alone made them",
        ("rule", "where", "allowed"),
        registry=registry,
    )
    for rule in rules.ALL:
        decisions.labels(rule.name, "redis", "no")

    def decided(rule: str, where: str, allowed: bool) -> None:
        decisions.labels(rule, where, "yes" if allowed else "no").inc()

    client = derive_client(redis, connections=CONNECTIONS, timeout_s=SHARED_WAIT_S)
    try:
        yield Limits(
            RedisBuckets(client, f"cartroom:{settings.mongodb_database}"),
            secret=secret,
            tuned=tuned_rules(settings),
            on_decision=decided,
        )
    finally:
        await client.aclose()
