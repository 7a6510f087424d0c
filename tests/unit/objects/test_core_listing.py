"""Listings against a naive model: prefixes, delimiters, markers, both directions, odd characters, pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from andromede.db import Database
from andromede.engines.memory import MemoryEngine
from andromede.objects.model import Attributes, Container, ListQuery, Version, Versioning, VersionQuery
from andromede.objects.ranges import upper_bound
from tests.support.clock import FakeClock
from tests.support.vault import NO_CONDITIONS, TRACE, Vault, vault

ALPHABET = st.sampled_from(["a", "b", "/", "\x01", "é", "\ud7ff", "\ue000", "\uffff", "\U0010ffff", "~", " "])
KEYS = st.text(ALPHABET, min_size=1, max_size=4)
SHORT = st.text(ALPHABET, max_size=2)


@pytest.fixture
def made(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Vault]:
    with vault(db, MemoryEngine(), tmp_path, clock) as found:
        yield found


def fill(made: Vault, box: Container, keys: list[str]) -> None:
    steps = [made.objects.put_empty(box, key, Attributes(), NO_CONDITIONS, TRACE) for key in keys]
    assert not [r for r in made.objects.run_all(steps) if isinstance(r, Exception)]


def empty(made: Vault, box: Container) -> None:
    with made.db.write() as tx:
        tx.run("DELETE FROM version WHERE container_id = ?", (box.id,))


def expected(keys: set[str], q: ListQuery) -> list[str]:
    """Every name of a listing without limit, by the plainest means."""
    names: list[str] = []
    for key in sorted(keys, reverse=q.reverse):
        if not key.startswith(q.prefix):
            continue
        at = key.find(q.delimiter, len(q.prefix)) if q.delimiter else -1
        name = key if at < 0 else key[: at + len(q.delimiter)]
        if q.after and (name >= q.after if q.reverse else name <= q.after):
            continue
        if q.after and at >= 0 and not q.reverse and q.after.startswith(name):
            continue
        if q.after and (key >= q.after if q.reverse else key <= q.after):
            continue
        if q.before and (key <= q.before and at < 0 if q.reverse else key >= q.before):
            continue
        if name not in names:
            names.append(name)
    return names


def names(entries: tuple[Version | str, ...]) -> list[str]:
    return [entry if isinstance(entry, str) else entry.key for entry in entries]


def pages(made: Vault, box: Container, q: ListQuery, limit: int) -> list[str]:
    """The listing put together from pages; every page but the last is full."""
    found: list[str] = []
    after = q.after
    while True:
        page = made.objects.list_objects(box, ListQuery(q.prefix, q.delimiter, after, q.before, limit, q.reverse))
        found += names(page.entries)
        if not page.truncated:
            return found
        assert len(page.entries) == limit
        after = page.last


@pytest.mark.parametrize("versioning", [Versioning.OFF, Versioning.ENABLED])
def test_listings_equal_the_model(made: Vault, versioning: Versioning) -> None:
    box = made.container(versioning=versioning)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(keys=st.sets(KEYS, max_size=14), prefix=SHORT, delimiter=SHORT, after=SHORT, reverse=st.booleans())
    @example(keys={" "}, prefix="", delimiter=" ", after=" a", reverse=True)
    @example(keys={"d/1", "d/2", "e"}, prefix="", delimiter="/", after="d/2", reverse=True)
    def check(keys: set[str], prefix: str, delimiter: str, after: str, reverse: bool) -> None:
        empty(made, box)
        fill(made, box, sorted(keys))
        q = ListQuery(prefix, delimiter, after, "", 100, reverse)
        want = expected(keys, q)
        assert pages(made, box, q, 100) == want
        assert pages(made, box, q, 1) == want
        assert pages(made, box, q, 3) == want

    check()


def test_both_markers_are_exclusive_in_both_directions(made: Vault) -> None:
    box = made.container()
    fill(made, box, list("abcdef"))
    assert pages(made, box, ListQuery(after="b", before="e"), 10) == ["c", "d"]
    assert pages(made, box, ListQuery(after="e", before="b", reverse=True), 1) == ["d", "c"]
    assert made.objects.list_objects(box, ListQuery(limit=0)).entries == ()


def test_a_marker_inside_a_common_prefix(made: Vault) -> None:
    box = made.container()
    fill(made, box, ["d/1", "d/2", "e"])
    assert pages(made, box, ListQuery(delimiter="/", after="d/1"), 10) == ["e"]
    assert names(made.objects.list_objects(box, ListQuery(delimiter="/", after="d/1", inside=True)).entries) == [
        "d/",
        "e",
    ]
    assert names(made.objects.list_objects(box, ListQuery(delimiter="/", after="d/", inside=True)).entries) == ["e"]


def test_versions_page_inside_a_key(made: Vault, clock: FakeClock) -> None:
    box = made.container(versioning=Versioning.ENABLED)
    order: list[tuple[str, str]] = []
    for key in ("a", "dir/1", "dir/2", "z"):
        ids = []
        for _ in range(5):
            clock.advance(1)
            ids.append(made.put(box, key, b"x").id)
        marker = made.delete(box, key).marker
        assert marker is not None
        order += [(key, marker.id), *((key, found) for found in reversed(ids))]
    for limit in (1, 2, 3, 7, 100):
        got: list[tuple[str, str]] = []
        q = VersionQuery(limit=limit)
        while True:
            page = made.objects.list_versions(box, q)
            got += [(entry.key, entry.id) for entry in page.entries if not isinstance(entry, str)]
            if not page.truncated:
                break
            last = page.entries[-1]
            assert not isinstance(last, str)
            q = VersionQuery(after_key=last.key, after_id=last.shown_id, limit=limit)
        assert got == order
    folded = made.objects.list_versions(box, VersionQuery(delimiter="/", limit=7))
    assert names(folded.entries)[-1] == "dir/" and folded.truncated
    rest = made.objects.list_versions(box, VersionQuery(delimiter="/", after_key="dir/", limit=100))
    assert set(names(rest.entries)) == {"z"} and len(rest.entries) == 6
    assert made.objects.list_objects(box, ListQuery()).entries == ()


def test_a_container_is_indexed_when_versioning_begins(made: Vault) -> None:
    box = made.container()
    fill(made, box, [f"k{n:03d}" for n in range(50)])
    box = made.change(box, versioning=Versioning.ENABLED)
    made.put(box, "k001", b"new")
    made.delete(box, "k002")
    page = made.objects.list_objects(box, ListQuery())
    assert len(page.entries) == 49
    assert "k002" not in names(page.entries)


def test_uploads_are_listed_in_order_with_prefixes(made: Vault) -> None:
    box = made.container()
    uploads = []
    for key in ("a", "a", "d/1", "d/2", "e"):
        uploads.append(made.objects.run(made.objects.create_upload(box, key, Attributes(), None, None, TRACE)))
    want = sorted((upload.key, upload.id) for upload in uploads)
    got: list[tuple[str, str]] = []
    key = upload_id = ""
    while True:
        page = made.objects.list_uploads(box, "", "", key, upload_id, 2)
        got += [(entry.key, entry.id) for entry in page.entries if not isinstance(entry, str)]
        if not page.truncated:
            break
        key, upload_id = page.last_key, page.last_id
    assert got == want
    folded = made.objects.list_uploads(box, "", "/", "", "", 10)
    assert [e if isinstance(e, str) else e.key for e in folded.entries] == ["a", "a", "d/", "e"]


@given(prefix=st.text(st.characters(exclude_categories=["Cs"]), max_size=3), rest=SHORT)
def test_the_upper_bound_is_the_least_beyond_a_prefix(prefix: str, rest: str) -> None:
    bound = upper_bound(prefix)
    if bound is None:
        assert prefix.rstrip("\U0010ffff") == ""
    else:
        assert prefix + rest < bound
        assert not bound.startswith(prefix) or prefix == ""
        bound.encode()
