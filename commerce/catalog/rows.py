"""What reading a file of products yields, and what every product must be, whatever the file."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from commerce.catalog.product import Product
from commerce.money import check_amount, exponent

SKU_MAX: Final = 200
NAME_MAX: Final = 300
TEXT_MAX: Final = 300
DESCRIPTION_MAX: Final = 20_000
TAGS_MAX: Final = 250
OPTIONS_MAX: Final = 20
IMAGES_MAX: Final = 250
IMAGE_MAX: Final = 2_000
AVAILABLE_MAX: Final = 1_000_000_000

_LAYOUT: Final = str.maketrans("", "", "\n\r\t")
_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class RowError(ValueError):
    """This row is no product. The message says why, to the person who keeps the file."""


class UnusableFileError(Exception):
    """The file can't be read, or not any further. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A product, and the line of the file in which it begins, from 1."""

    line: int
    product: Product


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that should be a product and can't."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something of a product that is left out or cut; the product itself is accepted."""

    line: int
    text: str


Row = Accepted | Refused | Remark


def tidy(text: str) -> str:
    """The text on one line, without white space around it and in one piece within it."""
    return " ".join(text.split())


def is_web_address(text: str) -> bool:
    """True for what a page may show as a picture."""
    return (
        text.startswith(("https://", "http://")) and len(text) <= IMAGE_MAX and text.isprintable()
    )


def check_product(product: Product) -> Product:
    """The product itself if the catalog can hold it. Raises RowError, or its kind MoneyError."""
    _check_text("sku", product.sku, SKU_MAX, required=True)
    _check_text("name", product.name, NAME_MAX, required=True)
    for name, text in (
        ("handle", product.handle),
        ("title", product.title),
        ("vendor", product.vendor),
        ("category", product.category),
    ):
        _check_text(name, text, TEXT_MAX)
    if len(product.description) > DESCRIPTION_MAX:
        raise RowError(f"description has more than {DESCRIPTION_MAX:,} characters")
    if _has_controls(product.description.translate(_LAYOUT)):
        raise RowError("description contains control characters")
    _check_many("tags", product.tags, TAGS_MAX)
    _check_many("options", [*product.options, *product.options.values()], 2 * OPTIONS_MAX)
    if len(product.images) > IMAGES_MAX:
        raise RowError(f"more than {IMAGES_MAX} images")
    if not all(map(is_web_address, product.images)):
        raise RowError("an image is no address that starts with https:// or http://")
    exponent(product.currency)
    check_amount(product.price)
    if product.compare_at_price is not None:
        check_amount(product.compare_at_price)
    if product.available is not None and not 0 <= product.available <= AVAILABLE_MAX:
        raise RowError(f"available is from 0 to {AVAILABLE_MAX:,} pieces")
    return product


def _check_many(name: str, texts: list[str] | tuple[str, ...], count_max: int) -> None:
    if len(texts) > count_max:
        raise RowError(f"too many {name}")
    for text in texts:
        _check_text(name, text, TEXT_MAX, required=True)


def _check_text(name: str, text: str, length_max: int, *, required: bool = False) -> None:
    if required and not text.strip():
        raise RowError(f"{name} is empty")
    if text != text.strip():
        raise RowError(f"{name} begins or ends with white space")
    if len(text) > length_max:
        raise RowError(f"{name} has more than {length_max} characters")
    if _has_controls(text):
        raise RowError(f"{name} contains control characters")


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(sign) in _CONTROLS for sign in text)
