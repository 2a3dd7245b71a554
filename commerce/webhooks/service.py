"""Webhooks, as administrators see to them: registering, secrets, deliveries, sending again."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from commerce.accounts import security
from commerce.accounts.security import Event
from commerce.webhooks.addresses import BadUrlError, checked_url
from commerce.webhooks.errors import (
    InvalidWebhookError,
    NoSuchDeliveryError,
    NoSuchWebhookError,
    WebhookConflictError,
)
from storage.times import now_ms
from storage.webhook_deliveries import WebhookDeliveries
from storage.webhook_documents import DELIVERED, FAILED, WAITING, Delivery, Message
from storage.webhook_endpoints import ENDPOINTS_MAX, Endpoint, OldSecret, WebhookEndpoints

SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
OLD_SECRET_S: Final = 86_400.0
"""How long a secret that was replaced signs, too."""
OLD_SECRETS_MAX: Final = 4
"""That sign at once. Further ones are refused until the oldest has ended."""
REPLAYED_MAX: Final = 1_000
"""Deliveries that one request puts in line again."""
PAGE: Final = 200
"""Deliveries read at once."""
TEST_TYPE: Final = "cartroom.webhook.test"

ADMIN: Final = "admin"
"""Why an endpoint is off that somebody has switched off."""


@dataclass(frozen=True, slots=True)
class Rotated:
    endpoint: Endpoint
    old_until: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many were put in line, and the place from which to go on; None when that was all."""

    count: int
    next: str | None


