"""What goes in and out at the doors of accounts."""

from __future__ import annotations

import re
from typing import Final

from marshmallow import Schema, ValidationError, fields, validate

from commerce.money import is_currency
from handlers.auth.choices import (
    ZONE_EXAMPLE,
    ChosenNotificationsSchema,
    NotificationsSchema,
    digest_field,
    quiet_field,
    zone_field,
)
from handlers.openapi import Answer
from handlers.schemas import AnswerSchema, StrippedString, encodable, readable
from storage.users import DIGEST_AT

EMAIL_CHARS_MAX: Final = 254  # RFC 5321's limit on a path, without its angle brackets
NAME_CHARS_MAX: Final = 100
PASSWORD_CHARS_MIN: Final = 8
PASSWORD_CHARS_MAX: Final = 1024
TOKEN_CHARS_MAX: Final = 300
LANGUAGE_CHARS_MAX: Final = 35  # BCP 47 says that this is enough
CURRENCY_CHARS: Final = 3
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
UNSUBSCRIBE_EXAMPLE: Final = "usr_5f0c2a9be1d34c7788aa01ff.changes.9f86d0…"
LINK_EXAMPLE: Final = "usr_5f0c2a9be1d34c7788aa01ff.qrRT2c…"

EMAIL_EXAMPLE: Final = "ada@shop.example"
PASSWORD_EXAMPLE: Final = "correct horse battery staple"  # noqa: S105 - nobody's
NEW_PASSWORD_EXAMPLE: Final = "nine tea cups on a tray"  # noqa: S105
USER_EXAMPLE: Final = {
    "id": "usr_5f0c2a9be1d34c7788aa01ff",
    "email": EMAIL_EXAMPLE,
    "name": "Ada",
    "role": "customer",
    "guest": False,
    "confirmed": True,
    "locale": "en",
    "currency": "EUR",
    "notifications": {},
    "time_zone": ZONE_EXAMPLE,
    "quiet_hours": None,
    "digest_at": DIGEST_AT,
}
GUEST_EXAMPLE: Final = {
    **USER_EXAMPLE,
    "email": None,
    "guest": True,
    "confirmed": False,
    "locale": None,
    "currency": None,
    "time_zone": None,
}
SESSION_EXAMPLE: Final = {
    "user": USER_EXAMPLE,
    "access_token": "eyJhbGciOi…",
    "token_type": "Bearer",
    "expires_in": 600,
    "refresh_token": "ses_5f0c2a9be1d34c7788aa01ff.0.9f86d0…",
    "refresh_expires_in": 2_592_000,
}


def email_field() -> fields.Email:
    return fields.Email(
        required=True,
        validate=(validate.Length(max=EMAIL_CHARS_MAX), encodable),
        metadata={"description": "Case doesn't matter.", "examples": [EMAIL_EXAMPLE]},
    )


def new_password_field() -> fields.String:
    return fields.String(
        required=True,
        validate=(validate.Length(PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX), encodable),
        metadata={
            "format": "password",
            "description": "A long passphrase counts in full. What many people use is refused, and"
            " one's own address and name.",
            "examples": [PASSWORD_EXAMPLE],
        },
    )


def link_field() -> fields.String:
    return fields.String(
        required=True,
        validate=(validate.Length(1, TOKEN_CHARS_MAX), encodable),
        metadata={
            "description": "What follows the last `/` in the mailed link.",
            "examples": [LINK_EXAMPLE],
        },
    )


def password_field(*, required: bool = True) -> fields.String:
    """One that is compared. No lower limit: too short to be anybody's is wrong, not malformed."""
    return fields.String(
        required=required,
        validate=(validate.Length(max=PASSWORD_CHARS_MAX), encodable),
        metadata={"format": "password", "examples": [PASSWORD_EXAMPLE]},
    )


def name_field(*, required: bool = True) -> StrippedString:
    return StrippedString(
        required=required,
        validate=(validate.Length(1, NAME_CHARS_MAX), readable),
        metadata={"description": "How others see you.", "examples": ["Ada"]},
    )


