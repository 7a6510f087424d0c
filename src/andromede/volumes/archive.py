"""Backups in the object store: pieces of 1 MiB, and a manifest that tells which piece lies where.

A piece is known by its keyed hash; the key lies in the manifest, which the object store encrypts like everything. An
incremental backup stores the pieces that differ from its parent's and refers to the others. Pieces of zeroes are
stored nowhere. Names: `DATA-ID/manifest` and `DATA-ID/NUMBER`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from andromede.errors import Fatal, NotFound
from andromede.volumes.engine import Raw
from andromede.volumes.ports import Vault

PIECE = 1 << 20
_VERSION = 1


class Piece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`owner`: index into the manifest's list of data ids; `digest`: HMAC-SHA256 of the plain bytes."""

    number: int
    owner: int
    digest: bytes


class Manifest(msgspec.Struct, frozen=True):
    """What a backup consists of. `size` in bytes; `about`: facts of the volume that a restored one takes over."""

    version: int
    size: int
    key: bytes
    owners: list[str]
    pieces: list[Piece]
    about: dict[str, Any]

    def by_number(self) -> Mapping[int, Piece]:
        return {piece.number: piece for piece in self.pieces}


def manifest(vault: Vault, project_id: str, data_id: str) -> Manifest:
    """Fatal reason `damage` where it is missing or broken."""
    try:
        found = msgspec.msgpack.decode(vault.get(project_id, f"{data_id}/manifest"), type=Manifest)
    except (NotFound, msgspec.DecodeError) as error:
        raise Fatal(f"the data of backup {data_id} is damaged: its list of pieces cannot be read", "damage") from error
    if found.version != _VERSION:
        raise Fatal(f"the data of backup {data_id} was written by a newer release", "damage")
    return found


def _numbers(raw: Raw) -> Iterator[int]:
    """The pieces that may hold anything but zeroes, in order, each once."""
    last = -1
    for start, length in raw.extents():
        for number in range(max(start // PIECE, last + 1), -(-(start + length) // PIECE)):
            last = number
            yield number


def _digest(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


class Writer:
    """Stores one disk under a data id of a project."""

    def __init__(self, vault: Vault, project_id: str, data_id: str, request_id: str) -> None:
        self._vault = vault
        self._project_id = project_id
        self._data_id = data_id
        self._request_id = request_id

    def store(self, raw: Raw, parent: Manifest | None, key: bytes, about: dict[str, Any]) -> tuple[int, int]:
        """(pieces stored, pieces that the parent has). The manifest comes last: without it there is no backup."""
        owners = [*parent.owners] if parent else []
        mine = len(owners)
        known = parent.by_number() if parent else {}
        key = parent.key if parent else key
        pieces, kept = [], 0
        for number in _numbers(raw):
            data = raw.read(number * PIECE, min(PIECE, raw.size - number * PIECE))
            if not any(data):
                continue
            digest = _digest(key, data)
            old = known.get(number)
            if old is not None and hmac.compare_digest(old.digest, digest):
                pieces.append(old)
                kept += 1
                continue
            self._put(str(number), data)
            pieces.append(Piece(number, mine, digest))
        whole = Manifest(_VERSION, raw.size, key, [*owners, self._data_id], pieces, about)
        self._put("manifest", msgspec.msgpack.encode(whole))
        return len(pieces) - kept, kept

    def _put(self, name: str, data: bytes) -> None:
        self._vault.put(self._project_id, f"{self._data_id}/{name}", data, self._request_id)


def restore(vault: Vault, project_id: str, whole: Manifest, raw: Raw) -> None:
    """Make a disk of at least the backup's size hold its bytes, and zeroes everywhere else. Fatal reason `damage` when
    a piece is missing or is not what was stored."""
    known = whole.by_number()
    for number in list(_numbers(raw)):
        if number not in known:
            raw.write(number * PIECE, bytes(min(PIECE, raw.size - number * PIECE)))
    for piece in whole.pieces:
        name = f"{whole.owners[piece.owner]}/{piece.number}"
        try:
            data = vault.get(project_id, name)
        except NotFound as error:
            raise Fatal(f"piece {name} of the backup is missing", "damage") from error
        if not hmac.compare_digest(_digest(whole.key, data), piece.digest):
            raise Fatal(f"piece {name} of the backup is not what was stored", "damage")
        raw.write(piece.number * PIECE, data)


def remove(vault: Vault, project_id: str, data_id: str, request_id: str) -> None:
    """Nothing is stored under the data id. The manifest goes first."""
    vault.remove(project_id, f"{data_id}/manifest", request_id)
    for name in list(vault.names(project_id, f"{data_id}/")):
        vault.remove(project_id, name, request_id)
