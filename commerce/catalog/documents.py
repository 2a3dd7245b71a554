"""Products as the catalog knows them, and as the store keeps them."""

from __future__ import annotations

from commerce.catalog.product import Product
from storage.products import ProductDocument, options_of


def to_document(product: Product) -> ProductDocument:
    """What `Products` stores of a product."""
    return {
        "sku": product.sku,
        "name": product.name,
        "price": product.price,
        "currency": product.currency,
        "available": product.available,
        "handle": product.handle,
        "title": product.title,
        "description": product.description,
        "vendor": product.vendor,
        "category": product.category,
        "tags": list(product.tags),
        # No keys, since a merchant may name an option "a.b" or "$c"; and no arrays in the array,
        # which some MongoDB-compatible servers refuse.
        "options": [{"name": name, "value": value} for name, value in product.options.items()],
        "images": list(product.images),
        "compare_at_price": product.compare_at_price,
    }


def from_document(document: ProductDocument) -> Product:
    """The product of a document that `to_document` made."""
    return Product(
        **{
            **document,
            "tags": tuple(document["tags"]),
            "options": options_of(document["options"]),
            "images": tuple(document["images"]),
        }  # type: ignore[arg-type]
    )
