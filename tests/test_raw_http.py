"""Requests as bytes on a socket: what is too large, too slow, or no HTTP, gets its refusal."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager

import pytest

from server.runner import HEADER_BYTES_MAX, HEADERS_MAX, LINE_BYTES_MAX
from tests.client import running_server
from tests.helpers import PATIENCE_S, eventually

LOGIN = "/api/v1/auth/login"
BODY = b'{"email": "ada@shop.example", "password": "x"}'


@pytest.fixture(scope="module")
async def doors(module_settings):
    async with running_server(module_settings) as server:
        yield server


@asynccontextmanager
async def connected(doors):
    host, port = doors.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer(reader):
    """The next answer: its status, headers by lower-case name, body."""
    async with asyncio.timeout(PATIENCE_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(first.split()[1]), headers, body


async def tell(doors, *parts):
    """Send bytes on a connection of their own; the first answer, and whether it stays open."""
    async with connected(doors) as (reader, writer):
        for part in parts:
            writer.write(part)
            await writer.drain()
        status, headers, body = await answer(reader)
        return status, headers, body


def head(method="GET", path="/healthz", version="HTTP/1.1", **headers):
    named = {"Host": "cartroom.example", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items()]
    return "\r\n".join([f"{method} {path} {version}", *lines, "", ""]).encode()


def post(body=BODY, **headers):
    return head("POST", LOGIN, Content_Type="application/json", **headers) + body


def is_problem(headers, body, code):
    """Hold an answer against what all refusals must be."""
    assert headers["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["code"] == code
    assert problem["detail"]
    assert headers["server"] == "cartroom"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert len(headers["x-request-id"]) == 16
    assert "aiohttp" not in f"{headers}{body}".lower()
    assert "python" not in f"{headers}{body}".lower()


UNREADABLE = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a word": b"hello\r\n\r\n",
    "an unknown version": b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    "a method of odd signs": b"GE(T /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a null byte in the path": b"GET /health\0z HTTP/1.1\r\nHost: x\r\n\r\n",
    "a null byte in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n",
    "a bare line feed in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n",
    "a header without a colon": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A\r\n\r\n",
    "a header without a name": b"GET /healthz HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n",
    "a blank before the colon": b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
    "too long a line": head(path="/" + "a" * LINE_BYTES_MAX),
    "too long a header": head(X_A="a" * (HEADER_BYTES_MAX + 1)),
    "too many headers": head(**{f"X-{n}": "a" for n in range(HEADERS_MAX + 1)}),
    "both lengths": post(
        b"0\r\n\r\n", Content_Length=5, Transfer_Encoding="chunked"
    ),
    "two lengths": b"POST /a HTTP/1.1\r\nHost: x\r\n"
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a list of lengths": post(Content_Length="46, 46"),
    "a negative length": post(Content_Length="-1"),
    "a length with a sign": post(Content_Length="+46"),
    "a length that is no number": post(Content_Length="0x2e"),
    "a huge length": post(Content_Length="9" * 40),
    "another encoding": post(Transfer_Encoding="chunked, identity"),
    "an encoding in disguise": post(Transfer_Encoding="xchunked"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNREADABLE)
async def test_what_cannot_be_read_is_refused_and_the_connection_closed(doors, what):
    before = await unreadable(doors)
    async with connected(doors) as (reader, writer):
        writer.write(UNREADABLE[what])
        status, headers, body = await answer(reader)
        assert status == 400
        is_problem(headers, body, "bad_request")
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b"", "no second answer"
    assert await unreadable(doors) == before + 1


async def unreadable(doors):
    """How many requests the service has counted that it couldn't read."""
    async with doors.http.get(f"{doors.url}/metrics") as response:
        text = await response.text()
    return float(re.search(r"^cartroom_http_unreadable_total (\S+)$", text, re.MULTILINE)[1])


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b"5\r\nab",
        b"zz\r\nab\r\n0\r\n\r\n",
        b"-1\r\n\r\n",
        b"2\r\nabcd\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\n",
        b"2;" + b"a" * 20_000 + b"\r\nab\r\n0\r\n\r\n",
    ],
)
async def test_chunks_that_are_none(doors, body, monkeypatch):
    monkeypatch.setattr("handlers.requests.BODY_TIMEOUT_S", 0.3)
    status, headers, answered = await tell(
        doors,
        head("POST", LOGIN, Content_Type="application/json", Transfer_Encoding="chunked"),
        body,
    )
    assert status in (400, 408)
    is_problem(headers, answered, "bad_request")


