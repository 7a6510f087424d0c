"""Who runs an installation: a lock that the kernel releases, and a file that says where to find it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from andromede.clock import Clock
from andromede.errors import Conflict, Unavailable
from andromede.ops.layout import Layout, private_write
from andromede.ops.supervise import Child


@dataclass(frozen=True, slots=True)
class Running:
    """What the supervisor writes to `run/state.json`."""

    pid: int
    started_us: int
    api_url: str
    objects_url: str
    tls: bool
    region: str
    roles: list[dict[str, Any]]
    restarts: bool = False
    """Whether it knows how to replace its roles (`andromede restart`)."""


def _lock_path(layout: Layout) -> str:
    return str(layout.run / "lock")


def acquire(layout: Layout, shared: bool = False) -> int:
    """Take the installation's lock; the descriptor, which forked roles inherit and so keep locked. Roles
    that are started apart share it among themselves.

    Raises `Conflict` (reason `running`) when a supervisor or one of its roles still holds it.
    """
    fd = os.open(_lock_path(layout), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        running = read(layout)
        if running is not None and not is_ours(running.pid):
            running = None  # what a supervisor left that was killed
        who = f"pid {running.pid}, {running.api_url}" if running else "starting or stopping now, or roles started apart"
        raise Conflict(
            f"Andromède already runs on {layout.data} ({who}); "
            f"see andromede status --data {layout.data}, stop it with andromede down --data {layout.data}",
            "running",
        ) from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_locked(layout: Layout) -> bool:
    """Whether a supervisor or role holds the lock now."""
    try:
        fd = os.open(_lock_path(layout), os.O_RDONLY | os.O_CLOEXEC)  # a read-only disk must not keep it from ending
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def wait_free(layout: Layout, clock: Clock, seconds: float) -> None:
    """Wait until nobody holds the lock, or for that long."""
    deadline = clock.monotonic() + seconds
    while is_locked(layout) and clock.monotonic() < deadline:
        clock.sleep(0.02)


def wait_killed(layout: Layout, clock: Clock, seconds: float) -> None:
    """The same when the last supervisor ended without a word: the kernel may still be closing a killed one's files."""
    running = read(layout)
    if running is not None and not is_ours(running.pid):
        wait_free(layout, clock, seconds)


def read(layout: Layout) -> Running | None:
    """The last written state, whether or not that supervisor still lives."""
    try:
        return Running(**json.loads((layout.run / "state.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write(layout: Layout, running: Running) -> None:
    """Publish the state."""
    private_write(layout.run / "state.json", json.dumps(asdict(running), indent=1) + "\n")


def clear(layout: Layout) -> None:
    """Forget the state at an orderly end."""
    with contextlib.suppress(OSError):  # on a read-only disk it stays, and tells of nobody who runs
        (layout.run / "state.json").unlink(missing_ok=True)


def roles_of(children: Sequence[Child], now_us: int, now: float) -> list[dict[str, Any]]:
    """The children as they are written to the state file; instants in microseconds UTC."""
    return [
        {
            "name": child.role.name + ("" if child.kept else " (ending)" if child.ready else " (starting)"),
            "pid": child.pid,
            "since_us": now_us - int((now - child.since) * 1_000_000),
            "restarts": child.restarts,
        }
        for child in children
    ]


@dataclass(frozen=True, slots=True)
class Restart:
    """How the rolling restart of that number went, in `run/restart.json`: `checking`, `rolling`, or at its end `done`,
    `refused` (nothing was changed) or `failed` (the text says what stays)."""

    number: int
    state: str
    text: str

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state in ("done", "refused", "failed")


def read_restart(layout: Layout) -> Restart:
    """The last one; number 0 before any."""
    try:
        return Restart(**json.loads((layout.run / "restart.json").read_text()))
    except (OSError, ValueError, TypeError):
        return Restart(0, "done", "")


def write_restart(layout: Layout, restart: Restart) -> None:
    """Publish it."""
    private_write(layout.run / "restart.json", json.dumps(asdict(restart)) + "\n")


_SUFFIXES = ("", "b", "c", "d", "e", "f", "g", "h")


def take_name(layout: Layout, role: str) -> str:
    """The name under which a process of this role acts: in the audit trail, and on the files it writes. No two running
    processes share one: while a former process of the role ends, its successor is `objects-0b`. The kernel releases the
    name with the process."""
    for suffix in _SUFFIXES:
        fd = os.open(layout.run / f"name-{role}{suffix}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        return role + suffix
    raise Conflict(f"too many processes of {role} still end; wait for them, or use andromede down", "running")


def is_ours(pid: int) -> bool:
    """Whether a supervisor or role has this id now: they carry our name, a recycled id does not. One that was killed
    does nothing any more once its memory is given back, of which its command line is a part."""
    try:
        with open(f"/proc/{pid}/stat") as file, open(f"/proc/{pid}/cmdline") as words:
            name, _, rest = file.read().partition("(")[2].rpartition(") ")
            return name.startswith("andromede") and not rest.startswith("Z") and words.read(1) != ""
    except OSError:
        return False


def stop(layout: Layout, clock: Clock, seconds: float) -> bool:
    """End the installation's processes in order and wait; False when none ran. Raises `Unavailable`
    when they are still there after `seconds` and a kill."""
    if not is_locked(layout):
        return False
    running = read(layout)
    if running is None:
        raise Unavailable(
            f"{layout.data} is starting: try again in a few seconds; roles that were started apart "
            "(andromede serve, andromede work) are ended where they were started",
            "start",
        )
    pids = [running.pid, *(int(role["pid"]) for role in running.roles)]
    deadline = clock.monotonic() + seconds
    _send([running.pid], signal.SIGTERM)
    while is_locked(layout) and clock.monotonic() < deadline:
        clock.sleep(0.05)
        if not is_ours(running.pid):
            _send(pids[1:], signal.SIGTERM)  # a supervisor that was killed leaves roles that drain
    if is_locked(layout):
        _send(pids, signal.SIGKILL)
        clock.sleep(0.5)
    if is_locked(layout):
        raise Unavailable(f"processes of {layout.data} do not end; see: fuser -v {_lock_path(layout)}", "stop")
    clear(layout)
    return True


def _send(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        if pid and is_ours(pid):
            os.kill(pid, number)
