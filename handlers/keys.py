"""The keys under which the application holds its services, for handlers to ask for."""

from __future__ import annotations

from aiohttp import web

from commerce.accounts.service import Accounts
from commerce.catalog.service import Catalog
from storage.mongo import Database

DATABASE = web.AppKey("database", Database)
ACCOUNTS = web.AppKey("accounts", Accounts)
CATALOG = web.AppKey("catalog", Catalog)
