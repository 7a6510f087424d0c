"""Large bodies pass through without being held: the memory of the whole cloud moves by less than 64 MiB."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.installation import Installation
from tests.support.processes import memory, processes, with_children
from tests.support.sigv4 import Signer

MEBIBYTE = 1 << 20
SIZE = int(os.environ.get("ANDROMEDE_LARGE_MIB", "512")) * MEBIBYTE
BLOCK = bytes(range(256)) * 4096
pytestmark = pytest.mark.timeout(900)


class Peak:
    """The largest memory of an installation while the block runs."""

    def __init__(self, installation: Installation) -> None:
        self.pids = with_children(list(processes(installation.data)))
        self.before = self.after = memory(self.pids)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.after = max(self.after, memory(self.pids))

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def moved(self) -> int:
        return self.after - self.before


def blocks(size: int) -> Iterator[bytes]:
    for _ in range(size // len(BLOCK)):
        yield BLOCK


@contextlib.contextmanager
def request(cloud: Installation, method: str, target: str, size: int = 0) -> Iterator[http.client.HTTPResponse]:
    """A signed request with a body of `size` bytes that is never whole in memory here either."""
    host = urlsplit(cloud.objects_url).netloc
    headers = Signer.of(cloud.s3).headers(method, target, {"host": host, "content-length": str(size)})
    with contextlib.closing(http.client.HTTPConnection(host, timeout=600)) as connection:
        connection.request(method, target, blocks(size) if size else b"", headers)
        with connection.getresponse() as answer:
            yield answer


def test_a_large_object_goes_in_and_out_in_bounded_memory(cloud: Installation) -> None:
    with request(cloud, "PUT", "/large-objects") as answer:
        assert answer.status == 200
    for name in ("/large-objects/warm", "/large-objects/large"):
        size = 16 * MEBIBYTE if name.endswith("warm") else SIZE
        with Peak(cloud) as peak, request(cloud, "PUT", name, size) as answer:
            assert answer.status == 200, answer.read()
    assert peak.moved < 64 * MEBIBYTE, f"upload: {peak.moved / MEBIBYTE:.0f} MiB"
    want = hashlib.sha256()
    for block in blocks(SIZE):
        want.update(block)
    got = hashlib.sha256()
    with Peak(cloud) as peak, request(cloud, "GET", "/large-objects/large") as answer:
        assert answer.status == 200
        while piece := answer.read(MEBIBYTE):
            got.update(piece)
    assert got.digest() == want.digest()
    assert peak.moved < 64 * MEBIBYTE, f"download: {peak.moved / MEBIBYTE:.0f} MiB"
