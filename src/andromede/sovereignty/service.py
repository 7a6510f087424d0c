"""The tenant's side of the ledger: what a project, or an auditor, may learn and settle about a log.

Reading events and receipts leaves an event of its own in the log that was read. Checkpoints, tiles and proofs
hold hashes only: reading them leaves none, or a log that is followed would never come to rest.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from andromede.audit import INSTALLATION, Draft, Position, Recorder
from andromede.clock import Clock
from andromede.db import Database
from andromede.errors import Conflict, NotFound
from andromede.ledger.note import BadNote, checkpoint_fields, split_note
from andromede.ledger.policy import Policy
from andromede.ledger.receipt import Receipt
from andromede.sovereignty import policies, policy_store
from andromede.sovereignty.log import Logs, LogState
from andromede.sovereignty.retention import MINIMUM_DAYS

SEARCHED = 20_000
"""How many of the newest events are searched for a request id."""
PAGE = 1000
SWIFT_DIGITS = 21
HALTED_SECONDS = 3600
"""After which a receipt of a log that is not signed any more may be asked for again: people must mend that."""
PATH_OF_INSTALLATION = "installation"


@dataclass(frozen=True, slots=True)
class Asking:
    """On whose behalf a log is read or changed, for the event that this leaves."""

    actor: str
    action: str
    request_id: str
    purpose: str = "CUSTOMER_ACCESS"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A receipt that cannot be given yet; `reason` says what is awaited."""

    reason: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Tools:
    """What the ledger's service stands on. `guard` refuses URLs of witnesses that may not be called from here."""

    db: Database
    logs: Logs
    recorder: Recorder
    clock: Clock
    retention_days: int = 365
    guard: Callable[[str], None] = lambda url: None


