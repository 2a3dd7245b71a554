"""Every refusal over REST is a problem document; every answer carries an id and safe headers."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from commerce.accounts.service import Accounts
from realtime.errors import ERRORS
from server.app import create_app
from server.logs import JsonFormatter
from tests.helpers import PATIENCE_S, eventually
from tests.proxy import TcpProxy

LOGIN = "/api/v1/auth/login"
GOOD = b'{"email": "ada@shop.example", "password": "correct horse"}'
SECRET = "the secret of ada@shop.example"


@pytest.fixture
async def client(settings, aiohttp_client):
    return await aiohttp_client(create_app(settings))


@pytest.fixture
def log():
    """What our formatter makes of everything that is logged."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


async def problem_of(response, status, code):
    """The problem document of a response, held against what all of them must be."""
    assert response.status == status
    assert response.content_type == "application/problem+json"
    problem = json.loads(await response.read())
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == f"/problems/{code}"
    assert problem["title"] == ERRORS[code].meaning
    assert problem["temporary"] is ERRORS[code].temporary
    assert problem["detail"]
    assert len(response.headers["X-Request-ID"]) == 16
    return problem


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/auth", "/api/v1/auth/login/", "/api/v2/x"])
async def test_an_unknown_address(client, path):
    await problem_of(await client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/healthz", "GET,HEAD"),
        ("GET", LOGIN, "POST"),
        ("DELETE", "/api/v1/auth/devices", "GET,HEAD"),
        ("PROPFIND", LOGIN, "POST"),
    ],
)
async def test_a_method_that_is_not_taken(client, method, path, allowed):
    response = await client.request(method, path)
    await problem_of(response, 405, "bad_request")
    assert response.headers["Allow"] == allowed


async def test_a_problems_type_leads_to_its_explanation(client):
    problem = await problem_of(await client.get("/nothing"), 404, "not_found")
    explained = await (await client.get(problem["type"])).json()
    assert explained["code"] == "not_found"
    assert explained["meaning"] == problem["title"]
    await problem_of(await client.get("/problems/no_such_code"), 404, "not_found")


def send(client, body, **headers):
    return client.post(LOGIN, data=body, headers={"Content-Type": "application/json", **headers})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"NaN",
        b'{"email": NaN}',
        b'{"email": "a@b.example", "email"}',
        b'{"email": "\\ud800", "password": "x"}',
        b'{"email": "\xff", "password": "x"}',
        b'{"email": "\xed\xa0\x80", "password": "x"}',
        GOOD.decode().encode("utf-16"),
        b"\x00",
        b"[" * 30_000,
        b'{"a":' * 9_000,
        b'{"email": 1e999, "password": "x"}',
    ],
    ids=range(14),
)
async def test_what_is_no_json(client, body):
    problem = await problem_of(await send(client, body), 400, "bad_request")
    assert "JSON" in problem["detail"]


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"x"', b"[{}]"])
async def test_json_that_is_no_object(client, body):
    problem = await problem_of(await send(client, body), 400, "bad_request")
    assert "object" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"email": 18446744073709551616, "password": "x"}', "email"),
        (b'{"email": "a@b.example", "password": {"$ne": ""}}', "password"),
        (b'{"email": "a@b.example", "password": true}', "password"),
        (b'{"email": "a@b.example", "password": "x", "__proto__": 1}', "__proto__"),
    ],
)
async def test_a_field_of_the_wrong_kind(client, body, field):
    problem = await problem_of(await send(client, body), 400, "bad_request")
    assert list(problem["errors"]) == [field]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_of_another_type(client, kind):
    response = await client.post(LOGIN, data=GOOD, headers={"Content-Type": kind})
    await problem_of(response, 415, "bad_request")


