"""What is only looked at: the console's log, the display, counters."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from andromede.compute.engine import Figures
from andromede.engines.qemu.place import Place, Record
from andromede.engines.qemu.qmp import Monitor, Refused
from andromede.errors import Unavailable

MOST = 1 << 20
"""Bytes of a console's log that are kept at least; up to twice as many lie in memory."""
_TICKS = os.sysconf("SC_CLK_TCK")
_COUNTERS = {
    "read_bytes": "rd_bytes", "read_requests": "rd_operations", "write_bytes": "wr_bytes",
    "write_requests": "wr_operations",
}  # fmt: skip


def console(place: Place, lines: int | None) -> str:
    """The end of the log: so many lines, or all that is kept."""
    text = (_read(_former(place)) + _read(place.console))[-MOST:].decode("utf-8", "replace")
    if lines is None:
        return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else ""


def _former(place: Place) -> Path:
    return place.folder / "console.old"


def _read(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


def trim(place: Place) -> bool:
    """Move a log that has grown over its limit aside; whether it had. QEMU appends to it, so it may be cut in place."""
    with contextlib.suppress(FileNotFoundError):
        if place.console.stat().st_size <= MOST:
            return False
        new = place.folder / "console.new"
        with open(place.console, "r+b") as log:
            new.write_bytes(log.read()[-MOST:])
            os.chmod(new, 0o600)
            os.replace(new, _former(place))
            log.truncate(0)
        return True
    return False


def screenshot(monitor: Monitor, place: Place, uid: int) -> bytes:
    """The display as PNG."""
    name = "screen.png"
    try:
        monitor.run("screendump", {"filename": str(place.sockets / name), "format": "png"})
        found = place.bytes(name, uid, 32 << 20)
    except Refused as error:
        raise Unavailable("the display of the guest cannot be told now", "screen", cause=error.public) from error
    finally:
        (place.sockets / name).unlink(missing_ok=True)
    return found


def figures(monitor: Monitor, live: Record, nics: Mapping[str, Mapping[str, int]]) -> Figures:
    """Counters as QEMU and the kernel keep them."""
    threads = [int(cpu["thread-id"]) for cpu in monitor.run("query-cpus-fast")]
    stats = {}
    for block in monitor.run("query-blockstats"):
        name = str(block.get("qdev", "")).removeprefix("/machine/peripheral/").partition("/")[0]
        if name.startswith("disk-"):
            counted = block["stats"]
            found = {ours: int(counted[theirs]) for ours, theirs in _COUNTERS.items()}
            found["errors_count"] = int(counted["failed_rd_operations"]) + int(counted["failed_wr_operations"])
            stats[name.removeprefix("disk-")] = found
    size = int(monitor.run("query-memory-size-summary")["base-memory"])
    return Figures(_uptime(live), tuple(_cpu_ns(live.pid, thread) for thread in threads), size >> 20,
                   _resident_kb(live.pid) >> 10, stats, nics)  # fmt: skip


def _stat(path: str) -> list[str]:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()
    return []


def _cpu_ns(pid: int, thread: int) -> int:
    """User and system time of a thread (proc(5), fields 14 and 15)."""
    fields = _stat(f"/proc/{pid}/task/{thread}/stat")
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // _TICKS if fields else 0


def _uptime(live: Record) -> int:
    with open("/proc/uptime", encoding="ascii") as file:
        now = float(file.read().split()[0])
    return max(0, int(now - int(live.started or 0) / _TICKS))


def _resident_kb(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("VmRSS:")), 0)
    return 0
