"""Runs the systems in turn, repeat after repeat, and puts what was measured in a table."""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.figures import cpu_s, distribution_ms
from bench.peers.room_load import (
    Plan,
    Room,
    WrongResultError,
    check_pieces,
    fill_rooms,
    run_closed,
)
from bench.peers.stores import Cores, Stores, fresh_stores, said
from bench.peers.systems import System, running, stored_pieces, versions

Row = dict[str, object]
DURABLE = {"embedded": "yes", "stub": "stubbed", "none": "no"}


class Usage:
    """CPU seconds of the processes, between two marks."""

    def __init__(self, server: int, stores: Stores) -> None:
        self._pids = {"server": server, **stores.pids}
        self._marks: list[dict[str, float]] = []

    def mark(self) -> None:
        used = {name: cpu_s(pid) for name, pid in self._pids.items()}
        self._marks.append({**used, "load": time.process_time()})

    def between(self) -> dict[str, float]:
        first, last = self._marks
        return {name: last[name] - first[name] for name in first}


async def compare(
    systems: Sequence[System], stores: Sequence[str], plan: Plan, repeats: int, cores: Cores
) -> list[Row]:
    """Figures of every run. Within a repeat the systems follow one another, so that what a
    machine does meanwhile meets all of them. A system without a store is run once a repeat."""
    runs: list[Row] = []
    for repeat in range(repeats):
        for system in systems:
            for kind in (each for each in system.stores if each in (*stores, "none")):
                figures = await measure(system, kind, plan, cores)
                runs.append({"repeat": repeat + 1, **figures})
                print(
                    f"{repeat + 1}/{repeats} {system.name}, {kind}: {figures['ops_per_s']} ops/s",
                    file=sys.stderr,
                    flush=True,
                )
    return runs


async def measure(system: System, kind: str, plan: Plan, cores: Cores) -> Row:
    """One run of one system. Raises WrongResultError when what it did doesn't add up."""
    with tempfile.TemporaryDirectory(prefix="cartroom-peers-") as name:
        folder = Path(name)
        async with (
            fresh_stores(folder, kind, system.stub) as stores,
            running(system, stores, plan, cores) as server,
        ):
            usage = Usage(server.pid, stores)
            try:
                tally, rooms = await fill_rooms(server.make_seat, plan, server.host, server.port)
                elapsed_s = await run_closed(tally, rooms, plan, usage.mark)
                await check_pieces(rooms)
                await asyncio.to_thread(_check_store, system, stores, rooms)
            except (WrongResultError, TimeoutError, OSError) as error:
                text = str(error) or "no answer in time"
                raise WrongResultError(f"{system.name}, {kind}: {text}\n{said(folder)}") from error
            for room in rooms:
                for seat in room.seats:
                    if seat.socket is not None:
                        seat.socket.close()
    acked = len(tally.ack_s)
    used = usage.between()
    return {
        "system": system.name,
        "store": kind,
        "durable": f"{DURABLE[kind]}: {system.acked}",
        "versions": versions(system),
        "ops_per_s": round(acked / elapsed_s),
        "ops": sum(room.acked for room in rooms),
        "ack_ms": distribution_ms(tally.ack_s),
        "delivery_ms": distribution_ms(tally.delivery_s),
        "server_cpu_ms_per_1000_ops": round(used["server"] * 1e6 / acked, 1) if acked else None,
        "cpu_percent": {name: round(100 * each / elapsed_s) for name, each in used.items()},
    }


def _check_store(system: System, stores: Stores, rooms: list[Room]) -> None:
    """Every cart holds a piece for each acknowledged op, by the store's word."""
    pieces = stored_pieces(system, stores)
    if pieces is None:
        return
    for room in rooms:
        stored = pieces.get(room.id, 0)
        if stored != room.acked:
            raise WrongResultError(f"the store holds {stored} pieces after {room.acked} ops")


def summary(runs: Sequence[Row]) -> list[Row]:
    """A row a system and store, of the medians; the fastest first within a store's rows."""
    groups: dict[tuple[object, object], list[Row]] = {}
    for run in runs:
        groups.setdefault((run["store"], run["system"]), []).append(run)
    return [_medians(group) for group in groups.values()]


def _medians(runs: Sequence[Row]) -> Row:
    def median(*path: str) -> float | None:
        found = []
        for run in runs:
            value: object = run
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if isinstance(value, int | float):
                found.append(float(value))
        return round(statistics.median(found), 1) if found else None

    def together(*names: str) -> float:
        return sum(median("cpu_percent", name) or 0 for name in names)

    first = runs[0]
    speeds = sorted(int(str(run["ops_per_s"])) for run in runs)
    stores = together("store", "stub", "Redis")
    return {
        "system": first["system"],
        "store": first["store"],
        "durable when acknowledged": first["durable"],
        "ops/s": round(median("ops_per_s") or 0),
        "least to most": f"{speeds[0]} to {speeds[-1]}",
        "ack p50 / p99, ms": f"{median('ack_ms', 'p50')} / {median('ack_ms', 'p99')}",
        "delivery p50 / p99, ms": f"{median('delivery_ms', 'p50')} / "
        f"{median('delivery_ms', 'p99')}",
        "server CPU, ms per 1,000 ops": median("server_cpu_ms_per_1000_ops"),
        "CPU of server / load / stores, %": f"{together('server'):.0f} / {together('load'):.0f} / "
        f"{stores:.0f}",
        "versions": first["versions"],
    }


def environment(plan: Plan, repeats: int) -> dict[str, str]:
    """What the figures belong to."""
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    packages = ("aiohttp", "uvloop", "motor", "pymongo", "redis", "nx-27017")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "load": f"{plan.sockets} sockets in rooms of {plan.room}, {plan.in_flight} op(s) in flight "
        f"a socket, {plan.warmup_s:g} s of warm-up and {plan.seconds:g} s measured, medians of "
        f"{repeats}",
        "machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
        "python": f"{platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in packages),
        "node": node.stdout.strip().removeprefix("v"),
    }
