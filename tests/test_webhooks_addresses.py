"""Webhooks lead to the internet at large, and to nowhere else, whatever a URL or a name says.

127.0.0.2 stands for a public address here, so that real connections can show what is let through.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import trustme
from hypothesis import example, given
from hypothesis import strategies as st

from commerce.webhooks.addresses import BadUrlError, checked_url, is_public
from commerce.webhooks.errors import InvalidWebhookError
from events.webhooks.connecting import SystemLookup
from storage.mongo import Database
from storage.webhook_documents import Answer
from storage.webhook_endpoints import Endpoint
from tests.helpers import eventually, steady_port
from tests.post import QUICK, Post, post
from tests.receiving import WAIT_S, Receiver, receiving, speaking

PUBLIC = "127.0.0.2"
PACE = replace(QUICK, timeout_s=20.0)

PRIVATE_ADDRESSES = (
    # Our own machine and networks
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1"),
    *("172.31.255.255", "192.168.1.1", "169.254.1.1", "100.64.0.1", "100.127.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%1", "febf::1", "fc00::1", "fdff::1", "fec0::1"),
    # Clouds' metadata
    *("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192"),
    # Many, nobody, or a test's
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1"),
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1", "3fff::1"),
    *("100::1", "192.88.99.1", "5f00::1", "4000::1"),
    # IPv4 in IPv6
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8"),
    *("2002:7f00:1::1", "2002:808:808::1", "2001:0:808:808::1", "2001::1"),
    # None at all
    *("", "localhost", "8.8.8", "8.8.8.8.8", "8.8.8.8/32", "0x08080808", "134744072", " 8.8.8.8"),
)
PUBLIC_ADDRESSES = (
    *("8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"),
    *("172.15.255.255", "172.32.0.0", "169.253.255.255", "192.167.255.255", "223.255.255.255"),
    *("2001:4860:4860::8888", "2606:4700::1111", "2a00::1", "64:ff9b::8.8.8.8", "2003::1"),
)


def test_which_addresses_are_public() -> None:
    assert [one for one in PRIVATE_ADDRESSES if is_public(one)] == []
    assert [one for one in PUBLIC_ADDRESSES if not is_public(one)] == []


@given(st.ip_addresses())
@example(ipaddress.ip_address("64:ff9b::7f00:1"))
@example(ipaddress.ip_address("2001:20::1"))
def test_nothing_is_public_that_the_standard_library_knows_for_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """In whichever form it is written. The library is the laxer one, and of several opinions."""
    public = is_public(str(address))
    assert is_public(address.exploded) is public
    inner = address
    if address in ipaddress.ip_network("64:ff9b::/96"):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if public:
        assert inner.is_global
        for trait in ("private", "loopback", "link_local", "multicast", "reserved", "unspecified"):
            assert not getattr(inner, f"is_{trait}"), trait
    if isinstance(address, ipaddress.IPv4Address):
        assert not is_public(f"::ffff:{address}")
        assert not is_public(f"::{address}")
        assert is_public(f"64:ff9b::{address}") is public


@given(st.ip_addresses(v=4), st.sampled_from(("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16")))
def test_all_of_a_private_network_is_private(address: ipaddress.IPv4Address, text: str) -> None:
    network = ipaddress.IPv4Network(text)
    inside = int(network.network_address) | (int(address) & int(network.hostmask))
    assert not is_public(str(ipaddress.IPv4Address(inside)))
    assert is_public(str(address)) <= address.is_global


BAD_URLS = (
    *("http://hooks.shop.example/", "ftp://hooks.shop.example/", "file:///etc/passwd"),
    *("gopher://hooks.shop.example/", "//hooks.shop.example/", "hooks.shop.example", "", " "),
    *("https://", "https:///path", "https://:443/", "https:hooks.shop.example"),
    # Who one is has no place in it, nor what the receiver wouldn't see
    *("https://user@hooks.shop.example/", "https://user:secret@hooks.shop.example/"),
    *("https://:secret@hooks.shop.example/", "https://hooks.shop.example/#part"),
    *("https://hooks.shop.example@127.0.0.1/", "https://127.0.0.1#@hooks.shop.example/"),
    *("https://127.0.0.1\\@hooks.shop.example/", "https://hooks.shop.example\\@127.0.0.1/"),
    # Ports
    *("https://hooks.shop.example:22/", "https://hooks.shop.example:80/"),
    *("https://hooks.shop.example:27017/", "https://hooks.shop.example:6379/"),
    *("https://hooks.shop.example:0/", "https://hooks.shop.example:99999/"),
    *("https://hooks.shop.example:x/", "https://hooks.shop.example:-443/"),
    # Addresses in every form
    *("https://127.0.0.1/", "https://10.0.0.1:8443/", "https://169.254.169.254/latest/"),
    *(
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[::]/",
    ),
    *("https://[64:ff9b::7f00:1]/", "https://[fd00:ec2::254]/", "https://[::1/", "https://::1/"),
    *("https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://127.1/"),
    *("https://0177.0.0.1/", "https://127.0.0.1./", "https://127.0.0.01/", "https://1/"),
    *("https://1.2.3.4.5/", "https://hooks.shop.0x7f/", "https://①②⑦.⓪.⓪.①/"),
    # Names of one's own networks
    *("https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/"),
    *("https://mongodb/", "https://printer.local/", "https://metadata.google.internal/"),
    *("https://router.home.arpa/",),
    # What other readers of it take for something else
    *(
        "https://hooks.shop.example/\r\nX: y",
        "https://hooks.shop.example/ x",
        "\thttps://a.example/",
    ),
    *("https://hooks.shop\x00.example/", "https://a.example/" + "x" * 2_000),
)
GOOD_URLS = {
    "https://hooks.shop.example": "https://hooks.shop.example",
    "https://hooks.shop.example:443/a?b=c&d": "https://hooks.shop.example/a?b=c&d",
    "https://hooks.shop.example:8443/": "https://hooks.shop.example:8443/",
    "HTTPS://Hooks.Shop.Example/A": "https://hooks.shop.example/A",
    "https://bücher.example/größe": "https://xn--bcher-kva.example/gr%C3%B6%C3%9Fe",
    "https://8.8.8.8/": "https://8.8.8.8/",
    "https://[2606:4700::1111]/": "https://[2606:4700::1111]/",
}


@pytest.mark.parametrize("url", BAD_URLS)
def test_what_can_t_be_registered(url: str) -> None:
    with pytest.raises(BadUrlError):
        checked_url(url)


def test_what_can_be_registered() -> None:
    assert {url: checked_url(url) for url in GOOD_URLS} == GOOD_URLS
    for url in GOOD_URLS.values():
        assert checked_url(url) == url
    # For development
    for url in ("http://127.0.0.1:8080/x", "https://localhost/", "http://[::1]/"):
        assert checked_url(url, private=True) == url
    for url in ("http://user@127.0.0.1/", "ftp://127.0.0.1/", "http:///"):
        with pytest.raises(BadUrlError):
            checked_url(url, private=True)


@given(st.text(max_size=60), st.sampled_from(("https://", "https://[", "https:", "")))
def test_any_text_is_a_good_url_or_none(text: str, start: str) -> None:
    try:
        url = checked_url(start + text)
    except BadUrlError:
        return
    assert checked_url(url) == url
    assert url.startswith("https://")
    assert url.isascii()


# Connections


def is_the_public_one(address: str) -> bool:
    return address == PUBLIC


Answers = Callable[[str], Awaitable[list[str]]]


def names(known: dict[str, list[str]], asked: list[str] | None = None) -> Answers:
    """A resolver that knows these names. Of several answers it gives the next one each time."""

    async def lookup(name: str) -> list[str]:
        if asked is not None:
            asked.append(name)
        if name not in known:
            raise OSError("no such name")
        return known[name]

    return lookup


def at(url: str, host: str, name: str) -> str:
    return url.replace(f"//{host}:", f"//{name}:")


async def attempted(shop: Post, endpoint: Endpoint) -> Answer:
    """What became of the first attempt at an endpoint."""

    async def last() -> Answer | None:
        return (await shop.all(endpoint))[0].last

    return await eventually(last, WAIT_S, "an attempt")


NAMES_OF_PRIVATE = {
    "one.example": ["127.0.0.1"],
    "both.example": [PUBLIC, "127.0.0.1"],
    "six.example": ["::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "mapped-public.example": [f"::ffff:{PUBLIC}"],
    "metadata.example": ["169.254.169.254"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "scoped.example": ["fe80::1%lo"],
    "any.example": ["0.0.0.0"],
}


async def test_names_that_lead_to_private_addresses_get_nothing(database: Database) -> None:
    lookup = names(NAMES_OF_PRIVATE)
    async with (
        receiving("127.0.0.1") as receiver,
        post(database, PACE, allowed=is_the_public_one, lookup=lookup) as shop,
    ):
        ends = [
            await shop.register(at(receiver.url, "127.0.0.1", name))
            for name in (*NAMES_OF_PRIVATE, "127.0.0.1", "[::1]", "nowhere.example")
        ]
        await shop.happen("crt_a")
        found = [await attempted(shop, end) for end in ends]
        errors = [one.error for one in found]
        assert errors == ["address"] * (len(ends) - 1) + ["name"]
        assert all(one.text == "" for one in found)
        assert receiver.got == []
        assert receiver.refused == []


async def test_a_name_that_leads_to_both_kinds_gets_nothing_at_either(database: Database) -> None:
    lookup = names({"both.example": [PUBLIC, "127.0.0.1"]})
    async with (
        receiving(PUBLIC) as receiver,
        post(database, PACE, allowed=is_the_public_one, lookup=lookup) as shop,
    ):
        receiver.url = at(receiver.url, PUBLIC, "both.example")
        end = await shop.register(receiver)
        await shop.happen("crt_a")
        assert (await attempted(shop, end)).error == "address"
        assert _nothing_came(receiver)


async def test_a_name_is_connected_to_where_it_was_checked(database: Database) -> None:
    """Who answers a public address first and a private one then gains nothing."""
    asked: list[str] = []

    async def rebind(name: str) -> list[str]:
        asked.append(name)
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    async with (
        receiving(PUBLIC) as receiver,
        receiving("127.0.0.1") as inside,
        post(database, PACE, allowed=is_the_public_one, lookup=rebind) as shop,
    ):
        receiver.url = at(receiver.url, PUBLIC, "rebinding.example")
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a")
        await shop.settled(endpoint, delivered=1)
        assert asked == ["rebinding.example"]
        # On another port, so that it is a new connection, for which the name is looked up anew.
        inner = await shop.register(at(inside.url, "127.0.0.1", "rebinding.example"))
        await shop.happen("crt_a")
        assert (await attempted(shop, inner)).error == "address"
        assert len(asked) == 2
        assert inside.got == []
        assert inside.refused == []


async def test_what_was_looked_up_is_checked_once_more_when_it_is_connected_to(
    database: Database,
) -> None:
    """The last look is at the very address that the socket is made for."""
    looks: list[str] = []

    def allowed_once(address: str) -> bool:
        looks.append(address)
        return len(looks) == 1

    async with (
        receiving("127.0.0.1") as receiver,
        post(
            database,
            PACE,
            allowed=allowed_once,
            lookup=names({"hooks.example": ["127.0.0.1"]}),
        ) as shop,
    ):
        end = await shop.register(at(receiver.url, "127.0.0.1", "hooks.example"))
        await shop.happen("crt_a")
        assert (await attempted(shop, end)).error == "address"
        assert receiver.got == []
        assert looks[:2] == ["127.0.0.1", "127.0.0.1"]


async def test_a_redirect_is_not_followed(database: Database) -> None:
    async with receiving(PUBLIC) as inside:

        async def lead_on(reader: object, writer: object) -> None:
            head = f"HTTP/1.1 302 Found\r\nLocation: {inside.url}\r\nContent-Length: 0\r\n\r\n"
            writer.write(head.encode())  # type: ignore[attr-defined]

        async with speaking(lead_on) as url, post(database, PACE) as shop:
            endpoint = await shop.register(url)
            await shop.happen("crt_a")
            last = await attempted(shop, endpoint)
            assert (last.status, last.error) == (302, None)
            assert inside.got == []
            assert inside.refused == []


async def test_proxies_of_the_environment_are_not_asked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{steady_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with receiving() as receiver, post(database, PACE) as shop:
        endpoint = await shop.register(receiver)
        await shop.happen("crt_a")
        await shop.settled(endpoint, delivered=1)


async def test_tls_is_checked(database: Database) -> None:
    ours, others = trustme.CA(), trustme.CA()
    client = ssl.create_default_context()
    ours.configure_trust(client)

    def server(ca: trustme.CA, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(name).configure_cert(context)
        return context

    lookup = names({"hooks.example": ["127.0.0.1"]})
    good, foreign, misnamed = "hooks.example", "hooks.example", "other.example"
    async with (
        receiving(tls=server(ours, good), name=good) as trusted,
        receiving(tls=server(others, foreign), name=good) as unknown,
        receiving(tls=server(ours, misnamed), name=good) as another,
        post(database, PACE, lookup=lookup, tls=client) as shop,
    ):
        fine = await shop.register(trusted)
        ends = [await shop.register(one) for one in (unknown, another)]
        await shop.happen("crt_a")
        await shop.settled(fine, delivered=1)
        assert [(await attempted(shop, end)).error for end in ends] == ["tls", "tls"]
        assert _nothing_came(unknown, another)


def _nothing_came(*receivers: Receiver) -> bool:
    return not any(one.got or one.refused for one in receivers)


async def test_registering_says_what_is_wrong(database: Database) -> None:
    async with post(database, private=False, deliver=False) as shop:
        for url in ("http://hooks.shop.example/", "https://127.0.0.1/"):
            with pytest.raises(InvalidWebhookError) as refused:
                await shop.register(url)
            assert refused.value.field == "url"
        made = await shop.register("https://hooks.shop.example")
        with pytest.raises(InvalidWebhookError):
            await shop.admin.change("usr_admin", made.id, {"url": "https://10.0.0.1/"})
        (kept,) = await shop.admin.all()
        assert kept.url == "https://hooks.shop.example"


async def test_the_system_s_resolver() -> None:
    lookup = SystemLookup()
    try:
        assert "127.0.0.1" in await lookup("localhost")
        for name in ("nothing.invalid", "x" * 300, "a..b", "\u3002"):
            with pytest.raises(OSError):  # noqa: PT011 - whichever of them
                await lookup(name)
    finally:
        lookup.close()
