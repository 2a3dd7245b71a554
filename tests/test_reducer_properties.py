"""Properties of the pure core: judging and applying any ops on any state that ops can make."""

from __future__ import annotations

import uuid
from collections import Counter

import bson
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from commerce.accounts.policy import CART_RANK
from commerce.catalog.product import ProductFacts
from realtime import ops
from realtime.entries import decode_entries, encode_commit, encode_entry
from realtime.errors import ERRORS, CartroomError
from realtime.judge import Context, judge, skus_touched
from realtime.limits import CLIENTS_PER_USER_MAX, Limits
from realtime.reducer import Entry, apply
from realtime.state import CartState

THOROUGH = settings(max_examples=300, deadline=None)

LIMITS = Limits(lines=6, members=4, pieces=40, items=4)
OWNER = "usr_owner"
USERS = (OWNER, "usr_bea", "usr_cem", "usr_dan", "usr_eve")
STRANGER = "usr_stranger"
PRODUCTS = {
    one.sku: one
    for one in (
        ProductFacts("APPLE", "Apple", 50, "EUR", 10),
        ProductFacts("BREAD", "Rye bread", 420, "EUR", None),
        ProductFacts("CIDER", "Cider", 750, "GBP", 5),
        ProductFacts("NUT", "Nut", 1, "EUR", 0),
        ProductFacts("PLUM", "Plum", 40, "EUR", 35),
    )
}
CLIENTS = [str(uuid.UUID(int=index)) for index in range(3)]

skus = st.sampled_from([*PRODUCTS, "NONE"])
users = st.sampled_from([*USERS, STRANGER])
# Numbers, not ids: they are turned into ids of lines that the state has, where it has any.
line_numbers = st.integers(0, 8)
quantities = st.integers(1, 45)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)

items = st.builds(ops.Item, sku=skus, qty=quantities, member=st.none() | users)
grants = st.builds(ops.Grant, user=users, role=st.sampled_from(["viewer", "editor"]))
any_op = st.one_of(
    st.builds(
        ops.Add, items=st.lists(items, min_size=1, max_size=5).map(tuple), partial=st.booleans()
    ),
    st.builds(ops.ChangeQuantity, line=line_numbers, by=st.integers(-45, 45)),
    st.builds(ops.SetQuantity, line=line_numbers, qty=quantities),
    st.builds(ops.Remove, line=line_numbers),
    st.builds(ops.SaveForLater, line=line_numbers),
    st.builds(ops.MoveToCart, line=line_numbers),
    st.builds(ops.Note, text=texts, line=st.none() | line_numbers),
    st.builds(ops.Rename, name=texts),
    st.builds(ops.Share, users=st.lists(grants, min_size=1, max_size=5).map(tuple)),
    st.builds(ops.Unshare, user=users),
    st.sampled_from([ops.Clear(), ops.Clear(), ops.Delete()]),
)
services_op = st.builds(ops.Merge, user=users, into=users) | st.builds(ops.Depart, user=users)
clients_steps = st.tuples(st.sampled_from([OWNER, OWNER, *USERS]), any_op)
steps = st.lists(
    st.one_of(*[clients_steps] * 12, st.tuples(users, services_op)), min_size=5, max_size=40
)


def new_cart() -> tuple[CartState, list[Entry]]:
    state = CartState("crt_1")
    entry = make_entry(state, OWNER, ops.Create("Picnic", "EUR"))
    apply(state, entry)
    return state, [entry]


def make_entry(state: CartState, user: str, op: ops.Op) -> Entry:
    """The entry that `op` becomes. Raises CartroomError."""
    facts = {sku: PRODUCTS.get(sku) for sku in skus_touched(state, op)}
    judgement = judge(state, op, Context(user, facts, frozenset(USERS), LIMITS))
    rev = state.rev + 1
    return Entry(
        rev=rev,
        op_id=f"{CLIENTS[rev % len(CLIENTS)]}:{rev}",
        by=user,
        at=1_700_000_000_000 + rev,
        op=judgement.effect,
        hash=ops.content_hash(op),
        results=judgement.results,
    )


def attempt(state: CartState, user: str, op: ops.Op) -> Entry | CartroomError:
    try:
        return make_entry(state, user, with_line(state, op))
    except CartroomError as error:
        return error


def with_line(state: CartState, op: ops.Op) -> ops.Op:
    """The op on one of the cart's lines, in place of the number of a line."""
    number = getattr(op, "line", None)
    if not isinstance(number, int):
        return op
    lines = [*state.shelf.lines, *state.saved.lines, "lin_none"]
    return msgspec.structs.replace(op, line=lines[number % len(lines)])


