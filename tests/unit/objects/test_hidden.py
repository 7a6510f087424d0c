"""Containers that other services keep for a project: out of reach of both doors, and true in every count."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.errors import Invalid, NotFound
from andromede.objects.fsck import fsck
from andromede.objects.model import (
    NO_CONDITIONS,
    Attributes,
    Container,
    ContainerChange,
    DeleteOptions,
    ListQuery,
    NewContainer,
    Receive,
)
from tests.support.house import House, Person, house
from tests.support.vault import TRACE, Bytes

SECRET = b"the bytes of an image" * 4000


@pytest.fixture
def home(db: Database, tmp_path: Path) -> Iterator[House]:
    with house([db], tmp_path) as found:
        yield found


@pytest.fixture
def owner(home: House) -> Person:
    return home.person("owner", home.project("theirs"))


def keep(home: House, project_id: str) -> Container:
    """A hidden container with one object."""
    objects = home.workers[0].vault.objects
    box = objects.hidden_container(project_id, "images", TRACE)
    stored = objects.receive(box, Bytes(SECRET), Receive())
    objects.run(objects.put(box, "one", stored, Attributes(), NO_CONDITIONS, TRACE))
    return box


def test_it_is_made_once_and_holds_bytes_under_the_keys_of_its_project(home: House, owner: Person) -> None:
    box = keep(home, owner.project_id)
    objects = home.workers[0].vault.objects
    assert objects.hidden_container(owner.project_id, "images", TRACE) == box
    assert objects.read_all(objects.head(box, "one")) == SECRET
    assert objects.usage(box).bytes == len(SECRET)
    assert [entry.key for entry in objects.list_objects(box, ListQuery(limit=5)).entries] == ["one"]  # type: ignore[union-attr]


def test_swift_neither_lists_nor_reaches_it(home: House, owner: Person) -> None:
    keep(home, owner.project_id)
    home.swift(owner, "PUT", f"{owner.account}/own")
    listed = home.swift(owner, "GET", owner.account)
    assert listed.status == 200 and listed.raw == b"own\n"
    assert home.swift(owner, "GET", f"{owner.account}?prefix=/").raw == b""
    head = home.swift(owner, "HEAD", owner.account)
    assert head.headers["x-account-container-count"] == "1" and head.headers["x-account-bytes-used"] == "0"
    for name in ("/images", "//images", "%2Fimages"):
        for method in ("GET", "HEAD", "DELETE"):
            assert home.swift(owner, method, f"{owner.account}/{name}").status in (400, 404, 412), name
            assert home.swift(owner, method, f"{owner.account}/{name}/one").status in (400, 404, 412), name
    raw = home.send("GET", f"/v1/{owner.account}/%2Fimages/one", {"x-auth-token": owner.token}, b"")
    assert raw.status in (400, 404, 412)
    copied = home.swift(owner, "PUT", f"{owner.account}/own/stolen", headers={"x-copy-from": "/%2Fimages/one"})
    assert copied.status in (400, 404, 412)


def test_s3_neither_lists_nor_reaches_it(home: House, owner: Person) -> None:
    keep(home, owner.project_id)
    assert b"images" not in home.s3(owner, "GET", "/").raw
    for target in ("/%2Fimages", "/%2Fimages/one", "//images/one"):
        assert home.s3(owner, "GET", target).status in (400, 403, 404, 405), target
    assert home.s3(owner, "PUT", "/own").status == 200
    stolen = home.s3(owner, "PUT", "/own/stolen", headers={"x-amz-copy-source": "/%2Fimages/one"})
    assert stolen.status in (400, 403, 404)


def test_clients_cannot_make_one(home: House, owner: Person) -> None:
    objects = home.workers[0].vault.objects
    for name in ("/images", "/"):
        with pytest.raises(Invalid, match="is no name for a container"):
            objects.create_container(NewContainer(owner.project_id, name, owner.project_id), TRACE)
        with pytest.raises(Invalid):
            new = NewContainer(owner.project_id, name, owner.project_id)
            objects.put_container(new, ContainerChange(), None, TRACE)
        with pytest.raises(NotFound):
            objects.container(owner.project_id, name)
        with pytest.raises(NotFound):
            objects.bucket(name, owner.project_id)


def test_counts_stay_true_and_quotas_of_the_account_do_not_hold(home: House, owner: Person) -> None:
    objects = home.workers[0].vault.objects
    objects.run(objects.change_account(owner.project_id, {}, {"quota-bytes": "10"}, TRACE))
    box = keep(home, owner.project_id)
    used = objects.account_usage(owner.project_id)
    assert (used.containers, used.objects, used.bytes) == (0, 0, 0)
    place = home.workers[0].vault
    assert fsck(place.db, place.engine, place.keys, deep=True) == []
    objects.run(objects.delete(box, "one", None, DeleteOptions(), TRACE))
    objects.run(objects.delete_container(box, TRACE))
    assert fsck(place.db, place.engine, place.keys, deep=True) == []
