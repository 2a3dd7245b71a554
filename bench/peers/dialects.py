"""How a seat speaks with Cartroom, ShareDB and Socket.IO: JSON in text frames, each in its way."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

import aiohttp
import msgspec

from bench.peers.room_load import SKUS, Room, Seat, Tally, WrongResultError

PASSWORD = "a password for the bench"
BESIDE = ("presence.", "notification")
"""Pushes of Cartroom's that are beside the point here, by how their types begin."""
JSON0 = "http://sharejs.org/types/JSONv0"


class Fact(msgspec.Struct):
    """A change as Cartroom and our Socket.IO server tell it."""

    op_id: str


class FromCartroom(msgspec.Struct):
    type: str
    id: int | None = None
    ops: list[Fact] = []


class CartroomSeat(Seat):
    """`cart.op`, acknowledged by `ok`; the others in the room get `cart.ops`.

    The members of all rooms are the same few accounts, made by `accounts`.
    """

    path = "/ws"
    _decode = msgspec.json.Decoder(FromCartroom).decode

    def __init__(
        self,
        accounts: list[tuple[str, str]],
        tally: Tally,
        room: Room,
        number: int,
        ops_max: int | None,
    ) -> None:
        super().__init__(tally, room, number, ops_max)
        self.accounts = accounts
        self.client = str(uuid.uuid4())
        self._request = 0

    async def request(self, **message: object) -> dict[str, Any]:
        """A request of the set-up, numbered below zero: above are ops."""
        self._request -= 1
        frame = await self.ask(self._request, {"id": self._request, **message})
        answer: dict[str, Any] = msgspec.json.decode(frame)
        if answer["type"] == "error":
            raise WrongResultError(f"Cartroom refused the set-up: {answer}")
        return answer

    async def join(self) -> None:
        token, _ = self.accounts[self.number]
        await self.request(type="hello", client=self.client, token=token)
        if self.number:
            await self.request(type="cart.join", cart=self.room.id)
            return
        other = str(uuid.uuid4())
        created = await self.request(type="cart.create", op_id=f"{other}:1")
        self.room.id = created["cart"]
        users = [{"user": user, "role": "editor"} for _, user in self.accounts[1:]]
        if users:
            op = {"kind": "share", "users": users}
            await self.request(type="cart.op", cart=self.room.id, op_id=f"{other}:2", op=op)

    def send_add(self, n: int, sku: str) -> object:
        op_id = f"{self.client}:{n}"
        self.send(
            b'{"id":%d,"type":"cart.op","cart":"%b","op_id":"%b",'
            b'"op":{"kind":"add","items":[{"sku":"%b","qty":1}]}}'
            % (n, self.room.id.encode(), op_id.encode(), sku.encode())
        )
        return op_id

    def on_frame(self, frame: bytes) -> None:
        message = self._decode(frame)
        if message.type == "cart.ops":
            for op in message.ops:
                self.delivered(op.op_id)
        elif message.id is not None and message.id > 0:
            if message.type == "ok":
                self.acknowledged(message.id)
            else:
                self.tally.faults.append(frame.decode())
        elif not self.answered(message.id, frame) and not message.type.startswith(BESIDE):
            self.tally.faults.append(frame.decode())

    async def read_pieces(self) -> int:
        answer = await self.request(type="cart.join", cart=self.room.id)
        return int(answer["state"]["totals"]["pieces"])


async def accounts(url: str, count: int) -> list[tuple[str, str]]:
    """Tokens and ids of new accounts, made through the front door."""
    made = []
    async with aiohttp.ClientSession() as http:
        for _ in range(count):
            email = f"bench-{uuid.uuid4().hex}@bench.example"
            body = {"email": email, "password": PASSWORD, "name": "Bench"}
            async with http.post(f"{url}/api/v1/auth/register", json=body) as response:
                response.raise_for_status()
                answer = await response.json()
                made.append((answer["access_token"], answer["user"]["id"]))
    return made


ABSENT = msgspec.Raw(b"")


class FromShareDb(msgspec.Struct):
    a: str
    v: int = -1
    src: str = ""
    seq: int = 0
    op: msgspec.Raw = ABSENT
    error: Any = None


