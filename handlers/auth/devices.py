"""Where I am signed in, and signing out there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from commerce.accounts.policy import Action
from handlers import keys
from handlers.auth import schemas
from handlers.auth.answers import done, private
from handlers.openapi import Answer, Link, Operation, Route
from handlers.requests import signed_in
from realtime.errors import CartroomError

_DEVICES = schemas.DevicesSchema()


async def devices(request: web.Request) -> web.Response:
    principal = signed_in(request)
    items = [
        {
            "id": one.id,
            "device": one.device,
            "kind": one.kind,
            "created_at": _time(one.created_at),
            "used_at": _time(one.used_at),
            "current": one.id == principal.session,
        }
        for one in await request.app[keys.SESSIONS].devices(principal.user)
    ]
    return private(_DEVICES.dump({"items": items}))


async def end_device(request: web.Request) -> web.Response:
    principal = signed_in(request)
    session = request.match_info["id"]
    if not await request.app[keys.SESSIONS].end(principal.user, session):
        raise CartroomError("not_found", "You aren't signed in on such a device")
    return done()


def _time(seconds: float) -> str:
    """RFC 3339, UTC, with milliseconds."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


_EXAMPLE: Final = {
    "items": [
        {
            "id": "ses_5f0c2a9be1d34c7788aa01ff",
            "device": "Firefox on Linux",
            "kind": "cookie",
            "created_at": "2026-11-20T08:00:00.000Z",
            "used_at": "2026-11-21T10:30:00.000Z",
            "current": True,
        }
    ]
}

ROUTES: Final = (
    Route(
        "GET",
        "/api/v1/auth/devices",
        devices,
        Action.USE_SESSION,
        Operation(
            id="devices",
            summary="Where am I signed in",
            tag="accounts",
            answers={
                200: Answer(
                    description="The device used last first",
                    schema=schemas.DevicesSchema,
                    example=_EXAMPLE,
                    links=(Link("endDevice", "/items/0/id", "id"),),
                )
            },
            errors=("unavailable",),
        ),
    ),
    Route(
        "DELETE",
        "/api/v1/auth/devices/{id}",
        end_device,
        Action.USE_SESSION,
        Operation(
            id="endDevice",
            summary="Sign out on one device",
            tag="accounts",
            path=schemas.DevicePathSchema,
            answers={204: Answer(description="Done")},
            errors=("not_found", "unavailable"),
        ),
    ),
)
