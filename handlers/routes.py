"""Every route of the service, in one place, with what the REST contract says of it."""

from __future__ import annotations

from functools import cache
from typing import Final

from aiohttp import web

from commerce.accounts.policy import Action
from commerce.limits import rules
from handlers import (
    auth,
    catalog,
    catalog_schemas,
    docs,
    event_schemas,
    health,
    keys,
    openapi,
    pages,
    problems,
    schemas,
    socket,
    webhooks,
)
from handlers.assets.site import installed_site
from handlers.guard import guarded
from handlers.limiting import limited
from handlers.openapi import Answer, Link, Operation, Route

_READY: Final = {"status": "ready", "dependencies": {"store": "up", "redis": "up"}}
_NOT_READY: Final = {"status": "unavailable", "dependencies": {"store": "down", "redis": "up"}}

_UNCHANGED: Final = Answer(description="As in the answer whose `ETag` is in `If-None-Match`")

CATALOG: Final = (
    Route(
        "GET",
        "/api/v1/catalog/products",
        catalog.products,
        Action.LOOK,
        Operation(
            id="findProducts",
            summary="Find products, a page at a time",
            description="In order of name. A page may hold fewer products than `limit`: the last"
            " one is the one without a `next_cursor`.",
            tag="catalog",
            query=catalog_schemas.ProductsQuerySchema,
            answers={
                200: Answer(
                    description="A page of products",
                    schema=catalog_schemas.ProductPageSchema,
                    example={"items": [catalog_schemas.PRODUCT_EXAMPLE], "next_cursor": None},
                    links=(
                        Link("seeProduct", "/items/0/sku", "sku"),
                        Link("findProducts", "/next_cursor", "cursor"),
                        Link("findProducts", "/items/0/handle", "handle"),
                    ),
                ),
                304: _UNCHANGED,
            },
            errors=("bad_request", "unavailable"),
        ),
    ),
    Route(
        "GET",
        "/api/v1/catalog/categories",
        catalog.categories,
        Action.LOOK,
        Operation(
            id="listCategories",
            summary="The categories, with how many products each has",
            description="In order of name; at most 200, those with the most products. Up to a"
            " minute old.",
            tag="catalog",
            answers={
                200: Answer(
                    description="The categories",
                    schema=catalog_schemas.CategoriesSchema,
                    example={"items": [{"name": "Kitchen", "count": 12}]},
                    links=(Link("findProducts", "/items/0/name", "category"),),
                ),
                304: _UNCHANGED,
            },
            errors=("unavailable",),
        ),
    ),
    Route(
        "GET",
        "/api/v1/catalog/products/{sku:.+}",
        catalog.product,
        Action.LOOK,
        Operation(
            id="seeProduct",
            summary="One product",
            tag="catalog",
            path=catalog_schemas.ProductPathSchema,
            answers={
                200: Answer(
                    description="The product",
                    schema=catalog_schemas.ProductSchema,
                    example=catalog_schemas.PRODUCT_EXAMPLE,
                ),
                304: _UNCHANGED,
            },
            errors=("not_found", "unavailable"),
        ),
    ),
    Route(
        "PATCH",
        "/api/v1/catalog/products/{sku:.+}",
        catalog.change_product,
        Action.SELL,
        Operation(
            id="changeProduct",
            summary="Change a product's name, price or stock",
            description="What is put into a cart from then on has the new price. Other instances"
            " may see it 2 s later.",
            tag="catalog",
            path=catalog_schemas.ProductPathSchema,
            body=catalog_schemas.ProductChangeSchema,
            body_example={"price": {"amount": 1190, "currency": "EUR"}, "available": 12},
            answers={
                200: Answer(
                    description="The product as it is now",
                    schema=catalog_schemas.ProductSchema,
                    example={
                        **catalog_schemas.PRODUCT_EXAMPLE,
                        "price": {"amount": 1190, "currency": "EUR"},
                    },
                )
            },
            errors=("not_found", "conflict", "unavailable"),
        ),
    ),
)

