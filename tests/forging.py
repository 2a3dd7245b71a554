"""Access tokens like ours, and not quite like ours."""

from __future__ import annotations

import base64
import json
import warnings
from typing import Any

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from commerce.accounts.tokens import ACCESS_KEY, derive_key, key_id

Claims = dict[str, Any]


def claims_of(token: str) -> Claims:
    return jwt.decode(token, options={"verify_signature": False})


def signed(secret: str, claims: Claims, algorithm: str = "HS256", **headers: str) -> str:
    """A token with these claims, signed with a service's secret."""
    headers = {"kid": key_id(secret), **headers}
    key = derive_key(secret, ACCESS_KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)  # ours is of HS256's length
        return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def changed(secret: str, token: str, **changes: object) -> str:
    """A token with other claims, signed anew. A claim that is None is left out."""
    claims = {**claims_of(token), **changes}
    return signed(secret, {name: value for name, value in claims.items() if value is not None})


def unsigned(token: str, signature: str = "") -> str:
    """A token that says to need no signature (RFC 8725, section 2.1)."""
    head, claims, _ = token.split(".")
    header = {**json.loads(base64.urlsafe_b64decode(head + "==")), "alg": "none"}
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{head}.{claims}.{signature}"
