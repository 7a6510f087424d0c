"""Rolling restarts under load: no request may fail.

    python -m tests.campaign.rolling --restarts 10 --tls

Clients that never try again: new connections, kept-alive ones, ones that rest between requests, slow readers and slow
senders, through S3, Swift and the API port. Meanwhile `andromede restart` again and again.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import shutil
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.installation import Installation
from tests.support.keystone import Keystone
from tests.support.sigv4 import Signer

LARGE = random.Random(4).randbytes(6 << 20)
SMALL = random.Random(5).randbytes(9_000)
Send = Callable[["Line"], None]


@dataclass(slots=True)
class Line:
    """A client's connection: made when it is needed, closed when the server says so, no second attempt."""

    url: str
    context: ssl.SSLContext | None
    signer: Signer | None = None
    token: str = ""
    connection: http.client.HTTPConnection | None = None
    requests: int = 0
    connections: int = 0
    slowest: float = 0.0

    def request(self, method: str, target: str, body: bytes | Iterator[bytes] = b"", size: int = 0) -> bytes:
        """The body of a successful answer. AssertionError or a transport's error otherwise."""
        return b"".join(self.parts(method, target, body, size))

    def parts(self, method: str, target: str, body: bytes | Iterator[bytes] = b"", size: int = 0) -> Iterator[bytes]:
        began = time.monotonic()
        host = urlsplit(self.url).netloc
        if self.connection is None:
            self.connections += 1
            kind = http.client.HTTPSConnection if self.context else http.client.HTTPConnection
            more = {"context": self.context} if self.context else {}
            self.connection = kind(host, timeout=60, **more)  # type: ignore[arg-type]
        headers = {"host": host}
        if method in ("PUT", "POST"):
            headers["content-length"] = str(len(body) if isinstance(body, bytes) else size)
        if self.signer is not None:
            headers = self.signer.headers(method, target, headers)
        elif self.token:
            headers["x-auth-token"] = self.token
        self.connection.request(method, target, body or None, headers)
        answer = self.connection.getresponse()
        self.slowest = max(self.slowest, time.monotonic() - began) if isinstance(body, bytes) else self.slowest
        length = 0
        while part := answer.read(1 << 16):
            length += len(part)
            yield part
        assert answer.status in (200, 201, 202, 204), f"{method} {target}: {answer.status}"
        self.requests += 1
        if answer.will_close:
            self.close()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


@dataclass(slots=True)
class Load:
    """Clients at work in threads, and what went wrong with them."""

    installation: Installation
    ending: threading.Event = field(default_factory=threading.Event)
    failures: list[str] = field(default_factory=list)
    lines: list[tuple[str, Line]] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context = ssl.create_default_context(cafile=self.installation.ca) if self.installation.ca else None
        self.user = Keystone.log_in(self.installation, self.installation.clouds["andromede"]["auth"])
        self.signer = Signer.of(self.installation.s3)

    context: ssl.SSLContext | None = field(init=False)
    user: Keystone = field(init=False)
    signer: Signer = field(init=False)

    def s3(self) -> Line:
        return Line(self.installation.objects_url, self.context, self.signer)

    def swift(self) -> Line:
        return Line(self.installation.objects_url, self.context, token=self.user.token)

    def api(self) -> Line:
        return Line(self.installation.identity_url, self.context, token=self.user.token)

    def add(self, name: str, line: Line, send: Send, fresh: bool = False, rest: float = 0.0) -> None:
        """One client: `send` again and again, on a new connection each time if `fresh`, after a rest of up to `rest`
        seconds."""
        chance = random.Random(f"{name} {len(self.lines)}")
        self.lines.append((name, line))

        def run() -> None:
            while not self.ending.is_set():
                try:
                    send(line)
                except Exception as failure:
                    self.failures.append(f"{name}: {failure!r}")
                    line.close()
                if fresh:
                    line.close()
                if rest:
                    self.ending.wait(chance.uniform(0, rest))
            line.close()

        self.threads.append(threading.Thread(target=run, name=name))

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join()
        self.user.http.close()

    def report(self) -> dict[str, object]:
        requests: Counter[str] = Counter()
        connections: Counter[str] = Counter()
        for name, line in self.lines:
            requests[name] += line.requests
            connections[name] += line.connections
        slowest = max(line.slowest for _, line in self.lines)
        return {
            "requests": dict(requests), "connections": dict(connections), "all": requests.total(),
            "slowest_first_byte_s": round(slowest, 3), "failed": len(self.failures), "failures": self.failures[:20],
        }  # fmt: skip


