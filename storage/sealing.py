"""Texts that a copy of the database must not show: sealed with keys that it doesn't hold.

AES-256-GCM, under a random nonce, bound to where the text stands: put elsewhere, it doesn't open.
A sealed one is `sealed.<key's id>.<Base64 of nonce and ciphertext>`, so others can stand beside it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX: Final = "sealed."
NONCE_BYTES: Final = 12
KEY_ID_CHARS: Final = 8


class Sealing:
    """Seals with the first of these keys of 32 bytes, and opens what any of them has sealed."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {_id_of(key): AESGCM(key) for key in reversed(keys)}
        self._current = _id_of(keys[0])

    def seal(self, text: str, place: str) -> str:
        """The text as it is to be stored at this place."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, text.encode(), place.encode())
        return f"{PREFIX}{self._current}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, stored: str, place: str) -> str | None:
        """What is stored at this place; as it is if it was never sealed. None: it can't be opened.

        Either its key isn't among these, or it isn't what was sealed for this place.
        """
        if not stored.startswith(PREFIX):
            return stored
        key_id, _, sealed = stored.removeprefix(PREFIX).partition(".")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            return None
        try:
            raw = base64.b64decode(sealed, validate=True)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.encode()).decode()
        except (binascii.Error, ValueError, InvalidTag):
            return None

    def resealed(self, stored: str, place: str) -> str:
        """The same under the first key, or as it is, if it is so already or can't be opened."""
        if stored.startswith(f"{PREFIX}{self._current}."):
            return stored
        text = self.open(stored, place)
        return stored if text is None else self.seal(text, place)


def _id_of(key: bytes) -> str:
    """It can't be turned back into the key."""
    return hmac.digest(key, b"id", hashlib.sha256).hex()[:KEY_ID_CHARS]