# Not limited: who balances load or watches over it asks often, from one address.
HEALTH: Final = (
    Route(
        "GET",
        "/healthz",
        health.healthz,
        Action.LOOK,
        Operation(
            id="healthz",
            summary="Is it alive",
            tag="operation",
            answers={
                200: Answer(
                    description="The process answers",
                    schema=schemas.AliveSchema,
                    example={"status": "alive", "version": "0.1.0"},
                )
            },
        ),
        limits=(),
    ),
    Route(
        "GET",
        "/readyz",
        health.readyz,
        Action.LOOK,
        Operation(
            id="readyz",
            summary="Can it serve, and which dependency is down",
            description="Without Redis it serves; only news between instances is late.",
            tag="operation",
            answers={
                200: Answer(description="It serves", schema=schemas.ReadySchema, example=_READY),
                503: Answer(
                    description="It doesn't serve, now or any more",
                    schema=schemas.ReadySchema,
                    example=_NOT_READY,
                ),
            },
        ),
        limits=(),
    ),
    Route(
        "GET",
        "/metrics",
        health.metrics,
        Action.LOOK,
        Operation(
            id="metrics",
            summary="Metrics for Prometheus",
            tag="operation",
            answers={
                200: Answer(
                    description="In the format that `Accept` asks for",
                    content_type="text/plain",
                    example="# TYPE cartroom_sockets gauge\ncartroom_sockets 12.0\n",
                )
            },
        ),
        limits=(),
    ),
)

CONTRACT: Final = (
    Route(
        "GET",
        "/api/openapi.json",
        openapi.show_document,
        Action.LOOK,
        Operation(
            id="openapi",
            summary="This document",
            tag="contract",
            answers={
                200: Answer(
                    description="OpenAPI 3.1",
                    schema=schemas.DocumentSchema,
                    example={"openapi": "3.1.0", "info": {"title": "Cartroom"}, "paths": {}},
                )
            },
        ),
    ),
    Route(
        "GET",
        "/problems/{code}",
        problems.explain,
        Action.LOOK,
        Operation(
            id="explainProblem",
            summary="What a problem's `type` means",
            tag="contract",
            path=schemas.ProblemCodeSchema,
            answers={
                200: Answer(
                    description="The row of the table of errors",
                    schema=schemas.ProblemTypeSchema,
                    example={
                        "code": "conflict",
                        "http_status": 409,
                        "temporary": False,
                        "meaning": "It contradicts what is already recorded",
                    },
                )
            },
            errors=("not_found",),
        ),
    ),
    Route(
        "GET",
        "/api/events/{type}.json",
        event_schemas.show,
        Action.LOOK,
        Operation(
            id="explainEvent",
            summary="What events of a type hold",
            description="Its address is the `dataschema` of the events.",
            tag="contract",
            path=event_schemas.EventTypeSchema,
            answers={
                200: Answer(
                    description="A JSON Schema of the events' data",
                    schema=event_schemas.JsonSchemaSchema,
                    content_type=event_schemas.CONTENT_TYPE,
                    example={
                        "$schema": "https://json-schema.org/draft/2020-12/schema",
                        "title": "cartroom.cart.clear",
                        "type": "object",
                        "properties": {},
                    },
                )
            },
            errors=("not_found",),
        ),
    ),
)

# Not REST: protocol.md is its contract.
SOCKET: Final = (Route("GET", "/ws", socket.upgrade, Action.CONNECT, limits=(rules.SOCKETS,)),)

# What people open in a browser.
PAGES: Final = tuple(
    Route(route.method, route.path, route.handler, Action.LOOK)
    for route in (*pages.routes, *docs.routes)
    if isinstance(route, web.RouteDef)
)

ROUTES: Final[tuple[Route, ...]] = (
    *auth.ROUTES,
    *CATALOG,
    *webhooks.ROUTES,
    *HEALTH,
    *CONTRACT,
    *SOCKET,
    *PAGES,
)


def add_routes(app: web.Application) -> None:
    """Add all routes, and what they need beside the services."""
    app[health.READINESS] = health.Readiness(app)
    app[pages.SITE] = installed_site()
    app[openapi.DOCUMENT] = _document(app[keys.VERSION])
    for route in ROUTES:
        handler = limited(guarded(route), route.rules)
        if route.method == "GET":
            app.router.add_get(route.path, handler)  # and HEAD
        else:
            app.router.add_route(route.method, route.path, handler)


@cache
def _document(version: str) -> bytes:
    """It takes longer to make than all else of an application, and is the same for all."""
    return openapi.encode_document(ROUTES, version)


def add_health_routes(app: web.Application) -> None:
    """Add those by which an operator sees how it does, for what has no other doors."""
    app[health.READINESS] = health.Readiness(app)
    for route in HEALTH:
        app.router.add_get(route.path, route.handler)
