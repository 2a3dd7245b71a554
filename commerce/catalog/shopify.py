"""Products as Shopify exports them: a CSV with a row a variant, and rows of further images.

A product is the rows of one handle. What belongs to the whole product (title, description,
vendor, names of options, …) is in its first row. `docs/import.md` says what becomes of what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from commerce.catalog.csv_records import Record, read_records
from commerce.catalog.html_text import html_text
from commerce.catalog.lines import Lines
from commerce.catalog.product import Product
from commerce.catalog.rows import (
    DESCRIPTION_MAX,
    IMAGES_MAX,
    SKU_MAX,
    Accepted,
    Refused,
    Remark,
    Row,
    RowError,
    UnusableFileError,
    check_product,
    is_web_address,
    tidy,
)
from commerce.money import MoneyError, parse_amount

REQUIRED: Final = ("Handle", "Title", "Variant Price")
OPTION_NUMBERS: Final = (1, 2, 3)
# Images may come in rows after the variants, so that a product waits for its last row.
ROWS_PER_PRODUCT_MAX: Final = 5_000
HTML_MAX: Final = 100_000

_VARIANT_COLUMNS: Final = (
    *("Title", "Option1 Value", "Option2 Value", "Option3 Value", "Variant SKU", "Variant Price"),
    *("Variant Compare At Price", "Variant Inventory Qty", "Variant Inventory Policy"),
    *("Variant Inventory Tracker", "Variant Fulfillment Service", "Variant Barcode"),
)
_ONLY_VARIANT: Final = "Default Title"

Columns = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the variants of a handle inherit from its first row."""

    handle: str
    title: str
    description: str
    vendor: str
    category: str
    tags: tuple[str, ...]
    option_names: tuple[str, ...]


@dataclass(slots=True)
class _Group:
    """The rows of one product that stand together."""

    shared: _Shared
    variants: list[tuple[int, Columns]] = field(default_factory=list)
    images: list[tuple[int, str]] = field(default_factory=list)
    told: list[Refused | Remark] = field(default_factory=list)


def read_shopify(lines: Lines, currency: str, stock: int | None = None) -> Iterator[Row]:
    """The variants of a product CSV, prices in `currency`; `stock` in place of every quantity.

    Raises UnusableFileError when the first line doesn't name the columns needed.
    """
    records = read_records(lines)
    header = _read_header(next(records, None))
    shared: dict[str, _Shared] = {}
    group: _Group | None = None
    for record in records:
        try:
            row = _columns(header, record)
        except RowError as error:
            refused = Refused(record.line, str(error))
            if group is None:
                yield refused
            else:
                group.told.append(refused)
            continue
        if not any(row.values()):
            continue
        handle = row["Handle"]
        full = group is not None and len(group.variants) + len(group.told) >= ROWS_PER_PRODUCT_MAX
        if group is not None and (group.shared.handle != handle or full):
            yield from _finish(group, currency, stock)
            group = None
        if group is None:
            if handle not in shared:
                shared[handle], remarks = _read_shared(record.line, row)
                group = _Group(shared[handle], told=remarks)
            else:
                group = _Group(shared[handle])
        _add_row(group, record.line, row)
    if group is not None:
        yield from _finish(group, currency, stock)


def derived_sku(handle: str, option_values: list[str]) -> str:
    """The sku of a variant that has none: always the same, and another for each variant."""
    while option_values and not option_values[-1]:
        option_values = option_values[:-1]
    parts = [value.replace("\\", "\\\\").replace("/", "\\/") for value in option_values]
    sku = f"{handle}:{'/'.join(parts)}" if parts else handle
    if len(sku) <= SKU_MAX:
        return sku
    digest = hashlib.sha256(sku.encode()).hexdigest()[:24]
    return f"{sku[: SKU_MAX - 25].rstrip()}~{digest}"


def _read_header(record: Record | None) -> list[str]:
    if record is None:
        raise UnusableFileError("the file is empty")
    if record.error is not None:
        raise UnusableFileError(f"line {record.line}, the names of the columns: {record.error}")
    known = {name.casefold(): name for name in (*REQUIRED, *_OPTIONAL)}
    names = [known.get(tidy(name).casefold(), tidy(name)) for name in record.fields]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise UnusableFileError(
            f"line {record.line} names no column {' and no column '.join(map(repr, missing))}."
            " Export the products from Shopify as CSV, or see docs/import.md for JSON Lines"
        )
    twice = sorted({name for name in names if name in known.values() and names.count(name) > 1})
    if twice:
        raise UnusableFileError(f"line {record.line} names the column {twice[0]!r} twice")
    return names


def _columns(header: list[str], record: Record) -> Columns:
    """The known columns of a row, "" for those it doesn't have. Raises RowError."""
    if record.error is not None:
        raise RowError(record.error)
    if len(record.fields) > len(header):
        raise RowError(f"{len(record.fields)} fields, but the first line names {len(header)}")
    row = dict.fromkeys((*REQUIRED, *_OPTIONAL), "")
    row.update(
        (name, value.strip())
        for name, value in zip(header, record.fields, strict=False)
        if name in row
    )
    return row


