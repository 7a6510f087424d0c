"""Connections to known workers of the object port, so that one worker can be asked about what another one changed.

The workers share a port by SO_REUSEPORT: the kernel spreads new connections over them, and which one got a connection
can be read in /proc, where the accepted socket is among the files of its process.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.installation import Installation, wait_until
from tests.support.processes import processes
from tests.support.sigv4 import Signer

Headers = dict[str, str]
Sign = Callable[[str, str, Headers, bytes], Headers]
"""(method, target, headers, body) to the headers that are sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers with lower-case names, body."""

    status: int
    headers: Headers
    body: bytes


class Unknown(ConnectionError):
    """The answer was lost, or was a 5xx: whether the request had an effect is not known."""


def anyone(method: str, target: str, headers: Headers, body: bytes) -> Headers:
    """No credentials."""
    return headers


def signed(signer: Signer) -> Sign:
    """Signature version 4."""

    def sign(method: str, target: str, headers: Headers, body: bytes) -> Headers:
        return signer.headers(method, target, headers, hashlib.sha256(body).hexdigest())

    return sign


def with_token(token: str) -> Sign:
    """A token of the identity service."""
    return lambda method, target, headers, body: {**headers, "X-Auth-Token": token}


class Unreached(Unknown):
    """Nobody took the connection: the request had no effect."""


@dataclass(slots=True)
class Line:
    """One kept-alive connection to one port."""

    host: str
    connection: http.client.HTTPConnection | None = None

    def open(self) -> http.client.HTTPConnection:
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, timeout=30)
        return self.connection

    def ask(self, sign: Sign, method: str, target: str, body: bytes = b"", headers: Headers | None = None) -> Answer:
        """One request; `target` is escaped. Raises `Unknown` when no answer came, or a 5xx;
        `Unreached` when there was no connection."""
        given = {"host": self.host, "content-length": str(len(body)), **(headers or {})}
        connection = self.open()
        try:
            if connection.sock is None:
                connection.connect()
        except OSError as failure:
            self.close()
            raise Unreached(f"{method} {target}: {failure}") from failure
        try:
            connection.request(method, target, body, sign(method, target, given, body))
            answer = connection.getresponse()
            read = answer.read()
        except (OSError, http.client.HTTPException) as failure:
            self.close()
            raise Unknown(f"{method} {target}: {type(failure).__name__} {failure}") from failure
        if answer.will_close:
            self.close()
        if answer.status >= 500 and answer.status != 501:
            raise Unknown(f"{method} {target}: {answer.status} {read[:300]!r}")
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, read)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def inode_of(line: Line) -> str:
    """The inode of the other end of a connection, an empty string while nobody has accepted it."""
    assert line.connection is not None and line.connection.sock is not None
    mine = line.connection.sock.getsockname()[1]
    theirs = line.connection.sock.getpeername()[1]
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = row.split()
        ends = [int(words[part].rpartition(":")[2], 16) for part in (1, 2)]
        if ends == [theirs, mine]:
            return words[9] if words[9] != "0" else ""
    return ""


def owner_of(inode: str, pids: list[int]) -> int | None:
    """Which of the processes holds the socket."""
    for pid in pids:
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{number}") == f"socket:[{inode}]":
                    return pid
    return None


@dataclass(slots=True)
class Workers:
    """The workers of a running installation, each with a line to it."""

    installation: Installation
    lines: dict[int, Line] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.installation.objects_url).netloc

    def pids(self) -> list[int]:
        """Process ids of the workers, in order."""
        return sorted(pid for pid, role in processes(self.installation.data).items() if role == "objects")

    def line(self) -> Line:
        """A new connection to whichever worker the kernel chooses."""
        return Line(self.host)

    def each(self) -> list[Line]:
        """One line per worker, always in the same order."""
        wanted = self.pids()
        for pid in [pid for pid, line in self.lines.items() if pid not in wanted or line.connection is None]:
            self.lines.pop(pid).close()
        for _ in range(300):
            if len(self.lines) == len(wanted):
                return [self.lines[pid] for pid in wanted]
            line = self.line()
            line.ask(anyone, "GET", "/info")
            inode = wait_until("acceptance of a connection", lambda line=line: inode_of(line), 5, 0.01)
            owner = owner_of(inode, wanted)
            if owner is None or owner in self.lines:
                line.close()
            else:
                self.lines[owner] = line
        raise AssertionError(f"no connection reached worker {set(wanted) - set(self.lines)} in 300 tries")

    def close(self) -> None:
        for line in self.lines.values():
            line.close()
        self.lines.clear()


@contextlib.contextmanager
def workers(installation: Installation) -> Iterator[Workers]:
    """The workers, with their lines closed at the end."""
    found = Workers(installation)
    try:
        yield found
    finally:
        found.close()
