"""The checker of histories, rule by rule: what is right passes, what is wrong is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from commerce.catalog.product import Product
from tests.checker import assert_clean, check
from tests.checker.__main__ import main
from tests.history import History, Message
from tests.story import APPLE, CART, Story, at

ADDED = {"sku": "APPLE", "qty": 2, "for": "ana", "line": "lin_2_0", "name": "Apple"}


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def ana(story: Story) -> str:
    """Ana's socket, on a cart of hers that Bea may edit, at rev 2."""
    conn = story.open("ana")
    story.create(conn, "ana")
    share = {"kind": "share", "users": [{"user": "bea", "role": "editor"}]}
    story.do(conn, "ana", 2, share, {**share, "users": [{**share["users"][0], "name": "Bea"}]})
    return conn


@pytest.fixture
def bea(story: Story, ana: str) -> str:
    conn = story.open("bea")
    story.join(conn, "bea")
    return conn


def test_a_right_history_is_clean(story: Story, ana: str, bea: str) -> None:
    story.note(ana, "ana", 3)
    story.ops_push(bea, 3)
    story.note(bea, "bea", 1)
    story.ops_push(ana, 4)
    story.history.closed(ana)
    again = story.open("ana")
    story.join(again, "ana", 3)
    story.note(again, "ana", 4)
    story.ops_push(bea, 5)

    snapshot = {"rev": 5, **story.state(5)}
    assert check(story.history, {CART: story.ops}, {CART: snapshot}, one_server=True) == []


# What everybody agrees on


def test_a_rev_is_one_op_for_all(story: Story, ana: str, bea: str) -> None:
    story.note(ana, "ana", 3)
    other = {**story.ops[2], "op": {"kind": "note", "text": "something else"}}
    story.push(bea, "cart.ops", ops=[other])
    assert "disagreement" in story.kinds()


@pytest.mark.parametrize("change", [{"at": at(9)}, {"by": "ana"}, {"op_id": "bea-device:9"}])
def test_a_rev_has_one_origin(story: Story, ana: str, bea: str, change: Message) -> None:
    rev = story.note(bea, "bea", 1)
    story.push(ana, "cart.ops", ops=[{**story.ops[rev - 1], **change}])
    assert "disagreement" in story.kinds()


def test_a_state_is_what_the_ops_make(story: Story, ana: str, bea: str) -> None:
    story.note(ana, "ana", 3)
    story.ops_push(bea, 3)
    story.push(bea, "cart.state", **story.position("bea", 3), state=story.state(2))
    assert story.kinds() == ["wrong state"]


@pytest.mark.parametrize("change", [{"role": "owner"}, {"n": 0}])
def test_a_state_comes_with_role_and_number(
    story: Story, ana: str, bea: str, change: Message
) -> None:
    story.note(bea, "bea", 1)
    position = {**story.position("bea", 3), **change}
    story.push(bea, "cart.state", **position, state=story.state(3))
    assert story.kinds() == ["wrong state"]


def test_totals_are_the_sums_of_the_lines(story: Story, ana: str, bea: str) -> None:
    item = {**ADDED, "unit_price": 50}
    op = {"kind": "add", "items": [{"sku": "APPLE", "qty": 2}]}
    story.do(ana, "ana", 3, op, {"kind": "add", "items": [item]})
    state = story.state(3)
    assert state["totals"]["subtotal"] == 100
    state["totals"]["subtotal"] = 99
    story.ops_push(bea, 3)
    story.push(bea, "cart.state", **story.position("bea", 3), state=state)
    assert story.kinds() == ["wrong state"]


def test_times_do_not_fall(story: Story, ana: str, bea: str) -> None:
    id_ = story.ask(ana, "ana", 3, {"kind": "clear"})
    rev = story.commit("ana", "ana-device:3", {"kind": "clear"})
    story.ops[rev - 1]["at"] = at(0)
    story.answer(ana, id_, rev)
    assert story.kinds() == ["back"]


# What the stores hold


