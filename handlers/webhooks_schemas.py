"""What goes in and out at the doors of webhooks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate

from commerce.webhooks.addresses import URL_CHARS_MAX
from commerce.webhooks.types import NAMES, nearest, unknown
from handlers.schemas import AnswerSchema, StrictBoolean, StrippedString, encodable, readable
from storage.times import rfc3339
from storage.webhook_documents import STATUSES, Delivery
from storage.webhook_endpoints import Endpoint

DESCRIPTION_CHARS_MAX: Final = 200
TYPES_MAX: Final = 50
TYPE_CHARS_MAX: Final = 100
_SHOWN: Final = re.compile(rf"[\w.*-]{{1,{TYPE_CHARS_MAX}}}", re.ASCII)
"""What is repeated of a type that isn't known."""
PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = 100
REASONS: Final = ("admin", "gone", "failing", "overflow")
DELIVERY_CURSOR: Final = re.compile(r"\d{15}:\d{6}:[0-9a-f]{8}")
ENDPOINT_CURSOR: Final = re.compile(r"\d{1,3}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")

URL_EXAMPLE: Final = "https://hooks.shop.example/cartroom"
SECRET_EXAMPLE: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105 - nobody's
ENDPOINT_EXAMPLE: Final = {
    "id": "whk_5f0c2a9be1d34c7788aa01ff",
    "url": URL_EXAMPLE,
    "description": "Orders' back office",
    "types": ["cartroom.cart.*"],
    "enabled": True,
    "reason": None,
    "disabled_at": None,
    "failing_since": None,
    "created_at": "2026-11-21T10:30:00.000Z",
    "unknown_types": [],
    "old_secrets_until": [],
}
DELIVERY_EXAMPLE: Final = {
    "id": "msg_9f86d081884c7d659a2feaa0c55ad015",
    "type": "cartroom.cart.add",
    "key": "crt_5f0c2a9be1d34c7788aa01ff",
    "at": "2026-11-21T10:30:00.000Z",
    "status": "waiting",
    "attempts": 1,
    "created_at": "2026-11-21T10:30:00.100Z",
    "next_at": "2026-11-21T10:30:06.300Z",
    "done_at": None,
    "last": {
        "at": "2026-11-21T10:30:01.200Z",
        "took_ms": 87,
        "status": 503,
        "error": None,
        "text": "Back soon",
    },
}


def _moment(text: str) -> None:
    parse_moment(text)


def parse_moment(text: str) -> int:
    """Milliseconds since the epoch of a time of RFC 3339. Raises ValidationError."""
    try:
        if _TIME.fullmatch(text) is None:
            raise ValueError
        moment = datetime.fromisoformat(text.upper())
        return max(0, int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000))
    except (ValueError, OverflowError):
        raise ValidationError("Not a time of RFC 3339.") from None


def _url(*, required: bool) -> fields.String:
    return fields.String(
        required=required,
        validate=(validate.Length(1, URL_CHARS_MAX), encodable),
        metadata={
            "description": "Where to send. `https`, port 443 or 8443, a host on the internet at"
            " large.",
            "examples": [URL_EXAMPLE],
        },
    )


def _description() -> fields.String:
    return StrippedString(
        validate=(validate.Length(max=DESCRIPTION_CHARS_MAX), encodable, _readable_or_empty),
        metadata={"description": "For people.", "examples": ["Orders' back office"]},
    )


def _readable_or_empty(text: str) -> None:
    if text:
        readable(text)


class _KnownType(validate.OneOf):
    """One of the types that there are; the message says which may have been meant."""

    def __init__(self) -> None:
        super().__init__(NAMES)

    def __call__(self, value: str) -> str:
        if not unknown((value,)):
            return value
        shown = f" {value}" if _SHOWN.fullmatch(value) else ""
        meant = nearest(value) if shown else []
        known = f"Did you mean {' or '.join(meant)}?" if meant else f"Known: {', '.join(NAMES)}."
        raise ValidationError(f"There is no type{shown}. {known}")


def _types() -> fields.List[Any]:
    return fields.List(
        fields.String(
            validate=_KnownType(),
            metadata={"examples": ["cartroom.cart.*"]},
        ),
        validate=validate.Length(max=TYPES_MAX),
        metadata={
            "description": "Types of events that are sent; `a.b.*` is all that begin with `a.b.`."
            " None: all, those of later versions, too.",
            "examples": [["cartroom.cart.*"]],
        },
    )


class WebhookPathSchema(Schema):
    """Which webhook."""

    id = fields.String(required=True, metadata={"examples": [ENDPOINT_EXAMPLE["id"]]})


class DeliveryPathSchema(WebhookPathSchema):
    """Which delivery of which webhook."""

    delivery = fields.String(required=True, metadata={"examples": [DELIVERY_EXAMPLE["id"]]})


class WebhookCreateSchema(Schema):
    """Where to send what."""

    url = _url(required=True)
    types = _types()
    description = _description()


class WebhookChangeSchema(Schema):
    """What is to be different. What isn't named stays."""

    url = _url(required=False)
    types = _types()
    description = _description()
    enabled = StrictBoolean(
        metadata={"description": "Switch it on or off. What happens while it is off isn't sent."}
    )


class WebhookSchema(AnswerSchema):
    """A webhook. Its secret is told when it is made, and not again."""

    id = fields.String(required=True)
    url = fields.String(required=True)
    description = fields.String(required=True)
    types = fields.List(fields.String(), required=True)
    unknown_types = fields.List(
        fields.String(),
        required=True,
        metadata={
            "description": "Those of `types` that there aren't, from before they were looked at."
            " Nothing is sent because of them."
        },
    )
    enabled = fields.Boolean(required=True)
    reason = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf([*REASONS, None]),
        metadata={
            "description": "Why it is off. `admin`: switched off by hand. `gone`: its receiver said"
            " 410. `failing`: nothing has arrived for days. `overflow`: too much was waiting."
        },
    )
    disabled_at = fields.String(required=True, allow_none=True)
    failing_since = fields.String(
        required=True, allow_none=True, metadata={"description": "Null while deliveries arrive."}
    )
    created_at = fields.String(required=True)
    old_secrets_until = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "When the secrets of before end, that sign, too."},
    )


