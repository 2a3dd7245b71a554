"""Who may do what: the one place that says it, and that every door asks.

Two tables. `RULES` is about accounts: which groups may use a route or send a message. `CART_ROLES`
is about carts: the lowest role in a cart that may do an op there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from commerce.accounts.errors import (
    NotAllowedError,
    NotConfirmedError,
    NotOnThisAccountError,
    NotSignedInError,
)
from commerce.accounts.principal import Principal

ANONYMOUS: Final = "anonymous"
GUEST: Final = "guest"
CUSTOMER: Final = "customer"
SELLER: Final = "seller"
SUPPORT: Final = "support"
ADMIN: Final = "admin"

ROLES: Final = (CUSTOMER, SELLER, SUPPORT, ADMIN)
"""The roles of accounts."""


class Action(StrEnum):
    """What can be done through a door."""

    LOOK = "look"
    """What is for everybody: the page, the catalog, health, the contract."""
    CONNECT = "connect"
    """Open a socket. Who it is for is settled by `hello`."""
    SIGN_IN = "sign_in"
    """Register, log in, be a guest, renew, use a mailed link."""
    USE_SESSION = "use_session"
    """See who one is, sign out, see and end one's devices."""
    SHOP = "shop"
    """Everything in carts that the cart's own roles decide on."""
    KEEP_ACCOUNT = "keep_account"
    """Change or read out what an account has: profile, export, its end."""
    KEEP_PASSWORD = "keep_password"  # noqa: S105 - an action
    """Change one's password, have one's address confirmed: what guests have none of."""
    INVITE = "invite"
    """Invite to a cart by mail, and answer an invitation."""
    FIND_USERS = "find_users"
    END_SESSIONS = "end_sessions"
    """Sign somebody else out."""
    MANAGE_USERS = "manage_users"
    """Change somebody's role; lock an account, or unlock it."""
    SELL = "sell"
    """Change products."""
    MANAGE_WEBHOOKS = "manage_webhooks"
    """Say which addresses are told what happens in carts, and see what became of it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which groups may; `confirmed`: only with a confirmed address."""

    groups: frozenset[str]
    confirmed: bool = False


_ACCOUNTS: Final = frozenset(ROLES)
_SIGNED_IN: Final = _ACCOUNTS | {GUEST}
_EVERYBODY: Final = _SIGNED_IN | {ANONYMOUS}

RULES: Final[dict[Action, Rule]] = {
    Action.LOOK: Rule(_EVERYBODY),
    Action.CONNECT: Rule(_EVERYBODY),
    Action.SIGN_IN: Rule(_EVERYBODY),
    Action.USE_SESSION: Rule(_SIGNED_IN),
    Action.SHOP: Rule(_SIGNED_IN),
    Action.KEEP_ACCOUNT: Rule(_SIGNED_IN),
    Action.KEEP_PASSWORD: Rule(_ACCOUNTS),
    Action.INVITE: Rule(_ACCOUNTS, confirmed=True),
    Action.FIND_USERS: Rule(frozenset({SUPPORT, ADMIN})),
    Action.END_SESSIONS: Rule(frozenset({SUPPORT, ADMIN})),
    Action.MANAGE_USERS: Rule(frozenset({ADMIN})),
    Action.SELL: Rule(frozenset({SELLER, ADMIN})),
    Action.MANAGE_WEBHOOKS: Rule(frozenset({ADMIN})),
}

CartRole = Literal["viewer", "editor", "owner"]

CART_RANK: Final[dict[str, int]] = {"viewer": 1, "editor": 2, "owner": 3}

CART_ROLES: Final[dict[str, CartRole]] = {
    "add": "editor",
    "change_quantity": "editor",
    "set_quantity": "editor",
    "remove": "editor",
    "clear": "editor",
    "rename": "editor",
    "note": "editor",
    "save_for_later": "editor",
    "move_to_cart": "editor",
    "share": "owner",
    "unshare": "owner",
    "delete": "owner",
}
"""The lowest role that may do an op, by its kind. `unshare` of oneself is open to all but the
owner."""


def is_public(action: Action) -> bool:
    """Whether nobody needs to sign in for it."""
    return ANONYMOUS in RULES[action].groups


def check(action: Action, principal: Principal | None) -> None:
    """Raise NotSignedInError, NotAllowedError or NotConfirmedError unless it is allowed."""
    if principal is None:
        if not is_public(action):
            raise NotSignedInError
        return
    check_group(action, principal)
    if RULES[action].confirmed and not principal.confirmed:
        raise NotConfirmedError


def check_group(action: Action, principal: Principal) -> None:
    """Raise NotAllowedError unless it is allowed to who has a confirmed address.

    For sockets, on which somebody stays while they confirm theirs: whatever is only for them looks
    that up anew.
    """
    if principal.group not in RULES[action].groups:
        raise NotAllowedError(principal.group)


def check_on(action: Action, principal: Principal, user: str, role: str) -> None:
    """Raise NotOnThisAccountError unless it is allowed to be done to this user's account.

    Nobody changes their own role or locks themselves out, so that an administrator is left;
    support doesn't sign administrators out.
    """
    if action is Action.MANAGE_USERS and user == principal.user:
        raise NotOnThisAccountError
    if action is Action.END_SESSIONS and role == ADMIN and principal.role != ADMIN:
        raise NotOnThisAccountError
