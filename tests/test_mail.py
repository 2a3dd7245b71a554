"""Mail, received by a real SMTP server: what arrives, and what happens when it can't."""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from commerce.mail import (
    KINDS,
    Address,
    Mailer,
    MailError,
    MailMetrics,
    Message,
    SmtpServer,
    SmtpTransport,
)
from commerce.mail import (
    mailer as mailer_module,
)
from commerce.mail.message import header_address
from commerce.mail.rendering import Rendered, Templates
from tests.client import no_errors_logged
from tests.helpers import PATIENCE_S, eventually, steady_port
from tests.mailbox import Mailbox, html_of, mail_server, read, text_of


def news_of(by_name: str, cart_name: str, product: str = "Bread") -> dict[str, Any]:
    """The facts of a mail about what this member has done."""
    entry = {"by": by_name, "kind": "changes", "what": [("add", 3)], "lines": [(3, product)]}
    cart = {"cart": "crt_1", "name": cart_name, "is_in": True, "mute": "usr_a.crt_1.mac"}
    return {"carts": [{**cart, "entries": [entry], "more": 0}], "more": 0}


ADA = Address("usr_a", "ada@shop.example", "Ada")
FACTS: dict[str, dict[str, Any]] = {
    "confirm": {"token": "usr_a.s3cr3t", "ttl_s": 86_400},
    "reset": {"token": "usr_a.s3cr3t", "ttl_s": 1_800},
    "password_changed": {},
    "sign_in_ended": {"device": "Firefox on Linux"},
    "invitation": {
        "token": "inv_1.s3cr3t",
        "ttl_s": 14 * 86_400,
        "cart_name": "Picnic",
        "by_name": "Bea",
        "role": "editor",
    },
    "added_to_cart": {
        "cart": "crt_1",
        "cart_name": "Picnic",
        "by_name": "Bea",
        "role": "editor",
    },
    **dict.fromkeys(("digest", "changes"), news_of("Bea", "Picnic")),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailer_module, "START_S", (0.0, 0.001))
    monkeypatch.setattr(mailer_module, "RETRY_DELAYS_S", (0.01,) * 3)


class Post:
    """A mailer and its figures."""

    def __init__(self, url: str) -> None:
        self.registry = CollectorRegistry()
        self.mailer = Mailer(
            SmtpTransport(SmtpServer.parse(url), timeout_s=60.0),
            sender="Cartroom <no-reply@shop.example>",
            public_url=lambda: "https://shop.example/carts/",
            metrics=MailMetrics(self.registry),
        )

    def send(self, kind: str = "confirm", to: Address = ADA, **facts: Any) -> None:
        self.mailer.send(kind, to, ["usr_b"], **(FACTS[kind] | facts))

    def count(self, result: str, kind: str = "confirm") -> float:
        labels = {"kind": kind, "result": result}
        return self.registry.get_sample_value("cartroom_mails_total", labels) or 0.0

    async def settled(self) -> None:
        await eventually(lambda: self.mailer.waiting == 0, what="the mails to be settled")


@asynccontextmanager
async def posting(url: str) -> AsyncIterator[Post]:
    post = Post(url)
    try:
        yield post
    finally:
        await post.mailer.stop(PATIENCE_S)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as mailbox:
        yield mailbox


@pytest.fixture
async def post(mailbox: Mailbox) -> AsyncIterator[Post]:
    async with posting(f"smtp://127.0.0.1:{mailbox.port}") as post:
        yield post


# What arrives


