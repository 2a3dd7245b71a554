"""`cartroom import`: products from Shopify's CSV or from JSON Lines into the catalog."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pymongo.errors import PyMongoError
from tqdm import tqdm

from commerce.catalog.files import read_products
from commerce.catalog.importing import ImportReport, import_products
from commerce.catalog.lines import Lines
from commerce.catalog.product import Product
from commerce.catalog.rows import AVAILABLE_MAX, Accepted, Refused, Remark, UnusableFileError
from commerce.money import MoneyError, exponent
from server.settings import Settings
from server.stores import open_stores
from storage.indexes import create_indexes
from storage.mongo import Database
from storage.products import Products

ALL_IMPORTED: Final = 0
SOME_REFUSED: Final = 1
UNUSABLE: Final = 2
MESSAGE_MAX: Final = 500


@dataclass(slots=True)
class FileResult:
    """What became of one file.

    `unusable` says why it couldn't be read, or not to its end. Without `counted` nobody knows
    how many of its products the store took.
    """

    path: Path
    report: ImportReport = field(default_factory=ImportReport)
    refused: int = 0
    unusable: str | None = None
    counted: bool = True

    @property
    def status(self) -> int:
        if self.unusable is not None:
            return UNUSABLE
        return SOME_REFUSED if self.refused else ALL_IMPORTED

    def line(self) -> str:
        done, refused = self.report, self.refused
        return (
            f"{self.path.name}: {done.imported + refused} variants,"
            f" {done.imported} imported ({done.inserted} new, {done.changed} changed,"
            f" {done.unchanged} as before), {refused} refused"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="Shopify's product CSV, or JSON Lines (docs/import.md); gzip will do",
    )
    parser.add_argument(
        "--currency",
        type=_currency,
        metavar="CODE",
        help="currency of the prices in Shopify's files, which name none: EUR",
    )
    parser.add_argument(
        "--stock",
        type=_stock,
        metavar="N",
        help="give every product N pieces, whatever the file says",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Import the files; 0 if every variant was, 1 if some were refused, 2 if a file is unusable."""
    return asyncio.run(_run(args, settings))


async def _run(args: argparse.Namespace, settings: Settings) -> int:
    async with open_stores(settings, "import") as filled:
        database = Database(
            filled.mongodb_url or "",
            filled.mongodb_database,
            journal=filled.journal is not False,
        )
        try:
            await database.check()
            await create_indexes(database)
            results = [await _import_file(path, args, Products(database)) for path in args.files]
        finally:
            database.close()
    if len(results) > 1:
        imported = sum(result.report.imported for result in results)
        refused = sum(result.refused for result in results)
        print(f"{len(results)} files: {imported} imported, {refused} refused")
    return max(result.status for result in results)


async def _import_file(path: Path, args: argparse.Namespace, products: Products) -> FileResult:
    """Import one file, telling of its refused rows as they come, and of the rest at its end."""
    result = FileResult(path)
    try:
        with (
            path.open("rb") as file,
            tqdm(
                total=os.fstat(file.fileno()).st_size or None,
                desc=path.name,
                unit="B",
                unit_scale=True,
                disable=None,  # no bar where nobody sees it move
                leave=False,
            ) as bar,
        ):
            lines = Lines(file)
            records = _accepted(lines, args, result, bar)
            result.report = await import_products(products, records)
    except UnusableFileError as error:
        result.unusable = str(error)
    except OSError as error:
        result.unusable = f"it can't be read: {error.strerror}"
    except PyMongoError as error:
        result.counted = False
        result.unusable = (
            "the store failed; run it again, what is imported stays as it is"
            f" ({type(error).__name__})"
        )
    if result.unusable is not None:
        print(f"{path}: {result.unusable}", file=sys.stderr)
    nothing_read = result.unusable is not None and not result.report.imported + result.refused
    if result.counted and not nothing_read:
        print(result.line(), flush=True)
    return result


def _accepted(
    lines: Lines, args: argparse.Namespace, result: FileResult, bar: tqdm[Any]
) -> Iterator[Product]:
    """The products of the file; its other rows are printed and counted.

    A file that breaks off ends here, so that what came before it is still imported.
    """
    try:
        for row in read_products(lines, args.currency, args.stock):
            match row:
                case Accepted(_, product):
                    yield product
                case Refused(line, reason):
                    result.refused += 1
                    _tell(bar, f"{result.path}:{line}: refused: {reason}")
                case Remark(line, text):
                    _tell(bar, f"{result.path}:{line}: {text}")
            bar.update(lines.position() - bar.n)
    except UnusableFileError as error:
        result.unusable = str(error)


def _tell(bar: tqdm[Any], text: str) -> None:
    # What a file holds is no command to the terminal.
    readable = "".join(sign if sign.isprintable() else "?" for sign in text)
    bar.write(readable[:MESSAGE_MAX], file=sys.stderr)


def _currency(text: str) -> str:
    try:
        exponent(text)
    except MoneyError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _stock(text: str) -> int:
    fits = text.isascii() and text.isdigit() and len(text) <= len(str(AVAILABLE_MAX))
    if not fits or int(text) > AVAILABLE_MAX:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to {AVAILABLE_MAX:,}")
    return int(text)
