"""What a guest may read of itself, in both forms."""

from __future__ import annotations

import pytest

from andromede.network import metadata
from andromede.network.metadata import answer, keep_password, takes_password


class Facts:
    """The documents of one server."""

    def __init__(self, user_data: bytes | None = b"#!/bin/sh\n") -> None:
        self.user_data = user_data

    def openstack(self, name: str) -> bytes | None:
        return {"meta_data.json": b'{"uuid": "1"}', "network_data.json": b"{}", "user_data": self.user_data}.get(name)

    def content(self, name: str) -> bytes | None:
        return b"file" if name == "0000" else None

    def meta(self, path: str) -> str | None:
        return {"": "hostname\nplacement/", "hostname": "web1", "placement/": "zone", "placement/zone": "nova"}.get(
            path
        )


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/", b"1.0", "text/plain; charset=utf-8"),
        ("/openstack", b"2012-08-10", "text/plain; charset=utf-8"),
        ("/openstack/", b"latest", "text/plain; charset=utf-8"),
        ("/openstack/latest", b"vendor_data2.json", "text/plain; charset=utf-8"),
        ("/openstack/latest/meta_data.json", b'{"uuid": "1"}', "application/json"),
        ("/openstack/2012-08-10/meta_data.json", b'{"uuid": "1"}', "application/json"),
        ("//openstack/latest//user_data", b"#!/bin/sh\n", "application/octet-stream"),
        ("/openstack/content/0000", b"file", "application/octet-stream"),
        ("/latest", b"meta-data/\nuser-data", "text/plain; charset=utf-8"),
        ("/2009-04-04/meta-data/", b"hostname\nplacement/", "text/plain; charset=utf-8"),
        ("/2009-04-04/meta-data/hostname", b"web1", "text/plain; charset=utf-8"),
        ("/latest/meta-data/placement/", b"zone", "text/plain; charset=utf-8"),
        ("/latest/meta-data/placement/zone", b"nova", "text/plain; charset=utf-8"),
        ("/latest/user-data", b"#!/bin/sh\n", "application/octet-stream"),
    ],
)
def test_what_there_is(path: str, body: bytes, kind: str) -> None:
    found = answer(Facts(), path)
    assert found.status == 200
    assert body in found.body
    assert found.type == kind


@pytest.mark.parametrize(
    "path",
    [
        "/x",
        "/openstack/1999-01-01",
        "/openstack/latest/x",
        "/openstack/latest/vendor_data.json",
        "/openstack/latest/a/b",
        "/openstack/content/0001",
        "/openstack/content",
        "/openstack/2012-08-10/network_data.json",
        "/latest/x",
        "/latest/meta-data/x",
        "/latest/dynamic/instance-identity",
    ],
)
def test_what_there_is_not(path: str) -> None:
    assert answer(Facts(), path).status == 404


def test_without_user_data_none_is_listed() -> None:
    assert b"user_data" not in answer(Facts(None), "/openstack/latest").body
    assert answer(Facts(None), "/latest").body == b"meta-data/"
    assert answer(Facts(None), "/latest/user-data").status == 404


def test_older_versions_list_what_they_had() -> None:
    assert answer(Facts(), "/openstack/2013-04-04").body == b"meta_data.json\nuser_data\npassword"


def test_a_password_is_kept_once() -> None:
    kept: list[str] = []

    class Guests:
        def documents(self, port_id: str) -> metadata.Documents | None:
            return None

        def keep_password(self, port_id: str, text: str) -> bool:
            kept.append(text)
            return len(kept) == 1

    paths = ("/openstack/latest/password", "/openstack/password", "/latest/password")
    assert [takes_password(path) for path in paths] == [True, False, False]
    assert keep_password(Guests(), "p", b"x" * 1021).status == 400
    assert keep_password(Guests(), "p", b"\xff").status == 400
    assert [keep_password(Guests(), "p", b"sealed").status for _ in range(2)] == [200, 409]
