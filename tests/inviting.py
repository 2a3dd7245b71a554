"""A cart whose owner invites people by e-mail, and the mails that they get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from email.message import EmailMessage
from typing import Any

from commerce.accounts import policy
from handlers import keys
from server.settings import Settings
from storage.invitations import Invitations
from tests.cast import Cast, Somebody
from tests.client import Client, Message, Server, running_server
from tests.helpers import eventually
from tests.mailbox import Mailbox, mail_server, text_of, token_of


@dataclass
class Scene:
    """Instances, and Ana with a cart of hers at the first."""

    servers: list[Server]
    mailbox: Mailbox
    exits: AsyncExitStack
    cast: Cast
    cart: str = ""
    ana: Client = None  # type: ignore[assignment]
    owner: Somebody = None  # type: ignore[assignment]

    async def somebody(
        self, group: str = policy.CUSTOMER, at: int = 0, **fields: str
    ) -> tuple[Somebody, Client]:
        """Somebody of this group, connected to the first instance, or to that at `at`."""
        person = await self.cast.one(group, **fields)
        return person, await self.connect(person, at)

    async def connect(self, person: Somebody, at: int = 0) -> Client:
        return await self.exits.enter_async_context(self.servers[at].connect(person.account))

    async def invite(self, email: str, role: str = "editor") -> str:
        """Invite as Ana; answers the token that was mailed."""
        before = len(self.tokens(email))
        await self.ana.request("cart.invite", cart=self.cart, email=email, role=role)
        await eventually(lambda: len(self.tokens(email)) > before, what="the mail")
        return self.tokens(email)[-1]

    @property
    def invitations(self) -> list[EmailMessage]:
        """The mails that invite somebody, the latest last."""
        return [mail for mail in self.mailbox.mails if "#/invitation/" in text_of(mail)]

    def tokens(self, email: str) -> list[str]:
        """The tokens of the invitations that came to this address, the latest last."""
        return [token_of(mail) for mail in self.invitations if mail["To"] == email]

    async def pending(self) -> list[Message]:
        return (await self.ana.request("cart.invitations", cart=self.cart))["invitations"]

    async def members(self) -> dict[str, str]:
        """The cart's members and their roles, as the store has them."""
        found = await self._stored("memberships", cart=self.cart)
        return {one["user"]: one["role"] for one in found if one["role"] is not None}

    async def shares(self) -> int:
        """How many ops of the kind `share` the cart's log has."""
        commits = await self._stored("cart_ops", cart=self.cart)
        return sum(op["op"]["kind"] == "share" for commit in commits for op in commit["ops"])

    async def documents(self, *, rests: bool = False) -> list[dict[str, Any]]:
        """The stored invitations, with what is left of ended ones to be told of only if asked."""
        found = await self._stored("invitations")
        return [one for one in found if rests or "cart" in one]

    async def _stored(self, name: str, **query: Any) -> list[dict[str, Any]]:
        database = self.servers[0].app[keys.DATABASE]
        return await database.collection(name).find(query).to_list(None)

    @property
    def store(self) -> Invitations:
        return Invitations(self.servers[0].app[keys.DATABASE])


@asynccontextmanager
async def staged(settings: Settings, instances: int) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as exits:
        mailbox = await exits.enter_async_context(mail_server())
        mailing = replace(
            settings,
            smtp_url=f"smtp://127.0.0.1:{mailbox.port}",
            mail_from="no-reply@shop.example",
        )
        servers = [
            await exits.enter_async_context(running_server(mailing)) for _ in range(instances)
        ]
        scene = Scene(servers, mailbox, exits, Cast(servers[0]))
        scene.owner, scene.ana = await scene.somebody(name="Ana")
        scene.cart = await scene.ana.create(name="Picnic")
        yield scene
