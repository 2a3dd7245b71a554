"""Access tokens: JWT, HS256 and nothing else, signed with the newest of our keys."""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import jwt

from commerce.accounts.errors import ExpiredTokenError, InvalidTokenError

ALGORITHM: Final = "HS256"
# A token made for another purpose names another audience, and is no access token.
AUDIENCE: Final = "cartroom:access"
TOKEN_CHARS_MAX: Final = 4096
KEY_ID_CHARS: Final = 12
HEADERS_REMEMBERED: Final = 32
ACCESS_KEY: Final = b"access tokens"
REFRESH_KEY: Final = b"refresh tokens"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says: who, on which device, and until when (seconds since the epoch)."""

    user: str
    session: str
    expires_at: float


def key_id(secret: str) -> str:
    """The `kid` of a key. It can't be turned back into the key."""
    return hashlib.sha256(b"cartroom key id\0" + secret.encode()).hexdigest()[:KEY_ID_CHARS]


class Tokens:
    """Issues and reads access tokens. `now` is the time that goes into new ones.

    The first secret signs; tokens signed with any of them are read, so that a new one can be put
    in front while tokens of the old one live out their time.
    """

    def __init__(
        self, secrets_: str | Sequence[str], ttl_s: int, now: Callable[[], float] = time.time
    ) -> None:
        keys = (secrets_,) if isinstance(secrets_, str) else tuple(secrets_)
        self._keys = {key_id(secret): derive_key(secret, ACCESS_KEY) for secret in keys}
        self._signing = key_id(keys[0])
        self._refresh_keys = [derive_key(secret, REFRESH_KEY) for secret in keys]
        self._now = now
        self.ttl_s = ttl_s

    def issue(self, user: str, session: str) -> str:
        issued_at = int(self._now())
        claims = {
            "sub": user,
            "sid": session,
            "aud": AUDIENCE,
            "iat": issued_at,
            "exp": issued_at + self.ttl_s,
            "jti": secrets.token_hex(16),
        }
        key = self._keys[self._signing]
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": self._signing})

    def read(self, token: str) -> Claims:
        """The claims of our own token. Raises InvalidTokenError, or its kind ExpiredTokenError."""
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise InvalidTokenError
        try:
            key = self._keys.get(_kid(token.partition(".")[0]))
            if key is None:
                raise InvalidTokenError
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                # Instances' clocks differ a little: a token from a moment ahead is good.
                options={"require": ["sub", "sid", "aud", "iat", "exp"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise ExpiredTokenError from None
        except (jwt.InvalidTokenError, RecursionError):
            raise InvalidTokenError from None
        user, session = claims["sub"], claims["sid"]
        if not isinstance(user, str) or not isinstance(session, str):
            raise InvalidTokenError
        return Claims(user, session, float(claims["exp"]))

    def issue_refresh(self, session: str, salt: str, generation: int) -> str:
        """The refresh token of a session's `generation`.

        Always the same, so that a client whose answer was lost gets it again. It takes our key to
        make it: what is stored won't do.
        """
        mac = _refresh_mac(self._refresh_keys[0], session, salt, generation)
        return f"{session}.{generation}.{mac}"

    def is_refresh(self, mac: str, session: str, salt: str, generation: int) -> bool:
        """Whether we made this token's last part, with any of our keys."""
        return any(
            hmac.compare_digest(_refresh_mac(key, session, salt, generation), mac)
            for key in self._refresh_keys
        )


@functools.lru_cache(HEADERS_REMEMBERED)
def _kid(header: str) -> str:
    """The key that a token's header names, not checked in any way. Raises jwt.InvalidTokenError.

    All our tokens of one key begin with the same header; reading a token whole costs more.
    """
    return str(jwt.get_unverified_header(f"{header}..").get("kid"))


def _refresh_mac(key: bytes, session: str, salt: str, generation: int) -> str:
    return hmac.digest(key, f"{session}.{generation}.{salt}".encode(), hashlib.sha256).hex()


def derive_key(secret: str, purpose: bytes) -> bytes:
    """A key for one purpose alone, of the 256 bits that HS256 asks for (RFC 7518, section 3.2)."""
    return hmac.digest(secret.encode(), b"cartroom " + purpose, hashlib.sha256)
