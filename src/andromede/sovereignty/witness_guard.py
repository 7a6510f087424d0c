"""What may not be signed, because a witness shows that more, or something else, was signed before."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from andromede.clock import Clock
from andromede.db import Database
from andromede.errors import Error
from andromede.log import Log
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.log import Logs
from andromede.sovereignty.witness_circle import Circle, Member
from andromede.sovereignty.witness_exchange import Judgement, look

LOOK_SECONDS = 4.0
MUTE_SECONDS = 60.0
PATIENCE_SECONDS = 30.0
"""How long, in the life of a process, first signatures may wait for witnesses that tenants named."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the guard stands on. `pool` runs the calls to witnesses."""

    db: Database
    logs: Logs
    circle: Circle
    pool: ThreadPoolExecutor
    clock: Clock
    log: Log
    call_seconds: float


class Guard:
    """Safe from many threads."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._lock = threading.Lock()
        self._halts: dict[str, str] = {}
        self._checked: set[str] = set()
        self._mute: dict[str, float] = {}
        self._patience = PATIENCE_SECONDS

    def may_sign(self, origin: str, size: int, root: bytes) -> str | None:
        """Why a committed (size, root) must not be signed; None when it may. At the first question about a log the
        views of its witnesses are compared. One that cannot be reached does not hinder: a fork that is signed
        meanwhile never gets its cosignature."""
        with self._lock:
            if origin in self._checked:
                return self._halts.get(origin)
        self.reload()
        if reason := self.halted(origin):
            return reason
        ground = self._ground
        ground.circle.load()
        log = ground.logs.by_origin(origin)
        members = [m for m in (ground.circle.members(log.tenant) if log else ()) if self._heard(m.url)]
        try:
            asked = [(m, ground.pool.submit(self._ask, m, origin, (size, root))) for m in members]
        except RuntimeError:
            return "this process is being stopped: the next one compares the log with its witnesses"
        self._await([future for member, future in asked if member.ours], LOOK_SECONDS)
        with self._lock:
            patience = min(self._patience, LOOK_SECONDS)
        spent = self._await([future for member, future in asked if not member.ours], patience)
        for member, future in asked:
            if not future.done():
                self._silence(member.url)
        with self._lock:
            self._patience -= spent
            self._checked.add(origin)
            return self._halts.get(origin)

    def _await(self, futures: list[Future[None]], seconds: float) -> float:
        begin = self._ground.clock.monotonic()
        wait(futures, max(seconds, 0.0))
        return self._ground.clock.monotonic() - begin

    def _ask(self, member: Member, origin: str, state: tuple[int, bytes]) -> None:
        """On a thread of the pool; an answer that comes too late for this signature counts for the next."""
        self.weigh(member, origin, self.look(member, origin, state))

    def look(self, member: Member, origin: str, state: tuple[int, bytes]) -> Judgement:
        """A witness's view of a log, compared with our (size, root)."""
        ground = self._ground
        try:
            link = ground.circle.link(member.url, min(LOOK_SECONDS, ground.call_seconds))
            return look(link, ground.logs, origin, state)
        except Exception as error:  # a strange answer is none
            text = error.public if isinstance(error, Error) else repr(error)
            self._silence(member.url)
            ground.log.event("witness.unreached", "warning", origin=origin, url=member.url, cause=text)
            return Judgement("none", text)

    def _silence(self, url: str) -> None:
        """A witness that is away holds up the first signature of one log, not of every log in turn."""
        now = self._ground.clock.monotonic()
        with self._lock:
            self._mute = {other: until for other, until in self._mute.items() if until > now}
            self._mute[url] = now + MUTE_SECONDS

    def _heard(self, url: str) -> bool:
        with self._lock:
            return self._ground.clock.monotonic() >= self._mute.get(url, 0.0)

    def weigh(self, member: Member, origin: str, judgement: Judgement) -> None:
        """Halt the log where the judgement is proved; alert where a witness shows what nobody here signed."""
        if judgement.proved:
            self.halt(member, origin, judgement.text, judgement.note)
        elif judgement.kind == "unproved":
            self._ground.log.alert("witness.strange", origin=origin, url=member.url, cause=judgement.text)

    def halt(self, member: Member, origin: str, reason: str, note: str) -> None:
        """Forbid signatures of a log, durably, until `andromede witness resume`."""
        text = f"{', '.join(member.names)} at {member.url}: {reason}"
        with self._ground.db.write() as tx:
            store.put_halt(tx, origin, member.url, text, note, self._ground.clock.now_us())
        with self._lock:
            known = origin in self._halts
            self._halts = {origin: text, **self._halts}
        if not known:
            self._ground.log.alert("ledger.halted", origin=origin, witness=member.url, cause=text)

    def halted(self, origin: str) -> str | None:
        """Why a log is halted, as far as it is known here."""
        with self._lock:
            return self._halts.get(origin)

    def reload(self) -> None:
        """Read the halts again; a log that was resumed is compared again before its next signature."""
        found = {str(row[0]): str(row[2]) for row in store.halts(self._ground.db)}
        with self._lock:
            self._checked -= set(self._halts) - set(found)
            self._halts = found