def _read_shared(line: int, row: Columns) -> tuple[_Shared, list[Refused | Remark]]:
    remarks: list[Refused | Remark] = []
    body = row["Body (HTML)"]
    description = html_text(body[:HTML_MAX])
    if len(body) > HTML_MAX or len(description) > DESCRIPTION_MAX:
        remarks.append(Remark(line, f"the description is cut to {DESCRIPTION_MAX:,} characters"))
    tags = dict.fromkeys(tidy(tag) for tag in row["Tags"].split(","))
    names: list[str] = []
    for number in OPTION_NUMBERS:
        name = tidy(row[f"Option{number} Name"]) or f"Option {number}"
        names.append(name if name not in names else f"{name} {number}")
    shared = _Shared(
        handle=row["Handle"],
        title=tidy(row["Title"]),
        description=description[:DESCRIPTION_MAX].rstrip(),
        vendor=tidy(row["Vendor"]),
        category=tidy(row["Type"] or row["Product Category"]),
        tags=tuple(tag for tag in tags if tag),
        option_names=tuple(names),
    )
    return shared, remarks


def _add_row(group: _Group, line: int, row: Columns) -> None:
    is_variant = any(row[name] for name in _VARIANT_COLUMNS) or not row["Image Src"]
    if is_variant:
        group.variants.append((line, row))
    if not row["Image Src"]:
        return
    if not is_web_address(row["Image Src"]):
        group.told.append(Remark(line, "Image Src is left out: no address with https://"))
    elif len(group.images) >= IMAGES_MAX:
        group.told.append(Remark(line, f"Image Src is left out: above {IMAGES_MAX} images"))
    else:
        group.images.append((_position(row, len(group.images)), row["Image Src"]))


def _position(row: Columns, otherwise: int) -> int:
    text = row["Image Position"]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else otherwise + 1


def _finish(group: _Group, currency: str, stock: int | None) -> Iterator[Row]:
    """What became of a product's rows, now that all its images are known, in order of line."""
    images = [address for _, address in sorted(group.images, key=lambda image: image[0])]
    rows: list[Row] = list(group.told)
    for line, row in group.variants:
        own = row["Variant Image"]
        if own and not is_web_address(own):
            rows.append(Remark(line, "Variant Image is left out: no address with https://"))
            own = ""
        mine = tuple(dict.fromkeys([own, *images] if own else images))[:IMAGES_MAX]
        try:
            rows.append(Accepted(line, _variant(group.shared, row, mine, currency, stock)))
        except (RowError, MoneyError) as error:
            rows.append(Refused(line, str(error)))
    yield from sorted(rows, key=lambda row: row.line)


def _variant(
    shared: _Shared, row: Columns, images: tuple[str, ...], currency: str, stock: int | None
) -> Product:
    if not shared.handle:
        raise RowError("Handle is empty")
    if not shared.title:
        raise RowError("Title is empty in the first row of this handle")
    values = [tidy(row[f"Option{number} Value"]) for number in OPTION_NUMBERS]
    if values == [_ONLY_VARIANT, "", ""]:
        values = []
    chosen = [value for value in values if value]
    return check_product(
        Product(
            sku=tidy(row["Variant SKU"]) or derived_sku(shared.handle, values),
            name=shared.title + (f" - {' / '.join(chosen)}" if chosen else ""),
            price=_amount(row, "Variant Price", currency),
            currency=currency,
            available=_available(row) if stock is None else stock,
            handle=shared.handle,
            title=shared.title,
            description=shared.description,
            vendor=shared.vendor,
            category=shared.category,
            tags=shared.tags,
            options={
                name: value
                for name, value in zip(shared.option_names, values, strict=False)
                if value
            },
            images=images,
            # Shopify writes 0 where there is nothing to compare with.
            compare_at_price=_amount(row, "Variant Compare At Price", currency) or None
            if row["Variant Compare At Price"]
            else None,
        )
    )


def _amount(row: Columns, name: str, currency: str) -> int:
    if not row[name]:
        raise RowError(f"{name} is empty")
    try:
        return parse_amount(row[name], currency)
    except MoneyError as error:
        raise RowError(f"{name}: {error}") from None


def _available(row: Columns) -> int | None:
    """Pieces in stock; None if nobody counts them, or more are sold than there are."""
    if not row["Variant Inventory Tracker"]:
        return None
    policy = row["Variant Inventory Policy"].casefold()
    if policy == "continue":
        return None
    if policy not in ("deny", ""):
        raise RowError(f"Variant Inventory Policy is deny or continue, not {policy[:40]!r}")
    text = row["Variant Inventory Qty"]
    if not text:
        raise RowError("stock is tracked, but Variant Inventory Qty is empty; give --stock")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 12):
        raise RowError(f"Variant Inventory Qty is a whole number, not {text[:40]!r}")
    # Sold more than there was: nothing is left to sell.
    return max(0, int(text))


_OPTIONAL: Final = (
    *("Body (HTML)", "Vendor", "Product Category", "Type", "Tags"),
    *(f"Option{number} {what}" for number in OPTION_NUMBERS for what in ("Name", "Value")),
    *("Variant SKU", "Variant Inventory Tracker", "Variant Inventory Qty"),
    *("Variant Inventory Policy", "Variant Fulfillment Service", "Variant Compare At Price"),
    *("Variant Barcode", "Variant Image", "Image Src", "Image Position"),
)
