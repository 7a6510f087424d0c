"""A rolling restart: the supervisor becomes the program that is installed now, keeps its process id, its sockets and
its children, and replaces these one by one.

The listening sockets are never closed, so nothing that waits in them is lost: a successor takes it. A former process
finishes what clients have begun, tells them with `Connection: close`, and ends. Before any of that, the new program
tries its settings in a process of its own (`Check`): what it refuses changes nothing.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from andromede.errors import Unavailable
from andromede.ops import child
from andromede.ops.supervise import READY_SECONDS, RETIRE, Child, Role, Supervisor

VARIABLE = "ANDROMEDE_HANDOVER"
"""Set by the former program for the next one: a `Handover` as JSON."""
CHECK_SECONDS = 120.0
FORMER_SECONDS = 3600.0
"""How long a former process may take to finish what clients have begun."""
FORMER_MOST = 3
"""Former processes of one role at a time."""


@dataclass(frozen=True, slots=True)
class Handover:
    """What a supervisor gives to the program that takes its place. `checking`: it is only tried; `number` is
    that of this restart. Descriptors are those of the lock and of the listening sockets; `fixed` is what cannot change
    while sockets stay open; `began` and `since` are readings of the monotonic clock in seconds."""

    checking: bool
    number: int
    began: float
    fixed: list[str]
    lock: int
    api: list[int]
    objects: list[int]
    children: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def receive(cls) -> Handover | None:
        """What this process was given, once."""
        raw = os.environ.pop(VARIABLE, "")
        return cls(**json.loads(raw)) if raw else None

    def adopted(self, roles: Sequence[Role]) -> tuple[list[Child], list[Child]]:
        """(the processes of the roles, former ones) as they were."""
        named = {role.name: role for role in roles}
        children = [_child(row, named[row["name"]], True) for row in self.children]
        return children, [_child(row, named[row["name"]], False) for row in self.others]


def _child(row: Mapping[str, Any], role: Role, kept: bool) -> Child:
    return Child(role, row["pid"], row["since"], ready=bool(row["pid"]), restarts=row["restarts"], kept=kept,
                 due=None if row["pid"] else 0.0)  # fmt: skip


def told(children: Sequence[Child]) -> list[dict[str, Any]]:
    """Children for a `Handover`; those without a process have been ended, and are started by the one who takes over."""
    return [
        {"name": each.role.name, "pid": each.pid, "since": each.since, "restarts": each.restarts} for each in children
    ]


class Check:
    """Waits to be asked; then has the new program try its settings, and becomes it when they are sound."""

    def __init__(self, supervisor: Supervisor, handover: Callable[[bool], Handover], command: Sequence[str],
                 say: Callable[[str, str], None]) -> None:  # fmt: skip
        self._supervisor = supervisor
        self._handover = handover
        self._command = list(command)
        self._say = say
        self._pid = 0
        self._reader = -1
        self._end = 0.0

    def asked(self) -> None:
        if self._pid:
            return
        try:
            self._pid, self._reader = self._try()
        except OSError as error:
            self._say("refused", f"{self._command[0]} cannot be started: {error.strerror}")
            return
        self._end = self._supervisor.clock.monotonic() + CHECK_SECONDS
        self._say("checking", "")

    def turn(self) -> float | None:
        if not self._pid:
            return None
        pid, _ = os.waitpid(self._pid, os.WNOHANG)
        if not pid and self._supervisor.clock.monotonic() < self._end:
            return 0.5
        if not pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        raw = os.read(self._reader, 65536)
        os.close(self._reader)
        self._pid = 0
        problem = self._problem(raw)
        if problem or (problem := self._busy()):
            self._say("refused", problem)
        else:
            self._become()
        return None

    def _problem(self, raw: bytes) -> str:
        if not raw:
            return "the new program ended without an answer; see the log"
        return str(json.loads(raw).get("error", ""))

    def _busy(self) -> str:
        former = [other.role.name for other in self._supervisor.others]
        many = sorted({name for name in former if former.count(name) >= FORMER_MOST})
        down = [each.role.name for each in self._supervisor.children if not each.ready]
        if many:
            return f"former processes of {', '.join(many)} still finish requests; try again later, or use down and up"
        return f"{', '.join(down)} is starting; try again when it serves" if down else ""

    def _environment(self, checking: bool) -> dict[str, str]:
        given = self._handover(checking)
        return {**os.environ, VARIABLE: json.dumps({name: getattr(given, name) for name in Handover.__slots__})}

    def _try(self) -> tuple[int, int]:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        given = self._handover(True)
        actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, self._supervisor.log_fd, 2)]
        actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in (given.lock, *given.api, *given.objects)]
        try:
            pid = os.posix_spawn(
                self._command[0],
                self._command,
                self._environment(True),
                file_actions=actions,
                setsigmask=[],
            )
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return pid, reader

    def _become(self) -> None:
        environment = self._environment(False)
        given = self._handover(False)
        for fd in (given.lock, *given.api, *given.objects):
            os.set_inheritable(fd, True)
        self._supervisor.log.event("up.becoming", command=self._command)
        try:
            os.execve(self._command[0], self._command, environment)  # noqa: S606
        except OSError as error:
            self._say("refused", f"{self._command[0]} cannot be started: {error.strerror}")


def answer_check(problem: Callable[[], None]) -> int:
    """In the process of a check: do it and say on standard output how it went."""
    try:
        problem()
        os.write(1, b"{}\n")
    except BaseException as error:
        os.write(1, child.pack_error(error))
    return 0


class Roll:
    """Replaces every process that a supervisor has adopted, one after the other."""

    def __init__(self, supervisor: Supervisor, say: Callable[[str, str], None], after: Check) -> None:
        self._supervisor = supervisor
        self._say = say
        self._after = after
        self._waiting = [each for each in supervisor.children if each.pid]
        self._old: Child | None = None
        self._new: Child | None = None
        self._deadline = 0.0

    def asked(self) -> None:
        if not self._waiting and self._old is None:
            self._after.asked()

    def turn(self) -> float | None:
        self._hasten()
        try:
            while self._step():
                pass
        except Unavailable as error:
            self._waiting, self._old, self._new = [], None, None
            self._say("failed", error.public)
        if self._old is not None:
            return 0.02
        wish = self._after.turn()
        if wish is None and any(other.pid for other in self._supervisor.others):
            return 1.0
        return wish

    def _hasten(self) -> None:
        """End former processes that have had their time."""
        now = self._supervisor.clock.monotonic()
        for other in self._supervisor.others:
            if other is not self._new and other.due is None and now > other.since + FORMER_SECONDS:
                self._supervisor.signal(other, signal.SIGTERM)

    def _step(self) -> bool:
        """Go on as far as possible without waiting; whether something changed."""
        if self._old is None:
            if not self._waiting:
                return False
            self._begin(self._waiting.pop(0))
            return True
        new, now = self._new, self._supervisor.clock.monotonic()
        if new is None:  # the old one has been told to end, and has no successor yet
            if self._old.pid:
                return self._late(now, self._old.role)
            self._old.kept = True
            self._start(self._old)
            return True
        if not new.pid:
            raise Unavailable(
                f"the new {new.role.name} {new.died} while starting; "
                + ("it is tried again" if new.kept else "the former one goes on serving"), "restart",
            )  # fmt: skip
        if not new.ready:
            return self._late(now, new.role)
        return self._replaced(new)

    def _late(self, now: float, role: Role) -> bool:
        if now > self._deadline:
            if self._new is not None and not self._new.kept:
                self._supervisor.signal(self._new, signal.SIGKILL)
            raise Unavailable(f"{role.name}: not replaced after {READY_SECONDS:g} s", "restart")
        return False

    def _begin(self, old: Child) -> None:
        self._old, self._new = old, None
        self._deadline = self._supervisor.clock.monotonic() + READY_SECONDS
        if old.role.overlaps:
            new = Child(old.role, kept=False)
            self._supervisor.others.append(new)
            self._start(new)
        else:
            old.kept = False
            self._supervisor.signal(old, signal.SIGTERM)

    def _start(self, new: Child) -> None:
        self._new = new
        self._deadline = self._supervisor.clock.monotonic() + READY_SECONDS
        self._supervisor.spawn(new)

    def _replaced(self, new: Child) -> bool:
        supervisor, old = self._supervisor, self._old
        assert old is not None
        if new is not old:
            new.kept, old.kept = True, False
            supervisor.children[supervisor.children.index(old)] = new
            supervisor.others = [other for other in supervisor.others if other is not new]
            if old.pid:
                old.since = supervisor.clock.monotonic()
                supervisor.others.append(old)
                supervisor.signal(old, RETIRE)
        self._old = self._new = None
        supervisor.log.event("role.replaced", child=new.role.name, child_pid=new.pid)
        supervisor.changed()
        if not self._waiting:
            self._say("done", "")
        return True
