"""One HAProxy per load balancer, in the namespace of its port. It outlives the program: its pid with its start time,
and what it was started for, stand in its folder. A new configuration is a new process that takes the old one's sockets
over, so no connection is refused; the old one ends once its connections have (Management Guide, 4)."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from andromede.balancer.engine import BalancerPart, Carried, PoolPart
from andromede.clock import Clock
from andromede.engines.haproxy import config, control, datagrams, probe
from andromede.engines.linux import kernel, names
from andromede.errors import Unavailable

START_SECONDS, END_SECONDS, NFT_SECONDS = 20, 5.0, 30
_STATE, _CONF, _SOCKET, _PID = "state.json", "haproxy.cfg", "sock", "pid"


@dataclass(frozen=True, slots=True)
class Process:
    """A process that runs, by pid and start time (proc_pid_stat(5), field 22), and what it was started for."""

    pid: int
    start: int
    digest: str
    pools: list[dict[str, object]] = field(default_factory=list)


def started(pid: int) -> int | None:
    """When a process began, in clock ticks after boot; None when it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


class HaproxyCarrier:
    """Load balancers of one installation on this host. `runtime`: a folder of its own below /run."""

    def __init__(self, installation: str, runtime: Path, clock: Clock) -> None:
        self._installation = installation
        self._folder = runtime / "lb"
        self._probes = probe.Probes(clock)

    def _of(self, balancer_id: str) -> Path:
        return self._folder / names.short(balancer_id, 32)

    def _place(self, port_id: str) -> str:
        return names.namespace(self._installation, "p", port_id)

    # --- the verbs

    def ensure(self, part: BalancerPart) -> None:
        """Rules first, then the program."""
        place, folder = self._place(part.port_id), self._of(part.id)
        if kernel.inode(place) is None:
            raise Unavailable(f"the namespace {place} of the port is not there (yet)", "namespace")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        running = self._running(folder, place)
        fresh = config.digest(part)
        self._rules(place, part)
        watched = [_probed(pool) for pool in part.pools if pool.monitor and pool.monitor.type in config.OURS]
        if running is not None and running.digest == fresh:
            self._keep(folder, part, running.pid, running.start, fresh, watched)
            return
        pid = self._start(part, place, folder, running)
        start = started(pid)
        if start is None:
            raise Unavailable("the load balancer's process ended at once", "haproxy")
        self._keep(folder, part, pid, start, fresh, watched)

    def _keep(
        self, folder: Path, part: BalancerPart, pid: int, start: int, digest: str, watched: list[dict[str, object]]
    ) -> None:  # fmt: skip
        state = {"id": part.id, "port": part.port_id, "pid": pid, "start": start, "digest": digest, "pools": watched}
        path = folder / _STATE
        text = json.dumps(state)
        if not path.exists() or path.read_text() != text:
            fresh = folder / "state.new"
            fresh.write_text(text)
            os.replace(fresh, path)

    def remove(self, balancer_id: str) -> None:
        """End the program and take its files away; its rules go with the namespace."""
        folder = self._of(balancer_id)
        state = self._state(folder)
        if state is not None:
            place = self._place(str(state["port"]))
            for pid in self._all(folder, int(str(state["pid"])), int(str(state["start"]))):
                _end(pid)
            if kernel.inode(place) is not None:
                kernel.inside(place, _flush)
        shutil.rmtree(folder, ignore_errors=True)
        self._probes.forget(balancer_id)

    def observe(self, balancer_id: str) -> Carried | None:
        """What the program tells, and what our own checks of datagram members find."""
        folder = self._of(balancer_id)
        state = self._state(folder)
        if state is None:
            return None
        place = self._place(str(state["port"]))
        running = self._running(folder, place)
        if running is None:
            return None
        try:
            text = control.ask(folder / _SOCKET, "show stat")
        except Unavailable:
            if self._running(folder, place) is None:  # it died under the question
                return None
            raise
        found = control.carried(balancer_id, f"{running.pid}.{running.start}", text)
        own = self._probes.look(balancer_id, place, running.pools)
        return Carried(found.id, found.life, {**found.members, **own}, found.traffic)

    def listing(self) -> list[str]:
        """Ids of every folder that says whose it is."""
        folders = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        states = [self._state(folder) for folder in folders]
        return [str(state["id"]) for state in states if state is not None]

    # --- the program

    @staticmethod
    def _state(folder: Path) -> dict[str, object] | None:
        try:
            found = json.loads((folder / _STATE).read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and {"id", "port", "pid", "start"} <= set(found) else None

    def _running(self, folder: Path, place: str) -> Process | None:
        state = self._state(folder)
        if state is None:
            return None
        pid, start = int(str(state["pid"])), int(str(state["start"]))
        if started(pid) != start or kernel.inode_of(pid) != kernel.inode(place):
            return None
        pools = state.get("pools")
        return Process(pid, start, str(state.get("digest")), pools if isinstance(pools, list) else [])

    @staticmethod
    def _all(folder: Path, pid: int, start: int) -> list[int]:
        """The process and those that it replaced and that still serve connections: all were started with the
        configuration of this folder."""
        word = f"{folder / _CONF}"
        found = [pid] if started(pid) == start else []
        return [*found, *(other for other, words in kernel.processes() if other != pid and word in words)]

    def _start(self, part: BalancerPart, place: str, folder: Path, old: Process | None) -> int:
        """Start the program in the namespace; returns once it listens. Keys are read from memory, never from a file."""
        fds: list[int] = []

        def hold(pem: bytes) -> str:
            fd = os.memfd_create("pem", os.MFD_CLOEXEC)
            fds.append(fd)
            os.write(fd, pem)
            os.lseek(fd, 0, os.SEEK_SET)
            return f"/proc/self/fd/{fd}"

        try:
            text = config.render(part, str(folder / _SOCKET), hold, _most())
            path = folder / _CONF
            path.write_text(text)
            os.chmod(path, 0o600)
            words = ["haproxy", "-D", "-f", str(path), "-p", str(folder / _PID)]
            if old is not None:
                words += ["-x", str(folder / _SOCKET), "-sf", str(old.pid)]
            kernel.inside(place, lambda: _run(words, fds, folder))
        finally:
            for fd in fds:
                os.close(fd)
        return int((folder / _PID).read_text().split()[0])

    # --- datagrams

    def _rules(self, place: str, part: BalancerPart) -> None:
        def load() -> None:
            forwards = any(listener.protocol == "UDP" for listener in part.listeners)
            kernel.sysctl({"net/ipv4/ip_forward": int(forwards), "net/ipv6/conf/all/forwarding": int(forwards)})
            ran = subprocess.run(
                ["nft", "-f", "-"], input=datagrams.rules(part).encode(), capture_output=True, timeout=NFT_SECONDS,
                check=False,
            )  # fmt: skip
            if ran.returncode:
                why = ran.stderr.decode(errors="replace")
                raise Unavailable(
                    f"nft refused the rules: {why.strip().partition(chr(10))[0]}", "nft", cause=why[:2000]
                )

        kernel.inside(place, load)


def _run(words: list[str], fds: list[int], folder: Path) -> None:
    """HAProxy goes to the background by itself once it listens, or tells why it does not."""
    log = folder / "start.log"
    with open(log, "wb") as out:
        ran = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=START_SECONDS, check=False, cwd="/",
            pass_fds=fds, start_new_session=True,
        )  # fmt: skip
    if ran.returncode:
        why = log.read_text(errors="replace")
        alerts = [line for line in why.splitlines() if "ALERT" in line] or why.splitlines()
        first = alerts[0].partition(" : ")[2] if alerts else ""
        raise Unavailable(f"haproxy did not start: {first or ran.returncode}", "haproxy", cause=why[:2000])


def _most() -> int:
    """Connections that fit: each takes two descriptors."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    fit = config.MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else (hard - 500) // 2
    return max(100, min(config.MOST_CONNECTIONS, fit))


def _flush() -> None:
    for family in ("ip", "ip6"):
        text = f"add table {family} {datagrams.TABLE}\ndelete table {family} {datagrams.TABLE}\n"
        subprocess.run(["nft", "-f", "-"], input=text.encode(), capture_output=True, timeout=NFT_SECONDS, check=False)


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                signal.pidfd_send_signal(fd, number)
                if kernel.readable(fd, END_SECONDS):
                    break
        finally:
            os.close(fd)


def _probed(pool: PoolPart) -> dict[str, object]:
    monitor = pool.monitor
    assert monitor is not None
    return {
        "type": monitor.type, "delay": monitor.delay, "rise": monitor.rise, "fall": monitor.fall,
        "members": [
            [one.id, one.monitor_address or one.address, one.monitor_port or one.port] for one in pool.members
        ],
    }  # fmt: skip
