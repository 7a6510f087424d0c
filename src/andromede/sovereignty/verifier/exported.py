"""A whole exported log: every entry recomputed, one root, gaps in the numbering of the sources."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from andromede.ledger.note import MAXIMUM_NAME, BadNote, decode
from andromede.ledger.policy import Checkpoint
from andromede.ledger.receipt import SALT_SIZE, entry_of
from andromede.ledger.tree import EMPTY_ROOT, HASH_SIZE, leaf_hash, node_hash
from andromede.sovereignty.verifier.inputs import lines_of, open_regular, read_text
from andromede.sovereignty.verifier.report import Report, Unreadable, plain
from andromede.sovereignty.verifier.trust import Trust, standing, trust_of

FORMAT = "andromede/export/v1"
MAXIMUM_ERRORS = 20
MAXIMUM_SOURCES = 10_000
SHOWN_SOURCES = 20


@dataclass(slots=True)
class Stack:
    """The root of a growing tree in O(log n) memory: one full subtree for each bit of the size."""

    size: int = 0
    roots: list[bytes] = field(default_factory=list)

    def add(self, leaf: bytes) -> None:
        rest = self.size
        while rest & 1:
            leaf = node_hash(self.roots.pop(), leaf)
            rest >>= 1
        self.roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self.roots:
            return EMPTY_ROOT
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = node_hash(left, root)
        return root


@dataclass(slots=True)
class Numbers:
    """The source numbers (`seq`) seen of one source."""

    first: int
    last: int
    count: int = 0

    def add(self, seq: int) -> None:
        self.first, self.last, self.count = min(self.first, seq), max(self.last, seq), self.count + 1

    @property
    def missing(self) -> int:
        return max(0, self.last - self.first + 1 - self.count)


@dataclass(slots=True)
class Tally:
    """What the lines of an export held."""

    tree: Stack = field(default_factory=Stack)
    events: int = 0
    pruned: int = 0
    errors: list[str] = field(default_factory=list)
    wrong: int = 0
    sources: dict[str, Numbers] = field(default_factory=dict)
    unnumbered: int = 0

    def blame(self, error: str) -> None:
        self.wrong += 1
        if len(self.errors) < MAXIMUM_ERRORS:
            self.errors.append(error)

    def numbered(self, event: bytes) -> None:
        """Note the source and number of an event; events that carry none are counted."""
        try:
            fields = json.loads(event)
            source, seq = fields["source"], fields["seq"]
        except (ValueError, TypeError, KeyError, RecursionError):
            source, seq = None, None
        if not isinstance(source, str) or type(seq) is not int:
            self.unnumbered += 1
            return
        name = source[:MAXIMUM_NAME]
        if name in self.sources or len(self.sources) < MAXIMUM_SOURCES:
            self.sources.setdefault(name, Numbers(seq, seq)).add(seq)
        else:
            self.unnumbered += 1


def record_of(line: bytes) -> dict[str, Any]:
    """One line of `log.jsonl`; BadNote when it is not a JSON object."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadNote("not JSON") from error
    if not isinstance(record, dict):
        raise BadNote("not a JSON object")
    return record


def bytes_of(record: dict[str, Any], name: str) -> bytes | None:
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadNote(f"{name} is not text")
    return decode(value, name)


def event_of(record: dict[str, Any]) -> tuple[bytes, bytes] | None:
    """(salt, event) of a line, None when they were pruned; BadNote when only one of them is there."""
    salt, event = bytes_of(record, "salt"), record.get("event")
    if event is not None and not isinstance(event, str):
        raise BadNote("event is not text")
    try:
        raw = bytes_of(record, "event64") if event is None else event.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadNote("event is not Unicode") from error
    if salt is None and raw is None:
        return None
    if salt is None or raw is None or len(salt) != SALT_SIZE:
        raise BadNote("salt or event is missing, or the salt has the wrong size")
    return salt, raw


