"""What the machine itself can do, part by part: the limits that every figure of a load stands beside."""

from __future__ import annotations

import hashlib
import itertools
import mmap
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from awscrt import checksums
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MIB = 1 << 20
NONCE = bytes(12)
Seconds = Callable[[], float]  # a clock: wall time, or processor time of the calling thread
Work = Callable[[], object]


def mean(work: Work, now: Seconds, seconds: float) -> float:
    """Seconds of one call: as many calls as fit, at least three, after one that does not count."""
    work()
    begin, count = now(), 0
    while count < 3 or now() - begin < seconds:
        work()
        count += 1
    return (now() - begin) / count


def flush(folder: Path, now: Seconds, seconds: float = 0.3) -> float:
    """Seconds of a durable write of 4 KiB: into a file of its full size, with fdatasync."""
    path = folder / f"limits-{os.getpid()}.flush"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.pwrite(fd, bytes(MIB), 0)
        os.fsync(fd)

        def once() -> None:
            os.pwrite(fd, bytes(4096), 0)
            os.fdatasync(fd)

        return mean(once, now, seconds)
    finally:
        os.close(fd)
        path.unlink()


def interpreter(now: Seconds, seconds: float = 0.15) -> float:
    """Seconds of a thousand rounds of what small requests are made of: an object, a text, a look-up. Builds of one
    Python release differ by half and more."""

    class Named:
        __slots__ = ("name",)

        def __init__(self, name: str) -> None:
            self.name = name

    def thousand() -> None:
        found = {}
        for number in range(1000):
            named = Named(f"name {number & 255}: {number}")
            found[named.name.partition(":")[0]] = named

    return mean(thousand, now, seconds)


def native(now: Seconds, seconds: float = 0.15) -> dict[str, float]:
    """Seconds a MiB of hashes, checksums, encryption and memory copy, on reused buffers."""
    data, room = bytearray(b"\x5a" * MIB), bytearray(MIB + 16)
    cipher = AESGCM(bytes(32))
    cipher.encrypt_into(NONCE, data, None, room)
    sealed, opened = bytes(room), bytearray(MIB)
    works: dict[str, Work] = {
        "md5": lambda: hashlib.md5(data, usedforsecurity=False).digest(),
        "sha256": lambda: hashlib.sha256(data).digest(),
        "crc64nvme": lambda: checksums.crc64nvme(data, 0),
        "aes_gcm_seal": lambda: cipher.encrypt_into(NONCE, data, None, room),
        "aes_gcm_open": lambda: cipher.decrypt_into(NONCE, sealed, None, opened),
        "memory_copy": lambda: opened.__setitem__(slice(None), data),
    }
    return {name: mean(work, now, seconds) for name, work in works.items()}


def files(folder: Path, now: Seconds, seconds: float = 0.2) -> dict[str, float]:
    """Seconds a MiB of a write past the page cache (through it where the file system refuses) and of a cached read."""
    path, room = folder / f"limits-{os.getpid()}.file", mmap.mmap(-1, MIB)
    try:
        return {"write": _write(path, room, now, seconds), "read": _read(path, room, now, seconds)}
    finally:
        path.unlink(missing_ok=True)


def _write(path: Path, room: mmap.mmap, now: Seconds, seconds: float) -> float:
    direct = getattr(os, "O_DIRECT", 0)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | direct, 0o600)
    except OSError:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(fd, 0, 64 * MIB)
        places = itertools.cycle(range(0, 64 * MIB, MIB))
        return mean(lambda: os.pwritev(fd, [room], next(places)), now, seconds)
    finally:
        os.close(fd)


def _read(path: Path, room: mmap.mmap, now: Seconds, seconds: float) -> float:
    fd = os.open(path, os.O_RDONLY)
    try:
        return mean(lambda: os.preadv(fd, [room], 0), now, seconds)
    finally:
        os.close(fd)


def loopback(now: Seconds, mebibytes: int = 512) -> dict[str, float]:
    """Seconds a MiB of sending and of receiving over TCP on the loopback interface, each on a thread of its own."""
    found: dict[str, float] = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def send() -> None:
            data = bytes(MIB)
            with socket.create_connection(listener.getsockname()[:2]) as out:
                begin = now()
                for _ in range(mebibytes):
                    out.sendall(data)
                found["send"] = (now() - begin) / mebibytes

        sender = threading.Thread(target=send)
        sender.start()
        wire, _ = listener.accept()
        with wire:
            room, begin = bytearray(MIB), now()
            while wire.recv_into(room):
                pass
            found["receive"] = (now() - begin) / mebibytes
        sender.join()
    return found


def all_of(folder: Path, now: Seconds) -> dict[str, float]:
    """Seconds of one durable write (`flush`), of a thousand rounds of Python (`interpreter`), and a MiB of every other
    part, in about two seconds."""
    single = {"flush": flush(folder, now), "interpreter": interpreter(now)}
    return {**single, **native(now), **files(folder, now), **loopback(now)}