def session_field() -> fields.String:
    return fields.String(
        load_default="token",
        validate=validate.OneOf(("token", "cookie")),
        metadata={
            "description": "`token`: the answer holds tokens, for apps and servers. `cookie`: it"
            " sets a cookie, for pages, and holds what goes into `X-CSRF-Token`.",
            "examples": ["token"],
        },
    )


class RegisterSchema(Schema):
    """A new account."""

    email = email_field()
    password = new_password_field()
    name = name_field()
    session = session_field()


class GuestSchema(Schema):
    """Somebody without an account."""

    name = name_field()
    session = session_field()


class LoginSchema(Schema):
    """What proves who you are."""

    email = email_field()
    password = password_field()
    session = session_field()


class RefreshSchema(Schema):
    """What an earlier answer gave to renew the access token with."""

    refresh_token = fields.String(
        required=True,
        validate=(validate.Length(1, TOKEN_CHARS_MAX), encodable),
        metadata={"examples": [SESSION_EXAMPLE["refresh_token"]]},
    )


class ConfirmSchema(Schema):
    """What was mailed to the address."""

    token = link_field()


class UnsubscribeSchema(Schema):
    """What was mailed: whose mails are to end, and which."""

    token = fields.String(
        required=True,
        validate=(validate.Length(1, TOKEN_CHARS_MAX), encodable),
        metadata={
            "description": "What follows the last `/` in the mailed link.",
            "examples": [UNSUBSCRIBE_EXAMPLE],
        },
    )


class EndedMailsSchema(AnswerSchema):
    """Which mails have ended."""

    ended = fields.String(
        required=True,
        validate=validate.OneOf(("changes", "shared", "cart")),
        metadata={
            "description": "`changes`: about changes in all carts; `shared`: about being let in to"
            " one; `cart`: that cart is muted."
        },
    )
    cart = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The cart that is muted.", "examples": [None]},
    )


class ResetSchema(Schema):
    """Whose password is lost."""

    email = email_field()


class ResetCompleteSchema(Schema):
    """What was mailed to the address, and the password to be."""

    token = link_field()
    password = new_password_field()


class PasswordSchema(Schema):
    """The password that is, and the one to be."""

    current_password = password_field()
    new_password = new_password_field()


class DeleteSchema(Schema):
    """What proves that the account is one's own. Guests have nothing to prove."""

    password = password_field(required=False)


def _is_language(tag: str) -> None:
    if _LANGUAGE.fullmatch(tag) is None:
        raise ValidationError("Not a language tag like de or pt-BR.")


def _is_currency(code: str) -> None:
    if not is_currency(code):
        raise ValidationError("Not a currency of ISO 4217; write three capitals, like EUR.")


class ProfileSchema(Schema):
    """What is to be changed; what isn't there stays."""

    name = name_field(required=False)
    locale = fields.String(
        allow_none=True,
        validate=(validate.Length(max=LANGUAGE_CHARS_MAX), _is_language),
        metadata={
            "description": "A language tag (BCP 47), for mails and how things are written.",
            "examples": ["en"],
        },
    )
    currency = fields.String(
        allow_none=True,
        validate=(validate.Length(max=CURRENCY_CHARS), _is_currency),
        metadata={"description": "What a new cart begins with.", "examples": ["EUR"]},
    )
    notifications = fields.Nested(
        NotificationsSchema,
        metadata={"description": "What isn't named stays as it was chosen."},
    )
    time_zone = zone_field()
    quiet_hours = quiet_field()
    digest_at = digest_field()


