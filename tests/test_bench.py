"""The bench's own tools: what they count is right and they leave nothing behind. Never a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bench.consumed import Carts
from bench.figures import distribution_ms, lookup, medians, table
from bench.run import SCENARIOS
from bench.scenario import ROOM, Requirement
from bench.sign_in import probability_of_longer
from commerce.catalog.importing import import_products
from commerce.catalog.product import Product
from storage.mongo import Database
from storage.products import Products
from tests.client import Server
from tests.helpers import eventually
from tests.services.installed import NotInstalledError, kafka_jars
from tests.tiers import by_tier

ROOT = Path(__file__).parents[1]
RUN_S = 240.0
AWAY_RUN_S = 600.0
AWAY_MINUTES = by_tier(quick=(0.05,), ci=(0.05,), long=(0.05, 1.0))
SCENARIOS_RUN = by_tier(quick=["stub-400"], ci=list(SCENARIOS), long=list(SCENARIOS))


async def launch(module: str, *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )


async def output(module: str, *arguments: str, within_s: float = RUN_S) -> str:
    """Run a tool to its good end; what it printed."""
    process = await launch(module, *arguments)
    try:
        async with asyncio.timeout(within_s):
            out, errors = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0, errors.decode()
    return out.decode()


def stretches(figures: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in figures.items():
        if isinstance(inner, dict) and "ops_per_s" in inner:
            yield name, inner


# Scenarios


@pytest.mark.parametrize("name", SCENARIOS_RUN)
async def test_a_scenario_counts_what_it_did(name: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    arguments = ("--scale", "tiny", "--seconds", "0.5", "--repeats", "1", "--json", str(file))
    told = await output("bench", name, *arguments)

    run = json.loads(file.read_text())
    scenario = run["scenarios"][name]
    assert scenario["failures"] == []
    assert len(scenario["repeats"]) == 1
    for what, figures in stretches(scenario["repeats"][0]):
        assert figures["acked"] == figures["sent"] > 0, what
        assert figures["not_acked"] == figures["refused"] == figures["sockets_lost"] == 0, what
    for requirement in SCENARIOS[name].requirements:
        assert requirement.what in told
        assert requirement.value(scenario["medians"]) is not None, requirement.what
    assert {"commit", "machine", "at"} <= run.keys()
    assert ("STORE STUB" in told) is SCENARIOS[name].stub is ("STUB" in scenario["store"])


def test_how_likely_one_sample_is_longer_than_another() -> None:
    assert probability_of_longer([2.0, 3.0], [0.0, 1.0]) == 1.0
    assert probability_of_longer([0.0, 1.0], [2.0, 3.0]) == 0.0
    assert probability_of_longer([1.0, 1.0], [1.0, 1.0, 1.0]) == 0.5
    assert probability_of_longer([0.0, 3.0], [1.0, 2.0]) == 0.5
    assert probability_of_longer([1.0, 2.0], [1.0, 0.0]) == 0.875


async def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    long_run = ("--scale", "tiny", "--seconds", "60", "--json", str(tmp_path / "none.json"))
    process = await launch("bench", "store-400", "--folder", str(tmp_path), *long_run)
    pids: set[int] = set()

    def server_is_up() -> bool:
        pids.update(descendants(process.pid))
        return any(b"server.cli" in command_line(pid) for pid in pids)

    try:
        await eventually(server_is_up, RUN_S, "a server")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(RUN_S):
            _, errors = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 130, errors.decode()
    assert len(pids) >= 3  # store, Redis, server
    await eventually(lambda: not any(command_line(pid) for pid in pids), RUN_S, "all ended")
    assert os.listdir(tmp_path) == []


def descendants(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
    found = {pid}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def command_line(pid: int) -> bytes:
    """Empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_an_unknown_scenario_is_named(tmp_path: Path) -> None:
    process = await launch("bench", "stroe-400")
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"no scenario stroe-400; there are store-400," in errors


# The tools beside it


async def test_load_on_a_running_service(
    server: Server, database: Database, tmp_path: Path
) -> None:
    things = [Product(f"S-{n}", f"Thing {n}", 100, "EUR", None) for n in range(5)]
    await import_products(Products(database), things)
    file = tmp_path / "figures.json"
    size = ("--sockets", "8", "--rate", "60", "--seconds", "1", "--warmup", "0.3")
    pid = ("--pid", str(os.getpid()))
    told = await output("bench.load", "--url", server.url, *size, *pid, "--json", str(file))
    figures = json.loads(file.read_text())
    assert figures["sent"] == figures["acked"] == 60
    assert figures["sockets"] == 8
    assert figures["deliveries"] >= 60 * (ROOM - 1)
    assert figures["cpu_ms_per_1000_ops"]["server 0"] > 0
    assert "ack_ms" in told


