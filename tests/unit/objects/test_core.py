"""The object service: bytes in and out, versions, conditions, counters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.engines.disk import DiskEngine
from andromede.errors import NotFound
from andromede.objects.model import Receive, Usage, Versioning
from tests.support.clock import FakeClock
from tests.support.vault import Bytes, Vault, vault


@pytest.fixture
def box_of(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Vault]:
    with vault(db, DiskEngine(tmp_path / "blobs", "objects-0"), tmp_path, clock) as found:
        yield found


def pattern(size: int) -> bytes:
    return bytes(range(251)) * (size // 251 + 1) if size > 251 else bytes(range(251))[:size]


SIZES = [0, 1, 65536, 65537, 262127, 262128, 262129, 4 * 262128, 4 * 262128 + 1, 3_000_000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("declared", [True, False])
def test_bytes_come_back(box_of: Vault, size: int, declared: bool) -> None:
    box = box_of.container()
    data = pattern(size)[:size]
    want = Receive(size if declared else None, algorithms=("CRC64NVME", "SHA256"))
    version = box_of.put(box, "k/é", data, want=want)
    assert version.size == size
    assert box_of.get(box, "k/é") == data
    for start, stop in [(0, 1), (size // 2, size // 2 + 10), (size - 1, size), (262120, 262140), (5, size)]:
        if 0 <= start < stop <= size:
            assert box_of.get(box, "k/é", start=start, stop=stop) == data[start:stop]
    assert box_of.objects.usage(box) == Usage(1, size)


def test_versions_stack_and_unstack(box_of: Vault) -> None:
    box = box_of.container(versioning=Versioning.ENABLED)
    one, two = box_of.put(box, "k", b"one"), box_of.put(box, "k", b"two")
    assert box_of.get(box, "k") == b"two"
    gone = box_of.delete(box, "k")
    assert gone.marker is not None
    with pytest.raises(NotFound) as caught:
        box_of.objects.head(box, "k")
    assert caught.value.detail["marker"].id == gone.marker.id
    assert box_of.objects.usage(box) == Usage(0, 0)
    box_of.delete(box, "k", gone.marker.id)
    assert box_of.get(box, "k") == b"two"
    box_of.delete(box, "k", two.id)
    assert box_of.get(box, "k") == b"one"
    assert box_of.objects.head(box, "k").is_latest
    assert box_of.objects.head(box, "k", one.id).id == one.id
    assert box_of.objects.usage(box) == Usage(1, 3)


def test_a_body_that_ends_early_leaves_nothing(box_of: Vault) -> None:
    box = box_of.container()
    for size in (10, 100_000):
        with pytest.raises(Exception, match="short body"):
            box_of.objects.receive(box, Bytes(pattern(size)[:size]), Receive(size + 1))
    assert [info for info in box_of.engine.listing() if not info.is_log] == []
