"""Other people's accounts: for administrators and support."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from marshmallow import Schema, fields, validate

from commerce.accounts.policy import ROLES, Action
from handlers import keys
from handlers.auth import schemas
from handlers.auth.answers import done, private
from handlers.openapi import Answer, Link, Operation, Route
from handlers.requests import json_body, signed_in
from handlers.schemas import AnswerSchema, StrictBoolean

_EXAMPLE: Final = {
    "id": schemas.USER_EXAMPLE["id"],
    "email": schemas.EMAIL_EXAMPLE,
    "name": "Ada",
    "role": "customer",
    "guest": False,
    "confirmed": True,
    "disabled": False,
}


class PersonSchema(AnswerSchema):
    """An account, to those who look after accounts. A guest's `email` is null."""

    id = fields.String(required=True, metadata={"examples": [_EXAMPLE["id"]]})
    email = fields.Email(
        required=True, allow_none=True, metadata={"examples": [schemas.EMAIL_EXAMPLE]}
    )
    name = fields.String(required=True, metadata={"examples": ["Ada"]})
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    guest = fields.Boolean(required=True)
    confirmed = fields.Boolean(
        required=True, metadata={"description": "The address is known to be theirs."}
    )
    disabled = fields.Boolean(required=True, metadata={"description": "Locked out."})


class PeopleSchema(AnswerSchema):
    """The account found, if there is one."""

    items = fields.List(fields.Nested(PersonSchema), required=True)


class FindPersonSchema(Schema):
    """Whose account. It is no query: an address has no place in those, which proxies log."""

    email = schemas.email_field()


class PersonPathSchema(Schema):
    """Which account."""

    id = fields.String(required=True, metadata={"examples": [_EXAMPLE["id"]]})


class PersonChangeSchema(Schema):
    """What is to be different. What isn't named stays."""

    role = fields.String(validate=validate.OneOf(ROLES), metadata={"examples": ["seller"]})
    disabled = StrictBoolean(metadata={"description": "Lock them out, or let them in."})


_PERSON: Final = PersonSchema()
_PEOPLE: Final = PeopleSchema()
_ASKED: Final = FindPersonSchema()
_CHANGE: Final = PersonChangeSchema()


async def find(request: web.Request) -> web.Response:
    asked = await json_body(request, _ASKED)
    found = await request.app[keys.PEOPLE].find_by_email(signed_in(request), asked["email"])
    return private(_PEOPLE.dump({"items": [] if found is None else [found]}))


async def see(request: web.Request) -> web.Response:
    user = request.match_info["id"]
    return private(_PERSON.dump(await request.app[keys.PEOPLE].find(signed_in(request), user)))


async def change(request: web.Request) -> web.Response:
    changes = await json_body(request, _CHANGE)
    user = request.match_info["id"]
    changed = await request.app[keys.PEOPLE].change(signed_in(request), user, **changes)
    return private(_PERSON.dump(changed))


async def sign_out(request: web.Request) -> web.Response:
    await request.app[keys.PEOPLE].sign_out(signed_in(request), request.match_info["id"])
    return done()


ROUTES: Final = (
    Route(
        "POST",
        "/api/v1/auth/find-user",
        find,
        Action.FIND_USERS,
        Operation(
            id="findUsers",
            summary="Whose is this address",
            tag="people",
            body=FindPersonSchema,
            body_example={"email": schemas.EMAIL_EXAMPLE},
            answers={
                200: Answer(
                    description="The account with exactly this address, or none",
                    schema=PeopleSchema,
                    example={"items": [_EXAMPLE]},
                    links=(
                        Link("seeUser", "/items/0/id", "id"),
                        Link("changeUser", "/items/0/id", "id"),
                        Link("signOutUser", "/items/0/id", "id"),
                    ),
                )
            },
            errors=("bad_request", "unavailable"),
        ),
    ),
    Route(
        "GET",
        "/api/v1/auth/users/{id}",
        see,
        Action.FIND_USERS,
        Operation(
            id="seeUser",
            summary="One account",
            tag="people",
            path=PersonPathSchema,
            answers={200: Answer(description="The account", schema=PersonSchema, example=_EXAMPLE)},
            errors=("not_found", "unavailable"),
        ),
    ),
    Route(
        "PATCH",
        "/api/v1/auth/users/{id}",
        change,
        Action.MANAGE_USERS,
        Operation(
            id="changeUser",
            summary="Give an account another role, lock it or unlock it",
            description="A new role and a lock sign the account out everywhere, at once. Nobody"
            " changes their own, so that there is always an administrator.",
            tag="people",
            path=PersonPathSchema,
            body=PersonChangeSchema,
            body_example={"role": "seller"},
            answers={
                200: Answer(
                    description="The account as it is now",
                    schema=PersonSchema,
                    example={**_EXAMPLE, "role": "seller"},
                )
            },
            errors=("not_found", "conflict", "unavailable"),
        ),
    ),
    Route(
        "POST",
        "/api/v1/auth/users/{id}/sign-out",
        sign_out,
        Action.END_SESSIONS,
        Operation(
            id="signOutUser",
            summary="Sign somebody out everywhere",
            description="Support can't do this to administrators.",
            tag="people",
            path=PersonPathSchema,
            answers={204: Answer(description="Done")},
            errors=("not_found", "unavailable"),
        ),
    ),
)