class ExportSchema(AnswerSchema):
    """Everything that is stored about an account."""

    profile = fields.Dict(required=True)
    devices = fields.List(fields.Dict(), required=True)
    invitations = fields.Dict(
        required=True,
        metadata={"description": "`sent`, and `received` at a confirmed address."},
    )
    notifications = fields.List(
        fields.Dict(),
        required=True,
        metadata={"description": "What one was told of others' doings, the latest first."},
    )
    muted = fields.List(
        fields.String(), required=True, metadata={"description": "Carts that one has muted."}
    )
    carts = fields.List(
        fields.Dict(),
        required=True,
        metadata={
            "description": "The carts that one is in, each with one's `role`, the `lines` and"
            " `saved` lines for one, the cart's `note`, up to which rev one has `seen` it live, and"
            " under `history` all that one did there."
        },
    )
    former_carts = fields.List(
        fields.Dict(),
        required=True,
        metadata={
            "description": "The carts that one isn't in any more, or that were deleted, each with"
            " all that one did there under `history`."
        },
    )


class NothingSchema(AnswerSchema):
    """An empty object: there is nothing to tell."""


MAILED: Final = Answer(
    description="A mail is on its way, if one is called for", schema=NothingSchema, example={}
)


class UserSchema(AnswerSchema):
    """An account, to its owner. A guest's `email` is null."""

    id = fields.String(required=True, metadata={"examples": [USER_EXAMPLE["id"]]})
    email = fields.Email(required=True, allow_none=True, metadata={"examples": [EMAIL_EXAMPLE]})
    name = fields.String(required=True, metadata={"examples": ["Ada"]})
    role = fields.String(
        required=True, validate=validate.OneOf(("customer", "seller", "support", "admin"))
    )
    guest = fields.Boolean(required=True)
    confirmed = fields.Boolean(
        required=True, metadata={"description": "The address is known to be theirs."}
    )
    locale = fields.String(required=True, allow_none=True, metadata={"examples": ["en"]})
    currency = fields.String(required=True, allow_none=True, metadata={"examples": ["EUR"]})
    notifications = fields.Nested(ChosenNotificationsSchema, required=True)
    time_zone = zone_field(required=True)
    quiet_hours = quiet_field(required=True)
    digest_at = digest_field(required=True)


class MeSchema(UserSchema):
    """Who is signed in, and for pages the token that goes into `X-CSRF-Token`."""

    csrf_token = fields.String(metadata={"description": "Only with a cookie."})


class PresentSchema(AnswerSchema):
    """Who is signed in, if anybody is, and for pages the token that goes into `X-CSRF-Token`."""

    user = fields.Nested(UserSchema, required=True, allow_none=True)
    csrf_token = fields.String(metadata={"description": "Only with a cookie."})


class SessionSchema(AnswerSchema):
    """An account and what opens it: a token to send as `Authorization: Bearer`, or a cookie."""

    user = fields.Nested(UserSchema, required=True)
    access_token = fields.String(metadata={"examples": ["eyJhbGciOi…"]})
    token_type = fields.String(validate=validate.Equal("Bearer"))
    expires_in = fields.Integer(
        metadata={"description": "The access token's, in seconds.", "examples": [600]}
    )
    refresh_token = fields.String(
        metadata={"description": "For one use; the answer to that holds the next."}
    )
    refresh_expires_in = fields.Integer(
        metadata={"description": "In seconds, if it isn't used before.", "examples": [2_592_000]}
    )
    csrf_token = fields.String(metadata={"description": "Instead of tokens, with a cookie."})


class DeviceSchema(AnswerSchema):
    """A sign-in of mine."""

    id = fields.String(required=True, metadata={"examples": ["ses_5f0c2a9be1d34c7788aa01ff"]})
    device = fields.String(required=True, metadata={"examples": ["Firefox on Linux"]})
    kind = fields.String(required=True, validate=validate.OneOf(("token", "cookie")))
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    used_at = fields.String(required=True, metadata={"format": "date-time"})
    current = fields.Boolean(required=True, metadata={"description": "The one that asks."})


class DevicesSchema(AnswerSchema):
    """Where I am signed in, the device used last first."""

    items = fields.List(fields.Nested(DeviceSchema), required=True)


class DevicePathSchema(Schema):
    """Which of my sign-ins."""

    id = fields.String(required=True, metadata={"examples": ["ses_5f0c2a9be1d34c7788aa01ff"]})
