"""TLS by settings: what it serves and refuses, and what it says of settings that can't work."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from aiohttp import ClientConnectorCertificateError, ClientSession
from cryptography.hazmat.primitives import serialization
from websockets.asyncio.client import connect as open_socket

from server.app import create_app
from server.settings import Settings, SettingsError
from server.tls import tls_context
from tests.helpers import PATIENCE_S
from tests.instances import environment
from tests.serving import cartroom, serving

STRICT = "max-age=31536000; includeSubDomains"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    """Paths of a certificate chain and its key, and those of another."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("one", "other"):
        issued = authority.issue_cert("127.0.0.1", "localhost")
        for blob in issued.cert_chain_pems:
            blob.write_to_path(folder / f"{name}.crt", append=True)
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
    return folder


def client_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


async def test_page_rest_and_socket_over_tls(settings, authority, files, tmp_path):
    secured = replace(settings, tls_cert=files / "one.crt", tls_key=files / "one.key")
    context = client_context(authority)
    async with serving(tmp_path, env=environment(secured)) as service, ClientSession() as http:
        assert service.url.startswith("https://127.0.0.1:")
        async with http.get(f"{service.url}/", ssl=context) as response:
            assert response.status == 200
            assert response.headers["Strict-Transport-Security"] == STRICT
            assert "<html" in await response.text()
        async with http.get(f"{service.url}/nothing", ssl=context) as response:
            assert response.headers["Strict-Transport-Security"] == STRICT
        with pytest.raises(ClientConnectorCertificateError):
            await http.get(f"{service.url}/")

        body = {"email": "ada@shop.example", "password": "correct horse battery", "name": "Ada"}
        url = f"{service.url}/api/v1/auth/register"
        async with http.post(url, json=body, ssl=context) as response:
            token = (await response.json())["access_token"]
        client = "7d0c9a52-5d3c-4f5e-9a51-0f6a4b1f2c3d"
        hello = {"id": 1, "type": "hello", "client": client, "token": token}
        address = service.url.replace("https://", "wss://") + "/ws"
        patient = {"proxy": None, "open_timeout": PATIENCE_S}
        async with open_socket(address, ssl=context, origin=service.url, **patient) as socket:
            await socket.send(json.dumps(hello))
            assert json.loads(await socket.recv())["type"] == "welcome"

        host, port = service.url.removeprefix("https://").split(":")
        assert await handshake(host, port, context, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert await handshake(host, port, context, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        for context in (old_client(authority), weak_client(authority)):
            with pytest.raises(OSError):  # noqa: PT011 - an alert, or just the end
                await asyncio.open_connection(host, int(port), ssl=context)
        assert (await plain(host, port))[:5] != b"HTTP/", "nothing is served beside TLS"


async def handshake(host, port, context, version):
    context.maximum_version = version
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    chosen = writer.get_extra_info("ssl_object").version()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    return chosen


def old_client(authority):
    """A client that speaks TLS 1.1 at best, which Python itself warns about."""
    context = client_context(authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def weak_client(authority):
    """A client of TLS 1.2 whose ciphers are of the kind before authenticated encryption."""
    context = client_context(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256")
    return context


def shake_hands(server, client):
    """Let two contexts talk to each other; the version that they agree on. Raises SSLError."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        server.wrap_bio(there, back, server_side=True),
        client.wrap_bio(back, there, server_hostname="localhost"),
    ]
    for _ in range(10):
        for side in reversed(sides):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return sides[0].version()


def test_what_is_refused_is_refused_by_us(authority, files):
    paths = files / "one.crt", files / "one.key"
    ours = tls_context(Settings(tls_cert=paths[0], tls_key=paths[1]))
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lax.load_cert_chain(*paths)
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        lax.minimum_version = ssl.TLSVersion.TLSv1
    lax.set_ciphers("ALL:@SECLEVEL=0")
    assert shake_hands(lax, old_client(authority)) == "TLSv1.1"
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        shake_hands(ours, old_client(authority))
    assert shake_hands(lax, weak_client(authority)) == "TLSv1.2"
    with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
        shake_hands(ours, weak_client(authority))
    assert shake_hands(ours, client_context(authority)) == "TLSv1.3"


async def plain(host, port):
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_without_tls_nothing_is_promised_of_it(settings, aiohttp_client):
    client = await aiohttp_client(create_app(settings))
    assert "Strict-Transport-Security" not in (await client.get("/")).headers
    forged = await client.get("/", headers={"X-Forwarded-Proto": "https"})
    assert "Strict-Transport-Security" not in forged.headers


def test_no_tls_without_settings():
    assert tls_context(Settings()) is None


def encrypted_key(folder: Path) -> Path:
    key = serialization.load_pem_private_key((folder / "one.key").read_bytes(), None)
    path = folder / "encrypted.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return path


def nonsense(folder: Path) -> Path:
    path = folder / "nonsense.pem"
    path.write_text("no certificate")
    return path


@pytest.mark.parametrize(
    ("cert", "key", "told"),
    [
        ("one.crt", None, "CARTROOM_TLS_KEY: TLS needs both"),
        (None, "one.key", "CARTROOM_TLS_CERT: TLS needs both"),
        ("missing.crt", "one.key", "CARTROOM_TLS_CERT: can't read .*missing.crt: No such file"),
        ("one.crt", "missing.key", "CARTROOM_TLS_KEY: can't read .*missing.key: No such file"),
        (".", "one.key", "CARTROOM_TLS_CERT: can't read .*: Is a directory"),
        ("one.crt", "other.key", "CARTROOM_TLS_KEY: this is not the key of the certificate"),
        (nonsense, "one.key", "expected PEM files"),
        ("one.crt", nonsense, "expected PEM files"),
        ("one.key", "one.crt", "expected PEM files"),
        ("one.crt", encrypted_key, "the key has a password"),
    ],
)
def test_files_that_cannot_work(files, cert, key, told):
    cert, key = (one(files) if callable(one) else one and files / one for one in (cert, key))
    with pytest.raises(SettingsError, match=told):
        tls_context(Settings(tls_cert=cert, tls_key=key))


async def test_serve_says_in_one_line_what_is_wrong(files, tmp_path):
    env = {
        "CARTROOM_DATA": str(tmp_path / "var"),
        "CARTROOM_TLS_CERT": str(files / "one.crt"),
        "CARTROOM_TLS_KEY": str(files / "other.key"),
    }
    status, out, error = await cartroom("serve", "--port", "0", env=env)
    assert (status, out) == (2, "")
    assert error.startswith("cartroom: CARTROOM_TLS_KEY: this is not the key")
    assert error.count("\n") == 1
    assert not (tmp_path / "var").exists(), "it is told before anything is started"
