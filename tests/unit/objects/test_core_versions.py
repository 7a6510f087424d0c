"""Versioning, conditions, locks, quotas and the older Swift versioning, against a plain model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from andromede.db import Database
from andromede.engines.memory import MemoryEngine
from andromede.errors import Conflict, Denied, NotFound, OverQuota, Precondition
from andromede.objects import archive
from andromede.objects.fsck import fsck
from andromede.objects.model import (
    Attributes,
    Conditions,
    DeleteOptions,
    Lock,
    ObjectChange,
    Usage,
    Version,
    Versioning,
    VersionQuery,
)
from tests.support.clock import FakeClock
from tests.support.vault import TRACE, Vault, vault


@pytest.fixture
def made(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Vault]:
    with vault(db, MemoryEngine(), tmp_path, clock) as found:
        yield found


class Model:
    """Per key a list of (shown id, bytes or None for a marker), newest first."""

    def __init__(self) -> None:
        self.keys: dict[str, list[tuple[str, bytes | None]]] = {}

    def lay(self, key: str, shown: str, data: bytes | None) -> None:
        rows = self.keys.setdefault(key, [])
        if shown == "null":
            rows[:] = [row for row in rows if row[0] != "null"]
        rows.insert(0, (shown, data))

    def drop(self, key: str, shown: str) -> None:
        self.keys[key] = [row for row in self.keys.get(key, []) if row[0] != shown]

    def rows(self) -> list[tuple[str, str, bytes | None]]:
        return [(key, *row) for key in sorted(self.keys) for row in self.keys[key]]

    def usage(self) -> Usage:
        tops = [rows[0][1] for rows in self.keys.values() if rows and rows[0][1] is not None]
        return Usage(len(tops), sum(len(top) for top in tops if top is not None))


OPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "delete", "delete_version", "enable", "suspend"]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 5),
    ),
    max_size=14,
)


def test_versioning_equals_the_model(made: Vault) -> None:
    count = iter(range(10**9))

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(OPS)
    def check(ops: list[tuple[str, str, int]]) -> None:
        box = made.container(f"box{next(count)}")
        model = Model()
        for verb, key, pick in ops:
            if verb == "enable":
                box = made.change(box, versioning=Versioning.ENABLED)
            elif verb == "suspend" and box.versioning is Versioning.ENABLED:
                box = made.change(box, versioning=Versioning.SUSPENDED)
            elif verb == "put":
                data = bytes([pick]) * (pick + 1)
                model.lay(key, made.put(box, key, data).shown_id, data)
            elif verb == "delete":
                result = made.delete(box, key)
                if result.marker is not None:
                    model.lay(key, result.marker.shown_id, None)
                elif result.version is not None:
                    model.drop(key, result.version.shown_id)
            elif verb == "delete_version" and model.keys.get(key):
                shown = model.keys[key][pick % len(model.keys[key])][0]
                made.delete(box, key, shown)
                model.drop(key, shown)
        compare(made, box, model)

    check()
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def compare(made: Vault, box: Any, model: Model) -> None:
    listed = made.objects.list_versions(box, VersionQuery()).entries
    seen = [
        (e.key, e.shown_id, None if e.is_marker else made.objects.read_all(e)) for e in listed if not isinstance(e, str)
    ]
    assert seen == model.rows()
    assert made.objects.usage(box) == model.usage()
    current = [e.key for e in made.objects.list_objects(box, made.every()).entries if not isinstance(e, str)]
    assert current == [key for key in sorted(model.keys) if model.keys[key] and model.keys[key][0][1] is not None]
    for key, rows in model.keys.items():
        if rows and rows[0][1] is not None:
            assert made.get(box, key) == rows[0][1]
        else:
            with pytest.raises(NotFound):
                made.objects.head(box, key)


def test_conditions_of_a_put(made: Vault) -> None:
    box = made.container()
    with pytest.raises(NotFound):
        made.put(box, "k", b"1", conditions=Conditions(if_match='"x"'))
    one = made.put(box, "k", b"1", conditions=Conditions(if_none_match="*"))
    for bad in (Conditions(if_none_match="*"), Conditions(if_match='"x"'), Conditions(if_none_match=f'"{one.etag}"')):
        with pytest.raises(Precondition):
            made.put(box, "k", b"2", conditions=bad)
        with pytest.raises(Precondition):
            made.objects.precheck(box, "k", bad, 1)
    made.put(box, "k", b"2", conditions=Conditions(if_match=f'"y", "{one.etag}"'))
    made.put(box, "k", b"3", conditions=Conditions(if_match="*", if_none_match='"zzz"'))
    assert made.get(box, "k") == b"3"


def test_conditions_of_a_delete(made: Vault, clock: FakeClock) -> None:
    box = made.container(versioning=Versioning.ENABLED)
    one = made.put(box, "k", b"123")
    earlier = Conditions(if_match_last_modified_us=one.created_us - 10**6)
    for bad in (Conditions(if_match='"x"'), Conditions(if_match_size=4), earlier):
        with pytest.raises(Precondition):
            made.delete(box, "k", options=DeleteOptions(bad))
    good = Conditions(if_match=f'"{one.etag}"', if_match_size=3, if_match_last_modified_us=one.created_us)
    assert made.delete(box, "k", options=DeleteOptions(good)).marker is not None
    with pytest.raises(Precondition):
        made.delete(box, "k", options=DeleteOptions(Conditions(if_match=f'"{one.etag}"')))
    assert made.delete(box, "k", options=DeleteOptions(Conditions(if_match="*"))).marker is not None
    assert made.delete(box, "absent", "no-such", DeleteOptions(Conditions(if_match='"x"'))).version is None


def test_locked_versions_stay(made: Vault, clock: FakeClock) -> None:
    box = made.container(versioning=Versioning.ENABLED, lock_enabled=True)
    until = clock.us + 10_000_000
    kinds = {
        "hold": Lock(legal_hold=True), "gov": Lock("GOVERNANCE", until), "comp": Lock("COMPLIANCE", until)
    }  # fmt: skip
    versions = {key: made.put(box, key, b"x", Attributes(lock=lock)) for key, lock in kinds.items()}
    for key, version in versions.items():
        with pytest.raises(Denied) as caught:
            made.delete(box, key, version.id)
        assert caught.value.reason == "locked"
    bypass = DeleteOptions(bypass_governance=True)
    for key in ("hold", "comp"):
        with pytest.raises(Denied):
            made.delete(box, key, versions[key].id, bypass)
    assert made.delete(box, "gov", versions["gov"].id, bypass).version is not None
    change = made.objects.change_object
    for weaker in (Lock(), Lock("COMPLIANCE", until - 1), Lock("GOVERNANCE", until + 1)):
        with pytest.raises(Denied):
            made.objects.run(change(versions["comp"], ObjectChange(lock=weaker, bypass_governance=True), TRACE))
    made.objects.run(change(versions["comp"], ObjectChange(lock=Lock("COMPLIANCE", until + 5_000_000)), TRACE))
    clock.advance(12)
    with pytest.raises(Denied):
        made.delete(box, "comp", versions["comp"].id)
    clock.advance(4)
    assert made.delete(box, "comp", versions["comp"].id).version is not None
    with pytest.raises(Conflict):
        made.objects.run(made.objects.delete_container(box, TRACE))
    with pytest.raises(Conflict):
        made.change(box, versioning=Versioning.SUSPENDED)


def test_quotas_hold_at_every_commit(made: Vault) -> None:
    box = made.container(settings={"x-container-meta-quota-bytes": "10", "x-container-meta-quota-count": "2"})
    made.put(box, "a", b"12345")
    with pytest.raises(OverQuota):
        made.put(box, "b", b"123456")
    made.put(box, "a", b"1234567890")
    made.put(box, "b", b"")
    with pytest.raises(OverQuota):
        made.put(box, "c", b"")
    with pytest.raises(OverQuota):
        made.objects.precheck(box, "a", Conditions(), 11)
    other = made.container("other")
    made.objects.run(made.objects.change_account("p1", {}, {"quota-bytes": "12"}, TRACE))
    made.put(other, "x", b"12")
    with pytest.raises(OverQuota):
        made.put(other, "y", b"1")
    assert made.objects.account_usage("p1").bytes == 12


def keys_of(made: Vault, box: Any) -> list[str]:
    return [e.key for e in made.objects.list_objects(box, made.every()).entries if not isinstance(e, str)]


def test_versions_location_keeps_and_restores(made: Vault, clock: FakeClock) -> None:
    target = made.container("old")
    box = made.container("box", settings={"x-versions-location": "old"})
    for n, data in enumerate([b"one", b"two" * 100_000, b"three"]):
        clock.advance(1)
        made.put(box, "kéy", data, Attributes(metadata={"n": str(n)}))
    archived = keys_of(made, target)
    assert [key.rpartition("/")[0] for key in archived] == ["004kéy", "004kéy"]
    assert made.get(target, archived[0]) == b"one"
    assert made.objects.usage(target) == Usage(2, 300_003)
    made.delete(box, "kéy")
    assert made.get(box, "kéy") == b"two" * 100_000
    assert made.objects.head(box, "kéy").attributes.metadata == {"n": "1"}
    made.delete(box, "kéy")
    made.delete(box, "kéy")
    assert keys_of(made, box) == keys_of(made, target) == []
    made.objects.run(made.objects.delete_container(target, TRACE))
    made.put(box, "kéy", b"x")  # replaces nothing, so it needs no archive
    with pytest.raises(Precondition) as caught:
        made.put(box, "kéy", b"y")
    assert caught.value.reason == "versions_location"
    made.delete(box, "kéy")
    assert keys_of(made, box) == []
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_history_location_archives_and_marks(made: Vault, clock: FakeClock) -> None:
    target = made.container("old")
    box = made.container("box", settings={"x-history-location": "old"})
    made.put(box, "k", b"one")
    clock.advance(1)
    made.delete(box, "k")
    assert keys_of(made, box) == []
    found = [e for e in made.objects.list_objects(target, made.every()).entries if not isinstance(e, str)]
    assert [e.attributes.content_type == archive.MARKER_TYPE for e in found] == [False, True]
    assert made.delete(box, "absent").version is None
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_changes_keep_what_they_do_not_name(made: Vault, clock: FakeClock) -> None:
    box = made.container()
    first = made.put(box, "k", b"x", Attributes("text/plain", {"expires": "x"}, {"a": "1"}, tags={"t": "v"}))
    clock.advance(5)
    changed = made.objects.run(made.objects.change_object(first, ObjectChange(metadata={"b": "2"}), TRACE))
    assert changed.created_us == first.created_us
    touched = made.objects.run(made.objects.change_object(first, ObjectChange(acl=b"acl", touched=True), TRACE))
    assert touched.created_us == clock.us
    seen = made.objects.head(box, "k").attributes
    assert seen == dataclasses.replace(first.attributes, metadata={"b": "2"}, acl=b"acl")
    made.put(box, "k", b"y")
    with pytest.raises(NotFound):
        made.objects.run(made.objects.change_object(first, ObjectChange(tags={}), TRACE))


def test_a_change_of_the_newest_follows_what_has_replaced_it(made: Vault) -> None:
    box = made.container()
    first = made.put(box, "k", b"x", Attributes(metadata={"a": "1"}))
    second = made.put(box, "k", b"y", Attributes(tags={"of": "second"}))

    def tagged(version: Version) -> ObjectChange:
        return ObjectChange(tags={**version.attributes.tags, "more": "1"})

    changed = made.objects.run(made.objects.change_object(first, tagged, TRACE))
    assert (changed.id, changed.attributes.tags) == (second.id, {"of": "second", "more": "1"})
    made.delete(box, "k")
    with pytest.raises(NotFound) as gone:
        made.objects.run(made.objects.change_object(first, tagged, TRACE))
    assert gone.value.reason == "object"
