"""Errors of REST: problem documents (RFC 9457) with the codes of `realtime.errors`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import hdrs, web
from marshmallow import ValidationError

from commerce.accounts.errors import (
    AccountsError,
    DeadLinkError,
    EmailTakenError,
    GuestRoleError,
    InvalidTokenError,
    LastAdminError,
    NoSuchUserError,
    NotAllowedError,
    NotConfirmedError,
    NotSignedInError,
    PasswordsBusyError,
    UnreadableLinkError,
    WeakPasswordError,
    WrongCredentialsError,
    WrongPasswordError,
)
from commerce.webhooks.errors import (
    InvalidWebhookError,
    WebhookConflictError,
    WebhookError,
)
from handlers.schemas import ProblemTypeSchema
from realtime.errors import ERRORS, CartroomError
from storage.mongo import STORE_AWAY_ERRORS

CONTENT_TYPE: Final = "application/problem+json"
CHALLENGE: Final = 'Bearer realm="cartroom"'
PROBLEM_TYPE: Final = ProblemTypeSchema()
STORE_RETRY_AFTER_S: Final = 2.0

# What the web framework itself refuses: its status stays, the code is the nearest of ours.
_CODE_BY_STATUS: Final = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    429: "rate_limited",
    503: "unavailable",
}
_DETAIL_BY_STATUS: Final = {
    404: "There is nothing at this address",
    405: "This address doesn't take that method; the header Allow names those it takes",
    413: "The body is larger than `limit_bytes`",
    408: "The request didn't arrive in time",
    415: "Send a body of Content-Type application/json",
    417: "The only expectation met is 100-continue",
}
_KEPT_HEADERS: Final = (hdrs.ALLOW, hdrs.WWW_AUTHENTICATE, hdrs.RETRY_AFTER)


def problem_response(error: CartroomError, status: int | None = None) -> web.Response:
    """The problem document of `error`, under its own HTTP status unless another is given."""
    status = error.http_status if status is None else status
    document = document_of(error.code, error.message, status, error.extra)
    response = web.Response(
        status=status, body=json.dumps(document).encode(), content_type=CONTENT_TYPE
    )
    # It may tell what somebody has or may, and is of this moment in any case.
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    if "retry_after_s" in error.extra:
        response.headers[hdrs.RETRY_AFTER] = str(math.ceil(error.extra["retry_after_s"]))
    if status == 401:
        response.headers[hdrs.WWW_AUTHENTICATE] = CHALLENGE
    return response


def document_of(code: str, detail: str, status: int, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a problem document, those of `extra` first."""
    return {
        **extra,
        "type": f"/problems/{code}",
        "title": ERRORS[code].meaning,
        "status": status,
        "detail": detail,
        "code": code,
        "temporary": ERRORS[code].temporary,
    }


def detail_of(code: str, status: int) -> str:
    """A sentence for a refusal that has none of its own."""
    return _DETAIL_BY_STATUS.get(status, ERRORS[code].meaning)


async def explain(request: web.Request) -> web.Response:
    """What a problem's `type` leads to: the row of the table of errors."""
    row = ERRORS.get(request.match_info["code"])
    if row is None:
        raise web.HTTPNotFound
    return web.json_response(PROBLEM_TYPE.dump(row))


def problem_of(error: Exception) -> web.Response | None:
    """The answer to an exception that is a refusal; None for one that is a surprise."""
    refusal = _refusal(error)
    return None if refusal is None else problem_response(refusal)


def _refusal(error: Exception) -> CartroomError | None:
    if isinstance(error, CartroomError):
        return error
    if isinstance(error, ValidationError):
        return CartroomError(
            "bad_request",
            "Some fields are not as they must be; `errors` names them",
            errors=error.messages_dict,
        )
    if isinstance(error, AccountsError):
        return _of_accounts(error)
    if isinstance(error, WebhookError):
        return _of_webhooks(error)
    if isinstance(error, STORE_AWAY_ERRORS):
        return CartroomError(
            "unavailable",
            "The store can't be reached right now; try again",
            retry_after_s=STORE_RETRY_AFTER_S,
        )
    return None


# The first that fits. A wrong password of who is signed in is no 401: a client that hears that
# thinks they aren't any more.
_CODE_BY_REFUSAL: Final[tuple[tuple[type[AccountsError], str], ...]] = (
    (EmailTakenError, "conflict"),
    (DeadLinkError, "bad_request"),
    (UnreadableLinkError, "bad_request"),
    (WeakPasswordError, "bad_request"),
    (WrongPasswordError, "forbidden"),
    (WrongCredentialsError, "unauthorized"),
    (InvalidTokenError, "unauthorized"),
    (NotSignedInError, "unauthorized"),
    (NotAllowedError, "forbidden"),
    (NotConfirmedError, "forbidden"),
    (NoSuchUserError, "not_found"),
    (GuestRoleError, "conflict"),
    (LastAdminError, "conflict"),
    (PasswordsBusyError, "unavailable"),
)


def _of_accounts(error: AccountsError) -> CartroomError | None:
    code = next((code for kind, code in _CODE_BY_REFUSAL if isinstance(error, kind)), None)
    if code is None:
        return None
    extra: dict[str, Any] = {}
    if error.field is not None:
        extra["errors"] = {error.field: [str(error)]}
    if isinstance(error, PasswordsBusyError):
        extra["retry_after_s"] = error.retry_after_s
    return CartroomError(code, str(error), **extra)


def _of_webhooks(error: WebhookError) -> CartroomError:
    if isinstance(error, InvalidWebhookError):
        return CartroomError("bad_request", str(error), errors={error.field: [error.text]})
    code = "conflict" if isinstance(error, WebhookConflictError) else "not_found"
    return CartroomError(code, str(error))


def problem_of_framework(error: web.HTTPException, body_bytes_max: int) -> web.Response:
    """The answer to what aiohttp itself refuses: an unknown address, method, a body too large."""
    status = error.status
    code = _CODE_BY_STATUS.get(status, "internal" if status >= 500 else "bad_request")
    detail = _DETAIL_BY_STATUS.get(status, error.reason)
    refusal = CartroomError(code, detail)
    if status == 413:
        refusal.extra["limit_bytes"] = body_bytes_max
    response = problem_response(refusal, status)
    for name in _KEPT_HEADERS:
        if name in error.headers:
            response.headers[name] = error.headers[name]
    return response
