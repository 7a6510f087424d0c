"""What the witnesses of a log say: their own view of it, and how fresh their cosignatures are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from andromede.clock import US, iso_second
from andromede.errors import Invalid
from andromede.ledger.contradiction import Signed, signed_by_log
from andromede.ledger.note import BadNote
from andromede.ledger.witness import origin_hash
from andromede.sovereignty.monitor.evidence import NOTE, STALE, Finding, single
from andromede.sovereignty.monitor.follow import AGAIN_SECONDS, Desk, Follower
from andromede.sovereignty.monitor.relation import Pinned
from andromede.sovereignty.monitor.wire import Absent, Garbled, Silent, Site, Wire

WITNESS_SECONDS = 10.0
AHEAD_SECONDS = 300
"""A cosignature may be dated this far into the future; what is beyond counts for nothing."""


@dataclass(frozen=True, slots=True)
class View:
    """A witness's own note of the log."""

    name: str
    url: str
    note: str
    signed: Signed


@dataclass(frozen=True, slots=True)
class Limits:
    """When lateness is reported, in seconds: `fresh` the age of cosignatures, `lag` between a position given and
    the checkpoint that covers it, `witness` between a checkpoint and its quorum, `heartbeat` of sources."""

    fresh: float = 86400
    lag: float = 60
    witness: float = 60
    heartbeat: float = 180


def ask_witness(url: str, path: str) -> str:
    """A witness's public answer."""
    return Wire(Site(url.rstrip("/"), seconds=WITNESS_SECONDS)).text(path)


class Witnesses:
    """The witnesses of the pinned policy. `ask(url, path)` fetches their answers."""

    def __init__(
        self, desk: Desk, pinned: Pinned, limits: Limits, ask: Callable[[str, str], str] = ask_witness
    ) -> None:
        self._desk = desk
        self._pinned = pinned
        self._limits = limits
        self._ask = ask

    def views(self) -> list[View]:
        """Every witness's view. Asked before the server's checkpoint, so that an honest server's is not smaller."""
        return [*self._served(), *self._views()]

    def _served(self) -> Iterator[View]:
        """The newest checkpoint with a quorum that the server has: the newest of all may have none yet."""
        if not self._pinned.policy.witnesses:
            return
        url = f"{self._desk.site.url}/checkpoint?witnessed"
        with contextlib.suppress(Absent):
            note = self._desk.site.witnessed()
            try:
                yield View("", url, note, self._pinned.open(note))
            except (Garbled, BadNote) as error:
                text = f"the server's cosigned checkpoint is not this log's: {error}"
                self._desk.report(
                    Finding(STALE, "cosigned-note", text, "checkpoint", single(self._desk.seen(note, url)))
                )

    def _views(self) -> Iterator[View]:
        policy, path = self._pinned.policy, f"/{origin_hash(self._pinned.origin)}/checkpoint"
        for name, url in policy.urls.items():
            try:
                note = self._ask(url, path)
                yield View(name, url, note, signed_by_log(note, policy.logs, list(policy.witnesses.values())))
            except Absent:
                self._desk.report(Finding(NOTE, "witness-unaware", f"witness {name} has not seen this log", name))
            except (Silent, Invalid) as error:
                self._desk.report(Finding(NOTE, "witness-silent", f"witness {name} does not answer: {error}", name))
            except (Garbled, BadNote) as error:
                text = f"witness {name} shows a note that this log did not sign: {error}"
                self._desk.report(Finding(STALE, "witness-note", text, name))

    def judge(self, follower: Follower, views: list[View]) -> list[View]:
        """Compare each view with what the server shows; those that fit."""
        fitting = []
        for view in views:
            last = follower.accepted
            if last is not None and view.signed.size > last.size:
                self._desk.clock.sleep(AGAIN_SECONDS)
                follower.look()
                last = follower.accepted
            if last is not None and follower.compare(last, view.signed, view.note, view.url):
                self._desk.state.views[view.name or "served"] = view.note
                fitting.append(view)
        return fitting

    def freshness(self, last: Signed, views: list[View]) -> None:
        """Remember cosignatures, and report when they are missing, old or behind."""
        state, policy, now = self._desk.state, self._pinned.policy, self._desk.clock.now_us()
        names = {key: name for name, key in policy.witnesses.items()}
        gathered: dict[tuple[int, bytes], set[str]] = {}
        for signed in (last, *(view.signed for view in views)):
            for key, time in signed.cosigned.items():
                name = names[key]
                if time * US > now + AHEAD_SECONDS * US:
                    text = f"witness {name} dates its cosignature {iso_second(min(time, 1 << 37) * US)}"
                    self._desk.report(Finding(NOTE, "witness-clock", text, name))
                    continue
                if time > state.cosigned.get(name, [0])[0]:
                    state.cosigned[name] = [time, signed.size]
                gathered.setdefault((signed.size, signed.root), set()).add(name)
        if policy.quorum != "none":
            met = [size for (size, _), signers in gathered.items() if policy.met(signers)]
            if met and max(met) >= (state.quorum or [0])[0]:
                state.quorum = [max(met), now]
        self._report_age(now)
        self._report_behind(last, now)

    def _report_age(self, now: int) -> None:
        state, policy = self._desk.state, self._pinned.policy
        oldest = now // US - self._limits.fresh
        fresh = {name for name, (time, _) in state.cosigned.items() if time >= oldest}
        late = [f"{name} ({_when(state.cosigned.get(name))})" for name in policy.witnesses if name not in fresh]
        if not policy.witnesses:
            text = "nobody but the operator vouches for this log"
            self._desk.report(Finding(NOTE, "unwitnessed", text))
        elif policy.quorum != "none" and not policy.met(fresh):
            kind = "stale" if state.quorum else "unwitnessed"
            text = f"no quorum has signed within {self._limits.fresh:g} s; waiting for {', '.join(late)}"
            self._desk.report(Finding(STALE, kind, text, "quorum"))
        elif late:
            grade = STALE if policy.quorum == "none" else NOTE
            text = f"no fresh cosignature from {', '.join(late)}"
            self._desk.report(Finding(grade, "stale", text, " ".join(late)))

    def _report_behind(self, last: Signed, now: int) -> None:
        state = self._desk.state
        if self._pinned.policy.quorum == "none":
            return
        covered = state.quorum[0] if state.quorum else 0
        if state.behind and covered >= state.behind[0]:
            state.behind = []
        if not state.behind and last.size > covered:
            state.behind = [last.size, now]
        if state.behind and now - state.behind[1] > self._limits.witness * US:
            size, since = state.behind
            text = f"the checkpoint of size {size} has had no quorum since {iso_second(since)} (cosigned: {covered})"
            self._desk.report(Finding(STALE, "witness-lag", text, "quorum"))


def _when(cosigned: list[int] | None) -> str:
    return iso_second(cosigned[0] * US) if cosigned else "never"
