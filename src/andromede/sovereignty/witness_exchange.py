"""One conversation with one witness about one log, and what its view of that log proves against us."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from andromede.clock import US
from andromede.errors import Error
from andromede.ledger import tree
from andromede.ledger.contradiction import signed_by_log
from andromede.ledger.note import BadNote, Verifier, number, open_note, split_note
from andromede.ledger.witness import origin_hash
from andromede.sovereignty.store import LogState, Stored
from andromede.sovereignty.witness_http import Answer, Link

MOST_ROUNDS = 3
AHEAD_SECONDS = 300
"""How far a witness's clock may be ahead of ours: a date beyond would look fresh for ever."""
MOST_LINES = 60
"""Cosignature lines kept of one checkpoint; readers accept 64 signatures on a note."""


class LogReader(Protocol):
    """What is asked of our own logs."""

    def by_origin(self, origin: str) -> LogState | None: ...
    def hashes(self, origin: str) -> tree.Reader: ...
    def consistency(self, origin: str, old: int, size: int) -> list[bytes]: ...
    def verifiers(self, origin: str) -> tuple[Verifier, Verifier]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """`lines`: verified cosignatures of the checkpoint. `size`: what the witness remembers, as far as it said.
    `doubt`: it knows something that does not fit, and its view must be compared. `silent`: it did not answer."""

    size: int
    lines: str = ""
    error: str = ""
    doubt: bool = False
    silent: bool = False


def submit(link: Link, logs: LogReader, checkpoint: Stored, old: int, keys: Sequence[Verifier]) -> Outcome:
    """Ask for a cosignature, from the size that the witness is believed to remember; a 409 tells a better one."""
    for _ in range(MOST_ROUNDS):
        if old > checkpoint.size:
            return _ahead(logs, checkpoint, old)
        proof = logs.consistency(checkpoint.origin, old, checkpoint.size)
        steps = "".join(base64.b64encode(step).decode() + "\n" for step in proof)
        try:
            answer = link.post("/add-checkpoint", f"old {old}\n{steps}\n{checkpoint.note}".encode())
        except Error as error:
            return Outcome(old, error=error.public, silent=True)
        if answer.status == 200:
            return _accepted(checkpoint, answer, keys, link.clock.now_us() // US)
        if answer.status != 409 or answer.content_type != "text/x.tlog.size":
            return _refused(link, old, answer)
        try:
            told = number(answer.body.decode("ascii", "replace").removesuffix("\n"), "the size in a 409")
        except BadNote as error:
            return Outcome(old, error=str(error))
        if told == old:
            return Outcome(old, error=f"answers 409 and remembers {old}, the size it was asked from")
        old = told
    return Outcome(old, error="its remembered size changes faster than it can be followed")


def _ahead(logs: LogReader, checkpoint: Stored, told: int) -> Outcome:
    """The witness remembers more than this checkpoint: no wonder if the log has grown meanwhile."""
    log = logs.by_origin(checkpoint.origin)
    if log is not None and log.size >= told:
        return Outcome(told)
    size = log.size if log else 0
    return Outcome(told, error=f"remembers {told} entries, this log has {size}", doubt=True)


def _accepted(checkpoint: Stored, answer: Answer, keys: Sequence[Verifier], now: int) -> Outcome:
    text = (checkpoint.note or "").partition("\n\n")[0] + "\n"
    try:
        note = f"{text}\n{answer.body.decode()}"
        signatures = open_note(note, keys)[1]
        if any((signature.time or 0) > now + AHEAD_SECONDS for signature in signatures):
            raise BadNote("its cosignature is dated in the future: one of the two clocks is wrong")
        verified = [signature.verifier for signature in signatures]
        lines = kept_lines(note, verified)
    except (BadNote, UnicodeDecodeError) as error:
        return Outcome(checkpoint.size, error=f"answered, but {error}: is its key the one in the policy?")
    return Outcome(checkpoint.size, lines)


def _refused(link: Link, old: int, answer: Answer) -> Outcome:
    said = answer.body[:200].decode("utf-8", "replace").strip().replace("\n", " ")
    if answer.status == 404:
        host = link.url.partition("//")[2].partition("/")[0]
        return Outcome(old, error=f"404: {host} does not know this log; over there: andromede witness trust THIS_URL")
    if answer.status >= 500 or answer.status == 429:
        return Outcome(old, error=f"{answer.status}: {said}", silent=True)
    return Outcome(old, error=f"{answer.status}: {said}", doubt=answer.status in (409, 422))


def kept_lines(note: str, keys: Sequence[Verifier]) -> str:
    """The signature lines of a note by these keys, the last one of each: it is the newest."""
    _, lines = split_note(note)
    known = {(key.name, key.id) for key in keys}
    newest = {(name, blob[:4]): blob for name, blob in lines if (name, blob[:4]) in known}
    return "".join(f"— {name} {base64.b64encode(blob).decode()}\n" for (name, _), blob in newest.items())


def merged(lines: str, more: str) -> str:
    """Cosignature lines with newer ones in place of older ones by the same key."""
    found: dict[str, str] = {}
    for line in (lines + more).splitlines():
        name, _, blob = line.removeprefix("— ").partition(" ")
        found[f"{name} {base64.b64decode(blob)[:4].hex()}"] = line
    return "".join(f"{line}\n" for line in list(found.values())[-MOST_LINES:])


Kind = Literal["none", "agrees", "ahead", "fork", "unproved"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a witness's view says about our log. `ahead` and `fork` are proved by our own signature in `note`."""

    kind: Kind
    text: str = ""
    note: str = ""
    size: int = 0

    @property
    def proved(self) -> bool:
        return self.kind in ("ahead", "fork")


def look(link: Link, logs: LogReader, origin: str, state: tuple[int, bytes]) -> Judgement:
    """Fetch a witness's view of a log (`GET <hex>/checkpoint`) and compare it with our (size, root).
    Raises `Unavailable` when it cannot be reached."""
    answer = link.get(f"/{origin_hash(origin)}/checkpoint")
    if answer.status != 200:
        return Judgement("none", f"shows no checkpoint of this log ({answer.status})")
    return judge(answer.body.decode("utf-8", "replace"), logs, origin, state)


def judge(note: str, logs: LogReader, origin: str, state: tuple[int, bytes]) -> Judgement:
    """Compare a checkpoint that a witness shows with our own log of (size, root)."""
    size, root = state
    try:
        seen = signed_by_log(note, logs.verifiers(origin))
    except BadNote as error:
        return Judgement("unproved", f"shows a checkpoint that this installation did not sign ({error})")
    if seen.origin != origin:
        return Judgement("unproved", "shows a checkpoint of another log")
    if seen.size > size:
        text = f"a checkpoint of {seen.size} entries was signed here before, and the log has {size}: it was rolled back"
        return Judgement("ahead", text, note, seen.size)
    ours = root if seen.size == size else tree.subtree(logs.hashes(origin), 0, seen.size)
    if ours != seen.root:
        text = f"another history of {seen.size} entries was signed here before: this one is a fork"
        return Judgement("fork", text, note, seen.size)
    return Judgement("agrees", note=note, size=seen.size)
