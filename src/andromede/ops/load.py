"""A load of this program's own ports: many connections that do one kind of operation, and how long each took."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from andromede.clock import Clock, utc
from andromede.errors import Unavailable

KEPT = 1 << 16  # bytes of an answer's body that are kept; of a longer one the rest is read and dropped
GOOD = (200, 201, 204)


@dataclass(frozen=True, slots=True)
class Target:
    """A port, and a credential where its requests are signed."""

    endpoint: str
    region: str = ""
    access: str = ""
    secret: str = ""
    ca: str | None = None


@dataclass(slots=True)
class Tally:
    """Operations of one phase. `times` in seconds; `seconds` from the first connection to the last answer."""

    times: list[float] = field(default_factory=list)
    failures: int = 0
    first_failure: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`head` is the status line and the headers; `body` may be the beginning of a longer one."""

    status: int
    head: str
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header, named in lower case; an empty string without it."""
        return _header(self.head, name)


def _header(head: str, name: str) -> str:
    lines = (line.partition(":") for line in head.split("\r\n")[1:])
    return next((value.strip() for word, _, value in lines if word.lower() == name), "")


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

    def head(self, method: str, address: str, length: int) -> bytes:
        """The whole request head. `address` is the escaped path with its query, every name of which has a `=`."""
        path, _, query = address.partition("?")
        stamp = utc(self._clock.now_us()).strftime("%Y%m%dT%H%M%SZ")
        names = "host;x-amz-content-sha256;x-amz-date"
        fields = f"host:{self._host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{stamp}\n"
        sorted_query = "&".join(sorted(query.split("&")))
        canonical = f"{method}\n{path}\n{sorted_query}\n{fields}\n{names}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{self._scope}\n{digest}"
        signature = hmac.digest(self._key, text.encode(), "sha256").hex()
        credential = f"Credential={self._target.access}/{self._scope}, SignedHeaders={names}, Signature={signature}"
        return (
            f"{method} {address} HTTP/1.1\r\nHost: {self._host}\r\nx-amz-date: {stamp}\r\n"
            f"x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nAuthorization: AWS4-HMAC-SHA256 {credential}\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()


class Connection:
    """One keep-alive connection."""

    def __init__(self, target: Target, clock: Clock) -> None:
        self._signer = Signer(target, clock)
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

    def call(self, method: str, address: str, body: bytes = b"") -> Answer:
        """One signed request."""
        head = self._signer.head(method, address, len(body))
        if len(body) > KEPT:
            self._socket.sendall(head)
            return self.raw(body, method == "HEAD")
        return self.raw(head + body, method == "HEAD")

    def raw(self, request: bytes, bodiless: bool = False) -> Answer:
        """A ready-made request; `bodiless` says that its answer has no body whatever its head says."""
        self._socket.sendall(request)
        view = memoryview(self._room)
        got = 0
        while (end := self._room.find(b"\r\n\r\n", 0, got)) < 0:
            count = self._socket.recv_into(view[got:])
            if not count:
                raise ConnectionError("the server closed the connection")
            got += count
        head = bytes(self._room[:end]).decode("latin-1")
        status = int(head.split(" ", 2)[1])
        length = int(_header(head, "content-length") or 0)
        body = bytes(view[end + 4 : got])
        left = (length if not bodiless and status != 204 else 0) - len(body)
        while left > 0:
            count = self._socket.recv_into(view, min(left, len(view)))
            if not count:
                raise ConnectionError("the body ended early")
            if len(body) < KEPT:
                body += view[:count]
            left -= count
        return Answer(status, head, body)

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True, slots=True)
class Phase:
    """What each connection does until the time is up and every one of its keys was used once, but no more than `most`
    times (0: no such bound): `operation` with the connection, its number and the turn gives the answer that decides."""

    operation: Callable[[Connection, int, int], Answer]
    seconds: float
    keys: int = 1
    most: int = 0


def _work(target: Target, phase: Phase, clock: Clock, number: int, tally: Tally) -> None:
    connection = Connection(target, clock)
    end, turn = clock.monotonic() + phase.seconds, 0
    while ((begin := clock.monotonic()) < end or turn < phase.keys) and not (phase.most and turn == phase.most):
        answer = phase.operation(connection, number, turn)
        if answer.status in GOOD:
            tally.times.append(clock.monotonic() - begin)
        else:
            tally.failures += 1
            said = answer.body[:300].decode("utf-8", "replace")
            tally.first_failure = tally.first_failure or f"status {answer.status}: {said}"
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
    pipes, begin = [], clock.monotonic()
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
    whole.seconds = clock.monotonic() - begin
    return whole
