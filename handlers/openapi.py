"""The REST contract as an OpenAPI 3.1 document, made from the schemas that validate."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from commerce.accounts.policy import Action, is_public
from commerce.limits import rules
from commerce.limits.rule import Rule
from handlers import problems
from handlers.cookies import COOKIE as PLAIN_COOKIE
from handlers.cookies import CSRF_HEADER, SECURE_COOKIE
from handlers.schemas import ProblemSchema
from realtime.errors import ERRORS

OPENAPI_VERSION: Final = "3.1.0"
BEARER: Final = "bearer"
COOKIE: Final = "cookie"
CSRF: Final = "csrf"
DESCRIPTION: Final = (
    "Accounts and the catalog. Carts are changed over the WebSocket at `/ws`, which"
    " `protocol.md` describes. Every error is a problem document (RFC 9457) with a `code` of the"
    " same table that the socket uses.\n\n"
    "Apps and servers send an access token with each request. Browsers have a cookie instead, and"
    " with it whatever isn't GET needs the header `X-CSRF-Token`, too: its value is in the answer"
    " to the log-in, and in that of `me`."
)
TAGS: Final = {
    "sign-in": "Becoming somebody: registering, logging in, renewing tokens, mailed links.",
    "accounts": "One's own account, and where one is signed in.",
    "people": "Other people's accounts, for support and administrators.",
    "catalog": "Products, for everybody to find and for sellers to change.",
    "webhooks": "Where a shop's own systems are told what happens, for administrators.",
    "contract": "This document, and what its errors mean.",
    "operation": "For whoever runs the service.",
}
"""What operations are about, in the order in which the document has them."""
# What the framework refuses on any operation with a body, beside the operation's own errors.
_BODY_REFUSALS: Final = {
    408: "bad_request",
    413: "too_large",
    415: "bad_request",
}

# On a refusal for rate, and on any other answer that was counted.
LIMIT_HEADERS: Final = {
    "RateLimit-Policy": "The limits that were counted: a name, tokens `q` in `w` seconds.",
    "RateLimit": "Where you stand: tokens left `r`, seconds `t` until all are back.",
}

# `{sku:.+}` says to the router what OpenAPI has no words for.
_PATTERN: Final = re.compile(r":[^{}]+}")

DOCUMENT = web.AppKey("openapi", bytes)


@dataclass(frozen=True, slots=True)
class Link:
    """What an answer is good for: a part of it is what `operation` takes as `parameter`.

    `pointer` leads to that part (RFC 6901). Without a `parameter` it is for the field of the same
    name of the body.
    """

    operation: str
    pointer: str
    parameter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A success. `schema` describes JSON; None goes with a `content_type` of another kind.

    Answers without content (204, 304) have neither.
    """

    description: str
    schema: type[Schema] | None = None
    example: Any = None
    content_type: str = "application/json"
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the document says of one route. `errors` are codes of `realtime.errors`."""

    id: str
    summary: str
    tag: str
    answers: Mapping[int, Answer]
    errors: tuple[str, ...] = ()
    body: type[Schema] | None = None
    body_example: Any = None
    query: type[Schema] | None = None
    path: type[Schema] | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One method at one address. `operation` is None for pages and sockets: they are no REST.

    `action` is what the policy decides by whether somebody may.
    `limits` are the rules that each request counts against, by network, or by account where
    somebody is signed in; without any said, those for REST in general hold, and none for others.
    """

    method: str
    path: str
    handler: Handler
    action: Action
    operation: Operation | None = None
    limits: tuple[Rule, ...] | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that hold."""
        if self.limits is not None:
            return self.limits
        return () if self.operation is None else (rules.REQUESTS, rules.ACCOUNT_REQUESTS)

    @property
    def authenticated(self) -> bool:
        return not is_public(self.action)


def build_document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The OpenAPI document of `routes`."""
    spec = APISpec(
        title="Cartroom",
        version=version,
        openapi_version=OPENAPI_VERSION,
        plugins=[MarshmallowPlugin()],
        info={"description": DESCRIPTION},
        servers=[{"url": "/"}],
    )
    spec.components.schema("Problem", schema=ProblemSchema)
    for name, description in TAGS.items():
        spec.tag({"name": name, "description": description})
    spec.components.security_scheme(
        BEARER,
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access_token` of a log-in.",
        },
    )
    spec.components.security_scheme(
        COOKIE,
        {
            "type": "apiKey",
            "in": "cookie",
            "name": SECURE_COOKIE,
            "description": "For pages; a log-in with `session: cookie` sets it. Without TLS its"
            f" name is `{PLAIN_COOKIE}`.",
        },
    )
    spec.components.security_scheme(
        CSRF,
        {
            "type": "apiKey",
            "in": "header",
            "name": CSRF_HEADER,
            "description": "The `csrf_token` of a log-in. It goes with the cookie.",
        },
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.operation is not None:
            operations = paths.setdefault(_PATTERN.sub("}", route.path), {})
            operations[route.method.lower()] = _operation(route, route.operation)
    for path, operations in paths.items():
        spec.path(path, operations=operations)
    document: dict[str, Any] = spec.to_dict()
    for operations in document["paths"].values():
        for described in operations.values():
            _show_examples(described.get("parameters", ()))
    return document


def _show_examples(parameters: Iterable[dict[str, Any]]) -> None:
    """Lift the example of a parameter's schema to where readers look for it."""
    for parameter in parameters:
        schema = parameter["schema"]
        examples = schema.get("examples") or [schema.get("example", schema.get("default"))]
        if examples[0] is not None:
            parameter["example"] = examples[0]


async def show_document(request: web.Request) -> web.Response:
    """The document, as it was when the application was made."""
    response = web.Response(body=request.app[DOCUMENT], content_type="application/json")
    response.headers[hdrs.CACHE_CONTROL] = "no-cache"
    return response


def encode_document(routes: Iterable[Route], version: str) -> bytes:
    return json.dumps(build_document(routes, version), indent=2).encode()


def _operation(route: Route, operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": {
            **{
                str(status): _answer(status, answer) for status, answer in operation.answers.items()
            },
            **_refusals(route, operation),
        },
    }
    if operation.description:
        described["description"] = operation.description
    if route.authenticated:
        unsafe: dict[str, list[str]] = {} if route.method == "GET" else {CSRF: []}
        described["security"] = [{BEARER: []}, {COOKIE: [], **unsafe}]
    parameters = [
        {"in": place, "schema": schema}
        for place, schema in (("path", operation.path), ("query", operation.query))
        if schema is not None
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content: dict[str, Any] = {"schema": operation.body}
        if operation.body_example is not None:
            content["example"] = operation.body_example
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    return described


def _answer(status: int, answer: Answer) -> dict[str, Any]:
    if status in (204, 304):
        return {"description": answer.description}
    schema: Any = {"type": "string"} if answer.schema is None else answer.schema
    content: dict[str, Any] = {"schema": schema}
    if answer.example is not None:
        content["example"] = answer.example
    described = {"description": answer.description, "content": {answer.content_type: content}}
    if answer.links:
        described["links"] = {link.operation: _link(link) for link in answer.links}
    return described


def _link(link: Link) -> dict[str, Any]:
    value = f"$response.body#{link.pointer}"
    if link.parameter is not None:
        return {"operationId": link.operation, "parameters": {link.parameter: value}}
    field = link.pointer.rpartition("/")[2]
    return {"operationId": link.operation, "requestBody": {field: value}}


def _refusals(route: Route, operation: Operation) -> dict[str, Any]:
    by_status: dict[int, set[str]] = {}
    doors = ("unauthorized", "forbidden") if route.authenticated else ()
    if route.method not in ("GET", "HEAD"):
        doors = (*doors, "forbidden")  # a page of another origin
    limited = ("rate_limited",) if route.rules else ()
    for code in (*operation.errors, *doors, *limited, "internal"):
        by_status.setdefault(ERRORS[code].http_status, set()).add(code)
    if operation.body is not None:
        by_status.setdefault(400, set()).add("bad_request")
        for status, code in _BODY_REFUSALS.items():
            by_status.setdefault(status, set()).add(code)
    field = _some_field(operation)
    return {
        str(status): _refusal(status, sorted(by_status[status]), field)
        for status in sorted(by_status)
    }


def _some_field(operation: Operation) -> str:
    """What a refusal may name: the first field that a request must have, else the first."""
    names = {
        name: each.required
        for schema in (operation.body, operation.query)
        if schema is not None
        for name, each in schema().fields.items()
    }
    return next((name for name, required in names.items() if required), next(iter(names), ""))


def _refusal(status: int, codes: list[str], field: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {ERRORS[code].meaning}." for code in codes),
        "content": {
            problems.CONTENT_TYPE: {
                "schema": ProblemSchema,
                "examples": {code: {"value": _example(code, status, field)} for code in codes},
            }
        },
    }
    if status == 401:
        described["headers"] = {
            str(hdrs.WWW_AUTHENTICATE): {
                "description": "How to say who one is.",
                "schema": {"type": "string"},
                "example": problems.CHALLENGE,
            }
        }
    if any(ERRORS[code].temporary for code in codes):
        described["headers"] = {
            str(hdrs.RETRY_AFTER): {
                "description": "Seconds to wait before the next try.",
                "schema": {"type": "integer", "minimum": 0},
            }
        }
    if status == 429:
        described["headers"] |= {
            name: {"description": description, "schema": {"type": "string"}}
            for name, description in LIMIT_HEADERS.items()
        }
    return described


def _example(code: str, status: int, field: str) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if ERRORS[code].temporary:
        extra["retry_after_s"] = 2.0
    if code == "too_large":
        extra["limit_bytes"] = 65536
    if code == "bad_request" and status == 400 and field:
        extra["errors"] = {field: ["Missing data for required field."]}
    return problems.document_of(code, problems.detail_of(code, status), status, extra)
