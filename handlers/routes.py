"""Every route of the service, in one place, with what the REST contract says of it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from commerce.limits import rules
from handlers import (
    auth,
    catalog,
    catalog_schemas,
    docs,
    health,
    keys,
    openapi,
    pages,
    problems,
    schemas,
    socket,
)
from handlers.limiting import limited
from handlers.openapi import Answer, Operation, Route

_USER: Final = {"id": "usr_5f0c2a9be1d34c7788aa01ff", "email": "ada@shop.example", "name": "Ada"}
_SESSION: Final = {
    "user": _USER,
    "access_token": "eyJhbGciOi…",
    "token_type": "Bearer",
    "expires_in": 86_400,
}
_CREDENTIALS: Final = {"email": "ada@shop.example", "password": "correct horse battery staple"}
_READY: Final = {"status": "ready", "dependencies": {"store": "up", "redis": "up"}}
_NOT_READY: Final = {"status": "unavailable", "dependencies": {"store": "down", "redis": "up"}}

AUTH: Final = (
    Route(
        "POST",
        "/api/v1/auth/register",
        auth.register,
        Operation(
            id="register",
            summary="Make an account",
            tag="accounts",
            body=schemas.RegisterSchema,
            body_example={**_CREDENTIALS, "name": "Ada"},
            answers={
                201: Answer(
                    description="The account, signed in",
                    schema=schemas.SessionSchema,
                    example=_SESSION,
                )
            },
            errors=("conflict", "unavailable"),
        ),
        limits=(rules.REQUESTS, rules.SIGN_IN),
    ),
    Route(
        "POST",
        "/api/v1/auth/login",
        auth.login,
        Operation(
            id="login",
            summary="Sign in",
            tag="accounts",
            body=schemas.LoginSchema,
            body_example=_CREDENTIALS,
            answers={
                200: Answer(description="Signed in", schema=schemas.SessionSchema, example=_SESSION)
            },
            errors=("unauthorized", "unavailable"),
        ),
    ),
    Route(
        "GET",
        "/api/v1/auth/me",
        auth.me,
        Operation(
            id="me",
            summary="Who am I",
            tag="accounts",
            authenticated=True,
            answers={
                200: Answer(
                    description="The token's account", schema=schemas.UserSchema, example=_USER
                )
            },
            errors=("unauthorized", "unavailable"),
        ),
    ),
)

CATALOG: Final = (
    Route(
        "GET",
        "/api/v1/catalog/products",
        catalog.products,
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
                )
            },
            errors=("bad_request", "unavailable"),
        ),
    ),
    Route(
        "GET",
        "/api/v1/catalog/products/{sku:.+}",
        catalog.product,
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
                )
            },
            errors=("not_found", "unavailable"),
        ),
    ),
)

# Not limited: who balances load or watches over it asks often, from one address.
HEALTH: Final = (
    Route(
        "GET",
        "/healthz",
        health.healthz,
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
        Operation(
            id="metrics",
            summary="Metrics for Prometheus",
            tag="operation",
            answers={
                200: Answer(
                    description="In the format that `Accept` asks for", content_type="text/plain"
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
        Operation(
            id="openapi",
            summary="This document",
            tag="contract",
            answers={200: Answer(description="OpenAPI 3.1", schema=schemas.DocumentSchema)},
        ),
    ),
    Route(
        "GET",
        "/problems/{code}",
        problems.explain,
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
)

# Not REST: protocol.md is its contract.
SOCKET: Final = (Route("GET", "/ws", socket.upgrade, limits=(rules.SOCKETS,)),)

# What people open in a browser.
PAGES: Final = tuple(
    Route(route.method, route.path, route.handler)
    for route in (*pages.routes, *docs.routes)
    if isinstance(route, web.RouteDef)
)

ROUTES: Final[tuple[Route, ...]] = (*AUTH, *CATALOG, *HEALTH, *CONTRACT, *SOCKET, *PAGES)


def add_routes(app: web.Application) -> None:
    """Add all routes, and what they need beside the services."""
    app[health.READINESS] = health.Readiness(app)
    app[openapi.DOCUMENT] = openapi.encode_document(ROUTES, app[keys.VERSION])
    for route in ROUTES:
        handler = limited(route.handler, route.rules)
        if route.method == "GET":
            app.router.add_get(route.path, handler)  # and HEAD
        else:
            app.router.add_route(route.method, route.path, handler)
