"""The checker of histories: accepts what can be explained, rejects what cannot, and agrees with trying all orders."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.campaign.history_check import REFUSED, Model, Op, check
from tests.campaign.history_models import ANY, existence, register, stored, versioned

A, B, C = ("a", 1), ("b", 2), ("c", 3)


def op(call: float, back: float | None, do: str, **fields: Any) -> Op:
    return Op(call, back, do, **fields)


def write(call: float, back: float | None, value: Any) -> Op:
    return op(call, back, "write", value=value)


def read(call: float, back: float, seen: Any) -> Op:
    return op(call, back, "read", seen=seen)


REGISTERS = {
    "nothing": [],
    "one after the other": [write(0, 1, 1), read(2, 3, 1), write(4, 5, 2), read(6, 7, 2)],
    "reads beside a write see either": [write(0, 10, 1), read(1, 2, None), read(3, 4, 1), read(1, 9, None)],
    "two writes beside each other": [write(0, 10, 1), write(0, 10, 2), read(11, 12, 1), read(13, 14, 1)],
    "a lost write that was made late": [write(0, None, 1), write(1, 2, 2), read(3, 4, 2), read(5, 6, 1)],
    "a lost write that was never made": [write(0, None, 1), write(1, 2, 2), read(3, 4, 2), read(5, 6, 2)],
}
BROKEN_REGISTERS = {
    "a stale read": [write(0, 1, 1), write(2, 3, 2), read(4, 5, 1)],
    "a read of nothing after a write": [write(0, 1, 1), read(2, 3, None)],
    "a value from nowhere": [write(0, 1, 1), read(2, 3, 7)],
    "back in time beside one write": [write(0, 10, 1), read(1, 2, 1), read(3, 4, None)],
    "split brain: two readers see different last values": [
        write(0, 10, 1), write(0, 10, 2), read(11, 12, 1), read(11, 12, 2)],
    "two workers that each stay with their own": [
        write(0, 1, 1), write(2, 3, 2), read(4, 5, 2), read(6, 7, 1), read(8, 9, 2)],
    "a lost write seen, unseen and seen": [
        write(0, None, 1), read(1, 2, 1), write(3, 4, 2), read(5, 6, 2), read(7, 8, 1), read(9, 10, 2)],
    "a lost write seen before it was called": [read(0, 1, 1), write(2, None, 1)],
}  # fmt: skip


@pytest.mark.parametrize("name", REGISTERS)
def test_registers_that_hold(name: str) -> None:
    assert check(REGISTERS[name], register).holds is True


@pytest.mark.parametrize("name", BROKEN_REGISTERS)
def test_registers_that_do_not(name: str) -> None:
    verdict = check(BROKEN_REGISTERS[name], register)
    assert verdict.holds is False
    assert "can be placed" in verdict.why[0]


OBJECTS = {
    "conditional writes, one wins": [
        op(0, 5, "create", value=A, seen=True), op(1, 6, "create", value=B, seen=False), op(7, 8, "get", seen=A)],
    "compare and set in turn": [
        op(0, 1, "put", value=A), op(2, 9, "replace", value=B, expect="a", seen=True),
        op(3, 8, "replace", value=C, expect="b", seen=True), op(10, 11, "get", seen=("c", ANY))],
    "a refused replacement of something absent": [op(0, 1, "replace", value=B, expect="a", seen=False)],
    "delete and remove": [
        op(0, 1, "put", value=A), op(2, 5, "remove", seen=True), op(3, 6, "remove", seen=False), op(7, 8, "delete")],
    "metadata": [
        op(0, 1, "put", value=A), op(2, 3, "post", value=9, seen=True), op(4, 5, "get", seen=("a", 9)),
        op(6, 7, "delete"), op(8, 9, "post", value=10, seen=False)],
    "a lost replacement explains a refusal": [
        op(0, 1, "put", value=A), op(2, None, "replace", value=B, expect="a"),
        op(3, 4, "replace", value=C, expect="a", seen=False), op(5, 6, "get", seen=B)],
    "a delete beside a put may come after it": [
        op(0, 5, "put", value=A), op(0, 5, "delete"), op(6, 7, "get", seen=None)],
    "or before it": [op(0, 5, "put", value=A), op(0, 5, "delete"), op(6, 7, "get", seen=A)],
    "a source that had changed": [op(0, 1, "put", value=A), op(2, 3, "unlike", expect="b")],
}  # fmt: skip
BROKEN_OBJECTS = {
    "two winners of a creation": [
        op(0, 5, "create", value=A, seen=True), op(1, 6, "create", value=B, seen=True)],
    "two winners of a compare and set": [
        op(0, 1, "put", value=A), op(2, 5, "replace", value=B, expect="a", seen=True),
        op(3, 6, "replace", value=C, expect="a", seen=True)],
    "no winner of a creation": [
        op(0, 5, "create", value=A, seen=False), op(1, 6, "create", value=B, seen=False)],
    "a lost update: metadata kept of the bytes before": [
        op(0, 1, "put", value=A), op(2, 3, "put", value=B), op(4, 5, "get", seen=("b", 1))],
    "metadata that brings old bytes back": [
        op(0, 1, "put", value=A), op(2, 3, "put", value=B), op(4, 5, "post", value=9, seen=True),
        op(6, 7, "get", seen=("a", 9))],
    "a deleted object that comes back": [op(0, 1, "put", value=A), op(2, 3, "delete"), op(4, 5, "get", seen=A)],
    "a listing without what was written": [op(0, 1, "put", value=A), op(2, 3, "get", seen=None)],
    "a listing with what was deleted": [
        op(0, 1, "put", value=A), op(2, 3, "delete"), op(4, 5, "get", seen=("a", ANY))],
    "two removals of one object": [
        op(0, 1, "put", value=A), op(2, 5, "remove", seen=True), op(3, 6, "remove", seen=True)],
    "a copy of what the source was no more": [
        op(0, 1, "put", value=A), op(2, 3, "put", value=B), op(4, 5, "get", seen=("a", ANY))],
    "a refusal without a reason": [op(0, 1, "put", value=A), op(2, 3, "unlike", expect="a")],
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_that_hold(name: str) -> None:
    assert check(OBJECTS[name], stored).holds is True


@pytest.mark.parametrize("name", BROKEN_OBJECTS)
def test_objects_that_do_not(name: str) -> None:
    assert check(BROKEN_OBJECTS[name], stored).holds is False


VERSIONS = {
    "puts, a marker, and the version below": [
        op(0, 1, "put", value="a", seen="1"), op(2, 3, "put", value="b", seen="2"),
        op(4, 5, "delete", seen="m"), op(6, 7, "get", seen=None),
        op(8, 9, "delete_version", expect=("m", None)), op(10, 11, "get", seen=("2", "b")),
        op(12, 13, "delete_version", expect=("2", "b")), op(14, 15, "get", seen=("1", "a")),
        op(16, 17, "versions", seen=(("1", "a"),))],
    "a lost put is known by its bytes": [
        op(0, None, "put", value="a"), op(1, 2, "get", seen=("7", "a")),
        op(3, 4, "delete_version", expect=("7", "a")), op(5, 6, "versions", seen=())],
    "two puts at once, either on top": [
        op(0, 9, "put", value="a", seen="1"), op(0, 9, "put", value="b", seen="2"),
        op(10, 11, "versions", seen=(("1", "a"), ("2", "b")))],
    "a version that was deleted beside its own put": [
        op(0, 5, "put", value="a", seen="1"), op(0, 5, "delete_version", expect=("1", "a")),
        op(6, 7, "get", seen=None)],
    "conditions look at the newest": [
        op(0, 1, "create", value="a", seen="1"), op(2, 3, "create", value="b", seen=False),
        op(4, 5, "delete", seen="m"),
        op(6, 7, "create", value="c", seen="3"), op(8, 9, "replace", value="d", expect="c", seen="4"),
        op(10, 11, "get_version", expect=("1", "a"), seen=True)],
}  # fmt: skip
BROKEN_VERSIONS = {
    "a version that was lost": [
        op(0, 1, "put", value="a", seen="1"), op(2, 3, "put", value="b", seen="2"),
        op(4, 5, "versions", seen=(("2", "b"),))],
    "an order against time": [
        op(0, 1, "put", value="a", seen="1"), op(2, 3, "put", value="b", seen="2"),
        op(4, 5, "versions", seen=(("1", "a"), ("2", "b")))],
    "a version under another's id": [op(0, 1, "put", value="a", seen="1"), op(2, 3, "get", seen=("2", "a"))],
    "a version that is back": [
        op(0, 1, "put", value="a", seen="1"), op(2, 3, "delete_version", expect=("1", "a")),
        op(4, 5, "get_version", expect=("1", "a"), seen=True)],
    "versioning that came late: an overwrite took the version before with it": [
        op(0, 1, "put", value="a", seen="1"), op(2, 3, "put", value="b", seen="2"),
        op(4, 5, "get_version", expect=("1", "a"), seen=False)],
}  # fmt: skip


@pytest.mark.parametrize("name", VERSIONS)
def test_versions_that_hold(name: str) -> None:
    assert check(VERSIONS[name], versioned, ()).holds is True


@pytest.mark.parametrize("name", BROKEN_VERSIONS)
def test_versions_that_do_not(name: str) -> None:
    assert check(BROKEN_VERSIONS[name], versioned, ()).holds is False


def test_buckets() -> None:
    made = [op(0, 1, "make", seen=True), op(2, 3, "look", seen=True), op(4, 5, "drop", seen=True)]
    assert check([*made, op(6, 7, "look", seen=False), op(8, 9, "make", seen=ANY)], existence, False).holds is True
    assert check([*made, op(6, 7, "look", seen=True)], existence, False).holds is False
    assert check([*made, op(6, 7, "drop", seen=True)], existence, False).holds is False


def test_a_search_that_is_given_up_is_no_yes() -> None:
    history = [write(0, 100, n) for n in range(8)] + [read(101, 102, -1)]
    assert check(history, register, limit=50).holds is None
    assert check(history, register).holds is False


def test_a_clock_that_runs_back_is_an_error() -> None:
    with pytest.raises(ValueError, match="monotonic"):
        check([write(2, 1, 1)], register)


def test_long_histories_are_decided_quickly() -> None:
    """Two thousand operations of eight clients on an honest register, and the same with one stale read at the end."""
    chance, now, value, history = random.Random(5), 0.0, None, []
    for number in range(2000):
        now += 1
        call, back = now - chance.random() * 7, now + chance.random() * 7
        if chance.random() < 0.4:
            value = number
            history.append(write(call, back, number))
        else:
            history.append(read(call, back, value))
    assert check(history, register).holds is True
    verdict = check([*history, read(now + 20, now + 21, 0)], register)
    assert verdict.holds is False
    assert verdict.looked < 200_000


# --- against trying every order


def orders(history: Sequence[Op]) -> Iterator[tuple[Op, ...]]:
    """Every order that the times allow, of all operations with answers and any of those without."""
    sure, lost = ([op for op in history if (op.back is None) == gone] for gone in (False, True))
    for count in range(len(lost) + 1):
        for some in itertools.combinations(lost, count):
            for order in itertools.permutations([*sure, *some]):
                if all(not later.end < early.call for early, later in itertools.combinations(order, 2)):
                    yield order


def explained(order: Sequence[Op], model: Model, state: Any) -> bool:
    for step in order:
        state = model(state, step)
        if state is REFUSED:
            return False
    return True


VALUES = [("a", 1), ("b", 2)]
times = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted)
shown = st.sampled_from([None, ("a", 1), ("b", 2), ("a", ANY), ("a", 2)])
plain = st.sampled_from([
    {"do": "put", "value": VALUES[0]}, {"do": "put", "value": VALUES[1]}, {"do": "delete"},
    {"do": "unlike", "expect": "a"},
])  # fmt: skip
told = st.builds(
    lambda fields, seen: {**fields, "seen": seen},
    st.sampled_from([
        {"do": "remove"}, {"do": "post", "value": 2}, {"do": "create", "value": VALUES[0]},
        {"do": "replace", "value": VALUES[1], "expect": "a"}, {"do": "discard", "expect": "b"},
    ]),
    st.booleans(),
)  # fmt: skip
gets = shown.map(lambda seen: {"do": "get", "seen": seen})
changes = st.one_of(plain.filter(lambda fields: fields["do"] != "unlike"), told)


def placed(when: Sequence[int], fields: dict[str, Any], gone: bool = False) -> Op:
    return Op(when[0], None if gone else when[1], **fields)


histories = st.tuples(
    st.lists(st.builds(placed, times, st.one_of(plain, told, gets, gets)), max_size=5),
    st.lists(st.builds(placed, times, changes, st.just(True)), max_size=2),
).map(lambda parts: [*parts[0], *parts[1]])


@settings(max_examples=400, deadline=None)
@given(histories)
def test_the_search_agrees_with_trying_every_order(history: list[Op]) -> None:
    assert check(history, stored).holds is any(explained(order, stored, None) for order in orders(history))


entries = st.sampled_from([("1", "a"), ("2", "b"), ("m", None)])
version_acts = st.one_of(
    st.sampled_from([
        {"do": "put", "value": "a", "seen": "1"}, {"do": "put", "value": "b", "seen": "2"},
        {"do": "delete", "seen": "m"}, {"do": "create", "value": "a", "seen": "1"},
        {"do": "create", "value": "b", "seen": False},
        {"do": "replace", "value": "b", "expect": "a", "seen": "2"},
        {"do": "replace", "value": "b", "expect": "a", "seen": False},
    ]),
    entries.map(lambda entry: {"do": "delete_version", "expect": entry}),
    st.builds(lambda entry, seen: {"do": "get_version", "expect": entry, "seen": seen}, entries, st.booleans()),
    st.one_of(st.none(), entries.filter(lambda entry: entry[1] is not None)).map(lambda s: {"do": "get", "seen": s}),
    st.lists(entries, max_size=2, unique=True).map(lambda s: {"do": "versions", "seen": tuple(s)}),
)  # fmt: skip
version_histories = st.lists(st.builds(placed, times, version_acts), max_size=6)


@settings(max_examples=400, deadline=None)
@given(version_histories)
def test_the_search_agrees_about_versions(history: list[Op]) -> None:
    assert check(history, versioned, ()).holds is any(explained(order, versioned, ()) for order in orders(history))
