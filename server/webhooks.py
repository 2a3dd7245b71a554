"""The webhooks' worker: what follows the log and documents for them, and what sends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from commerce.accounts.tokens import derive_key
from commerce.webhooks.addresses import is_public
from events.documents import InvitationOutbox, ProductOutbox, relay
from events.event import PRODUCT_CHANGED
from events.webhooks.connecting import SystemLookup
from events.webhooks.metrics import WebhookMetrics
from events.webhooks.pace import Pace
from events.webhooks.sending import sending
from events.webhooks.unhurried import Unhurried
from handlers import keys
from realtime.ports import SystemClock
from realtime.tasks import Tasks
from server.following import following
from server.keys import SETTINGS
from server.settings import Settings
from storage.invitations import Invitations
from storage.mongo import Database, StoreError
from storage.products import Products
from storage.sealing import Sealing
from storage.unsent import Place
from storage.webhook_deliveries import WebhookDeliveries
from storage.webhook_endpoints import WebhookEndpoints

SEALING: Final = b"webhooks' secrets"
"""The purpose of the key that seals them."""
STOP_S: Final = 3.0
"""How long what is being sent may take to arrive at the end."""

log = logging.getLogger(__name__)


def pace_of(settings: Settings) -> Pace:
    return Pace(
        timeout_s=settings.webhooks_timeout_s,
        retry_s=settings.webhooks_retry_s,
        give_up_s=settings.webhooks_give_up_s,
        disable_s=settings.webhooks_disable_s,
    )


def webhook_endpoints(settings: Settings, database: Database) -> WebhookEndpoints:
    """Every instance and worker opens what any of them has sealed."""
    secrets = (settings.jwt_secret or "", *settings.jwt_secrets_old)
    return WebhookEndpoints(database, Sealing([derive_key(one, SEALING) for one in secrets]))


async def _reseal(endpoints: WebhookEndpoints) -> None:
    """Have no secret lie open that an earlier version has stored, or sealed with an old key."""
    try:
        lost = await endpoints.reseal()
    except StoreError as error:
        log.warning("Webhooks' secrets are sealed another time: %s", type(error).__name__)
        return
    for identity in lost:
        log.error(
            "A webhook's secret can't be opened: it was sealed under another CARTROOM_JWT_SECRET."
            " Name that in CARTROOM_JWT_SECRETS_OLD, or replace the webhook's secret.",
            extra={"webhook": identity},
        )


@asynccontextmanager
async def webhooks(app: web.Application) -> AsyncIterator[None]:
    """Put events in line for the webhooks that want them, and send what waits."""
    settings, database, clock = app[SETTINGS], app[keys.DATABASE], SystemClock()
    endpoints, deliveries = webhook_endpoints(settings, database), WebhookDeliveries(database)
    pace, metrics, lookup = pace_of(settings), WebhookMetrics(app[keys.REGISTRY]), SystemLookup()
    await _reseal(endpoints)
    async with sending(
        endpoints,
        deliveries,
        pace,
        allowed=(lambda address: True) if settings.webhooks_private else is_public,
        lookup=lookup,
        clock=clock,
        metrics=metrics,
    ) as (sink, deliverer):
        products = Unhurried(PRODUCT_CHANGED, sink, endpoints, deliveries, pace, clock=clock)
        tasks = Tasks()
        tasks.start(deliverer.run(), "send webhooks")
        tasks.start(deliverer.prune_regularly(), "prune webhooks")
        try:
            async with following(app, "webhooks", sink) as share:
                # One does it at a time, as a rule: then a product's versions come in order.
                for outbox, taking in (
                    (ProductOutbox(Products(database), Place.WEBHOOKS), products),
                    (InvitationOutbox(Invitations(database), Place.WEBHOOKS), sink),
                ):
                    tasks.start(
                        relay(
                            (outbox,),
                            taking,
                            every_s=settings.follow_every_s,
                            gentle=True,
                            ours=lambda: 0 in share.mine(),
                        ),
                        f"tell webhooks by {type(outbox).__name__}",
                    )
                yield
        finally:
            try:
                await deliverer.stop(STOP_S)
            finally:  # also when that is cut off
                await tasks.stop()
                lookup.close()
