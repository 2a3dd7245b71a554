"""Who may do what: every door has an action of the policy, and asks it for everybody."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest
from aiohttp import web

from commerce.accounts import policy
from commerce.accounts.errors import NotAllowedError, NotConfirmedError, NotSignedInError
from commerce.accounts.policy import Action, Rule
from handlers.openapi import Route
from handlers.routes import ROUTES
from realtime import messages, ops
from realtime.session import HANDLERS
from server.app import create_app
from server.settings import Settings
from tests.cast import GROUPS, UNCONFIRMED, Cast, Somebody
from tests.client import running_server

WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def refusal_of(action: Action, group: str) -> str | None:
    """What the policy's table says to this group: the refusal, or None where they may."""
    rule = policy.RULES[action]
    in_table = policy.CUSTOMER if group == UNCONFIRMED else group
    if in_table not in rule.groups:
        return str(NotSignedInError() if group == policy.ANONYMOUS else NotAllowedError(in_table))
    confirmed = group not in (UNCONFIRMED, policy.GUEST, policy.ANONYMOUS)
    return str(NotConfirmedError()) if rule.confirmed and not confirmed else None


REFUSALS = {
    str(NotSignedInError()),
    str(NotConfirmedError()),
    *(str(NotAllowedError(group)) for group in (policy.GUEST, *policy.ROLES)),
}
"""Everything that the policy says when it refuses."""


@pytest.fixture(scope="module")
async def cast(module_settings: Settings) -> AsyncIterator[Cast]:
    async with running_server(module_settings) as server:
        yield Cast(server)


def test_every_action_has_a_rule_and_every_rule_an_action() -> None:
    assert set(policy.RULES) == set(Action)
    for rule in policy.RULES.values():
        assert rule.groups <= {policy.ANONYMOUS, policy.GUEST, *policy.ROLES}
        assert rule.groups


def test_every_route_has_an_action_and_no_address_is_served_beside_them(settings: Settings) -> None:
    named = {(route.method, re.sub(r":[^{}]+}", "}", route.path)) for route in ROUTES}
    for route in ROUTES:
        assert route.action in policy.RULES, name_of(route)
    app: web.Application = create_app(settings)
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert served == named


async def ask(cast: Cast, route: Route, person: Somebody) -> tuple[int, str]:
    """Status and detail of what they are answered; the request names nothing that there is."""
    path = re.sub(r"{[^{}]+}", "none", route.path)
    headers = {**person.headers, **(WEBSOCKET if route.action is Action.CONNECT else {})}
    http = cast.server.http
    async with http.request(route.method, cast.server.url + path, headers=headers) as response:
        if response.content_type != "application/problem+json":
            return response.status, ""
        problem = await response.json(content_type=None)
        return response.status, problem["detail"]


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_every_route_asks_the_policy_for_everybody(cast: Cast, route: Route) -> None:
    for group in GROUPS:
        person = await cast.one(group)
        status, detail = await ask(cast, route, person)
        expected = refusal_of(route.action, group)
        if expected is None:
            assert detail not in REFUSALS, (group, status, detail)
        else:
            assert detail == expected, (group, status)
            assert status == (401 if group == policy.ANONYMOUS else 403), group


async def test_a_cookie_opens_no_more_than_a_token(cast: Cast) -> None:
    """Which of the two somebody shows makes no difference to what they may."""
    for route in ROUTES:
        if route.authenticated:
            by_token = await ask(cast, route, await cast.one(policy.CUSTOMER))
            by_cookie = await ask(cast, route, await cast.one(policy.CUSTOMER, cookie=True))
            assert by_cookie == by_token, name_of(route)


# Messages. They come from who has said `hello`, so from nobody who is anonymous.

CART = "crt_0123456789abcdef01234567"
OP_ID = "0d9f0a52-63f7-4a3c-9f43-5a5d20a1f1aa:1"
FIELDS: dict[str, dict[str, Any]] = {
    "hello": {"client": OP_ID[:-2]},
    "cart.join": {"cart": CART},
    "cart.leave": {"cart": CART},
    "cart.op": {"cart": CART, "op_id": OP_ID, "op": {"kind": "clear"}},
    "cart.history": {"cart": CART},
    "cart.mute": {"cart": CART, "muted": True},
    "cart.invite": {"cart": CART, "email": "nobody@shop.example", "role": "viewer"},
    "cart.invitations": {"cart": CART},
    "cart.uninvite": {"cart": CART, "invitation": "inv_none"},
    "invitation.accept": {"token": "inv_none.nothing"},
    "presence.set": {"cart": CART, "data": {}},
}
"""What a message of this type must have, naming nothing that there is."""


def type_of(request: type[messages.Request]) -> str:
    return str(request.__struct_config__.tag)


def test_every_message_has_an_action_and_a_handler() -> None:
    types = set(messages.REQUEST_TYPES)
    assert set(messages.ACTIONS) == types
    assert set(HANDLERS) == types
    assert set(messages.ACTIONS.values()) <= set(policy.RULES)


def test_every_op_has_a_role() -> None:
    assert set(policy.CART_ROLES) == {ops.kind_of(op) for op in get_args(ops.AnyOp)}
    assert set(policy.CART_ROLES.values()) <= set(policy.CART_RANK)


@pytest.mark.parametrize("request_type", messages.REQUEST_TYPES, ids=type_of)
async def test_every_message_asks_the_policy_for_everybody(
    cast: Cast, request_type: type[messages.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own table, and by one that allows this action to sellers alone.

    Who else needs a confirmed address is found out later, since they may confirm it meanwhile.
    """
    name, action = type_of(request_type), messages.ACTIONS[request_type]
    for rule in (policy.RULES[action], Rule(frozenset({policy.SELLER}))):
        for group in GROUPS:
            if group == policy.ANONYMOUS:
                continue
            person = await cast.one(group)
            async with cast.server.connect(person.account) as client:
                with monkeypatch.context() as patch:
                    patch.setitem(policy.RULES, action, rule)
                    answer = await client.ask(name, **FIELDS.get(name, {}))
            in_table = policy.CUSTOMER if group == UNCONFIRMED else group
            allowed = in_table in rule.groups
            told = answer.get("message", "").rstrip(".")
            if group == UNCONFIRMED and rule.confirmed and told == str(NotConfirmedError()):
                continue
            refused = told in REFUSALS
            assert refused is not allowed, (group, answer)
            if refused:
                assert answer["code"] == "forbidden"
                assert answer["message"] == f"{NotAllowedError(in_table)}.", group
