"""Every rate limit by name, but for that of a socket's own requests (`realtime.limits`).

Numbers that an operator tunes are settings; they replace the burst here.
"""

from __future__ import annotations

from typing import Final

from commerce.limits.rule import Rule

MINUTE_S: Final = 60.0
HOUR_S: Final = 3_600.0

REQUESTS: Final = Rule("requests", 1_200, MINUTE_S, "network")
"""Requests over REST. Many people can be behind one address."""
ACCOUNT_REQUESTS: Final = Rule("account-requests", 600, MINUTE_S, "account")

SOCKETS: Final = Rule("sockets", 600, MINUTE_S, "network")
"""Sockets opened, whether they say `hello` or not."""
ACCOUNT_SOCKETS: Final = Rule("account-sockets", 120, MINUTE_S, "account")

SIGN_IN: Final = Rule("sign-in", 30, MINUTE_S, "network")
"""Registrations, log-ins, and whatever else has a password checked."""
GUESSES: Final = Rule("guesses", 10, HOUR_S, "network and account")
"""Wrong passwords for one account from one network."""
GUESSES_SUSPECTED_BURST: Final = 3
"""What is left of `GUESSES`' burst while the account is under attack: see `signing_in`."""
SITE_FACTOR: Final = 16
"""How much more a site may, who can have 65,536 IPv6 networks, than each of them."""
SITE_SIGN_IN: Final = Rule("site-sign-in", SITE_FACTOR * SIGN_IN.burst, MINUTE_S, "site")
SITE_GUESSES: Final = Rule("site-guesses", SITE_FACTOR * GUESSES.burst, HOUR_S, "site and account")
FAILURES: Final = Rule("failures", 200, 2 * HOUR_S, "account")
"""Wrong passwords for one account from everywhere. It refuses nobody; with half of it used up,
100 in an hour, the account counts as under attack."""

MAILS: Final = Rule("mails", 20, HOUR_S, "network")
"""Requests that cause a mail: reset, confirm, invite."""
ACCOUNT_MAILS: Final = Rule("account-mails", 60, HOUR_S, "account")
"""Those of one signed-in account."""
MAILBOX: Final = Rule("mailbox", 6, HOUR_S, "mailbox")
"""Mails to one address, whoever causes them."""
INVITATIONS: Final = Rule("invitations", 6, HOUR_S, "mailbox")
"""Invitations to one address. Apart from `MAILBOX`, so that nobody can use up what a reset of that
account needs."""
ADDED: Final = Rule("added", 6, HOUR_S, "mailbox")
"""Mails that tell an account's address that it was let in to a cart. Apart from `INVITATIONS`,
whose refusals are told: they would tell which address is that of somebody let in often."""

EXPORTS: Final = Rule("exports", 10, HOUR_S, "account")
"""Read-outs of all that an account has: each reads a lot."""

ALL: Final[tuple[Rule, ...]] = (
    REQUESTS,
    ACCOUNT_REQUESTS,
    SOCKETS,
    ACCOUNT_SOCKETS,
    SIGN_IN,
    GUESSES,
    SITE_SIGN_IN,
    SITE_GUESSES,
    FAILURES,
    MAILS,
    ACCOUNT_MAILS,
    MAILBOX,
    INVITATIONS,
    ADDED,
    EXPORTS,
)
