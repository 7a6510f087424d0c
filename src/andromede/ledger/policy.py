"""C2SP tlog-policy: which log, which witnesses, and which of them must have signed."""

from __future__ import annotations

from dataclasses import dataclass, field

from andromede.ledger.note import (
    COSIGNATURE,
    ED25519,
    MLDSA44,
    BadNote,
    Signature,
    Verifier,
    checkpoint_fields,
    open_note,
)


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

        def holds(name: str) -> bool:
            if name in self.members:
                needed, names = self.members[name]
                return sum(holds(member) for member in names) >= needed
            return name in signed

        return self.quorum == "none" or holds(self.quorum)

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
        if not rule.isascii() or not rule.isdigit() or not 1 <= int(rule) <= len(members):
            raise BadNote(f"group {words[1]}: {rule!r} is not all, any or a number of members")
        needed = int(rule)
    return needed, members


def parse_policy(text: str) -> Policy:
    """Read a policy file; names must be defined before use and once only. Raises BadNote with the line."""
    logs: list[Verifier] = []
    witnesses: dict[str, Verifier] = {}
    urls: dict[str, str] = {}
    members: dict[str, tuple[int, tuple[str, ...]]] = {}
    quorum: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        names = {*witnesses, *members}
        if words[0] in ("witness", "group") and (len(words) < 3 or words[1] in names or words[1] == "none"):
            raise BadNote(f"line {number}: a new name and its definition are wanted")
        if words[0] == "log" and len(words) in (2, 3):
            logs.append(Verifier.parse(words[1]))
            if logs[-1].kind not in (ED25519, MLDSA44):
                raise BadNote(f"line {number}: not a log's key")
        elif words[0] == "witness" and len(words) in (3, 4):
            key = Verifier.parse(words[2])
            if key.kind not in (COSIGNATURE, MLDSA44):
                raise BadNote(f"line {number}: not a witness's key")
            witnesses[words[1]] = key
            if len(words) == 4:
                urls[words[1]] = words[3]
        elif words[0] == "group" and len(words) >= 4:
            members[words[1]] = _group(words, names)
        elif words[0] == "quorum" and len(words) == 2 and quorum is None and words[1] in {*names, "none"}:
            quorum = words[1]
        else:
            raise BadNote(f"line {number}: not understood: {line[:80]!r}")
    if quorum is None:
        raise BadNote("the policy has no quorum line")
    return Policy(tuple(logs), witnesses, urls, members, quorum)
