"""Multipart uploads through the S3 door."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from tests.contract.s3.client import Answer, Client

MIB5 = 5 << 20


@pytest.fixture
def box(s3: Client) -> Client:
    s3.bucket("box")
    return s3


def begin(s3: Client, key: str = "k", **headers: str) -> str:
    answer = s3("POST", f"/box/{key}?uploads", headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert answer.status == 200, answer.body
    return answer.text("UploadId")


def part(s3: Client, upload: str, number: int | str, data: bytes, key: str = "k", **headers: str) -> Answer:
    target = f"/box/{key}?partNumber={number}&uploadId={upload}"
    return s3("PUT", target, data, {k.replace("_", "-"): v for k, v in headers.items()})


def listed(parts: list[tuple[int, str]], extra: str = "") -> str:
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag>{extra}</Part>" for n, e in parts)
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>"


def complete(s3: Client, upload: str, parts: list[tuple[int, str]], key: str = "k", **headers: str) -> Answer:
    return s3(
        "POST", f"/box/{key}?uploadId={upload}", listed(parts), {k.replace("_", "-"): v for k, v in headers.items()}
    )


def test_an_upload_becomes_an_object(box: Client) -> None:
    upload = begin(box, content_type="text/m", x_amz_meta_a="1")
    first, last = b"a" * MIB5, b"b" * 10
    tags = [(2, part(box, upload, 2, first).headers["etag"]), (7, part(box, upload, 7, last).headers["etag"])]
    assert box.get("k").status == 404
    assert box("GET", "/box").texts("Contents/Key") == []
    done = complete(box, upload, tags)
    digest = hashlib.md5(hashlib.md5(first).digest() + hashlib.md5(last).digest()).hexdigest()
    assert done.text("ETag") == f'"{digest}-2"'
    box.put("same", first + last)
    whole = box.get("same", x_amz_checksum_mode="ENABLED").headers["x-amz-checksum-crc64nvme"]
    assert done.text("ChecksumCRC64NVME") == whole
    assert complete(box, upload, tags).text("ETag") == f'"{digest}-2"'
    answer = box.get("k")
    assert answer.body == first + last
    assert (answer.headers["content-type"], answer.headers["x-amz-meta-a"]) == ("text/m", "1")
    second = box.get("k", "?partNumber=7")
    assert (second.status, second.body, second.headers["x-amz-mp-parts-count"]) == (206, last, "2")
    assert second.headers["content-range"] == f"bytes {MIB5}-{MIB5 + 9}/{MIB5 + 10}"
    assert box.get("k", "?partNumber=1").code == "InvalidPart"
    assert box.get("k", "?partNumber=0").code == "InvalidArgument"
    assert box.get("k", "?partNumber=7", range="bytes=0-1").code == "InvalidRequest"
    attributes = box("GET", "/box/k?attributes", headers={"x-amz-object-attributes": "ObjectParts,ObjectSize,ETag"})
    assert attributes.text("ETag") == f"{digest}-2"
    assert attributes.texts("ObjectParts/Part/PartNumber") == ["2", "7"]
    assert attributes.text("ObjectParts/PartsCount") == "2"
    paged = box("GET", "/box/k?attributes", headers={"x-amz-object-attributes": "ObjectParts", "x-amz-max-parts": "1"})
    assert (paged.text("ObjectParts/IsTruncated"), paged.text("ObjectParts/NextPartNumberMarker")) == ("true", "2")
    assert box("GET", "/box/k?attributes", headers={"x-amz-object-attributes": "Colour"}).code == "InvalidArgument"


def test_what_completion_refuses(box: Client) -> None:
    upload = begin(box)
    one, two = part(box, upload, 1, b"a").headers["etag"], part(box, upload, 2, b"b").headers["etag"]
    assert complete(box, upload, [(1, one), (2, two)]).code == "EntityTooSmall"
    assert complete(box, upload, [(2, two), (1, one)]).code == "InvalidPartOrder"
    assert complete(box, upload, [(1, two)]).code == "InvalidPart"
    assert complete(box, upload, [(3, one)]).code == "InvalidPart"
    assert complete(box, upload, []).code == "MalformedXML"
    assert box("POST", f"/box/k?uploadId={upload}", "<oops").code == "MalformedXML"
    assert (
        box("POST", f"/box/k?uploadId={upload}", listed([(1, one)]).replace("<Part>", "<Part><X/>")).code
        == "MalformedXML"
    )
    assert box("POST", f"/box/k?uploadId={upload}", listed([(1, one)]).replace(">1<", ">x<")).code == "MalformedXML"
    assert complete(box, "no-such", [(1, one)]).code == "NoSuchUpload"
    assert complete(box, upload, [(1, one)], if_match='"x"').code == "NoSuchKey"
    assert complete(box, upload, [(1, one)], x_amz_mp_object_size="7").status == 400
    box.put("k", b"there")
    assert complete(box, upload, [(1, one)], if_none_match="*").code == "PreconditionFailed"
    assert complete(box, upload, [(1, one), (1, one)], x_amz_mp_object_size="1").status == 200


@pytest.mark.parametrize("number", ["0", "10001", "x", "", "-1", "1.5"])
def test_part_numbers_are_bounded(box: Client, number: str) -> None:
    answer = part(box, begin(box), number, b"a")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_abort_forgets(box: Client) -> None:
    upload = begin(box)
    part(box, upload, 1, b"a")
    assert box("DELETE", f"/box/k?uploadId={upload}").status == 204
    assert box("DELETE", f"/box/k?uploadId={upload}").code == "NoSuchUpload"
    assert box("GET", f"/box/k?uploadId={upload}").code == "NoSuchUpload"
    assert box("GET", "/box?uploads").texts("Upload/Key") == []


def test_listings_of_uploads_and_parts(box: Client) -> None:
    uploads = {key: begin(box, key) for key in ("a/1", "a/2", "b")}
    page = box("GET", "/box?uploads&max-uploads=2")
    assert page.texts("Upload/Key") == ["a/1", "a/2"]
    assert page.texts("Upload/Initiator/ID") == ["p1", "p1"]
    rest = box(
        "GET",
        f"/box?uploads&key-marker={page.text('NextKeyMarker')}&upload-id-marker={page.text('NextUploadIdMarker')}",
    )
    assert rest.texts("Upload/Key") == ["b"]
    folded = box("GET", "/box?uploads&delimiter=%2F")
    assert (folded.texts("CommonPrefixes/Prefix"), folded.texts("Upload/Key")) == (["a/"], ["b"])
    for number in (1, 2, 3):
        part(box, uploads["b"], number, b"x" * number, "b")
    first = box("GET", f"/box/b?uploadId={uploads['b']}&max-parts=2")
    assert (first.texts("Part/Size"), first.text("IsTruncated")) == (["1", "2"], "true")
    last = box("GET", f"/box/b?uploadId={uploads['b']}&part-number-marker={first.text('NextPartNumberMarker')}")
    assert (last.texts("Part/PartNumber"), last.text("IsTruncated")) == (["3"], "false")
    assert box("GET", f"/box/b?uploadId={uploads['b']}&part-number-marker=x").code == "InvalidArgument"
    assert box("GET", "/box?uploads&max-uploads=x").code == "InvalidArgument"


def test_part_copies(box: Client) -> None:
    box.put("source", b"0123456789")
    upload = begin(box)
    source = {"x_amz_copy_source": "/box/source"}
    made = part(box, upload, 1, b"", **source, x_amz_copy_source_range="bytes=2-4")
    assert complete(box, upload, [(1, made.text("ETag"))]).status == 200
    assert box.get("k").body == b"234"
    upload = begin(box)
    for text, code in (
        ("bytes=2-10", "InvalidRange"),
        ("bytes=2-", "InvalidArgument"),
        ("2-4", "InvalidArgument"),
        ("bytes=4-2", "InvalidArgument"),
        ("bytes=a-b", "InvalidArgument"),
    ):
        assert part(box, upload, 1, b"", **source, x_amz_copy_source_range=text).code == code, text


@pytest.mark.parametrize(
    ("algorithm", "kind", "good"),
    [
        ("CRC32", "COMPOSITE", True), ("CRC32", "FULL_OBJECT", True), ("CRC64NVME", "FULL_OBJECT", True),
        ("SHA256", "COMPOSITE", True), ("SHA1", "FULL_OBJECT", False), ("CRC64NVME", "COMPOSITE", False),
        ("MD9", "COMPOSITE", False), ("CRC32", "HALF", False),
    ],
)  # fmt: skip
def test_kinds_of_checksum(box: Client, algorithm: str, kind: str, good: bool) -> None:
    answer = box("POST", "/box/k?uploads", headers={"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind})
    assert answer.status == (200 if good else 400)
    if good:
        assert answer.headers["x-amz-checksum-type"] == kind
    else:
        assert answer.code == "InvalidRequest"


def test_composite_checksums(box: Client) -> None:
    upload = begin(box, x_amz_checksum_algorithm="SHA256")
    digest = hashlib.sha256(b"abc").digest()
    text = base64.b64encode(digest).decode()
    made = part(box, upload, 1, b"abc", x_amz_checksum_sha256=text)
    assert made.headers["x-amz-checksum-sha256"] == text
    assert part(box, upload, 1, b"abc", x_amz_checksum_crc32="AAAAAA==").code == "InvalidRequest"
    whole = base64.b64encode(hashlib.sha256(digest).digest()).decode() + "-1"
    assert complete(box, upload, [(1, made.headers["etag"])], x_amz_checksum_sha256=text).code == "BadDigest"
    assert complete(box, upload, [(1, made.headers["etag"])], x_amz_checksum_sha256="x").code == "BadDigest"
    done = complete(box, upload, [(1, made.headers["etag"])], x_amz_checksum_sha256=whole)
    assert (done.text("ChecksumSHA256"), done.text("ChecksumType")) == (whole, "COMPOSITE")
    shown = box.get("k", x_amz_checksum_mode="ENABLED")
    assert shown.headers["x-amz-checksum-sha256"] == whole
    assert box.get("k", "?partNumber=1", x_amz_checksum_mode="ENABLED").headers["x-amz-checksum-sha256"] == text


def test_full_object_checksums_are_combined(box: Client) -> None:
    upload = begin(box, x_amz_checksum_algorithm="CRC64NVME")
    first = b"x" * MIB5
    tags = [(1, part(box, upload, 1, first).headers["etag"]), (2, part(box, upload, 2, b"tail").headers["etag"])]
    done = complete(box, upload, tags)
    box.put("same", first + b"tail")
    single = box.get("same", x_amz_checksum_mode="ENABLED").headers["x-amz-checksum-crc64nvme"]
    assert (done.text("ChecksumCRC64NVME"), done.text("ChecksumType")) == (single, "FULL_OBJECT")


def test_strangers_have_no_uploads(box: Client) -> None:
    upload = begin(box)
    other = box.acting("KEY2")
    assert part(other, upload, 1, b"a").code == "AccessDenied"
    assert other("POST", "/box/k?uploads").code == "AccessDenied"
    assert other("DELETE", f"/box/k?uploadId={upload}").code == "AccessDenied"
    assert re.fullmatch(r"[0-9a-f]{32}", upload)
