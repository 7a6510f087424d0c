"""A sealed stream: AES-256-GCM in frames of 1 MiB under a key of its own. Cutting, swapping or changing
frames is detected; a wrong key is told apart from damage by the key's fingerprint in the head."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from andromede.errors import Fatal, Invalid
from andromede.ids import Ids
from andromede.ops.layout import private_write

MAGIC = b"andromede/sealed/v1\n"
FRAME = 1 << 20
TAG = 16


def fingerprint(key: bytes) -> bytes:
    """16 bytes that name a key without telling it."""
    return hashlib.sha256(b"andromede/backup-key/v1\n" + key).digest()[:16]


def new_key(path: Path, ids: Ids, backup: str) -> bytes:
    """Make a key and write its file (mode 0600)."""
    key = ids.secret(32)
    write_key(path, key, backup)
    return key


def write_key(path: Path, key: bytes, backup: str) -> None:
    """Write the file of a backup's key (mode 0600)."""
    note = "opens the backup named here; whoever has both can read everything: keep them apart"
    document = {"v": 1, "backup": backup, "key": base64.b64encode(key).decode(), "note": note}
    private_write(path, json.dumps(document, indent=1) + "\n")


def part_key(key: bytes, name: str) -> bytes:
    """The key of one file of a backup beside its state (HMAC-SHA256): each stream counts its frames from 0, so no two
    may have the same key."""
    return hmac.digest(key, b"andromede/backup-part/v1\n" + name.encode(), "sha256")


def read_key(path: Path) -> bytes:
    """The key of a key file. Raises `Invalid`."""
    try:
        key = base64.b64decode(json.loads(path.read_text())["key"], validate=True)
    except FileNotFoundError as error:
        raise Invalid(
            f"the backup's key file {path} is missing: without it the backup cannot be opened; "
            "name it with --key-file FILE",
            "backup_key",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid(f"{path} is no key file of a backup ({error})", "backup_key") from error
    if len(key) != 32:
        raise Invalid(f"{path} is no key file of a backup (the key has {len(key)} bytes)", "backup_key")
    return key


def _nonce(number: int) -> bytes:
    return struct.pack(">IQ", 0, number)


def _bound(head: bytes, number: int, last: bool) -> bytes:
    return head + struct.pack(">QB", number, last)


class Sealer:
    """A file-like object that seals what is written to it. `close` writes the last frame."""

    def __init__(self, target: BinaryIO, key: bytes) -> None:
        self._target = target
        self._aead = AESGCM(key)
        self._head = MAGIC + fingerprint(key)
        self._number = 0
        self._waiting = bytearray()
        target.write(self._head)

    def write(self, data: bytes) -> int:
        self._waiting += data
        while len(self._waiting) > FRAME:
            self._frame(bytes(self._waiting[:FRAME]), last=False)
            del self._waiting[:FRAME]
        return len(data)

    def close(self) -> None:
        """Seal what is left; the stream is whole only now."""
        self._frame(bytes(self._waiting), last=True)

    def _frame(self, data: bytes, last: bool) -> None:
        bound = _bound(self._head, self._number, last)
        self._target.write(self._aead.encrypt(_nonce(self._number), data, bound))
        self._number += 1


class Opener:
    """A file-like object over a sealed stream. Raises `Invalid` for a wrong key, `Fatal` for damage."""

    def __init__(self, source: BinaryIO, key: bytes) -> None:
        self._source = source
        self._aead = AESGCM(key)
        self._head = source.read(len(MAGIC) + 16)
        if not self._head.startswith(MAGIC):
            raise Fatal("this is no sealed file of a backup", "backup")
        if self._head != MAGIC + fingerprint(key):
            raise Invalid("the key file belongs to another backup", "backup_key")
        self._number = 0
        self._next = source.read(FRAME + TAG)
        self._plain = memoryview(b"")
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        parts = []
        while size != 0 and (self._plain or self._advance()):
            piece = self._plain if size < 0 else self._plain[:size]
            parts.append(bytes(piece))
            self._plain = self._plain[len(piece) :]
            size -= len(piece) if size > 0 else 0
        return b"".join(parts)

    def _advance(self) -> bool:
        if self._ended:
            return False
        sealed, self._next = self._next, self._source.read(FRAME + TAG)
        last = not self._next
        try:
            plain = self._aead.decrypt(_nonce(self._number), sealed, _bound(self._head, self._number, last))
        except InvalidTag as error:
            raise Fatal("the backup is damaged or cut off; use another one", "backup") from error
        self._number += 1
        self._ended = last
        self._plain = memoryview(plain)
        return bool(plain) or (not last and self._advance())
