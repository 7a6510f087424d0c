"""qemu-img over files that nobody has a reason to trust: as a user of its own without any rights, with limits of time,
memory and processor, and with the file on a descriptor, so that no path leads anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from andromede.errors import Invalid, NoCapacity, Unavailable
from andromede.images.engine import Findings

NOBODY = 2_000_000_001
"""User and group of the runs; no passwd entry, owner of nothing."""
MEMORY = 1 << 30
INFO_SECONDS, CONVERT_SECONDS = 30, 3600
MOST_VIRTUAL = 16 << 40
MOST_OUTPUT = 1 << 20
ALONE_VMDK = frozenset({"monolithicSparse", "streamOptimized"})


class QemuInspector:
    """`folder` takes the files while they are looked at; they have no names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def inspect(self, pieces: Iterable[bytes], kind: str) -> Findings:
        """See the port. The file must be of `kind` and hold all its data itself."""
        with self._file(pieces) as fd:
            return Findings(_check(self._info(fd, kind), kind, fd))

    def flatten(self, pieces: Iterable[bytes], kind: str, target: Path) -> None:
        """See the port."""
        with self._file(pieces) as fd:
            if kind != "raw":
                _check(self._info(fd, kind), kind, fd)
            draft = target.with_suffix(".new")
            try:
                self._convert(fd, kind, draft)
                os.replace(draft, target)
            finally:
                draft.unlink(missing_ok=True)

    def _convert(self, fd: int, kind: str, draft: Path) -> None:
        out = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if os.geteuid() == 0:
                os.fchown(out, NOBODY, NOBODY)
            size = int(self._info(fd, kind)["virtual-size"])
            _run(["create", "-q", "-f", "qcow2", f"/dev/fd/{out}", str(size)], (out,), INFO_SECONDS)
            source = f"driver={kind},file.driver=file,file.filename=/dev/fd/{fd}"
            target = f"driver=qcow2,file.driver=file,file.filename=/dev/fd/{out}"
            line = ["convert", "-n", "--image-opts", source, "--target-image-opts", target]
            _run(line, (fd, out), CONVERT_SECONDS)
            if os.geteuid() == 0:
                os.fchown(out, 0, 0)
            os.fsync(out)
        finally:
            os.close(out)

    def _info(self, fd: int, kind: str) -> dict[str, Any]:
        said = _run(["info", "-f", kind, "--output=json", f"/dev/fd/{fd}"], (fd,), INFO_SECONDS)
        try:
            found = json.loads(said[:MOST_OUTPUT])
        except ValueError:
            raise Invalid("the image could not be read: what it says of itself is too long", "image") from None
        return found if isinstance(found, dict) else {}

    @contextmanager
    def _file(self, pieces: Iterable[bytes]) -> Iterator[int]:
        """A nameless file of these bytes, as a descriptor that only reads."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._folder, prefix=".look-") as file:
            try:
                for piece in pieces:
                    file.write(piece)
                file.flush()
            except OSError as error:
                raise NoCapacity("the host has no room to look into the image", "space", cause=str(error)) from error
            os.fchmod(file.fileno(), 0o444)
            fd = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield fd
            finally:
                os.close(fd)


def _run(arguments: Sequence[str], fds: tuple[int, ...], seconds: int) -> bytes:
    limits = ["prlimit", f"--as={MEMORY}", f"--cpu={seconds}", "--core=0", "--nofile=64"]
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    try:
        done = subprocess.run(
            [*limits, "qemu-img", *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=2 * seconds, pass_fds=fds, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}, cwd="/",
            start_new_session=True, **identity,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Invalid(f"the image could not be read within {2 * seconds} seconds", "image") from None
    except FileNotFoundError as error:
        raise Unavailable("qemu-img is not on this host; install qemu-utils", "programs") from error
    if done.returncode < 0:
        raise Invalid("the image could not be read within the limits of memory and time", "image")
    if done.returncode:
        told = done.stderr.decode(errors="replace").replace("qemu-img: ", "").strip().splitlines()
        text = told[0] if told else "no reason given"
        for fd in fds:
            text = text.replace(f"/dev/fd/{fd}", "the image")
        raise Invalid(f"the image could not be read: {text[:200]}", "image")
    return bytes(done.stdout)


def _check(found: dict[str, Any], kind: str, fd: int) -> int:
    """The virtual size of an image that stands alone. Raises `Invalid` naming what is wrong."""
    own = f"/dev/fd/{fd}"
    data = (found.get("format-specific") or {}).get("data") or {}
    if found.get("format") != kind:
        raise Invalid(f"the image is {found.get('format')}, not {kind} as declared", "image")
    if any(found.get(word) for word in ("backing-filename", "full-backing-filename", "backing-filename-format")):
        raise Invalid("the image has a backing file; flatten it with qemu-img convert, then upload it", "image")
    if data.get("data-file") or data.get("data-file-raw"):
        raise Invalid("the image keeps its data in another file; flatten it with qemu-img convert", "image")
    if found.get("encrypted"):
        raise Invalid("the image is encrypted; images are encrypted where they are stored", "image")
    size = found.get("virtual-size")
    if not isinstance(size, int) or not 0 < size <= MOST_VIRTUAL:
        raise Invalid(f"the image's disk has {size} bytes; at most {MOST_VIRTUAL} are possible", "image")
    if kind == "vmdk":
        extents = data.get("extents") or []
        foreign = [extent for extent in extents if extent.get("filename") != own]
        if foreign or len(extents) != 1 or data.get("create-type") not in ALONE_VMDK:
            raise Invalid("the image's data lies in other files; convert it to one file (streamOptimized)", "image")
    return size
