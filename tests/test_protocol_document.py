"""`protocol.md` and the code, held against each other in both directions."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import msgspec
import pytest

from commerce.accounts import policy
from commerce.accounts.policy import CART_RANK
from commerce.invitations.service import LIFE, PENDING_MAX
from handlers.socket import CLOSE_TIMEOUT_S
from realtime import limits, messages, ops
from realtime.errors import CLOSE_CODES, ERRORS
from realtime.inboxes import InboxPushes
from realtime.services import Timing
from server.keys import SETTINGS
from storage.notifications import Inbox
from tests.cast import Cast
from tests.client import APPLE, Server, cart_room, running_server
from tests.document import (
    PROTOCOL,
    fields_of,
    parse_all,
    plain,
    same_shape,
    section,
    sections,
    under,
)
from tests.inboxes import notified
from tests.mailbox import mails_to, token_of

ROOT = PROTOCOL.parent
REQUESTS = {one.__struct_config__.tag: one for one in messages.Request.__subclasses__()}
KINDS = {ops.kind_of(one): one for one in ops.ROLE_NEEDED}
OP_DECODER = msgspec.json.Decoder(ops.AnyOp)


def documented(table):
    return [(plain(name), kind, default) for name, kind, default, _ in map(dict.values, table)]


def test_each_request_has_its_section_and_no_other():
    assert set(under("Requests")) == set(REQUESTS)


@pytest.mark.parametrize("name", REQUESTS)
def test_the_fields_of_each_request(name):
    assert documented(under("Requests")[name].table()) == fields_of(REQUESTS[name])


@pytest.mark.parametrize("name", REQUESTS)
def test_each_request_example_is_one(name):
    requests = [one for one in under("Requests")[name].examples() if one["type"] == name]
    assert requests
    for request in requests:
        assert isinstance(messages.decode(json.dumps(request)), REQUESTS[name])


def test_each_op_kind_has_its_section_and_no_other():
    assert set(under("Ops")) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_fields_of_each_op_kind(kind):
    assert documented(under("Ops")[kind].table()) == fields_of(KINDS[kind])


@pytest.mark.parametrize(
    ("kind", "column", "struct"), [("add", "item's", ops.Item), ("share", "user's", ops.Grant)]
)
def test_the_fields_of_what_an_op_lists(kind, column, struct):
    table = under("Ops")[kind].table(f"{column} field")
    assert documented(table) == fields_of(struct)


@pytest.mark.parametrize("kind", KINDS)
def test_each_op_example_is_an_op_and_its_effect(kind):
    sent, effect = under("Ops")[kind].examples()
    assert isinstance(OP_DECODER.decode(json.dumps(sent)), KINDS[kind])
    assert effect["kind"] == kind


def test_each_op_of_the_service_has_its_section_and_is_none_of_a_clients():
    assert set(under("Ops that the service makes")) == {
        ops.kind_of(one) for one in ops.ServiceOp.__subclasses__()
    }
    for kind, part in under("Ops that the service makes").items():
        (effect,) = part.examples()
        assert effect["kind"] == kind
        with pytest.raises(msgspec.ValidationError):
            OP_DECODER.decode(json.dumps({"kind": kind, "user": "usr_1", "into": "usr_2"}))


@pytest.mark.parametrize("struct", [*REQUESTS.values(), *KINDS.values(), ops.Item, ops.Grant])
def test_optional_fields_may_be_null(struct):
    for field in msgspec.structs.fields(struct):
        if not field.required:
            assert msgspec.convert(None, field.type) is None, field.name


def test_the_table_of_roles_and_ops():
    rows = {plain(row["kind"]): row["role"] for row in section("Ops").table()}
    assert rows == {ops.kind_of(op): role for op, role in ops.ROLE_NEEDED.items()}
    assert " < ".join(f"`{role}`" for role in sorted(CART_RANK, key=CART_RANK.__getitem__)) in (
        section("Ops").text
    )


def test_the_table_of_errors():
    rows = [tuple(row.values()) for row in section("Errors").table()]
    assert rows == [
        (f"`{row.code}`", str(row.http_status), "yes" if row.temporary else "no", row.meaning)
        for row in ERRORS.values()
    ]


def test_the_table_of_close_codes():
    rows = [tuple(row.values()) for row in section("Close codes").table()]
    assert rows == [
        (str(row.code), f"`{row.name}`", "yes" if row.reconnect else "no", row.meaning)
        for row in CLOSE_CODES
    ]


def test_the_table_of_limits():
    rows = {plain(row["limit"]): row["default"] for row in section("Limits").table()}
    told = msgspec.to_builtins(limits.DEFAULT_LIMITS)
    assert rows == {name: f"{value:,}" for name, value in told.items()}


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("States of a connection", f"within {Timing().hello_timeout_s:.0f} s"),
        ("`hello`", f"at most {limits.HELLO_BYTES_MAX:,} characters"),
        ("`cart.list`", f"{limits.LIST_PAGE} a page"),
        ("`cart.list`", f"the first {limits.LIST_MEMBERS} of"),
        ("`cart.create`", "without one: `Cart`"),
        ("Envelope", f"up to {limits.REQUEST_ID_MAX} characters"),
        ("Resuming", f"more than {limits.RESUME_BYTES_MAX // 2**20} MiB"),
        ("Backpressure", f"more than {limits.PUSH_BACKLOG_MAX_BYTES // 1024} KiB unsent"),
        ("Backpressure", f"{limits.PUSH_BACKLOG_LOW_BYTES // 1024} KiB it gets"),
        ("Backpressure", f"more than {limits.READ_BACKLOG_MAX_BYTES // 2**20} MiB unsent"),
        ("Backpressure", f"behind for {Timing().slow_reader_s:.0f} s"),
        ("Limits", f"{limits.ROOM_SOCKETS_MAX:,} sockets in a room"),
        ("Limits", f"{limits.ROOM_INBOX_MAX:,} ops that a room holds"),
        ("Limits", f"{limits.CARTS_PER_USER_MAX:,} carts"),
        ("`cart.invite`", f"ends after {LIFE.days} days"),
        ("`cart.invite`", f"at most {PENDING_MAX} pending"),
        ("Limits", f"{limits.FLOOD_REFUSALS_MAX} refusals for rate"),
        ("Limits", f"{Timing().commit_timeout_s:.0f} s, then"),
        ("Close codes", f"connection {CLOSE_TIMEOUT_S:.0f} s later"),
        ("`presence.diff`", f"gathered for {limits.PRESENCE_FLUSH_S * 1000:.0f} ms"),
    ],
)
def test_numbers_in_sentences(title, sentence):
    assert sentence in " ".join(section(title).text.split())


def pushes_in_code():
    """The types of the messages that are built as pushes, or as bytes, in `realtime`."""
    found = set()
    for path in (ROOT / "realtime").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                first = node.args[0] if node.args else None
                if name == "push" and isinstance(first, ast.Constant):
                    found.add(first.value)
            if isinstance(node, ast.Dict) and node.keys:
                # A message that is sent as one, to somebody or other instances' sockets.
                key, value = node.keys[0], node.values[0]
                if getattr(key, "value", None) == "type" and isinstance(value, ast.Constant):
                    found.add(value.value)
            if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
                types = re.findall(rb'^\{"type":"([a-z.]+)"', node.value)
                found.update(one.decode() for one in types)
    return found


def test_each_push_has_its_section_and_no_other():
    assert set(under("Pushes")) == pushes_in_code()


def test_every_example_is_json():
    blocks = re.findall(r"```json\n(.*?)```", PROTOCOL.read_text(), re.DOTALL)
    assert len(blocks) > 30
    for block in blocks:
        assert parse_all(block)
    fenced = re.findall(r"^```(\w*)$", PROTOCOL.read_text(), re.MULTILINE)
    assert set(fenced) == {"json", "text", "sh", ""}


def test_links_within_the_document_lead_somewhere():
    titles = {re.sub(r"[^\w -]", "", one.title.lower()).replace(" ", "-") for one in sections()}
    for target in re.findall(r"\]\(#([^)]+)\)", PROTOCOL.read_text()):
        assert target in titles


# The examples, played


class Story:
    """Sends the document's examples, with its ids replaced by true ones, and back."""

    ANA = "usr_5f0c2a9be1d34c7788aa01ff"
    BEA = "usr_91b7d0a2c4e64f0f8a1b2c3d"
    CART = "crt_3b1f7a0c9d2e4f5a6b7c8d9e"
    TOKEN = "eyJhbGciOi…"

    BEA_S_ADDRESS = "bea@shop.example"

    def __init__(self, ana, bea):
        self.true = {self.ANA: ana.user, self.BEA: bea.user, self.TOKEN: ana.token}

    def truly(self, message):
        text = json.dumps(message, ensure_ascii=False)
        for told, true in self.true.items():
            text = text.replace(told, true)
        return json.loads(text)


