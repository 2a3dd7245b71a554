"""The comparison with other servers runs, and its own checks of what each did find nothing."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.peers import room_load
from bench.peers.room_load import Plan, Seat, WrongResultError, check_pieces, fill_rooms, run_closed
from bench.peers.systems import SYSTEMS, missing
from tests.tiers import by_tier

ROOT = Path(__file__).resolve().parent.parent
RUN_S = 600.0
SOCKETS, ROOM, OPS_EACH = 8, 4, 20
ALL = [(system.name, store) for system in SYSTEMS for store in system.stores]
SECONDS = by_tier(quick=1.5, ci=4.0, long=4.0)
CASES = by_tier(quick=[("Socket.IO", "embedded")], ci=ALL, long=ALL)

needs_peers = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def compare(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.peers", "--repeats", "1", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=RUN_S,
    )


@needs_peers
@pytest.mark.parametrize(("system", "store"), CASES)
def test_every_op_is_acknowledged_delivered_and_counted(
    tmp_path: Path, system: str, store: str
) -> None:
    file = tmp_path / "figures.json"
    stores = [store] if store != "none" else ["embedded"]
    run = compare(
        *("--systems", system, "--stores", *stores, "--json", str(file)),
        *("--sockets", str(SOCKETS), "--room", str(ROOM), "--ops-max", str(OPS_EACH)),
        *("--warmup", "0", "--seconds", str(SECONDS)),
    )
    assert run.returncode == 0, run.stderr
    figures: dict[str, Any] = json.loads(file.read_text())
    [figure] = figures["runs"]
    assert (figure["system"], figure["store"]) == (system, store)
    assert 0 < figure["ops"] <= SOCKETS * OPS_EACH
    assert figure["ops_per_s"] > 0
    assert figure["ack_ms"]["p50"] > 0
    assert figure["delivery_ms"]["p50"] > 0
    assert figure["server_cpu_ms_per_1000_ops"] > 0
    [row] = figures["summary"]
    assert re.search(rf"^\| {re.escape(system)} +\| {store} +\|", run.stdout, re.MULTILINE)
    assert row["ops/s"] == figure["ops_per_s"]


class Obliging(Seat):
    """A seat whose server is this process, and does everything right."""

    async def connect(self, host: str, port: int) -> None:
        """There is nobody to connect to."""

    @property
    def lost(self) -> bool:
        return False

    async def join(self) -> None:
        self.pieces: dict[str, int] = {}

    def send_add(self, n: int, sku: str) -> object:
        first = self.room.seats[0]
        assert isinstance(first, Obliging)
        first.pieces[sku] = first.pieces.get(sku, 0) + 1
        asyncio.get_running_loop().call_soon(self.commit, n)
        return (self.number, n)

    def commit(self, n: int) -> None:
        self.tell_others(n)
        self.acknowledged(n)

    def tell_others(self, n: int) -> None:
        for seat in self.room.seats:
            if seat is not self:
                seat.delivered((self.number, n))

    def on_frame(self, frame: bytes) -> None:
        raise AssertionError("nobody sends frames")

    async def read_pieces(self) -> int:
        return sum(self.pieces.values())


class KeepsToItself(Obliging):
    def tell_others(self, n: int) -> None:
        if n != 3:
            super().tell_others(n)


class TellsTwice(Obliging):
    def tell_others(self, n: int) -> None:
        for _ in range(2 if n == 3 else 1):
            super().tell_others(n)


class DoesNotAcknowledge(Obliging):
    def commit(self, n: int) -> None:
        if n != 3:
            super().commit(n)


class AcknowledgesTwice(Obliging):
    def commit(self, n: int) -> None:
        super().commit(n)
        if n == 3:
            self.acknowledged(n)


class LosesAPiece(Obliging):
    async def read_pieces(self) -> int:
        return await super().read_pieces() - 1


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Obliging, None),
        (KeepsToItself, "was told 12 of 15 changes"),
        (TellsTwice, "was told 18 of 15 changes"),
        (DoesNotAcknowledge, "2 of 3 ops of a seat were acknowledged"),
        (AcknowledgesTwice, "an acknowledgement of op 3, which does not wait for one"),
        (LosesAPiece, "holds 19 pieces after 20 ops"),
    ],
)
async def test_a_system_that_does_not_do_the_work_is_found_out(
    monkeypatch: pytest.MonkeyPatch, kind: type[Seat], complaint: str | None
) -> None:
    monkeypatch.setattr(room_load, "DRAIN_S", 0.1)
    # Time enough for all five: no turn of the loop takes as long.
    plan = Plan(sockets=4, room=4, warmup_s=0.0, seconds=0.5, ops_max=5)

    async def run() -> None:
        tally, rooms = await fill_rooms(kind, plan, "", 0)
        await run_closed(tally, rooms, plan, lambda: None)
        await check_pieces(rooms)

    if complaint is None:
        await run()
    else:
        with pytest.raises(WrongResultError, match=complaint):
            await run()
