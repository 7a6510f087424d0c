"""What single things of the store do, as models for the checker of histories.

Values are ids that the campaign gives to what it writes: no two writes have the same. `ANY` in what was seen stands for
what a view does not show (a listing shows no metadata).
"""

from __future__ import annotations

from typing import Any

from tests.campaign.history_check import REFUSED, Op

ANY = "any"


def register(state: Any, op: Op) -> Any:
    """A fact: `write` a value, `read` it."""
    if op.do == "write":
        return op.value
    return state if op.seen == state else REFUSED


def _told(op: Op, applies: bool, after: Any, state: Any) -> Any:
    """A change that says whether it was made: `seen` True or False."""
    if op.back is None:
        return after if applies else REFUSED
    if bool(op.seen) != applies:
        return REFUSED
    return after if applies else state


def stored(state: Any, op: Op) -> Any:
    """An object without versions; the state is None or (bytes, metadata).

    `get`: seen None or (bytes, metadata or ANY) · `put`: value · `delete`: answers the same whether it was there ·
    `remove`: says whether it was there · `post`: new metadata `value`, says whether it was there · `create`: value,
    only if absent · `replace`: value, only if its bytes are `expect` · `discard`: delete, only if its bytes are
    `expect` or it is absent already · `unlike`: its bytes are not `expect`.
    """
    bytes_are = state is not None and state[0] == op.expect
    match op.do:
        case "get":
            fits = state == op.seen or (state and op.seen == (state[0], ANY))
            return state if fits else REFUSED
        case "put":
            return op.value
        case "delete":
            return None
        case "remove":
            return _told(op, state is not None, None, state)
        case "post":
            return _told(op, state is not None, state and (state[0], op.value), state)
        case "create":
            return _told(op, state is None, op.value, state)
        case "replace":
            return _told(op, bytes_are, op.value, state)
        case "discard":
            return _told(op, bytes_are or state is None, None, state)
        case "unlike":
            return REFUSED if bytes_are else state
    raise AssertionError(f"an object knows no {op.do}")


Entry = tuple[str | None, Any]
"""(version id, None while nobody knows it; bytes, None for a delete marker)."""


def same(entry: Entry, shown: Entry) -> bool:
    """Whether an entry is what was shown."""
    return (entry[1] == shown[1] and None in (entry[0], shown[0])) or entry == shown


def versioned(state: tuple[Entry, ...], op: Op) -> Any:
    """An object with versions; the state is its entries, newest first.

    `get`: seen None or (id, bytes) · `put`: value, seen its id · `delete`: seen the marker's id · `create`, `replace`:
    as for objects, seen the id or False · `get_version`, `delete_version`: expect (id, bytes), the first seen True or
    False · `versions`: seen all entries.
    """
    top = state[0] if state and state[0][1] is not None else None
    given = None if op.back is None or not op.seen else op.seen
    match op.do:
        case "get":
            fits = top is None if op.seen is None else top is not None and same(top, op.seen)  # type: ignore[arg-type]
            return state if fits else REFUSED
        case "put":
            return ((given, op.value), *state)
        case "delete":
            return ((given, None), *state)
        case "create":
            return _told(op, top is None, ((given, op.value), *state), state)
        case "replace":
            return _told(op, top is not None and top[1] == op.expect, ((given, op.value), *state), state)
        case "get_version":
            there = any(same(entry, op.expect) for entry in state)  # type: ignore[arg-type]
            return state if there == op.seen else REFUSED
        case "delete_version":
            gone = [entry for entry in state if entry == op.expect] or [
                entry
                for entry in state
                if entry[0] is None and entry[1] is not None and entry[1] == op.expect[1]  # type: ignore[index]
            ]
            return tuple(entry for entry in state if entry not in gone)
        case "versions":
            shown: Any = op.seen
            fits = len(shown) == len(state) and all(map(same, state, shown))
            return state if fits else REFUSED
    raise AssertionError(f"versions know no {op.do}")


def existence(state: bool, op: Op) -> Any:
    """A bucket: `make` and `drop` (seen True or False: whether it was so before is told, ANY: it is not), `look`."""
    match op.do:
        case "make":
            return True if op.back is None or op.seen == ANY else _told(op, not state, True, state)
        case "drop":
            return _told(op, state, False, state)
        case "look":
            return state if op.seen == state else REFUSED
    raise AssertionError(f"a bucket knows no {op.do}")