def play(chosen) -> tuple[CartState, list[Entry]]:
    """Play the steps that are not refused."""
    state, entries = new_cart()
    for user, op in chosen:
        entry = attempt(state, user, op)
        if isinstance(entry, CartroomError):
            assert entry.code in ERRORS
        else:
            apply(state, entry)
            entries.append(entry)
    return state, entries


def picture(state: CartState) -> dict:
    """Everything that a state holds, its indexes included, in its order."""
    return {
        "document": state.to_document(),
        "shelves": [
            (
                list(shelf.lines.items()),
                shelf.by_key,
                shelf.pieces_by_sku,
                shelf.pieces,
                shelf.subtotal,
            )
            for shelf in (state.shelf, state.saved)
        ],
        "clients": state.clients,
        "evicted": state.evicted,
        "forgotten": state.forgotten,
    }


@THOROUGH
@given(steps)
def test_what_is_kept_beside_the_lines_equals_what_they_add_up_to(chosen):
    state, _ = play(chosen)
    for shelf in (state.shelf, state.saved):
        lines = shelf.lines.values()
        pieces = Counter()
        for line in lines:
            pieces[line.sku] += line.qty
        assert shelf.pieces_by_sku == pieces
        assert shelf.pieces == sum(line.qty for line in lines)
        assert shelf.subtotal == sum(line.qty * line.unit_price for line in lines)
        assert shelf.by_key == {(line.sku, line.member): line.line for line in lines}
        assert all(key == line.line for key, line in shelf.lines.items())


@THOROUGH
@given(steps)
def test_no_state_is_beyond_a_limit(chosen):
    state, _ = play(chosen)
    for sku, pieces in state.shelf.pieces_by_sku.items():
        available = PRODUCTS[sku].available
        assert available is None or pieces <= available
    for line in [*state.shelf.lines.values(), *state.saved.lines.values()]:
        assert 1 <= line.qty <= LIMITS.pieces
        assert PRODUCTS[line.sku].currency == state.currency
    assert not state.shelf.lines.keys() & state.saved.lines.keys()
    assert state.line_count <= LIMITS.lines
    assert len(state.members) <= LIMITS.members


@THOROUGH
@given(steps)
def test_a_cart_has_one_owner_until_it_is_deleted(chosen):
    state, _ = play(chosen)
    owners = [member.user for member in state.members.values() if member.role == "owner"]
    assert len(owners) == (1 if state.status == "open" else 0)
    assert STRANGER not in state.members
    if state.status == "deleted":
        assert not state.members


@THOROUGH
@given(steps)
def test_a_snapshot_is_the_state(chosen):
    state, _ = play(chosen)
    stored = bson.decode(bson.encode(state.to_document()))
    assert picture(CartState.from_document(stored)) == picture(state)


@THOROUGH
@given(steps, st.data())
def test_replaying_the_log_makes_the_state_from_any_snapshot_on(chosen, data):
    state, entries = play(chosen)
    cut = data.draw(st.integers(0, len(entries)))
    raws = [encode_entry(entry) for entry in entries]
    stored = decode_entries(bson.decode(encode_commit("crt_1", entries, raws, "t").raw))
    assert stored == entries
    replayed = CartState("crt_1")
    for entry in stored[:cut]:
        apply(replayed, entry)
    replayed = CartState.from_document(replayed.to_document())
    for entry in stored[cut:]:
        apply(replayed, entry)
    assert picture(replayed) == picture(state)


@THOROUGH
@given(steps, st.sampled_from([*USERS, STRANGER]), any_op | services_op)
def test_judging_changes_nothing_and_neither_does_a_copy(chosen, user, op):
    state, _ = play(chosen)
    before = repr(picture(state))
    copy = state.copy()
    entry = attempt(state, user, op)
    assert repr(picture(state)) == before
    if isinstance(entry, Entry):
        apply(copy, entry)
        assert repr(picture(state)) == before


@THOROUGH
@given(steps, st.sampled_from([*USERS, STRANGER]), any_op)
def test_who_may_not_is_refused_whatever_the_op(chosen, user, op):
    state, _ = play(chosen)
    role = state.role(user)
    needed = ops.ROLE_NEEDED[type(op)]
    if isinstance(op, ops.Unshare) and op.user == user:
        needed = "viewer"
    entry = attempt(state, user, op)
    code = entry.code if isinstance(entry, CartroomError) else "ok"
    if role is None:
        assert code == "not_found"
    elif CART_RANK[role] < CART_RANK[needed]:
        assert code == "forbidden"


