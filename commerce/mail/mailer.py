"""The mailer: a bounded set of mails on their way, each retried until it has left or has failed.

Nobody waits for what `send` sends. It is made some random time after it was asked for, in a thread,
so that neither an answer nor the event loop's pauses tell whether a request led to one. `deliver`
is for who keeps a mail themselves until it has left.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterable
from email.headerregistry import Address as HeaderAddress
from typing import Any, Final

from commerce.mail.kinds import KINDS
from commerce.mail.message import Address, Message, header_address, now
from commerce.mail.metrics import MailMetrics
from commerce.mail.parcel import Parcel, cancel, parcel_of
from commerce.mail.rendering import Templates
from commerce.mail.transport import MailError, Transport
from storage.users import email_key

WAITING_MAX: Final = 1_000
"""Mails on their way; further ones are dropped."""
DELIVERIES_AT_ONCE: Final = 4
RETRY_DELAYS_S: Final = (2.0, 10.0, 60.0, 300.0, 900.0)
"""After temporary failures, give or take a half. Then a mail has failed."""
START_S: Final = (0.02, 0.12)
"""A mail is begun this long after it was asked for, at random."""
FLUSH_S: Final = 3.0
"""At the end every mail has one more try, all of them together this long."""

log = logging.getLogger(__name__)

# Our own: who seeds the module's wants no draws between theirs.
_random = random.Random()  # noqa: S311 - it blurs times, and hides nothing


class Mailer:
    """Sends mails through `transport`. One an instance.

    `public_url()` is the address of the page that links lead to; it is asked anew for each mail.
    Raises ValueError when `sender` (as in a From header) is no address.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        sender: str,
        public_url: Callable[[], str],
        metrics: MailMetrics | None = None,
        templates: Templates | None = None,
    ) -> None:
        self._transport = transport
        self._sender = parse_sender(sender)
        self._public_url = public_url
        self._metrics = metrics or MailMetrics()
        self._templates = templates or Templates()
        self._parcels: dict[Parcel, None] = {}
        self._slots = asyncio.Semaphore(DELIVERIES_AT_ONCE)
        self._flushing = asyncio.Event()

    # For the rest of the service

    def send(
        self,
        kind: str,
        to: Address,
        concerns: Iterable[str] = (),
        *,
        unsubscribe: str | None = None,
        **facts: Any,
    ) -> None:
        """Have a mail of this kind sent, soon; returns at once.

        `concerns` are the ids of users whom it names beside the recipient; `unsubscribe` is the
        token by which they end mails like it. Raises ValueError for a kind that isn't one or facts
        that aren't the kind's; what becomes of the mail is logged and counted.
        """
        parcel = parcel_of(kind, to, concerns, facts, token=unsubscribe)
        if self._accept(parcel):
            self._begin(parcel, self._carry(parcel))

    async def deliver(
        self,
        kind: str,
        to: Address,
        concerns: Iterable[str] = (),
        *,
        mail: str,
        unsubscribe: str | None = None,
        **facts: Any,
    ) -> None:
        """Have a mail handed out now, by one try; returns once it is in other hands.

        `mail` is its id: the same for the same mail, so that who receives it twice can tell.
        Raises MailError when it hasn't left, as far as is known. Cancelled, it may have left.
        """
        parcel = parcel_of(kind, to, concerns, facts, token=unsubscribe, identity=mail)
        if not self._accept(parcel):
            raise MailError("too many mails wait", temporary=True)
        task = self._begin(parcel, self._hand_out(parcel))
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
        if task.cancelled():
            raise MailError("whom it concerns is gone", temporary=False)
        task.result()

    def feign(self, kind: str, **facts: Any) -> None:
        """Do the work of a mail, and send none: for requests that must not tell whether they did.

        As busy as `send` keeps this process, so busy does this.
        """
        parcel = parcel_of(kind, None, (), facts)
        if self._accept(parcel):
            self._begin(parcel, self._carry(parcel))

    async def forget(self, user_id: str, email: str | None = None) -> None:
        """Drop and remove every mail that concerns this user or goes to this address.

        Those of this instance: what others have waiting leaves within their patience.
        Raises OSError when files can't be removed.
        """
        key = None if email is None else email_key(email)
        await cancel(
            [
                parcel
                for parcel in self._parcels
                if user_id in parcel.concerns
                or (parcel.to is not None and email_key(parcel.to.email) == key)
            ]
        )
        await self._transport.forget(user_id, email)

    @property
    def waiting(self) -> int:
        """Mails that have not left yet."""
        return len(self._parcels)

    async def stop(self, limit_s: float = FLUSH_S) -> None:
        """Try everything that waits once more, within the limit, and drop what doesn't leave."""
        self._flushing.set()
        tasks = [parcel.task for parcel in self._parcels if parcel.task is not None]
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=limit_s)
        late = list(self._parcels)
        for parcel in late:
            self._end(parcel, "dropped")
            log.error("No time to send a mail", extra={"kind": parcel.kind, "mail": parcel.id})
        await cancel(late)

    # On their way

    def _accept(self, parcel: Parcel) -> bool:
        if len(self._parcels) >= WAITING_MAX or self._flushing.is_set():
            self._count(parcel.kind, "dropped")
            where = {"kind": parcel.kind}
            log.error("Too many mails wait, or too late: dropped one", extra=where)
            return False
        self._parcels[parcel] = None
        self._metrics.waiting.set(len(self._parcels))
        return True

    def _begin(self, parcel: Parcel, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        parcel.task = asyncio.get_running_loop().create_task(work, name="mail")
        return parcel.task

    async def _hand_out(self, parcel: Parcel) -> None:
        """Deliver, by one try. Raises MailError."""
        result = "failed"
        try:
            message = await asyncio.to_thread(self._write, parcel)
            async with self._slots:
                await self._transport.deliver(message)
            result = "sent"
        except asyncio.CancelledError:
            result = "forgotten"
            raise
        except ValueError as error:
            raise MailError("it can't be written", temporary=False) from error
        except MailError as error:
            result = "retried" if error.temporary else "failed"
            if parcel.unwanted:
                result = "forgotten"
                raise MailError("whom it concerns is gone", temporary=False) from error
            raise
        finally:
            self._end(parcel, result)

    async def _carry(self, parcel: Parcel) -> None:
        result = "failed"
        try:
            await self._pause(_random.uniform(*START_S))
            message = await asyncio.to_thread(self._write, parcel)
            if parcel.to is None:
                await asyncio.to_thread(message.to_bytes)
                result = "feigned"
            else:
                result = await self._deliver(message, parcel)
        except asyncio.CancelledError:
            result = "forgotten"
            raise
        except ValueError as error:
            where = {"kind": parcel.kind, "mail": parcel.id}
            log.error("A mail can't be written: %s", type(error).__name__, extra=where)
        except Exception:
            log.exception("A mail failed", extra={"kind": parcel.kind, "mail": parcel.id})
        finally:
            self._end(parcel, result)

    def _write(self, parcel: Parcel) -> Message:
        """Make the mail. Raises ValueError when the recipient's address can't be one."""
        to = parcel.to or Address(None, self._sender.addr_spec)
        kind = KINDS[parcel.kind]
        site = self._public_url()
        token = parcel.token
        facts = {
            **parcel.facts,
            "link": kind.link(site, parcel.facts),
            "site": site,
            "to_name": to.name,
            "unsubscribe": None if token is None else f"{site}#/unsubscribe/{token}",
        }
        rendered = self._templates.render(parcel.kind, to.locale, facts)
        return Message(
            id=parcel.id,
            kind=parcel.kind,
            sender=self._sender,
            recipient=header_address(to.email),
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            language=rendered.language,
            written_at=now(),
            concerns=tuple(sorted(parcel.concerns)),
            # For programs, so without what a page makes of the fragment.
            unsubscribe=None if token is None else f"{site}unsubscribe?token={token}",
        )

    async def _deliver(self, message: Message, parcel: Parcel) -> str:
        """Hand the mail out, again and again if need be; answers what became of it."""
        where = {"kind": message.kind, "mail": message.id}
        for delay_s in (*RETRY_DELAYS_S, None):
            last = delay_s is None or self._flushing.is_set()
            try:
                async with self._slots:
                    await self._transport.deliver(message)
            except MailError as error:
                if parcel.unwanted:
                    return "forgotten"
                if last or delay_s is None or not error.temporary:
                    log.error("A mail was not sent: %s", error, extra=where)
                    break
                log.warning("A mail was not sent yet: %s", error, extra=where)
                self._count(message.kind, "retried")
            else:
                return "sent"
            await self._pause(delay_s * _random.uniform(0.5, 1.5))
        return "failed"

    async def _pause(self, delay_s: float) -> None:
        """Wait, but not while the service ends."""
        try:
            async with asyncio.timeout(delay_s):
                await self._flushing.wait()
        except TimeoutError:
            return

    def _end(self, parcel: Parcel, result: str) -> None:
        if parcel in self._parcels:
            del self._parcels[parcel]
            self._metrics.waiting.set(len(self._parcels))
            if result != "feigned":
                self._count(parcel.kind, result)

    def _count(self, kind: str, result: str) -> None:
        self._metrics.mails.labels(kind, result).inc()


def parse_sender(sender: str) -> HeaderAddress:
    """`Name <local@domain>` or `local@domain`. Raises ValueError."""
    name, bracket, address = sender.strip().rpartition("<")
    if bracket:
        if not address.endswith(">"):
            raise ValueError("not an address")
        address = address[:-1]
    return header_address(address, name.strip().strip('"'))
