"""Mails as files in a folder, for one machine without a mail server."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from email.parser import HeaderParser
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Final

from commerce.mail.message import CONCERNS_HEADER, Message, header_address
from commerce.mail.transport import MailError
from storage.users import email_key

FILES_MAX: Final = 2_000
"""Mails kept; beyond, a tenth goes, the oldest first."""
DRAFT_S: Final = 60.0
"""Nobody writes for so long: an older draft was left by a process that was killed."""

log = logging.getLogger(__name__)


class FolderTransport:
    """Writes each mail to `<folder>/<time>-<kind>-<id>.eml`, readable by this user alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    async def deliver(self, message: Message) -> None:
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, message))
        try:
            path = await asyncio.shield(writing)
        except asyncio.CancelledError:
            # The thread can't be stopped. Who cancels may look for files next.
            await asyncio.wait([writing])
            raise
        except OSError as error:
            reason = f"the folder can't be written ({os.strerror(error.errno or 0)})"
            raise MailError(reason, temporary=True) from error
        except ValueError as error:
            raise MailError("it can't be put into a file", temporary=False) from error
        log.info("Mail written", extra={"kind": message.kind, "file": str(path)})

    def _write(self, message: Message) -> Path:
        name = f"{message.written_at:%Y%m%dT%H%M%SZ}-{message.kind}-{message.id}.eml"
        path = self._folder / name
        draft = path.with_suffix(".part")
        with self._lock:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room()
            try:
                with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as to:
                    to.write(message.to_bytes(internal=True))
                draft.replace(path)
            except OSError:
                draft.unlink(missing_ok=True)
                raise
        return path

    def _make_room(self) -> None:
        names = sorted(name for name in os.listdir(self._folder) if name.endswith(".eml"))
        if len(names) >= FILES_MAX:
            for name in names[: FILES_MAX // 10 + 1]:
                (self._folder / name).unlink(missing_ok=True)

    async def forget(self, user_id: str, email: str | None) -> int:
        return await asyncio.to_thread(self._forget, user_id, email)

    def _forget(self, user_id: str, email: str | None) -> int:
        key = None if email is None else _key(email)
        parser = HeaderParser(policy=SMTPUTF8)
        count = 0
        with self._lock:
            self._drop_drafts()
            for path in self._folder.glob("*.eml"):
                with path.open(encoding="utf-8", errors="replace") as file:
                    headers = parser.parse(file)
                concerns = str(headers.get(CONCERNS_HEADER, "")).split()
                recipients = {email_key(one.addr_spec) for one in headers["To"].addresses}
                if user_id in concerns or key in recipients:
                    path.unlink(missing_ok=True)
                    count += 1
        return count

    def _drop_drafts(self) -> None:
        """Remove what killed processes have left; it can't be told whom that concerns."""
        for draft in self._folder.glob("*.part"):
            try:
                if time.time() - draft.stat().st_mtime > DRAFT_S:
                    draft.unlink()
            except FileNotFoundError:
                continue  # it is a mail by now


def _key(email: str) -> str:
    """What an address is compared by, in the form that it has in a header."""
    try:
        return email_key(header_address(email).addr_spec)
    except ValueError:
        return email_key(email)  # no mail went there
