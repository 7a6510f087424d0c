"""The short form of the campaign of lost power, and proof that the replay loses what it should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.crash_model import Change
from tests.campaign.power import execute, preloaded
from tests.campaign.power_check import possible
from tests.support import powerlog
from tests.support.powerlog import Loss, Replay, operations

pytestmark = pytest.mark.skipif(bool(powerlog.missing()), reason=powerlog.missing())

PROGRAM = """
import os, sys
root = sys.argv[1]
def flush(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
def write(path, data, flags=os.O_CREAT, at=0):
    fd = os.open(path, os.O_WRONLY | flags, 0o600)
    os.pwrite(fd, data, at)
    return fd
fd = write(f"{root}/kept", b"a" * 2048)
os.fdatasync(fd)
flush(root)
os.pwritev(fd, [b"b" * 512, b"c" * 512], 512)
os.ftruncate(fd, 1536)
os.close(fd)
fd = write(f"{root}/nameless", b"x")
os.fsync(fd)
os.close(fd)
os.mkdir(f"{root}/folder")
flush(root)
fd = write(f"{root}/folder/new", b"new")
os.fsync(fd)
os.rename(f"{root}/folder/new", f"{root}/folder/name")
flush(f"{root}/folder")
os.unlink(f"{root}/kept")
if os.fork() == 0:
    with open(f"{root}/child", "wb") as file:
        file.write(b"child")
    os._exit(0)
os.wait()
fd = os.open(f"{root}/synchronous", os.O_WRONLY | os.O_CREAT | os.O_DSYNC, 0o600)
os.write(fd, b"at once")
flush(root)
"""


def left(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def lost(tmp_path: Path, root: Path, until: int, loss: Loss) -> dict[str, bytes]:
    """What is there after so many operations and a loss."""
    replay = Replay(root, tmp_path / f"durable-{until}-{loss.kind}-{loss.seed}")
    for op in operations(tmp_path / "operations"):
        if op.number <= until:
            replay.feed(op)
    target = tmp_path / f"state-{until}-{loss.kind}-{loss.seed}"
    replay.lose(target, loss)
    return left(target)


def test_only_what_was_flushed_is_safe(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with preloaded(tmp_path, root):
        subprocess.run([sys.executable, "-c", PROGRAM, str(root)], check=True, env=dict(os.environ))
    ops = list(operations(tmp_path / "operations"))
    assert [op.number for op in ops] == list(range(1, len(ops) + 1))
    last = len(ops)
    assert lost(tmp_path, root, last, Loss("all", 0)) == left(root)
    unlinked = next(op.number for op in ops if op.kind == powerlog.UNLINK)
    safe = lost(tmp_path, root, unlinked, Loss("none", 0))
    assert safe == {"kept": b"a" * 2048, "nameless": b"x", "folder/name": b"new"}  # the unlinking was not flushed
    assert lost(tmp_path, root, last, Loss("none", 0)) == {
        "nameless": b"x", "folder/name": b"new", "synchronous": b"at once", "child": b"",
    }  # fmt: skip
    first_flush = next(op.number for op in ops if op.kind == powerlog.FLUSH_END)
    assert lost(tmp_path, root, first_flush, Loss("none", 0)) == {}  # bytes are safe, the name is not
    shortened = next(op.number for op in ops if op.kind == powerlog.TRUNCATE)
    for seed in range(20):
        kept = lost(tmp_path, root, shortened, Loss("some", seed))["kept"]
        assert kept[:512] == b"a" * 512 and set(kept[512:1024]) <= set(b"ab") and len(kept) in (1536, 2048)


def test_what_may_be_there_at_a_moment() -> None:
    changes = [
        Change(1, "k", "PUT", 10, ["one"], 20),
        Change(2, "k", "PUT", 30, ["two"], 40),
        Change(3, "k", "PUT", 50, ["three"]),
    ]
    changes.append(Change(4, "k", "PUT", 60, ["four"], 70, refused=True))
    assert possible(changes, 5, "none") == ["none"]
    assert possible(changes, 15, "none") == ["none", "one"]
    assert possible(changes, 20, "none") == ["one"]
    assert possible(changes, 35, "none") == ["one", "two"]
    assert possible(changes, 80, "none") == ["two", "three"]


@pytest.mark.timeout(300)
def test_no_promise_is_lost_with_the_power(tmp_path: Path) -> None:
    found = execute(states=12, seed=5, seconds=3, workers=1, start_every=12)
    assert found["violations"] == []
    assert found["states"] == 12 and found["acknowledged"] > 20 and found["flushes"] > 50
