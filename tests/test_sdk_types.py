"""The types of the client library, static/sdk/cartroom.d.ts, held to the library and the server."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from realtime.errors import ERRORS
from realtime.limits import Limits
from realtime.ops import AnyOp, Depart, Grant, Item, Merge
from realtime.reducer import REFUSE
from realtime.state import CartState, Line
from realtime.wire import render_state
from tests.node import ROOT, node

TYPES = ROOT / "static" / "sdk" / "cartroom.d.ts"
PAGE = ROOT / "docs" / "sdk.md"
SAMPLES = ROOT / "tests" / "sdk" / "types"
TSC = ROOT / "node_modules" / ".bin" / "tsc"
OPTIONS = ("--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--types", "")
BROWSER = ("--lib", "es2022,dom")
"""The types of a browser; without them a program under Node must do."""
TSC_S = 300.0

PRELUDE = """\
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : ["lacks", Exclude<B, A>]) :
  ["more than there is", Exclude<A, B>];
"""


def compile_types(*arguments: str) -> tuple[int, str]:
    """Have TypeScript check files; its exit status and what it says."""
    node("typescript")
    command = (str(TSC), *OPTIONS, *arguments)
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=TSC_S, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_program_that_uses_all_of_it():
    for platform in (BROWSER, ("--lib", "es2022")):
        status, said = compile_types(*platform, str(SAMPLES / "right.ts"))
        assert status == 0, said


def test_what_is_wrong_is_caught():
    """TypeScript complains of each line that says so, and of no other."""
    sample = SAMPLES / "wrong.ts"
    wrong = {
        number
        for number, line in enumerate(sample.read_text().splitlines(), 1)
        if line.endswith("// wrong")
    }
    assert len(wrong) > 10
    status, said = compile_types(*BROWSER, str(sample))
    assert status != 0
    assert {int(line) for line in re.findall(r"wrong\.ts\((\d+),", said)} == wrong, said


def run_node(program: str) -> dict[str, Any]:
    """What one of the programs beside the samples prints, which is JSON."""
    command = (node(), str(SAMPLES / program))
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def union(names: Iterable[str]) -> str:
    return " | ".join(json.dumps(name) for name in sorted(names)) or "never"


def check_same(folder, said_of: dict[str, Iterable[str]]) -> None:
    """Each type of the library's, named as TypeScript has it, is the union of these names."""
    lines = [f'import * as sdk from "{TYPES.with_suffix("").with_suffix(".js")}";', PRELUDE]
    for number, (name, names) in enumerate(said_of.items()):
        lines.append(f"export const same{number}: Same<{name}, {union(names)}> = true;")
    program = folder / "same.ts"
    program.write_text("\n".join(lines))
    status, said = compile_types(*BROWSER, str(program))
    assert status == 0, said


def test_kinds_codes_and_limits_are_those_of_the_server(tmp_path):
    kinds = {op.__struct_config__.tag for op in get_args(AnyOp)}
    made_by_the_service = {op.__struct_config__.tag for op in (Merge, Depart)}
    assert "delete" in kinds
    check_same(
        tmp_path,
        {
            "sdk.OpKind": kinds,
            "sdk.EffectKind": kinds | made_by_the_service | {"create", REFUSE},
            "sdk.ServiceErrorCode": ERRORS,
            "keyof sdk.Limits": [field.name for field in msgspec.structs.fields(Limits)],
        },
    )


def test_fields_of_ops_are_those_of_the_server(tmp_path):
    fields = {
        f"keyof Extract<sdk.Op, {{ kind: {json.dumps(op.__struct_config__.tag)} }}>": {
            "kind",
            *(field.encode_name for field in msgspec.structs.fields(op)),
        }
        for op in get_args(AnyOp)
    }
    assert len(fields) == len(get_args(AnyOp))
    for name, struct in (("Item", Item), ("Grant", Grant)):
        fields[f"keyof sdk.{name}"] = {f.encode_name for f in msgspec.structs.fields(struct)}
    check_same(tmp_path, fields)


def test_what_a_cart_is_made_of_is_what_the_server_sends(tmp_path):
    state = render_state(CartState(cart="crt_1"), {})
    check_same(
        tmp_path,
        {
            "keyof sdk.State": state,
            "keyof sdk.Totals": state["totals"],
            "keyof sdk.Line": {field.encode_name for field in msgspec.structs.fields(Line)},
        },
    )


INTERNAL = {
    "Cartroom": {"emit"},
    "Room": {
        *("emit", "open", "join", "away", "reset", "refresh", "receive", "rest"),
        *("confirm", "snapshot"),
    },
    "CartroomError": {"stack"},
    "Store": {
        *("claim", "adopt", "save", "remove", "release", "abandon", "forget"),
        *("lastUser", "remember", "loadRoom", "saveRoom", "removeRoom", "loadInbox", "saveInbox"),
    },
}
"""What modules of the library call of each other's objects; nobody else should."""


def test_names_are_those_of_the_library(tmp_path):
    names = run_node("names.mjs")
    said_of = {"keyof typeof sdk": names["exports"]}
    for kind, members in names["members"].items():
        assert set(members) >= INTERNAL[kind]
        # What every error has is no business of ours.
        own = f"Exclude<keyof sdk.{kind}, 'stack' | 'cause'>"
        said_of[own] = set(members) - INTERNAL[kind]
    check_same(tmp_path, said_of)


def declared_members(kind: str) -> list[str]:
    """Names of a class's or interface's members in the types, in their order."""
    declaration = rf"^export (?:class|interface) {kind}\b.*?\{{\n(.*?)^\}}"
    body = re.search(declaration, TYPES.read_text(), re.MULTILINE | re.DOTALL)
    assert body, kind
    return re.findall(r"^  (?:readonly |get |set )?(\w+)\??[(:<]", body[1], re.MULTILINE)


def test_timings_are_those_of_the_library(tmp_path):
    names = run_node("timings.mjs")
    check_same(tmp_path, {"keyof sdk.Timings": names})
    page = PAGE.read_text()
    for name, value in names.items():
        assert f"| `{name}` | {value:,} |" in page


def test_the_page_tells_of_everything():
    page = PAGE.read_text()
    for kind in ("Options", "Cartroom", "Room", "CartroomError"):
        members = [name for name in declared_members(kind) if name != "constructor"]
        assert len(members) > 2, kind
        missing = [name for name in members if not re.search(rf"`[^`]*\b{name}\b[^`]*`", page)]
        assert not missing, f"{PAGE.name} says nothing of {kind}'s {missing}"
    for kind in ("ClientEvents", "RoomEvents"):
        for name in declared_members(kind):
            assert f"| `{name}` |" in page, name
    codes = re.search(r"LocalErrorCode =(.*?);", TYPES.read_text())
    assert codes
    for code in re.findall(r'"(\w+)"', codes[1]):
        assert f"| `{code}` |" in page, code
