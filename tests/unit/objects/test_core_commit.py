"""The committer, the frames and the keys: what fails fails alone, what was altered never opens."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from andromede import keys
from andromede.audit import Recorder
from andromede.db import Database, Reach, Tx
from andromede.engines.disk import DiskEngine
from andromede.engines.memory import MemoryEngine, unavailable
from andromede.errors import (
    Conflict,
    Denied,
    Error,
    Fatal,
    Invalid,
    NoCapacity,
    NotFound,
    Precondition,
    TooLarge,
    Unavailable,
)
from andromede.objects import containers, garbage_store
from andromede.objects.batch import Batch
from andromede.objects.buffers import PLAIN
from andromede.objects.collect import Collector
from andromede.objects.commit import Step, Waiter
from andromede.objects.frames import Sealer, frame_count, sealed_size
from andromede.objects.fsck import fsck
from andromede.objects.model import (
    Attributes,
    Conditions,
    DeleteOptions,
    Encryption,
    Expected,
    ListQuery,
    Receive,
    Usage,
    Versioning,
)
from andromede.web.stream.message import Response
from tests.support.clock import FakeClock, FakeIds
from tests.support.vault import NO_CONDITIONS, TRACE, Bytes, Vault, vault


@pytest.fixture
def made(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Vault]:
    with vault(db, MemoryEngine(), tmp_path, clock) as found:
        yield found


def test_a_failing_work_fails_alone(made: Vault) -> None:
    box = made.container()

    def refuse(tx: Tx) -> None:
        Batch.of(tx).count(box.id, 100, 100)
        tx.run("DELETE FROM container_usage")
        raise Conflict("no", "test")

    def stumble(tx: Tx) -> None:
        raise ZeroDivisionError

    stored = [made.objects.receive(box, Bytes(b"abc"), Receive(3)) for _ in range(3)]
    puts = [made.objects.put(box, f"k{n}", s, Attributes(), NO_CONDITIONS, TRACE) for n, s in enumerate(stored)]
    steps: list[Step[object]] = [puts[0], Step(refuse), puts[1], puts[2]]
    results = made.objects.run_all(steps)
    assert [isinstance(result, Conflict) for result in results] == [False, True, False, False]
    with pytest.raises(ZeroDivisionError):
        made.objects.run(Step(stumble))
    assert made.objects.usage(box) == Usage(3, 9)
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


@pytest.mark.parametrize("versioning", [Versioning.OFF, Versioning.ENABLED, Versioning.SUSPENDED])
@pytest.mark.parametrize("stumbles", [False, True])
def test_the_writes_of_one_key_in_one_batch_follow_each_other(
    made: Vault, versioning: Versioning, stumbles: bool
) -> None:
    """What was read of a key for the whole batch is what its first write sees, and no other."""
    box = made.container(versioning=versioning)
    old = made.put(box, "k", b"old")
    absent, gate = Conditions(if_none_match="*"), threading.Event()

    def put(key: str, body: bytes, conditions: Conditions) -> Step[object]:
        stored = made.objects.receive(box, Bytes(body), Receive(len(body)))
        step: Step[object] = made.objects.put(box, key, stored, Attributes(), conditions, TRACE)
        return step

    def stumble(tx: Tx) -> None:
        raise ZeroDivisionError

    first, second = (hashlib.md5(body, usedforsecurity=False).hexdigest() for body in (b"one", b"second"))
    steps: list[Step[object]] = [
        put("k", b"never", absent),
        put("k", b"one", Conditions(if_match=f'"{old.etag}"')),
        put("k", b"never", Conditions(if_match=f'"{old.etag}"')),
        put("k", b"second", Conditions(if_match=f'"{first}"')),
        made.objects.delete(box, "k", None, DeleteOptions(Conditions(if_match=f'"{second}"')), TRACE),
        put("k", b"third", absent),
        put("new", b"new", absent),
        put("new", b"never", absent),
        Step(stumble if stumbles else lambda tx: None),
    ]
    waiters = [Waiter() for _ in range(1 + len(steps))]
    for waiter, step in zip(waiters, [Step(lambda tx: gate.wait(20)), *steps], strict=True):
        made.objects.committer.submit(step.then(lambda _: Response(200)), waiter)
    gate.set()  # while the first was at work, the others gathered for the next batch
    for waiter in waiters:
        with contextlib.suppress(Precondition, ZeroDivisionError):
            waiter.wait()
    results = [waiter.outcome for waiter in waiters[1:]]
    refused = [0, 2, 7]
    assert [n for n, result in enumerate(results) if isinstance(result, Precondition)] == refused
    broken = [n for n, result in enumerate(results) if isinstance(result, BaseException) and n not in refused]
    assert broken == ([8] if stumbles else [])
    assert (made.get(box, "k"), made.get(box, "new")) == (b"third", b"new")
    assert made.objects.usage(box) == Usage(2, 8)
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_each_write_leaves_exactly_one_event(made: Vault) -> None:
    before = len(made.events())
    box = made.container()
    made.put(box, "k", b"1")
    made.delete(box, "k")
    for _ in range(3):
        made.objects.touch_read(box, TRACE, "box/k")
    made.put(box, "k2", b"1")
    assert len(made.events()) - before == 7
    with made.db.read() as tx:
        from andromede.audit import store

        assert store.gaps(tx) == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("verb", "size"), [("append", 10), ("seal", 100_000), ("write", 100_000)])
def test_an_engine_that_fails_leaves_no_object(db: Database, tmp_path: Path, verb: str, when: str, size: int) -> None:
    clock = FakeClock()
    with vault(db, MemoryEngine(faults=unavailable(verb, when), now_us=clock.now_us), tmp_path, clock) as made:
        box = made.container()
        with pytest.raises(Unavailable):
            made.put(box, "k", b"x" * size)
        with pytest.raises(NotFound):
            made.objects.head(box, "k")
        made.put(box, "k", b"y" * size)
        assert made.get(box, "k") == b"y" * size
        clock.advance(10_000)
        Collector(db, made.engine, clock, 0, -1).orphans()
        assert fsck(db, made.engine, made.keys, deep=True) == []


def test_too_many_unwritten_read_events_are_refused(made: Vault) -> None:
    box = made.container()
    gate, held = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        held.set()
        gate.wait(20)

    thread = threading.Thread(target=lambda: made.objects.run(Step(hold)))
    thread.start()
    held.wait(20)
    try:
        with pytest.raises(Unavailable):
            for _ in range(30_000):
                made.objects.touch_read(box, TRACE, "box/k")
    finally:
        gate.set()
        thread.join()


def test_bodies_over_the_limit_are_refused(made: Vault) -> None:
    box = made.container()
    for size in (11, 70_000, 600_000):
        for length in (None, size):
            with pytest.raises(TooLarge):
                made.objects.receive(box, Bytes(b"x" * size), Receive(length, max_length=size - 1))


def test_what_verify_refuses_is_dropped(made: Vault) -> None:
    box = made.container()

    def refuse(stored: object) -> None:
        raise Invalid("no", "digest")

    with pytest.raises(Invalid):
        made.objects.receive(box, Bytes(b"x" * 100_000), Receive(100_000, verify=refuse))
    assert list(made.engine.listing()) == []


def test_customer_keys_open_only_their_own(made: Vault) -> None:
    box = made.container()
    mode = Encryption("SSE-C", customer_key_md5="x")
    for size in (0, 10, 700_000):
        data = b"s" * size
        want = Receive(size, encryption=mode, customer_key=b"k" * 32)
        version = made.put(box, "k", data, Attributes(encryption=mode), want=want)
        assert made.objects.read_all(version, customer_key=b"k" * 32) == data
        made.objects.check_customer_key(version, b"k" * 32)
        for wrong in (None, b"j" * 32):
            with pytest.raises(Denied) as caught:
                made.objects.read_all(version, customer_key=wrong)
            assert caught.value.reason == "sse_c"
            with pytest.raises(Denied):
                made.objects.check_customer_key(version, wrong)


def test_the_md5_of_a_customer_key_never_stands_in_a_row(made: Vault) -> None:
    box = made.container()
    mode = Encryption("SSE-C", customer_key_md5="c2VjcmV0IG1kNQ==")
    about = Attributes(encryption=mode)
    want = Receive(4, encryption=mode, customer_key=b"k" * 32)
    assert made.put(box, "k", b"data", about, want=want).attributes == about
    assert made.objects.head(box, "k").attributes == about
    upload = made.objects.run(made.objects.create_upload(box, "m", about, None, None, TRACE))
    assert upload.attributes == made.objects.upload(box, "m", upload.id).attributes == about
    stored = made.objects.receive(box, Bytes(b"part"), want)
    part = made.objects.run(made.objects.put_part(upload, 1, stored, TRACE))
    listed = [(1, part.etag, None)]
    whole = made.objects.run(made.objects.complete_upload(upload, listed, NO_CONDITIONS, Expected(), TRACE))
    assert whole.attributes == made.objects.head(box, "m").attributes == about
    rows = made.db.all("SELECT wide FROM version") + made.db.all("SELECT wide FROM upload")
    assert len(rows) == 3 and not [row for row in rows if "c2VjcmV0" in row[0]]


def test_named_keys(made: Vault) -> None:
    box = made.container()
    mode = Encryption("aws:kms", "mine")
    want = Receive(4, encryption=mode)
    with pytest.raises(NotFound) as caught:
        made.put(box, "k", b"data", Attributes(encryption=mode), want=want)
    assert caught.value.reason == "kms_key"
    with made.db.write() as tx:
        key = made.keys.create_named(tx, "p1", "mine")
        with pytest.raises(Conflict):
            made.keys.create_named(tx, "p1", "mine")
    made.put(box, "k", b"data", Attributes(encryption=mode), want=want)
    assert made.get(box, "k") == b"data"
    with made.db.write() as tx:
        permit = made.keys.prepare_destroy(tx, key.id)
    with made.db.write() as tx:
        made.keys.execute_destroy(tx, permit)
    with made.db.write() as tx, pytest.raises(Denied):
        made.keys.execute_destroy(tx, permit)
    with pytest.raises(Denied) as refused:
        made.get(box, "k")
    assert refused.value.reason == "kms_destroyed"
    assert made.db.all("SELECT wrapped FROM key WHERE id = ?", (key.id,)) == [(None,)]


def test_a_wrapped_key_moved_to_another_tenant_does_not_open(made: Vault) -> None:
    with made.db.write() as tx:
        one, two = made.keys.create_container(tx, "p1"), made.keys.create_container(tx, "p2")
        tx.run("UPDATE key SET wrapped = ? WHERE id = ?", (two.wrapped, one.id))
    made.keys.forget()
    with pytest.raises(Fatal) as caught:
        made.keys.newest(one.id)
    assert caught.value.reason == "damage"
    assert [f.kind for f in fsck(made.db, made.engine, made.keys)] == ["key"]


def test_a_container_that_goes_takes_its_key_along(made: Vault) -> None:
    box = made.container()
    upload = made.objects.run(made.objects.create_upload(box, "k", Attributes(), None, None, TRACE))
    stored = made.objects.receive(box, Bytes(b"part"), Receive(4))
    made.objects.run(made.objects.put_part(upload, 1, stored, TRACE))
    made.objects.run(made.objects.delete_container(box, TRACE))
    states = {key.level: key.state for key in made.keys.list("p1")}
    assert states == {"tenant": "active", "container": "destroyed"}
    assert made.db.all("SELECT * FROM part") == []
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_a_root_key_with_a_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "root.json"
    made = keys.create_root(path, FakeIds(), "open sesame")
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.open_root(path, "open sesame").id == made.id
    for wrong in (None, "", "other"):
        with pytest.raises(Denied):
            keys.open_root(path, wrong)
    with pytest.raises(Conflict):
        keys.create_root(path, FakeIds())
    path.write_text("{}")
    with pytest.raises(Fatal):
        keys.open_root(path)


def sealed_body(size: int) -> tuple[Sealer, bytearray]:
    sealer = Sealer(b"k" * 32, "blob")
    data, out = memoryview(b"p" * size), bytearray(sealed_size(size))
    count = frame_count(size)
    for n in range(count):
        piece = data[n * PLAIN : (n + 1) * PLAIN]
        at = n * (PLAIN + 16)
        sealer.seal_into(n, n == count - 1, piece, memoryview(out)[at : at + len(piece) + 16])
    return sealer, out


def opened(sealer: Sealer, body: bytes, size: int) -> None:
    out = memoryview(bytearray(PLAIN))
    count = frame_count(size)
    for n in range(count):
        piece = memoryview(body)[n * (PLAIN + 16) : (n + 1) * (PLAIN + 16)]
        sealer.open_into(n, n == count - 1, piece, out[: len(piece) - 16])


def test_altered_frames_never_open() -> None:
    size, frame = 3 * PLAIN, PLAIN + 16
    sealer, body = sealed_body(size)
    opened(sealer, body, size)
    swapped = body[frame : 2 * frame] + body[:frame] + body[2 * frame :]
    flipped = bytes(body[:100]) + bytes([body[100] ^ 1]) + bytes(body[101:])
    cases: list[tuple[bytes, int]] = [
        (swapped, size), (flipped, size), (body[: 2 * frame], 2 * PLAIN), (body + body[:frame], 4 * PLAIN),
        (body[frame:] + body[:frame], size),
    ]  # fmt: skip
    for altered, length in cases:
        with pytest.raises(Fatal):
            opened(sealer, bytes(altered), length)
    with pytest.raises(Fatal):
        opened(Sealer(b"k" * 32, "other"), bytes(body), size)


def test_a_large_container_is_indexed_in_steps(made: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "INDEX_AT_ONCE", 5)
    box = made.container()
    for n in range(23):
        made.put(box, f"k{n:02d}", b"x")
    made.objects.run(Step(lambda tx: containers.begin_indexing(Batch.of(tx), box.id)))
    made.put(box, "k03", b"y")
    made.put(box, "new", b"z")
    box = made.change(box, versioning=Versioning.ENABLED)
    made.put(box, "k05", b"second")
    assert len(made.objects.list_objects(box, ListQuery()).entries) == 24
    assert made.db.one("SELECT count(*) FROM version WHERE listed = 3") == (0,)
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_garbage_waits_for_long_reads(db: Database, tmp_path: Path, clock: FakeClock) -> None:
    with vault(db, DiskEngine(tmp_path / "blobs", "objects-0"), tmp_path, clock) as made:
        box = made.container()
        version = made.put(box, "k", b"a" * 3_000_000)
        reading = made.objects.read(version)
        got = len(next(reading))
        made.put(box, "k", b"b")
        clock.advance(100)
        made.put(box, "other", b"tells about the long read")
        assert garbage_store.oldest_reading(db, 0) is not None
        collector = Collector(db, made.engine, clock, grace=10, orphan=10_000)
        assert collector.collect(10) == 0
        got += sum(len(piece) for piece in reading)
        assert got == 3_000_000
        clock.advance(200)
        assert collector.collect(10) == 1


def test_two_services_on_one_database_see_each_other(db: Database, tmp_path: Path, clock: FakeClock) -> None:
    first = vault(db, DiskEngine(tmp_path / "blobs", "objects-0"), tmp_path, clock)
    second = vault(db, DiskEngine(tmp_path / "blobs", "objects-1"), tmp_path, clock, source="objects-1")
    with first as one, second as two:
        box = one.container()
        assert two.objects.container("p1", "box") == box
        errors: list[Error] = []

        def write(made: Vault, name: str) -> None:
            for n in range(30):
                try:
                    made.put(made.objects.container("p1", "box"), f"{n}", name.encode() * 10)
                except Error as error:
                    errors.append(error)

        threads = [threading.Thread(target=write, args=(made, name)) for made in (one, two) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        changed = one.change(box, metadata={"a": "b"})
        assert two.objects.container("p1", "box") == changed
        for n in range(30):
            assert one.get(box, f"{n}") == two.get(box, f"{n}")
        with one.db.write() as tx:
            one.keys.set_enabled(tx, one.keys.list("p1")[0].id, False)
        with pytest.raises(Denied):
            two.get(box, "1")
        with pytest.raises(Denied):
            two.put(box, "1", b"sealed under a key that was still in memory")


def test_a_full_store_still_deletes(db: Database, tmp_path: Path, clock: FakeClock) -> None:
    full = [False]

    def faults(verb: str, when: str) -> None:
        if full[0] and verb == "append":
            raise NoCapacity("full", "disk")

    with vault(db, MemoryEngine(faults=faults), tmp_path, clock) as made:
        box = made.container()
        made.put(box, "k", b"x")
        stored = made.objects.receive(box, Bytes(b"y"), Receive(1))
        full[0] = True
        put = made.objects.put(box, "new", stored, Attributes(), NO_CONDITIONS, TRACE)
        results = made.objects.run_all([put, made.objects.delete(box, "k", None, DeleteOptions(), TRACE)])
        assert [isinstance(result, NoCapacity) for result in results] == [True, False]
        assert made.objects.usage(box) == Usage(0, 0)


def test_refusals_do_not_make_a_batch_run_twice(made: Vault) -> None:
    box = made.container()
    made.put(box, "k", b"x")
    runs = []

    def count(tx: Tx) -> None:
        runs.append(1)

    stored = [made.objects.receive(box, Bytes(b"abc"), Receive(3)) for _ in range(3)]
    never = Conditions(if_none_match="*")
    refused: list[Step[object]] = [made.objects.put(box, "k", s, Attributes(), never, TRACE) for s in stored]
    results = made.objects.run_all([*refused, Step(count), *refused[:1]])
    assert [isinstance(result, Precondition) for result in results] == [True, True, True, False, True]
    assert len(runs) == 1
    assert made.get(box, "k") == b"x"


def test_a_database_that_fails_is_unavailable_and_heals(made: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    box = made.container()
    plain = Recorder.record
    monkeypatch.setattr(Recorder, "record", lambda *_: 1 / 0)
    made.objects.touch_read(box, TRACE, "box/k")
    with pytest.raises(Unavailable):
        made.put(box, "k", b"x")
    with pytest.raises(NotFound):
        made.objects.head(box, "k")
    monkeypatch.setattr(Recorder, "record", plain)
    made.put(box, "k", b"y")
    assert made.get(box, "k") == b"y"
    assert sum(b'"object":"box/k"' in bytes(row[0]) for row in made.events()) == 1  # type: ignore[call-overload]


def test_a_commit_that_may_have_been_durable_is_not_repeated(made: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    box = made.container()
    write, deaf = type(made.db).write, [True]

    @contextmanager
    def silenced(db: Database, *reach: Reach) -> Iterator[Tx]:
        with write(db, *reach) as tx:
            yield tx
        if deaf:
            deaf.clear()
            raise Unavailable("the database does not answer; the call may be repeated", "database")

    stored = made.objects.receive(box, Bytes(b"abc"), Receive(3))
    put = made.objects.put(box, "k", stored, Attributes(), NO_CONDITIONS, TRACE)
    before = len(made.db.all("SELECT 1 FROM audit_event"))
    monkeypatch.setattr(type(made.db), "write", silenced)
    with pytest.raises(Unavailable):
        made.objects.run(put)
    made.put(box, "other", b"x")
    assert made.get(box, "k") == b"abc"
    assert len(made.db.all("SELECT 1 FROM audit_event")) == before + 2


def test_a_committer_ends_even_when_the_database_is_gone(db: Database, tmp_path: Path, clock: FakeClock) -> None:
    with vault(db, MemoryEngine(), tmp_path, clock) as made:
        box = made.container()
        broken = pytest.MonkeyPatch()
        broken.setattr(Recorder, "record", lambda *_: 1 / 0)
        made.objects.touch_read(box, TRACE, "box/k")
        made.objects.close()
        broken.undo()
        with pytest.raises(Unavailable):
            made.put(box, "k", b"x")
