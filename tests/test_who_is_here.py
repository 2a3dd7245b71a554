"""A page asks whether anybody is signed in; nobody is an answer, not an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from server.app import create_app
from server.settings import Settings

ADA = {"email": "ada@shop.example", "password": "correct horse battery", "name": "Ada"}
NOBODY = {"user": None}


@pytest.fixture
async def client(
    settings: Settings, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> TestClient[Any, Any]:
    return await aiohttp_client(create_app(settings))


async def ask(client: TestClient[Any, Any], token: str | None = None) -> Any:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    response = await client.get("/api/v1/auth/session", headers=headers)
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    return await response.json()


async def test_by_cookie(client: TestClient[Any, Any]) -> None:
    assert await ask(client) == NOBODY
    response = await client.post("/api/v1/auth/register", json={**ADA, "session": "cookie"})
    signed_in = await response.json()
    assert await ask(client) == signed_in
    token = {"X-CSRF-Token": signed_in["csrf_token"]}
    response = await client.post("/api/v1/auth/logout", headers=token)
    assert response.status == 204
    assert await ask(client) == NOBODY


async def test_by_token(client: TestClient[Any, Any]) -> None:
    response = await client.post("/api/v1/auth/register", json=ADA)
    signed_in = await response.json()
    assert await ask(client, signed_in["access_token"]) == {"user": signed_in["user"]}
    assert await ask(client, "forged") == NOBODY
