"""What nobody should send: each gets its named error or close code, and nobody else notices."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from commerce.accounts.tokens import key_id
from realtime.limits import HELLO_BYTES_MAX, Limits
from tests.client import BREAD, cart_room, read_to_the_end, running_server
from tests.conftest import UNHURRIED
from tests.forging import changed, claims_of, signed, unsigned

FRAME_BYTES = Limits().frame_bytes


# Frames after `hello`

A_CART = "crt_0123456789abcdef01234567"
OP_ID = "0d9f0a52-63f7-4a3c-9f43-5a5d20a1f1aa:1"


def an_op(op):
    return {"id": 7, "type": "cart.op", "cart": A_CART, "op_id": OP_ID, "op": op}


def an_add(**item):
    return an_op({"kind": "add", "items": [{"sku": "BREAD", "qty": 1, **item}]})


UNREADABLE = {
    "nothing": "",
    "no JSON": "hello",
    "half a message": '{"id": 7, "type": "ping"',
    "two messages": '{"id": 7, "type": "ping"}{"id": 8, "type": "ping"}',
    "single quotes": "{'id': 7, 'type': 'ping'}",
    "a comma too many": '{"id": 7, "type": "ping",}',
    "NaN": '{"id": NaN, "type": "ping"}',
    "a control character": '{"id": "a\nb", "type": "ping"}',
    "a byte order mark": '\ufeff{"id": 7, "type": "ping"}',
    "nested deeply": "[" * 30_000,
    "objects nested deeply": '{"a":' * 10_000,
    "a low surrogate first": '{"id": "\\udc00\\ud800", "type": "ping"}',
    "a list": "[]",
    "a number": "7",
    "null": "null",
    "no id": '{"type": "ping"}',
    "an id of null": '{"id": null, "type": "ping"}',
    "an id of a list": '{"id": [7], "type": "ping"}',
    "a fractional id": '{"id": 7.5, "type": "ping"}',
    "an id that is true": '{"id": true, "type": "ping"}',
    "a huge id": '{"id": 36893488147419103232, "type": "ping"}',
    "a long id": json.dumps({"id": "x" * 65, "type": "ping"}),
}

MISTAKEN = {
    "a lone surrogate": an_op({"kind": "rename", "name": "x\ud800"}),
    "a key that is a lone surrogate": an_op({"kind": "clear", "\udc00": 1}),
    "a number that is none": an_op({"kind": "set_quantity", "line": "a", "qty": float("nan")}),
    "no type": {"id": 7},
    "an unknown type": {"id": 7, "type": "cart.explode"},
    "a reply": {"id": 7, "type": "ok"},
    "a type that is a number": {"id": 7, "type": 7},
    "an unknown key": {"id": 7, "type": "ping", "extra": 1},
    "an unknown key in an op": an_op({"kind": "clear", "force": True}),
    "an unknown key in an item": an_add(price=0),
    "a missing key": {"id": 7, "type": "cart.join"},
    "an op without kind": an_op({"line": "lin_1_0"}),
    "an unknown kind": an_op({"kind": "explode"}),
    "the kind that is not for clients": an_op({"kind": "create", "name": "x", "currency": "EUR"}),
    "an op that is a text": an_op("clear"),
    "an op that is null": an_op(None),
    "a cart that is a number": {"id": 7, "type": "cart.join", "cart": 1},
    "an empty cart": {"id": 7, "type": "cart.join", "cart": ""},
    "a long cart": {"id": 7, "type": "cart.join", "cart": "c" * 65},
    "a negative rev": {"id": 7, "type": "cart.join", "cart": A_CART, "rev": -1},
    "a rev beyond 2^53": {"id": 7, "type": "cart.join", "cart": A_CART, "rev": 2**53},
    "a rev beyond 64 bits": {"id": 7, "type": "cart.join", "cart": A_CART, "rev": 2**64},
    "a fractional rev": {"id": 7, "type": "cart.join", "cart": A_CART, "rev": 1.5},
    "a rev as a text": {"id": 7, "type": "cart.join", "cart": A_CART, "rev": "1"},
    "a quantity of 0": an_add(qty=0),
    "a negative quantity": an_add(qty=-1),
    "a huge quantity": an_add(qty=100_001),
    "a quantity beyond 64 bits": an_add(qty=2**70),
    "a fractional quantity": an_add(qty=1.5),
    "a quantity as a text": an_add(qty="1"),
    "a quantity that is true": an_add(qty=True),
    "no quantity": an_op({"kind": "add", "items": [{"sku": "BREAD"}]}),
    "an empty sku": an_add(sku=""),
    "a long sku": an_add(sku="x" * 201),
    "no items": an_op({"kind": "add", "items": []}),
    "items that are an object": an_op({"kind": "add", "items": {}}),
    "partial as a number": an_op({"kind": "add", "items": [{"sku": "A", "qty": 1}], "partial": 1}),
    "a change beyond 64 bits": an_op({"kind": "change_quantity", "line": "a", "by": -(2**64)}),
    "a huge change": an_op({"kind": "change_quantity", "line": "a", "by": -100_001}),
    "a name of spaces": {"id": 7, "type": "cart.create", "name": "  "},
    "a currency in small letters": {"id": 7, "type": "cart.create", "currency": "eur"},
    "a currency and a line feed": {"id": 7, "type": "cart.create", "currency": "EUR\n"},
    "an unknown role": an_op({"kind": "share", "users": [{"user": "u", "role": "boss"}]}),
    "hello again": {"id": 7, "type": "hello", "client": str(uuid.uuid4())},
    "hello with no client": {"id": 7, "type": "hello"},
    "a client that is no UUID": {"id": 7, "type": "hello", "client": "me"},
    "a client with a line feed": {"id": 7, "type": "hello", "client": f"{uuid.uuid4()}\n"},
}


@pytest.fixture(scope="module")
async def visitor(mongodb_url, redis_url, tmp_path_factory):
    """(server, client) that many bad frames are tried on: each must leave it usable."""
    from server.settings import Settings

    settings = Settings(
        port=0,
        data=tmp_path_factory.mktemp("data"),
        mongodb_url=mongodb_url,
        mongodb_database=f"test_bad_{uuid.uuid4().hex[:12]}",
        redis_url=redis_url,
        jwt_secret="x" * 40,
        bcrypt_cost=4,
        **UNHURRIED,
        log_level="WARNING",
    )
    async with (
        running_server(settings) as server,
        server.connect(await server.account()) as client,
    ):
        yield client
        from handlers import keys

        await server.app[keys.DATABASE].drop()


@pytest.mark.parametrize("frame", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_frame_without_a_readable_id_is_answered_with_id_null(visitor, frame):
    await visitor.send(frame)
    error = await visitor.error()
    assert (error["id"], error["code"], error["temporary"]) == (None, "bad_request", False)
    assert error["message"]
    assert await visitor.request("ping")


@pytest.mark.parametrize("message", MISTAKEN.values(), ids=MISTAKEN)
async def test_a_request_that_is_not_one_says_what_is_wrong(visitor, message):
    error = await visitor.start_message({**message, "id": 0} | {"id": visitor._id + 1})
    assert (error["type"], error["code"], error["temporary"]) == ("error", "bad_request", False)
    assert len(error["message"]) > 10
    assert await visitor.request("ping")


async def test_an_integer_beyond_64_bits_in_a_presence_is_refused(visitor):
    cart = await visitor.create()
    for number in (2**53, 2**63, 2**64, -(2**65), 10**400):
        data = {"n": number}
        await visitor.refusal("bad_request", "presence.set", cart=cart, data=data)
    infinite = json.dumps({"id": 0, "type": "presence.set", "cart": cart, "data": {"n": 0}})
    await visitor.send(infinite.replace('"n": 0', '"n": 1e999'))
    assert (await visitor.error())["code"] == "bad_request"


async def test_a_duplicate_key_counts_once(visitor):
    await visitor.send('{"id": 1, "id": 2, "type": "ping"}')
    assert (await visitor.error()) == {"id": 2, "type": "pong"}


async def test_escaped_pairs_of_surrogates_are_characters(visitor):
    cart = await visitor.create(name="\U0001f9c0")
    assert (await visitor.state(cart))["name"] == "\U0001f9c0"


async def test_a_text_id_is_echoed(visitor):
    await visitor.send('{"id": "ü-1", "type": "ping"}')
    assert (await visitor.error()) == {"id": "ü-1", "type": "pong"}


# Frames that end the socket


@pytest.mark.parametrize("frame", [b"", b"\0\xff", b'{"id": 1, "type": "ping"}'])
async def test_a_binary_frame_is_closed_with_1003(server, frame):
    async with server.connect(await server.account()) as client:
        await client.send(frame)
        assert await client.closed() == 1003


async def test_a_binary_hello_is_closed_with_1003(server):
    ana = await server.account()
    async with server.socket() as socket:
        hello = {"id": 1, "type": "hello", "client": str(uuid.uuid4()), "token": ana.token}
        await socket.send(json.dumps(hello).encode())
        await socket.send(json.dumps(hello))
        assert await read_to_the_end(socket) == ([], 1003)


def ping_of(size):
    """A request of `size` bytes, not a valid one."""
    frame = '{"id": 0, "type": "ping", "x": "%s"}'
    return frame % ("x" * (size - len(frame) + 2))


async def test_a_frame_of_the_largest_size_is_read(server):
    async with server.connect(await server.account()) as client:
        await client.send(ping_of(FRAME_BYTES))
        assert "`x`" in (await client.error())["message"]
        await client.request("ping")


@pytest.mark.parametrize("size", [FRAME_BYTES + 1, 10 * FRAME_BYTES])
async def test_a_larger_frame_is_closed_with_1009(server, size):
    async with server.connect(await server.account()) as client:
        await client.send(ping_of(size))
        assert await client.closed() == 1009


async def test_the_size_counts_bytes_and_fragments_together(server):
    ana = await server.account()
    async with server.connect(ana) as client:
        await client.send(json.dumps({"x": "ü" * (FRAME_BYTES // 2)}, ensure_ascii=False))
        assert await client.closed() == 1009
    async with server.connect(ana) as client:
        text = ping_of(FRAME_BYTES)
        await client.socket.send([text[:1_000], text[1_000:]])
        assert (await client.error())["code"] == "bad_request"
        await client.socket.send(["x" * 20_000] * 4)
        assert await client.closed() == 1009


async def test_text_that_is_not_utf_8_is_closed_with_1007(server):
    async with server.connect(await server.account()) as client:
        await client.socket.send(b'{"id": 1, "type": "\xff\xfe"}', text=True)
        assert await client.closed() == 1007


@pytest.mark.parametrize(
    "frame",
    [b"\xf1\x80\0\0\0\0", b"\x83\x80\0\0\0\0", b"\x09\x80\0\0\0\0", b"\x80\x80\0\0\0\0"],
    ids=["reserved bits", "a reserved opcode", "a ping in parts", "a continuation of nothing"],
)
async def test_what_is_no_websocket_frame_is_closed_with_1002(server, frame):
    async with server.connect(await server.account()) as client:
        client.socket.transport.write(frame)
        assert await client.closed() == 1002


async def test_a_socket_that_is_cut_in_the_middle_of_a_frame_harms_nobody(server):
    async with cart_room(server) as room:
        for _ in range(5):
            async with server.socket() as socket:
                socket.transport.write(b"\x81\xfe\x10\x00half")
                socket.transport.abort()
        await room.owner.op(room.cart, "clear")


# Before `hello`


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"id": 1, "type": "cart.list"}', "unauthorized"),
        ('{"id": 1, "type": "ping"}', "unauthorized"),
        (json.dumps({**an_op({"kind": "clear"}), "id": 1}), "unauthorized"),
        ('{"id": 1, "type": "hello"}', "bad_request"),
        ('{"id": 1, "type": "hello", "client": "me"}', "bad_request"),
        ('{"id": 1, "type": "hello", "client": 7}', "bad_request"),
        ('{"id": 1, "type": "nonsense"}', "bad_request"),
    ],
)
async def test_what_is_not_hello_comes_too_early(server, frame, code):
    async with server.socket() as socket:
        await socket.send(frame)
        await socket.send(frame)
        messages, close = await read_to_the_end(socket)
        assert [(one["id"], one["code"]) for one in messages] == [(1, code)]
        assert close == 4500


@pytest.mark.parametrize("frame", ["", "hello", "[]", '{"id": 1'])
async def test_an_unreadable_first_frame_is_closed(server, frame):
    async with server.socket() as socket:
        await socket.send(frame)
        messages, close = await read_to_the_end(socket)
        assert [(one["id"], one["code"]) for one in messages] == [(None, "bad_request")]
        assert close == 4500


@pytest.mark.parametrize("size", [HELLO_BYTES_MAX, HELLO_BYTES_MAX + 1])
async def test_a_hello_has_a_bound_of_its_own(server, size):
    ana = await server.account()
    hello = {"id": 1, "type": "hello", "client": str(uuid.uuid4()), "token": ana.token}
    async with server.socket() as socket:
        await socket.send(json.dumps(hello).ljust(size))
        message = json.loads(await socket.recv())
        assert (message["type"] == "welcome") == (size == HELLO_BYTES_MAX)


def tokens(good, secret):
    """Tokens that open nothing, by what is wrong with them."""
    claims = claims_of(good)
    head, body, signature = good.split(".")
    return {
        "empty": "",
        "no token": "let me in",
        "expired": changed(secret, good, exp=int(time.time()) - 1),
        "another secret": signed("y" * 40, claims),
        "another secret, our key's id": signed("y" * 40, claims, kid=key_id(secret)),
        "another algorithm": signed(secret, claims, "HS512"),
        "no algorithm": unsigned(good),
        "no algorithm, our signature": unsigned(good, signature),
        "no end": changed(secret, good, exp=None),
        "another purpose": changed(secret, good, aud="mail"),
        "somebody unknown": changed(secret, good, sub="usr_0"),
        "another body": f"{head}.{body[:-4]}AAAA.{signature}",
        "not ASCII": good + "ü",
    }


async def test_no_false_token_opens_the_door(server, settings):
    ana = await server.account()
    for what, token in {**tokens(ana.token, settings.jwt_secret), "none": None}.items():
        async with server.socket() as socket:
            hello = {"id": 1, "type": "hello", "client": str(uuid.uuid4()), "token": token}
            await socket.send(json.dumps(hello))
            messages, close = await read_to_the_end(socket)
            assert [(one["id"], one["code"]) for one in messages] == [(1, "unauthorized")], what
            assert close == 4501, what
            assert not token or token not in json.dumps(messages)


async def test_the_true_token_opens_it(server, settings):
    """So that the test above can't pass for another reason."""
    ana = await server.account()
    token = changed(settings.jwt_secret, ana.token, exp=int(time.time()) + 600)
    async with server.socket() as socket:
        hello = {"id": 1, "type": "hello", "client": str(uuid.uuid4()), "token": token}
        await socket.send(json.dumps(hello))
        assert json.loads(await socket.recv())["type"] == "welcome"


