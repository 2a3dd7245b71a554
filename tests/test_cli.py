"""The command `cartroom`, as a process."""

from __future__ import annotations

import asyncio
import re
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as open_socket

from server import __version__
from server.cli import COMMANDS
from tests.client import Account, Client
from tests.helpers import PATIENCE_S, eventually, steady_port
from tests.serving import EXIT_S, Service, cartroom, launch, serving

ADMIN = ("admin", "--email", "Root@shop.example", "--name", "Root", "--password-stdin")
PASSWORD = "correct horse battery"


def is_one_line(error: str) -> bool:
    return error.count("\n") == 1 and error.startswith("cartroom: ")


async def test_help_names_every_command() -> None:
    status, out, error = await cartroom("--help")
    assert (status, error) == (0, "")
    for name in COMMANDS:
        assert re.search(rf"^    {name}\s", out, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
async def test_help_of_a_command_has_examples(name: str) -> None:
    status, out, error = await cartroom(name, "--help")
    assert (status, error) == (0, "")
    assert f"\nexamples:\n  {COMMANDS[name].examples[0]}" in out


async def test_version() -> None:
    assert await cartroom("--version") == (0, f"cartroom {__version__}\n", "")


async def test_without_a_command_it_shows_help_and_fails() -> None:
    status, out, _ = await cartroom()
    assert status == 2
    assert "cartroom serve --demo" in out


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("CARTROOM_PORT", "eighty", "a number from 0 to 65535"),
        ("MONGODB_URL", "localhost:27017", "a URL mongodb://"),
        ("MONGODB_URL", "mongodb://store:port/", "a URL mongodb://"),
        ("MONGODB_URL", "mongodb://ann:p@ss@store/", "a URL mongodb://"),
        ("REDIS_URL", "redis://cache:port/", "a URL redis://"),
        ("CARTROOM_DATABASE", "shop.carts", "up to 63 letters"),
        ("CARTROOM_CURRENCY", "ZZZ", "an ISO 4217 code"),
        ("CARTROOM_JWT_SECRET", "too short", "at least 32 characters"),
    ],
)
async def test_a_malformed_setting_is_named_in_one_line(
    variable: str, value: str, expected: str
) -> None:
    status, out, error = await cartroom("serve", env={variable: value})
    assert (status, out) == (2, "")
    assert is_one_line(error)
    assert variable in error
    assert expected in error
    assert value not in error


async def test_an_unreachable_mongodb_is_named_with_the_fix(tmp_path: Path) -> None:
    env = {"MONGODB_URL": f"mongodb://127.0.0.1:{steady_port()}/"}
    status, out, error = await cartroom("serve", "--port", "0", "--data", str(tmp_path), env=env)
    assert (status, out) == (2, "")
    assert is_one_line(error)
    assert "MONGODB_URL" in error
    assert "unset it" in error
    assert not (tmp_path / "run.json").exists()


async def test_a_taken_port_is_named_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        status, out, error = await cartroom("serve", "--port", port, "--data", str(tmp_path))
    assert (status, out) == (2, "")
    assert f"Port {port} is taken" in error
    assert "--port" in error
    assert "Traceback" not in error


async def test_a_host_of_another_machine_is_named(tmp_path: Path) -> None:
    arguments = ("serve", "--port", "0", "--data", str(tmp_path), "--host", "192.0.2.1")
    status, out, error = await cartroom(*arguments)
    assert (status, out) == (2, "")
    assert "Can't listen on 192.0.2.1" in error


