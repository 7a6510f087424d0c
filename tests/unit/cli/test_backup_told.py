"""What `backup` and `restore` say of disks."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from andromede.cli import store
from andromede.cli.output import Output, Progress
from andromede.ops.backup import Manifest
from andromede.ops.beside import Held, Lack
from andromede.ops.layout import Layout
from tests.support.clock import FakeClock

HELD = (Held("volumes/a.qcow2", "volume a", 1, "running"), Held("volumes/b.qcow2", "volume b", 1, "at rest"))
MADE = Manifest(2, "id", "inst", "0.1.0", 1, "sqlite", "disk", 3, 4, True, 5 << 20, "elsewhere", HELD,
                (Lack("volume c", "it was being written to"),))  # fmt: skip


def told(made: Manifest, elsewhere: list[str]) -> str:
    out = io.StringIO()
    store._tell_disks(made, Layout(Path("/data")), elsewhere, Output(False, out))
    return out.getvalue()


def test_a_restore_says_what_came_and_what_did_not() -> None:
    said = told(MADE, ["g"])
    assert "2 files of disks (1 while their server ran), 5.0 MiB" in said
    assert "not in this backup: volume c: it was being written to" in said
    assert "the host elsewhere" in said and "1 servers of this installation" in said
    assert "host clear --data /data" in said
    assert told(replace(MADE, disks=False, host="", lacks=()), []) == ""


def test_bytes_are_counted_as_mib() -> None:
    progress = Progress("MiB", None, io.StringIO(), FakeClock())
    step = store._mib(progress)
    for _ in range(5):
        step(700 << 10)
    assert progress.done == 3
