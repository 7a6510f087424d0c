"""What a loss of power leaves of a directory: replays the log of `powershim.c` up to any operation.

Durable is what a flush covered: bytes of a file by a flush of that file, names by a flush of their directory. The rest
is dropped, or kept in part, as a `Loss` says. Nothing is assumed of the file system beyond POSIX: not even that a
flushed file has its name.
"""

from __future__ import annotations

import mmap
import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from andromede.sparse import stretches

SOURCE = Path(__file__).with_name("powershim.c")
CREATE, WRITE, TRUNCATE, ALLOCATE, FLUSH_BEGIN, FLUSH_END, RENAME, UNLINK, MKDIR, RMDIR, LINK = range(1, 12)
NAMES = (CREATE, RENAME, UNLINK, MKDIR, RMDIR, LINK)
SECTOR = 512
_HEAD = struct.Struct("<IIQQQQII")
_MAGIC = 0x41525750
_COPY = 1 << 22


def missing() -> str:
    """Why operations cannot be logged here; empty when they can."""
    return "" if shutil.which("cc") else "no C compiler (Debian: apt-get install gcc libc6-dev)"


def build(folder: Path) -> Path:
    """The library to preload."""
    library = folder / "powershim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-lpthread"], check=True)
    return library


@dataclass(slots=True)
class Counter:
    """How many operations the log holds now."""

    path: Path
    _map: mmap.mmap | None = None

    def __call__(self) -> int:
        if self._map is None:
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
        return int.from_bytes(self._map[:8], "little")


@dataclass(frozen=True, slots=True)
class Operation:
    """One record. `data` is what was written, or a path; `other` the second path of a rename or link."""

    number: int
    kind: int
    inode: int
    a: int
    b: int
    data: bytes
    other: bytes


def operations(log: Path) -> Iterator[Operation]:
    """Every record in order; the last may be cut off."""
    with log.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            magic, kind, number, inode, a, b, first, second = _HEAD.unpack(head)
            assert magic == _MAGIC, f"the log of operations is damaged before {file.tell()}"
            data, other = file.read(first), file.read(second)
            if len(other) < second:
                return
            yield Operation(number, kind, inode, a, b, data, other)


@dataclass(frozen=True, slots=True)
class Loss:
    """What becomes of operations that no flush covered.

    `none`: all are lost. `all`: none is. `before`: those from a random moment on are lost, the last write is torn.
    `some`: each write is kept, lost or torn into sectors by chance, names are lost from a random moment on in each
    directory."""

    kind: str
    seed: int


@dataclass(slots=True)
class _Names:
    """A directory tree: directories, and files by path with the number of their contents."""

    folders: set[str] = field(default_factory=set)
    files: dict[str, int] = field(default_factory=dict)

    def copy(self) -> _Names:
        return _Names(set(self.folders), dict(self.files))

    def apply(self, op: Operation, contents: int) -> None:
        path, other = op.data.decode(), op.other.decode()
        if op.kind == MKDIR:
            self.folders.add(path)
        elif op.kind == RMDIR:
            self.folders.discard(path)
        elif op.kind == UNLINK:
            self.files.pop(path, None)
        elif op.kind == RENAME:
            self.files.pop(path, None)
            self.files[other] = contents
        else:
            self.files[other if op.kind == LINK else path] = contents


