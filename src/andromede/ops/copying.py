"""Copies of blob files: durable, sparse, told apart by modification time."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from andromede.durable import sync_folder
from andromede.errors import NoCapacity
from andromede.sparse import stretches

_CHUNK = 64 << 20


@dataclass(slots=True)
class Copied:
    """What a copy has brought over so far; `seen` maps a relative path to the source's mtime then and its size."""

    seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def files(self) -> int:
        """How many files."""
        return len(self.seen)

    @property
    def bytes(self) -> int:
        """Their sizes, holes included."""
        return sum(size for _, size in self.seen.values())


def _move(source: int, target: int, stretch: tuple[int, int], moved: Callable[[int], None]) -> None:
    start, stop = stretch
    while start < stop:
        wanted = min(_CHUNK, stop - start)
        try:
            count = os.copy_file_range(source, target, wanted, start, start)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            count = os.pwrite(target, os.pread(source, min(wanted, 1 << 20), start), start)
        if not count:
            return
        moved(count)
        start += count


def copy_file(source: Path, target: Path, moved: Callable[[int], None] = lambda count: None) -> int:
    """Copy one file whole and make it durable; its size in bytes. Holes stay holes. `moved` is told of bytes as they
    are written."""
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(reading).st_size
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            for start, stop in stretches(reading, size):
                _move(reading, writing, (start, stop), moved)
            os.ftruncate(writing, size)
            os.fsync(writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    return size


def taken(root: Path) -> int:
    """Bytes that the files below a folder take on their disk; 0 if it is not there."""
    found = 0
    for path in _files(root):
        with contextlib.suppress(FileNotFoundError):
            found += path.lstat().st_blocks * 512
    return found


def require_room(folder: Path, needed: int, what: str) -> None:
    """Raise `NoCapacity` unless the disk that holds `folder`, or would hold it, has room for so many bytes and a
    twentieth more."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    found = os.statvfs(place)
    free, needed = found.f_bavail * found.f_frsize, needed + needed // 20
    if free < needed:
        raise NoCapacity(
            f"{what} needs about {needed >> 20} MiB, and {place} has {free >> 20} MiB free: make room or name another "
            "directory",
            "space",
        )


def sync_file(path: Path) -> None:
    """Make a file's bytes durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        yield from (Path(folder) / name for name in names)


def copy_changed(source: Path, target: Path, copied: Copied, step: Callable[[], None]) -> None:
    """Copy every file that is new or was modified since `copied` saw it. Files that vanish meanwhile
    were garbage."""
    folders = {target}
    for path in _files(source):
        name = str(path.relative_to(source))
        try:
            modified = path.stat().st_mtime_ns
            if copied.seen.get(name, (0, 0))[0] == modified:
                continue
            goal = target / name
            goal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folders |= {goal.parent, goal.parent.parent}
            size = copy_file(path, goal)
        except FileNotFoundError:
            continue
        copied.seen[name] = (modified, size)
        step()
    for folder in folders:
        if folder.is_dir():
            sync_folder(folder)
