"""The kinds of mail there are, and what each has to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of mail.

    `facts` are the names that its templates use. `page` is the page of the client that it links
    to, in the address's fragment, which reaches no log and no referrer; `argument` names the fact
    that follows it.
    """

    facts: frozenset[str]
    page: str
    argument: str | None = None

    def link(self, public_url: str, facts: Mapping[str, Any]) -> str:
        """The address that the mail leads to; `public_url` ends with a slash."""
        if self.argument is None:
            return f"{public_url}#/{self.page}"
        return f"{public_url}#/{self.page}/{facts[self.argument]}"


def _kind(page: str, *facts: str, argument: str | None = None) -> Kind:
    return Kind(frozenset(facts), page, argument)


KINDS: Final[Mapping[str, Kind]] = {
    "confirm": _kind("confirm", "token", "ttl_s", argument="token"),
    "reset": _kind("reset", "token", "ttl_s", argument="token"),
    "password_changed": _kind("reset"),
    "sign_in_ended": _kind("devices", "device"),
    "invitation": _kind(
        "invitation", "token", "ttl_s", "cart_name", "by_name", "role", argument="token"
    ),
    "added_to_cart": _kind("cart", "cart", "cart_name", "by_name", "role", argument="cart"),
    "digest": _kind("inbox", "carts", "more"),
    "changes": _kind("inbox", "carts", "more"),
}
"""`ttl_s` is the life of a link in seconds. `device` is what a person calls the device, `by_name`
who did it. `carts` and `more` are made by `commerce.notifying.telling`. `sign_in_ended` tells that
a used-up refresh token came back: it was stolen, or lost.
"""
