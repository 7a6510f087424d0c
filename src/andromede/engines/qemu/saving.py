"""The memory of a suspended guest as a file: encrypted on its way out of a pipe, because it is the guest's RAM in
clear. The key is drawn from that of the guest's first disk, and goes with it (HKDF-SHA256, RFC 5869; AES-256-GCM in
frames of 1 MiB whose nonce is their number and whose last one is marked)."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from andromede.errors import Error, Fatal

_MAGIC = b"ANDMEM01"
_SALT = 32
FRAME = 1 << 20
_LENGTH = struct.Struct(">I")


def _cipher(secret: bytes, salt: bytes, guest: str) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"andromede memory of guest " + guest.encode())
    return AESGCM(derived.derive(secret))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def seal(source: int, target: Path, secret: bytes, salt: bytes, guest: str) -> None:
    """Encrypt everything that comes out of the descriptor `source` into a file; whether that was everything is the
    caller's to know."""
    cipher, number = _cipher(secret, salt, guest), 0
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file, os.fdopen(source, "rb", closefd=False) as pipe:
        file.write(_MAGIC + salt)
        frame = pipe.read(FRAME)
        while True:
            following = pipe.read(FRAME) if len(frame) == FRAME else b""
            last = b"" if following else b"last"
            sealed = cipher.encrypt(_nonce(number), frame, last)
            file.write(_LENGTH.pack(len(sealed)) + sealed)
            if not following:
                break
            frame, number = following, number + 1
        file.flush()
        os.fsync(file.fileno())


def frames(source: Path, secret: bytes, guest: str) -> Iterator[bytes]:
    """The plain pieces. Raises `Fatal` when the file is not what was written, or cut."""
    with open(source, "rb") as file:
        head = file.read(len(_MAGIC) + _SALT)
        if len(head) != len(_MAGIC) + _SALT or not head.startswith(_MAGIC):
            raise Fatal("the saved memory of the guest is damaged", "memory", cause=str(source))
        cipher, number, last = _cipher(secret, head[len(_MAGIC) :], guest), 0, False
        while not last:
            size = file.read(_LENGTH.size)
            if len(size) < _LENGTH.size or _LENGTH.unpack(size)[0] > FRAME + 16:
                raise Fatal("the saved memory of the guest is cut", "memory", cause=str(source))
            sealed = file.read(_LENGTH.unpack(size)[0])
            last = len(file.peek(1)) == 0
            try:
                yield cipher.decrypt(_nonce(number), sealed, b"last" if last else b"")
            except InvalidTag as error:
                raise Fatal("the saved memory of the guest is damaged", "memory", cause=str(source)) from error
            number += 1


class Pump(threading.Thread):
    """Moves memory between a pipe and a file beside the call that waits for QEMU."""

    def __init__(self, work: Iterator[None], fd: int) -> None:
        super().__init__(name="guest-memory", daemon=True)
        self._work = work
        self._fd = fd
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            for _ in self._work:
                pass
        except (OSError, Error) as error:
            self.failure = error
        finally:
            os.close(self._fd)

    def abandon(self) -> None:
        """Close the descriptor of a pump that is not started after all."""
        os.close(self._fd)


def sealing(source: int, target: Path, secret: bytes, salt: bytes, guest: str) -> Pump:
    """A thread that takes a guest's memory from the pipe `source`, and closes it."""

    def work() -> Iterator[None]:
        seal(source, target, secret, salt, guest)
        yield

    return Pump(work(), source)


def opening(source: Path, target: int, secret: bytes, guest: str) -> Pump:
    """A thread that gives a guest its memory through the pipe `target`, and closes it."""

    def work() -> Iterator[None]:
        for piece in frames(source, secret, guest):
            view = memoryview(piece)
            while view:
                view = view[os.write(target, view) :]
            yield

    return Pump(work(), target)
