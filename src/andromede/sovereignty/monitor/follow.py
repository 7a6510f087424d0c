"""Following one log: every checkpoint must extend the last, and every new entry must be in its tree."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from andromede.clock import US, Clock
from andromede.ledger import tree
from andromede.ledger.contradiction import Signed, judge_pair
from andromede.ledger.note import BadNote
from andromede.ledger.tree import HASH_SIZE, TILE_WIDTH
from andromede.sovereignty.monitor.copy import Copy
from andromede.sovereignty.monitor.evidence import CONTRADICTION, STALE, Exhibit, Finding, b64, pair, single
from andromede.sovereignty.monitor.relation import Fit, Pinned, Prover, Relation
from andromede.sovereignty.monitor.site import LogSite, Shown
from andromede.sovereignty.monitor.state import State
from andromede.sovereignty.monitor.wire import Absent, Garbled, Silent

CHUNK = 64 * TILE_WIDTH
"""Entries that are fetched, proved and made durable at a time."""
AGAIN_SECONDS = 5.0
"""A checkpoint may come from a cache that is a few seconds old: before a rollback is believed, one more look."""

MOST_ASKED_AGAIN = 20
MOST_AT_ONCE = 1 << 21
"""Entries that one round takes in: a server cannot keep it busy for ever."""
REST_SECONDS = 3600
"""How long entries that can only be traces of our own reading may wait to be read."""

Report = Callable[[Finding], None]


@dataclass(frozen=True, slots=True)
class Desk:
    """What all parts of the monitor of one log share. `report` keeps a finding's evidence before it returns;
    `save` makes state and copy durable; `enter` takes the proved entries in order."""

    site: LogSite
    clock: Clock
    state: State
    copy: Copy
    report: Report
    save: Callable[[], None]
    enter: Callable[[Shown], None]

    @property
    def prover(self) -> Prover:
        """Proofs from the copy, then from the server."""
        return Prover(self.copy, self.site)

    def seen(self, note: str, source: str) -> Exhibit:
        """A note that was received just now."""
        return Exhibit(source, self.clock.now_us(), note)

    @property
    def accepted(self) -> Exhibit:
        """The last accepted note."""
        return Exhibit(self.site.url, self.state.note_seen, self.state.note)


class Follower:
    """Judges the checkpoints of one log."""

    def __init__(self, desk: Desk, pinned: Pinned) -> None:
        self._desk = desk
        self._pinned = pinned

    @property
    def accepted(self) -> Signed | None:
        """The last accepted checkpoint."""
        return self._pinned.open(self._desk.state.note) if self._desk.state.note else None

    def look(self, eager: bool = True) -> Signed | None:
        """Fetch the newest checkpoint and go on to it; None when it is refused (and reported). Unless `eager`, what
        is new is only proved to extend the log, and read later, when it can be no more than the traces of our own
        reading: else a log that is followed would never come to rest."""
        desk = self._desk
        note = desk.site.checkpoint()
        signed, last = self._open(note), self.accepted
        if signed is not None and last is not None and signed.size < last.size:
            desk.clock.sleep(AGAIN_SECONDS)
            note = desk.site.checkpoint()
            signed = self._open(note)
        if signed is None:
            return None
        if last is not None and not self._extends(last, signed, note):
            return None
        if last is not None and signed.size - desk.state.verified <= (0 if eager else self._own_traces()):
            if signed.size > last.size and not self.compare(last, signed, note, desk.site.url):
                return None
            desk.state.note, desk.state.note_seen = note, desk.clock.now_us()
            return signed
        return signed if self._catch_up(signed, note) else None

    def _own_traces(self) -> int:
        """How many entries our last reading may have left; none once that is long ago."""
        state = self._desk.state
        fresh = self._desk.clock.now_us() - state.read_at < REST_SECONDS * US
        return state.reads if fresh else 0

    def _open(self, note: str) -> Signed | None:
        try:
            return self._pinned.open(note)
        except BadNote as error:
            text = f"the server's checkpoint is not the log's: {error}"
            facts = single(self._desk.seen(note, self._desk.site.url)) | {"accepted": self._desk.state.note}
            self._desk.report(Finding(CONTRADICTION, "signature", text, "checkpoint", facts))
            return None

    def _extends(self, last: Signed, signed: Signed, note: str) -> bool:
        """Whether the new checkpoint may follow the last one. Where the copy is whole, a larger one is proved by
        fetching its entries, and nothing needs to be asked here."""
        if signed.size > last.size and self._desk.state.verified >= last.size:
            return True
        return self.compare(last, signed, note, self._desk.site.url) and signed.size >= last.size

    def compare(self, last: Signed, other: Signed, note: str, source: str) -> bool:
        """Whether another signed checkpoint, from `source`, fits the accepted one; reports when it does not.
        A smaller one from the server itself is a rollback even if it fits, and so is a larger one from a witness:
        the server showed it once, and shows less now."""
        desk = self._desk
        small, large = sorted((last, other), key=lambda signed: signed.size)
        less = other.size < last.size if source == desk.site.url else other.size > last.size
        try:
            relation = desk.prover.relation(small, large)
        except Silent as error:
            relation = Relation(Fit.UNPROVEN)
            if not less:
                text = f"sizes {small.size} and {large.size} are signed, no proof is given that they fit: {error}"
                desk.report(Finding(STALE, "unproven", text, source, pair(desk.accepted, desk.seen(note, source))))
                return False
        if relation.fit is Fit.EXTENDS and not less:
            return True
        kind, text = _verdict(last, other, relation, less)
        facts = pair(desk.accepted, desk.seen(note, source), relation.nodes)
        desk.report(Finding(CONTRADICTION, kind, f"{text} (seen at {source})", source, facts))
        return False

    def _catch_up(self, target: Signed, note: str) -> bool:
        desk = self._desk
        desk.copy.cut(desk.state.verified)
        most = desk.copy.size + MOST_AT_ONCE
        while desk.copy.size < target.size:
            if desk.copy.size >= most:
                text = f"{desk.copy.size} of {target.size} entries are proved; the next round goes on"
                desk.report(Finding(STALE, "catching-up", text, "checkpoint"))
                return True
            start = desk.copy.size
            end = min(target.size, (start // CHUNK + 1) * CHUNK)
            chunk = fetch(desk.site, start, end, target.size)
            fitting = self._fitting(chunk, target)
            if fitting is None:
                desk.copy.cut(start)
                self._refuse(target, note, (start, end))
                return False
            self._point_out(chunk, fitting, target, note)
            desk.state.verified, desk.state.note, desk.state.note_seen = end, note, desk.clock.now_us()
            for index in range(start, end):
                desk.enter(chunk.shown.get(index) or Shown(index, None, b""))
            desk.save()
            self._check_tiles(start, end, target)
        return True

    def _fitting(self, chunk: Chunk, target: Signed) -> Sequence[bytes] | None:
        """The leaves that lead to the signed root: those of the events shown, or those of the entries tiles."""
        copy, start = self._desk.copy, self._desk.copy.size
        for leaves in chunk.candidates():
            copy.append(leaves)
            part = Signed(target.origin, copy.size, copy.root(copy.size), {})
            if self._desk.prover.relation(part, target).fit is Fit.EXTENDS:
                return leaves
            copy.cut(start)
        return None

    def _refuse(self, target: Signed, note: str, span: tuple[int, int]) -> None:
        last = self.accepted
        if last is not None and last.size < target.size and not self.compare(last, target, note, self._desk.site.url):
            return
        text = f"entries {span[0]} to {span[1] - 1} as served do not lead to the signed root of size {target.size}"
        facts = single(self._desk.seen(note, self._desk.site.url))
        self._desk.report(Finding(CONTRADICTION, "entries", text, f"{span[0]}", facts))

    def _point_out(self, chunk: Chunk, leaves: Sequence[bytes], target: Signed, note: str) -> None:
        """Report what was served beside the signed tree."""
        served = single(self._desk.seen(note, self._desk.site.url))
        for index in range(chunk.first, chunk.first + len(leaves)):
            shown, entry, leaf = chunk.shown.get(index), chunk.entries[index - chunk.first], leaves[index - chunk.first]
            facts = {**served, "index": index, "tile_entry": b64(entry), "leaf": b64(leaf)}
            if self._desk.copy.size == target.size:
                facts["path"] = [b64(step) for step in tree.inclusion(self._desk.copy.read, index, target.size)]
            if shown is None:
                text = (
                    f"entry {index} is in the signed tree, and the server neither shows it nor says that it was removed"
                )
                self._desk.report(Finding(CONTRADICTION, "hidden-event", text, str(index), facts))
            elif shown.leaf not in (None, leaf):
                facts |= {"salt": b64(shown.salt or b""), "event": b64(shown.event)}
                text = f"event {index} as shown is not what the signed tree holds: it or its salt was changed"
                self._desk.report(Finding(CONTRADICTION, "event", text, str(index), facts))
            if tree.leaf_hash(entry) != leaf:
                text = f"the entries tile holds another entry {index} than the signed tree"
                self._desk.report(Finding(CONTRADICTION, "tile", text, f"entries {index}", facts))

    def _check_tiles(self, start: int, end: int, target: Signed) -> None:
        """Compare the served hash tiles that the new entries changed with the own copy."""
        for level, number, width in _changed(start, end):
            own = b"".join(self._desk.copy.read(level, number * TILE_WIDTH, width))
            name = tree.tile_path(level, number, width % TILE_WIDTH)
            try:
                whole = min(TILE_WIDTH, (target.size >> (8 * level)) - number * TILE_WIDTH)
                served = self._desk.site.tile(level, number, whole)[: width * HASH_SIZE]
            except Absent as error:
                self._desk.report(Finding(STALE, "tile-missing", f"the server lacks {name}: {error}", name))
                continue
            if served != own:
                facts = {
                    "tile": name,
                    "served_hashes": b64(served),
                    "signed_hashes": b64(own),
                    "note": self._desk.state.note,
                }
                text = f"{name} as served is not part of the signed tree"
                self._desk.report(Finding(CONTRADICTION, "tile", text, name, facts))


def _verdict(last: Signed, other: Signed, relation: Relation, less: bool) -> tuple[str, str]:
    """Kind and words for two checkpoints that do not fit, or that fit in the wrong order."""
    small, large = sorted((last.size, other.size))
    if relation.fit is not Fit.UNPROVEN:
        with contextlib.suppress(BadNote):
            verdict = judge_pair(last, other, relation.nodes)
            if verdict.proved:
                return verdict.kind, verdict.text
    if less:
        return "rollback", f"size {large} was signed and shown, and the server shows no more than {small} now"
    return "not-a-prefix", f"sizes {small} and {large} are signed, and nothing that the server gives joins them"


def _changed(start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(level, number, width) of the tiles that entries start <= index < end changed."""
    level = 0
    while end >> (8 * level):
        low, high = start >> (8 * level), end >> (8 * level)
        for number in range(low // TILE_WIDTH, (high + TILE_WIDTH - 1) // TILE_WIDTH if high > low else 0):
            yield level, number, min(TILE_WIDTH, high - number * TILE_WIDTH)
        level += 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive entries from `first`, as events and as tiles show them."""

    first: int
    entries: list[bytes]
    shown: dict[int, Shown]

    def candidates(self) -> list[list[bytes]]:
        """Lists of leaves that may be the signed ones."""
        tiles = [tree.leaf_hash(entry) for entry in self.entries]
        events = []
        for number, leaf in enumerate(tiles):
            one = self.shown.get(self.first + number)
            events.append((one.leaf if one is not None else None) or leaf)
        return [events] if events == tiles else [events, tiles]


def fetch(site: LogSite, start: int, end: int, size: int) -> Chunk:
    """Events and entries start <= index < end of the tree of `size`. An event that a list leaves out is asked for
    once more, alone."""
    shown = site.events(start, end)
    missing = [index for index in range(start, end) if index not in shown]
    for index in missing[:MOST_ASKED_AGAIN]:
        shown.update(site.events(index, index + 1))
    entries: list[bytes] = []
    for number in range(start // TILE_WIDTH, (end + TILE_WIDTH - 1) // TILE_WIDTH):
        tile = site.entries(number, min(TILE_WIDTH, size - number * TILE_WIDTH))
        low = max(start - number * TILE_WIDTH, 0)
        entries += tile[low : min(end - number * TILE_WIDTH, TILE_WIDTH)]
    if len(entries) != end - start:
        raise Garbled(f"{len(entries)} entries in the tiles of {start} to {end - 1}")
    return Chunk(start, entries, shown)
