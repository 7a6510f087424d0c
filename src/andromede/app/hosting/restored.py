"""What was restored of disks: made to fit where it lies now, and looked at."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from andromede.ops.beside import BASES, DISKS, MEMORY

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site


def settle(site: Site) -> list[str]:
    """After a restore: rows name the images under disks where they lie now, and files without a row go, which came
    with disks made between the snapshot and the end of the backup. What was removed."""
    from andromede.compute.tables import SERVERS
    from andromede.db import Reach
    from andromede.volumes.tables import DISKS as TABLE

    bases, db = site.config.data / DISKS / BASES, site.base.db
    rows = TABLE.select(db, {})
    with db.write(Reach.EVENTS) as tx:
        for row in rows:
            if row.base and Path(row.base).parent != bases:
                TABLE.update(tx, {"id": row.id}, base=str(bases / Path(row.base).name))
    kept = {row.id for row in rows} | {row.id for row in SERVERS.select(db, {})}
    kept_bases = {Path(row.base).name for row in rows if row.base}
    files = [*(site.config.data / DISKS).glob("*.qcow2"), *(site.config.data / MEMORY).glob("*.memory")]
    gone = [path for path in files if path.stem not in kept]
    gone += [path for path in bases.glob("*") if path.name not in kept_bases]
    for path in gone:
        path.unlink()
    return [path.name for path in gone]


def elsewhere(site: Site) -> list[str]:
    """Guests of this installation that run on this machine on disks of another folder: of the same installation in
    another place, or of one whose folder was removed."""
    found, mine = [], (site.config.data / DISKS).resolve()
    for guest_id in site.hypervisor.known():
        live = site.hypervisor.live(guest_id)
        disks = _open_disks(live.pid) if live else []
        if disks and not any(mine in path.parents and path.exists() for path in disks):
            found.append(guest_id)
    return found


def _open_disks(pid: int) -> list[Path]:
    """Files of disks that a process has open; one that was removed is called "PATH (deleted)"."""
    found = []
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(os.readlink(link))
    return [Path(name) for name in found if ".qcow2" in name]
