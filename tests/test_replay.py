"""`cartroom replay`, from its command line to a server's sockets and back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from commerce.accounts.tokens import Tokens
from realtime.limits import Limits
from server.embedded import running
from server.replay.recording import read_recording
from server.settings import Settings
from storage.mongo import Database
from storage.sessions import SessionRecords
from storage.users import Users
from tests.client import Account, Server, running_server
from tests.serving import cartroom, serving

SHOP = Path(__file__).parent / "data" / "shop.csv"


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Server]:
    async with running_server(settings) as server:
        yield server


def environment(settings: Settings) -> dict[str, str]:
    """The settings of the server, as a command beside it gets them."""
    assert settings.mongodb_url is not None
    assert settings.redis_url is not None
    assert settings.jwt_secret is not None
    return {
        "MONGODB_URL": settings.mongodb_url,
        "REDIS_URL": settings.redis_url,
        "CARTROOM_DATABASE": settings.mongodb_database,
        "CARTROOM_JWT_SECRET": settings.jwt_secret,
        "CARTROOM_DATA": str(settings.data),
        "CARTROOM_BCRYPT_COST": "4",
    }


class Replay:
    """Runs `cartroom replay` against one server, and keeps what it reported."""

    def __init__(self, server: Server, settings: Settings, folder: Path) -> None:
        self._arguments = ("--url", server.url, "--members", "8")
        self._settings = settings
        self._report = folder / "report.json"
        self.output = ""
        self.errors = ""

    async def run(self, file: Path, *arguments: str) -> int:
        status, self.output, self.errors = await cartroom(
            *("replay", str(file), *self._arguments, *arguments, "--report", str(self._report)),
            env=environment(self._settings),
        )
        return status

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self._report.read_text())


@pytest.fixture
def replay(server: Server, settings: Settings, tmp_path: Path) -> Replay:
    return Replay(server, settings, tmp_path)


async def shopper(database: Database, settings: Settings, number: int) -> Account:
    """One of the accounts that a replay shares carts among."""
    record = await Users(database).find_by_email(f"replay-{number}@cartroom.invalid")
    assert record is not None
    (session, *_) = await SessionRecords(database).of_user(record.user.id)
    token = Tokens(settings.jwt_secret or "", 60).issue(record.user.id, session.id)
    return Account(record.user.id, record.user.name, token)


async def test_a_slice_of_a_real_shop_ends_as_the_file_says(
    replay: Replay, shopping_data: Path
) -> None:
    file = shopping_data / "online_retail.csv.gz"
    assert await replay.run(file, "--limit", "60") == 0, replay.output + replay.errors
    recording = read_recording(file, Limits(), 60)
    report = replay.report
    assert report["invoices"] == 60
    assert report["carts"] == len({row.invoice for row in recording.sales})
    assert report["played"]["items"] == len(recording.sales)
    assert sum(report["refused_by_reason"].values()) == len(recording.refused)
    assert report["compared_lines"] > 500
    assert report["wrong"] == []
    assert "wrong lines     0" in replay.output
    assert "playing: 100%" in replay.errors


async def test_lost_connections_and_resent_ops_change_nothing(replay: Replay) -> None:
    status = await replay.run(SHOP, "--drop-rate", "0.5", "--resend-rate", "0.5")
    assert status == 0, replay.output + replay.errors
    played = replay.report["played"]
    assert played["drops"] > 0
    assert played["resumes"] > 0
    assert played["resends"] > 0
    assert played["fault_count"] == 0


async def test_the_same_replay_again_changes_nothing(replay: Replay) -> None:
    assert await replay.run(SHOP) == 0, replay.output + replay.errors
    assert replay.report["played"]["known_before"] == 0
    assert await replay.run(SHOP) == 0, replay.output + replay.errors
    played = replay.report["played"]
    assert played["known_before"] == played["ops"] > 0
    assert replay.report["wrong"] == []
    # Another seed is another replay, with carts of its own.
    assert await replay.run(SHOP, "--seed", "2") == 0, replay.output + replay.errors
    assert replay.report["played"]["known_before"] == 0


async def test_a_removed_line_is_found_and_named(
    replay: Replay, server: Server, settings: Settings, database: Database
) -> None:
    assert await replay.run(SHOP) == 0, replay.output + replay.errors
    assert await replay.run(SHOP, "--verify-only") == 0, replay.output + replay.errors
    assert replay.report["played"] is None
    cart = await remove_the_lamp(server, settings, database)
    assert await replay.run(SHOP, "--verify-only") == 1
    assert f"invoice 1003 ({cart}), LAMP: expected 1, found 0" in replay.output
    (wrong,) = replay.report["wrong"]
    assert (wrong["invoice"], wrong["code"], wrong["expected"], wrong["found"]) == (
        *("1003", "LAMP", 1, 0),
    )


async def remove_the_lamp(server: Server, settings: Settings, database: Database) -> str:
    """Remove the one line of invoice 1003, whoever of the shoppers has it; returns the cart."""
    for number in range(8):
        account = await shopper(database, settings, number)
        async with server.connect(account) as client:
            for entry in (await client.request("cart.list"))["carts"]:
                if entry["name"] == "Invoice 1003" and entry["role"] == "owner":
                    (line,) = (await client.state(entry["cart"]))["lines"]
                    await client.op(entry["cart"], "remove", line=line["line"])
                    return str(entry["cart"])
    raise AssertionError("nobody owns the cart of invoice 1003")


async def test_carts_that_were_never_made_are_all_wrong(replay: Replay) -> None:
    assert await replay.run(SHOP, "--verify-only") == 1
    assert {line["invoice"] for line in replay.report["wrong"]} == {
        *("1001", "1002", "1003", "1004", "1006", "1012", "1014"),
    }


async def test_a_file_that_is_no_recording_is_told_in_one_line(
    replay: Replay, tmp_path: Path
) -> None:
    file = tmp_path / "other.csv"
    file.write_text("InvoiceNo,Price\n1,2\n")
    assert await replay.run(file) == 2
    assert "other.csv: line 1: columns missing: StockCode" in replay.errors
    assert len(replay.errors.splitlines()) == 1


async def test_members_that_the_server_does_not_know_are_refused_in_one_line(
    server: Server, settings: Settings, tmp_path: Path
) -> None:
    env = {**environment(settings), "CARTROOM_JWT_SECRET": "another secret of enough characters"}
    status, _, errors = await cartroom("replay", str(SHOP), "--url", server.url, env=env)
    assert status == 2
    assert "refuses us" in errors
    assert len(errors.splitlines()) == 1


async def test_a_server_that_is_away_is_told_in_one_line(settings: Settings) -> None:
    status, _, errors = await cartroom(
        *("replay", str(SHOP), "--url", "http://127.0.0.1:9"), env=environment(settings)
    )
    assert status == 2
    assert "No server can be reached" in errors
    assert len(errors.splitlines()) == 1


async def test_the_server_on_the_data_folder_is_found(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        env = {"CARTROOM_DATA": str(service.data), "CARTROOM_BCRYPT_COST": "4"}
        status, output, errors = await cartroom("replay", str(SHOP), env=env)
        assert status == 0, output + errors
        _, metrics = await service.get("/metrics")
        assert "cartroom_ops_committed_total" in metrics
        assert not metrics.split("cartroom_ops_committed_total ")[1].startswith("0")


async def test_without_a_server_one_is_started_and_ended(tmp_path: Path) -> None:
    data = tmp_path / "var"
    env = {"CARTROOM_DATA": str(data), "CARTROOM_BCRYPT_COST": "4"}
    status, output, errors = await cartroom("replay", str(SHOP), env=env, cwd=tmp_path)
    assert status == 0, output + errors
    assert running(data) is None
    assert not (data / "run.json").exists()
