"""Custody of the platform root. Default: a file of mode 0600, optionally sealed by a passphrase.

Whoever holds this file (and the passphrase, if one is set) and the database can decrypt everything.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from andromede.durable import make_folder, sync_folder
from andromede.errors import Conflict, Denied, Fatal
from andromede.ids import Ids

_BOUND = b"andromede/root-key/v1"
_KDF = {"memory_kib": 65536, "passes": 3, "lanes": 4}


class Root(Protocol):
    """The key at the top: wraps tenant keys."""

    id: str
    version: int
    origin: str

    def aead(self) -> AESGCM:
        """The root's cipher. Raises `Unavailable` when the holder does not answer."""


class FileRoot:
    """A root read from a file at start."""

    origin = "file"
    version = 1

    def __init__(self, root_id: str, key: bytes) -> None:
        self.id = root_id
        self._aead = AESGCM(key)

    def aead(self) -> AESGCM:
        return self._aead


def _stretch(passphrase: str, salt: bytes, kdf: dict[str, int]) -> AESGCM:
    key = hash_secret_raw(
        passphrase.encode(), salt, kdf["passes"], kdf["memory_kib"], kdf["lanes"], hash_len=32, type=Type.ID
    )
    return AESGCM(key)


def write_once(path: Path, document: Mapping[str, object]) -> None:
    """Write keys, durably, to a new file of mode 0600. `Conflict` if it exists."""
    make_folder(path.parent)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise Conflict(
            f"{path} exists; other keys in its place would make what the first ones sealed or signed useless", "root"
        ) from error
    with os.fdopen(fd, "wb") as file:
        file.write(json.dumps(document).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def create_root(path: Path, ids: Ids, passphrase: str | None = None) -> FileRoot:
    """Make a root key and write it, durably, to a new file of mode 0600. `Conflict` if it exists."""
    root_id, key = ids.hex(), ids.secret(32)
    document: dict[str, object] = {"v": 1, "id": root_id}
    if passphrase:
        salt, iv = ids.secret(16), ids.secret(12)
        sealed = _stretch(passphrase, salt, _KDF).encrypt(iv, key, _BOUND + root_id.encode())
        document["kdf"] = {"name": "argon2id", "salt": base64.b64encode(salt).decode(), **_KDF}
        document["sealed"] = base64.b64encode(iv + sealed).decode()
    else:
        document["key"] = base64.b64encode(key).decode()
    write_once(path, document)
    return FileRoot(root_id, key)


def needs_passphrase(path: Path) -> bool:
    """Whether the root key in this file is sealed."""
    return "sealed" in json.loads(path.read_bytes())


def open_root(path: Path, passphrase: str | None = None) -> FileRoot:
    """Read the root key. `Denied` reason `passphrase` when one is missing or wrong."""
    try:
        document = json.loads(path.read_bytes())
        if "key" in document:
            return FileRoot(document["id"], base64.b64decode(document["key"]))
        kdf = document["kdf"]
        sealed = base64.b64decode(document["sealed"])
        salt = base64.b64decode(kdf["salt"])
        if not passphrase:
            raise Denied(f"{path} is sealed by a passphrase: set ANDROMEDE_PASSPHRASE", "passphrase")
        key = _stretch(passphrase, salt, kdf).decrypt(sealed[:12], sealed[12:], _BOUND + document["id"].encode())
    except InvalidTag as error:
        raise Denied(f"the passphrase does not open {path}", "passphrase") from error
    except (OSError, ValueError, KeyError) as error:
        raise Fatal(f"{path} does not hold a root key: restore it from its backup", "root", cause=str(error)) from error
    return FileRoot(document["id"], key)
