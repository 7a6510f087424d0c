"""What two signed checkpoints of one log prove against whoever holds its keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from andromede.ledger.note import BadNote, Verifier, checkpoint_fields, open_note
from andromede.ledger.tree import prefix_roots

EVIDENCE = "andromede/evidence/v1"
"""Form of the evidence file that a monitor writes: `notes`, two, each with its `note`, in the order seen; `proof`,
base64 nodes of a full consistency proof taken from the larger tree; `policy`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fork`: two roots of one size. `not-a-prefix`: the larger tree does not begin with the smaller one.
    `rollback`: a witness saw the larger checkpoint before the log showed it the smaller one. `open`: nothing is
    proved yet; `text` says who would have to show what. Only the first three are `proved`."""

    kind: str
    text: str

    @property
    def proved(self) -> bool:
        """Whether the notes convict without believing whoever gathered them."""
        return self.kind != "open"


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint whose log signatures hold, with the times of the cosignatures by known witnesses."""

    origin: str
    size: int
    root: bytes
    cosigned: Mapping[Verifier, int]


def signed_by_log(note: str, logs: Sequence[Verifier], witnesses: Sequence[Verifier] = ()) -> Signed:
    """The checkpoint of a note that one of `logs`, named like its origin, signed. Raises BadNote."""
    try:
        text, signatures = open_note(note, [*logs, *witnesses])
        origin, size, root = checkpoint_fields(text)
    except ValueError as error:  # keys and texts of absurd length as well
        raise BadNote(str(error)) from error
    if not any(s.verifier in logs and s.verifier.name == origin for s in signatures):
        raise BadNote(f"no accepted log signed the checkpoint of {origin}")
    times = {s.verifier: s.time for s in signatures if s.verifier in witnesses and s.time}
    return Signed(origin, size, root, times)


def judge_pair(one: Signed, other: Signed, nodes: Sequence[bytes] = ()) -> Verdict:
    """What two checkpoints prove, `one` shown first as whoever gathered them says. `nodes` is a full consistency
    proof (see `prefix_roots`) taken from the larger tree. Raises BadNote when the pair cannot contradict itself."""
    if one.origin != other.origin:
        raise BadNote(f"two logs, {one.origin} and {other.origin}, do not contradict each other")
    small, large = sorted((one, other), key=lambda signed: signed.size)
    if small.size == large.size:
        if small.root == large.root:
            raise BadNote(f"both notes say the same: size {one.size}, one root")
        return Verdict("fork", f"two roots are signed for size {one.size} of {one.origin}")
    sizes = f"sizes {small.size} and {large.size} of {one.origin}"
    roots = prefix_roots(small.size, large.size, nodes) if small.size else None
    if roots is not None and roots[1] == large.root:
        if roots[0] != small.root:
            return Verdict("not-a-prefix", f"{sizes} are both signed, and the larger does not begin with the smaller")
    elif nodes:
        raise BadNote("the proof does not lead to the root of the larger checkpoint")
    for witness in small.cosigned:
        if large.cosigned.get(witness, small.cosigned[witness]) < small.cosigned[witness]:
            return Verdict("rollback", f"{witness.name} cosigned {large.size} first and {small.size} later")
    if roots is not None:
        return Verdict("open", f"{sizes} agree; only their order, as the gatherer noted it, speaks against the log")
    return Verdict("open", f"{sizes} are signed, no proof joins them: the log has to show that one extends the other")