def test_what_was_acknowledged_is_in_the_log(story: Story, ana: str) -> None:
    story.note(ana, "ana", 3)
    assert story.kinds(logs={CART: story.ops}) == []
    assert story.kinds(logs={CART: story.ops[:2]}) == ["lost"]


def test_the_log_has_no_gap(story: Story, ana: str) -> None:
    story.note(ana, "ana", 3)
    assert "lost" in story.kinds(logs={CART: [story.ops[0], story.ops[2]]})
    assert "lost" in story.kinds(logs={CART: [*story.ops, story.ops[2]]})


def test_the_log_says_what_was_told(story: Story, ana: str) -> None:
    story.note(ana, "ana", 3)
    changed = [*story.ops[:2], {**story.ops[2], "op": {"kind": "note", "text": "other"}}]
    assert "disagreement" in story.kinds(logs={CART: changed})


def test_the_snapshot_is_the_replay(story: Story, ana: str) -> None:
    story.note(ana, "ana", 3)
    assert story.kinds(snapshots={CART: {"rev": 3, **story.state(3)}}) == []
    assert story.kinds(snapshots={CART: {"rev": 3, **story.state(2)}}) == ["wrong state"]


# Exactly one effect


def test_an_op_takes_effect_once(story: Story, ana: str, bea: str) -> None:
    rev = story.note(ana, "ana", 3)
    story.commit("ana", "ana-device:3", story.ops[rev - 1]["op"])
    story.ops_push(bea, 3, 4)
    assert story.kinds() == ["twice"]


def test_nobody_can_see_what_nobody_sent(story: Story, ana: str, bea: str) -> None:
    story.commit("bea", "bea-device:7", {"kind": "clear"})
    story.ops_push(ana, 3)
    assert story.kinds() == ["unsent"]


def test_an_op_has_no_effect_before_it_is_sent(story: Story, ana: str, bea: str) -> None:
    story.commit("bea", "bea-device:1", {"kind": "clear"})
    story.ops_push(ana, 3)
    story.answer(bea, story.ask(bea, "bea", 1, {"kind": "clear"}), 3)
    assert "unsent" in story.kinds()


def test_what_others_did_before_is_taken_as_it_is(story: Story) -> None:
    story.commit("zoe", None, {"kind": "create", "name": "Picnic", "currency": "EUR"})
    story.commit("zoe", "old:1", {"kind": "share", "users": [{"user": "bea", "role": "editor"}]})
    conn = story.open("bea")
    story.join(conn, "bea")
    story.note(conn, "bea", 1)
    assert story.kinds(logs={CART: story.ops}) == []
    story.commit("zoe", "old:2", {"kind": "clear"})
    assert story.kinds(logs={CART: story.ops}) == ["unsent"]


def test_a_resend_is_acknowledged_as_it_was(story: Story, ana: str) -> None:
    note = {"kind": "note", "text": "ana 3"}
    rev = story.note(ana, "ana", 3)
    story.answer(ana, story.ask(ana, "ana", 3, note), rev)
    assert story.kinds() == []
    story.answer(ana, story.ask(ana, "ana", 3, note), rev, at=at(50))
    assert "answers differ" in story.kinds()


def test_one_number_is_one_content(story: Story, ana: str) -> None:
    rev = story.note(ana, "ana", 3)
    story.answer(ana, story.ask(ana, "ana", 3, {"kind": "clear"}), rev)
    assert "answers differ" in story.kinds()


def test_what_was_refused_never_takes_effect(story: Story, ana: str, bea: str) -> None:
    remove = {"kind": "remove", "line": "lin_9_0"}
    story.error(bea, story.ask(bea, "bea", 1, remove), "not_found")
    assert story.kinds() == []
    story.commit("bea", "bea-device:1", remove)
    story.ops_push(ana, 3)
    assert "refused" in story.kinds()


def test_a_refused_number_may_be_used_for_another_op(story: Story, ana: str) -> None:
    story.error(ana, story.ask(ana, "ana", 3, {"kind": "remove", "line": "x"}), "not_found")
    story.note(ana, "ana", 3)
    assert story.kinds() == []


