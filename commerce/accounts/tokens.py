"""Access tokens: JWT, HS256 and nothing else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import jwt

from commerce.accounts.errors import ExpiredTokenError, InvalidTokenError

ALGORITHM: Final = "HS256"
# A token made for another purpose names another audience, and is no access token.
AUDIENCE: Final = "cartroom:access"
TOKEN_CHARS_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says: who, and until when (seconds since the epoch)."""

    user: str
    expires_at: float


class Tokens:
    """Issues and reads access tokens. `now` is the time that goes into new ones."""

    def __init__(self, secret: str, ttl_s: int, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._now = now
        self.ttl_s = ttl_s

    def issue(self, user: str) -> str:
        issued_at = int(self._now())
        claims = {
            "sub": user,
            "aud": AUDIENCE,
            "iat": issued_at,
            "exp": issued_at + self.ttl_s,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def read(self, token: str) -> Claims:
        """The claims of our own token. Raises InvalidTokenError, or its kind ExpiredTokenError."""
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise InvalidTokenError
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                # Instances' clocks differ a little: a token from a moment ahead is good.
                options={"require": ["sub", "aud", "iat", "exp"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise ExpiredTokenError from None
        except (jwt.InvalidTokenError, RecursionError):
            raise InvalidTokenError from None
        return Claims(claims["sub"], float(claims["exp"]))
