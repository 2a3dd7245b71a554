"""What a product is, to the catalog and to a cart."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """What a cart needs to know of a product to judge an op.

    `price` is in minor units of `currency` (ISO 4217); `available` is a number of pieces,
    None where stock isn't tracked.
    """

    sku: str
    name: str
    price: int
    currency: str
    available: int | None


@dataclass(frozen=True, slots=True)
class Product:
    """A sellable variant, as imported. `options` maps an option's name to this variant's value."""

    sku: str
    name: str
    price: int
    currency: str
    available: int | None
    handle: str = ""
    title: str = ""
    description: str = ""
    vendor: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    compare_at_price: int | None = None

    def facts(self) -> ProductFacts:
        return ProductFacts(self.sku, self.name, self.price, self.currency, self.available)
