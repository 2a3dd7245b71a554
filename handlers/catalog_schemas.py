"""What goes in and out at the doors of the catalog: validates queries, shapes answers."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, fields, validate

from commerce.catalog.product import Product
from commerce.catalog.rows import AVAILABLE_MAX, NAME_MAX
from commerce.catalog.search import CURSOR_LENGTH_MAX, PAGE_MAX, QUERY_LENGTH_MAX
from commerce.catalog.service import Changes
from commerce.money import AMOUNT_MAX
from handlers.schemas import StrippedString, encodable, readable

LIMIT_DEFAULT: Final = 20

CURSOR_EXAMPLE: Final = "MW11ZyByZWQfMWM4ZmI3ZjQxM2JiMjFiNmZiNmM3ZDEy"
PRODUCT_EXAMPLE: Final = {
    "sku": "MUG-RED",
    "name": "Mug - Red",
    "price": {"amount": 1290, "currency": "EUR"},
    "compare_at_price": None,
    "available": 12,
    "handle": "mug",
    "title": "Mug",
    "description": "Stoneware, 300 ml.",
    "vendor": "Clay & Sons",
    "category": "Kitchen",
    "tags": ["gift"],
    "options": {"Colour": "Red"},
    "images": [],
}


class ProductsQuerySchema(Schema):
    """Which page of which products."""

    q = fields.String(
        load_default="",
        validate=validate.Length(max=QUERY_LENGTH_MAX),
        metadata={
            "description": "Words of name, sku, vendor, category, options or tags, all of which"
            " a product must have; the last one may be unfinished. Without any: all products.",
            "example": "red mug",
        },
    )
    limit = fields.Integer(
        load_default=LIMIT_DEFAULT,
        validate=validate.Range(1, PAGE_MAX),
        metadata={"description": "Most products on the page.", "example": 20},
    )
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(1, CURSOR_LENGTH_MAX),
        metadata={"description": "`next_cursor` of the page before.", "example": CURSOR_EXAMPLE},
    )
    category = fields.String(
        load_default=None,
        validate=[validate.Length(1, NAME_MAX), encodable],
        metadata={
            "description": "Only products of this category, as `listCategories` spells it.",
            "example": "Kitchen",
        },
    )
    handle = fields.String(
        load_default=None,
        validate=[validate.Length(1, NAME_MAX), encodable],
        metadata={
            "description": "Only products with this handle: the variants of one product.",
            "example": "mug",
        },
    )


class ProductPathSchema(Schema):
    """Which product."""

    sku = fields.String(
        required=True,
        metadata={
            "description": "Percent-encoded; slashes and blanks may be in it.",
            "example": "MUG-RED",
        },
    )


class MoneySchema(Schema):
    """An amount of money."""

    amount = fields.Integer(
        required=True, metadata={"description": "In minor units of the currency.", "example": 4299}
    )
    currency = fields.String(required=True, metadata={"example": "EUR"})


class PriceSchema(Schema):
    """A price to sell at."""

    amount = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(0, AMOUNT_MAX),
        metadata={"description": "In minor units of the currency.", "example": 4299},
    )
    currency = fields.String(
        required=True,
        metadata={"description": "The one that the product is sold in.", "example": "EUR"},
    )


class ProductChangeSchema(Schema):
    """What is to be different. What isn't named stays."""

    name = StrippedString(
        validate=(validate.Length(1, NAME_MAX), encodable, readable),
        metadata={"example": "Mug - Red"},
    )
    price = fields.Nested(PriceSchema)
    available = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(0, AVAILABLE_MAX),
        metadata={"description": "Pieces in stock; null: stock isn't tracked.", "example": 12},
    )


class ProductSchema(Schema):
    """A product that can be put into a cart: one variant, under its own sku."""

    sku = fields.String(required=True, metadata={"example": "MUG-RED"})
    name = fields.String(required=True, metadata={"example": "Mug - Red"})
    price = fields.Nested(MoneySchema, required=True)
    compare_at_price = fields.Nested(
        MoneySchema,
        required=True,
        allow_none=True,
        metadata={"description": "What it cost before, where it is reduced."},
    )
    available = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Pieces in stock; null where stock isn't tracked.", "example": 12},
    )
    handle = fields.String(
        required=True, metadata={"description": "Shared by the variants of one product."}
    )
    title = fields.String(required=True, metadata={"example": "Mug"})
    description = fields.String(required=True)
    vendor = fields.String(required=True)
    category = fields.String(required=True)
    tags = fields.List(fields.String(), required=True)
    options = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"example": {"Colour": "Red"}},
    )
    images = fields.List(fields.String(), required=True, metadata={"description": "Addresses."})


class ProductPageSchema(Schema):
    """A page of products, in order of name."""

    items = fields.List(fields.Nested(ProductSchema), required=True)
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where the next page starts; null on the last one."},
    )


class CategorySchema(Schema):
    """A category of products."""

    name = fields.String(required=True, metadata={"example": "Kitchen"})
    count = fields.Integer(
        required=True,
        metadata={"description": "Its products, each variant counted.", "example": 12},
    )


class CategoriesSchema(Schema):
    """The categories that have products, in order of name."""

    items = fields.List(fields.Nested(CategorySchema), required=True)


def product_view(product: Product) -> dict[str, Any]:
    """The product as `ProductSchema` shows it."""
    compare_at = product.compare_at_price
    return {
        "sku": product.sku,
        "name": product.name,
        "price": _money(product.price, product.currency),
        "compare_at_price": None if compare_at is None else _money(compare_at, product.currency),
        "available": product.available,
        "handle": product.handle,
        "title": product.title,
        "description": product.description,
        "vendor": product.vendor,
        "category": product.category,
        "tags": list(product.tags),
        "options": product.options,
        "images": list(product.images),
    }


def changes_of(body: dict[str, Any]) -> Changes:
    """What `ProductChangeSchema` has read, as the catalog takes it."""
    changes = Changes()
    if "name" in body:
        changes["name"] = body["name"]
    if "price" in body:
        changes["price"] = body["price"]["amount"]
        changes["currency"] = body["price"]["currency"]
    if "available" in body:
        changes["available"] = body["available"]
    return changes


def _money(amount: int, currency: str) -> dict[str, Any]:
    return {"amount": amount, "currency": currency}