def test_no_op_is_acknowledged_and_refused(story: Story, ana: str) -> None:
    story.note(ana, "ana", 3)
    again = story.ask(ana, "ana", 3, {"kind": "note", "text": "ana 3"})
    story.error(ana, again, "forbidden")
    assert "refused" in story.kinds()


REFUSE = {"kind": "refuse", "code": "not_found", "message": "No such line."}


def put_on_record(story: Story, op: Message, *conns: str) -> None:
    """Bea's op is refused, and the refusal told to her and others."""
    bea = conns[0]
    id_ = story.ask(bea, "bea", 1, op)
    rev = story.commit("bea", "bea-device:1", REFUSE)
    for conn in conns:
        story.ops_push(conn, rev)
    story.error(bea, id_, "not_found")


def test_a_refusal_on_record_is_a_refusal(story: Story, ana: str, bea: str) -> None:
    remove = {"kind": "remove", "line": "lin_9_0"}
    put_on_record(story, remove, bea, ana)
    assert story.kinds() == []
    story.answer(bea, story.ask(bea, "bea", 1, remove), 3)
    assert "refused" in story.kinds()


def test_a_refusal_on_record_has_a_reason(story: Story, ana: str, bea: str) -> None:
    put_on_record(story, {"kind": "clear"}, bea, ana)
    assert set(story.kinds()) == {"wrong refusal"}


def test_who_is_no_member_has_no_refusal_on_record(story: Story, ana: str, bea: str) -> None:
    story.do(ana, "ana", 3, {"kind": "unshare", "user": "bea"})
    put_on_record(story, {"kind": "clear"}, bea, ana)
    assert "not allowed" in story.kinds()


def test_a_number_whose_refusal_is_on_record_is_used(story: Story, ana: str, bea: str) -> None:
    put_on_record(story, {"kind": "remove", "line": "lin_9_0"}, bea, ana)
    story.note(bea, "bea", 1)
    assert "refused" in story.kinds()


# Time


def test_what_was_known_before_an_op_was_sent_comes_before_it(story: Story, ana: str) -> None:
    """Two answers swap their revs: each is consistent in itself."""
    bea = story.open("bea")  # not joined
    first = {"kind": "note", "text": "first"}
    second = {"kind": "note", "text": "second"}
    story.commit("bea", "bea-device:1", second)
    story.commit("ana", "ana-device:3", first)
    story.answer(ana, story.ask(ana, "ana", 3, first), 4)
    story.answer(bea, story.ask(bea, "bea", 1, second), 3)
    assert "order" in story.kinds()


def test_numbers_rise_with_revs(story: Story, ana: str) -> None:
    ids = [story.ask(ana, "ana", n, {"kind": "note", "text": f"{n}"}) for n in (3, 4)]
    for rev, n in ((3, 4), (4, 3)):
        story.commit("ana", f"ana-device:{n}", {"kind": "note", "text": f"{n}"})
        story.answer(ana, ids[n - 3], rev)
    assert "order" in story.kinds()


# Roles and effects


@pytest.mark.parametrize("role", ["viewer", None])
def test_a_role_is_judged_on_the_state_of_the_commit(
    story: Story, ana: str, bea: str, role: str | None
) -> None:
    change: Message = {"kind": "unshare", "user": "bea"}
    if role is not None:
        change = {"kind": "share", "users": [{"user": "bea", "role": role}]}
    id_ = story.ask(bea, "bea", 1, {"kind": "clear"})
    story.do(ana, "ana", 3, change)
    story.commit("bea", "bea-device:1", {"kind": "clear"})
    story.answer(bea, id_, 4)
    assert "not allowed" in story.kinds()


def test_only_the_owner_shares(story: Story, ana: str, bea: str) -> None:
    story.do(bea, "bea", 1, {"kind": "share", "users": [{"user": "cid", "role": "editor"}]})
    assert story.kinds() == ["not allowed"]


