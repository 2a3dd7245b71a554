"""Mail by its settings: the folder of the embedded default, what can be set, what is counted."""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commerce.mail import Address, Mailer, SmtpServer
from commerce.mail import folder as folder_module
from commerce.mail import mailer as mailer_module
from handlers import keys
from server.settings import Settings, SettingsError
from tests.client import Server, running_server
from tests.helpers import eventually
from tests.mailbox import folder_mails, mail_server, text_of

ADA = Address("usr_a", "ada@shop.example", "Ada")
CONFIRM = {"token": "usr_a.s3cr3t", "ttl_s": 86_400}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailer_module, "START_S", (0.0, 0.001))


# The folder


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def put_files(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("")


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.data / "mail"


@pytest.fixture
def mailer(server: Server) -> Mailer:
    return server.app[keys.MAILER]


async def settled(mailer: Mailer) -> None:
    await eventually(lambda: mailer.waiting == 0, what="the mails to be settled")


async def test_without_a_mail_server_mails_are_files_that_the_log_names(
    mailer: Mailer, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="commerce.mail"):
        mailer.send("confirm", Address("usr_a", "ada@shop.example", "Zoë"), **CONFIRM)
        await settled(mailer)

    (path,) = files(folder)
    assert (path.suffix, mode(path), mode(folder)) == (".eml", 0o600, 0o700)
    (mail,) = folder_mails(folder)
    assert mail["To"] == "ada@shop.example"
    # In one piece, also for who reads the file as it is.
    assert "http://127.0.0.1:0/#/confirm/usr_a.s3cr3t" in path.read_text()
    (record,) = (one for one in caplog.records if "Mail written" in one.getMessage())
    assert record.__dict__["file"] == str(path)
    assert "ada@" not in caplog.text


async def test_what_concerns_a_forgotten_user_goes_from_the_folder(
    mailer: Mailer, folder: Path
) -> None:
    facts = {"cart": "crt_1", "cart_name": "Picnic", "by_name": "Bea", "role": "editor"}
    mailer.send("added_to_cart", ADA, ["usr_b"], **facts)
    mailer.send("password_changed", Address("usr_b", "bea@shop.example"))
    mailer.send("password_changed", Address("usr_c", "cem@shop.example"))
    mailer.send("password_changed", Address(None, "Bea@Shop.example"))
    mailer.send("password_changed", Address(None, "bä@bücher.example"))
    mailer.send("password_changed", Address(None, "ba@bücher.example"))
    await settled(mailer)

    await mailer.forget("usr_b", "bea@shop.example")
    assert {mail["To"] for mail in folder_mails(folder)} == {
        "cem@shop.example",
        "bä@bücher.example",
        "ba@xn--bcher-kva.example",
    }
    await mailer.forget("usr_x", "BÄ@bücher.example")
    await mailer.forget("usr_y", "BA@Bücher.example")
    await mailer.forget("usr_y", "no address")
    assert [mail["To"] for mail in folder_mails(folder)] == ["cem@shop.example"]


async def test_who_is_forgotten_as_their_mail_is_written_has_none(
    mailer: Mailer, folder: Path
) -> None:
    for _ in range(10):
        mailer.send("confirm", ADA, **CONFIRM)
    await eventually(lambda: folder.exists() and folder_mails(folder), what="the first")
    await mailer.forget("usr_a")
    assert (mailer.waiting, folder_mails(folder)) == (0, [])


async def test_what_a_killed_process_was_writing_goes_when_somebody_is_forgotten(
    mailer: Mailer, folder: Path
) -> None:
    """The last look at a deleted account comes later than a draft can be written."""
    put_files(folder, "20260504T090000Z-confirm-left.part", "20260504T090000Z-confirm-new.part")
    os.utime(folder / "20260504T090000Z-confirm-left.part", (0, 0))
    await mailer.forget("usr_x")
    assert os.listdir(folder) == ["20260504T090000Z-confirm-new.part"]


async def test_to_forget_where_there_are_no_mails_is_nothing(mailer: Mailer) -> None:
    await mailer.forget("usr_a", "ada@shop.example")


async def test_the_folder_keeps_the_latest(
    mailer: Mailer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "FILES_MAX", 10)
    put_files(folder, *(f"20260504T09000{number}Z-confirm-x.eml" for number in range(9)))
    for _ in range(2):
        mailer.send("confirm", ADA, **CONFIRM)
        await settled(mailer)

    names = [path.name for path in files(folder)]
    assert len(names) == 9
    assert names[0].startswith("20260504T090002Z")


async def test_a_folder_that_can_t_be_written_is_logged_and_counted(
    settings: Settings,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(mailer_module, "RETRY_DELAYS_S", (0.001,))
    put_files(folder.parent, "mail")  # a file in the way
    async with running_server(settings, may_log_errors=True) as server:
        server.app[keys.MAILER].send("confirm", ADA, **CONFIRM)
        await settled(server.app[keys.MAILER])
        async with server.http.get(f"{server.url}/metrics") as response:
            figures = await response.text()
    assert 'cartroom_mails_total{kind="confirm",result="failed"} 1.0' in figures
    assert "cartroom_mails_waiting 0.0" in figures
    assert "ada@" not in caplog.text


async def test_a_service_with_a_mail_server_hands_mail_in(settings: Settings) -> None:
    async with mail_server() as mailbox:
        configured = replace(
            settings,
            smtp_url=f"smtp://127.0.0.1:{mailbox.port}",
            mail_from="Shop <no-reply@shop.example>",
            public_url="https://shop.example/",
        )
        async with running_server(configured) as server:
            server.app[keys.MAILER].send("confirm", ADA, **CONFIRM)
        # What was waiting has left at the end.
        (mail,) = mailbox.mails
    assert mail["From"] == "Shop <no-reply@shop.example>"
    assert "https://shop.example/#/confirm/usr_a.s3cr3t" in text_of(mail)
    assert not (settings.data / "mail").exists()


# Settings


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", ("mail.example", 587, False, True, None, None)),
        ("smtp://localhost:25", ("localhost", 25, False, None, None, None)),
        ("smtp://127.0.0.1", ("127.0.0.1", 587, False, None, None, None)),
        ("smtp://mail:25?starttls=no", ("mail", 25, False, False, None, None)),
        ("smtps://u%40x:p%2F@mail.example", ("mail.example", 465, True, False, "u@x", "p/")),
    ],
)
def test_what_the_address_of_a_mail_server_says(url: str, expected: tuple[Any, ...]) -> None:
    server = SmtpServer.parse(url)
    told = (server.host, server.port, server.tls, server.starttls, server.username)
    assert (*told, server.password) == expected
    assert "p/" not in repr(server)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CARTROOM_SMTP_URL", "http://mail.example"),
        ("CARTROOM_SMTP_URL", "smtp://"),
        ("CARTROOM_SMTP_URL", "smtp://mail.example:99999"),
        ("CARTROOM_SMTP_URL", "smtp://mail.example?tls=maybe"),
        ("CARTROOM_SMTP_URL", "smtp://:hunter22@mail.example"),
        ("CARTROOM_MAIL_FROM", "nobody"),
        ("CARTROOM_MAIL_FROM", "Shop <no-reply@shop.example"),
        ("CARTROOM_MAIL_FROM", "a@shop.example\nBcc: b@shop.example"),
        ("CARTROOM_PUBLIC_URL", "shop.example"),
        ("CARTROOM_PUBLIC_URL", "https://shop.example/?a=b"),
    ],
)
def test_settings_that_can_t_be_used_are_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable) as raised:
        Settings.from_environ({variable: value})
    assert "hunter22" not in str(raised.value)


def test_a_public_address_ends_with_a_slash() -> None:
    read_settings = Settings.from_environ({"CARTROOM_PUBLIC_URL": "https://shop.example/carts"})
    assert read_settings.public_url == "https://shop.example/carts/"


async def test_a_mail_server_needs_a_sender(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="CARTROOM_MAIL_FROM"):
        async with running_server(replace(settings, smtp_url="smtp://localhost")):
            pass