async def test_smuggled_bytes_are_no_request(doors):
    """What one server takes for a body and another for a request is taken by us for neither."""
    hidden = head(path="/api/v1/catalog/products")
    async with connected(doors) as (reader, writer):
        writer.write(post(b"0\r\n\r\n" + hidden, Content_Length=5, Transfer_Encoding="chunked"))
        status, *_ = await answer(reader)
        assert status == 400
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""


async def test_a_body_that_is_too_large_by_its_own_word_is_not_waited_for(doors):
    async with connected(doors) as (reader, writer):
        writer.write(post(Content_Length=1_000_000_000))
        status, headers, body = await answer(reader)
        assert status == 413
        is_problem(headers, body, "too_large")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (head("DELETE"), 405),
        (head("TRACE"), 405),
        (head("OPTIONS", "*"), 404),
        (head("GET", "/%00"), 404),
        (head("GET", "/static/..%2f..%2fetc/passwd"), 404),
        (head("GET", "/static/%2e%2e/__init__.py"), 404),
        (head("GET", "//evil.example/"), 404),
        (head("GET", "http://evil.example/healthz"), 200),
        (head("GET", "/healthz", "HTTP/1.0"), 200),
        (b"GET /healthz\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: \xff\xfe\r\n\r\n", 200),
        (b"GET /api/v1/auth/me HTTP/1.1\r\nHost: x\r\nOrigin: \xff\r\n\r\n", 401),
        (b"GET /api/v1/auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n", 401),
        (b"GET /api/v1/auth/me HTTP/1.1\r\nHost: x\r\nCookie: cartroom_session=\xff\r\n\r\n", 401),
    ],
)  # fmt: skip
async def test_odd_requests_that_can_be_read(doors, request_, status):
    answered, headers, _ = await tell(doors, request_)
    assert answered == status
    assert headers["server"] == "cartroom"
    assert "evil.example" not in str(headers)


async def test_a_head_that_does_not_come_is_not_waited_for(settings, monkeypatch):
    monkeypatch.setattr("server.runner.IDLE_S", 0.7)

    async def given_up(sent):
        """Send a beginning, and wait for the end without an answer."""
        async with connected(doors) as (reader, writer):
            writer.write(sent)
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""

    async def idle():
        async with connected(doors) as (reader, writer):
            writer.write(head())
            assert (await answer(reader))[0] == 200
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""

    async with running_server(settings) as doors:
        beginnings = (b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        await asyncio.gather(idle(), *map(given_up, beginnings))


async def test_a_body_that_does_not_come_is_not_waited_for(doors, monkeypatch):
    monkeypatch.setattr("handlers.requests.BODY_TIMEOUT_S", 0.2)
    status, headers, body = await tell(doors, post(b"{", Content_Length=10))
    assert status == 408
    is_problem(headers, body, "bad_request")


async def test_who_goes_away_in_the_middle_of_a_body_is_no_fault_of_ours(doors, caplog):
    refused = ("cartroom_http_requests_total", LOGIN, 'status="400"')
    under_way = ("cartroom_http_requests_in_flight",)
    before = await counted(doors, *refused)
    async with connected(doors) as (_, writer):
        writer.write(post(b"{", Content_Length=10))
        # The question itself is under way, too.
        await eventually(lambda: reaches(doors, 2, *under_way))
        writer.transport.abort()
    await eventually(lambda: reaches(doors, before + 1, *refused))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def counted(doors, name, *labels):
    """What a metric has counted of those of its series that name all of `labels`."""
    async with doors.http.get(f"{doors.url}/metrics") as response:
        text = await response.text()
    series = [line for line in text.splitlines() if line.startswith(name)]
    return sum(float(line.split()[-1]) for line in series if all(each in line for each in labels))


async def reaches(doors, number, name, *labels):
    return await counted(doors, name, *labels) >= number


async def test_requests_in_one_packet_are_answered_in_order(doors):
    async with connected(doors) as (reader, writer):
        writer.write(head() + head(path="/nothing") + head())
        assert [(await answer(reader))[0] for _ in range(3)] == [200, 404, 200]
