"""The schemas of events, as they are named in each event's `dataschema`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web
from marshmallow import Schema, fields

from handlers.schemas import AnswerSchema

CONTENT_TYPE: Final = "application/schema+json"

SCHEMAS: web.AppKey[Mapping[str, bytes]] = web.AppKey("event_schemas")
"""By type."""


class EventTypeSchema(Schema):
    """Which events."""

    type = fields.String(required=True, metadata={"examples": ["cartroom.cart.add"]})


class JsonSchemaSchema(AnswerSchema):
    """A JSON Schema of what an event of a type holds."""

    title = fields.String(required=True, metadata={"description": "The type."})
    type = fields.String(required=True)
    properties = fields.Dict(required=True)


async def show(request: web.Request) -> web.Response:
    found = request.app[SCHEMAS].get(request.match_info["type"])
    if found is None:
        raise web.HTTPNotFound
    response = web.Response(body=found, content_type=CONTENT_TYPE)
    response.headers[hdrs.CACHE_CONTROL] = "no-cache"
    return response
