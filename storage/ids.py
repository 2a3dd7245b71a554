"""Ids that are computed from what they name."""

from __future__ import annotations

import hashlib


def product_id(sku: str) -> str:
    """The `_id` of the product with this sku; of any text, also one that can't be stored."""
    digest = hashlib.sha256(sku.encode("utf-8", "surrogatepass")).hexdigest()
    return f"prd_{digest[:24]}"