async def test_it_serves_from_any_working_directory(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with serving(tmp_path, cwd=elsewhere, env={"CARTROOM_DATA": "data"}) as service:
        status, page = await service.get("/")
        assert status == 200
        assert "<title>" in page
        assert (elsewhere / "data" / "run.json").exists()


async def test_an_interrupted_start_leaves_nothing(tmp_path: Path) -> None:
    env = {"MONGODB_URL": f"mongodb://127.0.0.1:{steady_port()}/"}  # it waits for that
    process = await launch("serve", "--port", "0", "--data", str(tmp_path), env=env)
    try:
        # A process begins slowly where others are at work.
        await eventually((tmp_path / "run.json").exists, 90.0)
        process.terminate()
        async with asyncio.timeout(EXIT_S):
            out, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert (process.returncode, out) == (0, b"")
    assert b"Traceback" not in error
    assert not (tmp_path / "run.json").exists()


async def sign_in(service: Service, email: str, password: str) -> int:
    return (await service.post("/api/v1/auth/login", {"email": email, "password": password}))[0]


async def test_admin_before_the_first_serve_and_beside_it(tmp_path: Path) -> None:
    env = {"CARTROOM_DATA": str(tmp_path / "var"), "CARTROOM_BCRYPT_COST": "4"}
    status, out, error = await cartroom(*ADMIN, env=env, typed=f"{PASSWORD}\n")
    assert (status, out, error) == (0, "Root@shop.example is an administrator.\n", "")
    async with serving(tmp_path) as service:
        assert await sign_in(service, "root@shop.example", PASSWORD) == 200
        credentials = {"email": "root@shop.example", "password": PASSWORD}
        _, signed_in = await service.post("/api/v1/auth/login", credentials)
        assert (signed_in["user"]["role"], signed_in["user"]["confirmed"]) == ("admin", True)
        status, out, _ = await cartroom(*ADMIN, env=env, typed="another one, longer\n")
        assert status == 0
        assert "their password is what it was" in out
        assert await sign_in(service, "root@shop.example", PASSWORD) == 200


@pytest.mark.parametrize(
    ("typed", "said"),
    [("short\n", "password: "), ("", "password: "), ("iloveyou\n", "password: ")],
)
async def test_admin_refuses_a_bad_password_without_repeating_it(
    tmp_path: Path, typed: str, said: str
) -> None:
    status, out, error = await cartroom(*ADMIN, "--data", str(tmp_path / "var"), typed=typed)
    assert (status, out) == (2, "")
    assert is_one_line(error)
    assert said in error
    assert "short" not in error.lower().replace("shorter", "")
    assert "iloveyou" not in error
    assert not (tmp_path / "var").exists()


async def test_admin_without_a_terminal_says_how(tmp_path: Path) -> None:
    status, _, error = await cartroom(*ADMIN[:-1], "--data", str(tmp_path))
    assert status == 2
    assert "--password-stdin" in error


async def test_a_command_does_not_wait_for_another_that_is_no_server(tmp_path: Path) -> None:
    """Two administrators at once: one makes way, or says who is in its way."""
    env = {"CARTROOM_DATA": str(tmp_path / "var"), "CARTROOM_BCRYPT_COST": "4"}
    answers = await asyncio.gather(
        *(cartroom(*ADMIN, env=env, typed=f"{PASSWORD}\n") for _ in range(2))
    )
    assert 0 in [status for status, _, _ in answers]
    for status, _, error in answers:
        # That the other one takes longer than it is waited for is a matter of the machine.
        assert status == 0 or (status == 2 and "is in use by `cartroom admin`" in error), error


async def state_of(service: Service, email: str, password: str, cart: str) -> Any:
    """The cart as this account sees it."""
    credentials = {"email": email, "password": password}
    _, signed_in = await service.post("/api/v1/auth/login", credentials)
    account = Account(signed_in["user"]["id"], signed_in["user"]["name"], signed_in["access_token"])
    url = service.url.replace("http://", "ws://") + "/ws"
    patience = {"open_timeout": PATIENCE_S, "ping_interval": None}
    async with open_socket(url, proxy=None, **patience) as socket:
        client = Client(socket, account, str(uuid.uuid4()))
        try:
            await client.greet(account)
            return await client.state(cart)
        finally:
            await client.close()


async def test_demo_gives_two_accounts_and_a_cart_and_is_repeatable(tmp_path: Path) -> None:
    async with serving(tmp_path, "--demo") as service:
        first = "\n".join(service.output)
        accounts = re.findall(r"^  (\S+@\S+) +password: (\S+)$", first, re.MULTILINE)
        assert len(accounts) == 2
        assert "private window" in first
        found = re.search(rf"{service.url}/#/cart/(crt_\w+)", first)
        assert found
        for email, password in accounts:
            state = await state_of(service, email, password, found.group(1))
            assert len(state["members"]) == 2
            assert len(state["lines"]) == 3
            credentials = {"email": email, "password": password}
            _, signed_in = await service.post("/api/v1/auth/login", credentials)
            assert signed_in["user"]["confirmed"]
        data = {"CARTROOM_DATA": str(service.data), "CARTROOM_BCRYPT_COST": "4"}
        status, again, _ = await cartroom("demo", env=data)
        assert status == 0
        assert again.splitlines() == service.output[:-1]
        assert await state_of(service, *accounts[0], found.group(1)) == state
