"""People of every group of the policy, each with an account of their own and a way in."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from commerce.accounts import policy
from handlers import keys
from tests.client import Account, Server

PASSWORD: Final = "correct horse battery staple"
UNCONFIRMED: Final = "unconfirmed customer"
GROUPS: Final = (
    policy.ANONYMOUS,
    policy.GUEST,
    UNCONFIRMED,
    policy.CUSTOMER,
    policy.SELLER,
    policy.SUPPORT,
    policy.ADMIN,
)
"""The policy's, and customers whose address isn't confirmed."""
COOKIE: Final = "Cookie"


@dataclass(frozen=True)
class Somebody:
    """Who they are, and the headers by which a request is theirs; nobody's for `anonymous`."""

    group: str
    user: str = ""
    email: str = ""
    name: str = ""
    token: str = ""
    refresh_token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        return Account(self.user, self.name, self.token)


class Cast:
    """Makes people through the doors of `server`, and the roles that no door gives by hand."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def one(self, group: str, *, cookie: bool = False, **fields: str) -> Somebody:
        """Somebody new of this group, signed in by a token or by a cookie."""
        if group == policy.ANONYMOUS:
            return Somebody(group)
        number = uuid.uuid4().hex[:12]
        session = "cookie" if cookie else "token"
        body = {"name": f"Person {number}", "session": session, **fields}
        if group == policy.GUEST:
            return _somebody(group, *await self._post("guest", body))
        body = {"email": f"{number}@shop.example", "password": PASSWORD, **body}
        answer, headers = await self._post("register", body)
        await self._appoint(answer["user"]["id"], group)
        return _somebody(group, answer, headers)

    async def again(self, person: Somebody) -> Somebody:
        """The same person, signed in on another device."""
        answer, headers = await self._post("login", {"email": person.email, "password": PASSWORD})
        return _somebody(person.group, answer, headers)

    async def _appoint(self, user: str, group: str) -> None:
        changes: dict[str, Any] = {}
        if group != UNCONFIRMED:
            changes["confirmed_at"] = datetime.now(UTC)
        if group in policy.ROLES:
            changes["role"] = group
        if changes:
            users = self.server.app[keys.DATABASE].collection("users")
            await users.update_one({"_id": user}, {"$set": changes})

    async def _post(self, action: str, body: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        url = f"{self.server.url}/api/v1/auth/{action}"
        # A cookie of one of them is none of the others'.
        self.server.http.cookie_jar.clear()
        async with self.server.http.post(url, json=body) as response:
            answer = await response.json()
            assert response.status in (200, 201), answer
        self.server.http.cookie_jar.clear()
        return answer, response.cookies


def _somebody(group: str, answer: dict[str, Any], cookies: Any) -> Somebody:
    user = answer["user"]
    if "access_token" in answer:
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
    else:
        pair = "; ".join(f"{name}={one.value}" for name, one in cookies.items())
        headers = {COOKIE: pair, "X-CSRF-Token": answer["csrf_token"]}
    return Somebody(
        group=group,
        user=user["id"],
        email=user["email"] or "",
        name=user["name"],
        token=answer.get("access_token", ""),
        refresh_token=answer.get("refresh_token", ""),
        headers=headers,
    )
