"""Which mails somebody wants, and when: as it goes in and out at the doors."""

from __future__ import annotations

import re
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from commerce.notifying.zones import is_zone
from handlers.schemas import AnswerSchema, StrictBoolean
from storage.users import CHANGES, DIGEST_AT

ZONE_CHARS_MAX: Final = 64
TIME_CHARS: Final = 5
ZONE_EXAMPLE: Final = "Europe/Vienna"
QUIET_EXAMPLE: Final = {"from": "22:00", "to": "07:00"}
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _is_time(text: str) -> None:
    if _TIME.fullmatch(text) is None:
        raise ValidationError("Not a time of day like 08:00 or 22:30.")


def _is_zone(name: str) -> None:
    if not is_zone(name):
        raise ValidationError("Not a time zone of the IANA's, like Europe/Vienna.")


def time_field(example: str, description: str, **options: Any) -> fields.String:
    """A time of day, in the member's own time zone."""
    return fields.String(
        validate=(validate.Length(max=TIME_CHARS), _is_time),
        metadata={
            "pattern": f"^({_TIME.pattern})$",
            "description": description,
            "examples": [example],
        },
        **options,
    )


def zone_field(**options: Any) -> fields.String:
    return fields.String(
        allow_none=True,
        validate=(validate.Length(max=ZONE_CHARS_MAX), _is_zone),
        metadata={
            "description": "Where one's times of day are meant, by its name in the IANA's time"
            " zone database. null: UTC.",
            "examples": [ZONE_EXAMPLE],
        },
        **options,
    )


def digest_field(**options: Any) -> fields.String:
    return time_field(DIGEST_AT, "When the mail of the day is sent.", **options)


def _shared(field: type[fields.Boolean]) -> fields.Boolean:
    return field(metadata={"description": "Somebody let me in to a cart. Without a choice: true."})


def _changes() -> fields.String:
    return fields.String(
        validate=validate.OneOf(CHANGES),
        metadata={
            "description": "What others change in my carts while I'm away. `digest`: one mail a"
            " day; `at_once`: one when somebody has changed things for ten minutes; `none`: none."
            " Without a choice: `digest`.",
            "examples": [CHANGES[0]],
        },
    )


class NotificationsSchema(Schema):
    """Which mails are wanted. Those about an account's safety always come."""

    shared = _shared(StrictBoolean)
    changes = _changes()


class ChosenNotificationsSchema(AnswerSchema):
    """Which mails somebody wants, as far as they have chosen."""

    shared = _shared(fields.Boolean)
    changes = _changes()


class QuietHoursSchema(Schema):
    """When no mail about carts is to come; what is due then comes at their end."""

    from_ = time_field(
        QUIET_EXAMPLE["from"],
        "The first minute of them.",
        required=True,
        data_key="from",
        attribute="from",
    )
    to = time_field(
        QUIET_EXAMPLE["to"],
        "The first minute after them; before `from` it is that of the next day.",
        required=True,
    )

    @validates_schema
    def _last_some_time(self, hours: dict[str, str], **_: Any) -> None:
        if hours.get("from") is not None and hours.get("from") == hours.get("to"):
            raise ValidationError("They end when they begin.", "to")


def quiet_field(**options: Any) -> fields.Nested:
    return fields.Nested(
        QuietHoursSchema,
        allow_none=True,
        metadata={
            "description": "When no mail about carts is to come; null: it may at any time.",
        },
        **options,
    )
