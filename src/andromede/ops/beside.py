"""What a backup holds beside rows and blobs: disks, the images under them, the memory of suspended guests. Each is a
file that `backup.json` names; images under disks are sealed under a key drawn from the backup's, the others are
ciphertext already."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from andromede.durable import make_folder, sync_folder
from andromede.errors import Fatal
from andromede.ops import copying, sealing

DISKS, BASES, MEMORY = "volumes", "bases", "memory"
"""Folders of a backup. In a data directory the second lies within the first."""
SEALED = ".sealed"
_NAME = re.compile(rf"(?:{DISKS}/[0-9a-f-]+\.qcow2|{MEMORY}/[0-9a-f-]+\.memory|{BASES}/[\w-][\w.-]*\{SEALED})")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Held:
    """One file. `of`: what it is, in words with an id; `size`: its bytes with holes; `how`: `at rest` (a copy of a file
    that nobody wrote to meanwhile) or `running` (of a guest at work, all its disks at one instant)."""

    file: str
    of: str
    size: int
    how: str


@dataclass(frozen=True, slots=True)
class Lack:
    """What could not be copied, and why."""

    of: str
    why: str


class Beside(Protocol):
    """What this host has beside rows and blobs."""

    def room(self) -> int:
        """The bytes that it takes now."""

    def copy(self, folder: Path, key: bytes) -> None:
        """Bring over what is new since the last call: called before and after the snapshot of the database."""

    def held(self) -> list[Held]:
        """What has been brought over."""

    def lacks(self) -> list[Lack]:
        """What has not."""


def seal(source: Path, target: Path, key: bytes, moved: Callable[[int], None]) -> None:
    """Copy a file sealed and make it durable."""
    with open(source, "rb") as reading, open(target, "wb", opener=_private) as writing:
        sealer = sealing.Sealer(writing, sealing.part_key(key, target.name))
        _pump(reading.read, sealer.write, moved)
        sealer.close()
        _sync(writing)


def _unseal(source: Path, target: Path, key: bytes, moved: Callable[[int], None]) -> None:
    with open(source, "rb") as reading, open(target, "wb", opener=_private) as writing:
        _pump(sealing.Opener(reading, sealing.part_key(key, source.name)).read, writing.write, moved)
        _sync(writing)


def _pump(read: Callable[[int], bytes], write: Callable[[bytes], object], moved: Callable[[int], None]) -> None:
    while piece := read(_PIECE):
        write(piece)
        moved(len(piece))


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def restore(folder: Path, data: Path, held: Sequence[Held], key: bytes, moved: Callable[[int], None]) -> None:
    """Put the files of a backup where an installation has them. Raises `Fatal` for one that is missing or cut."""
    for one in held:
        if not _NAME.fullmatch(one.file):
            raise Fatal(f"the backup names {one.file!r}, which is no file of one; use another copy of it", "backup")
        source = folder / one.file
        if not source.is_file() or source.is_symlink() or source.stat().st_size != one.size:
            raise Fatal(f"the backup lacks {one.file} ({one.of}), or it was cut; use another copy of it", "backup")
        kind, _, name = one.file.partition("/")
        if kind == BASES:
            target = data / DISKS / BASES / name.removesuffix(SEALED)
            make_folder(data / DISKS)
            make_folder(target.parent)
            _unseal(source, target, key, moved)
        else:
            target = data / one.file
            make_folder(target.parent)
            copying.copy_file(source, target, moved)
    for place in (data / DISKS, data / DISKS / BASES, data / MEMORY):
        if place.is_dir():
            sync_folder(place)


def held_of(document: Any) -> tuple[Held, ...]:
    """From a manifest. Raises `TypeError` for what is none."""
    return tuple(Held(**entry) for entry in document)
