"""A store stub: acknowledges inserts into `cart_ops` after 2 ms and keeps nothing of them.

It shows the service's own ceiling, not a store's: everything else goes through to the real server
behind it. Never run a service on it that anybody uses.

    python bench/store_stub.py --upstream 127.0.0.1:27017 --port 27018 --delay-ms 2
"""

from __future__ import annotations

import argparse
import asyncio
import struct

import bson

HEADER = struct.Struct("<iiii")
OP_MSG = 2013
INSERT = b"\x02insert\x00\x09\x00\x00\x00cart_ops\x00"


def count_documents(message: bytes) -> int:
    """Documents in an OP_MSG insert: those of its document sequence, or of its body."""
    position = 20
    count = 0
    while position < len(message):
        kind = message[position]
        size = struct.unpack_from("<i", message, position + 1)[0]
        end = position + 1 + size
        if kind == 1:
            at = message.index(b"\x00", position + 5) + 1
            while at < end:
                at += struct.unpack_from("<i", message, at)[0]
                count += 1
        else:
            count += len(bson.decode(message[position + 1 : end]).get("documents", ()))
        position = end
    return count


def reply_to(request_id: int, document: dict[str, object]) -> bytes:
    body = b"\x00\x00\x00\x00\x00" + bson.encode(document)
    return HEADER.pack(16 + len(body), 1, request_id, OP_MSG) + body


async def serve_client(
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
            if opcode == OP_MSG and INSERT in message[20:80]:
                await asyncio.sleep(delay_s)
                writer.write(reply_to(request_id, {"ok": 1, "n": count_documents(message)}))
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upstream", default="127.0.0.1:27017", help="host:port of the real one")
    parser.add_argument("--port", type=int, default=27018)
    parser.add_argument("--delay-ms", type=float, default=2.0)
    args = parser.parse_args()
    host, _, port = args.upstream.rpartition(":")

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_client(reader, writer, (host, int(port)), args.delay_ms / 1000)

    server = await asyncio.start_server(client, "127.0.0.1", args.port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
