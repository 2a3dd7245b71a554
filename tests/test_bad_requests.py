"""Every operation of REST meets what it should not be sent, and says what was wrong, by field.

The requests are made from the document's examples and the schemas that validate, so that whatever
is added is tried as well. What becomes of a request that is sent twice nobody can derive: for each
operation that changes something, `AGAIN` says it, and an operation that isn't there fails.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from marshmallow import Schema, fields
from yarl import URL

from commerce.accounts import policy
from handlers import keys
from handlers.openapi import Route
from handlers.routes import ROUTES
from server.settings import Settings
from tests import forging
from tests.cast import Cast, Somebody
from tests.client import Server, running_server
from tests.conftest import UNHURRIED, UNLIMITED
from tests.contract_values import Values

BODY_BYTES_MAX = 65_536
SECRET = "x" * 40
REST = [route for route in ROUTES if route.operation is not None]
WITH_BODY = [route for route in REST if route.operation.body is not None]
WITH_QUERY = [route for route in REST if route.operation.query is not None]
SIGNED_IN = [route for route in REST if route.authenticated]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "OPTIONS")
WRONG: dict[type[fields.Field], tuple[Any, ...]] = {
    fields.String: (17, True, [], {}, None),
    fields.Integer: ("x", 1.5, [], {}),
    fields.Boolean: ("yes", 1, [], {}, None),
    fields.Nested: ("x", 1, [], None),
    fields.Dict: ("x", 1, [], None),
    fields.List: ("x", 1, {}, None),
}
"""What isn't of the type, the first that fits the field."""


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


@dataclass(frozen=True)
class Good:
    """A request that would be done."""

    route: Route
    person: Somebody
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None


@dataclass
class Shop:
    server: Server
    values: Values

    async def somebody(self, route: Route) -> Somebody:
        """One of those who may."""
        groups = policy.RULES[route.action].groups
        group = next(one for one in (policy.CUSTOMER, *policy.ROLES) if one in groups)
        return await self.values.cast.one(group)

    async def good(self, route: Route) -> Good:
        operation = route.operation
        assert operation is not None
        person = await self.somebody(route)
        parts = await self.values.of(operation.id, person)
        path = route.path
        for name, example in examples_of(operation.path).items():
            value = str({name: example, **parts.get("path_parameters", {})}[name])
            path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:.+}}", value)
        query = {**examples_of(operation.query, required=True), **parts.get("query", {})}
        body = {**(operation.body_example or {}), **parts.get("body", {})}
        return Good(route, person, path, query, body if operation.body is not None else None)

    async def send(
        self, good: Good, *, method: str = "", raw: bytes | None = None, **headers: str
    ) -> tuple[int, Any, Any]:
        """Status, document and headers of the answer. A header of None isn't sent."""
        body = raw
        if body is None and good.body is not None:
            body = json.dumps(good.body).encode()
        everything = {"Content-Type": "application/json", **good.person.headers}
        everything |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in everything.items() if value is not None}
        url = URL(self.server.url + good.path, encoded=False).update_query(good.query)
        async with self.server.http.request(
            method or good.route.method,
            url,
            data=body,
            headers=sent,
            skip_auto_headers=("Content-Type",),
        ) as response:
            text = await response.read()
            document = json.loads(text) if text and "json" in response.content_type else None
            return response.status, document, response.headers


def examples_of(schema: type[Schema] | None, *, required: bool = False) -> dict[str, Any]:
    if schema is None:
        return {}
    found = {}
    for name, each in schema().fields.items():
        example = each.metadata.get("example", *each.metadata.get("examples", (None,))[:1])
        if each.required or (example is not None and not required):
            found[name] = example
    return found


