"""Security events: what the doors refuse and who signs in leaves a line, in ids alone."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from commerce.accounts import policy
from commerce.accounts.security import Event
from server.logs import JsonFormatter
from tests.cast import PASSWORD, Cast
from tests.client import Server

ROOT = Path(__file__).parents[1]
CART = "crt_0123456789abcdef01234567"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The log's lines of security events, as they are written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("commerce.security")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(level)


async def post(server: Server, path: str, headers: dict[str, str], **body: Any) -> int:
    async with server.http.post(f"{server.url}{path}", json=body, headers=headers) as response:
        return response.status


def of(lines: Lines, event: Event) -> dict[str, Any]:
    (found,) = [line for line in lines() if line["event"] == event.value]
    return found


async def test_whom_the_policy_refuses_is_noted(server: Server, lines: Lines) -> None:
    cast = Cast(server)
    customer, guest = await cast.one(policy.CUSTOMER), await cast.one(policy.GUEST)
    users = f"{server.url}/api/v1/auth/users/{guest.user}"
    async with server.http.get(users, headers=customer.headers) as response:
        assert response.status == 403
    line = of(lines, Event.REFUSED)
    assert (line["by"], line["action"], line["group"]) == (customer.user, "find_users", "customer")
    assert line["at"].endswith("Z")
    assert len(line["request"]) == 16

    async with server.connect(guest.account) as client:
        await client.refusal("forbidden", "cart.invitations", cart=CART)
    line = [line for line in lines() if line["event"] == "refused"][1]
    assert (line["by"], line["action"], line["group"]) == (guest.user, "invite", "guest")


async def test_what_a_browser_was_made_to_send_is_noted(server: Server, lines: Lines) -> None:
    customer = await Cast(server).one(policy.CUSTOMER, cookie=True)
    headers = {**customer.headers, "Origin": "https://evil.example"}
    assert await post(server, "/api/v1/auth/logout", headers) == 403
    assert of(lines, Event.FORGERY_REFUSED)["by"] is None  # nobody has been asked for
    del headers["Origin"], headers["X-CSRF-Token"]
    assert await post(server, "/api/v1/auth/logout", headers) == 403
    forged = [line["by"] for line in lines() if line["event"] == "forgery_refused"]
    assert forged == [None, customer.user]


async def test_coming_and_going_is_noted_without_addresses_and_names(
    server: Server, lines: Lines
) -> None:
    cast = Cast(server)
    person = await cast.one(policy.CUSTOMER)
    login = "/api/v1/auth/login"
    assert await post(server, login, {}, email=person.email, password="something else") == 401
    assert await post(server, login, {}, email="nobody@shop.example", password=PASSWORD) == 401
    again = await cast.again(person)
    assert await post(server, "/api/v1/auth/logout", again.headers) == 204
    assert await post(server, "/api/v1/auth/logout-everywhere", person.headers) == 204
    assert [(line["event"], line["by"]) for line in lines()] == [
        ("registered", person.user),
        ("signed_in", person.user),
        ("sign_in_failed", None),
        ("sign_in_failed", None),
        ("signed_in", person.user),
        ("signed_out", person.user),
        ("signed_out_everywhere", person.user),
    ]
    assert [line.get("user") for line in lines()[2:4]] == [person.user, None]
    text = json.dumps(lines())
    for secret in (person.email, "nobody@", person.name, PASSWORD, "127.0.0.1", person.token):
        assert secret not in text
