"""The catalog over REST: find products, see one."""

from __future__ import annotations

import hashlib

import msgspec
from aiohttp import ETag, hdrs, web

from commerce.accounts.security import Event, note
from commerce.catalog.service import InvalidSearchError, OtherCurrencyError
from handlers import keys
from handlers.auth.answers import private
from handlers.catalog_schemas import (
    CategoriesSchema,
    ProductChangeSchema,
    ProductPageSchema,
    ProductSchema,
    ProductsQuerySchema,
    changes_of,
    product_view,
)
from handlers.requests import json_body, query, signed_in
from realtime.errors import CartroomError

_QUERY = ProductsQuerySchema()
_PAGE = ProductPageSchema()
_PRODUCT = ProductSchema()
_CATEGORIES = CategoriesSchema()
_CHANGE = ProductChangeSchema()


async def products(request: web.Request) -> web.Response:
    """A page of the products that are asked for."""
    asked = query(request, _QUERY)
    try:
        page = await request.app[keys.CATALOG].search(**asked)
    except InvalidSearchError as error:
        raise CartroomError("bad_request", str(error)) from None
    items = [product_view(product) for product in page.items]
    return _cacheable(request, _PAGE.dump({"items": items, "next_cursor": page.next_cursor}))


async def categories(request: web.Request) -> web.Response:
    """The categories, with how many products each has."""
    found = await request.app[keys.CATALOG].categories()
    return _cacheable(request, _CATEGORIES.dump({"items": found}))


async def product(request: web.Request) -> web.Response:
    """The product of a sku, which may hold slashes and blanks."""
    found = await request.app[keys.CATALOG].get(request.match_info["sku"])
    if found is None:
        raise CartroomError("not_found", "No product has this sku")
    return _cacheable(request, _PRODUCT.dump(product_view(found)))


async def change_product(request: web.Request) -> web.Response:
    """Change what a product costs, how many there are, or what it is called."""
    principal = signed_in(request)
    changes = await json_body(request, _CHANGE)
    sku = request.match_info["sku"]
    try:
        changed = await request.app[keys.CATALOG].change(sku, changes_of(changes))
    except OtherCurrencyError as error:
        raise CartroomError(
            "conflict", str(error), errors={"price": {"currency": [str(error)]}}
        ) from None
    if changed is None:
        raise CartroomError("not_found", "No product has this sku")
    note(Event.PRODUCT_CHANGED, principal.user, sku=changed.sku, fields=sorted(changes))
    return private(_PRODUCT.dump(product_view(changed)))


def _cacheable(request: web.Request, document: object) -> web.Response:
    """A JSON answer that caches may keep, but must ask about: stock and prices change."""
    body = msgspec.json.encode(document)
    etag = ETag(hashlib.sha256(body).hexdigest()[:32])
    known = request.if_none_match or ()
    # `*` means: only if there is none. There is one.
    unchanged = any(each.value in (etag.value, "*") for each in known)
    response = web.Response(
        status=304 if unchanged else 200,
        body=None if unchanged else body,
        content_type="application/json",
        charset="utf-8",
    )
    response.etag = etag
    response.headers[hdrs.CACHE_CONTROL] = "public, no-cache"
    return response
