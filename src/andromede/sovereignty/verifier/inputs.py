"""Reading files that somebody else wrote: regular, bounded, UTF-8."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from andromede.sovereignty.verifier.report import Unreadable

MAXIMUM_TEXT = 8 << 20
MAXIMUM_LINE = 8 << 20


def open_regular(name: str) -> BinaryIO:
    """A regular file opened for reading, or standard input for `-`; pipes and devices by name are refused."""
    if name == "-":
        return sys.stdin.buffer
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise Unreadable(f"{name} is not a regular file")
        return Path(name).open("rb")
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot read {name}: {error.strerror if isinstance(error, OSError) else error}") from error


def read_bytes(name: str, limit: int = MAXIMUM_TEXT) -> bytes:
    """The bytes of a file of at most `limit` bytes; Unreadable otherwise."""
    with open_regular(name) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise Unreadable(f"cannot read {name}: {error.strerror}") from error
    if len(data) > limit:
        raise Unreadable(f"{name} is larger than {limit} bytes")
    return data


def read_text(name: str, limit: int = MAXIMUM_TEXT) -> str:
    """The text of a file, its line ends as they are; Unreadable when it is not UTF-8."""
    return text_of(read_bytes(name, limit), name)


def text_of(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{name} is not UTF-8 text") from error


def lines_of(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The lines of an open file without their line ends, none longer than MAXIMUM_LINE."""
    while True:
        try:
            line = file.readline(MAXIMUM_LINE + 1)
        except OSError as error:
            raise Unreadable(f"cannot read {name}: {error.strerror}") from error
        if not line:
            return
        if len(line) > MAXIMUM_LINE:
            raise Unreadable(f"{name} has a line longer than {MAXIMUM_LINE} bytes")
        yield line[:-1] if line.endswith(b"\n") else line
