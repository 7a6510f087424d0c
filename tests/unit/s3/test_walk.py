"""Every S3 operation: one leaf, the right purpose, and the header that names it. A new one needs a request here."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.engines.memory import MemoryEngine
from andromede.objects.s3.door import UNTOUCHED
from andromede.objects.s3.operations import TABLE, Operation
from tests.support.access import OTHER, OWNER, policy
from tests.support.clock import FakeClock
from tests.support.leaves import HEADER, flush, leaves, named, only
from tests.support.s3door import Answer, Bench
from tests.support.vault import vault

LOCKED = {"x_amz_bypass_governance_retention": "true"}
COPY = {"x_amz_copy_source": "/box/k"}
SITE = {"host": "site.web.test"}
ORIGIN = {"origin": "http://page.test", "access_control_request_method": "GET"}


@dataclass(frozen=True)
class Ask:
    """The request of one operation. `target` may hold {upload}; `ready` runs before it."""

    target: str
    body: str | bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    who: str = "owner"
    ready: tuple[str, str, str] | None = None


def trio(operation: str, query: str, body: str, delete: str = "") -> dict[str, Ask]:
    """PUT, GET and (where there is one) DELETE of a document of the bucket."""
    ready = ("PUT", f"/box?{query}", body)
    found = {f"Put{operation}": Ask(f"/box?{query}", body), f"Get{operation}": Ask(f"/box?{query}", ready=ready)}
    return {**found, delete: Ask(f"/box?{query}", ready=ready)} if delete else found


RULE = (
    "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix>p</Prefix></Filter>"
    "<Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>"
)
AES = (
    "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
    "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
)
SPEED = "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>"
PAYER = "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>"
HOLD = "<LegalHold><Status>OFF</Status></LegalHold>"
GONE = "<Delete><Object><Key>gone</Key></Object></Delete>"
TAGS = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
CORS = (
    "<CORSConfiguration><CORSRule><AllowedOrigin>http://page.test</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
    "</CORSRule></CORSConfiguration>"
)
INDEX = "<WebsiteConfiguration><IndexDocument><Suffix>k</Suffix></IndexDocument></WebsiteConfiguration>"
RETENTION = "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2026-03-01T00:00:00Z</RetainUntilDate></Retention>"
LOCK = (
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    "<Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
)
BLOCK = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>"
OWNERSHIP = "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"
VERSIONING = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nformed\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\ndata\r\n--b--\r\n'
)
HELD = ("PUT", "/locked/k?retention", RETENTION)

ASKS: dict[str, Ask] = {
    **trio("BucketLifecycleConfiguration", "lifecycle", RULE),
    "DeleteBucketLifecycle": Ask("/box?lifecycle"),
    **trio("BucketCors", "cors", CORS, "DeleteBucketCors"),
    **trio(
        "BucketEncryption",
        "encryption",
        AES,
        "DeleteBucketEncryption",
    ),
    **trio("BucketLogging", "logging", "<BucketLoggingStatus/>"),
    **trio(
        "BucketAccelerate",
        "accelerate",
        "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>",
    ),
    **trio(
        "BucketRequestPayment",
        "requestPayment",
        "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
    ),
    **trio("BucketNotification", "notification", "<NotificationConfiguration/>"),
    **trio("BucketOwnershipControls", "ownershipControls", OWNERSHIP, "DeleteBucketOwnershipControls"),
    **trio("BucketPolicy", "policy", policy({}).decode(), "DeleteBucketPolicy"),
    **trio("PublicAccessBlock", "publicAccessBlock", BLOCK, "DeletePublicAccessBlock"),
    **trio("BucketTagging", "tagging", TAGS, "DeleteBucketTagging"),
    **trio("BucketWebsite", "website", INDEX, "DeleteBucketWebsite"),
    "GetBucketPolicyStatus": Ask("/box?policyStatus", ready=("PUT", "/box?policy", policy({}).decode())),
    "GetBucketAcl": Ask("/box?acl"),
    "PutBucketAcl": Ask("/box?acl", headers={"x_amz_acl": "private"}),
    "GetObjectAcl": Ask("/box/k?acl"),
    "PutObjectAcl": Ask("/box/k?acl", headers={"x_amz_acl": "private"}),
    "PutObjectLockConfiguration": Ask("/locked?object-lock", LOCK),
    "GetObjectLockConfiguration": Ask("/locked?object-lock"),
    "PutObjectRetention": Ask("/locked/k?retention", RETENTION),
    "GetObjectRetention": Ask("/locked/k?retention", ready=HELD),
    "PutObjectLegalHold": Ask("/locked/k?legal-hold", HOLD),
    "GetObjectLegalHold": Ask("/locked/k?legal-hold", ready=("PUT", "/locked/k?legal-hold", HOLD)),
    "Preflight": Ask("/box", headers=ORIGIN, ready=("PUT", "/box?cors", CORS)),
    "PreflightObject": Ask("/box/k", headers=ORIGIN, ready=("PUT", "/box?cors", CORS)),
    "WebsiteGet": Ask("/k", headers=SITE),
    "WebsiteHead": Ask("/k", headers=SITE),
    "GetObject": Ask("/box/k"),
    "HeadObject": Ask("/box/k"),
    "GetObjectAttributes": Ask("/box/k?attributes", headers={"x_amz_object_attributes": "ETag"}),
    "PutObject": Ask("/box/new", b"data"),
    "CopyObject": Ask("/box/copy", headers=COPY),
    "DeleteObject": Ask("/box/gone", ready=("PUT", "/box/gone", "x")),
    "DeleteObjects": Ask("/box?delete", GONE, ready=("PUT", "/box/gone", "x")),
    "PostObject": Ask("/open", FORM, {"content_type": "multipart/form-data; boundary=b"}),
    "PutObjectTagging": Ask("/box/k?tagging", TAGS),
    "GetObjectTagging": Ask("/box/k?tagging"),
    "DeleteObjectTagging": Ask("/box/k?tagging"),
    "ListObjects": Ask("/box"),
    "ListObjectsV2": Ask("/box?list-type=2"),
    "ListObjectVersions": Ask("/box?versions"),
    "ListBuckets": Ask("/"),
    "CreateBucket": Ask("/another"),
    "HeadBucket": Ask("/box"),
    "DeleteBucket": Ask("/bare", ready=("PUT", "/bare", "")),
    "GetBucketLocation": Ask("/box?location"),
    "GetBucketVersioning": Ask("/box?versioning"),
    "PutBucketVersioning": Ask("/box?versioning", VERSIONING),
    "CreateMultipartUpload": Ask("/box/big?uploads"),
    "UploadPart": Ask("/box/big?uploadId={upload}&partNumber=2", b"part"),
    "UploadPartCopy": Ask("/box/big?uploadId={upload}&partNumber=3", headers=COPY),
    "ListParts": Ask("/box/big?uploadId={upload}"),
    "ListMultipartUploads": Ask("/box?uploads"),
    "AbortMultipartUpload": Ask("/box/big?uploadId={upload}"),
    "CompleteMultipartUpload": Ask(
        "/box/big?uploadId={upload}",
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>",
    ),
}
NOT_OFFERED = {
    "RestoreObject",
    "GetObjectTorrent",
    "PutBucketReplication",
    "GetBucketReplication",
    "DeleteBucketReplication",
}
"""Answered by a refusal that touches nothing."""


@pytest.fixture
def s3(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    with vault(db, MemoryEngine(), tmp_path, clock) as found:
        bench = Bench(found, website_domains=("web.test",))
        for name in ("box", "site"):
            assert bench.ask("PUT", f"/{name}").status == 200
            assert bench.ask("PUT", f"/{name}/k", b"x", x_amz_acl="public-read").status == 200
        assert bench.ask("PUT", "/site?website", INDEX.encode()).status == 200
        assert bench.ask("PUT", "/locked", x_amz_bucket_object_lock_enabled="true").status == 200
        assert bench.ask("PUT", "/locked/k", b"x").status == 200
        assert bench.ask("PUT", "/open", x_amz_acl="public-read-write").status == 200
        yield bench


def sent(s3: Bench, method: str, target: str, body: str | bytes, who: str = "owner", **headers: str) -> Answer:
    data = body.encode() if isinstance(body, str) else body
    digest = (
        {"content_md5": base64.b64encode(hashlib.md5(data).digest()).decode()} if isinstance(body, str) and body else {}
    )
    return s3.ask(method, target, data, who, **digest, **headers)


def asked(s3: Bench, operation: Operation) -> Answer:
    """The operation's request, after what it needs."""
    ask = ASKS[operation.name]
    target, body = ask.target, ask.body
    if ask.ready is not None:
        assert sent(s3, *ask.ready).status < 300, operation.name
    if "{upload}" in target:
        upload = s3.ask("POST", "/box/big?uploads").xml("InitiateMultipartUploadResult").value("UploadId") or ""
        etag = s3.ask("PUT", f"/box/big?uploadId={upload}&partNumber=1", b"part").headers["etag"]
        target = target.format(upload=upload)
        body = body.format(etag=etag) if isinstance(body, str) else body
    return sent(s3, operation.method, target, body, ask.who, **ask.headers)