def take(tally: Tally, line: bytes) -> None:
    """Count one line into the tally; what is wrong with it is noted with its index."""
    index = tally.tree.size
    entry: bytes | None = None
    try:
        record = record_of(line)
        entry = bytes_of(record, "entry")
        if entry is None or len(entry) != HASH_SIZE:
            raise BadNote("entry is missing or has the wrong size")
        if type(record.get("index")) is not int or record["index"] != index:
            raise BadNote(f"it says index {plain(str(record.get('index')), 40)}")
        found = event_of(record)
        if found is None:
            tally.pruned += 1
        elif entry_of(*found) != entry:
            raise BadNote("salt and event do not give its entry: one of them was changed")
        else:
            tally.events += 1
            tally.numbered(found[1])
    except BadNote as error:
        tally.blame(f"entry {index}: {error}")
    tally.tree.add(leaf_hash(entry or b""))


def parts(name: str) -> tuple[str, str, Iterator[bytes]]:
    """(checkpoint note, policy, lines) of an exported directory or file; Unreadable when it is neither."""
    if name != "-" and os.path.isdir(name):
        folder = Path(name)
        note, policy = read_text(str(folder / "checkpoint")), read_text(str(folder / "policy"))
        return note, policy, _lines(str(folder / "log.jsonl"))
    lines = _lines(name)
    try:
        head = record_of(next(lines, b""))
    except BadNote as error:
        raise Unreadable(f"{name} is not an export: its first line is {error}") from error
    texts = [head.get("checkpoint"), head.get("policy")]
    if head.get("format") != FORMAT or not all(isinstance(text, str) for text in texts):
        raise Unreadable(f"{name} is not an export of the form {FORMAT}")
    return str(texts[0]), str(texts[1]), lines


def _lines(name: str) -> Iterator[bytes]:
    with closing(open_regular(name)) as file:
        yield from lines_of(file, name)


def check_export(name: str, own: Trust | None) -> Report:
    """Recompute a whole exported log under the reader's policy, or under the one inside when there is none."""
    note, inner, lines = parts(name)
    trust = own or trust_of(inner)
    try:
        checkpoint = trust.accept(note)
    except BadNote as error:
        return Report(name, False, f"its checkpoint is not accepted: {error}")
    tally = Tally()
    for line in lines:
        if tally.tree.size >= checkpoint.size:
            tally.blame(f"lines beyond the {checkpoint.size} entries of the checkpoint")
            break
        take(tally, line)
    return _judged(name, tally, checkpoint, (trust, own is not None, note))


def _judged(name: str, tally: Tally, checkpoint: Checkpoint, basis: tuple[Trust, bool, str]) -> Report:
    trust, owned, note = basis
    root = tally.tree.root()
    if tally.tree.size < checkpoint.size:
        tally.blame(f"only {tally.tree.size} of the {checkpoint.size} entries of the checkpoint are here")
    elif root != checkpoint.root:
        tally.blame(f"the entries give root {root.hex()}, the signed one is {checkpoint.root.hex()}")
    worth, facts = standing(trust, checkpoint, note)
    lines = [*tally.errors]
    if tally.wrong > len(tally.errors):
        lines.append(f"and {tally.wrong - len(tally.errors)} more")
    lines += [f"{tally.events} events, {tally.pruned} pruned (only their hash is left)", *_source_lines(tally), *worth]
    if not owned:
        lines.append("checked under the policy inside the export: the operator's word, use --policy with your own")
    facts = {
        "events": tally.events, "pruned": tally.pruned, "errors": tally.errors, "wrong": tally.wrong,
        "policy": "own" if owned else "inside the export",
        "sources": {plain(s): {"first": n.first, "last": n.last, "count": n.count, "missing": n.missing}
                    for s, n in tally.sources.items()},
        **facts,
    }  # fmt: skip
    if tally.wrong:
        return Report(name, False, tally.errors[0], tuple(lines[1:]), facts)
    verdict = f"all {checkpoint.size} entries of {checkpoint.origin} lead to the signed root"
    return Report(name, True, verdict, tuple(lines), facts, "" if owned else "CONSISTENT")


def _source_lines(tally: Tally) -> list[str]:
    gaps = [(source, numbers) for source, numbers in tally.sources.items() if numbers.missing]
    lines = [
        f"source {source}: {numbers.missing} numbers between {numbers.first} and {numbers.last} are not here"
        for source, numbers in gaps[:SHOWN_SOURCES]
    ]
    if len(gaps) > SHOWN_SOURCES:
        lines.append(f"and {len(gaps) - SHOWN_SOURCES} more sources with gaps")
    if gaps:
        lines.append("(sources number the events of all tenants: a gap in one tenant's log is no proof of an omission)")
    return lines
