"""Uploads in parts: S3 multipart, and Swift's static large objects. One thread for each upload."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Mapping

from bench.clients.requests import PIECE
from bench.clients.threads import Threads
from bench.figures import Line
from bench.peers.base import Peer

PART = 8 << 20


class Uploads(Threads):
    """Uploads to one peer, `size` bytes each."""

    def __init__(self, peer: Peer, size: int) -> None:
        super().__init__(size)
        self.peer = peer

    def call(self, wire: http.client.HTTPConnection, method: str, target: str, body: int | bytes) -> tuple[bytes, str]:
        """The answer's body and ETag; the request has the bytes given or that many. ConnectionError on a refusal."""
        length = body if isinstance(body, int) else len(body)
        fields: Mapping[str, str] = {**self.peer.headers(method, target), "content-length": str(length)}
        wire.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in fields.items():
            wire.putheader(name, value)
        wire.endheaders()
        if isinstance(body, int):
            for _ in range(length // len(PIECE)):
                wire.send(PIECE)
        elif body:
            wire.send(body)
        answer = wire.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise ConnectionError(f"{method} {target}: {answer.status} {text[:200]!r}")
        return text, (answer.getheader("etag") or "").strip('"')

    def s3(self, wire: http.client.HTTPConnection, key: str) -> None:
        begun, _ = self.call(wire, "POST", f"{key}?uploads=", b"")
        found = re.search(rb"<UploadId>([^<]+)</UploadId>", begun)
        assert found is not None, begun[:300]
        upload, listed = found[1].decode(), ""
        for number in range(1, self.size // PART + 1):
            _, etag = self.call(wire, "PUT", f"{key}?partNumber={number}&uploadId={upload}", PART)
            listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        whole = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        self.call(wire, "POST", f"{key}?uploadId={upload}", whole)

    def swift(self, wire: http.client.HTTPConnection, key: str) -> None:
        container = self.peer.prefix.rpartition("/")[2]
        name, segments = key.rpartition("/")[2], []
        for number in range(self.size // PART):
            _, etag = self.call(wire, "PUT", f"{key}-part-{number}", PART)
            segments.append({"path": f"/{container}/{name}-part-{number}", "etag": etag, "size_bytes": PART})
        self.call(wire, "PUT", f"{key}?multipart-manifest=put", json.dumps(segments).encode())

    def connection(self, number: int, end: float) -> None:
        upload = self.swift if self.peer.dialect == "swift" else self.s3
        wire, turn = http.client.HTTPConnection(self.peer.address, timeout=60), 0
        while time.perf_counter() < end and len(self.failures) < 10:
            began = time.perf_counter()
            try:
                upload(wire, f"{self.peer.prefix}/parts-{number}-{turn % 4}")
                self.seconds.append(time.perf_counter() - began)
            except (OSError, http.client.HTTPException) as failure:
                self.failures.append(str(failure))
                wire.close()
            turn += 1
        wire.close()


def multipart(peer: Peer, size: int, connections: int, seconds: float) -> Line:
    """Uploads of `size` bytes in parts of 8 MiB for that long; the rate in megabytes a second."""
    uploads = Uploads(peer, size)
    return uploads.run(uploads.connection, connections, seconds)
