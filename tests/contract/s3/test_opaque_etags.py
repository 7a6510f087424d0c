"""Buckets whose ETags are no MD5: nothing computes one, and no client can take them for one."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from andromede.objects import digests
from tests.contract.s3.client import Client

DATA = b"some bytes"
LONG = bytes(200_000)


@pytest.fixture
def opaque(s3: Client) -> Client:
    s3.bucket("box", x_andromede_etag="opaque")
    return s3


def etag(s3: Client, key: str) -> str:
    return s3("HEAD", f"/box/{key}").headers["etag"].strip('"')


@pytest.mark.parametrize("data", [b"x", DATA, LONG])
def test_uploads_get_etags_of_their_own(opaque: Client, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "md5", lambda data: pytest.fail("an MD5 was computed"))
    first = opaque.put("k", data).headers["etag"].strip('"')
    assert etag(opaque, "k") == first
    assert re.fullmatch("[0-9a-f]{32}-0", first)
    assert opaque.put("k", data).headers["etag"].strip('"') != first
    got = opaque.get("k")
    assert got.body == data
    assert opaque("GET", "/box/k", headers={"if-match": f'"{first}"'}).status == 412
    assert opaque("GET", "/box/k", headers={"if-none-match": got.headers["etag"]}).status == 304


def test_the_checksum_stays(opaque: Client) -> None:
    opaque.put("k", DATA)
    whole = opaque("GET", "/box/k", headers={"x-amz-checksum-mode": "ENABLED"})
    assert whole.headers["x-amz-checksum-crc64nvme"] == digests.checksum("CRC64NVME", DATA)


def test_an_upload_that_brings_its_md5_keeps_it(opaque: Client) -> None:
    digest = hashlib.md5(DATA)
    right = {"content-md5": base64.b64encode(digest.digest()).decode()}
    assert opaque("PUT", "/box/k", DATA, right).headers["etag"] == f'"{digest.hexdigest()}"'
    wrong = {"content-md5": base64.b64encode(bytes(16)).decode()}
    assert opaque("PUT", "/box/k", DATA, wrong).code == "BadDigest"


def test_an_empty_object_has_the_md5_of_nothing(opaque: Client) -> None:
    opaque.put("k", b"")
    assert etag(opaque, "k") == hashlib.md5(b"").hexdigest()


def test_parts_and_their_whole(opaque: Client) -> None:
    upload = opaque("POST", "/box/k?uploads").text("UploadId")
    part = bytes(5 << 20)
    tags = [
        opaque("PUT", f"/box/k?uploadId={upload}&partNumber={number}", part).headers["etag"].strip('"')
        for number in (1, 2)
    ]
    assert all(tag.endswith("-0") for tag in tags)
    listed = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in enumerate(tags, 1)
    )
    done = opaque("POST", f"/box/k?uploadId={upload}", f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>")
    assert done.status == 200
    assert re.fullmatch('"?[0-9a-f]{32}-2"?', done.text("ETag"))
    assert opaque.get("k").body == part * 2


def test_another_word_is_refused(s3: Client) -> None:
    answer = s3("PUT", "/box", headers={"x-andromede-etag": "sha1"})
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_other_buckets_promise_the_md5(s3: Client) -> None:
    s3.bucket("box")
    assert s3.put("k", DATA).headers["etag"] == f'"{hashlib.md5(DATA).hexdigest()}"'