async def in_pieces(size):
    for _ in range(size // 1000):
        yield b" " * 1000


@pytest.mark.parametrize("make", [lambda: b" " * 65_537, lambda: in_pieces(100_000)])
async def test_a_body_that_is_too_large(client, make):
    problem = await problem_of(await send(client, make()), 413, "too_large")
    assert problem["limit_bytes"] == 65_536


async def test_a_small_body_that_unpacks_to_a_large_one(client):
    body = gzip.compress(b" " * 10_000_000)
    await problem_of(await send(client, body, **{"Content-Encoding": "gzip"}), 413, "too_large")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_encoded_as_it_says(client, encoding):
    response = await send(client, GOOD, **{"Content-Encoding": encoding})
    await problem_of(response, 400, "bad_request")


async def test_a_body_that_never_comes(client, monkeypatch):
    monkeypatch.setattr("handlers.requests.BODY_TIMEOUT_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(
        f"POST {LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Content-Length: 10\r\n\r\n{".encode()
    )
    assert b" 408 " in await asyncio.wait_for(reader.readline(), PATIENCE_S)
    writer.close()
    await writer.wait_closed()


async def test_a_surprise_says_nothing_and_is_logged_under_the_requests_id(
    client, monkeypatch, log
):
    async def surprise(*_, **__):
        raise ValueError(SECRET)

    monkeypatch.setattr(Accounts, "login", surprise)
    response = await send(client, GOOD)
    await problem_of(response, 500, "internal")
    assert SECRET not in await response.text()

    (entry,) = [line for line in log() if line["level"] == "ERROR"]
    assert entry["request"] == response.headers["X-Request-ID"]
    assert entry["error"].startswith("builtins.ValueError\n")
    assert "test_http_errors.py" in entry["error"]
    assert not any("ada@" in json.dumps(line) or "secret of" in json.dumps(line) for line in log())


async def test_a_surprise_after_the_head_was_sent_cuts_the_connection(
    settings, aiohttp_client, log
):
    async def begin_and_fail(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x")
        raise ValueError(SECRET)

    app = create_app(settings)
    app.router.add_get("/begin", begin_and_fail)
    client = await aiohttp_client(app)
    # The client tells by what arrived before the cut: nothing, or a part.
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        await (await client.get("/begin")).read()
    assert [line["error"].split("\n")[0] for line in log() if line["level"] == "ERROR"] == [
        "builtins.ValueError"
    ]


async def test_an_absent_store_answers_try_again_until_it_is_back(
    settings, mongodb_url, aiohttp_client
):
    async with TcpProxy(urlsplit(mongodb_url).port) as proxy:
        url = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
        client = await aiohttp_client(create_app(replace(settings, mongodb_url=url)))
        await problem_of(await send(client, GOOD), 401, "unauthorized")

        await proxy.cut()
        response = await send(client, GOOD)
        problem = await problem_of(response, 503, "unavailable")
        assert problem["retry_after_s"] == int(response.headers["Retry-After"]) == 2
        assert str(proxy.port) not in json.dumps(problem)

        await proxy.restore()

        async def back():
            return (await send(client, GOOD)).status == 401

        await eventually(back)
        await client.close()


async def test_each_answer_has_an_id_of_its_own_whatever_the_client_claims(client):
    first = await client.get("/healthz", headers={"X-Request-ID": "mine\tand more"})
    second = await client.get("/healthz")
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    assert "mine" not in first.headers["X-Request-ID"]


async def test_the_log_line_of_a_request_tells_its_route_and_nobodys_secrets(client, log):
    response = await client.get(
        "/api/v1/catalog/products/A-1?token=eyJhbGciOi.x.y&q=ada@shop.example",
        headers={"Authorization": "Bearer abc", "Cookie": "session=abc"},
    )
    (line,) = [entry for entry in log() if entry["message"] == "request"]
    assert line.pop("at").endswith("Z")
    assert line.pop("duration_ms") >= 0
    assert line == {
        "level": "INFO",
        "logger": "server.middleware",
        "message": "request",
        "request": response.headers["X-Request-ID"],
        "method": "GET",
        "route": "/api/v1/catalog/products/{sku}",
        "status": 404,
    }


async def test_no_log_line_has_an_address_in_it(client, log):
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"\x16\x03\x01 GET / nonsense\r\n\r\n")
    assert b" 400 " in await asyncio.wait_for(reader.readline(), PATIENCE_S)
    writer.close()
    await writer.wait_closed()
    await send(client, GOOD)

    text = json.dumps(log())
    assert "127.0.0.1" not in text
    assert "ada@shop.example" not in text
    assert "correct horse" not in text
