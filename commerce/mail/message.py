"""One mail: whom it goes to, whom it concerns, and its form on the way.

The form is made by `email.message.EmailMessage`. Only the subject is free text in a header; the
recipient's name is in the text alone, so that no name can become part of an address.
"""

from __future__ import annotations

import email.policy
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address as HeaderAddress
from email.headerregistry import BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import EmailPolicy, Policy
from typing import Any, Final

import idna

CONCERNS_HEADER: Final = "X-Cartroom-Concerns"

# Without what would have to be quoted: nobody's address has that, but what poses as an address.
_LOCAL_PART: Final = re.compile(r"""[^\s()<>\[\]:;@\\,"]+""")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class _WebAddressHeader(UnstructuredHeader, BaseHeader):
    """A header whose line is never folded: mail programs don't put a web address together again."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


def _policy(policy: EmailPolicy[Any]) -> EmailPolicy[Any]:
    headers = HeaderRegistry()
    headers.map_to_type("list-unsubscribe", _WebAddressHeader)
    return policy.clone(header_factory=headers)


_SMTP: Final = _policy(email.policy.SMTP)
_SMTPUTF8: Final = _policy(email.policy.SMTPUTF8)


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody to write to. `user_id` is None for who has no account.

    `locale` is a language tag (BCP 47) that says in which language, where there is a choice.
    """

    user_id: str | None
    email: str
    name: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A mail ready to leave. `id` names it in logs; `concerns` are users' ids, sorted.

    `unsubscribe` is where such mails are ended by a POST (RFC 8058), an address in ASCII.
    """

    id: str
    kind: str
    sender: HeaderAddress
    recipient: HeaderAddress
    subject: str
    text: str
    html: str
    language: str
    written_at: datetime
    concerns: tuple[str, ...] = ()
    unsubscribe: str | None = None

    @property
    def international(self) -> bool:
        """Whether only a server that knows SMTPUTF8 (RFC 6531) can take it."""
        return not (self.sender.addr_spec + self.recipient.addr_spec).isascii()

    def to_bytes(self, *, internal: bool = False) -> bytes:
        """The mail as RFC 5322 has it, with CRLF.

        `internal` ones stay with us: they say whom they concern, and are easily read.
        """
        message = EmailMessage(_SMTPUTF8 if self.international else _SMTP)
        message["From"] = self.sender
        message["To"] = self.recipient
        message["Subject"] = self.subject
        message["Date"] = self.written_at
        message["Message-ID"] = f"<{self.id}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        if self.unsubscribe is not None:
            message["List-Unsubscribe"] = f"<{self.unsubscribe}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        if internal:
            message[CONCERNS_HEADER] = " ".join(self.concerns)
        encoding = _encoding(self.text + self.html, internal)
        message.set_content(self.text, cte=encoding)
        message.add_alternative(self.html, subtype="html", cte=encoding)
        # Ours: what the library makes up draws from a random sequence that others may have seeded.
        message.set_boundary(f"=_{self.id}")
        message["Content-Language"] = self.language
        return message.as_bytes()


def _encoding(content: str, internal: bool) -> str | None:
    """As it is where that is allowed: other encodings break links in two. Lines are short."""
    if content.isascii():
        return "7bit"
    return "8bit" if internal else None


def header_address(address: str, name: str = "") -> HeaderAddress:
    """An address for a header, its domain in ASCII if its local part is.

    Raises ValueError for what no mail server can take.
    """
    local, _, domain = address.rpartition("@")
    if not local.isprintable() or _LOCAL_PART.fullmatch(local) is None:
        raise ValueError("not an e-mail address")
    try:
        ascii_domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError("not a domain") from None
    if _DOMAIN.fullmatch(ascii_domain) is None:
        raise ValueError("not a domain")
    return HeaderAddress(name, local, ascii_domain if local.isascii() else domain)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