async def test_a_mail_arrives_as_it_should(post: Post, mailbox: Mailbox) -> None:
    with no_errors_logged():
        post.send("invitation")
        (mail,) = await mailbox.wait_for(1)
        await post.settled()

    envelope = mailbox.envelopes[0]
    assert (envelope.mail_from, envelope.rcpt_tos) == ("no-reply@shop.example", [ADA.email])
    assert mail["From"] == "Cartroom <no-reply@shop.example>"
    assert mail["To"] == ADA.email
    assert mail["Subject"] == "Bea invites you to the cart “Picnic”"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@shop.example>")
    age = datetime.now(UTC) - mail["Date"].datetime
    assert abs(age.total_seconds()) < 3_600
    # Ids of users are nobody's business outside.
    assert b"usr_" not in envelope.content
    link = "https://shop.example/carts/#/invitation/inv_1.s3cr3t"
    assert link in text_of(mail)
    assert f'href="{link}"' in html_of(mail)
    assert "within 14 days" in " ".join(text_of(mail).split())
    assert (post.count("sent", "invitation"), post.mailer.waiting) == (1, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_has_a_text_and_a_page(kind: str, post: Post, mailbox: Mailbox) -> None:
    post.send(kind)

    (mail,) = await mailbox.wait_for(1)
    assert mail["Subject"]
    link = KINDS[kind].link("https://shop.example/carts/", FACTS[kind])
    assert link in text_of(mail)
    assert link in html_of(mail)
    assert "Hello Ada" in text_of(mail)
    assert "Hello Ada" in html_of(mail)
    for fact in ("cart_name", "by_name", "role", "device"):
        assert str(FACTS[kind].get(fact, "")) in text_of(mail)
        assert str(FACTS[kind].get(fact, "")) in html_of(mail)


async def test_a_mail_to_nobody_known_greets_nobody(post: Post, mailbox: Mailbox) -> None:
    post.send(to=Address(None, "new@shop.example"))

    (mail,) = await mailbox.wait_for(1)
    assert text_of(mail).startswith("Hello,")


async def test_a_language_without_a_template_gets_the_english_one(tmp_path: Path) -> None:
    english = {"confirm.txt": "{% block subject %}Yes{% endblock %}", "confirm.html": "<p>Yes</p>"}
    german = {"confirm.txt": "{% block subject %}Ja{% endblock %}"}
    for language, files in (("en", english), ("de", german)):
        (tmp_path / language).mkdir()
        for name, content in files.items():
            (tmp_path / language / name).write_text(content)
    templates = Templates(tmp_path)

    told = [templates.render("confirm", locale, {}) for locale in ("de-AT", "fr", None, "../en")]
    assert [one.subject for one in told] == ["Ja", "Yes", "Yes", "Yes"]
    assert [one.html for one in told] == ["<p>Yes</p>"] * 4


# On its way


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> ssl.SSLContext:
    """A server's certificate, of an authority that this process trusts."""
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_mail_goes_over_starttls_with_a_login(server_tls: ssl.SSLContext) -> None:
    async with (
        mail_server(starttls=server_tls, login=True) as mailbox,
        posting(f"smtp://shop:s3cret%2F%40%3A@127.0.0.1:{mailbox.port}") as post,
    ):
        post.send()
        await mailbox.wait_for(1)
    assert mailbox.encrypted == [True]
    assert mailbox.logins == [(b"shop", b"s3cret/@:")]


async def test_mail_goes_over_tls_from_the_start(server_tls: ssl.SSLContext) -> None:
    async with (
        mail_server(tls=server_tls) as mailbox,
        posting(f"smtps://127.0.0.1:{mailbox.port}") as post,
    ):
        post.send()
        await mailbox.wait_for(1)
    assert mailbox.encrypted == [True]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_server_with_a_strangers_certificate_gets_nothing(
    scheme: str, server_tls: ssl.SSLContext
) -> None:
    stranger = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(stranger)
    offer = {"starttls" if scheme == "smtp" else "tls": stranger}
    async with (
        mail_server(login=scheme == "smtp", **offer) as mailbox,
        posting(f"{scheme}://shop:s3cret@127.0.0.1:{mailbox.port}") as post,
    ):
        post.send()
        await eventually(lambda: post.count("failed"), what="the mail to fail")
    assert (mailbox.envelopes, mailbox.logins) == ([], [])


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_a_login_is_not_told_without_tls() -> None:
    async with (
        mail_server(login=True) as mailbox,
        posting(f"smtp://shop:s3cret%2F%40%3A@127.0.0.1:{mailbox.port}") as post,
    ):
        post.send()
        await eventually(lambda: post.count("failed"), what="the mail to fail")
    assert (mailbox.envelopes, mailbox.logins) == ([], [])


async def test_a_refused_login_fails_at_once(server_tls: ssl.SSLContext) -> None:
    async with (
        mail_server(starttls=server_tls, login=True) as mailbox,
        posting(f"smtp://shop:wrong@127.0.0.1:{mailbox.port}") as post,
    ):
        post.send()
        await post.settled()
    assert (post.count("failed"), post.count("retried")) == (1, 0)


async def test_a_temporary_refusal_is_tried_again(post: Post, mailbox: Mailbox) -> None:
    mailbox.answers.extend(["451 4.3.0 not now", "421 busy"])
    post.send()

    (mail,) = await mailbox.wait_for(1)
    await post.settled()
    assert (post.count("retried"), post.count("sent"), post.count("failed")) == (2, 1, 0)
    assert mailbox.refused == 2
    assert mail["Subject"]


async def test_a_final_refusal_is_not(
    post: Post, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.answers.append("550 no such user ada@shop.example")
    post.send()

    await post.settled()
    assert (post.count("failed"), post.count("retried"), mailbox.envelopes) == (1, 0, [])
    (record,) = (one for one in caplog.records if one.levelno == logging.ERROR)
    assert "550" in record.getMessage()
    assert "ada@" not in caplog.text
    assert "s3cr3t" not in caplog.text


async def test_patience_ends(
    post: Post, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.answers.extend(["451 not now"] * 10)
    post.send()

    await post.settled()
    assert (post.count("failed"), post.count("retried"), mailbox.refused) == (1, 3, 4)


async def test_a_server_that_is_away_gets_the_mail_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailer_module, "RETRY_DELAYS_S", (0.02,) * 500)
    port = steady_port()
    async with posting(f"smtp://127.0.0.1:{port}") as post:
        post.send()
        await eventually(lambda: post.count("retried") >= 2, what="some tries")
        async with mail_server(port=port) as mailbox:
            await mailbox.wait_for(1)
            await post.settled()
    assert (post.count("sent"), len(mailbox.envelopes)) == (1, 1)


async def test_requests_don_t_wait_and_the_queue_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mailer_module, "WAITING_MAX", 3)
    monkeypatch.setattr(mailer_module, "RETRY_DELAYS_S", (60.0,))
    async with posting(f"smtp://127.0.0.1:{steady_port()}") as post:
        for _ in range(5):
            post.send()  # nothing is awaited
        assert post.mailer.waiting == 3
        assert post.count("dropped") == 2
        await eventually(lambda: post.count("retried") == 3, what="a first try of each")
    # At the end each had a last try.
    assert (post.mailer.waiting, post.count("failed")) == (0, 3)
    assert "ada@" not in caplog.text


async def test_what_is_waiting_leaves_at_the_end(post: Post, mailbox: Mailbox) -> None:
    for number in range(8):
        post.send(to=Address(None, f"u{number}@shop.example"))
    await post.mailer.stop(PATIENCE_S)

    assert sorted(e.rcpt_tos[0] for e in mailbox.envelopes) == [
        f"u{number}@shop.example" for number in range(8)
    ]


async def test_the_end_waits_for_no_silent_server(caplog: pytest.LogCaptureFixture) -> None:
    connected = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    post = Post(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    post.send()
    await connected.wait()
    await post.mailer.stop(0.05)
    server.close()
    await server.wait_closed()

    assert (post.count("dropped"), post.mailer.waiting) == (1, 0)


async def test_what_concerns_a_forgotten_user_is_dropped(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer_module, "RETRY_DELAYS_S", (60.0,))
    mailbox.answers.extend(["451 not now"] * 3)
    async with posting(f"smtp://127.0.0.1:{mailbox.port}") as post:
        post.send(to=Address("usr_c", "cem@shop.example"))  # it names usr_b
        post.mailer.send("password_changed", Address("usr_b", "bea@shop.example"))
        post.mailer.send("password_changed", Address(None, "Ada@Shop.example"))
        await eventually(lambda: mailbox.refused == 3, what="a try of each")
        await post.mailer.forget("usr_b")
        assert post.mailer.waiting == 1
        await post.mailer.forget("usr_a", "ada@shop.example")
        assert post.mailer.waiting == 0
    assert mailbox.mails == []
    assert post.count("forgotten") == 1
    assert post.count("forgotten", "password_changed") == 2


class Deaf:
    """A transport that misses being cancelled, as what it is built on may."""

    def __init__(self) -> None:
        self.tries = 0
        self.busy = asyncio.Event()

    async def deliver(self, _message: Message) -> None:
        self.tries += 1
        self.busy.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise MailError("not now", temporary=True) from None

    async def forget(self, _user_id: str, _email: str | None) -> int:
        return 0


async def test_a_delivery_that_misses_being_cancelled_is_the_last() -> None:
    deaf = Deaf()
    mailer = Mailer(deaf, sender="no-reply@shop.example", public_url=lambda: "https://x.example/")
    mailer.send("confirm", ADA, **FACTS["confirm"])
    await deaf.busy.wait()
    await mailer.forget("usr_a")
    assert (mailer.waiting, deaf.tries) == (0, 1)
    await mailer.stop()


async def test_a_mail_after_the_end_is_dropped(post: Post, mailbox: Mailbox) -> None:
    await post.mailer.stop()
    post.send()
    assert (post.mailer.waiting, post.count("dropped"), mailbox.envelopes) == (0, 1, [])


async def test_a_feigned_mail_goes_to_nobody(post: Post, mailbox: Mailbox) -> None:
    post.mailer.feign("reset", **FACTS["reset"])
    assert post.mailer.waiting == 1
    await post.settled()

    post.send("reset")
    await mailbox.wait_for(1)
    await post.settled()
    assert post.count("sent", "reset") == 1
    assert len(mailbox.envelopes) == 1


@pytest.mark.parametrize(
    ("kind", "facts"), [("nothing", {}), ("confirm", {}), ("password_changed", {"a": 1})]
)
async def test_a_mail_that_is_none_is_a_fault_of_the_program(
    post: Post, kind: str, facts: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="no mail"):
        post.mailer.send(kind, ADA, **facts)


# Addresses and names


async def test_an_address_beyond_ascii_goes_to_a_server_that_knows_them(mailbox: Mailbox) -> None:
    async with posting(f"smtp://127.0.0.1:{mailbox.port}") as post:
        post.send(to=Address(None, "äda@bücher.example"))
        post.send(to=Address(None, "ada@bücher.example"))
        mails = await mailbox.wait_for(2)
    assert {mail["To"] for mail in mails} == {"äda@bücher.example", "ada@xn--bcher-kva.example"}


async def test_an_address_beyond_ascii_fails_where_none_are_known() -> None:
    async with (
        mail_server(international=False) as mailbox,
        posting(f"smtp://127.0.0.1:{mailbox.port}") as post,
    ):
        post.send(to=Address(None, "äda@shop.example"))
        await post.settled()
        assert (post.count("failed"), post.count("retried")) == (1, 0)
        post.send(to=Address(None, "ada@bücher.example"))
        (mail,) = await mailbox.wait_for(1)
    assert mail["To"] == "ada@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "address",
    [
        "a@shop.example\r\nBcc: eve@evil.example",
        "a@shop.example>, <eve@evil.example",
        "a\n@shop.example",
        "a@shop.example, eve@evil.example",
        "shop.example",
        "@shop.example",
        "a@",
        "a@b c",
        "a@-",
        "a\x00@shop.example",
    ],
)
async def test_what_is_no_address_gets_no_mail(address: str, post: Post, mailbox: Mailbox) -> None:
    post.send(to=Address(None, address))
    await post.settled()

    assert (post.count("failed"), mailbox.envelopes) == (1, [])


NAMES = st.one_of(
    st.text(max_size=400),
    st.sampled_from(
        [
            "x\r\nBcc: eve@evil.example",
            "x\r\n\r\n<script>",
            "=?utf-8?q?=0ABcc=3A_eve=40evil.example?=",
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "{{ 7 * 7 }}{% raw %}",
            "\u2028\u2029\x85\x0b\x0c",
            "\u202egnp.exe",
            "n" * 5_000,
            "\U0001f350" * 500,
            "\ud800",
            "https://evil.example/now",
        ]
    ),
)


@examples(deadline=None)
@given(by_name=NAMES, cart_name=NAMES, to_name=NAMES, internal=st.booleans())
def test_no_name_gets_out_of_its_place(
    by_name: str, cart_name: str, to_name: str, internal: bool
) -> None:
    mail, text, html = written(by_name, cart_name, to_name, internal)
    plain, plain_text, plain_html = written("Bea", "Picnic", "Ada", internal)

    assert [name for name, _ in mail.items()] == [name for name, _ in plain.items()]
    for name in ("From", "To", "Message-ID", "Content-Type"):
        assert mail[name].split("boundary")[0] == plain[name].split("boundary")[0]
    assert [one.addr_spec for one in mail["To"].addresses] == [ADA.email]
    assert len(mail["Subject"].splitlines()) <= 1
    assert all(len(line) <= 998 for line in mail.as_bytes().splitlines())
    assert len(text.splitlines()) == len(plain_text.splitlines())
    # As many tags as without names, and no link but ours.
    assert html.count("<") == plain_html.count("<")
    assert text.count("://") == html.count("://") == 1


@functools.cache
def written(by_name: str, cart_name: str, to_name: str, internal: bool) -> tuple[Any, str, str]:
    """An invitation with these names, read again: the mail, its text, its page."""
    facts = FACTS["invitation"] | {"by_name": by_name, "cart_name": cart_name}
    told = rendered("invitation", to_name, facts)
    message = Message(
        id="m1",
        kind="invitation",
        sender=header_address("no-reply@shop.example", "Cartroom"),
        recipient=header_address(ADA.email),
        subject=told.subject,
        text=told.text,
        html=told.html,
        language=told.language,
        written_at=datetime(2026, 5, 4, tzinfo=UTC),
        concerns=("usr_a", "usr_b"),
    )
    mail = read(message.to_bytes(internal=internal))
    return mail, text_of(mail), html_of(mail)


TEMPLATES = Templates()


def rendered(kind: str, to_name: str, facts: dict[str, Any]) -> Rendered:
    link = KINDS[kind].link("https://shop.example/", facts)
    more = {"link": link, "site": "https://shop.example/", "unsubscribe": None}
    return TEMPLATES.render(kind, None, {**facts, **more, "to_name": to_name})


@examples(deadline=None)
@given(kind=st.sampled_from(("digest", "changes")), by_name=NAMES, cart_name=NAMES, product=NAMES)
def test_no_name_gets_out_of_its_place_in_the_news(
    kind: str, by_name: str, cart_name: str, product: str
) -> None:
    told = rendered(kind, "Ada", news_of(by_name, cart_name, product))
    plain = rendered(kind, "Ada", news_of("Bea", "Picnic"))
    assert len(told.subject.splitlines()) <= 1
    assert len(told.text.splitlines()) == len(plain.text.splitlines())
    assert told.html.count("<") == plain.html.count("<")
    for text, expected in ((told.text, plain.text), (told.html, plain.html)):
        assert text.count("://") == expected.count("://")
