"""The lifecycle worker over the real object service: what goes, what stays, what it leaves behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.engines.disk import DiskEngine
from andromede.errors import NotFound
from andromede.log import Log
from andromede.objects.lifecycle_worker import LifecycleWorker, Tally
from andromede.objects.model import Attributes, Container, Lock, Versioning, VersionQuery
from andromede.objects.s3.lifecycle_xml import rules_of
from tests.support.clock import FakeClock
from tests.support.vault import TRACE, Vault, vault

DAY = 86_400


@pytest.fixture
def v(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Vault]:
    with vault(db, DiskEngine(tmp_path / "blobs", "objects-0"), tmp_path, clock) as found:
        yield found


def worker(v: Vault, day_seconds: int = DAY) -> LifecycleWorker:
    return LifecycleWorker(v.objects, rules_of, v.clock, Log(level="error"), day_seconds)


def box(v: Vault, *rules: str, versioning: Versioning = Versioning.OFF, **fields: object) -> Container:
    body = "".join(f"<Rule><ID>r{n}</ID><Status>Enabled</Status>{rule}</Rule>" for n, rule in enumerate(rules))
    document = f"<LifecycleConfiguration>{body}</LifecycleConfiguration>".encode()
    return v.container(versioning=versioning, documents={"lifecycle": document}, **fields)


def shown(v: Vault, c: Container) -> list[str]:
    page = v.objects.list_versions(c, VersionQuery(limit=1000))
    return [f"{e.key}{'-' if e.is_marker else ''}" for e in page.entries if not isinstance(e, str)]


A_DAY = "<Filter><Prefix>a</Prefix></Filter><Expiration><Days>1</Days></Expiration>"


def test_current_objects_go_when_their_day_has_come(v: Vault, clock: FakeClock) -> None:
    c = box(v, A_DAY)
    v.container("plain")
    for key in ("a1", "a2", "b1"):
        v.put(c, key, b"x")
    work = worker(v)
    assert work.turn() == Tally(containers=1)
    clock.advance(DAY - 1)
    assert work.turn() == Tally()
    clock.advance(1)
    assert work.turn() == Tally(containers=1, removed=2)
    assert shown(v, c) == ["b1"]
    with pytest.raises(NotFound):
        v.objects.head(c, "a1")
    last = json.loads(bytes(v.events()[-1][0]))  # type: ignore[call-overload]
    assert (last["actor"], last["purpose"], last["action"]) == (
        "system:lifecycle",
        "OPERATOR_SYSTEM",
        "s3:LifecycleExpiration:Delete",
    )
    assert v.objects.usage(c).objects == 1


def test_versions_get_markers_and_markers_go_when_alone(v: Vault, clock: FakeClock) -> None:
    noncurrent = (
        "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>"
        "<NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>"
    )
    c = box(v, A_DAY, noncurrent, versioning=Versioning.ENABLED)
    for n in range(4):
        v.put(c, "k", str(n).encode())
    v.put(c, "a", b"1")
    clock.advance(DAY)
    work = worker(v)
    assert work.turn().removed == 3
    assert shown(v, c) == ["a-", "a", "k", "k"]
    assert v.get(c, "k") == b"3"
    v.delete(c, "a", v.objects.list_versions(c, VersionQuery(limit=2)).entries[1].shown_id)  # type: ignore[union-attr]
    assert shown(v, c) == ["a-", "k", "k"]
    clock.advance(3 * DAY)
    work.turn()
    assert shown(v, c) == ["k", "k"]


def test_an_expired_marker_goes_at_once(v: Vault) -> None:
    rule = "<Prefix/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
    c = box(v, rule, versioning=Versioning.ENABLED)
    v.delete(c, "gone")
    v.put(c, "kept", b"1")
    v.delete(c, "kept")
    assert worker(v).turn().removed == 1
    assert shown(v, c) == ["kept-", "kept"]


def test_locked_versions_stay(v: Vault, clock: FakeClock) -> None:
    rule = "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>"
    c = box(v, rule, versioning=Versioning.ENABLED, lock_enabled=True)
    held = Attributes(lock=Lock(legal_hold=True))
    v.put(c, "k", b"1", held)
    v.put(c, "k", b"2")
    v.put(c, "k", b"3")
    clock.advance(2 * DAY)
    tally = worker(v).turn()
    assert (tally.removed, tally.refused) == (1, 1)
    assert len(shown(v, c)) == 2


def test_unfinished_uploads_are_aborted(v: Vault, clock: FakeClock) -> None:
    rule = (
        "<Prefix>u/</Prefix><AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation>"
        "</AbortIncompleteMultipartUpload>"
    )
    c = box(v, rule)
    for key in ("u/1", "u/2", "other"):
        v.objects.run(v.objects.create_upload(c, key, Attributes(), None, None, TRACE))
    clock.advance(DAY)
    assert worker(v).turn().aborted == 0
    clock.advance(DAY)
    assert worker(v).turn().aborted == 2
    left = v.objects.list_uploads(c, "", "", "", "", 10).entries
    assert [getattr(upload, "key", upload) for upload in left] == ["other"]


def test_pages_limits_and_short_days(v: Vault, clock: FakeClock) -> None:
    c = box(v, A_DAY)
    for n in range(250):
        v.put(c, f"a{n:03d}")
    clock.advance(10)
    work = worker(v, day_seconds=10)
    assert work.turn(limit=100).removed == 100
    assert work.turn().removed == 150
    assert shown(v, c) == []
    assert work.reconciler(5.0).run() is False


def test_changed_rules_are_looked_at_at_once(v: Vault, clock: FakeClock) -> None:
    c = box(v, A_DAY)
    v.put(c, "b", b"1")
    clock.advance(2 * DAY)
    work = worker(v)
    assert work.turn().removed == 0
    rule = "<Rule><Status>Enabled</Status><Prefix/><Expiration><Days>1</Days></Expiration></Rule>"
    document = f"<LifecycleConfiguration>{rule}</LifecycleConfiguration>".encode()
    v.change(c, documents={"lifecycle": document})
    assert work.turn().removed == 1
    v.change(c, documents={"lifecycle": None})
    assert work.turn() == Tally()


def test_a_damaged_document_does_not_stop_the_others(v: Vault, clock: FakeClock) -> None:
    v.container("bad", documents={"lifecycle": b"<not xml"})
    c = box(v, A_DAY)
    v.put(c, "a", b"1")
    clock.advance(2 * DAY)
    assert worker(v).turn().removed == 1
