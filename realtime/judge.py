"""Judging ops: what a client asks, on a given state, becomes an effect or is refused.

Pure; ids and looked-up facts come in as arguments, and the state is only read. `reducer.apply`
plays the effect. Roles, stock, prices and limits matter here alone, so replaying a log needs
nothing else than the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from commerce.accounts.policy import CART_RANK
from commerce.catalog.product import ProductFacts
from realtime import ops
from realtime.errors import CartroomError
from realtime.leaving import depart_effect, merge_effect
from realtime.limits import Limits
from realtime.reducer import Effect, Results
from realtime.state import CartState, Line, Shelf


class Context(msgspec.Struct, frozen=True):
    """What a judgement may need beside state and op, looked up before.

    `facts` holds the products of the skus that the op touches (absent or None: no such product),
    `users` those of the op's users who exist.
    """

    user: str
    facts: Mapping[str, ProductFacts | None]
    users: frozenset[str]
    limits: Limits


class Judgement(msgspec.Struct, frozen=True):
    effect: Effect
    results: Results | None = None


def judge(state: CartState, op: ops.Op, context: Context) -> Judgement:
    """What `op` by `context.user` does to `state`. Raises CartroomError when it is refused."""
    if isinstance(op, ops.Create):
        return _judge_create(state, op)
    if isinstance(op, ops.Admit):
        op = _sharing(state, op)
    if not isinstance(op, ops.ServiceOp):
        check_access(state, op, context.user)
    elif op.user not in state.members:
        raise no_such_cart()
    return _JUDGES[type(op)](state, op, context)


def check_access(state: CartState, op: ops.Op, user: str) -> None:
    """Raise `not_found` for who is no member, `forbidden` for too low a role."""
    role = state.role(user)
    if role is None or state.status == "deleted":
        raise no_such_cart()
    needed = ops.ROLE_NEEDED[type(op)]
    if isinstance(op, ops.Unshare) and op.user == user:
        needed = "viewer"
    if CART_RANK[role] < CART_RANK[needed]:
        raise CartroomError("forbidden", f"This needs the role {needed}; yours is {role}.")


def no_such_cart() -> CartroomError:
    return CartroomError("not_found", "There is no such cart, or you are not one of its members.")


def users_named_in(op: ops.Op) -> frozenset[str]:
    """The users of whom `judge` must know whether they exist."""
    match op:
        case ops.Share():
            return frozenset(grant.user for grant in op.users)
        case ops.Admit():
            return frozenset({op.user})
        case ops.Merge():
            return frozenset({op.into})
        case _:
            return frozenset()


def skus_touched(state: CartState, op: ops.Op) -> set[str]:
    """The skus whose facts `judge` may need for this op on this state."""
    match op:
        case ops.Add():
            return {item.sku for item in op.items}
        case ops.ChangeQuantity() | ops.SetQuantity():
            line = state.shelf.lines.get(op.line)
        case ops.MoveToCart():
            line = state.saved.lines.get(op.line)
        case _:
            line = None
    return set() if line is None else {line.sku}


def _judge_create(state: CartState, op: ops.Create) -> Judgement:
    if state.exists:
        raise CartroomError("conflict", "This cart exists already.")
    return Judgement({"kind": "create", "name": op.name, "currency": op.currency})


def _judge_add(state: CartState, op: ops.Add, context: Context) -> Judgement:
    if len(op.items) > context.limits.items:
        raise CartroomError(
            "limit_exceeded", f"An add takes at most {context.limits.items} items; split it."
        )
    tally = _AddTally(state, context)
    results: Results = []
    items: list[dict[str, Any]] = []
    first_error: CartroomError | None = None
    for item in op.items:
        try:
            effect = tally.add(item)
        except CartroomError as error:
            first_error = first_error or error
            results.append(error.as_dict())
        else:
            items.append(effect)
            results.append({"line": effect["line"], "qty": effect["qty"]})
    if first_error is not None and (not items or not op.partial):
        # Nothing is done, so the items that would have passed have no result either.
        undone = [result if result and "code" in result else None for result in results]
        raise CartroomError(
            first_error.code, first_error.message, **first_error.extra, results=undone
        )
    return Judgement({"kind": "add", "items": items}, results)


class _AddTally:
    """Counts what the items of one `add` would make of the cart, without changing it."""

    def __init__(self, state: CartState, context: Context) -> None:
        self._state = state
        self._context = context
        self._new: dict[tuple[str, str], str] = {}
        self._qty: dict[str, int] = {}
        self._pieces: dict[str, int] = {}

    def add(self, item: ops.Item) -> dict[str, Any]:
        state, limits = self._state, self._context.limits
        member = item.member or self._context.user
        if member not in state.members:
            raise CartroomError("not_found", f"{member} is no member of this cart.")
        product = _product(self._context, item.sku, state.currency)
        pieces = self._pieces.get(item.sku, state.shelf.pieces_by_sku.get(item.sku, 0)) + item.qty
        check_stock(product, pieces)
        line, qty = self._line(item.sku, member)
        if qty + item.qty > limits.pieces:
            raise _too_many_pieces(limits)
        if qty == 0:
            if state.line_count + len(self._new) >= limits.lines:
                raise CartroomError("limit_exceeded", f"A cart has at most {limits.lines} lines.")
            self._new[(item.sku, member)] = line
        self._qty[line] = qty + item.qty
        self._pieces[item.sku] = pieces
        return {
            "sku": item.sku,
            "qty": item.qty,
            "for": member,
            "line": line,
            "name": product.name,
            "unit_price": product.price,
        }

    def _line(self, sku: str, member: str) -> tuple[str, int]:
        """The line's id and its pieces so far, 0 for a new one."""
        existing = self._state.shelf.find(sku, member)
        if existing is not None:
            return existing.line, self._qty.get(existing.line, existing.qty)
        line = self._new.get((sku, member))
        if line is not None:
            return line, self._qty[line]
        # Unique in the cart, since a rev is given once and an op counts its own.
        return f"lin_{self._state.rev + 1}_{len(self._new)}", 0


