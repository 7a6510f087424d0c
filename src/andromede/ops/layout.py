"""The data directory: where everything lies, its version, its modes."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from andromede import __version__
from andromede.clock import Clock, iso_second
from andromede.durable import make_folder, sync_folder
from andromede.errors import Conflict, Invalid, NotFound
from andromede.ids import Ids

FORMAT = 2
"""Version of the directory's arrangement; raised when an older program could no longer use it. 1: the vault; 2: events
have their places in the ledger."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one installation."""

    data: Path

    @property
    def manifest(self) -> Path:
        return self.data / "installation.json"

    @property
    def settings(self) -> Path:
        return self.data / "andromede.toml"

    @property
    def keys(self) -> Path:
        return self.data / "keys"

    @property
    def tls(self) -> Path:
        return self.data / "tls"

    @property
    def logs(self) -> Path:
        return self.data / "log"

    @property
    def log(self) -> Path:
        return self.logs / "andromede.log"

    @property
    def run(self) -> Path:
        return self.data / "run"

    @property
    def built_images(self) -> Path:
        return self.data / "images-built"

    @property
    def image_bases(self) -> Path:
        return self.data / "images-cache"

    @property
    def clouds(self) -> Path:
        return self.data / "clouds.yaml"

    @property
    def s3_env(self) -> Path:
        return self.data / "s3.env"

    @property
    def last_backup(self) -> Path:
        return self.run / "last-backup.json"

    def exists(self) -> bool:
        """Whether an installation was made here."""
        return self.manifest.exists()

    def require(self) -> Mapping[str, Any]:
        """The manifest of an existing installation. Raises `NotFound` or `Invalid`."""
        if not self.exists():
            raise NotFound(
                f"there is no installation in {self.data}; make one with: andromede up --data {self.data}", "data"
            )
        return read_manifest(self)


def read_manifest(layout: Layout) -> Mapping[str, Any]:
    """The manifest, if this program can read what it describes."""
    try:
        manifest: Mapping[str, Any] = json.loads(layout.manifest.read_text())
        form = int(manifest["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid(
            f"{layout.manifest} cannot be read ({error}); restore it from a backup with: andromede restore", "data"
        ) from error
    if form > FORMAT:
        raise Invalid(
            f"{layout.data} was written by a newer program (format {form}, this one reads up to {FORMAT}); "
            f"install release {manifest.get('program', '?')} or newer",
            "data",
        )
    return manifest


def mark_program(layout: Layout) -> None:
    """Note in the manifest that this program has used the directory, so that older ones leave it alone."""
    manifest = read_manifest(layout)
    now = {**manifest, "format": FORMAT, "program": __version__}
    if now != manifest:
        private_write(layout.manifest, json.dumps(now, indent=1) + "\n")


def private_write(path: Path, content: str | bytes) -> None:
    """Replace a file whole, mode 0600, durable before the old one is gone, and the new one's name at return."""
    raw = content.encode() if isinstance(content, str) else content
    part = path.with_name(path.name + ".part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(raw)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(part, path)
    sync_folder(path.parent)


def _refuse_foreign(data: Path) -> None:
    cut_off = "installation.json.part"  # by a first start that did not come to its end
    known = {"andromede.toml", "run", "log", "lost+found", cut_off}
    strangers = sorted(entry.name for entry in data.iterdir() if entry.name not in known)
    if strangers:
        raise Conflict(
            f"{data} is not empty and holds no installation (found {', '.join(strangers[:3])}); "
            "name an empty or new directory with --data",
            "data",
        )


def prepare(layout: Layout, clock: Clock, ids: Ids) -> bool:
    """Make the directory (0700) and its manifest if they are absent; True when it was new.

    Raises `Conflict` for a directory with other things in it, `Invalid` for one that cannot be used.
    """
    try:
        make_folder(layout.data)
        found = layout.data.stat()
        new = not layout.exists()
        if found.st_uid != os.geteuid():
            raise Invalid(f"{layout.data} belongs to another user; run as its owner or name another --data", "data")
        if new:
            _refuse_foreign(layout.data)
            os.chmod(layout.data, 0o700)
        else:
            read_manifest(layout)
            if stat.S_IMODE(found.st_mode) & 0o077:
                raise Invalid(f"{layout.data} is open to other users; close it with: chmod 700 {layout.data}", "data")
        for folder in (layout.run, layout.logs):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Invalid(
            f"{layout.data} cannot be used as a data directory: {error.strerror}; name another with --data", "data"
        ) from error
    if new:
        manifest = {
            "format": FORMAT,
            "id": ids.dashed(),
            "created": iso_second(clock.now_us()),
            "program": __version__,
        }
        private_write(layout.manifest, json.dumps(manifest, indent=1) + "\n")
    return new
