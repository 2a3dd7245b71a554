"""Where webhooks go: one document an endpoint.

`{_id: "whk_…", url, description, types, enabled, reason, disabled_at, failing_since, created_at,
since, secret, old, v}`. Times are milliseconds since the epoch. `types` is empty for all. `since`
is when it was registered, or last switched on. `enabled` is 1 or 0, since not every server keeps
truth values apart from numbers. `failing_since` is None while deliveries arrive.
`old` holds the secrets of before that sign, too, `[{secret, until}]`. Secrets are sealed (see
`storage.sealing`); those of earlier versions stand as they are until `reseal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pymongo.errors import AutoReconnect, DuplicateKeyError, ServerSelectionTimeoutError

from storage.mongo import Collection, Database, Index
from storage.sealing import Sealing

COLLECTION: Final = "webhook_endpoints"
FORMAT_VERSION: Final = 1
INDEXES: Final[tuple[Index, ...]] = ()
"""None but `_id`: there are few, and they are read together."""

ENDPOINTS_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class OldSecret:
    """A secret of before, which signs until then, too. None: it can't be opened."""

    secret: str | None
    until: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`reason` says why it isn't enabled: admin, gone, failing or overflow; None while it is.

    `secret` is None if it can't be opened; `sealed` is as it is stored.
    """

    id: str
    url: str
    description: str
    types: tuple[str, ...]
    secret: str | None
    created_at: int
    since: int
    enabled: bool = True
    reason: str | None = None
    disabled_at: int | None = None
    failing_since: int | None = None
    old: tuple[OldSecret, ...] = ()
    sealed: str = ""

    def wants(self, type_: str) -> bool:
        """Whether events of this type are for it. `a.b.*` stands for all that begins so."""
        return not self.types or any(
            type_ == one or (one.endswith(".*") and type_.startswith(one[:-1]))
            for one in self.types
        )

    def signing_secrets(self, now_ms: int) -> tuple[str, ...]:
        """The secrets that sign now, the newest first. None if none can be opened."""
        now = (self.secret, *(one.secret for one in self.old if one.until > now_ms))
        return tuple(one for one in now if one is not None)


class WebhookEndpoints:
    """Methods raise PyMongoError when the store is away. Repeating any has no further effect."""

    def __init__(self, database: Database, sealing: Sealing) -> None:
        self._endpoints: Collection = database.collection(COLLECTION)
        self._sealing = sealing

    async def add(self, endpoint: Endpoint) -> None:
        """Store a new one. A lost answer is asked for once more."""
        document = self._document(endpoint)
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
        return sorted(map(self._endpoint, found), key=lambda one: (one.created_at, one.id))

    async def find(self, identity: str) -> Endpoint | None:
        found = await self._endpoints.find_one({"_id": identity})
        return None if found is None else self._endpoint(found)

    async def change(self, identity: str, changes: Mapping[str, Any]) -> bool:
        """Set these of url, description, types. False if there is no such endpoint."""
        return await self._set({"_id": identity}, dict(changes))

    async def rotate(self, endpoint: Endpoint, secret: str, old: tuple[OldSecret, ...]) -> bool:
        """Sign with `secret`, and with `old` beside it, as far as that can be opened.

        False if its secret isn't as in `endpoint`, or if it is gone.
        """
        values = {
            "secret": self._sealing.seal(secret, _place(endpoint.id)),
            "old": self._old(endpoint.id, old),
        }
        return await self._set({"_id": endpoint.id, "secret": endpoint.sealed}, values)

    async def reseal(self) -> list[str]:
        """Seal all secrets with the current key; answers of which endpoints some can't be opened.

        One that is replaced meanwhile is sealed anyway.
        """
        lost: list[str] = []
        for one in await self._endpoints.find({}, batch_size=2 * ENDPOINTS_MAX).to_list(None):
            place, secret = _place(one["_id"]), one["secret"]
            values = {
                "secret": self._sealing.resealed(secret, place),
                "old": [
                    {**each, "secret": self._sealing.resealed(each["secret"], place)}
                    for each in one["old"]
                ],
            }
            if values != {"secret": secret, "old": one["old"]}:
                await self._set({"_id": one["_id"], "secret": secret}, values)
            stored = [secret, *(each["secret"] for each in one["old"])]
            if any(self._sealing.open(each, place) is None for each in stored):
                lost.append(one["_id"])
        return lost

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

    def _old(self, identity: str, old: Iterable[OldSecret]) -> list[dict[str, Any]]:
        return [
            {"secret": self._sealing.seal(one.secret, _place(identity)), "until": one.until}
            for one in old
            if one.secret is not None
        ]

    def _document(self, endpoint: Endpoint) -> dict[str, Any]:
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
            "secret": self._sealing.seal(endpoint.secret or "", _place(endpoint.id)),
            "old": self._old(endpoint.id, endpoint.old),
            "v": FORMAT_VERSION,
        }

    def _endpoint(self, document: dict[str, Any]) -> Endpoint:
        identity = document["_id"]
        place = _place(identity)
        return Endpoint(
            id=identity,
            url=document["url"],
            description=document["description"],
            types=tuple(document["types"]),
            enabled=document["enabled"] == 1,
            reason=document["reason"],
            disabled_at=document["disabled_at"],
            failing_since=document["failing_since"],
            created_at=document["created_at"],
            since=document["since"],
            secret=self._sealing.open(document["secret"], place),
            old=tuple(
                OldSecret(self._sealing.open(one["secret"], place), one["until"])
                for one in document["old"]
            ),
            sealed=document["secret"],
        )


def _place(identity: str) -> str:
    """What an endpoint's secrets are sealed for."""
    return f"{COLLECTION} {identity}"
