"""What has piled up while Kafka was away, and how fast a relay hands it over.

    python -m bench.drain                              an hour at 500 ops/s: 1.8 million ops
    python -m bench.drain --ops 100000 --kafka localhost:9092

Writes a log as instances would have (in the embedded store, in a throw-away folder), starts one
relay, and watches it until Kafka has everything: ops a second, and the relay's memory all along.
Without `--kafka` it is librdkafka's mock cluster, which counts but doesn't keep.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench.relay import EVENTS
from bench.surroundings import Started, Surroundings, surroundings
from realtime.entries import encode_commit, encode_entry
from realtime.reducer import Entry
from server.lifecycle import run
from storage.indexes import create_indexes
from storage.mongo import Database
from storage.oplog import Commit, OpLog, Outcome
from storage.outbox import Outbox

OPS_A_COMMIT: Final = 2
BATCH_COMMITS: Final = 500
LOOK_EVERY_S: Final = 0.5
PRELOAD_IN_FLIGHT: Final = 3
"""Batches on their way to the store while the log is written."""


def _commit(cart: str, first: int, at_ms: int) -> Commit:
    entries = [
        Entry(
            rev=rev,
            op_id=f"7d0c9a52-5d3c-4f5e-9a51-0f6a4b1f2c3d:{rev}",
            by="usr_0123456789abcdef",
            at=at_ms,
            op={"kind": "change_quantity", "line": f"lin_{rev % 20:016x}", "by": 1},
            hash="0123456789abcdef",
        )
        for rev in range(first, first + OPS_A_COMMIT)
    ]
    raws = [encode_entry(entry) for entry in entries]
    return encode_commit(cart, entries, raws, f"{first:032x}")


async def _pile_up(database: Database, ops: int, carts: int) -> None:
    """Write the log, and mark its carts."""
    oplog, outbox = OpLog(database), Outbox(database)
    names = [f"crt_{number:016x}" for number in range(carts)]
    now_ms = time.time_ns() // 1_000_000
    for cart in names:
        await outbox.mark_active(cart, now_ms)
    commits = (
        _commit(cart, first, now_ms)
        for first in range(1, ops // carts + 1, OPS_A_COMMIT)
        for cart in names
    )
    room = asyncio.Semaphore(PRELOAD_IN_FLIGHT)

    async def insert(batch: list[Commit]) -> None:
        async with room:
            assert set(await oplog.insert(batch)) == {Outcome.COMMITTED}

    async with asyncio.TaskGroup() as group:
        batch: list[Commit] = []
        for commit in commits:
            batch.append(commit)
            if len(batch) == BATCH_COMMITS:
                async with room:
                    group.create_task(insert(batch))
                batch = []
                await asyncio.sleep(0)
        if batch:
            group.create_task(insert(batch))


async def _watch(relay: Started, count: int) -> dict[str, Any]:
    began = time.perf_counter()
    memory = [relay.resident_bytes / 1024 / 1024]
    while (done := await relay.gauge(EVENTS)) < count:
        memory.append(relay.resident_bytes / 1024 / 1024)
        if len(memory) % 60 == 0:
            print(f"{done:,.0f} of {count:,}, {memory[-1]:.0f} MiB", flush=True)
        await asyncio.sleep(LOOK_EVERY_S)
    took_s = time.perf_counter() - began
    return {
        "ops": count,
        "took_s": round(took_s, 1),
        "ops_per_s": round(count / took_s),
        "relay_mib": {"first": round(memory[0]), "most": round(max(memory))},
    }


async def drain(around: Surroundings, args: argparse.Namespace) -> dict[str, Any]:
    database = Database(around.services.mongodb_url or "", "cartroom", journal=False)
    try:
        await create_indexes(database)
        began = time.perf_counter()
        await _pile_up(database, args.ops, args.carts)
        print(f"The log is written after {time.perf_counter() - began:.0f} s", flush=True)
    finally:
        database.close()
    address = args.kafka
    if address is None:
        kafka = await around.beside("bench.kafka_mock")
        address = kafka.url.removeprefix("http://")
    relay = await around.worker("relay", KAFKA_BOOTSTRAP=address)
    count = args.ops // args.carts // OPS_A_COMMIT * OPS_A_COMMIT * args.carts
    figures = await _watch(relay, count)
    return {**figures, "carts": args.carts, "kafka": args.kafka or "mock"}


async def _main(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="cartroom-bench-", dir=args.folder) as folder:
        async with surroundings(Path(folder), users=0, products=0, bcrypt_cost=4) as around:
            print(json.dumps(await drain(around, args), indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.drain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ops", type=int, default=1_800_000)
    parser.add_argument("--carts", type=int, default=5_000)
    parser.add_argument("--kafka", metavar="ADDRESS", help="a Kafka to hand over to")
    parser.add_argument("--folder", type=Path, help="where to put data (default: the system's)")
    run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
