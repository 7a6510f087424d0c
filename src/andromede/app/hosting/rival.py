"""An installation may be on one machine twice: restored beside the original, or in the place of one whose guests still
run. Both would reach for the same guests and networks, which carry the installation's id, so only one hosts."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from andromede.config import Config
from andromede.errors import Conflict, Error
from andromede.ops import running
from andromede.ops.beside import DISKS
from andromede.ops.layout import Layout, private_write

OWNER = "data"
"""The file that names the data directory of the last who hosted here."""


def _seat(config: Config) -> Path:
    from andromede.app.hosting.guests import SHORT

    return Path(config.hosting.runtime) / str(Layout(config.data).require()["id"])[:SHORT]


def claim(config: Config) -> None:
    """The host role of this data directory begins."""
    seat = _seat(config)
    seat.mkdir(mode=0o711, parents=True, exist_ok=True)
    private_write(seat / OWNER, str(config.data.resolve()))


def refuse(config: Config) -> None:
    """Raise `Conflict` where another copy of this installation hosts on this machine, or has guests here."""
    if config.hosting.enabled != "on":
        return
    other, strangers = _owner(config), guests_elsewhere(config)
    if not other and not strangers:
        return
    here = f"The same installation runs in {other}, and" if other else f"{len(strangers)} servers of this installation"
    what = "only one of them can host on this machine" if other else f"run here on disks that are not in {config.data}"
    raise Conflict(
        f"{here} {what}. For a copy beside it: ANDROMEDE_HOSTING_ENABLED=off andromede up --data {config.data}. "
        "If this one takes its place, stop the other and end its servers first: "
        f"andromede host clear --data {config.data}",
        "hosting",
    )


def _owner(config: Config) -> str:
    """Another data directory of this installation whose program runs."""
    try:
        other = Path((_seat(config) / OWNER).read_text())
        same = Layout(other).require()["id"] == Layout(config.data).require()["id"]
        return str(other) if other != config.data.resolve() and same and running.is_locked(Layout(other)) else ""
    except (OSError, Error):
        return ""


def guests_left(config: Config) -> int:
    """How many guests of this installation run on this machine, its program or not."""
    from andromede.engines.qemu.place import Place

    places = [Place(folder) for folder in (_seat(config) / "g").glob("*")]
    records = [(place, place.record()) for place in places]
    return sum(record is not None and place.process(record) is not None for place, record in records)


def guests_elsewhere(config: Config) -> list[str]:
    """Guests of this installation that run on this machine and have no disk in this data directory open."""
    from andromede.engines.qemu.place import Place

    found, mine = [], (config.data / DISKS).resolve()
    for folder in sorted((_seat(config) / "g").glob("*")):
        record = Place(folder).record()
        disks = _open_disks(record.pid) if record is not None and record.pid else []
        if disks and not any(mine in path.parents and path.exists() for path in disks):
            found.append(folder.name)
    return found


def _open_disks(pid: int) -> list[Path]:
    """Files of disks that a process has open; one that was removed is called "PATH (deleted)"."""
    found = []
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(os.readlink(link))
    return [Path(name) for name in found if ".qcow2" in name]
