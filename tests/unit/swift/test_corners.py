"""Corners of the Swift door: open paths, forms of listings, copies of links, long jobs, damaged archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from xml.etree import ElementTree

import pytest

from andromede.errors import Fatal
from andromede.objects.swift.errors import render, status_of
from andromede.web.stream.body import BufferedBody
from andromede.web.stream.message import Headers, Request
from tests.support.doors import Answer, Doors

JSON = {"Accept": "application/json"}


def plain(door: Doors, method: str, path: str, headers: dict[str, str] | None = None) -> Answer:
    return door.send(door.swift_door, method, path, "", headers or {}, b"")


def test_open_paths(door: Doors) -> None:
    info = plain(door, "GET", "/info")
    sections = json.loads(info.body)
    assert sections["swift"]["policies"] == [{"name": "default", "aliases": "default", "default": True}]
    assert sections["tempurl"]["allowed_digests"] == ["sha256", "sha512"]
    assert "container_sync" not in sections
    head = plain(door, "HEAD", "/info")
    assert (head.body, head.headers["content-length"]) == (b"", str(len(info.body)))
    assert plain(door, "GET", "/healthcheck").body == b"OK"
    assert b"allow-access-from" in plain(door, "GET", "/crossdomain.xml").body
    assert plain(door, "POST", "/info").status == 405
    assert plain(door, "OPTIONS", "/info").headers["allow"] == "HEAD, GET, OPTIONS"


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1//c", "/v1/AUTH_p1//o", "/v1/%ff"])
def test_paths_that_lead_nowhere(door: Doors, path: str) -> None:
    assert plain(door, "GET", path, {"X-Auth-Token": "member"}).status in (404, 412)


def test_accounts_of_nobody(door: Doors) -> None:
    for account in ("SERVICE_p1", "p1", "AUTH_", "AUTH_p3"):
        assert door.swift("GET", account=account).status == 403
        assert door.swift("GET", account=account, token=None).status == 401


def test_what_may_run_on_the_loop(door: Doors) -> None:
    def quick(method: str, path: str, size: int = 0, query: bytes = b"", **headers: str) -> bool:
        body = BufferedBody(b"x" * size)
        request = Request(method, b"", path.encode(), query, Headers.of(*headers.items()), "http", "::1", body, "req-1")
        return door.swift_door.quick(request)

    assert quick("GET", "/v1/AUTH_p1/c/o")
    assert quick("PUT", "/v1/AUTH_p1/c/o", 1000)
    assert quick("POST", "/v1/AUTH_p1/c/o")
    assert not quick("GET", "/v1/AUTH_p1/c")
    assert not quick("GET", "/v1/AUTH_p1/c/")
    assert not quick("GET", "/v1/AUTH_p1/c/o", query=b"multipart-manifest=get")
    assert not quick("PUT", "/v1/AUTH_p1/c/o", 1 << 17)
    assert not quick("PUT", "/v1/AUTH_p1/c/o", **{"x-copy-from": "a/b"})
    assert not quick("POST", "/v1/AUTH_p1/c", **{"content-type": "multipart/form-data; boundary=x"})


def test_a_failure_inside_says_little() -> None:
    for failure in (Fatal("the frame of blob 17 does not open"), ValueError("secret")):
        answer = render(failure, "GET", "AUTH_p1")
        assert (answer.status, status_of(failure)) == (500, 500)
        assert isinstance(answer.body, bytes)
        assert b"17" not in answer.body
        assert b"secret" not in answer.body
    assert render(ValueError(), "HEAD", "").body == b""


def test_xml_listings(door: Doors) -> None:
    door.swift("PUT", "box/a", b"1", {"Content-Type": "é".encode().decode("latin-1")})
    door.swift("PUT", "box/d/e", b"22")
    tree = ElementTree.fromstring(door.swift("GET", "box", query="format=xml&delimiter=/").body)
    assert [(child.tag, child.findtext("name")) for child in tree] == [("object", "a"), ("subdir", "d/")]
    assert tree[0].findtext("content_type") == "é"
    answer = door.swift("GET", headers={"Accept": "text/xml"})
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert ElementTree.fromstring(answer.body)[0].findtext("bytes") == "3"
    assert door.swift("GET", "box", query="path=d").text == "d/e\n"
    assert door.swift("GET", query="delimiter=o").text == "bo\n"


def test_pages_of_versions(door: Doors) -> None:
    door.swift("POST", "box", headers={"X-Versions-Enabled": "true"})
    for key in ("a", "a", "b/c", "d"):
        door.swift("PUT", f"box/{key}", b"x")

    def names(query: str) -> list[str]:
        rows = json.loads(door.swift("GET", "box", query=f"versions&{query}").body)
        return [row.get("name", row.get("subdir")) for row in rows]

    assert names("end_marker=b") == ["a", "a"]
    assert names("delimiter=/") == ["a", "a", "b/", "d"]
    assert names("marker=a&limit=1") == ["b/c"]
    assert names("limit=0") == []
    assert door.swift("GET", "box", query="versions&version_marker=x").status == 400
    assert door.swift("GET", "box", query="versions&reverse=true").status == 400
    marker = door.swift("DELETE", "box/d").headers["x-object-version-id"]
    assert door.swift("PUT", "box/d", b"", query=f"version-id={marker}").status == 400
    gone = door.swift("DELETE", "box/d", query=f"version-id={marker}")
    assert gone.headers["x-object-current-version-id"] != marker
    assert door.swift("GET", "box/d").status == 200
    assert door.swift("COPY", "box/d", headers={"Destination": "box/e"}, query=f"version-id={marker}").status == 404


def test_copies_of_links_and_parts(door: Doors) -> None:
    door.swift("PUT", "box/a", b"aaaa")
    door.swift("PUT", "box/b", b"bb")
    door.swift("PUT", "box/link", b"", {"X-Symlink-Target": "box/a"})
    door.swift("PUT", "box/slo", b'[{"path":"box/a"},{"path":"box/b"}]', query="multipart-manifest=put")
    door.swift("COPY", "box/link", headers={"Destination": "box/link2", "X-Object-Meta-A": "1"}, query="symlink=get")
    own = door.swift("HEAD", "box/link2", query="symlink=get").headers
    assert (own["x-symlink-target"], own["x-object-meta-a"]) == ("box/a", "1")
    door.swift("COPY", "box/link", headers={"Destination": "box/flat"})
    assert door.swift("GET", "box/flat").body == b"aaaa"
    door.swift("COPY", "box/slo", headers={"Destination": "box/piece", "Range": "bytes=3-4"})
    assert door.swift("GET", "box/piece").body == b"ab"
    both = {"X-Copy-From": "box/a", "X-Symlink-Target": "box/b"}
    assert door.swift("PUT", "box/x", b"", both).status == 400
    assert door.swift("PUT", "box/x", b"body", {"X-Copy-From": "box/a"}).status == 400
    assert door.swift("PUT", "box/x", b"", {"X-Copy-From": "box/none"}).status == 404
    assert door.swift("PUT", "box/x", b"", {"X-Copy-From": "box/a", "If-None-Match": "x"}).status == 400
    wrong = {"X-Symlink-Target": "box/a", "ETag": hashlib.md5(b"x").hexdigest()}
    assert door.swift("PUT", "box/x", b"", wrong).status == 422
    door.swift("PUT", "box/a", b"AAAA")
    assert door.swift("COPY", "box/slo", headers={"Destination": "box/broken"}).status == 409


def test_copies_keep_or_set_the_time_of_expiry(door: Doors) -> None:
    door.swift("PUT", "box/a", b"1", {"X-Delete-After": "60"})
    kept = door.swift("COPY", "box/a", headers={"Destination": "box/b"}).headers["x-delete-at"]
    moved = door.swift("COPY", "box/a", headers={"Destination": "box/c", "X-Delete-After": "90"})
    assert int(moved.headers["x-delete-at"]) - int(kept) == 30


def test_a_long_list_of_deletions(door: Doors) -> None:
    for number in range(300):
        door.swift("PUT", f"box/{number:03d}", b"")
    lines = [f"box/{number:03d}" for number in range(300)] + ["box/000", "box"]
    answer = door.swift("POST", body="\n".join(lines).encode(), headers=JSON, query="bulk-delete")
    report = json.loads(answer.body)
    assert (report["Number Deleted"], report["Number Not Found"], report["Errors"]) == (301, 1, [])
    assert door.swift("HEAD", "box").status == 404


def test_deletions_stop_at_too_many_failures(door: Doors) -> None:
    door.swift("PUT", "box/o", b"")
    lines = b"\n".join([b"box/o"] * 1500)
    answer = door.swift("POST", body=lines, headers=JSON, query="bulk-delete", token="stranger")
    report = json.loads(answer.body)
    assert len(report["Errors"]) == 1000
    assert report["Response Body"] == "Max delete failures exceeded"


def test_nested_manifests_are_deleted_whole(door: Doors) -> None:
    for key in ("a", "b"):
        door.swift("PUT", f"box/{key}", key.encode())
    door.swift("PUT", "box/in", b'[{"path":"box/a"},{"data":"eHg="}]', query="multipart-manifest=put")
    door.swift("PUT", "box/out", b'[{"path":"box/in"},{"path":"box/b"}]', query="multipart-manifest=put")
    gone = door.swift("DELETE", "box/out", query="multipart-manifest=delete&async=yes")
    assert gone.status == 202
    assert door.swift("GET", "box").status == 204
    door.swift("PUT", "box/plain", b"x")
    assert door.swift("DELETE", "box/plain", query="multipart-manifest=delete&async=yes").status == 400
    assert door.swift("DELETE", "box/none", query="multipart-manifest=delete&async=yes").status == 404


def test_a_prefix_of_many_segments(door: Doors) -> None:
    whole = b""
    for number in range(1050):
        door.swift("PUT", f"box/s/{number:04d}", b"%d," % number)
        whole += b"%d," % number
    door.swift("PUT", "box/dlo", b"", {"X-Object-Manifest": "box/s/"})
    assert door.swift("GET", "box/dlo").body == whole
    door.swift("PUT", "box/lost", b"", {"X-Object-Manifest": "none/s/"})
    assert door.swift("GET", "box/lost").body == b""


def tarball(name: str, size: int = 3) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.size = size
        tar.addfile(info, io.BytesIO(b"x" * size))
    return out.getvalue()


def test_archives_in_pieces_and_with_old_headers(door: Doors) -> None:
    data = tarball("d" * 90 + "/" + "f" * 90, 70_000)
    squeezed = gzip.compress(data[:1000]) + gzip.compress(data[1000:]) + b"\0" * 20
    report = json.loads(door.swift("PUT", "box", squeezed, JSON, query="extract-archive=tar.gz").body)
    assert (report["Number Files Created"], report["Response Status"]) == (1, "201 Created")
    assert len(door.swift("GET", "box/" + "d" * 90 + "/" + "f" * 90).body) == 70_000
    refused = door.swift("PUT", "box", data, {"Accept": "image/png"}, query="extract-archive=tar")
    assert (refused.status, b"406 Not Acceptable" in refused.body) == (200, True)


@pytest.mark.parametrize(
    ("offset", "raw"),
    [(124, b"\x80" + b"\xff" * 11), (124, b"zzzzzzzzzzz\0"), (124, b"-0000000001\0"), (148, b"000000\0 ")],
)
def test_archives_with_impossible_numbers(door: Doors, offset: int, raw: bytes) -> None:
    data = bytearray(tarball("x"))
    data[offset : offset + len(raw)] = raw
    if offset != 148:
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
    report = json.loads(door.swift("PUT", "box", bytes(data), JSON, query="extract-archive=tar").body)
    assert report["Response Status"] == "400 Bad Request"


def test_archive_names_that_cannot_be(door: Doors) -> None:
    data = tarball("c" * 90 + "/x")
    report = json.loads(door.swift("PUT", body=data, headers=JSON, query="extract-archive=tar").body)
    assert report["Number Files Created"] == 1
    bad = bytearray(tarball("box/abc"))
    bad[4:6] = b"\xff\xfe"
    bad[148:156] = b" " * 8
    bad[148:156] = b"%06o\0 " % sum(bad[:512])
    report = json.loads(door.swift("PUT", body=bytes(bad), headers=JSON, query="extract-archive=tar").body)
    assert [error[1] for error in report["Errors"]] == ["412 Precondition Failed"]


def test_post_cannot_turn_a_slo_into_a_dlo(door: Doors) -> None:
    door.swift("PUT", "box/a", b"aaaa")
    door.swift("PUT", "box/slo", b'[{"path":"box/a"}]', query="multipart-manifest=put")
    assert door.swift("POST", "box/slo", headers={"X-Object-Manifest": "box/x"}).status == 202
    assert door.swift("GET", "box/slo").body == b"aaaa"
    door.swift("PUT", "box/plain", b"own")
    assert door.swift("POST", "box/plain", headers={"X-Object-Manifest": "box/a"}).status == 202
    assert door.swift("GET", "box/plain").body == b"aaaa"


def test_account_quota_by_count_and_metadata_of_containers(door: Doors) -> None:
    assert door.swift("POST", headers={"X-Account-Quota-Count": "1"}, token="reseller").status == 204
    assert door.swift("PUT", "box/a", b"").status == 201
    assert door.swift("PUT", "box/b", b"").status == 413
    assert door.swift("PUT", "box/a", b"again").status == 201
    assert door.swift("HEAD").headers["x-account-quota-count"] == "1"
