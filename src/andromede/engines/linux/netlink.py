"""Netlink, taken apart by what is asked of it only (netlink(7)): a busy machine has tens of thousands of connections,
and a large network a thousand links."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from types import TracebackType

ACK, DUMP = 4, 0x300
ROUTE, NETFILTER = 0, 12
_REQUEST, _NESTED = 1, 0x8000
_ERROR, _DONE = 2, 3
_HEAD = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_BUFFER = 1 << 20
_SECONDS = 10.0


def attributes(data: bytes) -> dict[int, bytes]:
    """Type -> bytes; of several with one type the last."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def pack(kind: int, body: bytes, nested: bool = False) -> bytes:
    """An attribute."""
    head = _ATTRIBUTE.pack(4 + len(body), kind | (_NESTED if nested else 0))
    return head + body + bytes(-len(body) % 4)


class Netlink:
    """One socket of the calling thread's namespace; a context manager. `protocol`: ROUTE or NETFILTER."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.settimeout(_SECONDS)
        self._socket.bind((0, 0))

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def ask(self, kind: int, flags: int, body: bytes) -> Iterator[bytes]:
        """The payloads of the answer to a message, whose own header is part of the body. Raises `OSError` with the
        kernel's number."""
        self._socket.send(_HEAD.pack(16 + len(body), kind, flags | _REQUEST, 1, 0) + body)
        while True:
            data = self._socket.recv(_BUFFER)
            at = 0
            while at < len(data):
                length, found, _, _, _ = _HEAD.unpack_from(data, at)
                if found == _DONE:
                    return
                if found == _ERROR:
                    number = -struct.unpack_from("=i", data, at + 16)[0]
                    if number:
                        raise OSError(number, os.strerror(number))
                    return
                yield data[at + 16 : at + length]
                at += (length + 3) & ~3
            if not flags & DUMP and not flags & ACK:
                return
