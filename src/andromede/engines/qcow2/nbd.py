"""The plain bytes of a disk through `qemu-nbd` (NBD protocol, doc/proto.md): it deciphers, and its socket is known to
nobody but the two ends."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from andromede.engines.qcow2.tool import explained
from andromede.errors import Error, Unavailable

_INIT, _OPTION, _OPTION_REPLY = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9
_REQUEST, _REPLY = 0x25609513, 0x67446698
_GO, _ACK, _INFO = 7, 1, 3
_READ, _WRITE, _DISCONNECT, _FLUSH, _ZEROES = 0, 1, 2, 3, 6
MOST = 16 << 20
"""Bytes of one request."""
_ANSWER_SECONDS = 300.0
_LAUNCH = 'exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec "$@"'
"""A listening socket handed over as systemd does (sd_listen_fds(3)): nothing has to be waited for. It comes as the
standard input, since a POSIX shell knows descriptors of one digit only."""


def _listener(folder: Path, name: str) -> tuple[socket.socket, socket.socket]:
    """A listening socket and one connected to it; its name is gone again."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path = f"/proc/self/fd/{fd}/{name}"  # short, whatever the folder (unix(7): 107 bytes at most)
        listening.bind(path)
        listening.listen(1)
        client.connect(path)
        os.unlink(folder / name)
    except OSError as error:
        listening.close()
        client.close()
        raise Unavailable("the disk's reader cannot be reached", "nbd", cause=str(error)) from error
    finally:
        os.close(fd)
    return listening, client


class NbdDisk:
    """An open connection; one thread at a time."""

    def __init__(self, client: socket.socket, extents: Sequence[tuple[int, int]]) -> None:
        self._socket = client
        self._extents = extents
        self._handle = 0
        client.settimeout(_ANSWER_SECONDS)
        self.size = self._negotiate()

    def _take(self, count: int) -> bytes:
        whole = bytearray()
        while len(whole) < count:
            piece = self._socket.recv(min(count - len(whole), 1 << 20))
            if not piece:
                raise Unavailable("the disk's reader ended early", "nbd")
            whole += piece
        return bytes(whole)

    def _negotiate(self) -> int:
        magic, option, _ = struct.unpack(">QQH", self._take(18))
        if (magic, option) != (_INIT, _OPTION):
            raise Unavailable("the disk's reader speaks no NBD", "nbd")
        self._socket.sendall(struct.pack(">I", 3) + struct.pack(">QIIIH", _OPTION, _GO, 6, 0, 0))
        size = 0
        while True:
            magic, _, kind, length = struct.unpack(">QIII", self._take(20))
            data = self._take(length)
            if magic != _OPTION_REPLY or kind not in (_ACK, _INFO):
                raise Unavailable("the disk's reader refuses", "nbd", cause=data.decode(errors="replace")[:500])
            if kind == _ACK:
                return size
            if data[:2] == b"\0\0":
                size = int(struct.unpack(">Q", data[2:10])[0])

    def _ask(self, command: int, at: int, length: int, data: bytes = b"") -> None:
        self._handle += 1
        self._socket.sendall(struct.pack(">IHHQQI", _REQUEST, 0, command, self._handle, at, length) + data)
        if command == _DISCONNECT:
            return
        magic, failed, handle = struct.unpack(">IIQ", self._take(16))
        if (magic, handle) != (_REPLY, self._handle):
            raise Unavailable("the disk's reader lost the thread", "nbd")
        if failed:
            raise explained(os.strerror(failed), "the disk")

    def extents(self) -> Iterator[tuple[int, int]]:
        return iter(self._extents)

    def read(self, at: int, length: int) -> bytes:
        found = bytearray()
        for start in range(at, at + length, MOST):
            count = min(MOST, at + length - start)
            self._ask(_READ, start, count)
            found += self._take(count)
        return bytes(found)

    def write(self, at: int, data: bytes) -> None:
        if not any(data):
            self._ask(_ZEROES, at, len(data))
            return
        for start in range(0, len(data), MOST):
            piece = data[start : start + MOST]
            self._ask(_WRITE, at + start, len(piece), piece)

    def end(self, written: bool) -> None:
        """Make it durable and take leave."""
        if written:
            self._ask(_FLUSH, 0, 0)
        self._ask(_DISCONNECT, 0, 0)


@contextlib.contextmanager
def serving(
    folder: Path, name: str, options: Sequence[str], fds: Sequence[int], found: tuple[Sequence[tuple[int, int]], bool]
) -> Iterator[NbdDisk]:
    """A disk as `options` of qemu-nbd describe it; `found`: its extents, and whether it is to be written."""
    listening, client = _listener(folder, name)
    process = subprocess.Popen(
        ["/bin/sh", "-c", _LAUNCH, "sh", "qemu-nbd", *options],
        pass_fds=fds, stdin=listening.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    listening.close()
    assert process.stderr is not None
    try:
        disk = NbdDisk(client, found[0])
        yield disk
        disk.end(found[1])
        if process.wait(_ANSWER_SECONDS) != 0:
            raise explained(process.stderr.read(2000).decode(errors="replace"), "the disk")
    except (OSError, Error) as error:
        process.kill()
        text = process.stderr.read(2000).decode(errors="replace")
        if isinstance(error, Unavailable) and text:
            raise explained(text, "the disk") from error
        if isinstance(error, Error):
            raise
        raise Unavailable("the disk's reader ended early", "nbd", cause=f"{error}; {text}") from error
    finally:
        client.close()
        process.kill()
        process.wait()
        process.stderr.close()
