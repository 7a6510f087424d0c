"""Processes of an installation, found and measured through /proc."""

from __future__ import annotations

import os
from pathlib import Path

ROLES = {"objects": ("serve", "objects"), "api": ("serve", "api"), "work": ("work",), "up": ("up",)}


def role_of(words: list[str]) -> str:
    """The role that a command line of the program names, or an empty string."""
    for name, marks in ROLES.items():
        if all(mark in words for mark in marks):
            return name
    return ""


def processes(data: Path) -> dict[int, str]:
    """Pid -> role of every live process whose command line or environment names this data directory."""
    found = {}
    needle = os.fsencode(str(data))
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
            alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            continue
        words = line.decode(errors="replace").split("\0")
        if alive and needle in line and "andromede" in " ".join(words):
            found[int(entry.name)] = role_of(words)
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


def memory(pids: set[int]) -> int:
    """Proportional set size in bytes: shared pages counted once among the processes."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
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