def mixed(installation: Installation, times: int = 2) -> Load:
    """Every kind of client, so many times."""
    load = Load(installation)
    first = load.s3()
    first.request("PUT", "/rolling")
    first.request("PUT", "/rolling/large", LARGE)
    first.request("PUT", "/rolling/small", SMALL)
    first.close()
    account = urlsplit(load.user.endpoint("object-store")).path
    numbers = iter(range(1 << 60))

    def put_get(line: Line) -> None:
        target = f"/rolling/k{next(numbers) % 500}"
        line.request("PUT", target, SMALL)
        assert line.request("GET", "/rolling/small") == SMALL

    def get(line: Line) -> None:
        assert line.request("GET", "/rolling/small") == SMALL

    def swift(line: Line) -> None:
        line.request("PUT", f"{account}/rolling/s{next(numbers) % 500}", SMALL)
        assert line.request("GET", f"{account}/rolling/small") == SMALL

    def identity(line: Line) -> None:
        assert load.user.project_id in line.request("GET", "/identity/v3/auth/projects").decode()

    def health(line: Line) -> None:
        line.request("GET", "/healthz")

    def slow_get(line: Line) -> None:
        found = b""
        for part in line.parts("GET", "/rolling/large"):
            found += part
            time.sleep(0.02)
        assert found == LARGE

    def slow_put(line: Line) -> None:
        def drops() -> Iterator[bytes]:
            for at in range(0, len(LARGE), 1 << 16):
                yield LARGE[at : at + (1 << 16)]
                time.sleep(0.03)

        line.request("PUT", f"/rolling/slow{next(numbers) % 9}", drops(), len(LARGE))

    for _ in range(2 * times):
        load.add("S3 kept alive", load.s3(), put_get)
        load.add("S3 new connections", load.s3(), get, fresh=True)
        load.add("S3 resting", load.s3(), get, rest=3.0)
    for _ in range(times):
        load.add("Swift kept alive", load.swift(), swift)
        load.add("Swift new connections", load.swift(), swift, fresh=True)
        load.add("API kept alive", load.api(), identity, rest=0.05)
        load.add("API new connections", load.api(), health, fresh=True)
        load.add("API resting", load.api(), identity, rest=3.0)
        load.add("slow readers", load.s3(), slow_get)
        load.add("slow senders", load.s3(), slow_put)
    return load


def run(installation: Installation, restarts: int, pause: float = 0.5, times: int = 2) -> dict[str, object]:
    """The report of so many restarts under load."""
    load = mixed(installation, times)
    load.start()
    took = []
    began = time.monotonic()
    try:
        time.sleep(1.0)
        for _ in range(restarts):
            at = time.monotonic()
            installation.run("restart")
            took.append(round(time.monotonic() - at, 2))
            time.sleep(pause)
    finally:
        seconds = time.monotonic() - began
        load.stop()
    found = load.report()
    return {**found, "restart_s": took, "seconds": round(seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--tls", action="store_true")
    args = parser.parse_args()
    with Installation.fresh(tls=args.tls) as installation:
        found = run(installation, args.restarts)
        print(json.dumps(found, indent=1))
        print(installation.run("fsck", "--deep").stdout.strip().splitlines()[-1])
    shutil.rmtree(installation.data, ignore_errors=True)
    raise SystemExit(bool(found["failed"]))


if __name__ == "__main__":
    main()
