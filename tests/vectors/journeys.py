"""Random journeys of a cart: vectors of ops that nobody chose."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from realtime import ops
from realtime.state import CartState
from tests.vectors.cases import Case
from tests.vectors.making import vector
from tests.vectors.world import (
    CARTS,
    LIMITS,
    NAMES,
    NO_PRODUCT,
    NOBODY,
    OPS,
    PRODUCTS,
    apply_effect,
)

STEPS: Final = 40

_KINDS: Final = [one for one in OPS if one is not ops.Create]
_WEIGHTS: Final = [
    {ops.Add: 30, ops.Clear: 2, ops.Delete: 1, ops.Depart: 1, ops.Merge: 2}.get(one, 8)
    for one in _KINDS
]
_CARTS: Final = sorted(CARTS.keys() - {"none", "deleted"})
_ALPHABET: Final = "aZ 9\t\n\u00a0\u001c\ufeff\u2028ß\"'\\<🧺é"
_JUNK: Final = (None, True, -1, 0, 3, 10**18, 0.5, 1e30, "", "x", "x" * 201, [], [1], {}, {"a": 1})


def journey(seed: str) -> Iterator[dict[str, Any]]:
    """A vector a step; each that has an effect leads on."""
    draw = random.Random(seed)
    state = CARTS[draw.choice(_CARTS)]()
    for step in range(STEPS):
        case = _case(draw, f"{seed}, step {step}", state)
        told = vector(case)
        yield told
        if "effect" in told:
            state = state.copy()
            apply_effect(state, case.user, told["effect"])


def _case(draw: random.Random, name: str, state: CartState) -> Case:
    (struct,) = draw.choices(_KINDS, _WEIGHTS)
    op = {"kind": ops.kind_of(struct), **_fields(draw, struct, state)}
    by_service = struct not in ops.ROLE_NEEDED and draw.random() < 0.8
    if not by_service and draw.random() < 0.1:
        _spoil(draw, op)
    return Case(name, state, _user(draw, state), op, by_service=by_service)


def _fields(draw: random.Random, struct: type, state: CartState) -> dict[str, Any]:
    fields = msgspec.structs.fields(struct)
    return {
        field.encode_name: _value(draw, field, state)
        for field in fields
        if field.required or draw.random() < 0.4
    }


def _value(draw: random.Random, field: msgspec.structs.FieldInfo, state: CartState) -> Any:
    kind = msgspec.inspect.type_info(field.type)
    if isinstance(kind, msgspec.inspect.VarTupleType):
        assert isinstance(kind.item_type, msgspec.inspect.StructType)
        count = draw.choice((1, 1, 1, 2, 3, LIMITS.items, LIMITS.items + 1))
        return [_fields(draw, kind.item_type.cls, state) for _ in range(count)]
    match field.encode_name:
        case "line":
            lines = [*state.shelf.lines, *state.saved.lines]
            return draw.choice(lines) if lines and draw.random() < 0.95 else "lin_none"
        case "sku":
            return draw.choice((*PRODUCTS, "BREAD", "PLUM", "APPLE", NO_PRODUCT))
        case "qty":
            return draw.choice((1, 2, 3, draw.randint(1, LIMITS.pieces + 1)))
        case "by":
            return draw.choice((-2, -1, 1, 2, draw.randint(-LIMITS.pieces, LIMITS.pieces)))
        case "user" | "into" | "for":
            return _user(draw, state)
        case "role":
            return draw.choice(("viewer", "editor"))
        case "partial":
            return draw.random() < 0.5
        case "name" | "text":
            return "".join(draw.choices(_ALPHABET, k=draw.choice((0, 1, 2, 5, 20, 199, 200, 201))))
    raise AssertionError(f"no values for {field.name}")


def _user(draw: random.Random, state: CartState) -> str:
    if state.members and draw.random() < 0.8:
        return draw.choice(list(state.members))
    return draw.choice((*NAMES, NOBODY))


def _spoil(draw: random.Random, op: dict[str, Any]) -> None:
    """Take a field away, put in one, or junk into one; in the op, or in something it lists."""
    lists = [each for value in op.values() if isinstance(value, list) for each in value]
    where = draw.choice([op, op, *lists])
    name = draw.choice(list(where))
    match draw.randrange(3):
        case 0:
            del where[name]
        case 1:
            where["colour"] = draw.choice(_JUNK)
        case 2:
            where[name] = draw.choice(_JUNK)
