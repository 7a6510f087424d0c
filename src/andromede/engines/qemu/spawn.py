"""Starting and ending a guest's process. It belongs to nobody: the shell that writes its exit status is its parent,
and both go on when every role of the program ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

from andromede.engines.qemu.command import Line
from andromede.engines.qemu.place import Place, start_of
from andromede.errors import Unavailable

_SHELL = 'ulimit -c 0; cd "$0" || exit; { (cd /; exec "$@"); echo $? 2>/dev/null >exit; } &'
"""It stays in the folder of this start, not at its name: a status that comes late, when the guest has been started
anew, goes nowhere instead of ending the new start."""

_KVM = "/dev/kvm"


def spawn(line: Line, place: Place, uid: int, kvm: bool) -> None:
    """Start the process as `uid`, without groups but the one of /dev/kvm, in a session of its own. Returns when it has
    been forked; what it says goes to the guest's log."""
    log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    groups = [os.stat(_KVM).st_gid] if kvm else []
    argv = ["/bin/sh", "-c", _SHELL, str(place.sockets), *line.argv]
    try:
        done = subprocess.run(
            argv, user=uid, group=uid, extra_groups=groups, start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, pass_fds=line.fds, cwd="/", env={"PATH": os.defpath, "LC_ALL": "C"}, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable("the hypervisor process could not be started", "spawn", cause=repr(error)) from error
    finally:
        os.close(log)
    if done.returncode:
        raise Unavailable("the hypervisor process could not be started", "spawn", cause=place.tail())


def kill(pid: int, uid: int, started: str) -> None:
    """End a guest's process at once, if it still is the one that is meant."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if start_of(pid, uid) == started:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
    finally:
        os.close(fd)


def wait(pid: int, seconds: float) -> bool:
    """Whether a process has ended, waiting for it at most so long."""
    import select

    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(fd)


def ended(status: int | None) -> str:
    """An exit status in words."""
    if status is None:
        return "hypervisor process ended, and what waited for it did, too"
    return (
        f"hypervisor process ended: signal {status - 128}"
        if status > 128
        else (f"hypervisor process ended: status {status}")
    )
