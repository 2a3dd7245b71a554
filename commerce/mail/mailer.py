"""The mailer: a bounded set of mails on their way, each retried until it has left or has failed.

Nobody waits for a mail. It is made some random time after it was asked for, in a thread, so that
neither an answer nor the event loop's pauses tell whether a request led to one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address as HeaderAddress
from typing import Any, Final

from commerce.mail.kinds import KINDS
from commerce.mail.message import Address, Message, header_address, now
from commerce.mail.metrics import MailMetrics
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

CANCEL_S: Final = 1.0
"""Longest wait for deliveries that were given up."""

log = logging.getLogger(__name__)

# Our own: who seeds the module's wants no draws between theirs.
_random = random.Random()  # noqa: S311 - it blurs times, and hides nothing


@dataclass(slots=True, eq=False)
class _Parcel:
    """A mail asked for. `to` is None where it is made for nobody."""

    id: str
    kind: str
    to: Address | None
    concerns: frozenset[str]
    facts: Mapping[str, Any]
    task: asyncio.Task[None] | None = field(default=None)
    unwanted: bool = False
    """It is not to be tried again. What carries it may miss being cancelled: `asyncio.wait_for`
    of Python 3.11 does, at the moment when what it waits for is there."""


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
        self._parcels: dict[_Parcel, None] = {}
        self._slots = asyncio.Semaphore(DELIVERIES_AT_ONCE)
        self._flushing = asyncio.Event()

    # For the rest of the service

    def send(self, kind: str, to: Address, concerns: Iterable[str] = (), **facts: Any) -> None:
        """Have a mail of this kind sent, soon; returns at once.

        `concerns` are the ids of users whom it names beside the recipient. Raises ValueError for
        a kind that isn't one or facts that aren't the kind's; what becomes of the mail is logged
        and counted.
        """
        users = {*concerns, to.user_id} - {None}
        self._take(kind, to, frozenset(user for user in users if user is not None), facts)

    def feign(self, kind: str, **facts: Any) -> None:
        """Do the work of a mail, and send none: for requests that must not tell whether they did.

        As busy as `send` keeps this process, so busy does this.
        """
        self._take(kind, None, frozenset(), facts)

    async def forget(self, user_id: str, email: str | None = None) -> None:
        """Drop and remove every mail that concerns this user or goes to this address.

        Those of this instance: what others have waiting leaves within their patience.
        Raises OSError when files can't be removed.
        """
        key = None if email is None else email_key(email)
        await _cancel(
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
        await _cancel(late)

    # On their way

    def _take(
        self, kind: str, to: Address | None, concerns: frozenset[str], facts: Mapping[str, Any]
    ) -> None:
        if kind not in KINDS or KINDS[kind].facts != facts.keys():
            raise ValueError(f"no mail {kind!r} with the facts {sorted(facts)}")
        if len(self._parcels) >= WAITING_MAX or self._flushing.is_set():
            self._count(kind, "dropped")
            log.error("Too many mails wait, or too late: dropped one", extra={"kind": kind})
            return
        parcel = _Parcel(secrets.token_hex(16), kind, to, concerns, facts)
        self._parcels[parcel] = None
        self._metrics.waiting.set(len(self._parcels))
        parcel.task = asyncio.get_running_loop().create_task(self._carry(parcel), name="mail")

    async def _carry(self, parcel: _Parcel) -> None:
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

    def _write(self, parcel: _Parcel) -> Message:
        """Make the mail. Raises ValueError when the recipient's address can't be one."""
        to = parcel.to or Address(None, self._sender.addr_spec)
        kind = KINDS[parcel.kind]
        link = kind.link(self._public_url(), parcel.facts)
        facts = {**parcel.facts, "link": link, "to_name": to.name}
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
        )

    async def _deliver(self, message: Message, parcel: _Parcel) -> str:
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

    def _end(self, parcel: _Parcel, result: str) -> None:
        if parcel in self._parcels:
            del self._parcels[parcel]
            self._metrics.waiting.set(len(self._parcels))
            if result != "feigned":
                self._count(parcel.kind, result)

    def _count(self, kind: str, result: str) -> None:
        self._metrics.mails.labels(kind, result).inc()


async def _cancel(parcels: list[_Parcel]) -> None:
    """Give them up, and wait for the end of what is under way."""
    tasks = [parcel.task for parcel in parcels if parcel.task is not None]
    for parcel in parcels:
        parcel.unwanted = True
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL_S)


def parse_sender(sender: str) -> HeaderAddress:
    """`Name <local@domain>` or `local@domain`. Raises ValueError."""
    name, bracket, address = sender.strip().rpartition("<")
    if bracket:
        if not address.endswith(">"):
            raise ValueError("not an address")
        address = address[:-1]
    return header_address(address, name.strip().strip('"'))