@THOROUGH
@given(st.lists(clients_steps), st.lists(items, min_size=1, max_size=5).map(tuple))
def test_a_partial_add_takes_the_items_that_it_says(chosen, wanted):
    state, _ = play([step for step in chosen if not isinstance(step[1], ops.Delete)])
    if len(wanted) > LIMITS.items:
        wanted = wanted[: LIMITS.items]
    before = {line.line: line.qty for line in state.shelf.lines.values()}
    entry = attempt(state, OWNER, ops.Add(wanted, partial=True))
    if isinstance(entry, CartroomError):
        assert len(entry.extra["results"]) == len(wanted)
        assert entry.code == entry.extra["results"][0]["code"]
        return
    apply(state, entry)
    assert entry.results is not None
    assert len(entry.results) == len(wanted)
    taken = [
        item for item, result in zip(wanted, entry.results, strict=True) if "code" not in result
    ]
    effects = entry.op["items"]
    assert [(one.sku, one.qty, one.member or OWNER) for one in taken] == [
        (one["sku"], one["qty"], one["for"]) for one in effects
    ]
    gained = Counter()
    for effect in effects:
        gained[effect["line"]] += effect["qty"]
    after = {line.line: line.qty for line in state.shelf.lines.values()}
    assert after == {
        line: before.get(line, 0) + gained[line] for line in before.keys() | gained.keys()
    }


@THOROUGH
@given(steps, users, st.sampled_from(USERS))
def test_a_merge_loses_no_piece_and_no_note_and_ends_the_membership(chosen, guest, into):
    state, _ = play(chosen)
    before = state.copy()
    entry = attempt(state, into, ops.Merge(guest, into))
    if isinstance(entry, CartroomError):
        assert entry.code == ("not_found" if guest not in before.members else "bad_request")
        return
    apply(state, entry)
    for was, now in ((before.shelf, state.shelf), (before.saved, state.saved)):
        assert now.pieces_by_sku == was.pieces_by_sku
        notes = {line.note for line in was.lines.values()}
        assert all(any(note in line.note for line in now.lines.values()) for note in notes)
        for line in now.lines.values():
            twin = now.find(line.sku, into)
            assert line.member != guest or (twin and twin.qty + line.qty > LIMITS.pieces)
    roles = [before.role(user) for user in (guest, into) if before.role(user)]
    assert state.role(into) == max(roles, key=CART_RANK.__getitem__)
    assert state.members.keys() == (before.members.keys() | {into}) - {guest}
    known = before.members.get(into)
    assert state.members[into].since == (known.since if known else entry.rev)
    again = attempt(state, into, ops.Merge(guest, into))
    assert isinstance(again, CartroomError)


@THOROUGH
@given(steps, users)
def test_who_departs_leaves_their_lines_and_an_owner(chosen, user):
    state, _ = play(chosen)
    before = state.copy()
    entry = attempt(state, user, ops.Depart(user))
    if isinstance(entry, CartroomError):
        assert (entry.code, before.role(user)) == ("not_found", None)
        return
    apply(state, entry)
    assert user not in state.members
    if len(before.members) == 1:
        assert (entry.op, state.status) == ({"kind": "delete"}, "deleted")
        return
    assert picture(state)["shelves"] == picture(before)["shelves"]
    owner = next(member for member in state.members.values() if member.role == "owner")
    if before.role(user) != "owner":
        assert before.role(owner.user) == "owner"
        return
    others = [member for name, member in before.members.items() if name != user]
    highest = max(CART_RANK[member.role] for member in others)
    longest = min(member.since for member in others if CART_RANK[member.role] == highest)
    heir = before.members[owner.user]
    assert (CART_RANK[heir.role], heir.since) == (highest, longest)


@THOROUGH
@given(
    st.integers(0, CLIENTS_PER_USER_MAX + 20),
    st.lists(st.tuples(st.integers(0, CLIENTS_PER_USER_MAX + 20), st.integers(1, 3))),
)
def test_the_last_number_of_each_of_the_latest_clients_is_known(first, sent):
    state, _ = new_cart()
    latest: dict[str, tuple[int, int]] = {CLIENTS[1]: (1, 1)}
    for number, jump in [*((number, 1) for number in range(first)), *sent]:
        client = str(uuid.UUID(int=number + 100))
        n = latest.get(client, (0, 0))[0] + jump
        rev = state.rev + 1
        apply(state, Entry(rev, f"{client}:{n}", OWNER, rev, {"kind": "clear"}, "h"))
        latest.pop(client, None)
        latest[client] = (n, rev)
    known = list(latest.items())[-CLIENTS_PER_USER_MAX:]
    assert state.clients[OWNER] == dict(known)
    assert picture(CartState.from_document(state.to_document())) == picture(state)
    forgotten = list(latest.values())[:-CLIENTS_PER_USER_MAX]
    assert state.evicted.get(OWNER, 0) >= max((rev for _, rev in forgotten), default=0)
