"""A store stub for ShareDB, which reads for each op what it wrote for the one before.

It keeps the collections `carts` and `o_carts` in memory: writes are answered after 2 ms, like
those of bench/store_stub.py, and reads at once. Everything else goes through to the real server
behind it. It knows the commands and conditions that sharedb-mongo sends here, and no others.

    python -m bench.peers.remembering_stub --upstream 127.0.0.1:27017 --port 27018 --delay-ms 2
"""

from __future__ import annotations

import argparse
import asyncio
import operator
import struct
from typing import Any

import bson

HEADER = struct.Struct("<iiii")
OP_MSG = 2013
Document = dict[str, Any]
CONDITIONS = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
DUPLICATE_KEY = 11000


def reply_to(request_id: int, document: Document) -> bytes:
    body = b"\x00\x00\x00\x00\x00" + bson.encode(document)
    return HEADER.pack(16 + len(body), 1, request_id, OP_MSG) + body


def command_of(message: bytes) -> Document:
    """An OP_MSG's command, with its document sequences under their names."""
    command: Document = {}
    at = 20
    while at < len(message):
        kind = message[at]
        size = int.from_bytes(message[at + 1 : at + 5], "little")
        section = message[at + 1 : at + 1 + size]
        if kind == 0:
            command.update(bson.decode(section))
        else:
            name, _, documents = section[4:].partition(b"\x00")
            command[name.decode()] = bson.decode_all(documents)
        at += 1 + size
    return command


def matches(document: Document, query: Document) -> bool:
    """Whether every condition holds. Raises KeyError for an operator that isn't known here."""
    for field, wanted in query.items():
        value: Any = document.get(field)
        if not isinstance(wanted, dict):
            if value != wanted:
                return False
        elif not all(CONDITIONS[name](value, bound) for name, bound in wanted.items()):
            return False
    return True


def projected(document: Document, projection: Document | None) -> Document:
    if not projection:
        return document
    if any(projection.values()):
        return {name: document[name] for name in document if projection.get(name)}
    return {name: value for name, value in document.items() if name not in projection}


class Memory:
    """Carts by their id, and their ops by cart: no query here goes across carts."""

    def __init__(self) -> None:
        self.carts: dict[str, Document] = {}
        self.ops: dict[str, dict[Any, Document]] = {}
        self._cart_of_op: dict[Any, str] = {}

    def handle(self, command: Document) -> tuple[Document, bool] | None:
        """The answer, and whether it was a write; None for what is not ours."""
        name = next(iter(command))
        if command[name] not in ("carts", "o_carts"):
            return None
        if name == "find":
            return self._find(command), False
        if name == "insert":
            return self._insert(command[name], command["documents"]), True
        if name == "update":
            return self._replace(command["updates"]), True
        if name == "delete":
            return self._delete(command["deletes"]), True
        return None

    def _find(self, command: Document) -> Document:
        query = command["filter"]
        if command["find"] == "carts":
            cart = self.carts.get(query["_id"])
            found = [cart] if cart is not None and matches(cart, query) else []
        else:
            ops = self.ops.get(query["d"], {}).values()
            found = sorted((op for op in ops if matches(op, query)), key=lambda op: op["v"])
        found = found[: abs(command.get("limit", 0)) or None]
        batch = [projected(each, command.get("projection")) for each in found]
        namespace = f"{command['$db']}.{command['find']}"
        return {"cursor": {"id": bson.Int64(0), "ns": namespace, "firstBatch": batch}, "ok": 1}

    def _insert(self, collection: str, documents: list[Document]) -> Document:
        for index, document in enumerate(documents):
            if collection == "o_carts":
                self.ops.setdefault(document["d"], {})[document["_id"]] = document
                self._cart_of_op[document["_id"]] = document["d"]
            elif self.carts.setdefault(document["_id"], document) is not document:
                text = "E11000 duplicate key error index: _id_"
                fault = {"index": index, "code": DUPLICATE_KEY, "errmsg": text}
                return {"n": index, "writeErrors": [fault], "ok": 1}
        return {"n": len(documents), "ok": 1}

    def _replace(self, updates: list[Document]) -> Document:
        count = 0
        for update in updates:
            cart = self.carts.get(update["q"]["_id"])
            if cart is not None and matches(cart, update["q"]):
                self.carts[cart["_id"]] = {"_id": cart["_id"], **update["u"]}
                count += 1
        return {"n": count, "nModified": count, "ok": 1}

    def _delete(self, deletes: list[Document]) -> Document:
        count = 0
        for delete in deletes:
            cart = self._cart_of_op.pop(delete["q"]["_id"], None)
            if cart is not None:
                del self.ops[cart][delete["q"]["_id"]]
                count += 1
        return {"n": count, "ok": 1}


async def serve_client(
    memory: Memory,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream: tuple[str, int],
    delay_s: float,
) -> None:
    up_reader, up_writer = await asyncio.open_connection(*upstream)
    try:
        while True:
            head = await reader.readexactly(16)
            size, request_id, _, opcode = HEADER.unpack(head)
            message = head + await reader.readexactly(size - 16)
            handled = memory.handle(command_of(message)) if opcode == OP_MSG else None
            if handled is not None:
                answer, wrote = handled
                if wrote:
                    await asyncio.sleep(delay_s)
                writer.write(reply_to(request_id, answer))
                continue
            up_writer.write(message)
            up_head = await up_reader.readexactly(16)
            up_size = HEADER.unpack(up_head)[0]
            writer.write(up_head + await up_reader.readexactly(up_size - 16))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # either side has ended; so do we
    finally:
        writer.close()
        up_writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--upstream", required=True, help="host:port of the real one")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delay-ms", type=float, default=2.0)
    args = parser.parse_args()
    host, _, port = args.upstream.rpartition(":")
    memory = Memory()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_client(memory, reader, writer, (host, int(port)), args.delay_ms / 1000)

    server = await asyncio.start_server(client, "127.0.0.1", args.port)
    print(f"Listening at 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