class Replay:
    """Goes forward through a log; `lose` makes the directory of a loss of power at the present moment."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = str(root)
        self.folder_inodes = {root.stat().st_ino: self.root}  # it was there before the log
        self.folder = folder  # durable contents, one file for each
        folder.mkdir(parents=True)
        self.at = 0
        self.names = _Names({self.root})
        self.seen = self.names.copy()  # as the processes saw them
        self.waiting: dict[str, list[tuple[Operation, int]]] = {}  # names by directory
        self.pending: dict[int, list[Operation]] = {}  # bytes by contents
        self.numbers: dict[int, int] = {}  # inode -> contents; inodes are used again
        self.made = 0
        self.flushes = 0

    # --- forward

    def feed(self, op: Operation) -> None:
        """One more operation."""
        self.at = op.number
        if op.kind == FLUSH_END:
            self.flushes += 1
            self._flush(op.inode, op.a)
        elif op.kind in NAMES:
            self._name(op)
        elif op.kind != FLUSH_BEGIN and op.inode in self.numbers:
            self.pending.setdefault(self.numbers[op.inode], []).append(op)

    def _name(self, op: Operation) -> None:
        if op.kind in (CREATE, MKDIR):
            self.made += 1
            self.numbers[op.inode] = self.made
            if op.kind == CREATE:
                (self.folder / str(self.made)).touch()
        where = op.other if op.kind in (RENAME, LINK) else op.data
        contents = self.numbers.get(op.inode, 0)
        if op.kind in (RENAME, LINK):
            contents = self.seen.files.get(op.data.decode(), contents)
        self.waiting.setdefault(os.path.dirname(where.decode()), []).append((op, contents))
        self.seen.apply(op, contents)
        if op.kind == MKDIR:
            self.folder_inodes[op.inode] = op.data.decode()
        elif op.kind == RMDIR:
            self.folder_inodes.pop(op.inode, None)

    def _flush(self, inode: int, begun: int) -> None:
        contents = self.numbers.get(inode)
        if contents is not None and contents in self.pending:
            left = [op for op in self.pending[contents] if op.number >= begun]
            done = self.pending[contents][: len(self.pending[contents]) - len(left)]
            with (self.folder / str(contents)).open("r+b") as file:
                for op in done:
                    apply(file.fileno(), op)
            self.pending[contents] = left
        waiting = self.waiting.get(self.folder_inodes.get(inode, ""), [])
        while waiting and waiting[0][0].number < begun:
            self.names.apply(*waiting.pop(0))

    # --- a loss of power

    def lose(self, target: Path, loss: Loss) -> None:
        """Make `target` what is left of the directory."""
        chance = random.Random(loss.seed)
        names = self.names.copy()
        cut = self._cut(chance)
        for op, contents in sorted(self._kept_names(loss, chance, cut), key=lambda kept: kept[0].number):
            names.apply(op, contents)
        target.mkdir(parents=True, mode=0o700)
        for path in sorted(names.folders - {self.root}):
            if os.path.dirname(path) in names.folders:
                place = target / os.path.relpath(path, self.root)
                if place.parent.is_dir():
                    place.mkdir(mode=0o700)
        made: dict[int, Path] = {}
        for path, contents in names.files.items():
            place = target / os.path.relpath(path, self.root)
            if not place.parent.is_dir() or path.endswith("-shm"):
                continue
            if contents in made:
                os.link(made[contents], place)
                continue
            made[contents] = place
            self._restore(place, contents, loss, chance, cut)

    def _cut(self, chance: random.Random) -> int:
        waiting = [op.number for ops in self.pending.values() for op in ops]
        waiting += [op.number for ops in self.waiting.values() for op, _ in ops]
        return chance.choice(waiting) if waiting else self.at

    def _kept_names(self, loss: Loss, chance: random.Random, cut: int) -> list[tuple[Operation, int]]:
        kept: list[tuple[Operation, int]] = []
        for waiting in self.waiting.values():
            if loss.kind == "all":
                kept += waiting
            elif loss.kind == "before":
                kept += [(op, contents) for op, contents in waiting if op.number < cut]
            elif loss.kind == "some":
                kept += waiting[: chance.randrange(len(waiting) + 1)]
        return kept

    def _restore(self, place: Path, contents: int, loss: Loss, chance: random.Random, cut: int) -> None:
        copy_sparse(self.folder / str(contents), place)
        with place.open("r+b") as file:
            for op in self.pending.get(contents, ()):
                if loss.kind == "all" or (loss.kind == "before" and op.number < cut):
                    apply(file.fileno(), op)
                elif (loss.kind == "before" and op.number == cut) or (loss.kind == "some" and chance.random() < 0.3):
                    apply_torn(file.fileno(), op, chance)
                elif loss.kind == "some" and chance.random() < 0.5:
                    apply(file.fileno(), op)


def apply(fd: int, op: Operation) -> None:
    """An operation on a file's bytes."""
    if op.kind == WRITE:
        os.pwrite(fd, op.data, op.a)
    elif op.kind == TRUNCATE:
        os.ftruncate(fd, op.a)
    elif op.a + op.b > os.fstat(fd).st_size:
        os.ftruncate(fd, op.a + op.b)  # room reserved reads as zeros


def apply_torn(fd: int, op: Operation, chance: random.Random) -> None:
    """Some sectors of a write, or its beginning."""
    if op.kind != WRITE:
        return
    first = -op.a % SECTOR or SECTOR
    pieces = [(0, min(first, len(op.data)))]
    pieces += [(at, min(at + SECTOR, len(op.data))) for at in range(first, len(op.data), SECTOR)]
    kept = pieces[: chance.randrange(len(pieces) + 1)] if chance.random() < 0.5 else chance.sample(
        pieces, chance.randrange(len(pieces) + 1)
    )  # fmt: skip
    for start, stop in kept:
        os.pwrite(fd, op.data[start:stop], op.a + start)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file; holes stay holes."""
    with source.open("rb") as from_, target.open("wb") as to:
        os.fchmod(to.fileno(), 0o600)
        size = os.fstat(from_.fileno()).st_size
        os.ftruncate(to.fileno(), size)
        for at, stop in stretches(from_.fileno(), size):
            for start in range(at, stop, _COPY):
                os.pwrite(to.fileno(), os.pread(from_.fileno(), min(_COPY, stop - start), start), start)
