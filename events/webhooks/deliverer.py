"""Sends what waits: each lane in its order, each endpoint at its own pace.

A lane is taken for a while before anything of it is sent, and whoever sees that the while is over
takes it next; so two deliverers share the work, and what one leaves behind is sent by another,
perhaps once more, under the same id. No order depends on that: each goes on from the first one
that waits, and nothing is sent before what is ahead of it has arrived or been given up.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from events.relay.ports import Clock
from events.webhooks.metrics import WebhookMetrics
from events.webhooks.pace import Pace
from events.webhooks.sender import Outcome, Sender
from events.webhooks.signing import body_of, signed_headers
from storage.mongo import StoreError
from storage.webhook_deliveries import WebhookDeliveries
from storage.webhook_documents import DELIVERED, FAILED, Answer, Delivery, Lane
from storage.webhook_endpoints import Endpoint, WebhookEndpoints

LANES_MAX: Final = 100
"""Lanes of an endpoint that are looked up at a time."""
BATCH_MAX: Final = 10
"""Deliveries of a lane that are read at a time."""
PRUNED_MAX: Final = 1_000
GONE: Final = 410
NO_SECRET: Final = "secret"  # noqa: S105 - an error's name
"""Why nothing is sent where nothing can be signed."""
AWAY_MAX_S: Final = 5.0
GIVING_BACK_S: Final = 2.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Outlet:
    """An endpoint as of the last look, the lanes seen due then, and who is sending.

    `changes` counts what was done to the endpoint here, beginnings and ends, and `changing` is how
    much is being done: a look that began before the last end may know less than we do.
    """

    endpoint: Endpoint
    changes: int = 0
    changing: int = 0
    due: deque[tuple[str, str]] = field(default_factory=deque)
    senders: set[asyncio.Task[None]] = field(default_factory=set)

    @contextmanager
    def change(self) -> Iterator[None]:
        """Something is done to the endpoint."""
        self.changes += 1
        self.changing += 1
        try:
            yield
        finally:
            self.changes += 1
            self.changing -= 1


@dataclass(slots=True)
class _Held:
    """A lane that is ours until `until_s` of our own clock."""

    lane: Lane
    until_s: float


class Deliverer:
    """One process's sending; see `run`."""

    def __init__(
        self,
        endpoints: WebhookEndpoints,
        deliveries: WebhookDeliveries,
        sender: Sender,
        pace: Pace,
        *,
        clock: Clock,
        metrics: WebhookMetrics,
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._sender = sender
        self._pace = pace
        self._clock = clock
        self._metrics = metrics
        self._outlets: dict[str, _Outlet] = {}
        self._stopping = False
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Something was put in line."""
        self._news.set()

    async def run(self) -> None:
        """Send until `stop`. What the store doesn't answer is tried again, later and later."""
        failures = 0
        while not self._stopping:
            self._news.clear()
            try:
                await self._look()
                failures = 0
            except StoreError as error:
                failures += 1
                log.warning("Webhooks can't be looked up: %s", type(error).__name__)
            wait_s = self._pace.poll_s
            if failures:
                wait_s = min(wait_s * 2.0 ** min(failures, 8), AWAY_MAX_S)
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def stop(self, grace_s: float) -> None:
        """Have `run` end; what is being sent gets so long to arrive."""
        self._stopping = True
        self._news.set()
        tasks = {task for outlet in self._outlets.values() for task in outlet.senders}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    # Who is to send

    async def _look(self) -> None:
        """Look at all endpoints, and have somebody send to those for which something is due."""
        before = {identity: outlet.changes for identity, outlet in self._outlets.items()}
        found = {one.id: one for one in await self._endpoints.all()}
        for identity in self._outlets.keys() - found.keys():
            outlet = self._outlets[identity]
            outlet.endpoint = replace(outlet.endpoint, enabled=False)
            outlet.due.clear()
            if not outlet.senders:
                del self._outlets[identity]
        for identity, endpoint in found.items():
            outlet = self._outlets.setdefault(identity, _Outlet(endpoint))
            if outlet.changes == before.get(identity, 0) and not outlet.changing:
                outlet.endpoint = endpoint
            if not outlet.endpoint.enabled:
                outlet.due.clear()
            elif not outlet.due and len(outlet.senders) < self._pace.at_once_max:
                now = self._clock.wall_ms()
                outlet.due.extend(await self._deliveries.due(identity, now, LANES_MAX))
            self._start_senders(outlet)

    def _start_senders(self, outlet: _Outlet) -> None:
        free = self._pace.at_once_max - len(outlet.senders)
        for _ in range(min(free, len(outlet.due))):
            if self._stopping:
                return
            task = asyncio.create_task(self._send_lanes(outlet), name="webhooks")
            outlet.senders.add(task)
            task.add_done_callback(outlet.senders.discard)

    async def _send_lanes(self, outlet: _Outlet) -> None:
        """Send lane after lane of those seen due, until there are no more."""
        try:
            while outlet.due and outlet.endpoint.enabled and not self._stopping:
                lane, due = outlet.due.popleft()
                await self._send_if_free(outlet, lane, due)
        except StoreError as error:
            # The lane is due again by itself.
            log.warning("A webhook can't be seen to: %s", type(error).__name__)
        except Exception:
            log.exception("Sending webhooks failed")
        else:
            self._news.set()  # there may be more than were seen

    async def _send_if_free(self, outlet: _Outlet, lane: str, due: str) -> None:
        until_s = self._clock.monotonic() + self._pace.claim_s
        until_ms = self._clock.wall_ms() + int(self._pace.claim_s * 1_000)
        claimed = await self._deliveries.claim(lane, due, until_ms)
        if claimed is None:
            return
        held = _Held(claimed, until_s)
        try:
            await self._send_lane(outlet, held)
        except asyncio.CancelledError:
            await self._hand_back(claimed)
            raise

    async def _hand_back(self, lane: Lane) -> None:
        """Leave the lane to others at once. Without an answer they find out by themselves."""
        try:
            async with asyncio.timeout(GIVING_BACK_S):
                await self._deliveries.give_back(lane, self._clock.wall_ms())
        except (StoreError, TimeoutError) as error:
            log.info("A webhook's lane is due later: %s", type(error).__name__)

    # A lane

    async def _send_lane(self, outlet: _Outlet, held: _Held) -> None:
        """Send what waits in the lane, until nothing does or one has to wait."""
        while True:
            mark = await self._deliveries.mark_of(held.lane)
            if mark is None:
                return
            batch = await self._deliveries.waiting(held.lane, BATCH_MAX)
            if not batch and await self._deliveries.end(held.lane, mark):
                return
            for delivery in batch:
                if not outlet.endpoint.enabled or self._stopping:
                    await self._deliveries.give_back(held.lane, self._clock.wall_ms())
                    return
                if not await self._still_ours(held):
                    return
                again_ms = await self._attempt(outlet, delivery)
                if again_ms is not None:
                    await self._deliveries.give_back(held.lane, again_ms)
                    return

    async def _still_ours(self, held: _Held) -> bool:
        """Whether the lane is ours for as long as an attempt takes; kept for longer if need be."""
        now_s = self._clock.monotonic()
        if now_s + 1.5 * self._pace.timeout_s < held.until_s:
            return True
        until_ms = self._clock.wall_ms() + int(self._pace.claim_s * 1_000)
        held.until_s = now_s + self._pace.claim_s
        return await self._deliveries.hold(held.lane, until_ms)

    async def _attempt(self, outlet: _Outlet, delivery: Delivery) -> int | None:
        """Send one. None: the next one can go; else when this one is to be tried again."""
        endpoint, at = outlet.endpoint, self._clock.wall_ms()
        outcome = await self._send(endpoint, delivery, at)
        now = self._clock.wall_ms()
        answer = Answer(
            at=now,
            took_ms=int(outcome.took_s * 1_000),
            status=outcome.status,
            error=outcome.error,
            text=outcome.text,
        )
        if outcome.delivered:
            self._metrics.attempts.labels(DELIVERED).inc()
            await self._deliveries.done(delivery, DELIVERED, answer)
            await self._note_success(outlet)
            return None
        next_ms = self._next_ms(delivery, outcome, now)
        if next_ms is None:
            self._metrics.attempts.labels(FAILED).inc()
            await self._deliveries.done(delivery, FAILED, answer)
        else:
            self._metrics.attempts.labels("retried").inc()
            await self._deliveries.retry(delivery, answer, next_ms)
        await self._note_failure(outlet, outcome, now)
        return next_ms

    async def _send(self, endpoint: Endpoint, delivery: Delivery, at_ms: int) -> Outcome:
        secrets = endpoint.signing_secrets(at_ms)
        if not secrets:
            return Outcome(0.0, error=NO_SECRET)
        body = body_of(delivery)
        headers = signed_headers(delivery.message, body, secrets, at_ms)
        with self._metrics.sending.track_inprogress():
            outcome = await self._sender.send(endpoint.url, headers, body)
        self._metrics.took.observe(outcome.took_s)
        return outcome

    def _next_ms(self, delivery: Delivery, outcome: Outcome, now_ms: int) -> int | None:
        """When to try again; None for never. The last attempt is when the time is over."""
        if outcome.status == GONE or now_ms >= delivery.give_up_at:
            return None
        wait_s = self._pace.wait_s(delivery.tries + 1, outcome.retry_after_s, self._clock.random())
        return min(now_ms + int(wait_s * 1_000), delivery.give_up_at)

    # The endpoint

    async def _note_success(self, outlet: _Outlet) -> None:
        if outlet.endpoint.failing_since is not None:
            with outlet.change():
                await self._endpoints.note_success(outlet.endpoint.id)
                outlet.endpoint = replace(outlet.endpoint, failing_since=None)

    async def _note_failure(self, outlet: _Outlet, outcome: Outcome, now_ms: int) -> None:
        endpoint = outlet.endpoint
        if outcome.status == GONE:
            await self._disable(outlet, "gone", now_ms)
        elif endpoint.failing_since is None:
            with outlet.change():
                await self._endpoints.note_failure(endpoint.id, now_ms)
                outlet.endpoint = replace(outlet.endpoint, failing_since=now_ms)
        elif now_ms - endpoint.failing_since >= self._pace.disable_s * 1_000:
            await self._disable(outlet, "failing", now_ms)

    async def _disable(self, outlet: _Outlet, reason: str, now_ms: int) -> None:
        if not outlet.endpoint.enabled:
            return
        outlet.endpoint = replace(outlet.endpoint, enabled=False)
        outlet.due.clear()
        with outlet.change():
            disabled = await self._endpoints.disable(outlet.endpoint.id, reason, now_ms)
        if disabled:
            self._metrics.disabled.labels(reason).inc()
            where = {"webhook": outlet.endpoint.id, "reason": reason}
            log.warning("A webhook was switched off", extra=where)

    # Forgetting

    async def prune_regularly(self) -> None:
        """Remove what has been kept for long enough, until cancelled."""
        while True:
            try:
                await self.prune()
            except StoreError as error:
                log.warning("Old webhooks can't be removed: %s", type(error).__name__)
            await self._clock.sleep(self._pace.prune_s)

    async def prune(self) -> None:
        """Remove what is old, what is too much, and what belongs to endpoints that are gone."""
        before_ms = self._clock.wall_ms() - int(self._pace.kept_s * 1_000)
        known = [one.id for one in await self._endpoints.all()]
        for identity in known:
            while (
                await self._deliveries.prune(identity, before_ms, self._pace.kept_max, PRUNED_MAX)
                >= PRUNED_MAX
            ):
                continue
        while (stranger := await self._deliveries.stranger(known)) is not None:
            if await self._endpoints.find(stranger) is None:
                await self._deliveries.forget(stranger)
            else:
                known.append(stranger)
