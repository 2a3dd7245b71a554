"""What counts, in a recording: the definitions that its reader and the ledger both go by.

Only definitions live here. Whoever reads a recording applies them with code of its own, so that a
mistake of the sender isn't repeated by what checks it.
"""

from __future__ import annotations

from typing import Final

COLUMNS: Final = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)

CANCELLATION_PREFIX: Final = "C"
"""An invoice whose number starts so takes back what others sold; its quantities are negative."""

NO_PRODUCTS: Final = {
    "amazonfee": "fee of a marketplace",
    "b": "bad debt",
    "bank charges": "bank charges",
    "c2": "carriage",
    "cruk": "commission of a charity",
    "d": "discount",
    "dot": "postage of the web shop",
    "m": "manual entry",
    "post": "postage",
    "s": "samples sent out",
}
"""Codes, in lower case, that stand for bookings and not for anything that a cart can hold."""

CURRENCY: Final = "GBP"
PRICE_MAX: Final = 10**9
"""In pence. Whatever costs more was mistyped."""
CODE_CHARS_MAX: Final = 64
INVOICE_CHARS_MAX: Final = 64
FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""Size of a recording, unpacked; it is read into memory."""
