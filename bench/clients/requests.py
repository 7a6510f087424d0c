"""Ready-made requests: signed beforehand, so that the client's share of the machine is small and equal for all."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path

from awscrt import checksums

from bench.figures import LARGE, Case
from bench.peers.base import Login, Peer

PIECE = random.Random(3).randbytes(1 << 20)  # bodies repeat it: bytes that do not compress
COUNTS = {4 << 10: 1000, 64 << 10: 400, 1 << 20: 64, 64 << 20: 16}  # size -> objects of that size
MIX = ("GET",) * 9 + ("HEAD",) * 6 + ("PUT",) * 5  # 45, 30 and 25 percent


def body_of(size: int) -> bytes:
    """A body below the size of a piece."""
    return PIECE[:size]


def count_of(size: int) -> int:
    """How many objects of a size a case spreads over: about 1,000 small ones, fewer of the large."""
    return COUNTS.get(size, max(16, min(1000, (256 << 20) // size)))


def crc64(size: int) -> str:
    """The base64 CRC64NVME of a body of that size."""
    value, left = 0, size
    while left:
        value = checksums.crc64nvme(PIECE[:left] if left < len(PIECE) else PIECE, value)
        left -= min(left, len(PIECE))
    return base64.b64encode(value.to_bytes(8, "big")).decode()


def request(peer: Peer, method: str, target: str, size: int = 0, crc: str = "") -> bytes:
    """A request; a large body is left to the client, which sends it after the head."""
    more = {"x-amz-checksum-crc64nvme": crc, "x-amz-sdk-checksum-algorithm": "CRC64NVME"} if crc else {}
    fields = dict(peer.headers(method, target, more))
    if method == "PUT":
        fields |= {"content-length": str(size), "content-type": "application/octet-stream"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    body = body_of(size) if method == "PUT" and size < LARGE else b""
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def key_of(peer: Peer, size: int, number: int, word: str = "object") -> str:
    prefix = peer.unhashed if word == "crc" else peer.prefix
    return f"{prefix}/{word}-{size}-{number:05d}"


def listing(peer: Peer, keys: int) -> str:
    """The target of a page of that many of the 4 KiB objects."""
    if peer.dialect == "swift":
        return f"{peer.prefix}?format=json&limit={keys}&prefix=object-4096-"
    return f"{peer.prefix}?list-type=2&max-keys={keys}&prefix=object-4096-"


def requests_of(peer: Peer, case: Case) -> Iterator[bytes]:
    """All different requests of a case."""
    count, size = count_of(case.size), case.size
    if case.operation in ("put", "get", "head"):
        for number in range(count):
            yield request(peer, case.operation.upper(), key_of(peer, size, number), size)
    elif case.operation == "crc":
        crc = crc64(size)
        for number in range(count):
            yield request(peer, "PUT", key_of(peer, size, number, "crc"), size, crc)
    elif case.operation == "list":
        yield request(peer, "GET", listing(peer, size))
    elif case.operation == "mixed":
        chance = random.Random(7)
        for number in range(count):
            yield request(peer, chance.choice(MIX), key_of(peer, size, number), size)
    else:
        raise ValueError(f"{case} has no ready-made requests")


def deletions(peer: Peer, size: int, count: int) -> tuple[list[bytes], list[bytes]]:
    """What makes that many objects and what deletes them."""
    keys = [key_of(peer, size, number, "gone") for number in range(count)]
    return [request(peer, "PUT", key, size) for key in keys], [request(peer, "DELETE", key) for key in keys]


def post(login: Login, body: bytes) -> bytes:
    """A request for a token."""
    head = f"POST {login.path}/auth/tokens HTTP/1.1\r\nhost: {login.address}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body


def validations(login: Login, count: int) -> list[bytes]:
    """What asks about each of as many fresh tokens, made without hashing a password for each."""
    token = login.token()
    tokens = [token] if count == 1 else [login.token(login.token_body(token)) for _ in range(count)]
    line = f"GET {login.path}/auth/tokens HTTP/1.1\r\nhost: {login.address}\r\n"
    return [f"{line}x-auth-token: {token}\r\nx-subject-token: {one}\r\n\r\n".encode("latin-1") for one in tokens]


def write(path: Path, requests: Iterator[bytes] | list[bytes]) -> Path:
    """The form that replay.lua reads: for each a line with its length in bytes, then the bytes."""
    with path.open("wb") as out:
        for one in requests:
            out.write(b"%d\n" % len(one) + one)
    return path


def read(path: Path) -> list[bytes]:
    """The requests of a file that `write` made."""
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        end = data.index(b"\n", place)
        length = int(data[place:end])
        found.append(data[end + 1 : end + 1 + length])
        place = end + 1 + length
    return found
