"""Writers that remember what was acknowledged, so that a crash can be held against it byte for byte."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from tests.support.installation import Installation
from tests.support.sigv4 import Signer

SIZES = (0, 1, 700, 4096, 40_000, 66_000, 300_000, 1_200_000)
Body = bytes | None  # None: no such object


@dataclass(slots=True)
class S3Door:
    """One kept-alive connection that signs its requests; any transport failure or 5xx raises ConnectionError.
    `places` gathers what answers promised: (place in the ledger, request id)."""

    installation: Installation
    places: list[tuple[str, str]] = field(default_factory=list)
    signer: Signer = field(init=False)
    connection: http.client.HTTPConnection | None = None

    def __post_init__(self) -> None:
        self.signer = Signer.of(self.installation.s3)

    def call(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers with lower-case names; `target` is escaped."""
        host = urlsplit(self.installation.objects_url).netloc
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(host, timeout=20)
            payload = hashlib.sha256(body).hexdigest()
            sent = {"host": host, "content-length": str(len(body)), **(headers or {})}
            self.connection.request(method, target, body, self.signer.headers(method, target, sent, payload))
            answer = self.connection.getresponse()
            read = answer.read()
        except (TimeoutError, OSError, http.client.HTTPException) as failure:
            self.close()
            raise ConnectionError(str(failure)) from failure
        if answer.status >= 500:
            self.close()
            raise ConnectionError(f"{answer.status} {read[:200]!r}")
        found = {name.lower(): value for name, value in answer.getheaders()}
        if "andromede-ledger" in found:
            self.places.append((found["andromede-ledger"], found["x-amz-request-id"]))
        return answer.status, read, found

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


@dataclass(slots=True)
class Writer:
    """Puts, overwrites, deletes and multipart uploads on keys of its own, until told to stop.

    `possible` holds for each key the bodies that a reader may see: one after an acknowledged change, more after a
    change whose answer was lost.
    """

    installation: Installation
    bucket: str
    name: str
    seed: int
    possible: dict[str, set[Body]] = field(default_factory=dict)
    acknowledged: int = 0
    unexpected: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    places: list[tuple[str, str]] = field(default_factory=list)

    def start(self) -> None:
        self.stopping.clear()
        self.thread = threading.Thread(target=self._run, name=self.name)
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        if self.thread is not None:
            self.thread.join()

    def _run(self) -> None:
        chance = random.Random(self.seed + self.acknowledged)
        door = S3Door(self.installation, self.places)
        while not self.stopping.is_set():
            key = f"{self.name}/{chance.randrange(40):02d}"
            body: Body = chance.randbytes(chance.choice(SIZES))
            kind = chance.choice(("put", "put", "put", "put", "delete", "parts"))
            if kind == "delete":
                body = None
            try:
                self._change(door, key, kind, body)
            except ConnectionError:
                self.possible.setdefault(key, {None}).add(body)
                self.stopping.wait(0.05)
            except AssertionError as failure:
                self.unexpected.append(str(failure))
                self.possible.setdefault(key, {None}).add(body)
            else:
                self.possible[key] = {body}
                self.acknowledged += 1
        door.close()

    def _change(self, door: S3Door, key: str, kind: str, body: Body) -> None:
        target = f"/{self.bucket}/{quote(key)}"
        if body is None:
            self._expect(door, "DELETE", target, 204)
        elif kind == "put":
            self._expect(door, "PUT", target, 200, body)
        else:
            begun = self._expect(door, "POST", f"{target}?uploads=", 200)
            upload = next(part.text for part in ElementTree.fromstring(begun).iter() if part.tag.endswith("UploadId"))
            status, answer, headers = door.call("PUT", f"{target}?partNumber=1&uploadId={upload}", body)
            assert status == 200, f"part of {key}: {status} {answer[:200]!r}"
            etag = headers["etag"]
            listed = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
            whole = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
            self._expect(door, "POST", f"{target}?uploadId={upload}", 200, whole)

    @staticmethod
    def _expect(door: S3Door, method: str, target: str, status: int, body: bytes = b"") -> bytes:
        got, answer, _ = door.call(method, target, body)
        assert got == status, f"{method} {target}: {got} {answer[:300]!r}"
        return answer

    def verify(self, door: S3Door) -> list[str]:
        """What is not as acknowledged; afterwards the state seen is the only possible one."""
        wrong = []
        for key, bodies in self.possible.items():
            status, read, _ = door.call("GET", f"/{self.bucket}/{quote(key)}")
            seen: Body = read if status == 200 else None
            if status not in (200, 404) or seen not in bodies:
                sizes = [None if body is None else len(body) for body in bodies]
                wrong.append(f"{key}: {status}, {len(read)} bytes, acknowledged {sizes}")
            self.possible[key] = {seen}
        return wrong


@contextlib.contextmanager
def load(writers: list[Writer]):  # type: ignore[no-untyped-def]
    """Writers at work while the block runs."""
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        for writer in writers:
            writer.stop()
