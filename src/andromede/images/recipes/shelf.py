"""Images that were built, kept in a folder: each recipe runs once, and again when its text has changed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from andromede.clock import Clock, iso_second
from andromede.errors import Invalid
from andromede.images.recipes import debian, tiny
from andromede.images.recipes.packages import Say

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Built:
    """One image on the shelf. `path` is a compressed qcow2; `built_at` like 2026-11-28T19:30:00Z; `size` in bytes."""

    name: str
    path: Path
    built_at: str
    size: int
    sha512: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an image is made, and the files of this package that say so."""

    build: Callable[[Path, Path, Say], None]
    sources: tuple[str, ...]


COMMON = ("disk.py", "packages.py")
RECIPES: Mapping[str, Recipe] = {
    "tiny": Recipe(tiny.build, (*COMMON, "tiny.py", "tree.py", "guest")),
    "debian-12": Recipe(debian.build, (*COMMON, "debian.py")),
}


class Shelf:
    """Used by several processes at once: a lock file for each image."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def find(self, name: str) -> Built | None:
        """The image, if it is here in the recipe of now."""
        stored = self._folder / f"{name}-{fingerprint(name)}.json"
        try:
            told = json.loads(stored.read_text())
            found = Built(**{**told, "path": Path(told["path"])})
            return found if found.path.stat().st_size == found.size else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def get(self, name: str, say: Say, fresh: bool = False) -> Built:
        """The image, built now if it is not here or `fresh` is asked for. Raises `Invalid` for a name without recipe,
        `Unavailable` if this machine cannot build it."""
        if name not in RECIPES:
            raise Invalid(f"there is no recipe for an image {name!r}; there are: {', '.join(RECIPES)}", "image")
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone(name):
            found = None if fresh else self.find(name)
            return found or self._build(name, say)

    def _build(self, name: str, say: Say) -> Built:
        target = self._folder / f"{name}-{fingerprint(name)}.qcow2"
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self._folder))
        try:
            made = work / target.name
            RECIPES[name].build(work, made, say)
            digest = _digest(made)
            os.replace(made, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        when = iso_second(self._clock.now_us())
        built = Built(name, target.absolute(), when, target.stat().st_size, digest)
        note = target.with_suffix(".json")
        note.with_suffix(".new").write_text(json.dumps({**asdict(built), "path": str(built.path)}))
        os.replace(note.with_suffix(".new"), note)
        for old in self._folder.glob(f"{name}-*"):
            if old.stem != target.stem:
                old.unlink(missing_ok=True)
        return built

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with (self._folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def fingerprint(name: str) -> str:
    """Twelve digits of what the recipe's text is."""
    digest = hashlib.sha256()
    root = resources.files("andromede.images.recipes")
    for source in RECIPES[name].sources:
        for path, data in _texts(root / source):
            digest.update(f"{path} {len(data)} ".encode() + data)
    return digest.hexdigest()[:12]


def _texts(place: Traversable) -> Iterator[tuple[str, bytes]]:
    if place.is_dir():
        for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
            yield from _texts(entry)
    else:
        yield place.name, place.read_bytes()


def _digest(path: Path) -> str:
    digest = hashlib.sha512()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
