"""One contract for every blob engine: the twin in memory, the disk, and an S3 store (ours, run for the test)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from andromede.engines.disk import DiskEngine
from andromede.engines.memory import MemoryEngine
from andromede.engines.s3 import S3Engine, S3Target
from andromede.errors import Fatal, Invalid, Unavailable
from andromede.ids import RandomIds
from andromede.objects.blobs import BlobEngine, Extent, record_pieces, records
from tests.support.installation import Installation

MIB = 1 << 20
_bucket = itertools.count(1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Target]:
    with Installation.fresh() as installation:
        given = installation.s3
        credentials = tmp_path_factory.mktemp("s3") / "credentials"
        credentials.write_text(f"{given['AWS_ACCESS_KEY_ID']}\n{given['AWS_SECRET_ACCESS_KEY']}\n")
        yield S3Target(installation.objects_url, "", given["AWS_REGION"], credentials)


def s3_engine(store: S3Target) -> S3Engine:
    name = f"blobs-{next(_bucket)}"
    access, secret = store.credentials.read_text().split()
    boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        region_name=store.region,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
    ).create_bucket(Bucket=name)
    return S3Engine(S3Target(store.endpoint, name, store.region, store.credentials), "objects-0", RandomIds())


@pytest.fixture(params=["memory", "disk", "s3"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobEngine]:
    made: BlobEngine
    if request.param == "memory":
        made = MemoryEngine()
    elif request.param == "disk":
        made = DiskEngine(tmp_path / "blobs", "objects-0")
    else:
        made = s3_engine(request.getfixturevalue("store"))
    yield made
    made.close()


def test_records_come_back_each_from_its_extent(engine: BlobEngine) -> None:
    bodies = [b"one", b"", os.urandom(70_000), b"last"]
    extents = engine.append([record_pieces(b"owner-%d" % n, body) for n, body in enumerate(bodies)])
    assert len({extent.name for extent in extents}) == 1
    for n, (extent, body) in enumerate(zip(extents, bodies, strict=True)):
        assert engine.read(extent) == b"".join(record_pieces(b"owner-%d" % n, body))
    reader = engine.open(Extent(extents[0].name, 0, extents[-1].offset + extents[-1].length))
    found = list(records(reader, extents[-1].offset + extents[-1].length, extents[0].name))
    reader.close()
    assert [owner for owner, _ in found] == [b"owner-0", b"owner-1", b"owner-2", b"owner-3"]
    assert [engine.read(extent) if extent.length else b"" for _, extent in found] == bodies


def test_a_second_append_does_not_disturb_the_first(engine: BlobEngine) -> None:
    (first,) = engine.append([record_pieces(b"a", b"first")])
    (second,) = engine.append([record_pieces(b"b", b"second")])
    assert engine.read(first).endswith(b"first")
    assert engine.read(second).endswith(b"second")


@pytest.mark.parametrize("size", [1, 4096, MIB, MIB + 1, 9 * MIB + 12_345])
def test_files_are_read_at_any_offset(engine: BlobEngine, size: int) -> None:
    body = os.urandom(size)
    writer = engine.writer(f"{size:032x}", size)
    for at in range(0, size, MIB):
        writer.write(memoryview(body)[at : at + MIB])
    extent = writer.seal()
    assert extent.length == size
    reader = engine.open(extent)
    try:
        for offset, count in ((0, 100), (100, 4000), (size // 2, 70_000), (max(0, size - 10), 100), (0, size)):
            view = memoryview(bytearray(count))
            got = reader.readinto(view, offset)
            assert bytes(view[:got]) == body[offset : offset + count]
        assert reader.readinto(memoryview(bytearray(10)), size) == 0
    finally:
        reader.close()


def test_a_size_that_is_not_known_before(engine: BlobEngine) -> None:
    writer = engine.writer("e" * 32, None)
    writer.write(memoryview(b"x" * 10))
    assert engine.read(writer.seal()) == b"x" * 10


def test_what_is_discarded_or_removed_is_gone(engine: BlobEngine) -> None:
    dropped = engine.writer("d" * 32, 10)
    dropped.write(memoryview(b"0123456789"))
    dropped.discard()
    writer = engine.writer("a" * 32, 3)
    writer.write(memoryview(b"abc"))
    extent = writer.seal()
    assert [info.name for info in engine.listing()] == [extent.name]
    engine.remove(extent.name)
    engine.remove(extent.name)
    assert list(engine.listing()) == []
    with pytest.raises(Fatal) as caught:
        engine.open(extent)
    assert caught.value.reason == "missing"


def test_the_listing_tells_sizes_and_kinds(engine: BlobEngine) -> None:
    (record,) = engine.append([record_pieces(b"o", b"body")])
    writer = engine.writer("b" * 32, 5)
    writer.write(memoryview(b"12345"))
    kept = writer.seal()
    found = {info.name: info for info in engine.listing()}
    assert found[kept.name].size == 5
    assert not found[kept.name].is_log
    assert found[kept.name].sealed
    assert found[record.name].is_log
    assert found[record.name].size >= record.length
    assert [info.name for info in engine.listing(logs_only=True)] == [record.name]


def test_an_extent_beyond_the_end_is_damage(engine: BlobEngine) -> None:
    writer = engine.writer("c" * 32, 5)
    writer.write(memoryview(b"12345"))
    extent = writer.seal()
    with pytest.raises(Fatal) as caught:
        engine.read(Extent(extent.name, 0, 6))
    assert caught.value.reason == "damage"


def test_an_s3_store_that_is_away_is_unavailable(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("A\nB\n")
    engine = S3Engine(S3Target("http://127.0.0.1:9", "b", "fr1", credentials), "objects-0", RandomIds())
    with pytest.raises(Unavailable):
        engine.append([record_pieces(b"o", b"body")])
    credentials.write_text("only one\nword more\nthan two")
    with pytest.raises(Invalid):
        S3Engine(S3Target("http://127.0.0.1:9", "b", "fr1", credentials), "objects-0", RandomIds())
