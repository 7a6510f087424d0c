"""Netlink to the kernel's packet filter in the calling thread's namespace (nfnetlink): connections, chains, counters.

A busy network has tens of thousands of connections: messages are taken apart here, by what is asked of them only."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from types import TracebackType

ACK, DUMP = 4, 0x300
_REQUEST, _NESTED = 1, 0x8000
_ERROR, _DONE = 2, 3
_PROTOCOL = 12
_HEAD = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_BUFFER = 1 << 20
_SECONDS = 10.0
_GET_CHAIN, _GET_OBJECT = 0xA04, 0xA13
_COUNTER = 1
"""linux/netfilter/nf_tables.h."""


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


def pack(kind: int, nested: bytes) -> bytes:
    """An attribute with attributes in it."""
    return _ATTRIBUTE.pack(4 + len(nested), _NESTED | kind) + nested


class Netfilter:
    """One socket; a context manager."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _PROTOCOL)
        self._socket.settimeout(_SECONDS)
        self._socket.bind((0, 0))

    def __enter__(self) -> Netfilter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def ask(self, kind: int, flags: int, family: int = 0, body: bytes = b"") -> Iterator[bytes]:
        """The payloads of the answer. Raises `OSError` with the kernel's number."""
        self._socket.send(_HEAD.pack(20 + len(body), kind, flags | _REQUEST, 1, 0) + bytes([family, 0, 0, 0]) + body)
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
                yield data[at + 20 : at + length]
                at += (length + 3) & ~3


def chains(table: str) -> set[str]:
    """Names of the chains of a table."""
    with Netfilter() as netfilter:
        found = [attributes(payload) for payload in netfilter.ask(_GET_CHAIN, DUMP)]
    return {_text(one[3]) for one in found if _text(one[1]) == table}


def counters() -> dict[str, int]:
    """Packets of each named counter."""
    with Netfilter() as netfilter:
        found = [attributes(payload) for payload in netfilter.ask(_GET_OBJECT, DUMP)]
    counted = [one for one in found if int.from_bytes(one[3], "big") == _COUNTER]
    return {_text(one[2]): int.from_bytes(attributes(one[4])[2], "big") for one in counted}


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode()