class ShareDbSeat(Seat):
    """ShareDB's protocol 1.2. An op is sent against the version that the seat knows; the server
    transforms it past what it has missed, and acknowledges it by its sequence number."""

    _decode = msgspec.json.Decoder(FromShareDb).decode

    def __init__(self, tally: Tally, room: Room, number: int, ops_max: int | None) -> None:
        super().__init__(tally, room, number, ops_max)
        self.src = ""
        self.version = 0
        self._seq = 0
        self._ahead: dict[int, str] = {}

    async def join(self) -> None:
        room = self.room
        hello = {"a": "hs", "id": None, "protocol": 1, "protocolMinor": 2}
        self.src = msgspec.json.decode(await self.ask("hs", hello))["id"]
        if not room.id:
            room.id = f"crt_{secrets.token_hex(12)}"
            data = {"lines": dict.fromkeys(SKUS, 0)}
            self._seq = 1
            create = {"a": "op", "c": "carts", "d": room.id, "v": 0, "seq": 1}
            await self.ask("create", {**create, "create": {"type": JSON0, "data": data}})
        answer = await self._ask_document("s")
        self.version = answer["v"]

    async def _ask_document(self, action: str) -> dict[str, Any]:
        request: dict[str, object] = {"a": action, "c": "carts", "d": self.room.id}
        answer = msgspec.json.decode(await self.ask(action, request))
        if "error" in answer:
            raise WrongResultError(f"ShareDB refused: {answer['error']}")
        document: dict[str, Any] = answer["data"]
        return document

    def send_add(self, n: int, sku: str) -> object:
        seq = n + self._seq
        self.send(
            b'{"a":"op","c":"carts","d":"%b","v":%d,"seq":%d,"op":[{"p":["lines","%b"],"na":1}]}'
            % (self.room.id.encode(), self.version, seq, sku.encode())
        )
        return (self.src, seq)

    def on_frame(self, frame: bytes) -> None:
        message = self._decode(frame)
        if message.error is not None:
            self.tally.faults.append(frame.decode())
        elif message.a != "op":
            self.answered(message.a, frame)
        elif not self.answered("create", frame):
            self._apply(message)

    def _apply(self, message: FromShareDb) -> None:
        """Count the ops in the order of their versions. The server sends some twice: beside the
        acknowledgement, and as a subscriber's."""
        own = message.src == self.src
        if message.v >= self.version and message.v not in self._ahead:
            self._ahead[message.v] = message.src
            if not own:
                self.delivered((message.src, message.seq))
            while self._ahead.pop(self.version, None) is not None:
                self.version += 1
        if own and message.op == ABSENT:
            self.acknowledged(message.seq - self._seq)

    async def read_pieces(self) -> int:
        document = await self._ask_document("f")
        return sum(document["data"]["lines"].values())


class FromSocketIo(msgspec.Struct):
    ops: list[Fact] = []


class SocketIoSeat(Seat):
    """Socket.IO 4 over Engine.IO 4, WebSocket from the first frame on. Every event that we send
    asks for an acknowledgement, by number."""

    path = "/socket.io/?EIO=4&transport=websocket"
    OPEN, PING, PONG, CONNECT, EVENT, ACK = b"0", b"2", b"3", b"40", b"42", b"43"
    _decode = msgspec.json.Decoder(tuple[str, FromSocketIo]).decode
    ASK = 0

    def __init__(self, tally: Tally, room: Room, number: int, ops_max: int | None) -> None:
        super().__init__(tally, room, number, ops_max)
        self.client = str(uuid.uuid4())

    async def join(self) -> None:
        self.send(self.CONNECT)
        await self.answer(self.CONNECT)
        self.room.id = self.room.id or f"crt_{secrets.token_hex(12)}"
        await self._ask_event("cart.join")

    async def _ask_event(self, event: str) -> dict[str, Any]:
        self.send(b'42%d["%b","%b"]' % (self.ASK, event.encode(), self.room.id.encode()))
        answer: list[dict[str, Any]] = msgspec.json.decode(await self.answer(self.ASK))
        return answer[0]

    def send_add(self, n: int, sku: str) -> object:
        op_id = f"{self.client}:{n}"
        self.send(
            b'42%d["cart.op",{"cart":"%b","op_id":"%b",'
            b'"op":{"kind":"add","items":[{"sku":"%b","qty":1}]}}]'
            % (n, self.room.id.encode(), op_id.encode(), sku.encode())
        )
        return op_id

    def on_frame(self, frame: bytes) -> None:
        kind = frame[:2]
        if kind == self.EVENT:
            _, message = self._decode(frame[2:])
            for op in message.ops:
                self.delivered(op.op_id)
        elif kind == self.ACK:
            body = frame.index(b"[")
            number = int(frame[2:body])
            if number == self.ASK:
                self.answered(self.ASK, frame[body:])
            elif frame[body:].startswith(b'[{"error"'):
                self.tally.faults.append(frame.decode())
            else:
                self.acknowledged(number)
        elif kind == self.CONNECT:
            self.answered(self.CONNECT, frame)
        elif kind == self.PING:
            self.send(self.PONG)
        elif kind[:1] != self.OPEN:
            self.tally.faults.append(frame.decode())

    async def read_pieces(self) -> int:
        return int((await self._ask_event("cart.read"))["pieces"])
