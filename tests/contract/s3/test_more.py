"""Corners of the S3 door: CORS on answers and commits, rights to parts of a request, streaming signatures."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from andromede.objects.model import NO_CONDITIONS, Attributes, ContainerChange, Trace
from andromede.objects.s3 import sigv4
from andromede.web.stream.faults import NotQuick
from andromede.web.stream.message import Headers
from tests.contract.s3.client import HOST, SECRET, Client

CORS = (
    "<CORSConfiguration><CORSRule><AllowedOrigin>http://a</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
    "<AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader><ExposeHeader>etag</ExposeHeader>"
    "<MaxAgeSeconds>9</MaxAgeSeconds></CORSRule></CORSConfiguration>"
)


@pytest.fixture
def box(s3: Client) -> Client:
    s3.bucket("box")
    s3.put("k", b"data")
    return s3


def md5(text: str) -> dict[str, str]:
    return {"content-md5": base64.b64encode(hashlib.md5(text.encode()).digest()).decode()}


def policy(s3: Client, *statements: dict[str, object]) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    answer = s3("PUT", "/box?policy", text)
    assert answer.status in (200, 204), answer.body


def allow(action: str, resource: str = "arn:aws:s3:::box/*", **condition: object) -> dict[str, object]:
    found: dict[str, object] = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource}
    return {**found, "Condition": condition} if condition else found


def test_cors_on_answers_commits_and_errors(box: Client) -> None:
    assert box("PUT", "/box?cors", CORS, md5(CORS)).status == 200
    origin = {"origin": "http://a"}
    for answer in (
        box("GET", "/box/k", headers=origin),
        box("PUT", "/box/new", b"x", origin),
        box("GET", "/box/none", headers=origin),
        box("PUT", "/box/k", b"x", {**origin, "if-none-match": "*"}),
        box.acting("NOBODY")("GET", "/box/k", headers=origin),
    ):
        assert answer.headers["access-control-allow-origin"] == "http://a", answer
    assert "access-control-allow-origin" not in box("GET", "/box/k", headers={"origin": "http://b"}).headers
    nobody = box.acting(None)
    ask = {**origin, "access-control-request-method": "PUT", "access-control-request-headers": "x-a"}
    good = nobody("OPTIONS", "/box/k", headers=ask)
    assert (good.status, good.headers["access-control-allow-headers"]) == (200, "x-a")
    assert nobody("OPTIONS", "/box", headers={**ask, "access-control-request-method": "DELETE"}).status == 403
    assert nobody("OPTIONS", "/box", headers=origin).status == 400


def test_policies_see_the_tags_of_requests(box: Client) -> None:
    policy(box, allow("s3:PutObject", StringEquals={"s3:RequestObjectTag/kind": "open"}))
    other = box.acting("KEY2")
    assert other.put("x", b"1").code == "AccessDenied"
    assert other.put("x", b"1", x_amz_tagging="kind=closed").code == "AccessDenied"
    assert other.put("x", b"1", x_amz_tagging="kind=open").status == 200


def test_policies_see_the_tags_of_objects(box: Client) -> None:
    box.put("open", b"1", x_amz_tagging="kind=open")
    policy(
        box,
        allow("s3:DeleteObject", StringEquals={"s3:ExistingObjectTag/kind": "open"}),
        allow("s3:ListBucket", "arn:aws:s3:::box", StringLike={"s3:prefix": "pub*"}),
    )
    other = box.acting("KEY2")
    assert other("DELETE", "/box/k").code == "AccessDenied"
    assert other("DELETE", "/box/open").status == 204
    assert other("GET", "/box/public").code == "NoSuchKey"
    assert other("GET", "/box/private").code == "AccessDenied"
    assert other("GET", "/box?prefix=pub").status == 200
    assert other("GET", "/box").code == "AccessDenied"


def test_a_denied_method_is_denied_before_it_is_wrong(box: Client) -> None:
    policy(box, {**allow("s3:PutObject"), "Effect": "Deny"})
    assert box.put("x", b"1", x_amz_server_side_encryption="rot13").code == "AccessDenied"


def test_writers_own_what_they_write_unless_the_bucket_says_otherwise(box: Client) -> None:
    policy(box, allow("s3:PutObject"), allow("s3:GetObject"))
    other = box.acting("KEY2")
    assert other.put("theirs", b"1").status == 200
    owners = box("GET", "/box").texts("Contents/Owner/ID")
    assert owners == ["p1", "p2"]
    rule = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>"
    assert box("PUT", "/box?ownershipControls", rule).status == 200
    assert other.put("theirs", b"2").status == 200
    assert box("GET", "/box").texts("Contents/Owner/ID") == ["p1", "p1"]
    assert other.put("theirs", b"2", x_amz_acl="private").code == "AccessControlListNotSupported"


def test_signed_chunks_through_the_door(box: Client) -> None:
    data = b"x" * 70_000
    given = {"host": HOST, "x-amz-decoded-content-length": str(len(data)), "content-encoding": "aws-chunked"}
    request = box.request("PUT", "/box/big", b"", {**given, "content-length": "1"}, payload=sigv4.SIGNED_CHUNKS)
    authorization = request.headers.get("authorization") or ""
    claimed = sigv4.from_header(request, authorization)
    key = sigv4.signing_key(SECRET, claimed.scope.date, "fr1", "s3")
    previous, wire = claimed.signature, b""
    for piece in (data[:65_536], data[65_536:], b""):
        text = (
            f"AWS4-HMAC-SHA256-PAYLOAD\n{claimed.amz_date}\n{claimed.scope.text}\n{previous}\n"
            f"{sigv4.EMPTY_SHA256}\n{hashlib.sha256(piece).hexdigest()}"
        )
        previous = sigv4.sign(key, text.encode())
        wire += f"{len(piece):x};chunk-signature={previous}\r\n".encode() + piece + b"\r\n"
    request = box.request(
        "PUT", "/box/big", b"", {**given, "content-length": "1"}, payload=sigv4.SIGNED_CHUNKS, wire=wire
    )
    assert box.send(request).status == 200
    answer = box.get("big")
    assert answer.body == data
    assert "content-encoding" not in answer.headers
    broken = box.request(
        "PUT", "/box/bad", b"", {**given, "content-length": "1"}, payload=sigv4.SIGNED_CHUNKS,
        wire=wire.replace(b"x" * 100, b"y" * 100, 1),
    )  # fmt: skip
    assert box.send(broken).code == "SignatureDoesNotMatch"
    assert box.get("bad").status == 404


def test_only_small_plain_requests_are_quick(box: Client) -> None:
    door = box.door

    def quick(method: str, target: str, size: int = 0, **headers: str) -> bool:
        given = {"host": HOST, "content-length": str(size), **{n.replace("_", "-"): v for n, v in headers.items()}}
        return door.quick(box.request(method, target, b"x" * size, given))

    assert not quick("GET", "/box") and not quick("GET", "/box/") and not quick("GET", "/")
    assert quick("GET", "/box/k") and quick("PUT", "/box/k", 65_536) and quick("DELETE", "/box/k")
    assert not quick("PUT", "/box/k", 65_537)
    assert not quick("GET", "/box?versions")
    assert not quick("POST", "/box?delete")
    assert not quick("PUT", "/box/k", x_amz_copy_source="/box/k")


def test_every_request_leaves_one_event(box: Client) -> None:
    before = len(box.events())
    box.get("k")
    box.acting("KEY2").get("k")
    box.put("k2", b"x")
    delete = "<Delete><Object><Key>k2</Key></Object><Object><Key>k</Key></Object></Delete>"
    box("POST", "/box?delete", delete, md5(delete))
    box.put("last", b"queued events are written with the next commit")
    events = [json.loads(bytes(row[0])) for row in box.events()[before:]]  # type: ignore[call-overload]
    told = [(event["action"], event["object"].partition("?")[0], event["outcome"]) for event in events]
    assert sorted(told) == sorted([
        ("s3:GetObject", "box/k", "success"), ("s3:GetObject", "box/k", "denied"),
        ("s3:PutObject", "box/k2", "success"),
        ("s3:DeleteObject", "box/k2", "success"), ("s3:DeleteObject", "box/k", "success"),
        ("s3:PutObject", "box/last", "success"),
    ])  # fmt: skip


def test_metadata_has_a_limit_and_keeps_its_bytes(box: Client) -> None:
    assert box.put("k", b"1", x_amz_meta_a="x" * 2047).status == 200
    assert box.put("k", b"1", x_amz_meta_a="x" * 2048).code == "MetadataTooLarge"
    request = box.request("PUT", "/box/u", b"", {"host": HOST, "content-length": "0"})
    raw = "Grüße".encode()
    fields = [(name.decode(), value) for name, value in request.headers.raw if name not in (b"authorization",)]
    request.headers = Headers.of(*fields, ("x-amz-meta-u", raw))
    unsigned = [name for name, _ in fields] + ["x-amz-meta-u"]
    scope = sigv4.scope_of("KEY1/20260101/fr1/s3/aws4_request", ";".join(sorted(unsigned)), "auth_header")
    claimed = sigv4.Claimed(scope, "", "20260101T000000Z", hashlib.sha256(b"").hexdigest())
    text = sigv4.string_to_sign(claimed, sigv4.canonical_request(request, claimed))
    signature = sigv4.sign(sigv4.signing_key(SECRET, "20260101", "fr1", "s3"), text)
    value = f"AWS4-HMAC-SHA256 Credential=KEY1/{scope.text}, SignedHeaders={';'.join(sorted(unsigned))}, "
    request.headers = Headers.of(*fields, ("x-amz-meta-u", raw), ("authorization", value + f"Signature={signature}"))
    assert box.send(request).status == 200
    assert box.get("u").headers["x-amz-meta-u"].encode("latin-1") == raw


def test_storage_classes(box: Client) -> None:
    assert box.put("k", b"1", x_amz_storage_class="STANDARD").status == 200
    assert box.put("k", b"1", x_amz_storage_class="GLACIER").code == "InvalidStorageClass"
    assert box.put("k", b"1", x_amz_website_redirect_location="javascript:x").code == "InvalidRequest"
    attributes = box("GET", "/box/k?attributes", headers={"x-amz-object-attributes": "StorageClass,Checksum"})
    assert attributes.text("StorageClass") == "STANDARD"
    assert attributes.text("Checksum/ChecksumCRC64NVME")


def test_quotas_refuse_before_and_in_the_commit(box: Client) -> None:
    objects = box.context.objects
    found = objects.bucket("box")
    change = ContainerChange(settings={"x-container-meta-quota-bytes": "10"})
    objects.run(objects.change_container(found, change, Trace(None, "test", "req-1")))
    refused = box.put("k2", b"x" * 11)
    assert (refused.status, refused.code) == (403, "QuotaExceeded")


def test_composed_objects_are_not_read_on_the_loop(box: Client) -> None:
    found = box.context.objects.bucket("box")
    attributes = Attributes(settings={"x-object-manifest": "box/k"})
    trace = Trace(None, "test", "req-1")
    box.context.objects.run(box.context.objects.put_empty(found, "all", attributes, NO_CONDITIONS, trace))
    box.put("k2", b" and more")
    request = box.request("GET", "/box/all", b"", {"host": HOST, "content-length": "0"})
    request.inline = True
    with pytest.raises(NotQuick):
        box.door.handle(request)
    request.inline = False
    answer = box.send(request)
    assert (answer.body, answer.headers["etag"][-3:]) == (b"data and more", '-2"')
    assert box.put("copy", x_amz_copy_source="/box/all").status == 200
    assert box.get("copy").body == b"data and more"
