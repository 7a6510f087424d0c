"""Objects and containers that are replaced between the look at them and what follows it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from andromede.clock import SystemClock
from andromede.db import Database
from andromede.objects import version_store
from andromede.objects.door import Dispatcher
from andromede.objects.replaced import TRIES, Replaced, steadily
from andromede.objects.service import Objects
from tests.support.doors import Doors, doors

S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@pytest.fixture
def both(db: Database, tmp_path: Path) -> Iterator[Doors]:
    with doors(db, tmp_path, SystemClock()) as found:
        assert found.s3("PUT", "box").status == 200
        whole = Dispatcher(found.s3_door, found.swift_door)
        yield Doors(found.vault, found.people, whole, whole)


def in_parts(both: Doors, data: bytes) -> None:
    begun = ElementTree.fromstring(both.s3("POST", "box/k", b"", query="uploads=").body)
    upload = begun.findtext(S3 + "UploadId")
    tag = both.s3("PUT", "box/k", data, query=f"partNumber=1&uploadId={upload}").headers["etag"]
    listed = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
    )
    assert both.s3("POST", "box/k", listed.encode(), query=f"uploadId={upload}").status == 200


def meanwhile(monkeypatch: pytest.MonkeyPatch, name: str, first: Callable[[], Any], times: int = 1) -> None:
    """Before each of the next calls of a function of the version store, something else happens."""
    really, left, busy = getattr(version_store, name), [first] * times, threading.Lock()

    def call(*args: Any) -> Any:
        if left and busy.acquire(blocking=False):  # what happens reads parts itself
            left.pop()()
            busy.release()
        return really(*args)

    monkeypatch.setattr(version_store, name, call)


READS: dict[str, Callable[[Doors], Any]] = {
    "S3 GET": lambda both: both.s3("GET", "box/k"),
    "Swift GET": lambda both: both.swift("GET", "box/k"),
    "S3 range": lambda both: both.s3("GET", "box/k", headers={"range": "bytes=0-99"}),
    "S3 part": lambda both: both.s3("GET", "box/k", query="partNumber=1"),
    "S3 copy": lambda both: both.s3("PUT", "box/copy", b"", {"x-amz-copy-source": "/box/k"}),
    "Swift copy": lambda both: both.swift("PUT", "box/copy", b"", {"X-Copy-From": "/box/k"}),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_read_follows_the_replacement(both: Doors, monkeypatch: pytest.MonkeyPatch, read: str, times: int) -> None:
    in_parts(both, b"first")
    name = "one_part" if read == "S3 part" else "parts"
    meanwhile(monkeypatch, name, lambda: in_parts(both, b"later"), times)
    answer = READS[read](both)
    assert answer.status in (200, 201, 206), answer.body
    if "copy" in read:
        answer = both.s3("GET", "box/copy")
    assert answer.body == b"later"


@pytest.mark.parametrize("read", READS)
def test_a_read_of_what_was_deleted_finds_nothing(both: Doors, monkeypatch: pytest.MonkeyPatch, read: str) -> None:
    in_parts(both, b"first")
    meanwhile(monkeypatch, "one_part" if read == "S3 part" else "parts", lambda: both.s3("DELETE", "box/k"))
    answer = READS[read](both)
    assert answer.status == 404, answer.body


def test_the_looks_have_an_end() -> None:
    looks: list[int] = []

    def handle(number: int) -> None:
        looks.append(number)
        raise Replaced("k")

    with pytest.raises(Replaced):
        steadily(handle, 7)
    assert looks == [7] * TRIES


def afterwards(monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any]) -> None:
    """Right after the next look for a container, something else happens."""
    really, left = Objects.container, [then]

    def container(self: Objects, *args: Any) -> Any:
        try:
            return really(self, *args)
        finally:
            if left:
                left.pop()()

    monkeypatch.setattr(Objects, "container", container)


def test_a_container_that_goes_beside_its_put_is_made_again(both: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    afterwards(monkeypatch, lambda: both.s3("DELETE", "box"))
    assert both.swift("PUT", "box", headers={"X-Container-Meta-Color": "red"}).status == 201
    assert both.swift("HEAD", "box").headers["x-container-meta-color"] == "red"


def test_a_container_that_comes_beside_its_put_keeps_what_both_gave(
    both: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other() -> None:
        assert both.swift("PUT", "new", headers={"X-Container-Meta-One": "1"}).status == 201

    afterwards(monkeypatch, other)
    assert both.swift("PUT", "new", headers={"X-Container-Meta-Two": "2"}).status == 202
    shown = both.swift("HEAD", "new").headers
    assert (shown["x-container-meta-one"], shown["x-container-meta-two"]) == ("1", "2")