async def test_the_hot_path_writes_to_every_socket_once(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    size = ("--sockets", "8", "--ops", "40", "--repeats", "2")
    await output("bench.hot_path", *size, "--json", str(file))
    figures = json.loads(file.read_text())
    assert figures["ops"] == 80
    assert figures["ops_per_commit"] == 1
    assert figures["writes_per_op"] == ROOM
    assert figures["cpu_us_per_op"] > 0


@pytest.fixture
async def stub_url(mongodb_url: str) -> AsyncIterator[str]:
    upstream = urlsplit(mongodb_url).netloc
    process = await launch("bench.store_stub", "--upstream", upstream, "--port", "0")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(RUN_S):
            line = (await process.stdout.readline()).decode()
        yield f"mongodb://{line.split()[-1]}/?directConnection=true"
    finally:
        process.kill()
        await process.communicate()


async def test_the_store_stub_keeps_nothing_of_the_log(
    stub_url: str, database: Database, database_name: str
) -> None:
    stubbed = Database(stub_url, database_name, journal=False)
    try:
        commits = [{"_id": f"crt_1:{rev}", "ops": ["x" * 200]} for rev in range(1, 200)]
        inserted = await stubbed.collection("cart_ops").insert_many(commits, ordered=False)
        assert len(inserted.inserted_ids) == len(commits)
        one = await stubbed.collection("cart_ops").insert_one({"_id": "crt_2:1"})
        assert one.acknowledged
        await stubbed.collection("carts").insert_one({"_id": "crt_1", "name": "Kept"})
        assert await stubbed.collection("carts").find_one({"_id": "crt_1"}) == {
            "_id": "crt_1",
            "name": "Kept",
        }
    finally:
        stubbed.close()
    assert await database.collection("cart_ops").find_one({}) is None
    assert await database.collection("carts").find_one({"_id": "crt_1"}) is not None


# Kafka away


@pytest.mark.parametrize("minutes", AWAY_MINUTES)
async def test_kafka_is_away_and_everything_is_handed_over(minutes: float, tmp_path: Path) -> None:
    try:
        kafka_jars()
    except NotInstalledError as error:
        pytest.skip(str(error))
    file = tmp_path / "figures.json"
    size = ("--minutes", str(minutes), "--before", "0.02", "--rate", "40", "--sockets", "8")
    told = await output(
        *("bench.away", *size, "--folder", str(tmp_path), "--json", str(file)),
        within_s=AWAY_RUN_S + 60 * minutes,
    )
    figures = json.loads(file.read_text())
    phases, consumer = figures["phases"], figures["consumer"]
    assert [*phases] == ["before", "away", "starting", "draining", "after", "without load"]
    assert phases["away"]["acked"] > 0
    assert sum(one["sent"] for one in phases.values()) == sum(
        one["acked"] for one in phases.values()
    )
    assert figures["drained"]["piled_up_ops"] > 0
    assert phases["without load"]["backlog_ops"]["last"] == 0
    assert consumer["revs"] == consumer["revs_expected"] > phases["away"]["acked"]
    assert consumer["carts"] == figures["carts"] == 2
    assert consumer["out_of_order"] == consumer["carts_incomplete"] == 0
    assert json.loads(told)["consumer"] == consumer
    assert os.listdir(tmp_path) == [file.name]


def test_a_consumer_sees_what_is_missing_and_what_comes_too_early() -> None:
    carts = Carts()
    for cart, rev in [("a", 1), ("b", 1), ("a", 2), ("a", 1), ("a", 4), ("a", 3), ("b", 2)]:
        carts.take(cart, rev)
    assert carts.heads == {"a": 3, "b": 2}
    assert (carts.records, carts.repeats, carts.out_of_order) == (7, 1, 1)


# Figures


def test_percentiles_are_of_what_was_measured() -> None:
    seconds = [number / 1_000 for number in range(1_001)]
    assert distribution_ms(seconds) == {"p50": 500, "p99": 990, "p99.9": 999, "max": 1_000}
    assert distribution_ms([]) == {}


def test_medians_are_taken_number_by_number() -> None:
    repeats = [
        {"ops": number, "ack_ms": {"p99": number * 2}, "loop": "open", "refusals": {}}
        for number in (3, 1, 2)
    ]
    assert medians(repeats) == {"ops": 2, "ack_ms": {"p99": 4}, "loop": "open", "refusals": {}}
    assert medians([{"what": "a"}, {"what": "b", "late": 1}]) == {"what": ["a", "b"], "late": 1}


def test_names_with_dots_are_found_whole() -> None:
    figures = {"open": {"ack_ms": {"p99": 1.0, "p99.9": 2.0}}}
    assert lookup(figures, "open.ack_ms.p99.9") == 2.0
    assert lookup(figures, "open.ack_ms.p50") is None


def test_a_figure_that_is_missing_meets_nothing() -> None:
    assert not Requirement("x", "open.ops_per_s", at_least=0).is_met({})
    assert not Requirement("x", "x", at_least=2).is_met({"x": 1})
    assert not Requirement("x", "x", at_most=0).is_met({"x": 1})
    assert Requirement("x", "x", at_most=1).is_met({"x": 1})


def test_tables_hold_every_column() -> None:
    lines = table([{"a": 1}, {"a": 2, "bb": "x"}]).splitlines()
    assert lines == ["| a | bb |", "|---|----|", "| 1 |    |", "| 2 | x  |"]