@pytest.fixture(scope="module")
async def shop(
    mongodb_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    settings = Settings(
        port=0,
        data=tmp_path_factory.mktemp("data"),
        mongodb_url=mongodb_url,
        mongodb_database=f"test_bad_requests_{uuid.uuid4().hex[:12]}",
        redis_url=redis_url,
        jwt_secret=SECRET,
        bcrypt_cost=4,
        **UNLIMITED,
        **UNHURRIED,
        log_level="WARNING",
    )
    async with running_server(settings) as server:
        values = Values(server, Cast(server))
        await values.set_up()
        yield Shop(server, values)
        await server.app[keys.DATABASE].drop()


def refused(answer: tuple[int, Any, Any], status: int, code: str, *named: str) -> None:
    """Hold an answer to what every refusal is; `named` are the fields, and no others."""
    got, problem, headers = answer
    assert got == status, problem
    assert headers["Content-Type"].startswith("application/problem+json")
    assert headers["Cache-Control"] == "no-store"
    assert (problem["code"], problem["status"]) == (code, status)
    assert problem["type"] == f"/problems/{code}"
    assert problem["detail"]
    if named:
        assert sorted(problem["errors"]) == sorted(named)
        assert all(problem["errors"].values())


@pytest.mark.parametrize("route", WITH_BODY, ids=name_of)
async def test_a_body_that_is_no_json_object(shop: Shop, route: Route) -> None:
    good = await shop.good(route)
    for raw in (b"", b"{", b"nonsense", b'{"a": NaN}', b'{"a": "\xff"}', b"[" * 20_000):
        refused(await shop.send(good, raw=raw), 400, "bad_request")
    for raw in (b"[]", b"null", b"1", b'"x"'):
        refused(await shop.send(good, raw=raw), 400, "bad_request")


@pytest.mark.parametrize("route", WITH_BODY, ids=name_of)
async def test_a_body_of_another_type_or_too_large(shop: Shop, route: Route) -> None:
    good = await shop.good(route)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None):
        refused(await shop.send(good, Content_Type=kind), 415, "bad_request")
    answer = await shop.send(good, raw=b" " * (BODY_BYTES_MAX + 1))
    refused(answer, 413, "too_large")
    assert answer[1]["limit_bytes"] == BODY_BYTES_MAX


@pytest.mark.parametrize("route", WITH_BODY, ids=name_of)
async def test_a_field_that_is_missing_or_unknown(shop: Shop, route: Route) -> None:
    good = await shop.good(route)
    assert good.body is not None
    schema = route.operation.body()
    for name in (name for name, each in schema.fields.items() if each.required):
        body = {key: value for key, value in good.body.items() if key != name}
        refused(await shop.send(replace(good, body=body)), 400, "bad_request", name)
    for name in ("nonsense", "_id", "$where", "__proto__", "role ", "password_hash", "user"):
        body = {**good.body, name: "x"}
        refused(await shop.send(replace(good, body=body)), 400, "bad_request", name)


def wrong_values(each: fields.Field) -> Iterator[Any]:
    kind = next(kind for kind in type(each).__mro__ if kind in WRONG)
    yield from (value for value in WRONG[kind] if value is not None or not each.allow_none)
    if isinstance(each, fields.String):
        yield "x" * 5_000
        yield "half a pair: \ud800"


@pytest.mark.parametrize("route", WITH_BODY, ids=name_of)
async def test_a_field_of_another_type_or_too_long(shop: Shop, route: Route) -> None:
    good = await shop.good(route)
    assert good.body is not None
    for name, each in route.operation.body().fields.items():
        for value in wrong_values(each):
            answer = await shop.send(replace(good, body={**good.body, name: value}))
            # JSON with half a character in it is none to us, so that no field is named.
            half = isinstance(value, str) and "\ud800" in value
            refused(answer, 400, "bad_request", *(() if half else (name,)))


