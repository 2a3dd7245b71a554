"""Every bound of the live room, by name. `welcome.limits` carries those that a client meets."""

from __future__ import annotations

from typing import Final

import msgspec

# What a client meets.


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits told in `welcome`, and obeyed by reducer and session."""

    lines: int = 1_000
    """Lines a cart, those saved for later included."""
    members: int = 250
    pieces: int = 100_000
    """Pieces a line."""
    items: int = 200
    """Items an `add`, users a `share`."""
    frame_bytes: int = 65_536
    """Size of a frame sent to us."""
    ops_per_s: int = 50
    """Requests a socket may send a second, on average."""
    ops_burst: int = 200
    """Requests a socket may send at once after a rest."""
    carts_joined: int = 100
    """Carts a socket has joined at once."""
    in_flight: int = 1_000
    """Requests of a socket that wait for their answer."""
    resume_ops: int = 1_000
    """A client that missed more gets the state instead."""
    presence_bytes: int = 1_024
    """Size of `presence.set`'s data, as JSON."""


DEFAULT_LIMITS: Final = Limits()

# What texts may hold, in characters.
NAME_MAX: Final = 200
NOTE_MAX: Final = 2_000
SKU_MAX: Final = 200
ID_MAX: Final = 64
EMAIL_MAX: Final = 254
REQUEST_ID_MAX: Final = 64
N_MAX: Final = 2**53 - 1

# Dedupe, as part of the cart's state.
CLIENTS_PER_USER_MAX: Final = 64
"""Clients whose last number a cart remembers, a user; the one with the oldest rev goes first."""
REMOVED_REMEMBERED_MAX: Final = 250
"""Removed members whose clients' numbers a cart still remembers; who left first goes first."""
REMOVED_EVICTED_MAX: Final = 1_000
"""Removed members beyond those, of whom it remembers up to where the log has ops of theirs."""

# A room and its commits.
COMMIT_OPS_MAX: Final = 256
COMMIT_BYTES_MAX: Final = 1_048_576
ROOM_INBOX_MAX: Final = 2_000
"""Requests a room holds that have no answer yet; further ones are told to try again."""
REFUSALS_MAX: Final = 1_000
"""Final refusals a room remembers, so that late copies of those ops are refused, too."""
ROOM_SOCKETS_MAX: Final = 2_000
RACE_RETRIES_MAX: Final = 20
"""Commit races an op may lose before it is told to try again."""
HEARD_MAX: Final = 256
"""Commits of other instances that a room keeps while it waits for something else."""
CONTENTION_S: Final = 1.0
"""After a lost race, all who write that cart take turns for this long."""
ASKING_S: Final = 0.01
"""Then others have one to two times this, or half a commit time, to ask for their turn."""
RECENT_OPS_MAX: Final = 256
"""Committed ops a room keeps in memory for resuming clients and resent ops."""
RECENT_BYTES_MAX: Final = 1_048_576
RESUME_BYTES_MAX: Final = 1_048_576

# Sockets.
PUSH_BACKLOG_MAX_BYTES: Final = 262_144
"""Above this many unsent bytes a socket gets no pushes; it gets a state when it has caught up."""
PUSH_BACKLOG_LOW_BYTES: Final = 32_768
READ_BACKLOG_MAX_BYTES: Final = 1_048_576
"""Above this many unsent bytes we stop reading requests from the socket."""
READS_AT_ONCE: Final = 16
"""Joins and histories of a socket that are answered at once; an answer may take 1 MiB."""
SLOW_READER_S: Final = 30.0
"""A socket that hasn't caught up after this is closed."""
FLOOD_REFUSALS_MAX: Final = 500
"""Refusals for rate after which a socket that never paused is closed."""
HELLO_BYTES_MAX: Final = 8_192

# Reading.
HISTORY_MAX: Final = 500
HISTORY_DEFAULT: Final = 50
HISTORY_BYTES_MAX: Final = 1_048_576
LIST_PAGE: Final = 50
NOTIFICATIONS_PAGE: Final = 50
NOTIFICATIONS_PAGE_MAX: Final = 200
LIST_MEMBERS: Final = 5
"""Of a cart in a list, so many are named."""
CARTS_PER_USER_MAX: Final = 5_000
PRESENCE_FLUSH_S: Final = 0.05
"""Presence changes of a room are gathered this long into one `presence.diff`."""
SWEEP_S: Final = 1.0
BEHIND_POLL_S: Final = 0.1
