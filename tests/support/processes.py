"""Processes of an installation, found and measured through /proc."""

from __future__ import annotations

import os
from pathlib import Path

ROLES = ("objects", "api", "work", "up")
NAMED = "andromede:"  # how a process of the program calls itself; the kernel keeps fifteen bytes


def role_of(name: str) -> str:
    """The role in the name of a process, or an empty string."""
    word = name.removeprefix(NAMED) if name.startswith(NAMED) else ""
    return next((role for role in ROLES if word and (role.startswith(word) or word.startswith(role))), "")


def processes(data: Path) -> dict[int, str]:
    """Pid -> role of every live process of the program whose command line names this data directory."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            name = (entry / "comm").read_text().strip()
        except OSError:
            continue
        if alive and os.fsencode(data) in words and b"andromede" in b" ".join(words[:4]):
            found[int(entry.name)] = role_of(name)
    return found


def with_children(pids: list[int]) -> set[int]:
    """The processes and all their descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    family = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def memory(pids: set[int], field: str = "Pss") -> int:
    """Proportional set size in bytes: shared pages counted once among the processes. `Pss_Anon` is the part that
    no file stands behind: SQLite maps its database, and those pages grow with it."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{field}:"))
    return total * 1024


def processor_seconds(pids: set[int]) -> float:
    """User and system time so far."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
