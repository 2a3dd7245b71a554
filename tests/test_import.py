"""`cartroom import`, by its command line, on real stores."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import os
import pty
import re
import termios
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from commerce.catalog import csv_records, shopify
from commerce.catalog.csv_records import read_records
from commerce.catalog.documents import from_document
from commerce.catalog.html_text import html_text
from commerce.catalog.jsonl import parse_line
from commerce.catalog.lines import LINE_MAX, Lines
from commerce.catalog.product import Product
from commerce.catalog.rows import Accepted, Refused, Row
from commerce.catalog.shopify import derived_sku, read_shopify
from storage.mongo import Database
from storage.products import Products
from tests.helpers import steady_port
from tests.serving import ROOT, cartroom, launch, serving

DATA = Path(__file__).parent / "data"
HEADER = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\n"

Import = Callable[..., Awaitable[tuple[int, str, list[str]]]]


@pytest.fixture
def run(mongodb_url: str, redis_url: str, database_name: str, tmp_path: Path) -> Import:
    """Runs `cartroom import ARGUMENT…`; answers status, output, and lines of error output."""

    async def run(*arguments: str | Path) -> tuple[int, str, list[str]]:
        status, out, error = await cartroom(
            "import",
            *map(str, arguments),
            env={
                "MONGODB_URL": mongodb_url,
                "REDIS_URL": redis_url,
                "CARTROOM_DATABASE": database_name,
                "CARTROOM_DATA": str(tmp_path / "var"),
            },
        )
        return status, out, error.splitlines()

    return run


async def stored(database: Database, *skus: str) -> dict[str, Product]:
    found = await Products(database).find(skus)
    return {sku: from_document(document) for sku, document in found.items()}


def refused_lines(errors: list[str]) -> list[int]:
    found = (re.search(r":(\d+): refused: ", line) for line in errors)
    return [int(match[1]) for match in found if match]


def said(errors: list[str], line: int) -> str:
    return next(error for error in errors if f":{line}: " in error).partition(f":{line}: ")[2]


async def test_shopify_rows_become_variants(run: Import, database: Database) -> None:
    status, out, errors = await run(DATA / "shopify.csv", "--currency", "EUR")
    assert out == (
        "shopify.csv: 19 variants, 6 imported (6 new, 0 changed, 0 as before), 13 refused\n"
    )
    assert status == 1
    shared = {
        "currency": "EUR",
        "handle": "shirt",
        "title": "Linen Shirt",
        "description": "Cool & light.\nLinen\nMade in Łódź",
        "vendor": "Mill",
        "category": "Clothing",
        "tags": ("summer", "linen"),
    }
    images = tuple(f"https://shop.example/{name}.jpg" for name in "abc")
    assert await stored(
        *(database, "shirt:S/Blue", "shirt:M/Blue", "SH-M-RW", "SH-L", "voucher", "LAST")
    ) == {
        "shirt:S/Blue": Product(
            sku="shirt:S/Blue",
            name="Linen Shirt - S / Blue",
            price=4299,
            available=7,
            options={"Size": "S", "Colour": "Blue"},
            images=("https://shop.example/blue.jpg", *images),
            compare_at_price=5000,
            **shared,
        ),
        "shirt:M/Blue": Product(
            sku="shirt:M/Blue",
            name="Linen Shirt - M / Blue",
            price=4299,
            available=0,
            options={"Size": "M", "Colour": "Blue"},
            images=images,
            **shared,
        ),
        "SH-M-RW": Product(
            sku="SH-M-RW",
            name="Linen Shirt - M / Red/White",
            price=4500,
            available=0,
            options={"Size": "M", "Colour": "Red/White"},
            images=images,
            **shared,
        ),
        "SH-L": Product(
            sku="SH-L",
            name="Linen Shirt - L / Blue",
            price=4299,
            available=None,
            options={"Size": "L", "Colour": "Blue"},
            images=images,
            **shared,
        ),
        "voucher": Product(
            "voucher", "Voucher", 2500, "EUR", None, handle="voucher", title="Voucher"
        ),
        "LAST": Product(
            *("LAST", "Last & “good” one", 500, "EUR", None),
            handle="last",
            title="Last & “good” one",
        ),
    }
    assert refused_lines(errors) == [*range(11, 24)]
    assert said(errors, 9) == "Image Src is left out: no address with https://"
    assert "'1.999' has more than the 2 decimal digits of EUR" in said(errors, 11)
    assert "Variant Price is empty" in said(errors, 12)
    assert "'-5' is no amount" in said(errors, 13)
    assert "Title is empty" in said(errors, 14)
    assert "Handle is empty" in said(errors, 15)
    assert "give --stock" in said(errors, 16)
    assert "'1.5'" in said(errors, 17)
    assert "'maybe'" in said(errors, 18)
    assert "sku 'SH-L' is that of line 8, too" in said(errors, 19)
    assert "Variant Compare At Price: 'abc'" in said(errors, 20)
    assert "24 fields, but the first line names 21" in said(errors, 21)
    assert "not valid CSV" in said(errors, 22)
    assert "a quote is opened and not closed" in said(errors, 23)


async def test_json_lines_are_strict(run: Import, database: Database) -> None:
    status, out, errors = await run(DATA / "products.jsonl")
    assert (status, out) == (
        1,
        "products.jsonl: 20 variants, 3 imported (3 new, 0 changed, 0 as before), 17 refused\n",
    )
    assert refused_lines(errors) == [*range(4, 21)]
    assert "missing required field `price`" in said(errors, 4)
    assert "unknown field `colour`" in said(errors, 5)
    assert "'EURO' is no currency" in said(errors, 8)
    assert "sku 'A/1' is that of line 1, too" in said(errors, 16)
    assert await stored(database, "A/1", "B", "Z", "C") == {
        "A/1": Product(
            *("A/1", "A", 100, "EUR", 3),
            tags=("x",),
            options={"Size": "S"},
            images=("https://shop.example/a.jpg",),
        ),
        "B": Product("B", "B", 100, "JPY", None, description="two\nlines", compare_at_price=120),
        "Z": Product("Z", "Z", 0, "EUR", None),
    }


async def test_a_second_import_changes_nothing_and_stock_overrides(
    run: Import, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "shop.csv.gz"
    file.write_bytes(gzip.compress((DATA / "shopify.csv").read_bytes()))
    files = (DATA / "products.jsonl", file)
    assert "6 imported (6 new, 0 changed" in (await run(*files, "--currency", "EUR"))[1]
    _, out, _ = await run(*files, "--currency", "EUR")
    assert out.splitlines() == [
        "products.jsonl: 20 variants, 3 imported (0 new, 0 changed, 3 as before), 17 refused",
        "shop.csv.gz: 19 variants, 6 imported (0 new, 0 changed, 6 as before), 13 refused",
        "2 files: 9 imported, 30 refused",
    ]
    _, out, errors = await run(*files, "--currency", "EUR", "--stock", "9")
    assert "shop.csv.gz: 19 variants, 9 imported (3 new, 6 changed, 0 as before)" in out
    assert refused_lines(errors)[-10:] == [*range(11, 16), *range(19, 24)]
    found = await stored(database, "A/1", "shirt:S/Blue", "SH-L", "P6", "P7", "P8")
    assert {product.available for product in found.values()} == {9}
    assert len(found) == 6


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("empty.gz", gzip.compress(b"", mtime=0), "the file is empty"),
        ("blank.csv", b"\r\n \n\n", "nothing but blank lines"),
        ("utf16.csv", HEADER.encode("utf-16"), "not UTF-8 text; save it as UTF-8"),
        ("columns.csv", b"Handle,Title\na,b\n", "names no column 'Variant Price'"),
        ("other.csv", b"a;b;c\n1;2;3\n", "names no column 'Handle' and no column 'Title' and"),
        ("twice.csv", b"Handle,Title,title,Variant Price\n", "names the column 'Title' twice"),
        ("latin.csv", b"Handle,Title,Variant Price,Gr\xf6\xdfe\n", "line 1, the names of the"),
        ("broken.gz", b"\x1f\x8bnothing", "damaged"),
    ],
)
async def test_an_unusable_file_is_named_with_the_reason(
    run: Import, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    status, out, errors = await run(tmp_path / name, "--currency", "EUR")
    assert (status, out) == (2, "")
    assert len(errors) == 1
    assert errors[0].startswith(f"{tmp_path / name}: ")
    assert message in errors[0]


async def test_the_other_files_are_imported_all_the_same(run: Import, tmp_path: Path) -> None:
    status, out, errors = await run(
        *(tmp_path / "missing.csv", tmp_path, DATA / "shopify.csv", DATA / "products.jsonl")
    )
    assert status == 2
    assert out.splitlines() == [
        "products.jsonl: 20 variants, 3 imported (3 new, 0 changed, 0 as before), 17 refused",
        "4 files: 3 imported, 17 refused",
    ]
    assert errors[0] == f"{tmp_path / 'missing.csv'}: it can't be read: No such file or directory"
    assert errors[1] == f"{tmp_path}: it can't be read: Is a directory"
    assert "--currency EUR" in errors[2]


async def test_a_file_that_breaks_off_is_imported_up_to_there(run: Import, tmp_path: Path) -> None:
    rows = "".join(f"h{i},T{os.urandom(8).hex()},,,S{i},{i}\n" for i in range(2000))
    whole = gzip.compress((HEADER + rows).encode())
    (tmp_path / "half.gz").write_bytes(whole[: len(whole) // 2])
    status, out, errors = await run(tmp_path / "half.gz", "--currency", "EUR")
    assert status == 2
    assert errors[-1].endswith("the gzip file is damaged or ends too early")
    imported = re.search(r", (\d+) imported \((\d+) new", out)
    assert imported is not None
    assert 500 < int(imported[1]) == int(imported[2]) < 2000


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("x.csv", "--currency", "euro"),
        ("x.csv", "--currency", "XAU"),
        ("x.csv", "--stock", "-1"),
        ("x.csv", "--stock", "1.5"),
        ("x.csv", "--stock", "9" * 30),
        ("x.csv", "--prices", "1"),
    ],
)
async def test_wrong_arguments(run: Import, arguments: tuple[str, ...]) -> None:
    status, out, errors = await run(*arguments)
    assert (status, out) == (2, "")
    assert errors[-1].startswith("cartroom import: error: ") or "cartroom: error" in errors[-1]


async def test_a_store_that_is_away_is_said_in_one_line(tmp_path: Path) -> None:
    url = f"mongodb://127.0.0.1:{steady_port()}/?serverSelectionTimeoutMS=200"
    status, out, error = await cartroom(
        *("import", str(DATA / "products.jsonl")),
        env={
            "MONGODB_URL": url,
            "REDIS_URL": "redis://127.0.0.1:1",
            "CARTROOM_DATA": str(tmp_path),
        },
    )
    assert (status, out) == (2, "")
    assert error.startswith("cartroom: No MongoDB-compatible server answers at MONGODB_URL.")


async def test_it_shares_the_stores_of_a_running_service(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        env = {"CARTROOM_DATA": str(service.data)}
        for counts in ("(3 new, 0 changed, 0 as before)", "(0 new, 0 changed, 3 as before)"):
            _, out, _ = await cartroom("import", str(DATA / "products.jsonl"), env=env)
            assert counts in out
        status, product = await service.get("/api/v1/catalog/products/A%2F1")
        assert (status, product["sku"]) == (200, "A/1")
    # Without it, the same data folder is opened by the command itself.
    _, out, _ = await cartroom("import", str(DATA / "products.jsonl"), env=env)
    assert "(0 new, 0 changed, 3 as before)" in out


async def test_a_terminal_sees_a_bar_and_nothing_that_a_file_made_up(
    mongodb_url: str, redis_url: str, database_name: str, tmp_path: Path
) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"sku": "a", "\\u001b[31mred": 1}\n' + (DATA / "products.jsonl").read_text())
    primary, secondary = pty.openpty()
    termios.tcsetwinsize(secondary, (24, 100))
    process = await launch(
        *("import", str(file)),
        env={
            "MONGODB_URL": mongodb_url,
            "REDIS_URL": redis_url,
            "CARTROOM_DATABASE": database_name,
            "CARTROOM_DATA": str(tmp_path / "var"),
            "TERM": "xterm",
        },
        stderr=secondary,
    )
    os.close(secondary)
    reading = asyncio.create_task(asyncio.to_thread(read_to_end, primary))
    out, _ = await process.communicate()
    shown = await reading
    os.close(primary)
    assert b"3 imported" in out
    assert "p.jsonl:" in shown
    assert "%|" in shown
    assert "unknown field" in shown
    assert "\x1b[31m" not in shown


def read_to_end(descriptor: int) -> str:
    chunks = []
    # Linux ends the reading side of a terminal with EIO.
    try:
        while chunk := os.read(descriptor, 65536):
            chunks.append(chunk)
    except OSError:
        pass
    return b"".join(chunks).decode()


@pytest.mark.parametrize("name", ["shopify_apparel.csv", "shopify_jewelery.csv"])
async def test_real_exports_are_imported_whole(
    run: Import, database: Database, shopping_data: Path, name: str
) -> None:
    file = shopping_data / name
    variants = images = 0
    with file.open(newline="") as opened:
        for row in csv.DictReader(opened):
            variants += bool(row["Variant Price"])
            images += not row["Variant Price"]
    assert variants >= 22
    status, out, errors = await run(file, "--currency", "USD", "--stock", "25")
    assert (status, errors) == (0, [])
    assert f"{variants} variants, {variants} imported ({variants} new, 0 changed" in out
    _, out, _ = await run(file, "--currency", "USD", "--stock", "25")
    assert f"(0 new, 0 changed, {variants} as before)" in out
    if name == "shopify_jewelery.csv":
        assert images > 0
        found = (await stored(database, "chain-bracelet:Blue"))["chain-bracelet:Blue"]
        assert (found.price, found.compare_at_price, found.available) == (4299, 4499, 25)
        assert found.name == "7 Shakra Bracelet - Blue"
        assert found.options == {"Color": "Blue"}
        assert len(found.images) == 2


# What follows needs no store.


def lines_of(content: str | bytes, tmp_path: Path) -> Lines:
    file = tmp_path / "file"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return Lines(file.open("rb"))


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Callable[[str | bytes], list[Row]]]:
    """Reads the rows of a Shopify file, without its first line, in euros."""
    opened: list[Lines] = []

    def read(content: str | bytes) -> list[Row]:
        content = content.encode() if isinstance(content, str) else content
        opened.append(lines_of(HEADER.encode() + content, tmp_path))
        return list(read_shopify(opened[-1], "EUR"))

    yield read
    for lines in opened:
        lines.close()


def outcome(rows: list[Row]) -> list[tuple[int, str]]:
    return [(row.line, row.product.sku if isinstance(row, Accepted) else "refused") for row in rows]


Read = Callable[[str | bytes], list[Row]]


def test_a_row_that_is_no_utf8_is_refused_alone(read: Read) -> None:
    rows = read(b"a,A,,,A,1\nb,B\xe9,,,B,1\nc,C\xc3\xa9,,,C,1\n")
    assert outcome(rows) == [(2, "A"), (3, "refused"), (4, "C")]
    assert isinstance(rows[1], Refused)
    assert "not UTF-8" in rows[1].reason


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path, end: str) -> None:
    text = (HEADER + 'a,"A\nA\n",,,A,1\n\nb,B,,,B,x\nc,C,,,C,1').replace("\n", end)
    lines = lines_of(text, tmp_path)
    assert outcome(list(read_shopify(lines, "EUR"))) == [(2, "A"), (6, "refused"), (7, "C")]
    lines.close()


def test_a_huge_line_or_field_costs_its_own_row_only(read: Read) -> None:
    huge = "x" * (LINE_MAX + 10)
    rows = read(f'a,{huge},,,A,1\nb,"{huge}\n{huge}",,,B,1\nc,C,,,C,1\n')
    assert outcome(rows)[0] == (2, "refused")
    assert outcome(rows)[1] == (3, "refused")
    assert outcome(rows)[-1] == (5, "C")


def test_a_long_title_is_refused_and_a_long_text_cut(read: Read) -> None:
    rows = read(f"a,{'x' * 301},,,A,1\nb,B,,,{'s' * 201},1\n{'c' * 250},C,,,,1\nd,D,,,D,1\n")
    assert outcome(rows)[:2] == [(2, "refused"), (3, "refused")]
    assert isinstance(rows[2], Accepted)
    assert len(rows[2].product.sku) == 200
    assert outcome(rows)[3] == (5, "D")


def test_a_handle_that_comes_again_keeps_what_its_first_row_says(read: Read) -> None:
    rows = read("a,A,Size,S,,1\nb,B,,,,1\na,,,M,,2\n")
    assert [row.product.name for row in rows if isinstance(row, Accepted)] == [
        "A - S",
        "B",
        "A - M",
    ]
    assert rows[2].product.options == {"Size": "M"}  # type: ignore[union-attr]


def test_a_product_of_very_many_rows_comes_in_parts(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shopify, "ROWS_PER_PRODUCT_MAX", 3)
    rows = read("a,A,Size,0,,1\n" + "".join(f"a,,,{i},,1\n" for i in range(1, 10)))
    assert outcome(rows) == [(i + 2, f"a:{i}") for i in range(10)]


def test_an_open_quote_is_given_up_after_so_many_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_records, "RECORD_LINES_MAX", 3)
    lines = lines_of('a,"b\nc\nd\ne\n', tmp_path)
    assert [(r.line, r.error is None) for r in read_records(lines)] == [
        (1, False),
        (2, True),
        (3, True),
        (4, True),
    ]
    lines.close()


def test_derived_skus_are_stable_and_differ() -> None:
    assert derived_sku("shirt", []) == "shirt"
    assert derived_sku("shirt", ["S", "Blue", ""]) == "shirt:S/Blue"
    assert derived_sku("shirt", ["", "Blue", ""]) == "shirt:/Blue"
    values = [["a/b"], ["a", "b"], ["a\\", "b"], ["a\\/b"], ["a", "/b"], ["a/", "b"], ["", "a/b"]]
    assert len({derived_sku("h", each) for each in values}) == len(values)
    long = [derived_sku("h" * 250, [value, "", ""]) for value in ("S", "M")]
    assert [len(sku) for sku in long] == [200, 200]
    assert long[0] != long[1]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain", "plain"),
        (" two\n lines ", "two\nlines"),
        ("a &lt; b &amp; c&nbsp;d", "a < b & c d"),
        ("<p>One</p><p>Two</p>", "One\nTwo"),
        ("<b>bo</b>ld<br>new<br/>line", "bold\nnew\nline"),
        ("<style>p{}</style><script>if (a<b) x()</script>text", "text"),
        ("<p title='a>b'>x</p>", "x"),
        ("a > b <unclosed", "a > b <unclosed"),
        ("text<script>never closed", "text"),
        ("<p>x</p><script>never > closed", "x"),
        ("nul\x00 and bell\x07", "nul and bell"),
        ("&#0;&#xD800;", "��"),
        ("<a " * 33_000, ("<a " * 33_000).strip()),
    ],
)
def test_the_text_of_html(source: str, text: str) -> None:
    assert html_text(source) == text


def test_the_documented_line_is_one() -> None:
    page = (ROOT / "docs" / "import.md").read_text()
    example = re.search(r"```json\n(.*)\n```", page)
    assert example is not None
    product = parse_line(example[1])
    assert product.compare_at_price == 1590
    assert all(f'"{name}"' in example[1] for name in json.loads(example[1]))


def test_our_sample_is_whole() -> None:
    with (ROOT / "commerce" / "catalog" / "data" / "sample.jsonl").open() as file:
        products = [parse_line(line) for line in file]
    assert len({product.sku for product in products}) == len(products) >= 60
    assert {product.currency for product in products} == {"EUR"}
    assert {product.available is None for product in products} == {True, False}
    assert not any(product.images for product in products)