@pytest.mark.parametrize("route", WITH_QUERY, ids=name_of)
async def test_a_query_that_is_not_one(shop: Shop, route: Route) -> None:
    good = await shop.good(route)
    schema = route.operation.query()
    query = {**good.query, "nonsense": "x"}
    refused(await shop.send(replace(good, query=query)), 400, "bad_request", "nonsense")
    for name, each in schema.fields.items():
        too_long = {**good.query, name: "9" * 5_000}
        refused(await shop.send(replace(good, query=too_long)), 400, "bad_request", name)
        if each.required:
            refused(await shop.send(replace(good, query={})), 400, "bad_request", name)
        twice = replace(good, path=f"{good.path}?{name}=1", query={name: "1"})
        url = URL(f"{shop.server.url}{good.path}?{name}=1&{name}=2")
        async with shop.server.http.get(url, headers=twice.person.headers) as response:
            assert response.status == 400
            assert list((await response.json(content_type=None))["errors"]) == [name]


@pytest.mark.parametrize("route", REST, ids=name_of)
async def test_a_method_that_is_not_taken(shop: Shop, route: Route) -> None:
    good = await shop.good(route)
    here = {one.method for one in ROUTES if one.path == route.path}
    taken = here | ({"HEAD"} if "GET" in here else set())
    for method in METHODS:
        if method in taken:
            continue
        status, problem, headers = await shop.send(replace(good, body=None), method=method)
        assert status == 405, method
        assert set(headers["Allow"].split(",")) == taken
        assert problem is None or problem["code"] == "bad_request"


@pytest.mark.parametrize("route", SIGNED_IN, ids=name_of)
async def test_credentials_that_are_none(shop: Shop, route: Route) -> None:
    """Missing, malformed, forged and ended ones; nothing is done then."""
    good = await shop.good(route)
    token = good.person.token
    ended = forging.changed(SECRET, token, exp=int(time.time()) - 1)
    for value in (
        *(None, "", "Bearer", "Bearer ", f"Basic {token}", token, "Bearer nonsense"),
        *(f"Bearer {token}x", f"Bearer {ended}", f"Bearer {forging.unsigned(token)}"),
        *(f"Bearer {good.person.refresh_token}", f"Bearer {'x' * 5_000}"),
    ):
        answer = await shop.send(good, Authorization=value)
        refused(answer, 401, "unauthorized")
        assert answer[2]["WWW-Authenticate"].startswith("Bearer")
    status, _, _ = await shop.send(good)
    assert status < 300  # so that it was the credentials each time


# By an operation's id, what becomes of the very same request when it comes once more.
AGAIN: dict[str, tuple[int, str | None]] = {
    "register": (409, "conflict"),
    "login": (200, None),
    "guest": (201, None),  # another one
    "refresh": (200, None),  # within its 30 s, for an answer that got lost
    "logout": (401, "unauthorized"),
    "logoutEverywhere": (401, "unauthorized"),
    "endDevice": (401, "unauthorized"),  # the device was one's own
    "confirm": (400, "bad_request"),
    "resendConfirmation": (202, None),
    "changeProfile": (200, None),
    "findUsers": (200, None),
    "deleteAccount": (401, "unauthorized"),
    "changePassword": (403, "forbidden"),
    "resetPassword": (202, None),
    "completeReset": (400, "bad_request"),
    "unsubscribe": (200, None),
    "changeUser": (200, None),
    "signOutUser": (204, None),
    "changeProduct": (200, None),
    "createWebhook": (201, None),  # another one
    "changeWebhook": (200, None),
    "deleteWebhook": (404, "not_found"),
    "rotateWebhookSecret": (200, None),
    "testWebhook": (202, None),
    "replayDelivery": (202, None),
    "replayDeliveries": (202, None),
}


def test_each_operation_that_changes_something_is_tried_again() -> None:
    changing = {route.operation.id for route in REST if route.operation and route.method != "GET"}
    assert set(AGAIN) == changing


@pytest.mark.parametrize("route", [route for route in REST if route.method != "GET"], ids=name_of)
async def test_a_request_that_comes_again(shop: Shop, route: Route) -> None:
    good = await shop.good(route)
    assert (await shop.send(good))[0] < 300
    status, code = AGAIN[route.operation.id]
    answer = await shop.send(good)
    if code is None:
        assert answer[0] == status
    else:
        refused(answer, status, code)
