"""What was restored of disks: made to fit where it lies now."""

from __future__ import annotations

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
