"""People with accounts, as their apps see the REST doors."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, CookieJar
from yarl import URL

from handlers import keys
from server.keys import SETTINGS
from tests.client import Account, Server
from tests.helpers import eventually
from tests.mailbox import mails_to, token_of

PASSWORD = "correct horse"


@dataclass
class Person:
    """Somebody with one app. `url` is the instance that it talks to; `token` signs them in."""

    server: Server
    email: str
    name: str = "Ada"
    password: str = PASSWORD
    token: str = ""
    refresh_token: str = ""
    id: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and answer; None for an empty one."""
        headers = dict(self.headers)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        url = f"{self.server.url}/api/v1/auth/{path}"
        async with self.server.http.request(method, url, json=body, headers=headers) as response:
            text = await response.text()
            return response.status, await response.json(content_type=None) if text else None

    async def get(self, path: str) -> tuple[int, Any]:
        return await self.ask("GET", path)

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        return await self.ask("POST", path, body)

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        """As `ask`, for what must succeed."""
        status, answer = await self.ask(method, path, body)
        assert status < 300, answer
        return answer

    async def register(self) -> Person:
        body = {"email": self.email, "password": self.password, "name": self.name}
        return self._signed_in(await self.done("POST", "register", body))

    async def again(self) -> Person:
        """The same person on another device, signed in by the password."""
        other = Person(self.server, self.email, self.name, self.password)
        credentials = {"email": self.email, "password": self.password}
        return other._signed_in(await other.done("POST", "login", credentials))

    async def can_log_in(self, password: str | None = None) -> bool:
        credentials = {"email": self.email, "password": password or self.password}
        status, _ = await Person(self.server, self.email).post("login", credentials)
        assert status in (200, 401)
        return status == 200

    async def is_signed_in(self) -> bool:
        status, _ = await self.get("me")
        assert status in (200, 401)
        return status == 200

    async def me(self) -> dict[str, Any]:
        return await self.done("GET", "me")

    def _signed_in(self, answer: dict[str, Any]) -> Person:
        self.id = answer["user"]["id"]
        self.token, self.refresh_token = answer["access_token"], answer["refresh_token"]
        return self

    @property
    def account(self) -> Account:
        return Account(self.id, self.name, self.token)

    # Mail

    @property
    def folder(self) -> Path:
        return self.server.app[SETTINGS].data / "mail"

    async def mailed(self, kind: str, count: int = 1) -> str:
        """The token in the newest of so many mails of a kind."""
        return token_of((await mails_to(self.folder, self.email, kind, count))[-1])


async def person(server: Server, name: str = "Ada", **fields: Any) -> Person:
    """Somebody who has just registered."""
    email = fields.pop("email", f"{uuid.uuid4().hex[:12]}@shop.example")
    return await Person(server, email, name, **fields).register()


async def mail_settled(server: Server) -> None:
    """Return when every mail that was asked for has left."""
    await eventually(lambda: server.app[keys.MAILER].waiting == 0, what="the mails to be settled")


def browser() -> ClientSession:
    """A browser: it keeps cookies, also of addresses that are numbers."""
    return ClientSession(cookie_jar=CookieJar(unsafe=True))


def cookie_of(browser_: ClientSession, server: Server) -> str:
    """What the service's cookie holds there; empty without one."""
    found = browser_.cookie_jar.filter_cookies(URL(server.url)).get("cartroom_session")
    return "" if found is None else found.value
