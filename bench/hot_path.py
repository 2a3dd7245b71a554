"""CPU time an op on the hot path, without network and store: needs no quiet machine.

    python -m bench.hot_path                     400 sockets in rooms of 4, one op a commit
    python -m bench.hot_path --at-once 8         as in rooms where many write at once
    python -m bench.hot_path --profile           where it goes

Frames go into production sessions, through lane, room, committer (on a log in memory that
acknowledges at once), audience and wire format, into the production transport, whose bytes are
counted and dropped. A round hands every room its ops and runs the loop until all are answered.
CPU time is the process's own (`process_time`), as the least of the repeats: what disturbs on a
busy machine only ever adds. Not in it: the kernel, parsing WebSocket frames, the MongoDB driver,
Redis. Making the requests and looking for answers is, about 1 µs an op.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import pstats
import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.in_memory import Instance
from realtime.limits import PRESENCE_FLUSH_S
from realtime.session import Session
from server.lifecycle import GC_THRESHOLDS, run

SKUS = tuple(f"SKU-{number:03d}" for number in range(20))
TURNS_MAX = 10_000
"""Turns of the event loop after which a round without its answers has failed."""


def add(turn: int) -> str:
    return f'{{"kind":"add","items":[{{"sku":"{SKUS[turn % len(SKUS)]}","qty":1}}]}}'


def add_many(turn: int) -> str:
    items = ",".join(f'{{"sku":"{sku}","qty":1}}' for sku in SKUS[:10])
    return f'{{"kind":"add","items":[{items}]}}'


def note(turn: int) -> str:
    return f'{{"kind":"note","text":"Ring twice, or {turn} times."}}'


def rename(turn: int) -> str:
    return f'{{"kind":"rename","name":"Cart {turn}"}}'


OPS: dict[str, Callable[[int], str]] = {
    "add": add,
    "add-10": add_many,
    "note": note,
    "rename": rename,
}


@dataclass
class Seat:
    session: Session
    client: str
    n: int = 1


@dataclass
class Room:
    cart: str
    seats: list[Seat] = field(default_factory=list)


class HotPath:
    """Rooms with their sockets, and rounds of ops through them."""

    def __init__(self, instance: Instance, args: argparse.Namespace) -> None:
        self._instance = instance
        self._args = args
        self._turn = 0
        self.rooms: list[Room] = []

    async def fill(self) -> None:
        for number in range(self._args.sockets // self._args.room):
            self.rooms.append(await self._open(number))
        # Who came is told a little later, and should be out of the way.
        await asyncio.sleep(2 * PRESENCE_FLUSH_S)

    async def _open(self, number: int) -> Room:
        users = [f"usr_{number:08d}{seat:04d}" for seat in range(self._args.room)]
        owner = await self._connect(users[0])
        create = {"type": "cart.create", "name": "Bench", "op_id": f"{owner.client}:1"}
        cart = str((await self._ask(owner, create))["cart"])
        room = Room(cart, [owner])
        for first in range(1, len(users), 200):
            grants = [{"user": user, "role": "editor"} for user in users[first : first + 200]]
            owner.n += 1
            share = {"op_id": f"{owner.client}:{owner.n}", "op": {"kind": "share", "users": grants}}
            await self._ask(owner, {"type": "cart.op", "cart": cart, **share})
        for user in users[1:]:
            seat = await self._connect(user)
            await self._ask(seat, {"type": "cart.join", "cart": cart})
            room.seats.append(seat)
        return room

    async def _connect(self, user: str) -> Seat:
        seat = Seat(self._instance.session(user), str(uuid.uuid4()))
        hello = {"id": 0, "type": "hello", "client": seat.client, "token": "-"}
        if not await seat.session.greet(json.dumps(hello)):
            raise SystemExit("hot_path: the hello was refused")
        return seat

    async def _ask(self, seat: Seat, message: dict[str, Any]) -> dict[str, Any]:
        before = self._instance.wire.oks
        seat.session.on_frame(json.dumps({"id": 1, **message}))
        await self._until(before + 1)
        reply = self._instance.wire.last_ok
        answer: dict[str, Any] = json.loads(reply[reply.index(b'{"') :])
        return answer

    async def _until(self, oks: int) -> None:
        wire = self._instance.wire
        for _ in range(TURNS_MAX):
            if wire.oks >= oks:
                return
            await asyncio.sleep(0)
        refused = wire.refused[wire.refused.find(b'{"') :].decode()[:200]
        raise SystemExit(f"hot_path: {oks - wire.oks} answers are missing. Refused: {refused}")

    async def round(self) -> None:
        """Hand every room its ops, and wait for the answers."""
        self._turn += 1
        turn, each = self._turn, self._args.at_once
        op = OPS[self._args.op]
        oks = self._instance.wire.oks
        for room in self.rooms:
            for index in range(each):
                seat = room.seats[(turn + index) % len(room.seats)]
                seat.n += 1
                seat.session.on_frame(
                    f'{{"id":{seat.n},"type":"cart.op","cart":"{room.cart}",'
                    f'"op_id":"{seat.client}:{seat.n}","op":{op(turn + index)}}}'
                )
        await self._until(oks + each * len(self.rooms))

    async def rounds(self, count: int) -> None:
        for _ in range(count):
            await self.round()


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    async with Instance() as instance:
        path = HotPath(instance, args)
        await path.fill()
        each_round = len(path.rooms) * args.at_once
        rounds = max(1, args.ops // each_round)
        await path.rounds(max(1, rounds // 5))
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        commits, writes, size = instance.log.commits, instance.wire.writes, instance.wire.bytes
        profiler = cProfile.Profile() if args.profile else None
        times_us = []
        for _ in range(args.repeats):
            started_s = time.process_time()
            if profiler is not None:
                profiler.enable()
            await path.rounds(rounds)
            if profiler is not None:
                profiler.disable()
            times_us.append((time.process_time() - started_s) * 1e6 / (rounds * each_round))
        ops = args.repeats * rounds * each_round
        if profiler is not None:
            pstats.Stats(profiler).sort_stats(args.sort).print_stats(args.lines)
        return {
            "op": args.op,
            "sockets": args.sockets,
            "room": args.room,
            "ops": ops,
            "ops_per_commit": round(ops / (instance.log.commits - commits), 2),
            "writes_per_op": round((instance.wire.writes - writes) / ops, 2),
            "bytes_per_op": round((instance.wire.bytes - size) / ops),
            "cpu_us_per_op": round(min(times_us), 2),
            "cpu_us_per_op_median": round(statistics.median(times_us), 2),
            "profiled": args.profile,
        }


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sockets", type=int, default=400)
    parser.add_argument("--room", type=int, default=4, help="sockets a room (default 4)")
    parser.add_argument("--at-once", type=int, default=1, help="ops each room gets at once")
    parser.add_argument("--op", choices=sorted(OPS), default="add")
    parser.add_argument("--ops", type=int, default=20_000, help="ops a repeat (default 20000)")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--sort", default="tottime", help="of the profile (default tottime)")
    parser.add_argument("--lines", type=int, default=45, help="of the profile (default 45)")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_arguments(argv)
    figures = run(measure(args))
    for name, value in figures.items():
        print(f"{name:22} {value}")
    if args.profile:
        print("The profiler slows Python code down, calls most: compare shares, not times.")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