# The upgrade


async def test_a_page_of_another_origin_may_not_connect(server, settings):
    for origin in (
        "https://evil.example",
        "null",
        server.url + ".evil.example",
        "http://127.0.0.1",
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with server.socket(origin=Origin(origin)):
                pass
        assert refused.value.response.status_code == 403
        assert json.loads(refused.value.response.body)["code"] == "forbidden"
    async with server.socket(origin=Origin(server.url)):
        pass


async def test_another_subprotocol_is_refused(server):
    for names in (["chat"], ["cartroom.v2", "mqtt"]):
        with pytest.raises(InvalidStatus) as refused:
            async with server.socket(subprotocols=[Subprotocol(name) for name in names]):
                pass
        assert refused.value.response.status_code == 400
        assert "cartroom.v1" in json.loads(refused.value.response.body)["detail"]
    async with server.socket(subprotocols=[Subprotocol("x"), Subprotocol("cartroom.v1")]) as socket:
        assert socket.subprotocol == "cartroom.v1"
    async with server.socket(subprotocols=None) as socket:
        assert socket.subprotocol is None


async def test_no_compression_is_agreed_on(server):
    async with server.socket(compression="deflate") as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


# Beside a room that works


async def test_bad_frames_leave_the_room_beside_them_alone(server):
    await server.products(BREAD)
    async with cart_room(server, roles=("editor",)) as room:
        async with server.connect(await server.account()) as stranger:
            for frame in UNREADABLE.values():
                await stranger.send(frame)
            for message in MISTAKEN.values():
                await stranger.send(json.dumps({**message, "cart": room.cart}))
            for _ in range(20):
                await room.owner.add(room.cart, "BREAD")
            await stranger.send(b"x")
            assert await stranger.closed() == 1003
        assert await room.clients[1].reach(room.cart, 22) == list(range(3, 23))
