"""Mail: one port through which the service writes to people.

`Mailer.send` is all that the rest of the service knows. What a mail says is in `templates/`, by
language and kind; how it leaves is up to a `Transport`: SMTP, or files in a folder.
"""

from __future__ import annotations

from commerce.mail.folder import FolderTransport
from commerce.mail.kinds import KINDS
from commerce.mail.mailer import Mailer
from commerce.mail.message import Address, Message
from commerce.mail.metrics import MailMetrics
from commerce.mail.smtp import SmtpServer, SmtpTransport
from commerce.mail.transport import MailError, Transport

__all__ = [
    "KINDS",
    "Address",
    "FolderTransport",
    "MailError",
    "MailMetrics",
    "Mailer",
    "Message",
    "SmtpServer",
    "SmtpTransport",
    "Transport",
]