async def answer(socket, request):
    await socket.send(json.dumps(request))
    while (message := json.loads(await socket.recv())).get("id") != request["id"]:
        pass
    return message


async def test_the_requests_of_the_document_are_answered_as_it_says(server: Server):
    await server.products(APPLE)
    cast = Cast(server)
    ana, bea = await cast.one(policy.CUSTOMER), await cast.one(policy.CUSTOMER)
    story = Story(ana, bea)
    story.true[story.BEA_S_ADDRESS] = bea.email
    async with server.socket() as socket, server.connect(bea.account) as guest:
        for part in under("Requests").values():
            examples = part.examples()
            requests = [one for one in examples if one["type"] == part.name]
            if part.name == "notifications.list":
                await notified(server, ana.account, bea.account)
            replies = {one["id"]: one for one in examples if one["type"] != part.name}
            assert requests
            assert {one["id"] for one in requests} == set(replies)
            for request in requests:
                reply = replies[request["id"]]
                if part.name == "invitation.accept":
                    real = await guest.request(part.name, token=await invited(server, bea.email))
                else:
                    real = await answer(socket, story.truly(request))
                assert same_shape(reply, real) == [], part.name
                # From here on what is told of these is true of those.
                told = {reply[name]: real[name] for name in ("cart", "invitation") if name in reply}
                story.true.update(told)


