"""Objects through the S3 door: bytes, headers, ranges, conditions, versions, copies, deletes."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.contract.s3.client import Client
from tests.support.clock import FakeClock


@pytest.fixture
def box(s3: Client) -> Client:
    s3.bucket("box")
    return s3


def versioned(s3: Client, status: str = "Enabled") -> None:
    body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
    assert s3("PUT", "/box?versioning", body).status == 200


ODD = ["a b", "ü/ß", "..", "a/../b", "//", "x" * 1024, "tab\there", "new\nline", "%2F", "+&=?", "\u20ac\U0001f600"]


@pytest.mark.parametrize("key", ODD)
def test_odd_keys_come_back(box: Client, key: str) -> None:
    assert box.put(key, b"data").status == 200
    assert box.get(key).body == b"data"
    listed = box("GET", "/box?list-type=2&encoding-type=url")
    assert len(listed.texts("Contents/Key")) == 1
    assert box("DELETE", "/box/" + __import__("urllib.parse", fromlist=["quote"]).quote(key)).status == 204
    assert box.get(key).code == "NoSuchKey"


def test_attributes_come_back(box: Client) -> None:
    box.put(
        "k", b"data", content_type="text/x", cache_control="no-store", content_encoding="aws-chunked, gzip",
        x_amz_meta_colour="blau", x_amz_tagging="a=1&b=2", x_amz_website_redirect_location="/other",
    )  # fmt: skip
    answer = box.get("k")
    assert answer.headers["content-type"] == "text/x"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["x-amz-meta-colour"] == "blau"
    assert answer.headers["x-amz-tagging-count"] == "2"
    assert answer.headers["x-amz-website-redirect-location"] == "/other"
    assert answer.headers["etag"] == f'"{hashlib.md5(b"data").hexdigest()}"'
    assert answer.headers["last-modified"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    head = box("HEAD", "/box/k")
    assert head.status == 200 and head.body == b""
    assert {k: v for k, v in head.headers.items() if k != "date"} == answer.headers


@pytest.mark.parametrize(
    ("given", "status", "body", "shown"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-999", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("bytes=x-1", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=4-2", 200, b"0123456789", None),
    ],
)
def test_ranges(box: Client, given: str, status: int, body: bytes, shown: str | None) -> None:
    box.put("k", b"0123456789")
    answer = box.get("k", range=given)
    assert (answer.status, answer.body, answer.headers.get("content-range")) == (status, body, shown)


@pytest.mark.parametrize(("data", "given"), [(b"0123", "bytes=4-"), (b"", "bytes=0-0"), (b"0123", "bytes=-0")])
def test_ranges_behind_the_end(box: Client, data: bytes, given: str) -> None:
    box.put("k", data)
    answer = box.get("k", range=given)
    assert (answer.status, answer.code, answer.text("ActualObjectSize")) == (416, "InvalidRange", str(len(data)))


def test_overrides_are_for_signed_requests(box: Client) -> None:
    box.put("k", b"data", x_amz_acl="public-read")
    answer = box.get("k", "?response-content-type=text%2Fplain&response-cache-control=max-age%3D1")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("text/plain", "max-age=1")
    assert box.get("k", "?response-expires=a%0d%0aSet-Cookie:x").code == "InvalidArgument"
    anonymous = box.acting(None).get("k", "?response-content-type=text%2Fplain")
    assert (anonymous.status, anonymous.code) == (400, "InvalidRequest")


def test_conditional_reads(box: Client, clock: FakeClock) -> None:
    etag = box.put("k", b"data").headers["etag"]
    clock.advance(10)
    assert box.get("k", if_match=etag).status == 200
    assert box.get("k", if_match='"other"').code == "PreconditionFailed"
    assert box.get("k", if_none_match=etag).status == 304
    assert box.get("k", if_none_match='"other"').status == 200
    assert box.get("k", if_modified_since="Thu, 01 Jan 2026 00:00:05 GMT").status == 304
    assert box.get("k", if_unmodified_since="Wed, 31 Dec 2025 00:00:00 GMT").status == 412
    assert box.get("k", if_match=etag, if_unmodified_since="Wed, 31 Dec 2025 00:00:00 GMT").status == 200
    assert box.get("k", if_none_match='"other"', if_modified_since="Thu, 01 Jan 2026 00:00:05 GMT").status == 200


def test_conditional_writes(box: Client) -> None:
    assert box.put("k", b"1", if_match="*").code == "NoSuchKey"
    etag = box.put("k", b"1", if_none_match="*").headers["etag"]
    assert box.put("k", b"2", if_none_match="*").code == "PreconditionFailed"
    assert box.put("k", b"2", if_match='"other"').code == "PreconditionFailed"
    assert box.put("k", b"2", if_match=etag).status == 200
    assert box.get("k").body == b"2"


def test_conditional_deletes(box: Client) -> None:
    etag = box.put("k", b"12").headers["etag"]
    assert box("DELETE", "/box/k", headers={"if-match": '"other"'}).code == "PreconditionFailed"
    assert box("DELETE", "/box/k", headers={"x-amz-if-match-size": "3"}).code == "PreconditionFailed"
    assert box("DELETE", "/box/k", headers={"x-amz-if-match-size": "x"}).code == "InvalidArgument"
    assert box("DELETE", "/box/k", headers={"if-match": etag, "x-amz-if-match-size": "2"}).status == 204
    assert box("DELETE", "/box/k", headers={"if-match": etag}).status == 204


def test_digests_are_checked(box: Client) -> None:
    md5 = base64.b64encode(hashlib.md5(b"data").digest()).decode()
    assert box.put("k", b"data", content_md5=md5).status == 200
    assert box.put("k", b"dato", content_md5=md5).code == "BadDigest"
    assert box.put("k", b"data", content_md5="eA==").code == "InvalidDigest"
    assert box.put("k", b"data", content_md5="").code == "InvalidDigest"
    sha = base64.b64encode(hashlib.sha256(b"data").digest()).decode()
    made = box.put("k", b"data", x_amz_checksum_sha256=sha)
    assert made.headers["x-amz-checksum-sha256"] == sha
    assert box.put("k", b"dato", x_amz_checksum_sha256=sha).code == "BadDigest"
    assert box.put("k", b"data", x_amz_checksum_sha256="nonsense").code == "BadDigest"
    assert box.put("k", b"data", x_amz_checksum_md9="eA==").code == "InvalidRequest"
    assert box.put("k", b"data", x_amz_checksum_sha256=sha, x_amz_checksum_crc32="AAAAAA==").code == "InvalidRequest"
    assert "x-amz-checksum-sha256" not in box.get("k").headers
    assert box.get("k", x_amz_checksum_mode="ENABLED").headers["x-amz-checksum-sha256"] == sha


def test_a_checksum_is_kept_when_none_is_given(box: Client) -> None:
    made = box.put("k", b"123456789")
    assert made.headers["x-amz-checksum-crc64nvme"] == "rosUhgp5mIg="
    assert made.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    listed = box("GET", "/box?list-type=2")
    assert listed.text("Contents/ChecksumAlgorithm") == "CRC64NVME"


def test_signed_hashes_are_checked(box: Client) -> None:
    request = box.request("PUT", "/box/k", b"data", {"host": "h", "content-length": "4"}, wire=b"dato")
    assert box.send(request).code == "XAmzContentSHA256Mismatch"
    assert box.get("k").status == 404
    assert box("PUT", "/box/k", b"data", payload="nonsense").code == "InvalidArgument"


def test_trailers(box: Client) -> None:
    wire = b"4\r\ndata\r\n0\r\nx-amz-checksum-crc32:rfO6mw==\r\n\r\n"
    headers = {"x-amz-decoded-content-length": "4", "x-amz-trailer": "x-amz-checksum-crc32"}
    kind = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert box("PUT", "/box/k", wire.replace(b"rfO6mw==", b"rfO6mQ=="), headers, payload=kind).code == "BadDigest"
    assert box.get("k").status == 404
    right = base64.b64encode((0xADF3F363).to_bytes(4, "big"))
    made = box("PUT", "/box/k", wire.replace(b"rfO6mw==", right), headers, payload=kind)
    assert (made.status, made.headers["x-amz-checksum-crc32"]) == (200, right.decode())
    assert box.get("k").body == b"data"
    assert box("PUT", "/box/k", b"4\r\ndata\r\n", headers, payload=kind).code == "IncompleteBody"
    assert box("PUT", "/box/k", wire, payload=kind).code == "MissingContentLength"


def test_length_is_needed(box: Client) -> None:
    request = box.request("PUT", "/box/k", b"", {"host": "h"})
    answer = box.send(request)
    assert (answer.status, answer.code) == (411, "MissingContentLength")


def test_versions(box: Client) -> None:
    versioned(box)
    one = box.put("k", b"1").headers["x-amz-version-id"]
    two = box.put("k", b"2").headers["x-amz-version-id"]
    assert one != two
    assert box.get("k", f"?versionId={one}").body == b"1"
    gone = box("DELETE", "/box/k")
    assert gone.headers["x-amz-delete-marker"] == "true"
    marker = gone.headers["x-amz-version-id"]
    missing = box.get("k")
    assert (missing.status, missing.headers["x-amz-delete-marker"]) == (404, "true")
    assert box.get("k", f"?versionId={marker}").code == "MethodNotAllowed"
    listed = box("GET", "/box?versions")
    assert listed.texts("Version/VersionId") == [two, one]
    assert listed.texts("DeleteMarker/VersionId") == [marker]
    assert box("DELETE", f"/box/k?versionId={marker}").headers["x-amz-delete-marker"] == "true"
    assert box.get("k").body == b"2"
    assert box("DELETE", f"/box/k?versionId={two}").status == 204
    assert box.get("k").body == b"1"
    assert box.get("k", "?versionId=" + "0" * 32).code == "NoSuchVersion"
    assert box.get("k", "?versionId=").code == "InvalidArgument"


def test_suspended_versioning_replaces_null(box: Client) -> None:
    versioned(box)
    box.put("k", b"1")
    versioned(box, "Suspended")
    box.put("k", b"2")
    box.put("k", b"3")
    assert box("GET", "/box?versions").texts("Version/VersionId")[0] == "null"
    assert len(box("GET", "/box?versions").texts("Version/VersionId")) == 2
    assert box.get("k", "?versionId=null").body == b"3"
    assert box("GET", "/box?versioning").text("Status") == "Suspended"


def test_version_pages_cut_inside_a_key(box: Client) -> None:
    versioned(box)
    ids = [box.put("k", str(n)).headers["x-amz-version-id"] for n in range(5)]
    seen: list[str] = []
    query = "?versions&max-keys=2"
    while True:
        page = box("GET", "/box" + query)
        seen += page.texts("Version/VersionId")
        if page.text("IsTruncated") == "false":
            break
        query = (
            f"?versions&max-keys=2&key-marker={page.text('NextKeyMarker')}"
            f"&version-id-marker={page.text('NextVersionIdMarker')}"
        )
    assert seen == ids[::-1]


def test_copies(box: Client) -> None:
    box.put("a", b"data", content_type="text/a", x_amz_meta_one="1", x_amz_tagging="t=1")
    made = box("PUT", "/box/b", headers={"x-amz-copy-source": "/box/a"})
    assert made.text("ETag") == f'"{hashlib.md5(b"data").hexdigest()}"'
    copy = box.get("b")
    assert (copy.body, copy.headers["content-type"], copy.headers["x-amz-meta-one"]) == (b"data", "text/a", "1")
    assert copy.headers["x-amz-tagging-count"] == "1"
    replaced = {"x-amz-copy-source": "box/a", "x-amz-metadata-directive": "REPLACE", "content-type": "text/b"}
    box("PUT", "/box/c", headers={**replaced, "x-amz-tagging-directive": "REPLACE"})
    copy = box.get("c")
    assert copy.headers["content-type"] == "text/b"
    assert "x-amz-meta-one" not in copy.headers and "x-amz-tagging-count" not in copy.headers


def test_copies_that_are_refused(box: Client) -> None:
    etag = box.put("a", b"data").headers["etag"]
    source = {"x-amz-copy-source": "/box/a"}
    assert box("PUT", "/box/a", headers=source).code == "InvalidRequest"
    assert box("PUT", "/box/b", headers={"x-amz-copy-source": "/box/none"}).code == "NoSuchKey"
    assert box("PUT", "/box/b", headers={"x-amz-copy-source": "/nobox/a"}).code == "NoSuchBucket"
    assert box("PUT", "/box/b", headers={"x-amz-copy-source": "box"}).code == "InvalidArgument"
    assert box("PUT", "/box/b", headers={"x-amz-copy-source": "/box/%ff"}).code == "InvalidArgument"
    assert box("PUT", "/box/b", headers={**source, "x-amz-metadata-directive": "MERGE"}).code == "InvalidArgument"
    for name, value in (
        ("if-match", '"x"'),
        ("if-none-match", etag),
        ("if-modified-since", "Fri, 02 Jan 2026 00:00:00 GMT"),
    ):
        answer = box("PUT", "/box/b", headers={**source, f"x-amz-copy-source-{name}": value})
        assert answer.code == "PreconditionFailed", name
    assert box.acting("KEY2")("PUT", "/box/b", headers=source).code == "AccessDenied"


def test_copy_of_a_version(box: Client) -> None:
    versioned(box)
    one = box.put("a", b"1").headers["x-amz-version-id"]
    box.put("a", b"2")
    made = box("PUT", "/box/a", headers={"x-amz-copy-source": f"/box/a?versionId={one}"})
    assert made.headers["x-amz-copy-source-version-id"] == one
    assert box.get("a").body == b"1"


def test_batch_delete(box: Client) -> None:
    box.put("a")
    box.put("<&>")
    body = (
        '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a</Key></Object>'
        "<Object><Key>&lt;&amp;&gt;</Key></Object><Object><Key>never</Key></Object></Delete>"
    )
    md5 = base64.b64encode(hashlib.md5(body.encode()).digest()).decode()
    done = box("POST", "/box?delete", body, {"content-md5": md5})
    assert done.texts("Deleted/Key") == ["a", "<&>", "never"]
    assert box("GET", "/box").texts("Contents/Key") == []
    assert box("POST", "/box?delete", body).code == "InvalidRequest"
    box.put("a")
    conditional = "<Delete><Object><Key>a</Key><ETag>x</ETag></Object></Delete>"
    md5 = base64.b64encode(hashlib.md5(conditional.encode()).digest()).decode()
    done = box("POST", "/box?delete", conditional, {"content-md5": md5})
    assert done.texts("Error/Code") == ["PreconditionFailed"]
    empty = "<Delete></Delete>"
    md5 = base64.b64encode(hashlib.md5(empty.encode()).digest()).decode()
    assert box("POST", "/box?delete", empty, {"content-md5": md5}).code == "MalformedXML"


def test_quiet_batches_of_strangers_tell_errors_alone(box: Client) -> None:
    box.put("a")
    body = "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>"
    md5 = base64.b64encode(hashlib.md5(body.encode()).digest()).decode()
    refused = box.acting("KEY2")("POST", "/box?delete", body, {"content-md5": md5})
    assert (refused.texts("Error/Code"), refused.texts("Deleted/Key")) == (["AccessDenied"], [])
    assert box("POST", "/box?delete", body, {"content-md5": md5}).texts("Deleted/Key") == []
    assert box.get("a").status == 404


def test_tags_of_objects(box: Client) -> None:
    box.put("k", x_amz_tagging="b=2&a=1")
    assert box.get("k", "?tagging").texts("TagSet/Tag/Key") == ["a", "b"]
    new = "<Tagging><TagSet><Tag><Key>x</Key><Value>y</Value></Tag></TagSet></Tagging>"
    assert box("PUT", "/box/k?tagging", new).status == 200
    assert box.get("k", "?tagging").texts("TagSet/Tag/Value") == ["y"]
    assert box("DELETE", "/box/k?tagging").status == 204
    assert box.get("k", "?tagging").texts("TagSet/Tag/Key") == []
    twice = "<Tagging><TagSet>" + "<Tag><Key>x</Key><Value>y</Value></Tag>" * 2 + "</TagSet></Tagging>"
    assert box("PUT", "/box/k?tagging", twice).code == "InvalidTag"
    assert box.put("k", x_amz_tagging="&".join(f"{n}=1" for n in range(11))).code == "InvalidTag"
    assert box.put("k", x_amz_tagging="a" * 129 + "=1").code == "InvalidTag"
    assert box("GET", "/box/none?tagging").code == "NoSuchKey"


def test_cold_operations_say_that_nothing_is_cold(box: Client) -> None:
    box.put("k")
    answer = box("POST", "/box/k?restore", "<RestoreRequest><Days>1</Days></RestoreRequest>")
    assert (answer.status, answer.code) == (403, "InvalidObjectState")
    assert box("GET", "/box/k?torrent").status == 404


def test_swift_control_headers_mean_nothing_here(box: Client) -> None:
    box.put("other", b"other")
    box.put(
        "k", b"data", x_copy_from="box/other", x_object_manifest="box/other", x_symlink_target="box/other",
        x_delete_after="1", x_static_large_object="true", x_timestamp="1", x_object_meta_foo="bar",
    )  # fmt: skip
    answer = box.get("k")
    assert answer.body == b"data"
    assert not any("foo" in name or "delete" in name or "manifest" in name for name in answer.headers)