def _product(context: Context, sku: str, currency: str) -> ProductFacts:
    product = context.facts.get(sku)
    if product is None:
        raise CartroomError("unknown_sku", f"There is no product with the sku {sku}.", sku=sku)
    if product.currency != currency:
        raise CartroomError(
            "unknown_sku",
            f"{sku} is sold in {product.currency}, this cart is in {currency}.",
            sku=sku,
            currency=product.currency,
        )
    return product


def check_stock(product: ProductFacts, pieces: int) -> None:
    """Raise `out_of_stock` when a cart would hold more `pieces` of a product than there are."""
    if product.available is not None and pieces > product.available:
        raise CartroomError(
            "out_of_stock",
            f"Only {product.available} of {product.name} can be had; the cart would hold {pieces}.",
            sku=product.sku,
            available=product.available,
        )


def _too_many_pieces(limits: Limits) -> CartroomError:
    return CartroomError("limit_exceeded", f"A line holds 1 to {limits.pieces} pieces.")


def _line_in_cart(state: CartState, line: str) -> Line:
    found = state.shelf.lines.get(line)
    if found is None:
        where = " It is saved for later." if line in state.saved.lines else ""
        raise CartroomError("not_found", f"There is no line {line} in this cart.{where}")
    return found


def _line_anywhere(state: CartState, line: str) -> Line:
    found = state.shelf.lines.get(line) or state.saved.lines.get(line)
    if found is None:
        raise CartroomError("not_found", f"There is no line {line} in this cart.")
    return found


def _check_raise(state: CartState, line: Line, by: int, context: Context) -> None:
    """Refuse to raise `line` by `by` pieces when stock doesn't allow it. Lowering is free."""
    if by <= 0:
        return
    product = context.facts.get(line.sku)
    if product is None:
        raise CartroomError(
            "unknown_sku", f"{line.name} is no longer sold; it can't be raised.", sku=line.sku
        )
    check_stock(product, state.shelf.pieces_by_sku.get(line.sku, 0) + by)


def _judge_change_quantity(state: CartState, op: ops.ChangeQuantity, context: Context) -> Judgement:
    if op.by == 0:
        raise CartroomError("bad_request", "`by` must not be 0.")
    line = _line_in_cart(state, op.line)
    if not 1 <= line.qty + op.by <= context.limits.pieces:
        raise _too_many_pieces(context.limits)
    _check_raise(state, line, op.by, context)
    return Judgement({"kind": "change_quantity", "line": op.line, "by": op.by})


def _judge_set_quantity(state: CartState, op: ops.SetQuantity, context: Context) -> Judgement:
    line = _line_in_cart(state, op.line)
    if op.qty > context.limits.pieces:
        raise _too_many_pieces(context.limits)
    _check_raise(state, line, op.qty - line.qty, context)
    return Judgement({"kind": "set_quantity", "line": op.line, "qty": op.qty})


def _judge_remove(state: CartState, op: ops.Remove, _context: Context) -> Judgement:
    _line_anywhere(state, op.line)
    return Judgement({"kind": "remove", "line": op.line})


