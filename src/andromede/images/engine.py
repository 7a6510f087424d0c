"""Ports of the host role: looking into images, turning them into what hosts use, and fetching them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Findings:
    """What an image turned out to be: `virtual_size` in bytes."""

    virtual_size: int


class Inspector(Protocol):
    """Looks at files that nobody has a reason to trust. `Invalid` reason `image` for one that is not what it says, or
    refers to anything outside itself; `Unavailable` when it cannot be done now."""

    def inspect(self, pieces: Iterable[bytes], kind: str) -> Findings:
        """What is inside a structured image of qemu's format `kind`, given as its bytes."""

    def flatten(self, pieces: Iterable[bytes], kind: str, target: Path) -> None:
        """Write an image as a qcow2 file (or as it is, if it is one) that stands alone; never half of it."""


class Download(Protocol):
    """A body on its way in: `readinto` as of a file, and what was promised of its length."""

    length: int | None

    def readinto(self, view: memoryview, /) -> int: ...


class Downloader(Protocol):
    """Fetches by URL for tenants, from nowhere that they could not reach themselves."""

    def open(self, url: str) -> AbstractContextManager[Download]:
        """`Invalid` reason `uri` for a URL that is refused or does not answer; `TooLarge`."""
