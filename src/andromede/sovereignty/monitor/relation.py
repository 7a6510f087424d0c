"""Whether one signed checkpoint extends another, from whatever proves it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from andromede.ledger.contradiction import Signed, signed_by_log
from andromede.ledger.note import BadNote, checkpoint_fields, split_note
from andromede.ledger.policy import Policy, parse_policy
from andromede.ledger.tree import EMPTY_ROOT, prefix_roots
from andromede.sovereignty.monitor.copy import Copy, full_proof
from andromede.sovereignty.monitor.site import LogSite
from andromede.sovereignty.monitor.wire import Absent, Garbled

MOST_GROUPS, MOST_WITNESSES = 16, 64
"""Of a policy that a server proposes: nested groups cost exponential time, and every witness is asked."""


class Fit(Enum):
    """How a smaller checkpoint stands to a larger one."""

    EXTENDS = "extends"
    BREAKS = "breaks"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Relation:
    """`nodes`: a full consistency proof taken from the larger tree, when there is one."""

    fit: Fit
    nodes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Pinned:
    """What the first round settled: the policy, and with it the log's keys."""

    origin: str
    text: str
    policy: Policy

    @staticmethod
    def of(origin: str, text: str) -> Pinned:
        """Read a policy file. Raises BadNote when it cannot serve for this log."""
        policy = parse_policy(text)
        if not [key for key in policy.logs if key.name == origin]:
            raise BadNote(f"the policy names no key of {origin}")
        if len(policy.members) > MOST_GROUPS or len(policy.witnesses) > MOST_WITNESSES:
            raise BadNote(f"the policy has more than {MOST_GROUPS} groups or {MOST_WITNESSES} witnesses")
        return Pinned(origin, text, policy)

    def open(self, note: str) -> Signed:
        """A checkpoint signed by every key of this log. Raises BadNote, and Garbled when it is no note at all."""
        try:
            origin, size, _ = checkpoint_fields(split_note(note)[0])
        except BadNote as error:
            raise Garbled(f"not a checkpoint: {error}") from error
        if origin != self.origin:
            raise BadNote(
                f"it is of {origin}, and the log followed here is {self.origin}; if the operator says why it ended, "
                "keep this --state and begin another"
            )
        keys = [key for key in self.policy.logs if key.name == origin]
        for key in keys:
            try:
                signed_by_log(note, [key])
            except BadNote as error:
                raise BadNote(f"checkpoint {size}, log key {key.id.hex()} (type {key.kind}): {error}") from error
        return signed_by_log(note, keys, list(self.policy.witnesses.values()))


class Prover:
    """Finds proofs: first in the own copy, then in the server's tiles, then in its consistency answers."""

    def __init__(self, copy: Copy, site: LogSite) -> None:
        self._copy = copy
        self._site = site

    def relation(self, small: Signed, large: Signed) -> Relation:
        """How `small` (the smaller or equal one) stands to `large`. Raises Silent when the server had to be
        asked and said nothing: that is no proof of anything."""
        if small.size == large.size:
            return Relation(Fit.EXTENDS if small.root == large.root else Fit.BREAKS)
        if small.size == 0:
            return Relation(Fit.EXTENDS if small.root == EMPTY_ROOT else Fit.BREAKS)
        for way in (self._own, self._tiles, self._route):
            nodes = way(small, large)
            roots = prefix_roots(small.size, large.size, nodes)
            if roots is not None and roots[1] == large.root:
                return Relation(Fit.EXTENDS if roots[0] == small.root else Fit.BREAKS, tuple(nodes))
        return Relation(Fit.UNPROVEN)

    def _own(self, small: Signed, large: Signed) -> list[bytes]:
        return self._copy.nodes(small.size, large.size) if large.size <= self._copy.size else []

    def _tiles(self, small: Signed, large: Signed) -> list[bytes]:
        try:
            return full_proof(self._site.reader(large.size), small.size, large.size)
        except (Absent, Garbled):
            return []

    def _route(self, small: Signed, large: Signed) -> list[bytes]:
        """Of a size that is a power of two, the server's proof leaves out the node that is the smaller root."""
        try:
            proof = self._site.consistency(small.size, large.size)
        except (Absent, Garbled):
            return []
        return [small.root, *proof] if small.size & (small.size - 1) == 0 else proof
