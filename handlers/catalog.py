"""The catalog over REST: find products, see one."""

from __future__ import annotations

import hashlib

import msgspec
from aiohttp import ETag, hdrs, web

from commerce.catalog.service import InvalidSearchError
from handlers import keys
from handlers.catalog_schemas import (
    ProductPageSchema,
    ProductSchema,
    ProductsQuerySchema,
    product_view,
)
from handlers.requests import query
from realtime.errors import CartroomError

_QUERY = ProductsQuerySchema()
_PAGE = ProductPageSchema()
_PRODUCT = ProductSchema()


async def products(request: web.Request) -> web.Response:
    """A page of the products that `q` means."""
    asked = query(request, _QUERY)
    try:
        page = await request.app[keys.CATALOG].search(**asked)
    except InvalidSearchError as error:
        raise CartroomError("bad_request", str(error)) from None
    items = [product_view(product) for product in page.items]
    return _cacheable(request, _PAGE.dump({"items": items, "next_cursor": page.next_cursor}))


async def product(request: web.Request) -> web.Response:
    """The product of a sku, which may hold slashes and blanks."""
    found = await request.app[keys.CATALOG].get(request.match_info["sku"])
    if found is None:
        raise CartroomError("not_found", "No product has this sku")
    return _cacheable(request, _PRODUCT.dump(product_view(found)))


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
