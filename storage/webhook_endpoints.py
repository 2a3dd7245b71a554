"""Where webhooks go: one document an endpoint.

`{_id: "whk_…", url, description, types, enabled, reason, disabled_at, failing_since, created_at,
since, secret, old, v}`. Times are milliseconds since the epoch. `types` is empty for all. `since`
is when it was registered, or last switched on. `enabled` is 1 or 0, since not every server keeps
truth values apart from numbers. `failing_since` is None while deliveries arrive.
`old` holds the secrets of before that sign, too, `[{secret, until}]`. Secrets are stored as they
are, since each delivery is signed with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pymongo.errors import AutoReconnect, DuplicateKeyError, ServerSelectionTimeoutError

from storage.mongo import Collection, Database, Index

COLLECTION: Final = "webhook_endpoints"
FORMAT_VERSION: Final = 1
INDEXES: Final[tuple[Index, ...]] = ()
"""None but `_id`: there are few, and they are read together."""

ENDPOINTS_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class OldSecret:
    """A secret of before, which signs until then, too."""

    secret: str
    until: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`reason` says why it isn't enabled: admin, gone, failing or overflow; None while it is."""

    id: str
    url: str
    description: str
    types: tuple[str, ...]
    secret: str
    created_at: int
    since: int
    enabled: bool = True
    reason: str | None = None
    disabled_at: int | None = None
    failing_since: int | None = None
    old: tuple[OldSecret, ...] = ()

    def wants(self, type_: str) -> bool:
        """Whether events of this type are for it. `a.b.*` stands for all that begins so."""
        return not self.types or any(
            type_ == one or (one.endswith(".*") and type_.startswith(one[:-1]))
            for one in self.types
        )

    def signing_secrets(self, now_ms: int) -> tuple[str, ...]:
        """The secrets that sign now, the newest first."""
        return (self.secret, *(one.secret for one in self.old if one.until > now_ms))


class WebhookEndpoints:
    """Methods raise PyMongoError when the store is away. Repeating any has no further effect."""

    def __init__(self, database: Database) -> None:
        self._endpoints: Collection = database.collection(COLLECTION)

    async def add(self, endpoint: Endpoint) -> None:
        """Store a new one. A lost answer is asked for once more."""
        document = _document(endpoint)
        try:
            await self._add_once(document)
        except ServerSelectionTimeoutError:
            raise  # nothing was sent
        except AutoReconnect:
            await self._add_once(document)

    async def all(self) -> list[Endpoint]:
        """All there are, in the order of their making."""
        # In one answer: see `mongo.by_ids`.
        found = await self._endpoints.find({}, batch_size=2 * ENDPOINTS_MAX).to_list(None)
        return sorted(map(_endpoint, found), key=lambda one: (one.created_at, one.id))

    async def find(self, identity: str) -> Endpoint | None:
        found = await self._endpoints.find_one({"_id": identity})
        return None if found is None else _endpoint(found)

    async def change(self, identity: str, changes: Mapping[str, Any]) -> bool:
        """Set these of url, description, types. False if there is no such endpoint."""
        return await self._set({"_id": identity}, dict(changes))

    async def rotate(self, endpoint: Endpoint, secret: str, old: tuple[OldSecret, ...]) -> bool:
        """Sign with `secret`, and with `old` beside it. False if its secret isn't as in `endpoint`,
        or if it is gone."""
        values = {"secret": secret, "old": [_old(one) for one in old]}
        return await self._set({"_id": endpoint.id, "secret": endpoint.secret}, values)

    async def enable(self, identity: str, now_ms: int) -> bool:
        """Switch it on, if it is off. False if it is on, or gone."""
        values = {
            "enabled": 1,
            "reason": None,
            "disabled_at": None,
            "failing_since": None,
            "since": now_ms,
        }
        return await self._set({"_id": identity, "enabled": 0}, values)

    async def disable(self, identity: str, reason: str, now_ms: int) -> bool:
        """Switch it off, if it is on. False if it is off, or gone."""
        values = {"enabled": 0, "reason": reason, "disabled_at": now_ms}
        return await self._set({"_id": identity, "enabled": 1}, values)

    async def note_failure(self, identity: str, now_ms: int) -> None:
        """A delivery failed; that it fails is noted as of the first time."""
        await self._set({"_id": identity, "failing_since": None}, {"failing_since": now_ms})

    async def note_success(self, identity: str) -> None:
        await self._set({"_id": identity}, {"failing_since": None})

    async def remove(self, identity: str) -> bool:
        """False if there was none."""
        return (await self._endpoints.delete_one({"_id": identity})).deleted_count == 1

    async def _set(self, selected: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
        result = await self._endpoints.update_one(selected, {"$set": values})
        return result.matched_count == 1

    async def _add_once(self, document: dict[str, Any]) -> None:
        try:
            await self._endpoints.insert_one(document)
        except DuplicateKeyError:
            return


def _old(one: OldSecret) -> dict[str, Any]:
    return {"secret": one.secret, "until": one.until}


def _document(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "_id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "types": list(endpoint.types),
        "enabled": int(endpoint.enabled),
        "reason": endpoint.reason,
        "disabled_at": endpoint.disabled_at,
        "failing_since": endpoint.failing_since,
        "created_at": endpoint.created_at,
        "since": endpoint.since,
        "secret": endpoint.secret,
        "old": [_old(one) for one in endpoint.old],
        "v": FORMAT_VERSION,
    }


def _endpoint(document: dict[str, Any]) -> Endpoint:
    return Endpoint(
        id=document["_id"],
        url=document["url"],
        description=document["description"],
        types=tuple(document["types"]),
        enabled=document["enabled"] == 1,
        reason=document["reason"],
        disabled_at=document["disabled_at"],
        failing_since=document["failing_since"],
        created_at=document["created_at"],
        since=document["since"],
        secret=document["secret"],
        old=tuple(OldSecret(one["secret"], one["until"]) for one in document["old"]),
    )
