"""Blobs on a local file system.

Layout under the engine's directory (all 0700/0600): `log/<source>-<number>`, appended to by the one
process that holds its `flock`; `file/<first two hex digits>/<blob id>`, one body each. Files appear under
their final name at once; until a row refers to them they are garbage that the collector finds by age.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

from andromede.db.reserve import is_tight
from andromede.errors import Fatal, NoCapacity, Unavailable
from andromede.objects.blobs import BlobInfo, BlobReader, BlobWriter, Extent, records

LOG_SIZE = 64 << 20
_PIECE = 1 << 20
_PAGE = 1 << 12
_LEAST_LOG = 4 << 20
_STRETCH = 64 << 20
_VECTOR = 1000
_DIRECT = getattr(os, "O_DIRECT", 0)
_OPEN_LOGS = 256


def _failure(error: OSError, what: str) -> NoCapacity | Unavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NoCapacity(
            "the storage is full; delete something or ask the operator for room", "disk", cause=str(error)
        )
    return Unavailable(f"the storage failed while {what}; the call may be repeated", "disk", cause=str(error))


def _missing(name: str) -> Fatal:
    return Fatal(f"the stored bytes {name} are missing; restore them from a copy", "missing", blob=name)


def _unreadable(error: OSError, name: str) -> Unavailable:
    return Unavailable(
        "the storage failed while bytes were read; the call may be repeated",
        "blob",
        cause=f"{name}: {error}",
        blob=name,
    )


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class _Handle:
    """A descriptor that closes when the last user lets go of it."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.fd)


class _Reader:
    """An extent of an open file."""

    def __init__(self, handle: _Handle, extent: Extent) -> None:
        self._handle: _Handle | None = handle
        self._extent = extent

    def readinto(self, view: memoryview, offset: int) -> int:
        assert self._handle is not None
        room = max(0, self._extent.length - offset)
        view = view[:room]
        got = 0
        while got < len(view):
            try:
                count = os.preadv(self._handle.fd, [view[got:]], self._extent.offset + offset + got)
            except OSError as error:
                raise _unreadable(error, self._extent.name) from error
            if not count:
                break
            got += count
        return got

    def close(self) -> None:
        self._handle = None


