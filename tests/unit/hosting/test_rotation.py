"""What is sealed under a key follows its rotation: nothing is left behind when the former version goes."""

from __future__ import annotations

from pathlib import Path

from andromede.app import hosting
from andromede.db import Database
from andromede.objects.rewrap import Rewrapper
from tests.support.clock import FakeClock
from tests.support.hosted_api import Hosted


def test_a_disk_opens_after_its_key_was_rotated(db: Database, tmp_path: Path, clock: FakeClock) -> None:
    made = Hosted(db, tmp_path / "data", clock)
    try:
        disks = made.site.disks
        row = disks._ensured(made.project_id, "5c3b8810-0663-4ec3-ab67-f9405a2c2b89", 1 << 20, "req-1", None)
        before = disks.value(row.id).passphrase
        with db.write() as tx:
            made.site.keys.rotate(tx, row.key_id)
        rewrapper = Rewrapper(db, made.site.keys, hosting.rewraps())
        turns = 0
        while rewrapper.run() and turns < 10:
            turns += 1
        assert db.all("SELECT * FROM key_former") == []
        assert disks.value(row.id).passphrase == before
        assert db.all("SELECT wrapped FROM disk WHERE id = ?", (row.id,)) != [(row.wrapped,)]
    finally:
        made.site.close()
