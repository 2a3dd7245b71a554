"""What the service makes of each case, and the files that say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from realtime import messages, ops, wire
from realtime.errors import CartroomError
from realtime.judge import skus_touched, users_named_in
from realtime.limits import Limits
from realtime.reducer import REFUSE, Effect
from realtime.refusing import effect_of
from realtime.state import CartState
from tests.vectors.cases import CASES, Case
from tests.vectors.world import NAMES, OPS, PRODUCTS, apply_effect, judged

FOLDER: Final = Path(__file__).parent
KINDS: Final = (*(ops.kind_of(one) for one in OPS), REFUSE)
UNTOLD: Final = {"create": ["members"]}
"""What of a state an effect doesn't tell: clients get the state of a cart as they make it."""

_BY_KIND: Final = {ops.kind_of(one): one for one in OPS}
_FRAME: Final = {
    "id": 1,
    "type": "cart.op",
    "cart": "crt_1",
    "op_id": "7d0c9a52-5d3c-4f5e-9a51-0f6a4b1f2c3d:1",
}


def decoded(op: Any) -> ops.Op:
    """The op of a `cart.op`. Raises CartroomError for what a client can't send."""
    request = messages.decode(json.dumps({**_FRAME, "op": op}))
    assert isinstance(request, messages.CartOp)
    return request.op


def made(op: Any) -> ops.Op:
    """The op as the service makes it."""
    return msgspec.convert(op, _BY_KIND[op["kind"]])


def plain(value: Any) -> Any:
    return msgspec.json.decode(wire.encode(value))


def vector(case: Case) -> dict[str, Any]:
    state = case.state
    told = {
        "name": case.name,
        "kind": case.kind,
        "rev": state.rev,
        "user": case.user,
        "state": plain(wire.render_state(state, NAMES)),
    }
    if case.refusal is not None:
        effect, _ = effect_of(case.refusal)
        return {**told, **_outcome(state.copy(), case.user, effect)}
    told |= {"by_service": True, "op": case.op} if case.by_service else {"op": case.op}
    try:
        op = made(case.op) if case.by_service else decoded(case.op)
    except CartroomError as error:
        return {**told, **_facts(case.limits, {}, {}), "error": _error(error)}
    skus = {sku: _product(sku) for sku in sorted(skus_touched(state, op))}
    users = {user: NAMES.get(user) for user in sorted(users_named_in(op))}
    told |= _facts(case.limits, skus, users)
    try:
        effect, results = judged(state, case.user, op, case.limits)
    except CartroomError as error:
        return {**told, "error": _error(error)}
    told |= _outcome(state.copy(), case.user, effect)
    return told if results is None else {**told, "results": results}


def _facts(limits: Limits, products: dict[str, Any], users: dict[str, Any]) -> dict[str, Any]:
    names = ("lines", "members", "pieces", "items")
    told = {name: getattr(limits, name) for name in names}
    return {"products": products, "users": users, "limits": told}


def _product(sku: str) -> dict[str, Any] | None:
    """A product as a client knows it."""
    facts = PRODUCTS.get(sku)
    if facts is None:
        return None
    return {
        "name": facts.name,
        "unit_price": facts.price,
        "currency": facts.currency,
        "available": facts.available,
    }


def _error(error: CartroomError) -> dict[str, Any]:
    """As it is sent. A parser's own words, which tell of bytes, are left out."""
    told = error.as_dict()
    if told["message"].startswith("This is not JSON"):
        del told["message"]
    return told


def _outcome(after: CartState, user: str, effect: Effect) -> dict[str, Any]:
    """The effect as it is sent, and the state that it makes of `after`."""
    apply_effect(after, user, effect)
    told = {
        "effect": plain(wire.with_names(effect, NAMES)),
        "after": plain(wire.render_state(after, NAMES)),
    }
    untold = UNTOLD.get(effect["kind"])
    return told if untold is None else {**told, "untold": untold}


def vectors() -> list[dict[str, Any]]:
    return [vector(case) for case in CASES]


def files() -> dict[str, str]:
    """What is to stand in each file, by its name."""
    of_kind: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for one in vectors():
        of_kind[one["kind"]].append(one)
    found = {f"{kind}.json": _readable(ones) for kind, ones in of_kind.items()}
    return {**found, "kinds.json": json.dumps(list(KINDS), indent=1) + "\n"}


def _readable(ones: list[dict[str, Any]]) -> str:
    """JSON with a line for each field of a vector."""
    told = [
        ",\n".join(f'  "{name}": {json.dumps(value)}' for name, value in one.items())
        for one in ones
    ]
    return "[\n" + ",\n".join(f" {{\n{one}\n }}" for one in told) + "\n]\n"
