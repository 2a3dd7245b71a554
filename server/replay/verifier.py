"""Reading every cart through fresh connections, and holding it against the ledger."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from server.replay.client import Client, GaveUpError
from server.replay.connection import RefusedError
from server.replay.figures import Figures
from server.replay.ledger import Ledger

READERS_MAX: Final = 8
"""Fresh connections that read at the same time."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an invoice's cart is, and the token of somebody who may read it."""

    cart: str
    token: str


@dataclass(frozen=True, slots=True)
class WrongLine:
    """A code whose quantity in a cart isn't the file's. `cart` is empty where there is none."""

    invoice: str
    cart: str
    code: str
    expected: int
    found: int
    note: str = ""

    def __str__(self) -> str:
        where = f"invoice {self.invoice} ({self.cart or 'no cart'})"
        note = f": {self.note}" if self.note else ""
        return f"{where}, {self.code}: expected {self.expected}, found {self.found}{note}"


async def verify(
    session: aiohttp.ClientSession,
    url: str,
    ledger: Ledger,
    addresses: Mapping[str, Address],
    progress: Callable[[], object],
) -> list[WrongLine]:
    """What differs between the ledger and the carts, by invoice and code.

    Each owner's carts are read through a connection of their own, made for this.
    Raises ServerUnusableError.
    """
    by_reader: defaultdict[str, list[str]] = defaultdict(list)
    wrong: list[WrongLine] = []
    for invoice, address in addresses.items():
        by_reader[address.token].append(invoice)
    for invoice in ledger.carts.keys() - addresses.keys():
        wrong.extend(compare(invoice, "", ledger.carts[invoice], {}))
    slots = asyncio.Semaphore(READERS_MAX)

    async def read_all(token: str, invoices: Sequence[str]) -> None:
        async with slots:
            reader = Client(session, url, str(uuid.uuid4()), token, Figures())
            try:
                for invoice in invoices:
                    expected = ledger.carts.get(invoice, {})
                    wrong.extend(await _read(reader, invoice, addresses[invoice].cart, expected))
                    progress()
            finally:
                await reader.close()

    try:
        async with asyncio.TaskGroup() as group:
            for token, invoices in by_reader.items():
                group.create_task(read_all(token, invoices))
    except* Exception as errors:
        raise errors.exceptions[0] from errors
    return sorted(wrong, key=lambda line: (line.invoice, line.code))


async def _read(
    reader: Client, invoice: str, cart: str, expected: Mapping[str, int]
) -> list[WrongLine]:
    try:
        content = (await reader.join(cart)).content()
        await reader.leave(cart)
    except (RefusedError, GaveUpError) as error:
        missing = compare(invoice, cart, expected, {}, str(error))
        return missing or [WrongLine(invoice, cart, "", 0, 0, str(error))]
    found: Counter[str] = Counter()
    for line in content.lines:
        found[line.sku] += line.qty
    return compare(invoice, cart, expected, found)


def compare(
    invoice: str, cart: str, expected: Mapping[str, int], found: Mapping[str, int], note: str = ""
) -> list[WrongLine]:
    """The codes whose quantities differ."""
    return [
        WrongLine(invoice, cart, code, expected.get(code, 0), found.get(code, 0), note)
        for code in sorted(expected.keys() | found.keys())
        if expected.get(code, 0) != found.get(code, 0)
    ]
