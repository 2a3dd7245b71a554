"""Nobody is sent elsewhere: no parameter, path or header decides where a browser goes next."""

from __future__ import annotations

import re

import pytest
from yarl import URL

from handlers.routes import ROUTES
from server.app import create_app

ELSEWHERE = ("//evil.example", "https://evil.example", "/\\evil.example", "https:evil.example")
NAMES = ("next", "url", "return", "return_to", "redirect", "redirect_uri", "continue", "to")
GETS = sorted({re.sub(r"{\w+(:[^}]*)?}", "x", one.path) for one in ROUTES if one.method == "GET"})


@pytest.fixture
async def client(settings, aiohttp_client):
    return await aiohttp_client(create_app(settings))


@pytest.mark.parametrize("where", ELSEWHERE)
async def test_no_address_leads_elsewhere(client, where):
    for path in GETS:
        if path == "/ws":
            continue
        query = dict.fromkeys(NAMES, where) if "catalog" not in path else {}
        headers = {"X-Forwarded-Host": "evil.example", "Referer": where}
        answer = await client.get(path, params=query, headers=headers, allow_redirects=False)
        location = answer.headers.get("Location")
        assert location is None or location.startswith("/#/"), (path, location)


@pytest.mark.parametrize(
    "path", ["//evil.example/", "//evil.example/%2f..", "/%5cevil.example", "/static//evil.example"]
)
async def test_no_path_is_taken_for_an_address(client, path):
    """As servers do that add or take away a slash, and answer with what was asked for."""
    url = URL(f"http://{client.host}:{client.port}{path}", encoded=True)
    async with client.session.get(url, allow_redirects=False) as answer:
        assert (answer.status, answer.headers.get("Location")) == (404, None)