def test_every_operation_has_a_request_here() -> None:
    assert {operation.name for operation in TABLE.values()} == set(ASKS) | NOT_OFFERED


@pytest.mark.parametrize("operation", TABLE.values(), ids=lambda operation: operation.name)
def test_every_operation_leaves_one_leaf_and_names_it(s3: Bench, db: Database, operation: Operation) -> None:
    if operation.name in NOT_OFFERED:
        return
    answer = asked(s3, operation)
    assert answer.status < 300, answer.body
    flush(s3.objects)
    if operation.name in UNTOUCHED:
        assert leaves(db, answer.headers["x-amz-request-id"]) == []
        assert HEADER not in answer.headers
        return
    tenant, _, event = only(db, answer.headers["x-amz-request-id"], answer.headers.get(HEADER), operation.name)
    assert tenant == OWNER
    assert event["purpose"] == "CUSTOMER_ACCESS"
    assert event["outcome"] == "success"
    assert event["action"] == operation.action
    assert event["detail"]["door"] == "s3"


@pytest.mark.parametrize("operation", TABLE.values(), ids=lambda operation: operation.name)
def test_every_refusal_leaves_one_leaf_and_names_it(s3: Bench, db: Database, operation: Operation) -> None:
    if operation.name in NOT_OFFERED | UNTOUCHED | {"ListBuckets", "CreateBucket", "WebsiteGet", "WebsiteHead"}:
        return
    ask = ASKS[operation.name]
    target = ask.target.replace("{upload}", "none").replace("/box/k", "/site/hidden")
    target = target.replace("/open", "/box").replace("/bare", "/box")
    headers = {name: "/site/hidden" if "copy" in name else value for name, value in ask.headers.items()}
    assert s3.ask("PUT", "/site/hidden", b"x").status == 200
    answer = sent(s3, operation.method, target, ask.body, "other", **headers)
    flush(s3.objects)
    found = leaves(db, answer.headers["x-amz-request-id"])
    if operation.name == "DeleteObjects":  # answers 200, every refusal inside
        assert answer.status == 200
    else:
        assert answer.status == 403, answer.body
        assert [leaf[2]["outcome"] for leaf in found] == ["denied"]
    only(db, answer.headers["x-amz-request-id"], answer.headers.get(HEADER), operation.name)


def test_a_read_by_many_takes_places_at_once(s3: Bench, db: Database) -> None:
    answers = [s3.ask("GET", "/box/k") for _ in range(40)]
    flush(s3.objects)
    ids = [(answer.headers["x-amz-request-id"], answer.headers.get(HEADER)) for answer in answers]
    places = [only(db, request_id, header, "GetObject")[1] for request_id, header in ids]
    assert len(set(places)) == 40


def test_what_is_copied_from_another_tenant_leaves_a_leaf_there_too(s3: Bench, db: Database) -> None:
    assert s3.ask("PUT", "/others", who="other").status == 200
    answer = s3.ask("PUT", "/others/copy", who="other", **COPY)
    assert answer.status == 200
    flush(s3.objects)
    every = leaves(db, answer.headers["x-amz-request-id"])
    found = {leaf[0]: leaf[2] for leaf in every}
    assert set(found) == {OTHER, OWNER}
    assert (found[OWNER]["action"], found[OWNER]["object"]) == ("s3:GetObject", "box/k")
    assert found[OTHER]["action"] == "s3:PutObject"
    assert answer.headers[HEADER] == named(db, next(leaf for leaf in every if leaf[0] == OTHER))
