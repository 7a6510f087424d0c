"""Versioning of both styles, and operations on many objects, through the Swift door."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tarfile
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.doors import Doors


def versions(door: Doors) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(door.swift("GET", "box", query="versions").body)
    return found


def test_versions_are_kept_listed_and_read(door: Doors) -> None:
    door.swift("POST", "box", headers={"X-Versions-Enabled": "true"})
    assert door.swift("HEAD", "box").headers["x-versions-enabled"] == "True"
    first = door.swift("PUT", "box/o", b"1").headers["x-object-version-id"]
    second = door.swift("PUT", "box/o", b"22").headers["x-object-version-id"]
    gone = door.swift("DELETE", "box/o")
    assert gone.status == 204
    rows = versions(door)
    assert [row["version_id"] for row in rows] == [gone.headers["x-object-version-id"], second, first]
    assert [row["is_latest"] for row in rows] == [True, False, False]
    assert rows[0]["content_type"] == "application/x-deleted;swift_versions_deleted=1"
    assert door.swift("GET", "box/o").status == 404
    assert door.swift("GET", "box").status == 204
    assert door.swift("GET", "box/o", query=f"version-id={first}").body == b"1"
    assert door.swift("HEAD", "box/o", query=f"version-id={rows[0]['version_id']}").status == 404
    assert door.swift("GET", "box/o", query="version-id=nothing").status == 404
    assert door.swift("GET", "box", query="versions&format=xml").status == 406
    page = json.loads(door.swift("GET", "box", query=f"versions&limit=1&marker=o&version_marker={second}").body)
    assert [row["version_id"] for row in page] == [first]


def test_versions_are_removed_and_restored(door: Doors) -> None:
    door.swift("POST", "box", headers={"X-Versions-Enabled": "true"})
    first = door.swift("PUT", "box/o", b"1").headers["x-object-version-id"]
    second = door.swift("PUT", "box/o", b"22").headers["x-object-version-id"]
    assert door.swift("PUT", "box/o", b"", query=f"version-id={first}").status == 201
    assert door.swift("GET", "box/o").body == b"1"
    assert door.swift("PUT", "box/o", b"x", query=f"version-id={first}").status == 400
    assert door.swift("PUT", "box/o", b"", query="version-id=null").status == 400
    assert door.swift("POST", "box/o", query=f"version-id={first}").status == 400
    removed = door.swift("DELETE", "box/o", query=f"version-id={second}")
    assert (removed.status, removed.headers["x-object-version-id"]) == (204, second)
    assert door.swift("DELETE", "box").status == 409
    assert door.swift("COPY", "box/o", headers={"Destination": "box/p"}, query=f"version-id={first}").status == 201
    for row in versions(door):
        assert door.swift("DELETE", f"box/{row['name']}", query=f"version-id={row['version_id']}").status == 204
    assert door.swift("DELETE", "box").status == 204


def test_suspended_versioning_replaces_null(door: Doors) -> None:
    door.swift("POST", "box", headers={"X-Versions-Enabled": "true"})
    kept = door.swift("PUT", "box/o", b"1").headers["x-object-version-id"]
    door.swift("POST", "box", headers={"X-Versions-Enabled": "false"})
    door.swift("PUT", "box/o", b"2")
    door.swift("PUT", "box/o", b"3")
    assert [row["version_id"] for row in versions(door)] == ["null", kept]
    assert door.swift("GET", "box/o").body == b"3"


def test_stacked_versions(door: Doors, clock: FakeClock) -> None:
    door.swift("PUT", "arch")
    door.swift("POST", "box", headers={"X-Versions-Location": "arch"})
    for data in (b"1", b"22", b"333"):
        clock.advance(1)
        door.swift("PUT", "box/o", data)
    archived = door.swift("GET", "arch").text.split()
    assert [name.rpartition("/")[0] for name in archived] == ["001o", "001o"]
    assert door.swift("GET", f"arch/{archived[0]}").body == b"1"
    door.swift("DELETE", "box/o")
    assert door.swift("GET", "box/o").body == b"22"
    door.swift("DELETE", "box/o")
    door.swift("DELETE", "box/o")
    assert door.swift("GET", "box/o").status == 404
    assert door.swift("GET", "arch").status == 204


def test_history_keeps_what_is_deleted(door: Doors) -> None:
    door.swift("PUT", "arch")
    door.swift("POST", "box", headers={"X-History-Location": "arch"})
    door.swift("PUT", "box/o", b"1")
    assert door.swift("DELETE", "box/o").status == 204
    rows = json.loads(door.swift("GET", "arch", query="format=json").body)
    assert [row["bytes"] for row in rows] == [1, 0]
    assert rows[1]["content_type"] == "application/x-deleted;swift_versions_deleted=1"
    assert door.swift("GET", "box/o").status == 404


def test_styles_of_versioning_exclude_each_other(door: Doors) -> None:
    assert door.swift("POST", "box", headers={"X-Versions-Location": ""}).status == 204
    assert door.swift("POST", "box", headers={"X-Versions-Location": "a%2Fb"}).status == 412
    assert door.swift("POST", "box", headers={"X-Versions-Location": "a%20b"}).status == 204
    assert door.swift("HEAD", "box").headers["x-versions-location"] == "a%20b"
    door.swift("PUT", "box/o", b"1")
    assert door.swift("PUT", "box/o", b"2").status == 412
    assert door.swift("POST", "box", headers={"X-Versions-Enabled": "true"}).status == 400
    assert door.swift("POST", "box", headers={"X-History-Location": "c"}).status == 204
    head = door.swift("HEAD", "box").headers
    assert ("x-versions-location" in head, head["x-history-location"]) == (False, "c")
    assert door.swift("POST", "box", headers={"X-Remove-History-Location": "x"}).status == 204
    assert door.swift("POST", "box", headers={"X-Versions-Enabled": "true"}).status == 204
    assert door.swift("POST", "box", headers={"X-Versions-Location": "c"}).status == 400


JSON = {"Accept": "application/json"}


def test_bulk_delete(door: Doors) -> None:
    for name in ("x", "a b", "é"):
        door.swift("PUT", f"box/{name}", b"1")
    body = "box/x\n\n/box/a%20b\nbox/é\nbox/none\nnone/x\nbox\n%ff\n".encode()
    answer = door.swift("POST", body=body, headers=JSON, query="bulk-delete")
    report = json.loads(answer.body)
    assert (answer.status, report["Number Deleted"], report["Number Not Found"]) == (200, 4, 2)
    assert report["Errors"] == [["%ff", "412 Precondition Failed"]]
    assert report["Response Status"] == "400 Bad Request"
    door.swift("PUT", "full")
    door.swift("PUT", "full/o", b"1")
    report = json.loads(door.swift("POST", body=b"full\n", headers=JSON, query="bulk-delete").body)
    assert report["Errors"] == [["full", "409 Conflict"]]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [(b"", "400 Bad Request", "Invalid bulk delete."), (b"\n".join([b"a/b"] * 10_001), "413 Request", "Maximum")],
)
def test_bulk_delete_limits(door: Doors, body: bytes, status: str, text: str) -> None:
    report = json.loads(door.swift("POST", body=body, headers=JSON, query="bulk-delete").body)
    assert report["Response Status"].startswith(status)
    assert text in report["Response Body"]


def test_bulk_delete_forms_and_rights(door: Doors) -> None:
    door.swift("PUT", "box/o", b"1")
    assert door.swift("POST", body=b"box/o", query="bulk-delete", token=None).status == 401
    theirs = door.swift("POST", body=b"box/o", headers=JSON, query="bulk-delete", token="stranger")
    assert json.loads(theirs.body)["Errors"] == [["box/o", "403 Forbidden"]]
    assert door.swift("POST", body=b"x/y", headers={"Accept": "text/xml"}, query="bulk-delete").body.startswith(b"<del")
    refused = door.swift("POST", body=b"x/y", headers={"Accept": "image/png"}, query="bulk-delete")
    assert (refused.status, b"406 Not Acceptable" in refused.body) == (200, True)
    assert door.swift("HEAD", "box/o").status == 200


def archive(members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


FILES = {"new/a.txt": b"abc", "new/d/b": b"", "./new/c": b"x" * 2000, "new/" + "l" * 300: b"long", "new/é": b"u"}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize(("kind", "squeeze"), [("tar", bytes), ("tar.gz", gzip.compress), ("tar.bz2", bz2.compress)])
def test_archives(door: Doors, kind: str, squeeze: Any, form: int) -> None:
    data = squeeze(archive(FILES, form))
    answer = door.swift("PUT", body=data, headers=JSON, query=f"extract-archive={kind}")
    report = json.loads(answer.body)
    assert (answer.status, report["Response Status"], report["Number Files Created"]) == (200, "201 Created", 5)
    for name, body in FILES.items():
        assert door.swift("GET", name.removeprefix("./")).body == body
    assert door.swift("HEAD", "new/a.txt").headers["content-type"] == "text/plain"
    under = door.swift("PUT", "box/pre", data, JSON, query=f"extract-archive={kind}")
    assert json.loads(under.body)["Number Files Created"] == 5
    assert door.swift("GET", "box/pre/new/a.txt").body == b"abc"


def test_archives_hold_more_than_files(door: Doors) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"odd{kind!r}")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        info = tarfile.TarInfo("meta")
        info.size, info.pax_headers = 1, {"SCHILY.xattr.user.meta.Colour": "blue", "SCHILY.xattr.user.mime_type": "m/t"}
        tar.addfile(info, io.BytesIO(b"1"))
        bad = {"SCHILY.xattr.user.meta.A": "x\r\nX-Evil: y"}, {"SCHILY.xattr.user.mime_type": "a/b\r\nX: y"}
        for fields in (*bad, {"SCHILY.xattr.user.meta.a b": "x"}):
            info = tarfile.TarInfo("evil")
            info.pax_headers = fields
            tar.addfile(info)
        for name in ("../up", "a/../../up", "/", ""):
            tar.addfile(tarfile.TarInfo(name))
    report = json.loads(door.swift("PUT", "box", out.getvalue(), JSON, query="extract-archive=tar").body)
    assert (report["Number Files Created"], report["Errors"]) == (1, [["box/evil", "400 Bad Request"]] * 3)
    head = door.swift("HEAD", "box/meta").headers
    assert (head["x-object-meta-colour"], head["content-type"]) == ("blue", "m/t")
    assert door.swift("GET", "box").text == "meta\n"


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2"])
@pytest.mark.parametrize("data", [b"", b"bad", b"\0" * 100, b"\xff" * 5000, archive(FILES)[:700]])
def test_archives_that_are_none(door: Doors, kind: str, data: bytes) -> None:
    answer = door.swift("PUT", "box", data, JSON, query=f"extract-archive={kind}")
    assert answer.status == 200
    assert json.loads(answer.body)["Response Status"] == "400 Bad Request"


def test_archive_headers_cannot_take_memory(door: Doors) -> None:
    block = bytearray(archive({"x": b""})[:512])
    block[156:157] = b"L"
    block[124:136] = b"77777777777\0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    answer = door.swift("PUT", "box", bytes(block) + b"x" * 4096, JSON, query="extract-archive=tar")
    assert json.loads(answer.body)["Response Body"] == "Invalid Tar File: a header of the archive is too long"
    assert door.swift("PUT", "box", b"", query="extract-archive=zip").status == 400
    assert door.swift("PUT", "box", archive(FILES), query="extract-archive=tar", token=None).status == 401
    theirs = door.swift("PUT", "box", archive({"o": b"1"}), JSON, query="extract-archive=tar", token="stranger")
    assert json.loads(theirs.body)["Errors"] == [["box/o", "403 Forbidden"]]


@pytest.mark.parametrize("odd", ["%85", "%c0%af", "%ed%a0%80", "%00", "%0a", "%F0%9F%98%80", "x" * 5000])
def test_version_ids_that_are_none(door: Doors, odd: str) -> None:
    door.swift("POST", "box", headers={"X-Versions-Enabled": "true"})
    door.swift("PUT", "box/o", b"1")
    for method, headers in (("GET", {}), ("HEAD", {}), ("COPY", {"Destination": "box/p"}), ("DELETE", {}), ("PUT", {})):
        answer = door.swift(method, "box/o", b"" if method == "PUT" else None, headers, query=f"version-id={odd}")
        assert answer.status in (400, 404), (method, answer.body)
