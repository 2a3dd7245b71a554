"""Webhooks over REST: administrators say where to send, and see what became of it."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from commerce.accounts.policy import Action
from handlers import keys
from handlers import webhooks_schemas as schemas
from handlers.auth.answers import done, private
from handlers.openapi import Answer, Link, Operation, Route
from handlers.requests import json_body, query, signed_in
from storage.times import now_ms

_CREATE: Final = schemas.WebhookCreateSchema()
_CHANGE: Final = schemas.WebhookChangeSchema()
_PAGE: Final = schemas.PageQuerySchema()
_ASKED: Final = schemas.DeliveriesQuerySchema()
_REPLAY: Final = schemas.ReplaySchema()
_WEBHOOK: Final = schemas.WebhookSchema()
_NEW: Final = schemas.NewWebhookSchema()
_WEBHOOKS: Final = schemas.WebhooksSchema()
_DELIVERY: Final = schemas.DeliverySchema()
_DELIVERIES: Final = schemas.DeliveriesSchema()
_REPLAYED: Final = schemas.ReplayedSchema()

PATH: Final = "/api/v1/webhooks"


async def create(request: web.Request) -> web.Response:
    body = await json_body(request, _CREATE)
    made = await request.app[keys.WEBHOOKS].register(signed_in(request).user, **body)
    view = {**schemas.endpoint_view(made, now_ms()), "secret": made.secret}
    return private(_NEW.dump(view), 201)


async def list_all(request: web.Request) -> web.Response:
    asked = query(request, _PAGE)
    start, limit = int(asked["cursor"] or 0), asked["limit"]
    found = await request.app[keys.WEBHOOKS].all()
    items = [schemas.endpoint_view(one, now_ms()) for one in found[start : start + limit]]
    following = str(start + limit) if start + limit < len(found) else None
    return private(_WEBHOOKS.dump({"items": items, "next_cursor": following}))


async def see(request: web.Request) -> web.Response:
    found = await request.app[keys.WEBHOOKS].find(request.match_info["id"])
    return private(_WEBHOOK.dump(schemas.endpoint_view(found, now_ms())))


async def change(request: web.Request) -> web.Response:
    changes = await json_body(request, _CHANGE)
    identity = request.match_info["id"]
    changed = await request.app[keys.WEBHOOKS].change(signed_in(request).user, identity, changes)
    return private(_WEBHOOK.dump(schemas.endpoint_view(changed, now_ms())))


async def delete(request: web.Request) -> web.Response:
    await request.app[keys.WEBHOOKS].remove(signed_in(request).user, request.match_info["id"])
    return done()


async def rotate(request: web.Request) -> web.Response:
    identity = request.match_info["id"]
    rotated = await request.app[keys.WEBHOOKS].rotate(signed_in(request).user, identity)
    view = schemas.endpoint_view(rotated.endpoint, now_ms())
    return private(_NEW.dump({**view, "secret": rotated.endpoint.secret}))


async def test(request: web.Request) -> web.Response:
    made = await request.app[keys.WEBHOOKS].test(request.match_info["id"])
    return private(_DELIVERY.dump(schemas.delivery_view(made)), 202)


async def deliveries(request: web.Request) -> web.Response:
    asked = query(request, _ASKED)
    identity, limit = request.match_info["id"], asked["limit"]
    before = None if asked["cursor"] is None else f"{identity}:{asked['cursor']}"
    found = await request.app[keys.WEBHOOKS].deliveries(
        identity, limit, status=asked["status"], before=before
    )
    following = _cursor(found[-1].place) if len(found) == limit else None
    items = [schemas.delivery_view(one) for one in found]
    return private(_DELIVERIES.dump({"items": items, "next_cursor": following}))


async def replay(request: web.Request) -> web.Response:
    identity, delivery = request.match_info["id"], request.match_info["delivery"]
    found = await request.app[keys.WEBHOOKS].replay(signed_in(request).user, identity, delivery)
    return private(_DELIVERY.dump(schemas.delivery_view(found)), 202)


async def replay_all(request: web.Request) -> web.Response:
    body = await json_body(request, _REPLAY)
    identity = request.match_info["id"]
    options: dict[str, Any] = {"failed_only": body.get("failed_only", True)}
    if "since" in body:
        options["since_ms"] = schemas.parse_moment(body["since"])
    if "cursor" in body:
        options["after"] = f"{identity}:{body['cursor']}"
    replayed = await request.app[keys.WEBHOOKS].replay_all(
        signed_in(request).user, identity, **options
    )
    following = None if replayed.next is None else _cursor(replayed.next)
    answer = {"replayed": replayed.count, "next_cursor": following}
    return private(_REPLAYED.dump(answer), 202)


def _cursor(place: str) -> str:
    return place.partition(":")[2]


_WEBHOOK_LINKS: Final = tuple(
    Link(operation, "/id", "id")
    for operation in (
        "seeWebhook",
        "changeWebhook",
        "deleteWebhook",
        "rotateWebhookSecret",
        "testWebhook",
        "listDeliveries",
        "replayDeliveries",
    )
)

_ENDPOINTS: Final = (
    Route(
        "POST",
        PATH,
        create,
        Action.MANAGE_WEBHOOKS,
        Operation(
            id="createWebhook",
            summary="Register where to send",
            description="The answer holds the secret by which the receiver verifies what it gets."
            " It isn't told again. docs/webhooks.md is for receivers.",
            tag="webhooks",
            body=schemas.WebhookCreateSchema,
            body_example={
                "url": schemas.URL_EXAMPLE,
                "types": ["cartroom.cart.*"],
                "description": "Orders' back office",
            },
            answers={
                201: Answer(
                    description="The webhook, with its secret",
                    schema=schemas.NewWebhookSchema,
                    example={**schemas.ENDPOINT_EXAMPLE, "secret": schemas.SECRET_EXAMPLE},
                    links=_WEBHOOK_LINKS,
                )
            },
            errors=("bad_request", "conflict", "unavailable"),
        ),
    ),
    Route(
        "GET",
        PATH,
        list_all,
        Action.MANAGE_WEBHOOKS,
        Operation(
            id="listWebhooks",
            summary="The webhooks there are, a page at a time",
            description="The oldest first. `enabled` and `reason` tell which were switched off.",
            tag="webhooks",
            query=schemas.PageQuerySchema,
            answers={
                200: Answer(
                    description="A page of webhooks",
                    schema=schemas.WebhooksSchema,
                    example={"items": [schemas.ENDPOINT_EXAMPLE], "next_cursor": None},
                    links=(
                        Link("seeWebhook", "/items/0/id", "id"),
                        Link("listWebhooks", "/next_cursor", "cursor"),
                    ),
                )
            },
            errors=("bad_request", "unavailable"),
        ),
    ),
    Route(
        "GET",
        f"{PATH}/{{id}}",
        see,
        Action.MANAGE_WEBHOOKS,
        Operation(
            id="seeWebhook",
            summary="One webhook",
            tag="webhooks",
            path=schemas.WebhookPathSchema,
            answers={
                200: Answer(
                    description="The webhook",
                    schema=schemas.WebhookSchema,
                    example=schemas.ENDPOINT_EXAMPLE,
                )
            },
            errors=("not_found", "unavailable"),
        ),
    ),
    Route(
        "PATCH",
        f"{PATH}/{{id}}",
        change,
        Action.MANAGE_WEBHOOKS,
        Operation(
            id="changeWebhook",
            summary="Change where is sent and what, or switch it on or off",
            description="What waits goes to the new address. What happens while it is off isn't"
            " sent; what waited then goes on when it is on again.",
            tag="webhooks",
            path=schemas.WebhookPathSchema,
            body=schemas.WebhookChangeSchema,
            body_example={"types": ["cartroom.cart.add"], "enabled": True},
            answers={
                200: Answer(
                    description="The webhook as it is now",
                    schema=schemas.WebhookSchema,
                    example={**schemas.ENDPOINT_EXAMPLE, "types": ["cartroom.cart.add"]},
                )
            },
            errors=("not_found", "unavailable"),
        ),
    ),
    Route(
        "DELETE",
        f"{PATH}/{{id}}",
        delete,
        Action.MANAGE_WEBHOOKS,
        Operation(
            id="deleteWebhook",
            summary="Remove a webhook, with its deliveries",
            tag="webhooks",
            path=schemas.WebhookPathSchema,
            answers={204: Answer(description="Done")},
            errors=("not_found", "unavailable"),
        ),
    ),
    Route(
        "POST",
        f"{PATH}/{{id}}/rotate-secret",
        rotate,
        Action.MANAGE_WEBHOOKS,
        Operation(
            id="rotateWebhookSecret",
            summary="A new secret",
            description="For a day everything is signed with the one of before, too. At most four"
            " of before sign at once.",
            tag="webhooks",
            path=schemas.WebhookPathSchema,
            answers={
                200: Answer(
                    description="The webhook, with its new secret",
                    schema=schemas.NewWebhookSchema,
                    example={
                        **schemas.ENDPOINT_EXAMPLE,
                        "old_secrets_until": ["2026-11-22T10:30:00.000Z"],
                        "secret": schemas.SECRET_EXAMPLE,
                    },
                )
            },
            errors=("not_found", "conflict", "unavailable"),
        ),
    ),
)

_DELIVERIES_ROUTES: Final = (
    Route(
        "POST",
        f"{PATH}/{{id}}/test",
        test,
        Action.MANAGE_WEBHOOKS,
        Operation(
            id="testWebhook",
            summary="Send an event of type `cartroom.webhook.test`",
            tag="webhooks",
            path=schemas.WebhookPathSchema,
            answers={
                202: Answer(
                    description="The delivery, which is on its way",
                    schema=schemas.DeliverySchema,
                    example={
                        **schemas.DELIVERY_EXAMPLE,
                        "type": "cartroom.webhook.test",
                        "key": schemas.ENDPOINT_EXAMPLE["id"],
                        "attempts": 0,
                        "last": None,
                    },
                    links=(Link("replayDelivery", "/id", "delivery"),),
                )
            },
            errors=("not_found", "conflict", "unavailable"),
        ),
    ),
    Route(
        "GET",
        f"{PATH}/{{id}}/deliveries",
        deliveries,
        Action.MANAGE_WEBHOOKS,
        Operation(
            id="listDeliveries",
            summary="What was sent to a webhook, and what became of it",
            description="The newest first. Kept for 30 days, of those that are done the newest"
            " 10,000.",
            tag="webhooks",
            path=schemas.WebhookPathSchema,
            query=schemas.DeliveriesQuerySchema,
            answers={
                200: Answer(
                    description="A page of deliveries",
                    schema=schemas.DeliveriesSchema,
                    example={"items": [schemas.DELIVERY_EXAMPLE], "next_cursor": None},
                    links=(
                        Link("replayDelivery", "/items/0/id", "delivery"),
                        Link("listDeliveries", "/next_cursor", "cursor"),
                    ),
                )
            },
            errors=("bad_request", "not_found", "unavailable"),
        ),
    ),
    Route(
        "POST",
        f"{PATH}/{{id}}/deliveries/{{delivery}}/replay",
        replay,
        Action.MANAGE_WEBHOOKS,
        Operation(
            id="replayDelivery",
            summary="Send one again",
            description="Whatever became of it. The receiver gets the same `webhook-id` again.",
            tag="webhooks",
            path=schemas.DeliveryPathSchema,
            answers={
                202: Answer(
                    description="The delivery, which is on its way",
                    schema=schemas.DeliverySchema,
                    example=schemas.DELIVERY_EXAMPLE,
                )
            },
            errors=("not_found", "conflict", "unavailable"),
        ),
    ),
    Route(
        "POST",
        f"{PATH}/{{id}}/replay",
        replay_all,
        Action.MANAGE_WEBHOOKS,
        Operation(
            id="replayDeliveries",
            summary="Send again what failed, or all since a time",
            description="The oldest first, some 1,000 at once; `next_cursor` leads to the rest.",
            tag="webhooks",
            path=schemas.WebhookPathSchema,
            body=schemas.ReplaySchema,
            body_example={"since": "2026-11-21T10:00:00.000Z", "failed_only": True},
            answers={
                202: Answer(
                    description="How many are sent again",
                    schema=schemas.ReplayedSchema,
                    example={"replayed": 3, "next_cursor": None},
                )
            },
            errors=("not_found", "conflict", "unavailable"),
        ),
    ),
)

ROUTES: Final = (*_ENDPOINTS, *_DELIVERIES_ROUTES)
