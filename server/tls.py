"""TLS by settings: the context to listen with."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from server.settings import Settings, SettingsError

# For TLS 1.2; those of 1.3 are good as they are. Keys are agreed on afresh, data is authenticated.
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """What to listen with, None without TLS. Raises SettingsError with what is wrong."""
    certificate, key = settings.tls_cert, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "CARTROOM_TLS_CERT" if certificate is None else "CARTROOM_TLS_KEY"
        raise SettingsError(f"{missing}: TLS needs both a certificate and its key; set this, too")
    _check_readable("CARTROOM_TLS_CERT", certificate)
    _check_readable("CARTROOM_TLS_KEY", key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # We speak nothing else; a client that wants HTTP/2 alone learns it in the handshake.
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        raise SettingsError(_explain(error)) from error
    return context


def _check_readable(variable: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{variable}: can't read {path}: {error.strerror}") from error


def _no_password() -> str:
    # OpenSSL would ask for it at the terminal, which a service doesn't have.
    raise SettingsError("CARTROOM_TLS_KEY: the key has a password; store it without one")


def _explain(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "CARTROOM_TLS_KEY: this is not the key of the certificate in CARTROOM_TLS_CERT"
    return (
        "CARTROOM_TLS_CERT, CARTROOM_TLS_KEY: expected PEM files, the server's certificate first,"
        f" then those between it and its root ({error.reason or 'not PEM'})"
    )