def test_everybody_but_the_owner_may_leave(story: Story, ana: str, bea: str) -> None:
    story.do(bea, "bea", 1, {"kind": "unshare", "user": "bea"})
    story.push(bea, "cart.gone", reason="left")
    assert story.kinds() == []


ADD = {"kind": "add", "items": [{"sku": "APPLE", "qty": 2}]}
EFFECT = {"kind": "add", "items": [{**ADDED, "unit_price": 50}]}
WRONG_EFFECTS: dict[str, Message] = {
    "qty": {"qty": 3},
    "member": {"for": "bea"},
    "sku": {"sku": "PEAR"},
    "price": {"unit_price": 1},
}


@pytest.mark.parametrize("change", WRONG_EFFECTS.values(), ids=WRONG_EFFECTS)
def test_an_add_adds_what_was_asked(story: Story, ana: str, change: Message) -> None:
    effect = {"kind": "add", "items": [{**EFFECT["items"][0], **change}]}
    story.do(ana, "ana", 3, ADD, effect)
    assert story.kinds(products=[APPLE]) == ["wrong effect"]


def test_the_same_sku_for_the_same_member_is_one_line(story: Story, ana: str) -> None:
    story.do(ana, "ana", 3, ADD, EFFECT)
    story.do(ana, "ana", 4, ADD, EFFECT)
    assert story.kinds() == []
    another = {"kind": "add", "items": [{**EFFECT["items"][0], "line": "lin_5_0"}]}
    story.do(ana, "ana", 5, ADD, another)
    assert story.kinds() == ["wrong effect"]


def test_stock_is_a_bound(story: Story, ana: str) -> None:
    op = {"kind": "add", "items": [{"sku": "APPLE", "qty": 11}]}
    story.do(ana, "ana", 3, op, {"kind": "add", "items": [{**EFFECT["items"][0], "qty": 11}]})
    assert story.kinds() == []
    assert story.kinds(products=[APPLE]) == ["wrong effect"]


def test_a_line_that_is_not_there_cannot_change(story: Story, ana: str) -> None:
    story.do(ana, "ana", 3, {"kind": "set_quantity", "line": "lin_9_0", "qty": 2})
    assert "wrong effect" in story.kinds()


def test_a_line_that_is_saved_joins_its_twin(story: Story, ana: str) -> None:
    story.do(ana, "ana", 3, ADD, EFFECT)
    move = {"kind": "save_for_later", "line": "lin_2_0"}
    story.do(ana, "ana", 4, move)
    twin = {"kind": "add", "items": [{**EFFECT["items"][0], "line": "lin_5_0"}]}
    story.do(ana, "ana", 5, ADD, twin)
    back = {"kind": "move_to_cart", "line": "lin_2_0"}
    story.do(ana, "ana", 6, back, {**back, "into": "lin_5_0"})
    assert story.kinds() == []


def test_a_twin_must_be_named(story: Story, ana: str) -> None:
    story.do(ana, "ana", 3, ADD, EFFECT)
    story.do(ana, "ana", 4, {"kind": "save_for_later", "line": "lin_2_0"})
    twin = {"kind": "add", "items": [{**EFFECT["items"][0], "line": "lin_5_0"}]}
    story.do(ana, "ana", 5, ADD, twin)
    story.do(ana, "ana", 6, {"kind": "move_to_cart", "line": "lin_2_0"})
    assert story.kinds() == ["wrong effect"]


def test_what_is_asked_takes_effect_as_asked(story: Story, ana: str) -> None:
    story.do(ana, "ana", 3, {"kind": "rename", "name": "A"}, {"kind": "rename", "name": "B"})
    assert story.kinds() == ["wrong effect"]