def new_secret() -> str:
    """What a receiver verifies by, as Standard Webhooks writes it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


class Webhooks:
    """The webhooks of a shop. What the driver raises when the store is away passes through.

    `private` lets endpoints be in one's own networks. `give_up_s` is how long a delivery is tried.
    """

    def __init__(
        self,
        endpoints: WebhookEndpoints,
        deliveries: WebhookDeliveries,
        *,
        private: bool,
        give_up_s: float,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._private = private
        self._give_up_ms = int(give_up_s * 1_000)
        self._now_ms = now_ms

    # Endpoints

    async def register(
        self, by: str, *, url: str, types: Sequence[str] = (), description: str = ""
    ) -> Endpoint:
        """A new endpoint, with its secret. Raises InvalidWebhookError, WebhookConflictError."""
        now = self._now_ms()
        endpoint = Endpoint(
            id=f"whk_{secrets.token_hex(12)}",
            url=self._checked(url),
            description=description,
            types=tuple(types),
            secret=new_secret(),
            created_at=now,
            since=now,
        )
        full = WebhookConflictError(f"There are {ENDPOINTS_MAX} webhooks, and can't be more")
        if len(await self._endpoints.all()) >= ENDPOINTS_MAX:
            raise full
        await self._endpoints.add(endpoint)
        # Several at once may have found room for one; the one that is stored last sees them all.
        if len(await self._endpoints.all()) > ENDPOINTS_MAX:
            await self._endpoints.remove(endpoint.id)
            raise full
        security.note(Event.WEBHOOK_CREATED, by, webhook=endpoint.id)
        return endpoint

    async def all(self) -> list[Endpoint]:
        """All there are, in the order of their making."""
        return await self._endpoints.all()

    async def find(self, identity: str) -> Endpoint:
        """Raises NoSuchWebhookError."""
        found = await self._endpoints.find(identity)
        if found is None:
            raise NoSuchWebhookError
        return found

    async def change(self, by: str, identity: str, changes: dict[str, Any]) -> Endpoint:
        """Change url, types, description; switch it on or off by `enabled`. It as it is then.

        Raises NoSuchWebhookError, InvalidWebhookError.
        """
        await self.find(identity)
        enabled = changes.get("enabled")
        values = {name: value for name, value in changes.items() if name != "enabled"}
        if "url" in values:
            values["url"] = self._checked(values["url"])
        if values:
            await self._endpoints.change(identity, values)
        if enabled is True:
            await self._endpoints.enable(identity, self._now_ms())
        elif enabled is False:
            await self._endpoints.disable(identity, ADMIN, self._now_ms())
        security.note(Event.WEBHOOK_CHANGED, by, webhook=identity, fields=sorted(changes))
        return await self.find(identity)

    async def remove(self, by: str, identity: str) -> None:
        """Remove it with all its deliveries. Raises NoSuchWebhookError."""
        if not await self._endpoints.remove(identity):
            raise NoSuchWebhookError
        await self._deliveries.forget(identity)
        security.note(Event.WEBHOOK_DELETED, by, webhook=identity)

    async def rotate(self, by: str, identity: str) -> Rotated:
        """Sign with a new secret, for a day with those of before, too.

        Raises NoSuchWebhookError, WebhookConflictError.
        """
        endpoint, now = await self.find(identity), self._now_ms()
        until = now + int(OLD_SECRET_S * 1_000)
        old = tuple(one for one in endpoint.old if one.until > now)
        if len(old) >= OLD_SECRETS_MAX:
            raise WebhookConflictError(
                f"{OLD_SECRETS_MAX} secrets of before still sign; wait until one has ended"
            )
        if endpoint.secret is not None:
            old = (OldSecret(endpoint.secret, until), *old)
        secret = new_secret()
        if not await self._endpoints.rotate(endpoint, secret, old):
            raise WebhookConflictError("Somebody else has just replaced the secret")
        security.note(Event.WEBHOOK_SECRET_ROTATED, by, webhook=identity)
        return Rotated(replace(endpoint, secret=secret, old=old), until)

    # Deliveries

    async def test(self, identity: str) -> Delivery:
        """Put an event in line that says nothing. Raises as `find`, and WebhookConflictError."""
        endpoint, now = await self.find(identity), self._now_ms()
        _check_enabled(endpoint)
        message = Message(
            id=f"msg_{secrets.token_hex(16)}",
            type=TEST_TYPE,
            key=identity,
            stream=secrets.token_hex(8),
            sequence=0,
            time_ms=now,
            data=json.dumps({"webhook": identity}, separators=(",", ":")),
        )
        await self._deliveries.put([(identity, message)], now, now + self._give_up_ms)
        return await self._delivery(identity, message.id)

    async def deliveries(
        self, identity: str, limit: int, *, status: str | None = None, before: str | None = None
    ) -> list[Delivery]:
        """At most `limit`, the newest first, from below the place `before` on.

        Raises NoSuchWebhookError.
        """
        await self.find(identity)
        return await self._deliveries.newest(identity, limit, before=before, status=status)

    async def replay(self, by: str, identity: str, message: str) -> Delivery:
        """Send one again, whatever became of it.

        Raises NoSuchWebhookError, NoSuchDeliveryError, WebhookConflictError.
        """
        _check_enabled(await self.find(identity))
        now = self._now_ms()
        found = await self._delivery(identity, message)
        await self._deliveries.put_back([found], now, now + self._give_up_ms)
        security.note(Event.WEBHOOK_REPLAYED, by, webhook=identity, count=1)
        return await self._delivery(identity, message)

    async def replay_all(
        self,
        by: str,
        identity: str,
        *,
        since_ms: int = 0,
        failed_only: bool = True,
        after: str | None = None,
    ) -> Replayed:
        """Send again what was made since then, by default only what failed; the oldest first.

        From above the place `after` on, and no more than about `REPLAYED_MAX` at once. Raises
        NoSuchWebhookError, WebhookConflictError.
        """
        _check_enabled(await self.find(identity))
        now, count = self._now_ms(), 0
        while count < REPLAYED_MAX:
            page = await self._deliveries.made_since(identity, since_ms, PAGE, after=after)
            wanted = [
                one
                for one in page
                if one.status == FAILED or (one.status == DELIVERED and not failed_only)
            ]
            await self._deliveries.put_back(wanted, now, now + self._give_up_ms)
            # What an earlier request has put back may have got no further than that.
            await self._deliveries.remind([one for one in page if one.status == WAITING], now)
            count += len(wanted)
            after = page[-1].place if len(page) == PAGE else None
            if after is None:
                break
        security.note(Event.WEBHOOK_REPLAYED, by, webhook=identity, count=count)
        return Replayed(count, after)

    async def _delivery(self, identity: str, message: str) -> Delivery:
        found = await self._deliveries.find(identity, message)
        if found is None:
            raise NoSuchDeliveryError
        return found

    def _checked(self, url: str) -> str:
        try:
            return checked_url(url, private=self._private)
        except BadUrlError as error:
            raise InvalidWebhookError("url", str(error)) from None


def _check_enabled(endpoint: Endpoint) -> None:
    if not endpoint.enabled:
        raise WebhookConflictError("It is switched off; switch it on first")
