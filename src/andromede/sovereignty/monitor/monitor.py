"""One round of the monitor, and what it settles on the first."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from andromede.clock import US, Clock, iso_second
from andromede.errors import Conflict, Invalid
from andromede.ledger.note import BadNote, checkpoint_fields, split_note
from andromede.ledger.policy import Policy, parse_policy
from andromede.sovereignty.monitor.copy import Copy
from andromede.sovereignty.monitor.evidence import CONTRADICTION, NOTE, STALE, Cabinet, Finding, b64, code
from andromede.sovereignty.monitor.follow import Desk, Follower
from andromede.sovereignty.monitor.journal import Journal
from andromede.sovereignty.monitor.relation import Pinned
from andromede.sovereignty.monitor.site import LogSite, Shown
from andromede.sovereignty.monitor.sources import Numbering, read_event
from andromede.sovereignty.monitor.state import Folder, State
from andromede.sovereignty.monitor.views import Limits, Witnesses, ask_witness
from andromede.sovereignty.monitor.wire import Absent, Garbled, Silent

RETENTION_SECONDS = 183 * 86400
"""No installation may remove the content of younger events by rule (docs/ledger.md)."""
MOST_WITHHELD = 1000
MOST_OF_A_KIND = 20
"""Findings of one kind in one round that are reported one by one."""


@dataclass(frozen=True, slots=True)
class Options:
    """What one monitor is asked to do. `policy`: text of the tenant's own policy file. `taken` gets every entry
    once it is proved, before it is remembered: after a crash some come again."""

    policy: str | None = None
    keep: bool = False
    journal: Path | None = None
    limits: Limits = field(default_factory=Limits)
    ask: Callable[[str, str], str] = ask_witness
    taken: Callable[[Sequence[Shown]], None] | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What one round found."""

    findings: tuple[Finding, ...]
    facts: dict[str, Any]

    @property
    def code(self) -> int:
        """The exit code."""
        return code(self.findings)