def test_a_partial_add_takes_what_it_can(story: Story, ana: str) -> None:
    op = {"kind": "add", "items": [*ADD["items"], {"sku": "NONE", "qty": 1}], "partial": True}
    id_ = story.ask(ana, "ana", 3, op)
    rev = story.commit("ana", "ana-device:3", EFFECT)
    taken: Message = {"line": "lin_2_0", "qty": 2}
    refusal = {"code": "unknown_sku", "message": "", "temporary": False, "sku": "NONE"}
    story.answer(ana, id_, rev, results=[taken, refusal])
    assert story.kinds() == []
    assert story.kinds(products=[APPLE, Product("NONE", "None", 1, "EUR", 5)]) == ["wrong effect"]


# Refusals


def test_a_refusal_may_be_right_on_any_state_meanwhile(story: Story, ana: str, bea: str) -> None:
    id_ = story.ask(bea, "bea", 1, {"kind": "clear"})
    story.do(ana, "ana", 3, {"kind": "share", "users": [{"user": "bea", "role": "viewer"}]})
    story.do(ana, "ana", 4, {"kind": "share", "users": [{"user": "bea", "role": "editor"}]})
    story.error(bea, id_, "forbidden")
    assert story.kinds() == []


REFUSALS: dict[str, tuple[Message, str, Message]] = {
    "an editor's edit": ({"kind": "clear"}, "forbidden", {}),
    "a member": ({"kind": "clear"}, "not_found", {}),
    "stock": (
        ADD,
        "out_of_stock",
        {"results": [{"code": "out_of_stock", "sku": "APPLE", "available": 10}]},
    ),
    "a good request": ({"kind": "note", "text": ""}, "bad_request", {}),
    "an unused number": ({"kind": "clear"}, "conflict", {}),
}