def _judge_clear(_state: CartState, _op: ops.Clear, _context: Context) -> Judgement:
    return Judgement({"kind": "clear"})


def _judge_rename(_state: CartState, op: ops.Rename, _context: Context) -> Judgement:
    return Judgement({"kind": "rename", "name": op.name})


def _judge_note(state: CartState, op: ops.Note, _context: Context) -> Judgement:
    if op.line is None:
        return Judgement({"kind": "note", "text": op.text})
    _line_anywhere(state, op.line)
    return Judgement({"kind": "note", "line": op.line, "text": op.text})


def _judge_save_for_later(state: CartState, op: ops.SaveForLater, context: Context) -> Judgement:
    _line_anywhere(state, op.line)
    return Judgement(_move(state.shelf, state.saved, "save_for_later", op.line, context))


def _judge_move_to_cart(state: CartState, op: ops.MoveToCart, context: Context) -> Judgement:
    line = _line_anywhere(state, op.line)
    if op.line in state.saved.lines:
        _check_raise(state, line, line.qty, context)
    return Judgement(_move(state.saved, state.shelf, "move_to_cart", op.line, context))


def _move(source: Shelf, target: Shelf, kind: str, line: str, context: Context) -> Effect:
    """The effect of moving a line; `into` names the line that it is summed into."""
    effect: Effect = {"kind": kind, "line": line}
    moving = source.lines.get(line)
    twin = None if moving is None else target.find(*moving.key)
    if moving is not None and twin is not None:
        if moving.qty + twin.qty > context.limits.pieces:
            raise _too_many_pieces(context.limits)
        effect["into"] = twin.line
    return effect


def _judge_share(state: CartState, op: ops.Share, context: Context) -> Judgement:
    users = [grant.user for grant in op.users]
    if len(set(users)) != len(users):
        raise CartroomError("bad_request", "Name each user once.")
    if len(users) > context.limits.items:
        raise CartroomError(
            "limit_exceeded", f"A share takes at most {context.limits.items} users; split it."
        )
    for user in users:
        if user not in context.users:
            raise CartroomError("not_found", f"There is no user {user}.", user=user)
        if state.role(user) == "owner":
            raise CartroomError("forbidden", "The owner's role can't be changed.")
    if len(state.members.keys() | set(users)) > context.limits.members:
        raise CartroomError(
            "limit_exceeded", f"A cart has at most {context.limits.members} members."
        )
    grants = [{"user": grant.user, "role": grant.role} for grant in op.users]
    return Judgement({"kind": "share", "users": grants})


def _sharing(state: CartState, op: ops.Admit) -> ops.Share:
    """What an admission comes to on this state: nobody's role gets lower."""
    stays = state.role(op.user) == "editor"
    return ops.Share(users=(ops.Grant(op.user, "editor" if stays else op.role),))


def _judge_unshare(state: CartState, op: ops.Unshare, _context: Context) -> Judgement:
    role = state.role(op.user)
    if role is None:
        raise CartroomError("not_found", f"{op.user} is no member of this cart.", user=op.user)
    if role == "owner":
        raise CartroomError("forbidden", "The owner can't leave the cart, only delete it.")
    return Judgement({"kind": "unshare", "user": op.user})


def _judge_delete(_state: CartState, _op: ops.Delete, _context: Context) -> Judgement:
    return Judgement({"kind": "delete"})


def _judge_merge(state: CartState, op: ops.Merge, context: Context) -> Judgement:
    if op.user == op.into:
        raise CartroomError("bad_request", "Nobody can be merged into themselves.")
    if op.into not in context.users:
        raise CartroomError("not_found", f"There is no user {op.into}.", user=op.into)
    return Judgement(merge_effect(state, op.user, op.into, context.limits))


def _judge_depart(state: CartState, op: ops.Depart, _context: Context) -> Judgement:
    return Judgement(depart_effect(state, op.user))


_JUDGES: dict[type[ops.Op], Callable[[CartState, Any, Context], Judgement]] = {
    ops.Add: _judge_add,
    ops.ChangeQuantity: _judge_change_quantity,
    ops.SetQuantity: _judge_set_quantity,
    ops.Remove: _judge_remove,
    ops.Clear: _judge_clear,
    ops.Rename: _judge_rename,
    ops.Note: _judge_note,
    ops.SaveForLater: _judge_save_for_later,
    ops.MoveToCart: _judge_move_to_cart,
    ops.Share: _judge_share,
    ops.Unshare: _judge_unshare,
    ops.Delete: _judge_delete,
    ops.Merge: _judge_merge,
    ops.Depart: _judge_depart,
}
