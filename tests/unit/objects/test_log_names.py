"""Names of logs are given once: whoever still knows a removed one never meets another's bytes under it."""

from __future__ import annotations

from pathlib import Path

from andromede.engines.disk import DiskEngine
from andromede.engines.memory import MemoryEngine


def test_a_removed_log_is_never_followed_by_one_of_its_name(tmp_path: Path) -> None:
    reader = DiskEngine(tmp_path, "objects-1")
    names = []
    for n in range(3):
        writer = DiskEngine(tmp_path, "objects-0")
        extent = writer.append([[b"record %d" % n]])[0]
        assert reader.read(extent) == b"record %d" % n
        names.append(extent.name)
        writer.close()
        DiskEngine(tmp_path, "work").remove(extent.name)
    assert len(set(names)) == 3


def test_the_mark_may_be_lost_or_damaged(tmp_path: Path) -> None:
    first = DiskEngine(tmp_path, "objects-0")
    name = first.append([[b"record"]])[0].name
    first.close()
    mark = tmp_path / "log" / ".objects-0.last"
    assert name.endswith(mark.read_text())
    mark.write_text("nonsense")
    second = DiskEngine(tmp_path, "objects-0")
    assert second.append([[b"record"]])[0].name > name
    second.close()


def test_the_twin_names_logs_once() -> None:
    engine = MemoryEngine()
    first = engine.append([[b"record"]])[0].name
    engine.close()
    engine.remove(first)
    assert engine.append([[b"record"]])[0].name != first
