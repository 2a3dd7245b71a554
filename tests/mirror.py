"""A cart as a client keeps it: states taken over, ops applied in order. No code of the server.

Written from `protocol.md` alone, so that it disagrees with the service's reducer where that errs.
"""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]


class Broken(AssertionError):
    """What came breaks the contract."""


class Mirror:
    """One cart at `rev`. `lines` and `saved` by id, in order; `members` maps users to roles."""

    def __init__(self) -> None:
        self.rev = 0
        self.name = ""
        self.note = ""
        self.lines: dict[str, Message] = {}
        self.saved: dict[str, Message] = {}
        self.members: dict[str, str] = {}
        self.deleted = False

    @classmethod
    def of_state(cls, rev: int, state: Message) -> Mirror:
        """From the wire's `state`, or from a stored snapshot, which names the same things."""
        mirror = cls()
        mirror.rev = rev
        mirror.name, mirror.note = state["name"], state["note"]
        mirror.lines = {line["line"]: _line(line) for line in state["lines"]}
        mirror.saved = {line["line"]: _line(line) for line in state["saved"]}
        mirror.members = {member["user"]: member["role"] for member in state["members"]}
        mirror.deleted = state["status"] == "deleted"
        return mirror

    def content(self) -> Message:
        """All that two mirrors of one rev must have in common."""
        return {
            "rev": self.rev,
            "name": self.name,
            "note": self.note,
            "lines": list(self.lines.values()),
            "saved": list(self.saved.values()),
            "members": self.members,
            "deleted": self.deleted,
        }

    def pieces(self, sku: str) -> int:
        return sum(line["qty"] for line in self.lines.values() if line["sku"] == sku)

    def apply(self, rev: int, by: str, op: Message) -> None:
        """Play the op that took effect as the next rev."""
        if rev != self.rev + 1:
            raise Broken(f"rev {rev} came after {self.rev}")
        try:
            getattr(self, f"_{op['kind']}")(op, by)
        except KeyError as error:
            raise Broken(f"at rev {rev} there is no {error}: {op}") from error
        self.rev = rev

    def _refuse(self, _op: Message, _by: str) -> None:
        """Somebody's op was refused: nothing took effect."""

    def _create(self, op: Message, by: str) -> None:
        self.name = op["name"]
        self.members[by] = "owner"

    def _add(self, op: Message, _by: str) -> None:
        for item in op["items"]:
            line = self.lines.get(item["line"])
            if line is None:
                line = self.lines[item["line"]] = {**_line({**item, "note": ""}), "qty": 0}
            line["qty"] += item["qty"]
            line["name"], line["unit_price"] = item["name"], item["unit_price"]

    def _change_quantity(self, op: Message, _by: str) -> None:
        self.lines[op["line"]]["qty"] += op["by"]

    def _set_quantity(self, op: Message, _by: str) -> None:
        self.lines[op["line"]]["qty"] = op["qty"]

    def _remove(self, op: Message, _by: str) -> None:
        if self.lines.pop(op["line"], None) is None:
            del self.saved[op["line"]]

    def _clear(self, _op: Message, _by: str) -> None:
        self.lines = {}

    def _rename(self, op: Message, _by: str) -> None:
        self.name = op["name"]

    def _note(self, op: Message, _by: str) -> None:
        if op.get("line") is None:
            self.note = op["text"]
        else:
            (self.lines.get(op["line"]) or self.saved[op["line"]])["note"] = op["text"]

    def _save_for_later(self, op: Message, _by: str) -> None:
        _move(self.lines, self.saved, op)

    def _move_to_cart(self, op: Message, _by: str) -> None:
        _move(self.saved, self.lines, op)

    def _share(self, op: Message, _by: str) -> None:
        self.members.update((grant["user"], grant["role"]) for grant in op["users"])

    def _unshare(self, op: Message, _by: str) -> None:
        del self.members[op["user"]]

    def _merge(self, op: Message, _by: str) -> None:
        for moved in op["lines"]:
            shelf = self.lines if moved["line"] in self.lines else self.saved
            if moved.get("into") is None:
                shelf[moved["line"]]["for"] = op["into"]
                continue
            line = shelf.pop(moved["line"])
            twin = shelf[moved["into"]]
            twin["qty"] += line["qty"]
            twin["note"] = both_notes(twin, line)
        del self.members[op["user"]]
        self.members[op["into"]] = op["role"]

    def _depart(self, op: Message, _by: str) -> None:
        del self.members[op["user"]]
        if op.get("successor") is not None:
            self._succeed(op["successor"])

    def _succeed(self, user: str) -> None:
        if user not in self.members:
            raise KeyError(user)
        self.members[user] = "owner"

    def _delete(self, _op: Message, _by: str) -> None:
        self.members, self.deleted = {}, True


def _line(line: Message) -> Message:
    return {key: line[key] for key in ("line", "sku", "name", "unit_price", "qty", "for", "note")}


def both_notes(line: Message, other: Message) -> str:
    """The note of two lines that become one."""
    mine, theirs = line["note"], other["note"]
    return mine or theirs if not (mine and theirs) or mine == theirs else f"{mine}\n{theirs}"


def _move(source: dict[str, Message], target: dict[str, Message], op: Message) -> None:
    line = source.pop(op["line"], None)
    if line is None:
        return  # it was there already
    if op.get("into") is None:
        target[line["line"]] = line
        return
    twin = target[op["into"]]
    twin["qty"] += line["qty"]
    twin["note"] = twin["note"] or line["note"]