class NewWebhookSchema(WebhookSchema):
    """A webhook, and what verifies that a delivery is from here."""

    secret = fields.String(required=True, metadata={"examples": [SECRET_EXAMPLE]})


class PageQuerySchema(Schema):
    """Which page."""

    limit = fields.Integer(
        load_default=PAGE_DEFAULT,
        validate=validate.Range(1, PAGE_MAX),
        metadata={"description": "Most on the page.", "example": PAGE_DEFAULT},
    )
    cursor = fields.String(
        load_default=None,
        validate=validate.Regexp(f"^{ENDPOINT_CURSOR.pattern}$"),
        metadata={"description": "`next_cursor` of the page before.", "example": "20"},
    )


_DELIVERY_CURSOR_EXAMPLE: Final = "001763719800100:000000:9f86d081"


def _delivery_cursor(**options: Any) -> fields.String:
    return fields.String(
        validate=validate.Regexp(f"^{DELIVERY_CURSOR.pattern}$"),
        metadata={
            "description": "`next_cursor` of the answer before.",
            "example": _DELIVERY_CURSOR_EXAMPLE,
        },
        **options,
    )


class DeliveriesQuerySchema(Schema):
    """Which page of which deliveries."""

    limit = fields.Integer(
        load_default=PAGE_DEFAULT,
        validate=validate.Range(1, PAGE_MAX),
        metadata={"description": "Most on the page.", "example": PAGE_DEFAULT},
    )
    cursor = _delivery_cursor(load_default=None)
    status = fields.String(
        load_default=None,
        validate=validate.OneOf(STATUSES),
        metadata={"description": "Only these.", "example": "waiting"},
    )


class ReplaySchema(Schema):
    """What to send again."""

    since = fields.String(
        validate=(validate.Length(max=40), _moment),
        metadata={
            "format": "date-time",
            "description": "What was made since then. Without it: whatever is still kept.",
            "examples": ["2026-11-21T10:00:00.000Z"],
        },
    )
    failed_only = StrictBoolean(
        metadata={"description": "By default true; false: what was delivered, too."}
    )
    cursor = _delivery_cursor()


class ReplayedSchema(AnswerSchema):
    """What is sent again."""

    replayed = fields.Integer(required=True, metadata={"examples": [3]})
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Ask again with it for the rest; null when that was all."},
    )


class WebhooksSchema(AnswerSchema):
    """A page of the webhooks, the oldest first."""

    items = fields.List(fields.Nested(WebhookSchema), required=True)
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where the next page starts; null on the last one."},
    )


class LastAttemptSchema(AnswerSchema):
    """What became of an attempt: an answer's status and beginning, or an error."""

    at = fields.String(required=True)
    took_ms = fields.Integer(required=True)
    status = fields.Integer(required=True, allow_none=True)
    error = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "`timeout`; `connection`: it couldn't be reached, or broke off; `name`:"
            " no such host; `address`: the host isn't on the internet at large; `tls`: the"
            " certificate isn't good; `answer`: it was no HTTP; `secret`: nothing was sent, for the"
            " secret can't be opened with the service's keys."
        },
    )
    text = fields.String(required=True, metadata={"description": "How the answer begins."})


class DeliverySchema(AnswerSchema):
    """An event on its way to a webhook. Its `id` is what the receiver gets as `webhook-id`."""

    id = fields.String(required=True)
    type = fields.String(required=True)
    key = fields.String(
        required=True, metadata={"description": "The cart, or the sku, that it is about."}
    )
    at = fields.String(required=True, metadata={"description": "When it happened."})
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    attempts = fields.Integer(required=True)
    created_at = fields.String(required=True)
    next_at = fields.String(
        required=True, allow_none=True, metadata={"description": "When it is due, while it waits."}
    )
    done_at = fields.String(required=True, allow_none=True)
    last = fields.Nested(LastAttemptSchema, required=True, allow_none=True)


class DeliveriesSchema(AnswerSchema):
    """A page of deliveries, the newest first."""

    items = fields.List(fields.Nested(DeliverySchema), required=True)
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where the next page starts; null on the last one."},
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def endpoint_view(endpoint: Endpoint, now_ms: int) -> dict[str, Any]:
    """The endpoint as `WebhookSchema` shows it."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "types": list(endpoint.types),
        "unknown_types": unknown(endpoint.types),
        "enabled": endpoint.enabled,
        "reason": endpoint.reason,
        "disabled_at": _time(endpoint.disabled_at),
        "failing_since": _time(endpoint.failing_since),
        "created_at": _time(endpoint.created_at),
        "old_secrets_until": [rfc3339(one.until) for one in endpoint.old if one.until > now_ms],
    }


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """The delivery as `DeliverySchema` shows it."""
    last = delivery.last
    return {
        "id": delivery.message,
        "type": delivery.type,
        "key": delivery.key,
        "at": _time(delivery.time_ms),
        "status": delivery.status,
        "attempts": delivery.attempts,
        "created_at": _time(delivery.created_at),
        "next_at": _time(delivery.next_at),
        "done_at": _time(delivery.done_at),
        "last": None
        if last is None
        else {
            "at": rfc3339(last.at),
            "took_ms": last.took_ms,
            "status": last.status,
            "error": last.error,
            "text": last.text,
        },
    }
