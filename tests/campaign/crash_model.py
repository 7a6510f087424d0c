"""What a client was promised, kept outside the program: states of keys, and a journal of every intent and outcome."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

MARKER = "marker"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object as a client sees it. Empty `vid` or `etag`, or `public` None: not known, any will do."""

    sha: str
    size: int
    etag: str = ""
    ctype: str = ""
    meta: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    public: bool | None = None
    vid: str = ""

    def fits(self, seen: Version) -> bool:
        """Whether a reader that saw `seen` saw this."""
        same = (self.sha, self.size, self.meta, self.tags) == (seen.sha, seen.size, seen.meta, seen.tags)
        known = all(not mine or mine == other for mine, other in ((self.etag, seen.etag), (self.vid, seen.vid)))
        typed = self.sha == MARKER or self.ctype == seen.ctype
        return same and known and typed and (None in (self.public, seen.public) or self.public == seen.public)

    def with_seen(self, seen: Version) -> Version:
        """This, and what only the reader could know."""
        public = self.public if seen.public is None else seen.public
        return replace(self, etag=self.etag or seen.etag, vid=self.vid or seen.vid, public=public)


State = tuple[Version, ...]
"""The versions of a key, newest first; empty: there is none."""
ABSENT: State = ()


def fits(expected: State, seen: State) -> bool:
    return len(expected) == len(seen) and all(a.fits(b) for a, b in zip(expected, seen, strict=True))


def shown(state: Any) -> Any:
    """A state for people and files."""
    if isinstance(state, tuple) and all(isinstance(one, Version) for one in state):
        return [{k: v for k, v in asdict(one).items() if v not in ("", (), None)} for one in state]
    return state


@dataclass(slots=True)
class Change:
    """One intent: in force at the latest from `end` on, never before `begin`; both are numbers of the power shim's
    log of operations (0 without it). `end` None: the answer was lost."""

    number: int
    key: str
    operation: str
    begin: int
    after: list[Any]
    end: int | None = None
    refused: bool = False


@dataclass(slots=True)
class Journal:
    """An append-only file: a line before each request that changes something, a line after its answer."""

    path: Path
    position: Callable[[], int] = lambda: 0
    history: dict[str, list[Change]] = field(default_factory=dict)
    acknowledged: int = 0
    refused: int = 0
    lost: int = 0
    _fd: int = -1
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def line(self, what: str, **fields: Any) -> None:
        """A line of its own, on its way to the disk before anything else happens."""
        text = json.dumps({"at": round(time.time(), 4), "what": what, **fields}, default=str)
        os.write(self._fd, text.encode() + b"\n")

    def intend(self, key: str, operation: str, after: Sequence[Any]) -> Change:
        with self._lock:
            self._number += 1
            change = Change(self._number, key, operation, self.position(), list(after))
            self.history.setdefault(key, []).append(change)
        self.line("intent", n=change.number, key=key, op=operation, after=[shown(state) for state in after])
        return change

    def outcome(self, change: Change, what: str, **fields: Any) -> None:
        """`acked` (with its one state in `change.after`), `refused` (nothing changed) or `lost`."""
        with self._lock:
            if what == "lost":
                self.lost += 1
            else:
                change.end = self.position()
                change.refused = what == "refused"
                self.acknowledged += what == "acked"
                self.refused += what == "refused"
        self.line(what, n=change.number, key=change.key, **fields)

    def account(self, key: str) -> list[Mapping[str, Any]]:
        """The last changes of one key, for the report of a violation."""
        return [{**asdict(change), "after": [shown(s) for s in change.after]} for change in self.history.get(key, [])][
            -12:
        ]


@dataclass(slots=True)
class Violations:
    """Promises that were not kept."""

    journal: Journal
    found: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, subject: str, text: str, **more: Any) -> None:
        account = self.journal.account(subject)
        with self._lock:
            self.found.append({"kind": kind, "subject": subject, "text": text, **more, "account": account})
        self.journal.line("violation", kind=kind, key=subject, text=text, **more)
        print(f"VIOLATION {kind} {subject}: {text}", flush=True)
