"""What each kind of op can be answered with, found out by asking.

Ops are put together from the kinds' own fields: every choice of values that matter to a cart, and
of such as don't fit. Each is judged on every cart of the world for everybody there. So a kind, a
field or a refusal that comes to be is found without anybody's telling; a field without values here
is a KeyError.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from realtime import ops
from realtime.errors import CartroomError
from realtime.reducer import REFUSE
from realtime.state import CartState
from tests.vectors.making import decoded, made
from tests.vectors.world import (
    CARTS,
    EDITOR,
    GUEST,
    LIMITS,
    NO_PRODUCT,
    NOBODY,
    OPS,
    OUTSIDER,
    OWNER,
    PRODUCTS,
    VIEWER,
    judged,
)

OK: Final = "ok"

_USERS: Final = (OWNER, EDITOR, VIEWER, GUEST, OUTSIDER, NOBODY)
_LEFT_OUT: Final = object()
_UNFIT: Final = ({}, None)
_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "sku": (*PRODUCTS, NO_PRODUCT),
    "qty": tuple(range(1, LIMITS.pieces + 2, 8)),
    "by": tuple(range(-LIMITS.pieces, LIMITS.pieces + 1, 8)),
    "for": (_LEFT_OUT, EDITOR, OUTSIDER),
    "partial": (_LEFT_OUT, True),
    "name": ("Picnic",),
    "text": ("soon",),
    "currency": ("EUR",),
    "user": _USERS,
    "into": _USERS,
    "role": ("viewer", "editor"),
}


def outcomes() -> set[tuple[str, str]]:
    """Each kind with each code that it was refused with, and with `OK` where it wasn't."""
    kinds = {ops.kind_of(one): one for one in OPS}
    found = {(REFUSE, OK), (REFUSE, _outcome_for_client(CartState("crt_1"), OWNER, REFUSE, {}))}
    for make in CARTS.values():
        state = make()
        lines = (*state.shelf.lines, *state.saved.lines, "lin_none")
        for kind, struct in kinds.items():
            is_clients = struct in ops.ROLE_NEEDED
            judge = _outcome_for_client if is_clients else _outcome_for_service
            for fields in _fields(struct, lines):
                found |= {(kind, judge(state, user, kind, fields)) for user in _USERS}
            for fields in _unfit(struct, lines):
                found.add((kind, _outcome_for_client(state, OWNER, kind, fields)))
    return found


def _outcome_for_client(state: CartState, user: str, kind: str, fields: dict[str, Any]) -> str:
    try:
        judged(state, user, decoded({"kind": kind, **fields}), LIMITS)
    except CartroomError as error:
        return error.code
    return OK


def _outcome_for_service(state: CartState, user: str, kind: str, fields: dict[str, Any]) -> str:
    try:
        judged(state, user, made({"kind": kind, **fields}), LIMITS)
    except CartroomError as error:
        return error.code
    return OK


def _fields(struct: type, lines: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Every choice of values for the fields of a kind, or of what a kind lists."""
    fields = msgspec.structs.fields(struct)
    names = [field.encode_name for field in fields]
    values = [_values(field, lines) for field in fields]
    for chosen in itertools.product(*values):
        yield {
            name: value for name, value in zip(names, chosen, strict=True) if value is not _LEFT_OUT
        }


def _values(field: msgspec.structs.FieldInfo, lines: tuple[str, ...]) -> tuple[Any, ...]:
    listed = _listed(field)
    if listed is not None:
        return tuple(_lists(listed, lines))
    if field.encode_name == "line":
        return lines if field.required else (*lines, _LEFT_OUT)
    return _VALUES[field.encode_name]


def _listed(field: msgspec.structs.FieldInfo) -> type | None:
    """What the field is a list of, if it is one."""
    kind = msgspec.inspect.type_info(field.type)
    if not isinstance(kind, msgspec.inspect.VarTupleType):
        return None
    assert isinstance(kind.item_type, msgspec.inspect.StructType)
    return kind.item_type.cls


def _lists(struct: type, lines: tuple[str, ...]) -> Iterator[list[dict[str, Any]]]:
    """Each item by itself, twice, before the first and after it; and more than an op takes."""
    items = list(_fields(struct, lines))
    for item in items:
        yield [item]
        yield [item, item]
        yield [items[0], item]
        yield [item, items[0]]
    distinct = {next(iter(item.values())): item for item in items}
    for many in (items, list(distinct.values())):
        yield many[: LIMITS.items + 1]


def _unfit(struct: type, lines: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """What isn't of the kind's form: fields too many, too few, and such as don't fit."""
    fit = next(_fields(struct, lines))
    yield {**fit, "colour": "red"}
    for name in fit:
        yield {other: value for other, value in fit.items() if other != name}
        for value in _UNFIT:
            yield {**fit, name: value}
