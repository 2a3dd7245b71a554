"""How long a page of the catalog takes: `python -m bench.catalog_search FILE`.

Imports the products of a recorded shop (its codes and descriptions) into a database of its own,
on the embedded store or on the server named by MONGODB_URL, measures, and drops it.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import gzip
import secrets
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from commerce.catalog import words
from commerce.catalog.importing import import_products
from commerce.catalog.product import Product
from commerce.catalog.service import Catalog
from server.settings import Settings
from server.stores import own_stores
from storage.mongo import Database
from storage.products import Products

QUERIES = ("", "re", "red", "red ret", "retro", "set of 6 t", "22", "2242", "heart t-light holder")
REPEATS = 51


def read(path: Path) -> list[Product]:
    names: dict[str, str] = {}
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            name = " ".join(row["Description"].split())
            if name:
                names.setdefault(row["StockCode"], name)
    return [Product(sku, name, 100, "GBP", None) for sku, name in names.items()]


async def measure(catalog: Catalog, q: str, limit: int) -> str:
    times_ms: list[float] = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        await catalog.search(q, limit, None)
        times_ms.append((time.perf_counter() - started) * 1000)
    return f"{statistics.median(times_ms):6.1f} ms (worst {max(times_ms):.1f})"


async def main(path: Path) -> None:
    products = read(path)
    sets = words.terms(products)
    entries = sum(map(len, sets.values()))
    print(f"{len(products)} products, {len(sets)} sets, {entries} entries")
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(
            Settings.from_environ(), data=Path(folder), mongodb_database=f"b{secrets.token_hex(6)}"
        )
        async with own_stores(settings, "bench") as filled:
            database = Database(
                filled.mongodb_url or "",
                filled.mongodb_database,
                journal=filled.journal is not False,
            )
            for what in ("first", "second"):
                started = time.perf_counter()
                await import_products(Products(database), products)
                print(f"{what} import: {time.perf_counter() - started:.1f} s")
            catalog = Catalog(Products(database))
            for q in QUERIES:
                found = len((await catalog.search(q, 100, None)).items)
                print(f"{q!r:24} 20: {await measure(catalog, q, 20)}", end="  ")
                print(f"100: {await measure(catalog, q, 100)}  ({found} on the page)")
            await database.drop()
            database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="online_retail.csv.gz")
    asyncio.run(main(parser.parse_args().file))
