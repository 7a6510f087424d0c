"""C2SP tlog-policy: which log, which witnesses, and which of them must have signed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from andromede.ledger.note import (
    COSIGNATURE,
    ED25519,
    MLDSA44,
    BadNote,
    Signature,
    Verifier,
    checkpoint_fields,
    number,
    open_note,
)

MAXIMUM_DEFINITIONS = 500
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that a policy accepted."""

    origin: str
    size: int
    root: bytes
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """`logs`: the keys that may sign the checkpoint; `members`: group name -> (needed, member names);
    `quorum`: a witness or group name, or `none`."""

    logs: tuple[Verifier, ...] = ()
    witnesses: dict[str, Verifier] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    members: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    quorum: str = "none"

    def met(self, signed: set[str]) -> bool:
        """Whether the named witnesses reach the quorum."""
        held = {name: name in signed for name in self.witnesses}
        for group, (needed, names) in self.members.items():  # members stand before their group
            held[group] = sum(held[name] for name in names) >= needed
        return self.quorum == "none" or held[self.quorum]

    def accept(self, note: str) -> Checkpoint:
        """Verify a cosigned checkpoint: signed by a log of this policy whose name is the origin, and by
        enough witnesses. Raises BadNote with the reason."""
        text, signatures = open_note(note, [*self.logs, *self.witnesses.values()])
        origin, size, root = checkpoint_fields(text)
        if not any(s.verifier in self.logs and s.verifier.name == origin for s in signatures):
            raise BadNote(f"no accepted log signed the checkpoint of {origin}")
        signed = {name for name, key in self.witnesses.items() if any(s.verifier == key for s in signatures)}
        if not self.met(signed):
            raise BadNote(f"quorum {self.quorum} not met: cosigned by {', '.join(sorted(signed)) or 'nobody'}")
        return Checkpoint(origin, size, root, tuple(signatures))


def _group(words: list[str], names: set[str]) -> tuple[int, tuple[str, ...]]:
    rule, members = words[2], tuple(words[3:])
    unknown = [name for name in members if name not in names]
    if unknown or not members or len(set(members)) != len(members):
        raise BadNote(f"group {words[1]}: unknown, repeated or missing members {unknown}")
    needed = {"all": len(members), "any": 1}.get(rule)
    if needed is None:
        needed = number(rule, f"group {words[1]}: {rule[:20]!r}")
    if not 1 <= needed <= len(members):
        raise BadNote(f"group {words[1]}: {needed} of {len(members)} members cannot be")
    return needed, members


@dataclass(slots=True)
class _Reading:
    """What the lines read so far define."""

    logs: list[Verifier] = field(default_factory=list)
    witnesses: dict[str, Verifier] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    members: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    grouped: set[str] = field(default_factory=set)
    quorum: str | None = None

    def take(self, words: list[str]) -> None:
        """One line's words; BadNote with the reason when they are no definition."""
        names = {*self.witnesses, *self.members}
        if len(names) + len(self.logs) >= MAXIMUM_DEFINITIONS:
            raise BadNote(f"more than {MAXIMUM_DEFINITIONS} definitions")
        kind, count = words[0], len(words)
        if kind in ("witness", "group") and count > 1 and (words[1] in names or words[1] == "none"):
            raise BadNote(f"the name {words[1]!r} is taken")
        if kind == "log" and count in (2, 3):
            self._log(words[1])
        elif kind == "witness" and count in (3, 4):
            self._witness(words[1], words[2])
            self.urls.update((words[1], url) for url in words[3:])
        elif kind == "group" and count >= 4:
            self._group(words, names)
        elif kind == "quorum" and count == 2 and self.quorum is None and words[1] in {*names, "none"}:
            self.quorum = words[1]
        else:
            raise BadNote(f"not understood: {' '.join(words)[:80]!r}")

    def _group(self, words: list[str], names: set[str]) -> None:
        if again := self.grouped.intersection(words[3:]):
            raise BadNote(f"group {words[1]}: {min(again)} is in another group already")
        self.members[words[1]] = _group(words, names)
        self.grouped.update(words[3:])

    def _log(self, vkey: str) -> None:
        key = Verifier.parse(vkey)
        if key.kind not in (ED25519, MLDSA44) or key in self.logs:
            raise BadNote("not a log's key, or the same log again")
        self.logs.append(key)

    def _witness(self, name: str, vkey: str) -> None:
        key = Verifier.parse(vkey)
        if key.kind not in (COSIGNATURE, MLDSA44):
            raise BadNote("not a witness's key")
        if any(key.public == other.public for other in self.witnesses.values()):
            raise BadNote("the key of another witness: one key counts once")
        self.witnesses[name] = key


def parse_policy(text: str) -> Policy:
    """Read a policy file (C2SP tlog-policy): names are defined before use and once, a witness's key counts
    once, a name is a member of one group at most. Raises BadNote with the line.

    Unlike C2SP, one public key may stand behind several logs: an installation signs all its logs with it.
    """
    if _NOT_TEXT.search(text):
        raise BadNote("a policy is text without control characters")
    reading = _Reading()
    for line_number, line in enumerate(text.split("\n"), 1):
        words = [word for word in line.replace("\t", " ").split(" ") if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reading.take(words)
        except BadNote as error:
            raise BadNote(f"line {line_number}: {error}") from error
    if reading.quorum is None:
        raise BadNote("the policy has no quorum line")
    return Policy(tuple(reading.logs), reading.witnesses, reading.urls, reading.members, reading.quorum)
