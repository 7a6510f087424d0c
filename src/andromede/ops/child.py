"""Work in a short-lived child, so that the parent stays without threads, connections and heavy libraries."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from andromede.errors import Error, Fatal, Invalid

Work = Callable[[], Mapping[str, Any]]


def read_answer(fd: int) -> bytes:
    """One line, or what came before the other ends closed (roles forked meanwhile inherit such an end)."""
    raw = b""
    while not raw.endswith(b"\n") and (part := os.read(fd, 65536)):
        raw += part
    return raw


@dataclass(frozen=True, slots=True)
class Started:
    """Work that a child does meanwhile."""

    pid: int
    reader: int

    def result(self) -> dict[str, Any]:
        """Wait for it. Its `Error` is raised here again."""
        try:
            raw = read_answer(self.reader)
        finally:
            os.close(self.reader)
            os.waitpid(self.pid, 0)
        return unpack(raw)


def start(work: Work, log_fd: int = 2) -> Started:
    """Do `work` in a fork; its result must be JSON, its standard error goes to `log_fd`."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.dup2(log_fd, 2)
        _work(work, writer)
    os.close(writer)
    return Started(pid, reader)


def pack_error(error: BaseException) -> bytes:
    """A failure for the other end of a pipe."""
    if isinstance(error, Error):
        return json.dumps({"error": error.public, "reason": error.reason, "cause": error.cause}).encode() + b"\n"
    return json.dumps({"error": f"unexpected: {error!r}", "reason": "crash", "cause": ""}).encode() + b"\n"


def unpack(raw: bytes) -> dict[str, Any]:
    """A result, or the failure raised."""
    if not raw:
        raise Fatal("a helper process ended without an answer; see the log of the data directory", "crash")
    found: dict[str, Any] = json.loads(raw)
    if "error" in found:
        kind = Fatal if found["reason"] == "crash" else Invalid
        raise kind(found["error"], found["reason"], cause=found["cause"])
    return found


def _work(work: Work, fd: int) -> NoReturn:
    try:
        raw = json.dumps(work()).encode() + b"\n"
    except BaseException as error:
        if not isinstance(error, Error):
            traceback.print_exc()
        raw = pack_error(error)
    try:
        view = memoryview(raw)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        sys.stderr.flush()
        os._exit(0)


def detach(log_fd: int) -> int:
    """Leave the terminal: in the parent the reading end of a pipe, on which the detached child (which
    gets the negative of its writing end) reports."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    first = os.fork()
    if first:
        os.close(writer)
        os.waitpid(first, 0)
        return reader
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(reader)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(null)
    return -writer
