"""Multipart uploads, copies, accounts and containers."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.engines.disk import DiskEngine
from andromede.errors import Conflict, Denied, Invalid, NotFound, Precondition
from andromede.objects import digests, trail
from andromede.objects.collect import Collector
from andromede.objects.compact import Compactor
from andromede.objects.fsck import fsck
from andromede.objects.model import (
    Attributes,
    Checksum,
    Conditions,
    Container,
    CopySource,
    Encryption,
    Expected,
    ListQuery,
    Part,
    Receive,
    Trace,
    Upload,
    Usage,
    Versioning,
)
from andromede.web.actor import Actor
from tests.support.clock import FakeClock
from tests.support.vault import ACTOR, NO_CONDITIONS, TRACE, Bytes, Vault, vault

FIVE = 5 << 20


@pytest.fixture
def made(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Vault]:
    with vault(db, DiskEngine(tmp_path / "blobs", "objects-0", log_size=50_000), tmp_path, clock) as found:
        yield found


def begin(made: Vault, box: Container, algorithm: str | None = None, kind: str | None = None) -> Upload:
    attributes = Attributes("text/plain", metadata={"a": "b"})
    return made.objects.run(made.objects.create_upload(box, "key", attributes, algorithm, kind, TRACE))


def part(made: Vault, box: Container, upload: Upload, number: int, data: bytes, algorithm: str = "CRC32") -> Part:
    stored = made.objects.receive(box, Bytes(data), Receive(len(data), algorithms=(algorithm,)))
    return made.objects.run(made.objects.put_part(upload, number, stored, TRACE))


def complete(made: Vault, upload: Upload, parts: list[Part], expected: Expected = Expected()) -> object:  # noqa: B008
    listed = [(p.number, p.etag, p.checksum) for p in parts]
    return made.objects.run(made.objects.complete_upload(upload, listed, NO_CONDITIONS, expected, TRACE))


def test_parts_become_one_object(made: Vault) -> None:
    box = made.container()
    upload = begin(made, box, "CRC32", "FULL_OBJECT")
    pieces = {2: b"a" * FIVE, 5: b"b" * (FIVE + 1), 9: b"c" * 100}
    part(made, box, upload, 2, b"an earlier try")
    parts = [part(made, box, upload, number, data) for number, data in pieces.items()]
    part(made, box, upload, 7, b"never listed")
    assert [p.number for p in made.objects.list_parts(upload)] == [2, 5, 7, 9]
    with pytest.raises(NotFound):
        made.objects.head(box, "key")
    whole = b"".join(pieces.values())
    crc = base64.b64encode(zlib.crc32(whole).to_bytes(4, "big")).decode()
    version = complete(made, upload, parts, Expected(Checksum("CRC32", crc), len(whole)))
    seen = made.objects.head(box, "key")
    assert seen == version
    md5s = b"".join(hashlib.md5(data).digest() for data in pieces.values())
    assert seen.etag == f"{hashlib.md5(md5s).hexdigest()}-3"
    assert (seen.size, seen.parts, seen.checksum) == (len(whole), 3, Checksum("CRC32", crc))
    assert seen.attributes.metadata == {"a": "b"}
    assert made.objects.read_all(seen) == whole
    for start, stop in [(0, 1), (FIVE - 1, FIVE + 1), (2 * FIVE, len(whole)), (FIVE, 2 * FIVE + 2)]:
        assert made.objects.read_all(seen, start, stop) == whole[start:stop]
    found, offset = made.objects.read_part(seen, 5)
    assert (found.size, offset) == (FIVE + 1, FIVE)
    with pytest.raises(NotFound):
        made.objects.read_part(seen, 7)
    assert [p.number for p in made.objects.parts(seen, after=2)] == [5, 9]
    assert made.objects.usage(box) == Usage(1, len(whole))
    assert complete(made, upload, parts) == version
    with pytest.raises(NotFound) as caught:
        made.objects.upload(box, "key", upload.id)
    assert caught.value.detail["completed"] == version
    assert fsck(made.db, made.engine, made.keys, deep=True) == []
    made.delete(box, "key")
    with pytest.raises(NotFound):
        complete(made, upload, parts)
    assert made.db.all("SELECT * FROM part") == []


def test_completions_that_contradict_are_refused(made: Vault) -> None:
    box = made.container()
    upload = begin(made, box, "SHA256", "COMPOSITE")
    one, two = part(made, box, upload, 1, b"small", "SHA256"), part(made, box, upload, 2, b"last", "SHA256")

    def reason(listed: list[tuple[int, str, Checksum | None]], expected: Expected = Expected()) -> str:  # noqa: B008
        with pytest.raises(Invalid) as caught:
            made.objects.run(made.objects.complete_upload(upload, listed, NO_CONDITIONS, expected, TRACE))
        return caught.value.reason

    assert reason([]) == "part_list"
    assert reason([(1, one.etag, None), (2, two.etag, None)]) == "part_small"
    assert reason([(2, two.etag, None), (1, one.etag, None)]) in ("part_small", "part_order")
    assert reason([(1, "0" * 32, None)]) == "part"
    assert reason([(3, one.etag, None)]) == "part"
    assert reason([(1, one.etag, Checksum("SHA256", "x"))]) == "part"
    assert reason([(1, one.etag, None)], Expected(size=6)) == "size"
    assert reason([(1, one.etag, None)], Expected(Checksum("SHA256", "x-1"))) == "bad_digest"
    with pytest.raises(NotFound):
        step = made.objects.complete_upload(
            upload, [(1, one.etag, None)], Conditions(if_match='"x"'), Expected(), TRACE
        )
        made.objects.run(step)
    made.put(box, "key", b"before")
    with pytest.raises(Precondition):
        made.objects.run(
            made.objects.complete_upload(
                upload, [(1, one.etag, None)], Conditions(if_none_match="*"), Expected(), TRACE
            )
        )
    assert made.get(box, "key") == b"before"
    version = made.objects.run(
        made.objects.complete_upload(upload, [(1, f'"{one.etag}"', None)], NO_CONDITIONS, Expected(), TRACE)
    )
    assert version.checksum is not None and version.checksum.value.endswith("-1")
    assert made.get(box, "key") == b"small"


def test_aborted_uploads_leave_garbage_only(made: Vault) -> None:
    box = made.container()
    upload = begin(made, box)
    one = part(made, box, upload, 1, b"x" * 70_000)
    made.objects.run(made.objects.abort_upload(upload, TRACE))
    for again in (
        lambda: made.objects.run(made.objects.abort_upload(upload, TRACE)),
        lambda: part(made, box, upload, 1, b"y"),
        lambda: complete(made, upload, [one]),
        lambda: made.objects.upload(box, "key", upload.id),
    ):
        with pytest.raises(NotFound) as caught:
            again()
        assert caught.value.reason == "upload"
    assert made.db.all("SELECT * FROM part") == []
    with pytest.raises(NotFound):
        made.objects.list_parts(upload) or made.objects.upload(box, "key", upload.id)


def test_small_parts_survive_compaction(made: Vault, clock: FakeClock) -> None:
    box = made.container()
    upload = begin(made, box)
    for n in range(20):
        made.put(box, f"junk{n}", bytes([n]) * 5000)
    kept = part(made, box, upload, 1, b"kept" * 1000)
    for n in range(20):
        made.put(box, f"more{n}", bytes([n]) * 5000)
    complete(made, upload, [kept])
    for n in range(20):
        made.delete(box, f"junk{n}")
        made.delete(box, f"more{n}")
    for _ in range(4):
        clock.advance(101)
        Collector(made.db, made.engine, clock, 100, 1000).collect(1000)
        Compactor(made.db, made.engine, made.objects).compact()
    (moved,) = made.objects.parts(made.objects.head(box, "key"))
    assert moved.body is not None and kept.body is not None and moved.body.ref != kept.body.ref
    assert made.get(box, "key") == b"kept" * 1000
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


@pytest.mark.parametrize("size", [0, 10, 1_200_000])
def test_copies_have_keys_of_their_own(made: Vault, size: int) -> None:
    box, other = made.container(), made.container("other")
    secret = Encryption("SSE-C", customer_key_md5="m")
    want = Receive(size, encryption=secret, customer_key=b"k" * 32)
    source = made.put(box, "source", b"z" * size, Attributes(encryption=secret), want=want)
    about = Attributes("text/html")
    with pytest.raises(Denied):
        made.objects.copy(CopySource(source), other, "copy", about, NO_CONDITIONS, TRACE)
    step = made.objects.copy(CopySource(source, b"k" * 32, None, ("SHA1",)), other, "copy", about, NO_CONDITIONS, TRACE)
    copied = made.objects.run(step)
    assert made.get(other, "copy") == b"z" * size
    assert copied.body is not None and source.body is not None and copied.body.wrapped != source.body.wrapped
    assert copied.checksum == Checksum("SHA1", digests.checksum("SHA1", b"z" * size))
    assert copied.attributes.content_type == "text/html"
    made.delete(box, "source")
    assert made.get(other, "copy") == b"z" * size
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_ranges_of_objects_become_parts(made: Vault) -> None:
    box = made.container()
    data = bytes(range(256)) * 4000
    source = made.put(box, "source", data)
    upload = begin(made, box)
    stored = made.objects.copy_range(source, 1000, 900_000, box, Receive(899_000))
    part_one = made.objects.run(made.objects.put_part(upload, 1, stored, TRACE))
    complete(made, upload, [part_one])
    assert made.get(box, "key") == data[1000:900_000]


def test_containers_are_listed_and_named(made: Vault) -> None:
    boxes = [made.container(name) for name in ("a", "b/never", "c", "d")]
    made.put(boxes[0], "k", b"123")
    page = made.objects.list_containers("p1", ListQuery(limit=2))
    assert page.truncated and page.last == "b/never"
    first = page.entries[0]
    assert not isinstance(first, str) and first == (boxes[0], Usage(1, 3))
    rest = made.objects.list_containers("p1", ListQuery(after=page.last, limit=2))
    assert not rest.truncated and [e[0].name for e in rest.entries if not isinstance(e, str)] == ["c", "d"]
    back = made.objects.list_containers("p1", ListQuery(reverse=True, limit=9))
    assert [e[0].name for e in back.entries if not isinstance(e, str)] == ["d", "c", "b/never", "a"]
    assert made.objects.list_containers("p2", ListQuery()).entries == ()
    assert made.objects.list_containers("p1", ListQuery(limit=0)).entries == ()
    folded = made.objects.list_containers("p1", ListQuery(delimiter="/"))
    assert [e if isinstance(e, str) else e[0].name for e in folded.entries] == ["a", "b/", "c", "d"]


def test_s3_names_are_one_space(made: Vault) -> None:
    mine = made.container("taken")
    stranger = Trace(Actor("user-2", "x", "default", project_id="p2"), "s3:CreateBucket", "req-2")
    from andromede.objects.model import NewContainer

    create = made.objects.create_container
    with pytest.raises(Conflict) as caught:
        made.objects.run(create(NewContainer("p2", "taken", "p2"), stranger))
    assert caught.value.reason == "bucket_taken"
    theirs, fresh = made.objects.run(create(NewContainer("p2", "taken", "p2", "may"), stranger))
    assert fresh and theirs.s3_name is None
    assert made.objects.bucket("taken") == mine
    assert made.objects.bucket("taken", "p2") == theirs
    assert made.objects.bucket("taken", "p3") == mine
    assert made.objects.run(create(NewContainer("p1", "taken", "p1"), TRACE)) == (mine, False)
    assert made.objects.list_containers("p2", ListQuery(), s3_only=True).entries == ()
    for name in ("absent", "taken"):
        with pytest.raises(NotFound):
            made.objects.container("p3", name)
    with pytest.raises(NotFound):
        made.objects.bucket("absent")
    gone = made.objects.container("p1", "taken")
    made.objects.run(made.objects.delete_container(gone, TRACE))
    for late in (
        lambda: made.put(gone, "k", b"x"),
        lambda: made.objects.run(made.objects.delete_container(gone, TRACE)),
        lambda: made.change(gone, metadata={"a": "b"}),
    ):
        with pytest.raises((NotFound, Denied)):
            late()


def test_container_changes_merge(made: Vault) -> None:
    box = made.container(metadata={"keep": "1", "drop": "2"}, documents={"cors": b"<x/>"})
    changed = made.change(box, metadata={"drop": None, "new": "3"}, settings={"s": "t"}, documents={"policy": b"{}"})
    assert changed.metadata == {"keep": "1", "new": "3"}
    assert changed.documents == {"cors": b"<x/>", "policy": b"{}"}
    assert made.objects.container("p1", "box") == changed
    assert changed.generation > box.generation
    assert made.objects.containers_with("policy", 0, 10) == [changed]
    assert made.objects.containers_with("lifecycle", 0, 10) == []
    followed = made.change(changed, documents={"lifecycle": b"{}", "logging": b"{}"})
    other = made.container("other", documents={"lifecycle": b"{}"})
    assert made.objects.containers_with("lifecycle", 0, 10) == [followed, other]
    assert made.objects.containers_with("lifecycle", followed.id, 10) == [other]
    assert made.objects.containers_with("logging", 0, 10) == [followed]
    changed = made.change(followed, documents={"lifecycle": None})
    assert made.objects.containers_with("lifecycle", 0, 10) == [other]
    made.objects.run(made.objects.delete_container(other, TRACE))
    assert made.objects.containers_with("lifecycle", 0, 10) == []
    assert made.change(changed, versioning=Versioning.ENABLED, lock_enabled=True).lock_enabled
    for change in ({"lock_enabled": False}, {"versioning": Versioning.SUSPENDED}, {"versioning": Versioning.OFF}):
        with pytest.raises(Conflict):
            made.change(changed, **change)


def test_accounts_exist_once_something_is_stored(made: Vault) -> None:
    assert not made.objects.account("p1").exists
    change = made.objects.change_account
    made.objects.run(change("p1", {"a": "1", "b": "2"}, {"quota-bytes": "9"}, TRACE))
    account = made.objects.run(change("p1", {"a": None}, {}, TRACE))
    assert made.objects.account("p1") == account
    assert (account.metadata, account.settings) == ({"b": "2"}, {"quota-bytes": "9"})
    box = made.container()
    with pytest.raises(Conflict):
        made.objects.run(made.objects.delete_account("p1", TRACE))
    made.objects.run(made.objects.delete_container(box, TRACE))
    made.objects.run(made.objects.delete_account("p1", TRACE))
    assert not made.objects.account("p1").exists
    made.objects.committer.note(trail.account_event("p1", TRACE))
    assert ACTOR.project_id == "p1"


def test_checksums_combine() -> None:
    whole = b"abc" * 1000
    for name in ("CRC32", "CRC32C", "CRC64NVME"):
        parts = [(digests.checksum(name, whole[:700]), 700), (digests.checksum(name, whole[700:]), len(whole) - 700)]
        assert digests.combine_full(name, parts) == digests.checksum(name, whole)
    with pytest.raises(Invalid):
        digests.combine_full("SHA1", [])
    with pytest.raises(Invalid):
        digests.checksum("MD4", b"")
    assert digests.checksum("CRC64NVME", b"123456789") == base64.b64encode(bytes.fromhex("ae8b14860a799888")).decode()
    running = digests.Digests(("SHA1", "CRC32C"))
    running.update(memoryview(whole))
    assert running.checksums() == {name: digests.checksum(name, whole) for name in ("SHA1", "CRC32C")}
