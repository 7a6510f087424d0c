"""A file system in memory, written out as an initial RAM disk: the same tree gives the same bytes for everybody."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, link or folder. `mode` holds the type too (stat(2)); `data` is the content, or a link's target."""

    mode: int
    data: bytes = b""
    owner: int = 0


@dataclass(slots=True)
class Tree:
    """Paths have no leading slash. Folders come into being with what lies in them."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def file(self, path: str, data: bytes | str, mode: int = 0o644) -> None:
        """A file; one that stands at this path already is replaced."""
        self.folder(path.rpartition("/")[0])
        self.entries[path] = Entry(stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data)

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        self.folder(path.rpartition("/")[0])
        self.entries[path] = Entry(stat.S_IFLNK | 0o777, target.encode())

    def folder(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        """A folder and those above it; one that is there already stays as it is."""
        if path and path not in self.entries:
            self.folder(path.rpartition("/")[0])
            self.entries[path] = Entry(stat.S_IFDIR | mode, owner=owner)

    def cpio(self) -> Iterator[bytes]:
        """The tree as an archive in the kernel's format `newc` (Documentation/driver-api/early-userspace)."""
        for number, (path, entry) in enumerate(sorted(self.entries.items()), 1):
            yield from _record(number, path, entry)
        yield from _record(0, "TRAILER!!!", Entry(0))


def _record(number: int, path: str, entry: Entry) -> Iterator[bytes]:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        number, entry.mode, entry.owner, entry.owner, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0,
    )  # fmt: skip
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + name
    yield head + bytes(-len(head) % 4)
    yield entry.data + bytes(-len(entry.data) % 4)