class Ledger:
    """Every log of the installation. Safe from many threads."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.db = tools.db
        self.logs = tools.logs

    # --- which log

    def find(self, name: str) -> LogState | None:
        """A log by project id, by the 16 hex digits of its origin, by its whole origin, or `installation`."""
        if name == PATH_OF_INSTALLATION:
            return self.logs.log(INSTALLATION)
        if "/" in name:
            return self.logs.by_origin(name)
        own = self.logs.log(INSTALLATION)
        if len(name) == 16 and own is not None:
            prefix = own.origin.partition("/")[0]
            for kind in ("t", "i"):
                if found := self.logs.by_origin(f"{prefix}/{kind}/{name}"):
                    return found
        return self.logs.log(name) if name else None

    # --- checkpoints and proofs

    def checkpoint(self, log: LogState) -> str:
        """The newest signed note with its cosignatures. `NotFound` before the first."""
        note = self.logs.checkpoint(log.origin)
        if note is None:
            raise NotFound(
                f"no checkpoint of {log.origin} has been signed yet; ask again in a second", "checkpoint", retry_after=1
            )
        return note

    def accepted(self, log: LogState) -> str | None:
        """The newest note that meets the log's policy."""
        policy, newest = self.policy(log), self.logs.newest(log.origin)
        notes = [*([newest] if newest else []), *self.logs.cosigned(log.origin)]
        notes.sort(key=lambda stored: -stored.size)
        return next((stored.text for stored in notes if _accepted(policy, stored.text)), None)

    def policy(self, log: LogState) -> Policy:
        """What a receipt of this log must satisfy."""
        return policies.complete(self.db, log.tenant, self.logs.verifiers(log.origin))

    def policy_text(self, log: LogState) -> str:
        """The policy file of this log, with the installation's rule of retention as a comment."""
        return self.retention_rule() + policies.text(self.db, log.tenant, self.logs.verifiers(log.origin))

    def retention_rule(self) -> str:
        """The published rule, as a comment of the policy file."""
        days = max(self.tools.retention_days, MINIMUM_DAYS)
        return f"{policies.RULE}{days} days (never less than {MINIMUM_DAYS}); their hashes stay.\n"

    def consistency(self, log: LogState, old: int, size: int) -> list[bytes]:
        """Hashes that prove the first `old` entries to be a prefix of the first `size` (RFC 9162 2.1.4)."""
        return self.logs.consistency(log.origin, old, size)

    # --- events and receipts

    def event(self, log: LogState, index: int) -> tuple[bytes, bytes]:
        """(salt, event). `NotFound` outside the log, and with reason `pruned` when the content is gone."""
        rows = self.logs.events(log.tenant, index, index + 1) if 0 <= index < log.allocated else []
        if not rows:
            raise NotFound(
                f"{log.origin} has no entry {index}: it holds {log.allocated}, numbered from 0; "
                "the index is the number in the Andromede-Ledger header of the answer",
                "index",
            )
        _, salt, event = rows[0]
        if salt is None:
            raise NotFound(
                f"the content of entry {index} of {log.origin} was removed, by the rule of retention or as personal "
                "data; its hash stays in the log and other receipts stay valid",
                "pruned",
            )
        return salt, event

    def receipt(self, log: LogState, index: int, witnessed: bool = False) -> Receipt | Waiting:
        """The receipt of an entry: under the newest cosigned checkpoint that covers it, else under the newest
        one. `witnessed` waits until the quorum of the log's policy is met."""
        if 0 <= index < log.allocated and not self.logs.events(log.tenant, index, index + 1):
            if index >= log.size:  # the place of a read is known before its event
                return Waiting(f"entry {index} is being written", 1)
            raise NotFound(
                f"entry {index} of {log.origin} stands in the tree, and its event is missing: tell the operator to run "
                "andromede fsck",
                "missing",
            )
        salt, event = self.event(log, index)
        policy = self.policy(log)
        for note in self._covering(log, index):
            if not witnessed or _accepted(policy, note):
                _, size, _ = checkpoint_fields(split_note(note)[0])
                path = self.logs.inclusion(log.origin, index, size)
                return Receipt(salt, event, index, tuple(path), note)
        if witnessed and self._covering(log, index):
            return Waiting(f"entry {index} is in a signed checkpoint, but its witnesses have not met the quorum", 2)
        if reason := policy_store.halt(self.db, log.origin):
            text = f"entry {index} is not in a signed checkpoint, and the log is not signed any more: {reason}"
            return Waiting(text, HALTED_SECONDS)
        return Waiting(f"entry {index} is not in a signed checkpoint yet", 1)

    def _covering(self, log: LogState, index: int) -> list[str]:
        """Notes whose log holds an entry, the most useful first: cosigned, newest."""
        cosigned = [stored for stored in self.logs.cosigned(log.origin) if stored.size > index]
        newest = self.logs.newest(log.origin)
        plain = [newest] if newest is not None and newest.size > index else []
        return [stored.text for stored in [*cosigned, *plain]]

    def by_request(self, log: LogState, request_id: str) -> int:
        """The index of the first event that a request left in a log, by `req-...` or Swift's `tx...`. `NotFound`
        when it is not among the newest `SEARCHED`."""
        needle = b"" if request_id.startswith("tx") else request_id.encode()
        before, found = log.allocated, -1
        while before > 0 and before > log.allocated - SEARCHED:
            rows = policy_store.newest_events(self.db, log.tenant, before, PAGE)
            for position, body in rows:
                event = bytes(body)
                if event and needle in event and is_request(fields(event)["request_id"], request_id):
                    found = int(position)
            if not rows or (found >= 0 and found > int(rows[-1][0]) + 100):
                break
            before = int(rows[-1][0])
        if found < 0:
            raise NotFound(
                f"the newest {min(log.allocated, SEARCHED)} entries of {log.origin} hold none of request {request_id}; "
                "give the index from the Andromede-Ledger header of its answer",
                "request",
            )
        return found

    def note(self, log: LogState, asking: Asking, what: str, detail: dict[str, str | int] | None = None) -> Position:
        """Leave the event of a read in the log that was read."""
        with self.db.write() as tx:
            return self.tools.recorder.record(tx, [_draft(log, asking, what, detail)])[0]

    def erase(self, log: LogState, index: int, asking: Asking) -> Position:
        """Remove salt and content of one event for good; its hash stays, so that every other receipt stays valid.
        `Conflict` for an event that is not in the tree yet, or that itself tells of an erasure."""
        self._erasable(log, index)
        with self.db.write() as tx:
            if not policy_store.blank(tx, log.tenant, index, index + 1):
                raise Conflict(f"entry {index} of {log.origin} was removed by another call meanwhile", "erased")
            detail: dict[str, str | int] = {"index": index, "origin": log.origin}
            return self.tools.recorder.record(tx, [_draft(log, asking, f"event:{index}", detail)])[0]

    def _erasable(self, log: LogState, index: int) -> None:
        _, event = self.event(log, index)
        if index >= log.size:
            raise Conflict(f"entry {index} of {log.origin} is not in the tree yet; repeat in a second", "unsequenced")
        if fields(event)["purpose"] == "ERASURE":
            raise Conflict(
                f"entry {index} of {log.origin} tells of an erasure and stays until the rule of retention removes it",
                "erasure",
            )

    # --- what a tenant settles

    def set_policy(self, log: LogState, given: str | None, asking: Asking) -> Position:
        """Store a policy of the log's own, or (None) let the default hold again. Raises `Invalid`."""
        lines = None
        if given is not None:
            lines = policies.checked(given, self.logs.verifiers(log.origin), self.tools.guard)
        with self.db.write() as tx:
            if lines is None:
                policies.reset(tx, log.tenant)
            else:
                policies.store(tx, log.tenant, lines, self.tools.clock.now_us())
            detail: dict[str, str | int] = {"origin": log.origin}
            return self.tools.recorder.record(tx, [_draft(log, asking, "policy", detail)])[0]


def is_request(found: str, given: str) -> bool:
    """Whether a request id is the one that a client shows: `req-...`, or Swift's `tx<21 digits>-<time>`."""
    if given.startswith("tx"):
        digits = given[2:].partition("-")[0]
        return len(digits) == SWIFT_DIGITS and found.replace("-", "").endswith(digits)
    return found == given


def _draft(log: LogState, asking: Asking, what: str, detail: dict[str, str | int] | None) -> Draft:
    return Draft(
        log.tenant, asking.actor, asking.action, what, asking.request_id, purpose=asking.purpose, detail=detail
    )


def _accepted(policy: Policy, note: str) -> bool:
    try:
        policy.accept(note)
    except BadNote:
        return False
    return True


def fields(event: bytes) -> dict[str, Any]:
    """The members of an event; names that were no UTF-8 come with surrogates."""
    found: dict[str, Any] = json.loads(event.decode("utf-8", "surrogateescape"))
    return found


def shown(index: int, salt: bytes | None, event: bytes, entry: bytes | None) -> dict[str, Any]:
    """One line of an export, and one event of the API: exactly what is stored."""
    row: dict[str, Any] = {"index": index, "salt": None, "event": None, "entry": None}
    if entry is not None:
        row["entry"] = b64encode(entry).decode()
    if salt is not None:
        row["salt"] = b64encode(salt).decode()
        try:
            row["event"] = event.decode()
        except UnicodeDecodeError:
            row["event64"] = b64encode(event).decode()
    return row
