"""A small S3 load: many connections that put and get objects of one size, and how long each call took."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from andromede.clock import Clock, utc
from andromede.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Target:
    """The object port and a credential for it."""

    endpoint: str
    region: str
    access: str
    secret: str
    ca: str | None = None


@dataclass(slots=True)
class Tally:
    """Calls of one phase; `times` in seconds."""

    times: list[float] = field(default_factory=list)
    failures: int = 0
    first_failure: str = ""


class Signer:
    """Signature version 4 with an unsigned payload, for one day and one credential."""

    def __init__(self, target: Target, clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._host = urlsplit(target.endpoint).netloc
        day = utc(clock.now_us()).strftime("%Y%m%d")
        key = f"AWS4{target.secret}".encode()
        for word in (day, target.region, "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        self._key = key
        self._scope = f"{day}/{target.region}/s3/aws4_request"

    def head(self, method: str, path: str, length: int) -> bytes:
        """The whole request head."""
        stamp = utc(self._clock.now_us()).strftime("%Y%m%dT%H%M%SZ")
        names = "host;x-amz-content-sha256;x-amz-date"
        fields = f"host:{self._host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{stamp}\n"
        canonical = f"{method}\n{path}\n\n{fields}\n{names}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{self._scope}\n{digest}"
        signature = hmac.digest(self._key, text.encode(), "sha256").hex()
        credential = f"Credential={self._target.access}/{self._scope}, SignedHeaders={names}, Signature={signature}"
        return (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nx-amz-date: {stamp}\r\n"
            f"x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nAuthorization: AWS4-HMAC-SHA256 {credential}\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()


class Connection:
    """One keep-alive connection."""

    def __init__(self, target: Target, signer: Signer) -> None:
        self._signer = signer
        parts = urlsplit(target.endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            plain = socket.create_connection((parts.hostname or "", port), 30)
        except OSError as error:
            raise Unavailable(
                f"{target.endpoint} does not answer ({error}); start it with: andromede up", "start"
            ) from error
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket: socket.socket = plain
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=target.ca)
            self._socket = context.wrap_socket(plain, server_hostname=parts.hostname)
        self._room = bytearray(1 << 18)

    def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, int]:
        """(status, bytes of the body) of one request."""
        self._socket.sendall(self._signer.head(method, path, len(body)) + body)
        view = memoryview(self._room)
        got = 0
        while (end := self._room.find(b"\r\n\r\n", 0, got)) < 0:
            count = self._socket.recv_into(view[got:])
            if not count:
                raise ConnectionError("the server closed the connection")
            got += count
        head = bytes(self._room[:end]).decode("latin-1").lower()
        status = int(head.split(" ", 2)[1])
        length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
        left = (length if method != "HEAD" and status != 204 else 0) - (got - end - 4)
        while left > 0:
            count = self._socket.recv_into(view, min(left, len(view)))
            if not count:
                raise ConnectionError("the body ended early")
            left -= count
        return status, length

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True, slots=True)
class Phase:
    """What each connection does until the time is up and every one of its keys was used once."""

    method: str
    bucket: str
    size: int
    seconds: float
    keys: int = 16


def _work(target: Target, phase: Phase, clock: Clock, number: int, tally: Tally) -> None:
    connection = Connection(target, Signer(target, clock))
    body = bytes(phase.size) if phase.method == "PUT" else b""
    end, turn = clock.monotonic() + phase.seconds, 0
    while (begin := clock.monotonic()) < end or turn < phase.keys:
        path = f"/{phase.bucket}/{number:03d}/{turn % phase.keys:04d}"
        status, _ = connection.call(phase.method, path, body)
        if status in (200, 204):
            tally.times.append(clock.monotonic() - begin)
        else:
            tally.failures += 1
            tally.first_failure = tally.first_failure or f"{phase.method} {path}: status {status}"
        turn += 1
    connection.close()


def _process(target: Target, phase: Phase, clock: Clock, numbers: Sequence[int], writer: int) -> None:
    tallies = [Tally() for _ in numbers]

    def guarded(number: int, tally: Tally) -> None:
        try:
            _work(target, phase, clock, number, tally)
        except (OSError, Unavailable) as error:
            tally.failures += 1
            tally.first_failure = str(error)

    pairs = zip(numbers, tallies, strict=True)
    threads = [threading.Thread(target=guarded, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = [time for tally in tallies for time in tally.times]
    first = next((tally.first_failure for tally in tallies if tally.first_failure), "")
    raw = json.dumps([times, sum(tally.failures for tally in tallies), first]).encode()
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(raw)


def run(target: Target, phase: Phase, clock: Clock, connections: int, processes: int) -> Tally:
    """One phase over `connections`, spread over forked client processes."""
    pipes = []
    for index in range(min(processes, connections)):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(reader)
                _process(target, phase, clock, range(index, connections, processes), writer)
                code = 0
            finally:
                os._exit(code)
        os.close(writer)
        pipes.append((pid, reader))
    whole = Tally()
    for pid, reader in pipes:
        with os.fdopen(reader, "rb") as pipe:
            raw = pipe.read()
        os.waitpid(pid, 0)
        times, failures, first = json.loads(raw or b'[[], 1, "a client process ended early"]')
        whole.times += times
        whole.failures += failures
        whole.first_failure = whole.first_failure or first
    return whole


def once(target: Target, clock: Clock, method: str, path: str) -> int:
    """The status of a single call."""
    connection = Connection(target, Signer(target, clock))
    try:
        return connection.call(method, path)[0]
    finally:
        connection.close()
