"""Runs qemu-img: secrets go by memory files, never by command line, environment or disk."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from andromede.errors import Error, Fatal, NoCapacity, Unavailable
from andromede.volumes.engine import Disk, Source

SECONDS = 3600.0
"""The longest that one run may take."""


@contextmanager
def secret(text: str) -> Iterator[int]:
    """A descriptor of a file in memory that holds the text."""
    low = os.memfd_create("k", os.MFD_CLOEXEC)
    fd = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 10)  # descriptor 3 is the listening socket's, in a child that has one
    os.close(low)
    try:
        os.write(fd, text.encode())
        yield fd
    finally:
        os.close(fd)


class Command:
    """A command line in the making, with the descriptors that it refers to."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.fds: list[int] = []
        self.objects: list[str] = []

    def _object(self, passphrase: str) -> str:
        name = f"s{len(self.fds)}"
        fd = self._stack.enter_context(secret(passphrase))
        self.fds.append(fd)
        self.objects += ["--object", f"secret,id={name},format=raw,file=/dev/fd/{fd}"]
        return name

    def source(self, source: Source, prefix: str = "") -> str:
        """The options of a file to read."""
        options = f"{prefix}driver={source.format},{prefix}file.driver=file,{prefix}file.filename={_path(source.path)}"
        if source.passphrase:
            options += f",{prefix}encrypt.format=luks,{prefix}encrypt.key-secret={self._object(source.passphrase)}"
        return options

    def disk(self, path: Path, disk: Disk, extra: str = "") -> str:
        """The options of a disk of ours, its base included."""
        options = self.source(Source(path, "qcow2", disk.passphrase)) + extra
        return options + ("," + self.source(disk.base, "backing.") if disk.base else "")


def _path(path: Path) -> str:
    return str(path).replace(",", ",,")


def explained(text: str, what: str) -> Error:
    """What a failure of qemu-img means."""
    low = text.lower()
    if "invalid password" in low:
        return Fatal(f"{what} does not open with its key: it was altered or exchanged", "damage", cause=text)
    if "lock" in low:
        return Unavailable(f"{what} is in use by a running process; detach it first", "in_use", cause=text)
    if "no space" in low:
        return NoCapacity(f"the host's storage is full; {what} was not written", "space", cause=text)
    return Unavailable(f"{what} could not be processed by this host", "qemu", cause=text)


def run(command: Command, arguments: Sequence[str], what: str, seconds: float = SECONDS) -> str:
    """The output of `qemu-img`; `arguments` hold the verb first. Errors as `explained`."""
    line = ["qemu-img", arguments[0], *command.objects, *arguments[1:]]
    try:
        done = subprocess.run(
            line, pass_fds=command.fds, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds,
            text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{what} took longer than {int(seconds)} seconds", "timeout") from error
    except OSError as error:
        raise Unavailable("qemu-img cannot be run on this host", "qemu", cause=str(error)) from error
    if done.returncode != 0:
        raise explained(done.stderr.strip()[-2000:], what)
    return done.stdout
