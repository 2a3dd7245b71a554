"""Every route of the service, in one place."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from handlers import auth, health

ROUTES: Final[tuple[web.RouteDef, ...]] = (
    web.get("/healthz", health.healthz),
    web.get("/readyz", health.readyz),
    web.get("/metrics", health.metrics),
    web.post("/api/v1/auth/register", auth.register),
    web.post("/api/v1/auth/login", auth.login),
    web.get("/api/v1/auth/me", auth.me),
)


def add_routes(app: web.Application) -> None:
    """Add all routes, and what they need beside the services."""
    app[health.READINESS] = health.Readiness(app)
    app.add_routes(ROUTES)
