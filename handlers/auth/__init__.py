"""Accounts over REST: a module a concept, each with its handlers and its routes."""

from __future__ import annotations

from typing import Final

from handlers.auth import (
    confirming,
    devices,
    leaving,
    me,
    passwords,
    people,
    session,
    sign_in,
    unsubscribing,
)
from handlers.openapi import Route

ROUTES: Final[tuple[Route, ...]] = (
    *sign_in.ROUTES,
    *session.ROUTES,
    *me.ROUTES,
    *leaving.ROUTES,
    *confirming.ROUTES,
    *passwords.ROUTES,
    *unsubscribing.ROUTES,
    *devices.ROUTES,
    *people.ROUTES,
)
