"""argon2id in memory of our own, which is kept while hashes come one after another.

The C library takes 19 MiB for each hash and gives them back: the kernel then clears some 4,900 pages anew for the next
one, which costs half as much again as the hash. A room is taken in huge pages where there are any, used again, and
given back when nothing was hashed for a while. argon2 wipes what it leaves there.
"""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Iterator
from typing import Any

from argon2.low_level import ARGON2_VERSION, Type, core, error_to_str, ffi

IDLE_SECONDS = 1.0
_HUGE = 2 << 20


class Room:
    """Memory for one hash of `kib` KiB at a time. Raises OSError or MemoryError when the system has none to give."""

    def __init__(self, kib: int) -> None:
        self._kib = kib
        size = kib * 1024
        self._memory = mmap.mmap(-1, -(-size // _HUGE) * _HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # a kernel without huge pages
            self._memory.madvise(mmap.MADV_HUGEPAGE)
        start = ffi.from_buffer("uint8_t[]", self._memory)

        def take(place: Any, wanted: int) -> int:
            if wanted <= size:
                place[0] = start
            return 0  # argon2 looks at the place alone, which is NULL before

        self._take = ffi.callback("int(uint8_t **, size_t)", take)
        self._leave = ffi.callback("void(uint8_t *, size_t)", lambda place, size: None)

    def derive(self, secret: bytes, salt: bytes, passes: int, length: int) -> bytes:
        """argon2id with one lane: `length` bytes. Raises ValueError for parameters that it does not take."""
        out, given, salted = (ffi.new("uint8_t[]", part) for part in (length, secret, salt))
        context = ffi.new(
            "argon2_context *",
            {
                "out": out, "outlen": length, "pwd": given, "pwdlen": len(secret), "salt": salted, "saltlen": len(salt),
                "t_cost": passes, "m_cost": self._kib, "lanes": 1, "threads": 1, "version": ARGON2_VERSION,
                "allocate_cbk": self._take, "free_cbk": self._leave,
            },
        )  # fmt: skip
        if code := core(context, Type.ID.value):
            raise ValueError(f"argon2: {error_to_str(code)}")
        return bytes(ffi.buffer(out, length))

    def give_back(self) -> None:
        """The memory goes back to the system until the next hash."""
        self._memory.madvise(mmap.MADV_DONTNEED)


class Rooms:
    """As many rooms as were ever needed at once; all are given back `idle` seconds after the last use."""

    def __init__(self, kib: int, idle: float = IDLE_SECONDS) -> None:
        self.kib = kib
        self._idle = idle
        self._lock = threading.Lock()
        self._free: list[Room] = []
        self._uses = 0
        self._watched = False

    @contextlib.contextmanager
    def room(self) -> Iterator[Room]:
        """A room for one hash; the one used last, so that few are in use."""
        with self._lock:
            found = self._free.pop() if self._free else None
        room = found or Room(self.kib)
        try:
            yield room
        finally:
            with self._lock:
                self._free.append(room)
                self._uses += 1
                if not self._watched:
                    self._watched = True
                    self._look_later()

    def _look_later(self) -> None:
        timer = threading.Timer(self._idle, self._look, (self._uses,))
        timer.daemon = True
        timer.start()

    def _look(self, uses: int) -> None:
        with self._lock:
            if self._uses != uses:
                self._look_later()
                return
            self._watched = False
            for room in self._free:
                room.give_back()
