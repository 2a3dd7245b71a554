"""Products as the catalog knows them, and as the store keeps them."""

from __future__ import annotations

from commerce.catalog.product import Product
from storage.products import ProductDocument


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
        # Pairs, since a merchant may name an option "a.b" or "$c", which no key should be.
        "options": [[name, value] for name, value in product.options.items()],
        "images": list(product.images),
        "compare_at_price": product.compare_at_price,
    }


def from_document(document: ProductDocument) -> Product:
    """The product of a document that `to_document` made."""
    return Product(
        **{
            **document,
            "tags": tuple(document["tags"]),
            "options": dict(document["options"]),
            "images": tuple(document["images"]),
        }  # type: ignore[arg-type]
    )