async def invited(server, email):
    """The token that was mailed to this address."""
    (mail,) = await mails_to(server.app[SETTINGS].data / "mail", email, "invitation")
    return token_of(mail)


async def test_the_ops_of_the_document_take_effect_as_it_says(server: Server):
    await server.products(APPLE)
    async with cart_room(server) as room:
        bea = await server.account("Bea")
        story = Story(room.accounts[0], bea)
        for kind, part in under("Ops").items():
            sent, effect = part.examples()
            if kind == "move_to_cart":
                assert await room.owner.add(room.cart, "APPLE") == effect["into"]
            op = story.truly(sent)
            reply = await room.owner.op(room.cart, op.pop("kind"), **op)
            assert same_shape(effect, reply["op"]) == [], kind
            if kind not in ("add", "share", "move_to_cart"):
                assert story.truly(effect) == reply["op"]


async def test_the_pushes_of_the_document_come_as_it_says(settings):
    async with running_server(settings) as server, cart_room(server, roles=("editor",)) as room:
        owner, bea = room.clients
        await owner.op(room.cart, "rename", name="Feast")
        await owner.share(room.cart, room.accounts[1])
        real = {"cart.ops": await bea.push("cart.ops"), "cart.state": None}
        real["notification"] = await bea.push("notification")
        one = await notified(server, room.accounts[1], room.accounts[0], room.cart)
        pushes = InboxPushes(server.hub.push_to_user, server.hub.services.directory.names)
        await pushes.raised(Inbox(bea.user, 1, (one,)), one)
        await bea.request("cart.mute", cart=room.cart, muted=True)
        await bea.request("notifications.read")
        inbox, muted, read = [await bea.push("notification") for _ in range(3)]
        further = [muted, inbox, read]
        real["cart.state"] = await bea.push("cart.state")
        real["presence.state"] = next(
            one for one in owner.frames if one["type"] == "presence.state"
        )
        diff = await owner.push("presence.diff")
        real["presence.diff"] = {**diff, "joined": diff["joined"][:1]}
        await owner.op(room.cart, "unshare", user=bea.user)
        real["cart.gone"] = await bea.push("cart.gone")
        await server.stop()
        real["goodbye"] = await owner.push("goodbye")
    for name, part in under("Pushes").items():
        example, *more = part.examples()
        assert same_shape(example, real.pop(name)) == [], name
        assert same_shape(more, further if name == "notification" else []) == [], name
    assert not real


async def test_the_error_of_the_document_comes_as_it_says(server: Server):
    await server.products(APPLE)
    async with cart_room(server) as room:
        (told,) = section("Errors").examples()
        items = [{"sku": "APPLE", "qty": 12}]
        real = await room.owner.op_refusal("out_of_stock", room.cart, "add", items=items)
        assert same_shape(told, real) == []
        assert told["message"] == real["message"]


def test_every_reason_for_the_end_of_a_join_is_told():
    table = {plain(row["reason"]) for row in section("`cart.gone`").table()}
    audience = (Path(ROOT) / "realtime" / "audience.py").read_text()
    in_code = {word for word in ("removed", "left", "deleted", "merged") if f'"{word}"' in audience}
    assert table == in_code | {"unavailable"}
