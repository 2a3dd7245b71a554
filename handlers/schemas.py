"""What goes in and out at the REST doors: validates requests, shapes answers, and is documented."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

_BIDIRECTIONAL_CONTROLS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def readable(name: str) -> None:
    """Raise ValidationError for a text with control characters, or with nothing to see."""
    for character in name:
        refused = unicodedata.category(character) in _REFUSED_CATEGORIES
        if refused or character in _BIDIRECTIONAL_CONTROLS:
            raise ValidationError("Contains control characters.")
    if all(unicodedata.category(character)[0] in "CMZ" for character in name):
        raise ValidationError("Contains nothing to see.")


def encodable(text: str) -> None:
    """Raise ValidationError for half a surrogate pair."""
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


class StrictBoolean(fields.Boolean):
    """True or false, and none of the words and numbers that others take for them."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


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
