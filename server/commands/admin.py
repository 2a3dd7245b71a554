"""`cartroom admin`: makes an administrator, for the first one cannot be made by another."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any, Final

from marshmallow import ValidationError

from commerce.accounts.choosing import check_choice
from commerce.accounts.errors import WeakPasswordError
from commerce.accounts.passwords import Passwords
from commerce.accounts.service import Accounts
from handlers.auth.schemas import RegisterSchema
from server import lifecycle
from server.errors import UnusableError
from server.settings import Settings
from server.stores import open_stores
from storage.indexes import create_indexes
from storage.mongo import Database
from storage.users import Users

PASSWORD_LINE_MAX: Final = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--email", required=True, help="address to sign in with")
    parser.add_argument("--name", default="Administrator", help="how others see them")
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="take the password from the first line of standard input instead of asking for it",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Make the administrator; an account that exists is made one and keeps its password."""
    password = _read_line() if args.password_stdin else _ask()
    account = {"email": args.email, "password": password, "name": args.name}
    try:
        valid: dict[str, Any] = RegisterSchema().load(account)
    except ValidationError as error:
        raise UnusableError(_explain(error)) from None
    del valid["session"]
    try:
        check_choice(valid["password"], valid["email"], valid["name"])
    except WeakPasswordError as error:
        raise UnusableError(f"password: {error}") from None
    existed = lifecycle.run(_make(settings, **valid))
    if existed:
        print(f"{args.email} is an administrator now; their password is what it was.")
    else:
        print(f"{args.email} is an administrator.")
    return 0


async def _make(settings: Settings, email: str, password: str, name: str) -> bool:
    """True when the account was there before."""
    async with open_stores(settings, "admin") as filled:
        database = Database(
            filled.mongodb_url or "", filled.mongodb_database, journal=filled.journal is not False
        )
        passwords = Passwords(filled.bcrypt_cost)
        try:
            await database.check()
            await create_indexes(database)
            users = Users(database)
            accounts = Accounts(users, passwords)
            existed = await users.find_by_email(email) is not None
            await accounts.ensure(email, password, name, role="admin")
            return existed
        finally:
            passwords.close()
            database.close()


def _ask() -> str:
    if not sys.stdin.isatty():
        raise UnusableError(
            "There is no terminal to ask for the password. Pipe it in with --password-stdin."
        )
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise UnusableError("The two passwords differ. Try again.")
    return password


def _read_line() -> str:
    return sys.stdin.readline(PASSWORD_LINE_MAX).rstrip("\r\n")


def _explain(error: ValidationError) -> str:
    """One line: what is wrong with which argument. The values are not repeated."""
    return " ".join(f"{field}: {' '.join(said)}" for field, said in error.messages_dict.items())