class _Writer:
    """A file in the making: O_DIRECT for whole pieces where the file system allows it."""

    def __init__(self, path: Path, name: str, size: int | None) -> None:
        self._path = path
        self._name = name
        self._at = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._fd = os.open(path, flags | _DIRECT, 0o600)
            self._direct = bool(_DIRECT)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise _failure(error, "a file was made") from error
            # some file systems refuse O_DIRECT only after they have made the file
            self._fd = os.open(path, flags & ~os.O_EXCL, 0o600)
            self._direct = False
        self._size = size
        self._reserved = 0
        self._reserve()

    def _reserve(self) -> None:
        """Reserve the next stretch: more than that only once its bytes have come."""
        if self._size is None or self._reserved >= self._size:
            return
        stretch = min(_STRETCH, self._size - self._reserved)
        try:
            os.posix_fallocate(self._fd, self._reserved, stretch)
            self._reserved += stretch
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                self.discard()
                raise _failure(error, "room was reserved") from error

    def write(self, view: memoryview) -> None:
        if self._at + len(view) > self._reserved:
            self._reserve()
        try:
            if self._direct and len(view) != _PIECE:
                self._buffered()
            self._write(view)
        except OSError as error:
            raise _failure(error, "a body was written") from error

    def _buffered(self) -> None:
        flags = fcntl.fcntl(self._fd, fcntl.F_GETFL)
        fcntl.fcntl(self._fd, fcntl.F_SETFL, flags & ~_DIRECT)
        self._direct = False

    def _write(self, view: memoryview) -> None:
        while view:
            try:
                count = os.pwrite(self._fd, view, self._at)
            except OSError as error:
                if not self._direct or error.errno != errno.EINVAL:
                    raise
                self._buffered()
                continue
            self._at += count
            view = view[count:]
            if view and self._direct:
                self._buffered()

    def seal(self) -> Extent:
        try:
            os.ftruncate(self._fd, self._at)
            os.fsync(self._fd)
            _sync_directory(self._path.parent)
        except OSError as error:
            raise _failure(error, "a body was made durable") from error
        self._close()
        return Extent(self._name, 0, self._at)

    def discard(self) -> None:
        self._close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class DiskEngine:
    """The default engine. `source` names the process; no two running processes share one."""

    def __init__(self, directory: Path, source: str, log_size: int = LOG_SIZE) -> None:
        self._root = directory
        self._source = source
        self._log_size = log_size
        self._lock = threading.Lock()
        self._handles: OrderedDict[str, _Handle] = OrderedDict()
        self._log_fd = -1
        self._log_name = ""
        self._log_at = self._log_room = 0
        self._make_directories()
        self._trim()

    def _make_directories(self) -> None:
        fresh = not (self._root / "file" / "ff").is_dir()
        for path in (self._root, self._root / "log", self._root / "file"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if fresh:
            for number in range(256):
                (self._root / "file" / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
        for path in (self._root / "file", self._root, self._root.parent):
            _sync_directory(path)  # whoever made them may have been killed before this

    # --- the log

    def _own_logs(self) -> list[int]:
        found = (p.name.rpartition("-") for p in (self._root / "log").glob(f"{self._source}-*"))
        return sorted(int(number) for source, _, number in found if source == self._source and number.isdigit())

    def _trim(self) -> None:
        """Give back the reserved room behind the last record of the log that a crash left open. A head that does not
        read is no end: what follows it may be records that rows refer to, and stays, as far as there are bytes."""
        for number in self._own_logs()[-1:]:
            name = f"log/{self._source}-{number:08d}"
            if not self._unheld(self._root / name):
                continue  # somebody runs under our name: its log is none of our business
            size = (self._root / name).stat().st_size
            end = 0
            reader = self.open(Extent(name, 0, size))
            for _, extent in records(reader, size, name):
                end = extent.offset + extent.length
            reader.close()
            with contextlib.suppress(OSError):
                if (last := self._last_byte(self._root / name, end)) > end:
                    end = min(size, last + -last % _PAGE)
                os.truncate(self._root / name, end)

    @staticmethod
    def _last_byte(path: Path, begin: int) -> int:
        """Where the zeros at the end of a file begin, not before `begin`."""
        with path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            while at > begin:
                first = max(begin, at - _PIECE)
                file.seek(first)
                if kept := len(file.read(at - first).rstrip(b"\0")):
                    return first + kept
                at = first
        return begin

    def _roll(self) -> None:
        self._end_log()
        number = self._next_number()
        self._log_name = f"log/{self._source}-{number:08d}"
        path = self._root / self._log_name
        hidden = path.with_name(f".{path.name}")
        hidden.unlink(missing_ok=True)
        self._log_fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._log_fd, fcntl.LOCK_EX)
            self._log_at = 0
            self._reserve_log()
            os.fsync(self._log_fd)
            os.link(hidden, path)  # nobody ever sees it without our lock, so nobody takes it for a finished one
        finally:
            hidden.unlink()  # also when there was no room: the next attempt takes another number
        _sync_directory(path.parent)

    def _reserve_log(self) -> None:
        """Reserve room for a log; a part of it when there is not as much left."""
        room = self._log_size
        while room > _LEAST_LOG and is_tight(self._root, room):
            room //= 4
        os.posix_fallocate(self._log_fd, 0, room)
        self._log_room = room

    def _next_number(self) -> int:
        """A number that no log of this source ever had, removed ones included: readers keep removed logs open by
        name, and what was to be removed once must never be the name of something new."""
        mark = self._root / "log" / f".{self._source}.last"
        try:
            highest = int(mark.read_text())
        except (FileNotFoundError, ValueError):
            highest = 0
        number = max([highest, *self._own_logs()]) + 1
        fresh = mark.with_suffix(".new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, b"%d" % number)
            os.fsync(fd)
        finally:
            os.close(fd)
        fresh.replace(mark)
        _sync_directory(mark.parent)
        return number

    def _end_log(self) -> None:
        if self._log_fd >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._log_fd, self._log_at)
            os.close(self._log_fd)
            self._log_fd = -1

    def append(self, records: Sequence[Sequence[bytes]]) -> list[Extent]:
        sizes = [sum(map(len, pieces)) for pieces in records]
        total = sum(sizes)
        self._leave_room()
        try:
            if self._log_fd < 0 or self._log_at + total > self._log_room:
                self._roll()
            self._append([piece for pieces in records for piece in pieces], total)
        except OSError as error:
            self._end_log()  # what a failed write or flush left behind is unknown: never append after it
            raise _failure(error, "records were written") from error
        extents = []
        at = self._log_at
        for size in sizes:
            extents.append(Extent(self._log_name, at, size))
            at += size
        self._log_at = at
        return extents

    def _leave_room(self, size: int = 0) -> None:
        """Raise `NoCapacity` before so many bytes would take what the database needs to go on."""
        try:
            tight = is_tight(self._root, size)
        except OSError as error:
            raise _failure(error, "room was looked for") from error
        if tight:
            raise _failure(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "room was looked for")

    def _append(self, pieces: list[bytes], total: int) -> None:
        at = self._log_at
        for first in range(0, len(pieces), _VECTOR):
            group = pieces[first : first + _VECTOR]
            wanted = sum(map(len, group))
            if os.pwritev(self._log_fd, group, at) != wanted:
                raise OSError(errno.ENOSPC, "short write")
            at += wanted
        os.fdatasync(self._log_fd)

    # --- files

    def _path(self, name: str) -> Path:
        kind, _, rest = name.partition("/")
        if kind == "file":
            return self._root / "file" / rest[-2:] / rest
        return self._root / name

    def writer(self, blob_id: str, size: int | None) -> BlobWriter:
        name = f"file/{blob_id}"
        self._leave_room(size or 0)
        return _Writer(self._path(name), name, size)

    # --- reading

    def _handle(self, name: str) -> _Handle:
        with self._lock:
            handle = self._handles.get(name)
            if handle is not None:
                self._handles.move_to_end(name)
                return handle
        try:
            handle = _Handle(os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError as error:
            if not (self._root / "file" / "ff").is_dir():
                raise _failure(error, "a blob was opened: its directory is not there") from error
            raise _missing(name) from error
        except OSError as error:
            raise _failure(error, "a blob was opened") from error
        if name.startswith("log/"):
            with self._lock:
                self._handles[name] = handle
                while len(self._handles) > _OPEN_LOGS:
                    self._handles.popitem(last=False)
        return handle

    def open(self, extent: Extent) -> BlobReader:
        return _Reader(self._handle(extent.name), extent)

    def read(self, extent: Extent) -> bytes:
        handle = self._handles.get(extent.name) or self._handle(extent.name)
        try:
            data = os.pread(handle.fd, extent.length, extent.offset)
        except OSError as error:
            raise _unreadable(error, extent.name) from error
        if len(data) != extent.length:
            raise Fatal(f"the stored bytes {extent.name} end too early; restore them from a copy", "damage")
        return data

    # --- housekeeping

    def remove(self, name: str) -> None:
        with self._lock:
            self._handles.pop(name, None)
        with contextlib.suppress(FileNotFoundError):
            self._path(name).unlink()

    def listing(self, logs_only: bool = False) -> Iterator[BlobInfo]:
        for path in sorted((self._root / "log").iterdir()):
            if path.name.startswith("."):
                continue
            yield from self._info(path, f"log/{path.name}", True)
        for directory in [] if logs_only else sorted((self._root / "file").iterdir()):
            for path in directory.iterdir():
                yield from self._info(path, f"file/{path.name}", False)

    def _info(self, path: Path, name: str, is_log: bool) -> Iterator[BlobInfo]:
        try:
            stat = path.stat()
            sealed = not is_log or self._unheld(path)
        except FileNotFoundError:
            return
        yield BlobInfo(name, stat.st_size, stat.st_mtime_ns // 1000, is_log, sealed)

    @staticmethod
    def _unheld(path: Path) -> bool:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

    def close(self) -> None:
        self._end_log()
        with self._lock:
            self._handles.clear()
