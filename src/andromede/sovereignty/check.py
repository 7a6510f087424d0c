"""Proof that the ledger is whole: events against entries, entries against tiles, tiles against roots and signatures.

Runs beside a working installation: each log is checked up to the size that it had when its turn came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from andromede.db import Database
from andromede.errors import Fatal
from andromede.ledger import tree
from andromede.ledger.note import BadNote, checkpoint_text, open_note
from andromede.ledger.receipt import entry_of
from andromede.ledger.tree import HASH_SIZE, TILE_WIDTH
from andromede.sovereignty import store, tiles
from andromede.sovereignty.logkeys import LogKeys
from andromede.sovereignty.store import LogState, Stored
from andromede.sovereignty.tiles import ENTRIES, Edge

MOST_A_LOG = 20
"""Findings of one log after which the rest of it is left out."""


class Problem(NamedTuple):
    """A finding, in the words of fsck."""

    severity: str
    kind: str
    subject: str
    text: str


def check(db: Database, keys: LogKeys, step: Callable[[], None] = lambda: None) -> list[Problem]:
    """Every finding over every log; `step` is called once per 256 events."""
    found: list[Problem] = []
    for log in store.logs(db):
        for count, problem in enumerate(_log(db, keys, log, step), 1):
            found.append(problem)
            if count == MOST_A_LOG:
                found.append(Problem("error", "ledger", log.origin, "there is more; the rest of this log was left out"))
                break
    return found


def _log(db: Database, keys: LogKeys, log: LogState, step: Callable[[], None]) -> Iterator[Problem]:
    if log.size > log.allocated:
        yield _wrong(log, f"{log.size} entries stand in the tree of {log.allocated} events")
    edge = Edge()
    for number in range(-(-log.size // TILE_WIDTH)):
        step()
        yield from _tile(db, log, edge, number)
        if edge.size != min((number + 1) * TILE_WIDTH, log.size):
            return  # entries are missing: what comes after them proves nothing
    if edge.root() != log.root:
        yield _wrong(log, f"the entries do not lead to the root that is recorded for {log.size}")
    find = partial(store.tile, db, log.origin)
    for row in store.checkpoints(db, log.origin):
        yield from _checkpoint(log, keys, row, find)
    missing = store.missing(db, log.tenant, log.size, log.allocated)
    if missing > 0:
        text = f"{missing} of the newest {log.allocated - log.size} events are still being written, or are missing"
        yield Problem("notice", "ledger", log.origin, text)


def _wrong(log: LogState, text: str) -> Problem:
    return Problem("error", "ledger", log.origin, text)


def _tile(db: Database, log: LogState, edge: Edge, number: int) -> Iterator[Problem]:
    first = number * TILE_WIDTH
    width = min(TILE_WIDTH, log.size - first)
    entries = tiles.split((store.tile(db, log.origin, ENTRIES, number) or b"")[: width * HASH_SIZE])
    if len(entries) != width:
        yield _wrong(log, f"entries from {first} are missing: {len(entries)} of {width} are there")
        return
    yield from _events(db, log, first, entries)
    for tile in edge.extend(entries):
        if tile.level == ENTRIES:
            continue
        stored = store.tile(db, log.origin, tile.level, tile.number) or b""
        if not stored.startswith(tile.data):
            yield _wrong(log, f"tile {tile.level}/{tile.number} does not follow from the entries below it")


def _events(db: Database, log: LogState, first: int, entries: list[bytes]) -> Iterator[Problem]:
    last = first + len(entries)
    position = first
    for at, salt, body in store.events(db, log.tenant, first, last, len(entries) + 1):
        if at != position:
            text = "two events have it" if at < position else "its event is missing"
            yield _wrong(log, f"position {min(at, position)}: {text}")
        position = at + 1
        if salt is not None and at < last and entry_of(salt, body) != entries[at - first]:
            yield _wrong(log, f"position {at}: the event or its salt is not the one that was entered")
    if position < last:
        yield _wrong(log, f"position {position}: its event is missing")


def _checkpoint(log: LogState, keys: LogKeys, row: Stored, find: tiles.Find) -> Iterator[Problem]:
    if row.size > log.size:
        if row.note is not None and row.size > log.allocated:
            yield _wrong(log, f"a checkpoint of {row.size} entries was signed, there are {log.allocated} events")
        return
    try:
        root = tree.subtree(tiles.reader(find, log.origin), 0, row.size)
    except Fatal as error:
        yield _wrong(log, error.public)
        return
    if root != row.root:
        yield _wrong(log, f"the checkpoint of {row.size} entries has another root than the tree")
    if row.note is None:
        return
    try:
        text, signatures = open_note(row.note, keys.verifiers(log.origin))
    except BadNote as error:
        yield _wrong(log, f"the checkpoint of {row.size} entries: {error}")
        return
    if text != checkpoint_text(log.origin, row.size, row.root) or len(signatures) != 2:
        yield _wrong(log, f"the note of the checkpoint of {row.size} entries does not say what its row says")
