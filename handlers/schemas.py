"""What goes in and out at the REST doors: validates requests, shapes answers, and is documented."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

EMAIL_CHARS_MAX: Final = 254  # RFC 5321's limit on a path, without its angle brackets
NAME_CHARS_MAX: Final = 100
PASSWORD_CHARS_MIN: Final = 8
PASSWORD_CHARS_MAX: Final = 1024

_BIDIRECTIONAL_CONTROLS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def _readable(name: str) -> None:
    for character in name:
        refused = unicodedata.category(character) in _REFUSED_CATEGORIES
        if refused or character in _BIDIRECTIONAL_CONTROLS:
            raise ValidationError("Contains control characters.")
    if all(unicodedata.category(character)[0] in "CMZ" for character in name):
        raise ValidationError("Contains nothing to see.")


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValidationError("Contains half a surrogate pair.") from None


class AnswerSchema(Schema):
    """Something we send: a later version may hold more, and clients ignore what they don't know."""

    class Meta:
        unknown = EXCLUDE


class StrippedString(fields.String):
    """Text without the white space around it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        return text.strip()


def _email_field() -> fields.Email:
    return fields.Email(
        required=True,
        validate=(validate.Length(max=EMAIL_CHARS_MAX), _encodable),
        metadata={"description": "Case doesn't matter.", "examples": ["ada@shop.example"]},
    )


class RegisterSchema(Schema):
    """A new account."""

    email = _email_field()
    password = fields.String(
        required=True,
        validate=(validate.Length(PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX), _encodable),
        metadata={
            "format": "password",
            "description": "A long passphrase counts in full.",
            "examples": ["correct horse battery staple"],
        },
    )
    name = StrippedString(
        required=True,
        validate=(validate.Length(1, NAME_CHARS_MAX), _readable),
        metadata={"description": "How others see you.", "examples": ["Ada"]},
    )


class LoginSchema(Schema):
    """What proves who you are."""

    email = _email_field()
    # No lower limit: a password too short to be anybody's is wrong, not malformed.
    password = fields.String(
        required=True,
        validate=(validate.Length(max=PASSWORD_CHARS_MAX), _encodable),
        metadata={"format": "password", "examples": ["correct horse battery staple"]},
    )


class UserSchema(AnswerSchema):
    """An account, to its owner."""

    id = fields.String(required=True, metadata={"examples": ["usr_5f0c2a9be1d34c7788aa01ff"]})
    email = fields.Email(required=True, metadata={"examples": ["ada@shop.example"]})
    name = fields.String(required=True, metadata={"examples": ["Ada"]})


class SessionSchema(AnswerSchema):
    """An account and the token that opens it: send it as `Authorization: Bearer`."""

    user = fields.Nested(UserSchema, required=True)
    access_token = fields.String(required=True, metadata={"examples": ["eyJhbGciOi…"]})
    token_type = fields.String(required=True, validate=validate.Equal("Bearer"))
    expires_in = fields.Integer(
        required=True, metadata={"description": "Seconds.", "examples": [86400]}
    )


class ProblemSchema(AnswerSchema):
    """An error, as RFC 9457 has it. Decide by `code`."""

    type = fields.String(required=True, metadata={"examples": ["/problems/bad_request"]})
    title = fields.String(required=True)
    status = fields.Integer(required=True, metadata={"examples": [400]})
    detail = fields.String(required=True, metadata={"description": "For a person to read."})
    code = fields.String(required=True, metadata={"examples": ["bad_request"]})
    temporary = fields.Boolean(
        required=True,
        metadata={"description": "It had no effect; sending the same again may succeed."},
    )
    errors = fields.Dict(keys=fields.String(), metadata={"description": "What is wrong, by field."})
    retry_after_s = fields.Float(metadata={"description": "Wait this long; also `Retry-After`."})
    limit_bytes = fields.Integer(metadata={"description": "The limit that was passed."})


class ProblemTypeSchema(AnswerSchema):
    """A row of the table of errors."""

    code = fields.String(required=True, metadata={"examples": ["conflict"]})
    http_status = fields.Integer(required=True, metadata={"examples": [409]})
    temporary = fields.Boolean(required=True)
    meaning = fields.String(required=True)


class ProblemCodeSchema(Schema):
    """Which row of the table of errors."""

    code = fields.String(required=True, metadata={"examples": ["conflict"]})


class AliveSchema(AnswerSchema):
    status = fields.String(required=True, validate=validate.Equal("alive"))
    version = fields.String(required=True)


_UP_OR_DOWN: Final = validate.OneOf(("up", "down"))


class DependenciesSchema(AnswerSchema):
    store = fields.String(required=True, validate=_UP_OR_DOWN)
    redis = fields.String(required=True, validate=_UP_OR_DOWN)


class ReadySchema(AnswerSchema):
    """Ready and degraded serve; unavailable and draining don't."""

    status = fields.String(
        required=True,
        validate=validate.OneOf(("ready", "degraded", "unavailable", "draining")),
    )
    dependencies = fields.Nested(DependenciesSchema, required=True)


class DocumentSchema(AnswerSchema):
    """An OpenAPI 3.1 document."""

    openapi = fields.String(required=True)
    info = fields.Dict(required=True)
    paths = fields.Dict(required=True)
