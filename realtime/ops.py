"""Op kinds as clients send them: one frozen struct a kind, unknown keys refused.

What took effect is a plain dict (see `reducer`), since it goes as it is to the log and the wire.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from commerce.accounts.policy import CART_ROLES, CartRole
from realtime.limits import ID_MAX, NAME_MAX, NOTE_MAX, SKU_MAX

LineId = Annotated[str, Meta(min_length=1, max_length=ID_MAX)]
UserId = Annotated[str, Meta(min_length=1, max_length=ID_MAX)]
Sku = Annotated[str, Meta(min_length=1, max_length=SKU_MAX)]
Quantity = Annotated[int, Meta(ge=1, le=100_000)]
QuantityChange = Annotated[int, Meta(ge=-100_000, le=100_000)]
Name = Annotated[str, Meta(pattern=r"\S", max_length=NAME_MAX)]
NoteText = Annotated[str, Meta(max_length=NOTE_MAX)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]


class Op(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """Base of all op kinds."""


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`qty` pieces of `sku`, for a member: by default for who adds them."""

    sku: Sku
    qty: Quantity
    member: UserId | None = msgspec.field(default=None, name="for")


class Add(Op, frozen=True, tag="add"):
    items: Annotated[tuple[Item, ...], Meta(min_length=1)]
    partial: bool | None = False

    def __post_init__(self) -> None:
        # As if it were left out: two frames that say the same have one content.
        if self.partial is None:
            msgspec.structs.force_setattr(self, "partial", False)


class ChangeQuantity(Op, frozen=True, tag="change_quantity"):
    line: LineId
    by: QuantityChange


class SetQuantity(Op, frozen=True, tag="set_quantity"):
    line: LineId
    qty: Quantity


class Remove(Op, frozen=True, tag="remove"):
    line: LineId


class Clear(Op, frozen=True, tag="clear"):
    pass


class Rename(Op, frozen=True, tag="rename"):
    name: Name


class Note(Op, frozen=True, tag="note"):
    text: NoteText
    line: LineId | None = None


class SaveForLater(Op, frozen=True, tag="save_for_later"):
    line: LineId


class MoveToCart(Op, frozen=True, tag="move_to_cart"):
    line: LineId


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role for a user. A cart has one owner, who made it: the role can't be given away."""

    user: UserId
    role: Literal["viewer", "editor"]


class Share(Op, frozen=True, tag="share"):
    users: Annotated[tuple[Grant, ...], Meta(min_length=1)]


class Admit(Op, frozen=True, tag="admit"):
    """A user whom the owner has invited comes in. Not for `cart.op`: `inviting` makes it.

    It takes effect as a `share`, in which a member who has a higher role already keeps that.
    """

    user: UserId
    role: Literal["viewer", "editor"]


class Unshare(Op, frozen=True, tag="unshare"):
    user: UserId


class Delete(Op, frozen=True, tag="delete"):
    pass


class Create(Op, frozen=True, tag="create"):
    """A cart's first op. Not for `cart.op`: `cart.create` makes it."""

    name: Name
    currency: Currency


class ServiceOp(Op, frozen=True):
    """Base of the ops that the service alone makes; see `acting`. A client's are refused unread.

    They ask for no role: whether they may be made is settled before. `user` must be a member.
    """

    user: UserId


class Merge(ServiceOp, frozen=True, tag="merge"):
    """A guest turned out to be the account `into`, which takes over their lines and role."""

    into: UserId


class Depart(ServiceOp, frozen=True, tag="depart"):
    """A member is gone for good: the account was deleted."""


AnyOp = (
    Add
    | ChangeQuantity
    | SetQuantity
    | Remove
    | Clear
    | Rename
    | Note
    | SaveForLater
    | MoveToCart
    | Share
    | Unshare
    | Delete
)


def kind_of(op: type[Op]) -> str:
    """The name of an op's kind on the wire."""
    info = msgspec.inspect.type_info(op)
    assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101 - narrows the type
    return str(info.tag)


# The lowest role that may do an op.
ROLE_NEEDED: dict[type[Op], CartRole] = {op: CART_ROLES[kind_of(op)] for op in get_args(AnyOp)}


def content_hash(op: Op) -> str:
    """Tell contents of ops apart: the same for two frames that say the same in other words."""
    return hashlib.blake2b(msgspec.json.encode(op), digest_size=12).hexdigest()
