"""One dnsmasq per network or router. It outlives the program; its pid file and its command line tell whose it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

from andromede.engines.linux import kernel
from andromede.engines.linux.dhcp import Files
from andromede.engines.linux.host import Host
from andromede.errors import Unavailable

START_SECONDS, END_SECONDS = 20, 5.0
_READABLE, _PASSABLE = 0o755, 0o111
_CONF, _HOSTS, _OPTIONS, _NAMES, _PID = "conf", "hosts", "options", "names", "pid"


def running(folder: Path, place: str | None = None) -> int | None:
    """The pid of the daemon whose files lie in `folder`, None without one; with `place` only one in that namespace."""
    try:
        pid = int((folder / _PID).read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    if f"--conf-file={folder / _CONF}".encode() not in words:
        return None
    if place is not None and kernel.inode_of(pid) != kernel.inode(place):
        return None
    return pid


def lost(host: Host, part_id: str) -> bool:
    """Whether a daemon was started that runs no more."""
    folder = host.folder(part_id)
    return (folder / _CONF).exists() and running(folder) is None


def stop(host: Host, part_id: str) -> None:
    """End a daemon and take its files away."""
    folder = host.folder(part_id)
    pid = running(folder)
    if pid is not None:
        host.step("stop dnsmasq")
        _end(pid)
    if folder.exists():
        host.step("remove files")
        shutil.rmtree(folder, ignore_errors=True)


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(fd, signal.SIGTERM)
            if not kernel.readable(fd, END_SECONDS):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                kernel.readable(fd, END_SECONDS)
        finally:
            os.close(fd)


def _reachable(folder: Path, above: Path) -> None:
    """A folder that the daemon, which gives up its rights, can read in, whatever our umask."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder, folder.parent):
        os.chmod(path, _READABLE)
    for path in (above, above.parent):
        os.chmod(path, stat.S_IMODE(path.stat().st_mode) | _PASSABLE)


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.chmod(fresh, 0o644)
    os.replace(fresh, path)


def ensure(host: Host, part_id: str, place: str, files: Files | None) -> None:
    """Have a daemon with these files in the namespace `place`, which the calling thread is in. What changes means a new
    daemon, which remembers no lease: dnsmasq 2.90 was seen to end by a segmentation fault when it was to read its lines
    of hosts anew (SIGHUP) while guests had leases. Renewals and requests that come meanwhile are repeated."""
    if files is None:
        return stop(host, part_id)
    folder = host.folder(part_id)
    texts = {_CONF: files.conf, **{word: "".join(f"{line}\n" for line in lines) for word, lines in
             ((_HOSTS, files.hosts), (_OPTIONS, files.options), (_NAMES, files.names))}}  # fmt: skip
    changed = [word for word, text in texts.items() if _text(folder / word) != text]
    pid = running(folder, place)
    if pid is not None and not changed:
        return None
    stop(host, part_id)
    host.step("write files")
    _reachable(folder, host.runtime)
    for word, text in texts.items():
        _write(folder / word, text)
    host.step("start dnsmasq")
    return _start(folder, host)


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _start(folder: Path, host: Host) -> None:
    """Returns when the daemon has its sockets."""
    words = [f"--conf-file={folder / _CONF}", f"--pid-file={folder / _PID}", f"--dhcp-hostsfile={folder / _HOSTS}",
             f"--dhcp-optsfile={folder / _OPTIONS}", f"--addn-hosts={folder / _NAMES}"]  # fmt: skip
    ran = subprocess.run(
        ["dnsmasq", *words], capture_output=True, timeout=START_SECONDS, check=False, cwd="/", start_new_session=True
    )
    if ran.returncode:
        why = ran.stderr.decode(errors="replace").strip()
        raise Unavailable(
            f"dnsmasq did not start: {why.splitlines()[-1] if why else ran.returncode}", "dnsmasq", cause=why
        )
