"""One parent, forked roles: readiness, restart with back-off, orderly end.

The parent imports what the roles need, freezes the garbage collector and forks, so that the roles
share its pages. It starts no thread, opens no database and waits in the kernel for signals.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from andromede.clock import Clock
from andromede.errors import Error, Unavailable
from andromede.log import Log

READY_SECONDS = 60.0
GRACE_SECONDS = 30.0
FIRST_DELAY = 0.1
LONGEST_DELAY = 30.0
STEADY_SECONDS = 60.0
TICK_SECONDS = 30.0

RETIRE = signal.SIGUSR2
"""To a role that has a successor: take no new connections, finish what clients have begun, end. To a supervisor:
replace the roles one by one."""

_WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, RETIRE}
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

Ready = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Role:
    """A process to keep running. `main(ready)` calls `ready()` once it serves, and returns after SIGTERM. One that
    `overlaps` may run beside its successor, and ends by itself some time after RETIRE."""

    name: str
    main: Callable[[Ready], None]
    overlaps: bool = False


@dataclass(slots=True)
class Child:
    """What is known of one role's process; `pid` 0 while it is down. One that is not `kept` is not started again.

    Readings of the monotonic clock in seconds: `since`, its start, or when a former one was told to end; `due`, when it
    is to be started again, None while it is not. `delay`: the last wait for that; `died`: how it ended last."""

    role: Role
    pid: int = 0
    since: float = 0.0
    ready: bool = False
    ready_fd: int = -1
    restarts: int = 0
    delay: float = 0.0
    due: float | None = None
    died: str = ""
    kept: bool = True


class Duty(Protocol):
    """What a supervisor does besides keeping its roles."""

    def asked(self) -> None:
        """Somebody sent RETIRE."""

    def turn(self) -> float | None:
        """Go on; the seconds until it wants its next turn, None while it has nothing to do."""


@dataclass(slots=True)
class Hooks:
    """What the owner wants to hear: `changed` after each change of a child, `tick` every TICK_SECONDS or
    a little later, `notice` with a sentence for people; and the `duty` that it gives."""

    changed: Callable[[Sequence[Child]], None] = lambda children: None
    tick: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = lambda text: None
    duty: Duty | None = None


def name_process(name: str, die_with_parent: bool) -> None:
    """Show `name` in process lists; ask the kernel for SIGTERM when the parent dies."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, f"andromede:{name}".encode()[:15], 0, 0, 0)
    if die_with_parent:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def describe_exit(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


@dataclass(slots=True)
class Supervisor:
    """Runs roles until told to stop. `log_fd` receives what the roles write to standard error. `others` are processes
    besides the one that each role has: former ones that end, and one that is to follow."""

    roles: Sequence[Role]
    clock: Clock
    log: Log
    log_fd: int
    hooks: Hooks = field(default_factory=Hooks)
    children: list[Child] = field(default_factory=list)
    others: list[Child] = field(default_factory=list)
    stopping: bool = False
    ticked: float = 0.0

    def _prepare(self) -> None:
        self.ticked = self.clock.monotonic()
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        gc.collect()
        gc.freeze()

    def adopt(self, children: Sequence[Child], others: Sequence[Child]) -> None:
        """Go on with the processes of the program that this one was before."""
        self._prepare()
        self.children, self.others = list(children), list(others)

    def start(self) -> None:
        """Fork every role and wait until all are ready. Raises `Unavailable` naming the one that fails."""
        self._prepare()
        self.children = [Child(role) for role in self.roles]
        deadline = self.clock.monotonic() + READY_SECONDS
        try:
            for child in self.children:
                self.spawn(child)
            while not all(child.ready for child in self.children):
                self._turn(0.01)
                self._fail_early(deadline)
        except BaseException:
            self.stop(5.0)
            raise
        self.changed()

    def changed(self) -> None:
        """Tell the owner."""
        self.hooks.changed([*self.children, *self.others])

    def _fail_early(self, deadline: float) -> None:
        for child in self.children:
            if not child.ready and not child.pid:
                raise Unavailable(f"{child.role.name} {child.died} while starting", "start", role=child.role.name)
        if self.stopping:
            raise Unavailable("stopped while starting", "stopped")
        if self.clock.monotonic() > deadline:
            late = ", ".join(child.role.name for child in self.children if not child.ready)
            raise Unavailable(f"{late}: not ready after {READY_SECONDS:g} s", "start")

    def run(self) -> None:
        """Keep the roles running until SIGTERM or SIGINT, then end them in order."""
        while not self.stopping:
            now = self.clock.monotonic()
            waits = [max(0.0, child.due - now) for child in self.children if child.due is not None]
            if any(child.pid and not child.ready for child in (*self.children, *self.others)):
                waits.append(0.02)
            if self.hooks.duty is not None and (wish := self.hooks.duty.turn()) is not None:
                waits.append(wish)
            self._turn(min([TICK_SECONDS, *waits]))
        self.stop(GRACE_SECONDS)

    def stop(self, grace: float) -> None:
        """SIGTERM, wait, SIGKILL after `grace` seconds or at a second interrupt."""
        self.stopping = True
        everyone = [*self.children, *self.others]
        for child in everyone:
            self.signal(child, signal.SIGTERM)
        deadline = self.clock.monotonic() + grace
        interrupted = False
        while any(child.pid for child in everyone):
            if interrupted or self.clock.monotonic() > deadline:
                for child in everyone:
                    self.signal(child, signal.SIGKILL)
            got = signal.sigtimedwait(_WATCHED, 0.2)
            interrupted = got is not None and got.si_signo in (signal.SIGINT, signal.SIGTERM)
            self._reap()

    def _turn(self, seconds: float) -> None:
        got = signal.sigtimedwait(_WATCHED, seconds)
        now = self.clock.monotonic()
        if now >= self.ticked + TICK_SECONDS:  # however often something else was due
            self.ticked = now
            self.hooks.tick()
        if got is not None and got.si_signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.stopping = True
            return
        if got is not None and got.si_signo == RETIRE and self.hooks.duty is not None:
            self.hooks.duty.asked()
        self._reap()
        for child in (*self.children, *self.others):
            if child.pid and not child.ready:
                self._look_for_ready(child)
            if child.due is not None and self.clock.monotonic() >= child.due:
                self.spawn(child)

    def signal(self, child: Child, number: int) -> None:
        """Send a signal to a child that runs."""
        if child.pid:
            os.kill(child.pid, number)

    def _look_for_ready(self, child: Child) -> None:
        if child.ready_fd < 0:
            return
        try:
            word = os.read(child.ready_fd, 1)
        except BlockingIOError:
            return
        os.close(child.ready_fd)
        child.ready_fd = -1
        if word:
            child.ready = True
            self.log.event("role.ready", child=child.role.name, child_pid=child.pid)
            if child.restarts:
                self.hooks.notice(f"{child.role.name} is serving again (pid {child.pid})")
                self.changed()

    def _reap(self) -> None:
        for child in (*self.children, *self.others):
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        now = self.clock.monotonic()
        pid, child.pid = child.pid, 0
        was_ready, child.ready = child.ready, False
        child.died = describe_exit(status)
        if child.ready_fd >= 0:
            os.close(child.ready_fd)
            child.ready_fd = -1
        if self.stopping:
            return
        if not child.kept:
            self.log.event("role.ended", child=child.role.name, child_pid=pid, how=child.died)
            self.others = [other for other in self.others if other is not child]
            self.changed()
            return
        steady = was_ready and now - child.since > STEADY_SECONDS
        child.delay = FIRST_DELAY if steady or not child.delay else min(child.delay * 2, LONGEST_DELAY)
        child.due = now + child.delay
        self.log.alert("role.died", child=child.role.name, child_pid=pid, how=child.died, restart_in=child.delay)
        self.hooks.notice(f"{child.role.name} (pid {pid}) {child.died}; starting it again in {child.delay:g} s")
        self.changed()

    def spawn(self, child: Child) -> None:
        """Fork the role's process."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        again = child.since > 0
        pid = os.fork()
        if pid == 0:
            _become(child.role, writer, parent, self.log_fd)
        os.close(writer)
        child.pid, child.ready_fd, child.ready, child.due = pid, reader, False, None
        child.since = self.clock.monotonic()
        child.restarts += again


def _become(role: Role, ready_fd: int, parent: int, log_fd: int) -> NoReturn:
    """The life of a forked role. Never returns into the parent's code."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the group; the parent decides the order
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(RETIRE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        os.dup2(log_fd, 1)
        os.dup2(log_fd, 2)
        faulthandler.enable(2)  # a crash in native code leaves every thread's stack in the log
        name_process(role.name, die_with_parent=True)
        if os.getppid() != parent:
            os._exit(0)
        role.main(lambda: _tell(ready_fd))
        code = 0
    except Error as error:
        os.write(2, f"{role.name}: {error.public} {error.cause}\n".encode())
    except BaseException:
        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _tell(fd: int) -> None:
    os.write(fd, b"1")
