"""The service against its own OpenAPI document, by Schemathesis, as everybody of the policy.

Each operation is asked for with the document's examples and with prepared values where it needs
something that is alive (`contract_values`), as each group in turn, and then with what Schemathesis
makes up, good and bad. Each answer must be one that the document describes. Each operation must
have succeeded at least once, so that no part of the document is held against refusals alone.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from commerce.accounts import policy
from handlers import keys
from handlers.openapi import build_document
from handlers.routes import ROUTES
from server.settings import Settings
from tests.cast import GROUPS, Cast, Somebody
from tests.client import running_server
from tests.conftest import UNHURRIED, UNLIMITED
from tests.contract_values import NEEDS, Values
from tests.tiers import by_tier

T = TypeVar("T")

EXAMPLES = by_tier(quick=3, ci=40, long=1_000)
"""Good and bad requests that are made up, for each operation."""
TIMEOUT_S = 300.0
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
NAMES = [route.operation.id for route in ROUTES if route.operation is not None]
Operation = APIOperation[Any, Any, Any, Any]


@cache
def operations() -> dict[str, Operation]:
    """The operations of the document, by their ids."""
    schema = schemathesis.openapi.from_dict(build_document(ROUTES, "1"))
    found = [result.ok() for result in schema.get_all_operations()]
    return {operation.definition.raw["operationId"]: operation for operation in found}


class Shop:
    """A running service, its people, and what became of each operation."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.done: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._http = requests.Session()
        # What one of them gets told to keep, the next one must not send.
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._kept: dict[tuple[str, bool], Somebody] = {}

    def wait(self, something: Awaitable[T]) -> T:
        """Have the service's loop do it. For the thread that Schemathesis is in."""

        async def do() -> T:
            return await something

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(TIMEOUT_S)

    def somebody(self, group: str, method: str, *, cookie: bool = False) -> Somebody:
        """One of the group. Who may have been signed out, or deleted, isn't taken again."""
        person = self._kept.pop((group, cookie), None)
        if person is None:
            person = self.wait(self.values.cast.one(group, cookie=cookie))
        if method.upper() == "GET":
            self._kept[group, cookie] = person
        return person

    def ask(self, name: str, case: Case, person: Somebody) -> None:
        response = case.call(
            base_url=self.values.server.url, session=self._http, headers=person.headers
        )
        assert response.status_code != 503, f"nothing is away, but: {response.text}"
        case.validate_response(response, checks=CHECKS, headers=person.headers)
        self.done[name] += response.status_code < 300

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="module")
async def shop(
    mongodb_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    settings = Settings(
        port=0,
        data=tmp_path_factory.mktemp("data"),
        mongodb_url=mongodb_url,
        mongodb_database=f"test_contract_{uuid.uuid4().hex[:12]}",
        redis_url=redis_url,
        jwt_secret="x" * 40,
        bcrypt_cost=4,
        **UNLIMITED,
        **UNHURRIED,
        log_level="WARNING",
    )
    async with running_server(settings) as server:
        values = Values(server, Cast(server))
        await values.set_up()
        shop = Shop(values)
        yield shop
        shop.close()
        await server.app[keys.DATABASE].drop()


def example_of(operation: Operation) -> dict[str, dict[str, Any]]:
    """The request that the document shows."""
    raw = operation.definition.raw
    parts: dict[str, dict[str, Any]] = {"path_parameters": {}, "query": {}}
    for parameter in raw.get("parameters", ()):
        examples = parameter["schema"].get("examples") or [parameter["schema"].get("example")]
        if parameter["required"] or examples[0] is not None:
            place = "path_parameters" if parameter["in"] == "path" else "query"
            parts[place][parameter["name"]] = examples[0]
    if "requestBody" in raw:
        parts["body"] = dict(raw["requestBody"]["content"]["application/json"]["example"])
    return parts


def changed(case: Case, parts: dict[str, dict[str, Any]]) -> Case:
    """The case, with these parts of it as they must be."""
    for place, values in parts.items():
        present = getattr(case, place)
        if isinstance(present, dict):
            setattr(case, place, {**present, **values})
    return case


@pytest.mark.parametrize("name", NAMES)
async def test_everybody_is_answered_as_the_document_says(shop: Shop, name: str) -> None:
    """With the document's example as it stands, and with what there is."""
    await asyncio.to_thread(ask_as_everybody, shop, name)


def ask_as_everybody(shop: Shop, name: str) -> None:
    operation = operations()[name]
    for group in GROUPS:
        for cookie in (False, True) if group == policy.CUSTOMER else (False,):
            person = shop.somebody(group, operation.method, cookie=cookie)
            if name in NEEDS:  # so that the example is of what there isn't
                shop.ask(name, operation.Case(**example_of(operation)), person)
                person = shop.somebody(group, operation.method, cookie=cookie)
            parts = example_of(operation)
            for place, values in shop.wait(shop.values.of(name, person)).items():
                parts[place] |= values
            shop.ask(name, operation.Case(**parts), person)
    assert shop.done[name], f"nobody got {name} done; say in contract_values what it needs"


def modes_of(operation: Operation) -> list[GenerationMode]:
    raw = operation.definition.raw
    takes = "requestBody" in raw or any(one["in"] == "query" for one in raw.get("parameters", ()))
    return [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes else [])]


@pytest.mark.parametrize("name", NAMES)
async def test_whatever_is_sent_is_answered_as_the_document_says(shop: Shop, name: str) -> None:
    await asyncio.to_thread(ask_anything, shop, name)


def ask_anything(shop: Shop, name: str) -> None:
    operation = operations()[name]
    for mode in modes_of(operation):
        ask_in_mode(shop, name, mode)


def ask_in_mode(shop: Shop, name: str, mode: GenerationMode) -> None:
    operation = operations()[name]

    @hypothesis_settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(mode), st.sampled_from(GROUPS), st.booleans())
    def ask(case: Case, group: str, alive: bool) -> None:
        person = shop.somebody(group, operation.method)
        if alive and mode is GenerationMode.POSITIVE:
            case = changed(case, shop.wait(shop.values.of(name, person)))
        shop.ask(name, case, person)

    ask()
