"""Rules of the shop: money, the catalog, accounts."""
