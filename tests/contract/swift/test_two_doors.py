"""One namespace behind two doors: what one writes the other reads, and neither obeys the other's headers."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from andromede.clock import SystemClock
from andromede.db import Database
from tests.support.doors import Doors, doors

S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@pytest.fixture
def both(db: Database, tmp_path: Path) -> Iterator[Doors]:
    with doors(db, tmp_path, SystemClock()) as found:
        assert found.swift("PUT", "box").status == 201
        yield found


def test_swift_object_through_s3(both: Doors) -> None:
    headers = {"X-Object-Meta-Foo": "bär".encode().decode("latin-1"), "Content-Type": "a/b", "Content-Language": "fr"}
    both.swift("PUT", "box/dir/ö", b"hello", headers)
    read = both.s3("GET", "box/dir/ö")
    assert (read.status, read.body, read.headers["content-type"]) == (200, b"hello", "a/b")
    assert read.headers["x-amz-meta-foo"] == headers["X-Object-Meta-Foo"]
    assert read.headers["content-language"] == "fr"
    assert read.headers["etag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'


def test_s3_object_through_swift(both: Doors) -> None:
    assert both.s3("PUT", "made-by-s3").status == 200
    put = both.s3("PUT", "made-by-s3/k", b"data", {"x-amz-meta-foo": "bar", "content-type": "c/d"})
    assert put.status == 200
    read = both.swift("GET", "made-by-s3/k")
    assert (read.body, read.headers["x-object-meta-foo"], read.headers["content-type"]) == (b"data", "bar", "c/d")
    assert both.swift("GET", query="prefix=made").text == "made-by-s3\n"
    both.swift("POST", "made-by-s3/k", headers={"X-Object-Meta-New": "1"})
    head = both.s3("HEAD", "made-by-s3/k")
    assert (head.headers["x-amz-meta-new"], "x-amz-meta-foo" in head.headers) == ("1", False)
    assert both.s3("DELETE", "made-by-s3/k").status == 204
    assert both.swift("GET", "made-by-s3/k").status == 404


def test_containers_that_no_bucket_can_be(both: Doors) -> None:
    for name in ("Upper", "ab", "é", "info", "v1.0", "10.0.0.1"):
        assert both.swift("PUT", name).status == 201
        assert both.swift("PUT", f"{name}/o", b"x").status == 201
    names = [node.text for node in ElementTree.fromstring(both.s3("GET", "").body).iter(S3 + "Name")]
    assert names == ["box"]
    assert both.s3("GET", "", signed=False).status in (307, 403)


def multipart(both: Doors, key: str, parts: list[bytes]) -> None:
    started = ElementTree.fromstring(both.s3("POST", f"box/{key}", b"", query="uploads=").body)
    upload = started.findtext(S3 + "UploadId")
    rows = ""
    for number, data in enumerate(parts, 1):
        tag = both.s3("PUT", f"box/{key}", data, query=f"partNumber={number}&uploadId={upload}").headers["etag"]
        rows += f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    assert both.s3("POST", f"box/{key}", body, query=f"uploadId={upload}").status == 200


def test_multipart_object_is_a_static_large_object(both: Doors) -> None:
    parts = [b"a" * (5 << 20), b"b" * 10]
    multipart(both, "mp", parts)
    head = both.swift("HEAD", "box/mp").headers
    assert (head["x-static-large-object"], head["content-length"]) == ("True", str((5 << 20) + 10))
    assert head["etag"].startswith('"')
    assert head["etag"].endswith('-2"')
    assert both.swift("GET", "box/mp").body == b"".join(parts)
    assert both.swift("GET", "box/mp", query="part-number=2").body == parts[1]
    manifest = json.loads(both.swift("GET", "box/mp", query="multipart-manifest=get").body)
    assert [entry["bytes"] for entry in manifest] == [5 << 20, 10]
    assert all(both.swift("DELETE", entry["name"].lstrip("/")).status == 404 for entry in manifest)
    gone = both.swift("DELETE", "box/mp", headers={"Accept": "application/json"}, query="multipart-manifest=delete")
    assert json.loads(gone.body)["Number Deleted"] == 1
    assert both.s3("HEAD", "box/mp").status == 404


def test_large_objects_and_links_through_s3(both: Doors) -> None:
    for name, data in (("s/0", b"aaaa"), ("s/1", b"bb")):
        both.swift("PUT", f"box/{name}", data)
    both.swift("PUT", "box/slo", b'[{"path":"box/s/0"},{"path":"box/s/1"}]', query="multipart-manifest=put")
    both.swift("PUT", "box/dlo", b"", {"X-Object-Manifest": "box/s/"})
    both.swift("PUT", "box/link", b"", {"X-Symlink-Target": "box/slo"})
    for key in ("slo", "dlo", "link"):
        read = both.s3("GET", f"box/{key}")
        assert (read.status, read.body) == (200, b"aaaabb")
        assert read.headers["etag"].endswith('-2"')
        assert both.s3("GET", f"box/{key}", headers={"range": "bytes=3-4"}).body == b"ab"
        assert both.s3("HEAD", f"box/{key}").headers["content-length"] == "6"
        assert both.s3("PUT", f"box/copy-{key}", headers={"x-amz-copy-source": f"box/{key}"}).status == 200
        assert both.swift("GET", f"box/copy-{key}").body == b"aaaabb"
    listed = ElementTree.fromstring(both.s3("GET", "box", query="prefix=slo").body)
    assert [node.text for node in listed.iter(S3 + "Size")] == ["6"]


def test_versions_are_the_same_rows(both: Doors) -> None:
    both.swift("POST", "box", headers={"X-Versions-Enabled": "true"})
    state = both.s3("GET", "box", query="versioning=")
    assert b"<Status>Enabled</Status>" in state.body
    first = both.swift("PUT", "box/o", b"1").headers["x-object-version-id"]
    second = both.s3("PUT", "box/o", b"2").headers["x-amz-version-id"]
    rows = json.loads(both.swift("GET", "box", query="versions").body)
    assert [row["version_id"] for row in rows] == [second, first]
    assert both.s3("GET", "box/o", query=f"versionId={first}").body == b"1"
    assert both.s3("DELETE", "box/o").status == 204
    assert both.swift("GET", "box/o").status == 404


def test_policy_and_acl_bind_both_doors(both: Doors) -> None:
    both.swift("PUT", "box/o", b"x")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::box/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]}).encode()
    assert both.s3("PUT", "box", document, query="policy=").status in (200, 204)
    assert both.swift("GET", "box/o").status == 403
    assert both.swift("GET", "box").status == 200
    assert both.s3("DELETE", "box", query="policy=").status == 204
    both.swift("POST", "box", headers={"X-Container-Read": ".r:*"})
    assert both.s3("GET", "box/o", signed=False).body == b"x"
    block = (
        b"<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>"
    )
    assert both.s3("PUT", "box", block, query="publicAccessBlock=").status == 200
    assert both.swift("GET", "box/o", token=None).status == 401
    assert both.s3("GET", "box/o", signed=False).status == 403


def test_lock_holds_at_the_swift_door(both: Doors) -> None:
    assert both.s3("PUT", "locked", headers={"x-amz-bucket-object-lock-enabled": "true"}).status == 200
    until = {"x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z"}
    digest = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    put = both.s3("PUT", "locked/o", b"x", {**until, "content-md5": digest})
    assert put.status == 200
    version = put.headers["x-amz-version-id"]
    assert both.swift("DELETE", "locked/o", query=f"version-id={version}").status == 403
    assert both.swift("POST", "locked", headers={"X-Versions-Enabled": "false"}).status == 409
    assert both.swift("GET", "locked/o", query=f"version-id={version}").body == b"x"


SWIFT_CONTROLS = {
    "x-copy-from": "/box/secret",
    "x-copy-from-account": "AUTH_p1",
    "destination": "box/stolen",
    "x-object-manifest": "box/s",
    "x-symlink-target": "box/secret",
    "x-symlink-target-account": "AUTH_p1",
    "x-static-large-object": "True",
    "x-delete-at": "1",
    "x-delete-after": "1",
    "x-versions-location": "arch",
    "x-history-location": "arch",
    "x-versions-enabled": "true",
    "x-container-read": ".r:*",
    "x-container-write": "*:*",
    "x-container-meta-quota-bytes": "1",
    "x-account-meta-temp-url-key": "k",
    "x-object-meta-foo": "bar",
    "x-timestamp": "1000000000.00000",
    "x-backend-storage-policy-index": "1",
    "x-object-sysmeta-slo-etag": "x",
    "x-container-sysmeta-acl": "x",
    "x-storage-policy": "gold",
    "x-fresh-metadata": "true",
    "x-auth-token": "stranger",
}


@pytest.mark.parametrize("name", sorted(SWIFT_CONTROLS))
def test_swift_headers_have_no_effect_through_s3(both: Doors, name: str) -> None:
    both.swift("PUT", "box/secret", b"secret")
    extra = {name: SWIFT_CONTROLS[name]}
    assert both.s3("PUT", "box/o", b"plain", extra).status == 200
    assert both.s3("PUT", "bucket", headers=extra).status == 200
    for headers in (both.swift("HEAD", "box/o").headers, both.swift("HEAD", "box/o", query="symlink=get").headers):
        assert headers["content-length"] == "5"
        assert "x-object-manifest" not in headers
        assert "x-delete-at" not in headers
        assert not any(found.startswith(("x-object-meta-", "x-symlink", "x-static")) for found in headers)
    assert both.swift("GET", "box/o").body == b"plain"
    shown = both.swift("HEAD", "bucket").headers
    settings = ("x-container-meta", "x-container-read", "x-container-write", "x-versions", "x-history")
    assert not any(found.startswith(settings) for found in shown)
    assert both.swift("HEAD", "bucket", token=None).status == 401
    assert both.swift("GET", "box").text == "o\nsecret\n"
    assert "x-account-meta-temp-url-key" not in both.swift("HEAD").headers


S3_CONTROLS = {
    "x-amz-copy-source": "/box/secret",
    "x-amz-copy-source-range": "bytes=0-1",
    "x-amz-metadata-directive": "REPLACE",
    "x-amz-acl": "public-read",
    "x-amz-grant-read": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"',
    "x-amz-grant-full-control": "id=p2",
    "x-amz-meta-foo": "bar",
    "x-amz-tagging": "a=b",
    "x-amz-object-lock-mode": "COMPLIANCE",
    "x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z",
    "x-amz-object-lock-legal-hold": "ON",
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-storage-class": "GLACIER",
    "x-amz-website-redirect-location": "http://x.example/",
    "x-amz-bypass-governance-retention": "true",
    "x-amz-bucket-object-lock-enabled": "true",
    "x-amz-expected-bucket-owner": "p2",
    "x-amz-checksum-crc32": "AAAAAA==",
    "x-amz-security-token": "x",
    "x-amz-decoded-content-length": "1",
    "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
}


@pytest.mark.parametrize("name", sorted(S3_CONTROLS))
def test_s3_headers_have_no_effect_through_swift(both: Doors, name: str) -> None:
    both.swift("PUT", "box/secret", b"secret")
    extra = {name: S3_CONTROLS[name]}
    assert both.swift("PUT", "box/o", b"plain", extra).status == 201
    assert both.swift("PUT", "bucket", headers=extra).status == 201
    assert both.swift("COPY", "box/o", headers={**extra, "Destination": "box/p"}).status == 201
    for key in ("o", "p"):
        head = both.s3("HEAD", f"box/{key}")
        assert head.headers["content-length"] == "5"
        amz = {found for found in head.headers if found.startswith("x-amz-")}
        assert amz <= {"x-amz-request-id", "x-amz-id-2"}, amz
        assert both.s3("GET", f"box/{key}", signed=False).status == 403
        assert both.swift("GET", f"box/{key}").body == b"plain"
    assert both.s3("GET", "bucket", query="tagging=").status == 404
    assert both.s3("GET", "bucket", query="object-lock=").status == 404
    assert both.s3("GET", "bucket", signed=False).status == 403
    assert both.swift("DELETE", "box/o", headers=extra).status == 204


def test_swift_chooses_the_kind_of_etags_that_s3_gives(both: Doors) -> None:
    def tag() -> str:
        return both.s3("PUT", "box/k", b"data").headers["etag"].strip('"')

    for headers, opaque in (({"X-Container-Etag": "opaque"}, True), ({}, True), ({"X-Container-Etag": "md5"}, False)):
        assert both.swift("POST", "box", headers=headers).status == 204
        assert tag().endswith("-0") is opaque, headers
    assert both.swift("POST", "box", headers={"X-Container-Etag": "sha1"}).status == 412
    assert both.swift("PUT", "box/k", b"data").headers["etag"].strip('"') == hashlib.md5(b"data").hexdigest()
