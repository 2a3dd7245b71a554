"""What an operation needs that no document can hold: a token just mailed, a device, a free address.

`NEEDS` has a function for each such operation. It sets up what the operation of this person is to
find, and answers the parts of the request that must be so. Operations that aren't there are done
with the document's own examples.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from commerce.accounts import policy
from commerce.catalog.product import Product
from commerce.notifying.unsubscribing import UnsubscribeTokens, Wish
from handlers import keys
from server.keys import SETTINGS
from tests.cast import PASSWORD, UNCONFIRMED, Cast, Somebody
from tests.client import Server
from tests.mailbox import mails_to, token_of

Parts = dict[str, dict[str, Any]]
"""`path_parameters`, `query` and `body`, where something must be so."""

DEVICES = "/api/v1/auth/devices"
MUG = Product("MUG-RED", "Mug - Red", 1290, "EUR", 12, title="Mug")


@dataclass
class Values:
    """The shop in which the document's examples are true."""

    server: Server
    cast: Cast

    async def set_up(self) -> None:
        await self.server.products(MUG)

    async def of(self, operation: str, person: Somebody) -> Parts:
        """What a good request of this person needs."""
        need = NEEDS.get(operation)
        return {} if need is None else await need(self, person)

    async def register(self, person: Somebody) -> Parts:
        return {"body": {"email": f"{uuid.uuid4().hex}@shop.example"}}

    async def login(self, person: Somebody) -> Parts:
        someone = await self.cast.one(policy.CUSTOMER)
        return {"body": {"email": someone.email, "password": PASSWORD}}

    async def refresh(self, person: Somebody) -> Parts:
        someone = await self.cast.one(policy.CUSTOMER)
        return {"body": {"refresh_token": someone.refresh_token}}

    async def end_device(self, person: Somebody) -> Parts:
        if not person.user:
            return {}
        headers = person.headers
        async with self.server.http.get(f"{self.server.url}{DEVICES}", headers=headers) as found:
            return {"path_parameters": {"id": (await found.json())["items"][0]["id"]}}

    async def address(self, person: Somebody) -> Parts:
        return {"body": {"email": (await self.cast.one(policy.CUSTOMER)).email}}

    async def other(self, person: Somebody) -> Parts:
        return {"path_parameters": {"id": (await self.cast.one(policy.CUSTOMER)).user}}

    async def confirm(self, person: Somebody) -> Parts:
        someone = await self.cast.one(UNCONFIRMED)
        return {"body": {"token": await self._mailed("confirm", someone.email)}}

    async def change_password(self, person: Somebody) -> Parts:
        return {"body": {"current_password": PASSWORD}}

    async def delete_account(self, person: Somebody) -> Parts:
        return {"body": {"password": PASSWORD}}

    async def complete_reset(self, person: Somebody) -> Parts:
        someone = await self.cast.one(policy.CUSTOMER)
        body = {"email": someone.email}
        url = f"{self.server.url}/api/v1/auth/reset"
        async with self.server.http.post(url, json=body) as asked:
            assert asked.status == 202
        return {"body": {"token": await self._mailed("reset", someone.email)}}

    async def webhook(self, person: Somebody) -> Parts:
        """There are so many at most that each takes the place of the one before."""
        webhooks = self.server.app[keys.WEBHOOKS]
        for one in await webhooks.all():
            await webhooks.remove("", one.id)
        made = await webhooks.register("", url="https://hooks.shop.example/")
        return {"path_parameters": {"id": made.id}}

    async def room_for_a_webhook(self, person: Somebody) -> Parts:
        await self.webhook(person)
        return {}

    async def sent(self, person: Somebody) -> Parts:
        parts = await self.delivery(person)
        del parts["path_parameters"]["delivery"]
        return parts

    async def delivery(self, person: Somebody) -> Parts:
        parts = await self.webhook(person)
        made = await self.server.app[keys.WEBHOOKS].test(parts["path_parameters"]["id"])
        parts["path_parameters"]["delivery"] = made.message
        return parts

    async def unsubscribe(self, person: Somebody) -> Parts:
        someone = await self.cast.one(policy.CUSTOMER)
        tokens = UnsubscribeTokens([self.server.app[SETTINGS].jwt_secret or ""])
        return {"body": {"token": tokens.make(Wish(someone.user, "changes"))}}

    async def _mailed(self, kind: str, email: str) -> str:
        folder = self.server.app[SETTINGS].data / "mail"
        return token_of((await mails_to(folder, email, kind))[-1])


NEEDS: dict[str, Callable[[Values, Somebody], Awaitable[Parts]]] = {
    "register": Values.register,
    "login": Values.login,
    "refresh": Values.refresh,
    "endDevice": Values.end_device,
    "findUsers": Values.address,
    "seeUser": Values.other,
    "changeUser": Values.other,
    "signOutUser": Values.other,
    "confirm": Values.confirm,
    "deleteAccount": Values.delete_account,
    "changePassword": Values.change_password,
    "unsubscribe": Values.unsubscribe,
    "completeReset": Values.complete_reset,
    "createWebhook": Values.room_for_a_webhook,
    "listWebhooks": Values.room_for_a_webhook,
    "seeWebhook": Values.webhook,
    "changeWebhook": Values.webhook,
    "deleteWebhook": Values.webhook,
    "rotateWebhookSecret": Values.webhook,
    "testWebhook": Values.webhook,
    "listDeliveries": Values.sent,
    "replayDelivery": Values.delivery,
    "replayDeliveries": Values.sent,
}