class Monitor:
    """Follows one log. Use as a context manager."""

    def __init__(self, site: LogSite, folder: Path, clock: Clock, options: Options) -> None:
        self._options = options
        self._clock = clock
        self._folder = Folder(folder)
        try:
            self.state = self._folder.load()
            self._copy = Copy(folder, self.state.verified)
        except BaseException:
            self._folder.close()
            raise
        self._numbering = Numbering(self.state.sources)
        self._cabinet = Cabinet(folder / "evidence", clock)
        self._desk = Desk(site, clock, self.state, self._copy, self._report, self._save, self._enter)
        self._findings: list[Finding] = []
        self._journal: Journal | None = None
        self._events = folder / "events.jsonl"
        self._held: list[Shown] = []

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *failure: object) -> None:
        self._copy.close()
        self._folder.close()

    def root(self, size: int) -> bytes | None:
        """The root of the first `size` entries as they were proved; None where the proof does not reach yet."""
        return self._copy.root(size) if size <= self.state.verified else None

    # --- one round

    def round(self) -> Round:
        """Ask, judge, remember. Raises `Error` for local trouble only: whatever the server does is a finding."""
        self._findings = []
        before = self._desk.site.reads
        try:
            self._look()
        except Silent as error:
            self._report(Finding(STALE, "silent", f"the server gives no answer: {error}", self._desk.site.url))
        except Absent as error:
            text = f"the server knows no such log or checkpoint: {error}"
            self._report(Finding(STALE, "absent", text, self._desk.site.url))
        except Garbled as error:
            text = f"an answer is not of the promised form: {error}"
            self._report(Finding(STALE, "garbled", text, self._desk.site.url))
        if reads := self._desk.site.reads - before:
            self.state.reads, self.state.read_at = reads, self._clock.now_us()
        self.state.rounds += 1
        self._save()
        return Round(tuple(self._findings), self._facts())

    def _look(self) -> None:
        site, state, limits = self._desk.site, self.state, self._options.limits
        if state.url and state.url != site.url:
            raise Conflict(f"this state follows {state.url}, not {site.url}; give another --state", "config")
        allocated = None
        with contextlib.suppress(Absent):
            allocated = site.allocated()
        pinned = self._pinned()
        self._cabinet.log = {
            "origin": pinned.origin,
            "policy": pinned.text,
            "server": site.url,
        }
        if self._options.journal is not None:
            self._journal = Journal(self._desk, pinned, limits, self._options.journal)
            self._journal.read()
        follower, witnesses = Follower(self._desk, pinned), Witnesses(self._desk, pinned, limits, self._options.ask)
        views = witnesses.views()
        follower.look(eager=self._journal is not None and self._journal.waits)
        views = witnesses.judge(follower, views)
        state.heard = self._clock.now_us()
        last = follower.accepted
        if last is not None:
            witnesses.freshness(last, views)
            self._lag(allocated, last.size)
        if self._journal is not None:
            self._journal.settle()
        self._withheld()
        for finding in self._numbering.silence(self._clock.now_us(), int(limits.heartbeat)):
            self._report(finding)
        self._compare_policy(pinned)

    def _lag(self, allocated: int | None, size: int) -> None:
        state, now = self.state, self._clock.now_us()
        if state.awaited and size >= state.awaited[0]:
            state.awaited = []
        if not state.awaited and allocated is not None and allocated > size:
            state.awaited = [allocated, now]
        if state.awaited and now - state.awaited[1] > self._options.limits.lag * US:
            text = (
                f"{state.awaited[0]} positions were given by {iso_second(state.awaited[1])}, "
                f"and the newest checkpoint covers {size}"
            )
            self._report(Finding(STALE, "lag", text, "checkpoint"))

    def _withheld(self) -> None:
        if self.state.withheld:
            first, count = self.state.withheld[0], len(self.state.withheld)
            text = (
                f"{count} entries (first: {first}) had no content when they were read, and no event of the log "
                "tells of their removal"
            )
            self._report(Finding(STALE, "withheld", text, "content"))

    # --- keys and policy

    def _pinned(self) -> Pinned:
        state, given = self.state, self._options.policy
        if not state.origin:
            return self._pin()
        if given is not None and given != state.policy:
            self._adopt(given)
        return Pinned.of(state.origin, state.policy)

    def _pin(self) -> Pinned:
        """The first round: take the policy that was given, or else the server's, for this log's name."""
        site, state, note = self._desk.site, self.state, self._desk.site.checkpoint()
        try:
            origin = checkpoint_fields(split_note(note)[0])[0]
        except BadNote as error:
            raise Garbled(f"not a checkpoint: {error}") from error
        text = self._options.policy if self._options.policy is not None else site.policy()
        try:
            pinned = Pinned.of(origin, text)
        except (BadNote, RecursionError) as error:
            if self._options.policy is not None:
                raise Invalid(f"the policy file cannot be used for {origin}: {error}", "config") from error
            raise Garbled(f"the server's policy: {error}") from error
        state.url, state.origin, state.policy, state.pinned_at = site.url, origin, text, self._clock.now_us()
        who = "the policy file" if self._options.policy is not None else "the server: compare them with another source"
        keys = ", ".join(str(key)[:60] for key in pinned.policy.logs)
        self._report(Finding(NOTE, "pinned", f"keys and policy of {origin} taken from {who}: {keys}", origin))
        return pinned

    def _adopt(self, given: str) -> None:
        """The tenant changed its policy file: witnesses and quorum may change, the log's keys may not."""
        try:
            fresh = Pinned.of(self.state.origin, given)
        except BadNote as error:
            raise Invalid(f"the policy file cannot be used for {self.state.origin}: {error}", "config") from error
        if set(fresh.policy.logs) != set(parse_policy(self.state.policy).logs):
            raise Invalid(
                "the policy file names other keys of the log than those that were pinned; if that is meant, begin anew "
                "with another --state and keep this one",
                "config",
            )
        self.state.policy, self.state.quorum, self.state.behind = given, [], []
        self._report(Finding(NOTE, "policy-adopted", "the changed policy file holds from now on", "policy"))

    def _compare_policy(self, pinned: Pinned) -> None:
        try:
            text = self._desk.site.policy()
            served = parse_policy(text)
        except Absent:
            return
        except BadNote as error:
            raise Garbled(f"the server's policy: {error}") from error
        facts = {"pinned": pinned.text, "served_policy": text}
        if set(served.logs) != set(pinned.policy.logs):
            text = "the server publishes other keys for this log than those that were pinned"
            self._report(Finding(CONTRADICTION, "keys", text, "policy", facts))
        elif _rules(served) != _rules(pinned.policy):
            text = (
                "the server's policy is not the pinned one; if that is meant, give the new one with --policy, "
                "or else ask who changed it (the log tells)"
            )
            self._report(Finding(STALE, "policy-changed", text, "policy"))

    # --- what the parts call

    def _report(self, finding: Finding) -> None:
        same = sum(one.kind == finding.kind for one in self._findings)
        if finding.key in {one.key for one in self._findings} or same > MOST_OF_A_KIND:
            return
        if same == MOST_OF_A_KIND:
            finding = Finding(finding.grade, finding.kind, f"and more of the kind {finding.kind}", "more")
        self._findings.append(self._cabinet.keep(finding))

    def _save(self) -> None:
        self._copy.sync()
        self._numbering.store()
        if self._journal is not None:
            self._journal.store()
        if self._held and self._options.keep:
            _append(self._events, self._held)
        if self._held and self._options.taken is not None:
            self._options.taken(self._held)
        self._held = []
        self._folder.save(self.state)

    def _enter(self, shown: Shown) -> None:
        if self._options.keep or self._options.taken is not None:
            self._held.append(shown)
        if self._journal is not None:
            self._journal.see(shown)
        withheld = self.state.withheld
        if shown.salt is None:
            self.state.withheld = [*withheld, shown.index][-MOST_WITHHELD:]
            return
        for finding in self._numbering.see(shown.index, shown.event):
            self._report(finding)
        if withheld:
            self.state.withheld = list(_unexplained(withheld, shown, self._clock.now_us()))

    def _facts(self) -> dict[str, Any]:
        state = self.state
        return {
            "origin": state.origin,
            "size": state.verified,
            "server": self._desk.site.url,
            "round": state.rounds,
            "at": iso_second(self._clock.now_us()),
            "quorum_size": state.quorum[0] if state.quorum else None,
            "cosigned": {name: iso_second(time * US) for name, (time, _) in sorted(state.cosigned.items())},
        }


def _unexplained(withheld: list[int], shown: Shown, now_us: int) -> Iterator[int]:
    """Indexes whose missing content this later event does not explain: it tells of the removal, or it is itself
    so old that the rule of retention has removed what was before it."""
    fields = read_event(shown.event) or {}
    detail = fields.get("detail")
    removed = detail.get("index") if fields.get("purpose") == "ERASURE" and isinstance(detail, dict) else None
    old = now_us - int(fields.get("ts", now_us)) > RETENTION_SECONDS * US
    for index in withheld:
        if index != removed and not (old and index < shown.index):
            yield index


def _rules(policy: Policy) -> tuple[object, ...]:
    return policy.witnesses, policy.urls, policy.members, policy.quorum


def _append(path: Path, shown: list[Shown]) -> None:
    """The tenant's own copy of the events: JSON lines in the form of an export. After a crash some lines may stand
    twice; they are the same."""
    import json

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for one in shown:
            row = {"index": one.index, "salt": b64(one.salt) if one.salt else None, "event64": b64(one.event)}
            file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


__all__ = ["Monitor", "Options", "Round", "State"]