@pytest.mark.parametrize(("op", "code", "fields"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_without_reason(
    story: Story, ana: str, bea: str, op: Message, code: str, fields: Message
) -> None:
    story.error(bea, story.ask(bea, "bea", 1, op), code, **fields)
    assert story.kinds() == ["wrong refusal"]


def test_a_refusal_that_came_too_late_to_be_right(story: Story, ana: str, bea: str) -> None:
    """It was right once, but only before the op was sent."""
    story.do(ana, "ana", 3, {"kind": "share", "users": [{"user": "bea", "role": "viewer"}]})
    story.do(ana, "ana", 4, {"kind": "share", "users": [{"user": "bea", "role": "editor"}]})
    story.error(bea, story.ask(bea, "bea", 1, {"kind": "clear"}), "forbidden")
    assert story.kinds() == ["wrong refusal"]


def test_conflict_tells_a_used_number(story: Story, ana: str, bea: str) -> None:
    story.note(bea, "bea", 5)
    story.error(bea, story.ask(bea, "bea", 4, {"kind": "clear"}), "conflict")
    story.error(bea, story.ask(bea, "bea", 5, {"kind": "clear"}), "conflict")
    assert story.kinds() == []


def test_what_is_refused_for_now_is_no_promise(story: Story, ana: str, bea: str) -> None:
    story.error(bea, story.ask(bea, "bea", 1, {"kind": "clear"}), "unavailable")
    story.commit("bea", "bea-device:1", {"kind": "clear"})
    story.ops_push(bea, 3)
    assert story.kinds() == []


# What each socket sees


def push_story(story: Story, ana: str, *frames: tuple[int, ...]) -> list[str]:
    for n in range(3, 7):
        story.note(ana, "ana", n)
    bea = next(r.conn for r in story.history.records if r.user == "bea")
    for revs in frames:
        story.ops_push(bea, *revs)
    return story.kinds()


@pytest.mark.parametrize(
    ("frames", "kinds"),
    [
        (((3,), (4, 5)), []),
        (((3, 5),), ["gap"]),
        (((4, 5),), ["gap"]),
        (((3,), (3, 4)), ["repeat"]),
        (((3, 4), (4,)), ["repeat"]),
        (((4,), (3,), (5,)), ["reorder"]),
        (((4, 3),), ["reorder"]),
    ],
)
def test_pushes_come_in_order_without_gap_or_repeat(
    story: Story, ana: str, bea: str, frames: tuple[tuple[int, ...], ...], kinds: list[str]
) -> None:
    assert push_story(story, ana, *frames) == kinds


def test_an_answer_is_a_rev_as_well(story: Story, ana: str, bea: str) -> None:
    story.note(ana, "ana", 3)
    story.ops_push(ana, 3)
    assert story.kinds() == ["repeat"]


def test_an_answer_to_what_was_pushed_before(story: Story, ana: str, bea: str) -> None:
    id_ = story.ask(bea, "bea", 1, {"kind": "clear"})
    rev = story.commit("bea", "bea-device:1", {"kind": "clear"})
    story.ops_push(bea, rev)
    story.answer(bea, id_, rev)
    assert story.kinds() == ["repeat"]


def test_who_is_behind_gets_answers_and_then_a_state(story: Story, ana: str, bea: str) -> None:
    story.note(ana, "ana", 3)
    story.note(bea, "bea", 1)
    story.push(bea, "cart.state", **story.position("bea", 4), state=story.state(4))
    assert story.kinds() == []


def test_who_is_behind_gets_no_pushes_before_the_state(story: Story, ana: str, bea: str) -> None:
    story.note(ana, "ana", 3)
    story.note(bea, "bea", 1)
    story.note(ana, "ana", 4)
    story.ops_push(bea, 5)
    assert story.kinds() == ["gap", "gap"]  # Ana has not been told rev 4, either


def test_a_fresh_state_is_not_older(story: Story, ana: str, bea: str) -> None:
    story.note(ana, "ana", 3)
    story.ops_push(bea, 3)
    story.push(bea, "cart.state", **story.position("bea", 2), state=story.state(2))
    assert story.kinds() == ["back"]


def test_no_push_without_a_join(story: Story, ana: str) -> None:
    bea = story.open("bea")
    story.note(ana, "ana", 3)
    story.ops_push(bea, 3)
    assert story.kinds() == ["unasked"]


@pytest.mark.parametrize("how", ["left", "gone"])
def test_no_push_after_the_end(story: Story, ana: str, bea: str, how: str) -> None:
    if how == "left":
        story.ok(bea, story.send(bea, "cart.leave", cart=CART))
        story.note(ana, "ana", 3)
    else:
        story.do(ana, "ana", 3, {"kind": "unshare", "user": "bea"})
        story.ops_push(bea, 3)
        story.push(bea, "cart.gone", reason="removed")
    assert story.kinds() == []
    story.ops_push(bea, 3)
    assert "unasked" in story.kinds()


def test_gone_has_a_reason(story: Story, ana: str, bea: str) -> None:
    story.push(bea, "cart.gone", reason="removed")
    assert story.kinds() == ["unasked"]


def test_who_is_taken_out_sees_nothing_later(story: Story, ana: str, bea: str) -> None:
    story.do(ana, "ana", 3, {"kind": "unshare", "user": "bea"})
    story.note(ana, "ana", 4)
    story.ops_push(bea, 3)
    assert story.kinds() == []
    story.ops_push(bea, 4)
    assert story.kinds() == ["outsider"]


def test_answers_about_a_cart_keep_their_order(story: Story, ana: str) -> None:
    ids = [story.ask(ana, "ana", n, {"kind": "note", "text": f"ana {n}"}) for n in (3, 4)]
    for n in (3, 4):
        story.commit("ana", f"ana-device:{n}", {"kind": "note", "text": f"ana {n}"})
    story.answer(ana, ids[1], 4)
    story.answer(ana, ids[0], 3)
    assert "unasked" in story.kinds()


def test_an_answer_comes_once(story: Story, ana: str) -> None:
    id_ = story.ask(ana, "ana", 3, {"kind": "clear"})
    story.commit("ana", "ana-device:3", {"kind": "clear"})
    story.answer(ana, id_, 3)
    story.answer(ana, id_, 3)
    assert story.kinds() == ["unasked"]


# Reading


def test_who_names_a_rev_gets_no_less(story: Story, ana: str, bea: str) -> None:
    story.note(ana, "ana", 3)
    again = story.open("ana")
    id_ = story.send(again, "cart.join", cart=CART, rev=3)
    story.ok(again, id_, **story.position("ana", 2), state=story.state(2))
    assert story.kinds() == ["back"]


def test_who_resumes_gets_all_that_was_missed(story: Story, ana: str, bea: str) -> None:
    story.note(ana, "ana", 3)
    story.note(ana, "ana", 4)
    again = story.open("bea")
    id_ = story.send(again, "cart.join", cart=CART, rev=2)
    story.ok(again, id_, **story.position("bea", 4), ops=[story.ops[3]])
    assert story.kinds() == ["gap"]


def test_one_server_never_shows_the_past(story: Story, ana: str) -> None:
    story.note(ana, "ana", 3)
    again = story.open("ana")
    id_ = story.send(again, "cart.join", cart=CART)
    story.ok(again, id_, **story.position("ana", 2), state=story.state(2))
    assert story.kinds() == []
    assert story.kinds(one_server=True) == ["stale"]


def test_a_history_is_whole(story: Story, ana: str) -> None:
    story.note(ana, "ana", 3)
    id_ = story.send(ana, "cart.history", cart=CART)
    story.ok(ana, id_, ops=story.ops, more=False)
    assert story.kinds() == []
    id_ = story.send(ana, "cart.history", cart=CART)
    story.ok(ana, id_, ops=[story.ops[0], story.ops[2]], more=False)
    assert story.kinds() == ["gap"]


def test_a_member_is_not_told_that_there_is_no_cart(story: Story, ana: str, bea: str) -> None:
    again = story.open("bea")
    story.error(again, story.send(again, "cart.join", cart=CART), "not_found")
    assert story.kinds() == ["outsider"]


def test_a_stranger_is_shown_nothing(story: Story, ana: str) -> None:
    zoe = story.open("zoe")
    id_ = story.send(zoe, "cart.join", cart=CART)
    position = {"cart": CART, "rev": 2, "role": "editor", "n": 0}
    story.ok(zoe, id_, **position, state=story.state(2))
    assert "outsider" in story.kinds()


# What it says


WRONG: dict[str, Callable[[Story, str, str], object]] = {
    "gap": lambda story, ana, _bea: push_story(story, ana, (3, 5)),
    "reorder": lambda story, ana, _bea: push_story(story, ana, (4,), (3,)),
    "repeat": lambda story, ana, _bea: push_story(story, ana, (3,), (3, 4)),
    "twice": test_an_op_takes_effect_once,
    "refused": test_what_was_refused_never_takes_effect,
    "not allowed": test_only_the_owner_shares,
    "order": lambda story, ana, _bea: test_numbers_rise_with_revs(story, ana),
    "back": test_who_names_a_rev_gets_no_less,
    "wrong state": test_a_state_is_what_the_ops_make,
    "wrong effect": lambda story, ana, _bea: test_a_line_that_is_not_there_cannot_change(
        story, ana
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_the_proof_alone_convicts(story: Story, ana: str, bea: str, kind: str) -> None:
    for _ in range(3):  # nothing to do with it
        story.ok(ana, story.send(ana, "cart.history", cart=CART), ops=story.ops[:2], more=False)
    WRONG[kind](story, ana, bea)
    violation = next(one for one in check(story.history) if one.kind == kind)
    proof = History()
    proof.records = list(violation.records)

    assert len(proof.records) < len(story.history.records)
    assert kind in [one.kind for one in check(proof)]
    assert str(violation).startswith(f"{kind}: {CART}: ")


def test_a_history_that_fails_stays_in_a_file(
    story: Story, ana: str, bea: str, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Any
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    push_story(story, ana, (3, 5))
    with pytest.raises(AssertionError, match="gap: crt_1: rev 5 was pushed after rev 3"):
        assert_clean(story.history)
    (kept,) = tmp_path.iterdir()
    monkeypatch.setattr("sys.argv", ["checker", str(kept)])
    assert main() == 1
    assert "gap: crt_1: rev 5 was pushed after rev 3" in capsys.readouterr().out
