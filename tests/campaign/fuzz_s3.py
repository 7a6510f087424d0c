"""Hostile input to the S3 door: every operation of its table, made valid and then spoilt."""

from __future__ import annotations

import importlib
import pkgutil
import re

import andromede.objects.s3
from andromede.objects.s3.operations import PARAMETERS, SUBRESOURCES, TABLE, Operation
from tests.campaign.fuzz_ask import Ask, Target, aws_chunks, checksum, form, post_policy
from tests.campaign.fuzz_wire import Reply
from tests.campaign.fuzz_words import Chance, escaped, jsons, value, xml

for _module in pkgutil.iter_modules(andromede.objects.s3.__path__):
    importlib.import_module(f"andromede.objects.s3.{_module.name}")

OPERATIONS: list[Operation] = [operation for operation in TABLE.values() if operation.on != "website"]
KEYS = ("k1", "k2", "a/b", "a/c", "dir/", "\u00e9".encode().decode("latin-1"), "big", "k 3+", "manifest")
_GRANTEE = '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>'
_EVERYBODY = _GRANTEE + "http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>"
DOCUMENTS: dict[str, tuple[str, ...]] = {
    "acl": (
        f"<AccessControlPolicy><Owner><ID>x</ID></Owner><AccessControlList><Grant>{_EVERYBODY}<Permission>READ"
        "</Permission></Grant></AccessControlList></AccessControlPolicy>",
    ),
    "versioning": ("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",),
    "cors": (
        "<CORSConfiguration><CORSRule><ID>r</ID><AllowedOrigin>http://*.x</AllowedOrigin><AllowedMethod>GET"
        "</AllowedMethod><AllowedHeader>*</AllowedHeader><MaxAgeSeconds>9</MaxAgeSeconds></CORSRule></CORSConfiguration>",
    ),
    "delete": (
        "<Delete><Object><Key>k1</Key></Object><Object><Key>a/b</Key><VersionId>null</VersionId></Object></Delete>",
        "<Delete><Quiet>true</Quiet><Object><Key>k2</Key><ETag>x</ETag><Size>4</Size></Object></Delete>",
    ),
    "encryption": (
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256"
        "</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
    ),
    "lifecycle": (
        "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><And><Prefix>tmp/</Prefix><Tag><Key>a"
        "</Key><Value>b</Value></Tag></And></Filter><Expiration><Days>3650</Days></Expiration></Rule>"
        "</LifecycleConfiguration>",
        "<LifecycleConfiguration><Rule><Status>Disabled</Status><Filter><Prefix>x</Prefix></Filter>"
        "<NoncurrentVersionExpiration><NoncurrentDays>99</NoncurrentDays></NoncurrentVersionExpiration>"
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>9</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
        "</Rule></LifecycleConfiguration>",
    ),
    "retention": (
        "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2026-11-29T00:00:00Z</RetainUntilDate></Retention>",
    ),
    "legal-hold": ("<LegalHold><Status>OFF</Status></LegalHold>",),
    "object-lock": (
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE"
        "</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    ),
    "logging": (
        "<BucketLoggingStatus><LoggingEnabled><TargetBucket>x</TargetBucket><TargetPrefix>l/</TargetPrefix>"
        "</LoggingEnabled></BucketLoggingStatus>",
        "<BucketLoggingStatus/>",
    ),
    "accelerate": ("<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>",),
    "requestPayment": ("<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",),
    "notification": ("<NotificationConfiguration/>",),
    "replication": ("<ReplicationConfiguration><Role>x</Role></ReplicationConfiguration>",),
    "ownershipControls": (
        "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>",
    ),
    "publicAccessBlock": (
        "<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls><IgnorePublicAcls>false"
        "</IgnorePublicAcls></PublicAccessBlockConfiguration>",
    ),
    "tagging": ("<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",),
    "website": (
        "<WebsiteConfiguration><IndexDocument><Suffix>i.html</Suffix></IndexDocument><ErrorDocument><Key>e.html</Key>"
        "</ErrorDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>a</KeyPrefixEquals></Condition><Redirect>"
        "<ReplaceKeyWith>b</ReplaceKeyWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>",
    ),
    "restore": ("<RestoreRequest><Days>1</Days></RestoreRequest>",),
    "": ("<CreateBucketConfiguration><LocationConstraint>fr1</LocationConstraint></CreateBucketConfiguration>",),
}  # fmt: skip
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "s", "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject", "s3:List*"],
            "Resource": ["arn:aws:s3:::x/*"],
            "Condition": {"StringLike": {"s3:prefix": ["a*"]}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        }
    ],
}  # fmt: skip
HEADERS = (
    "range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "content-md5",
    "content-type", "content-encoding", "content-disposition", "cache-control", "expires", "origin", "referer",
    "user-agent",
    "access-control-request-method", "access-control-request-headers", "x-amz-acl", "x-amz-grant-read",
    "x-amz-grant-full-control", "x-amz-tagging", "x-amz-tagging-directive", "x-amz-metadata-directive",
    "x-amz-copy-source", "x-amz-copy-source-range", "x-amz-copy-source-if-match", "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-server-side-encryption-customer-key", "x-amz-checksum-crc32", "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1", "x-amz-checksum-sha256", "x-amz-checksum-type",
    "x-amz-checksum-mode", "x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm", "x-amz-trailer",
    "x-amz-decoded-content-length", "x-amz-content-sha256", "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key", "x-amz-server-side-encryption-customer-key-md5",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold", "x-amz-bypass-governance-retention",
    "x-amz-bucket-object-lock-enabled", "x-amz-object-ownership", "x-amz-object-attributes", "x-amz-max-parts",
    "x-amz-part-number-marker", "x-amz-mp-object-size", "x-amz-expected-bucket-owner", "x-amz-request-payer",
    "x-amz-website-redirect-location", "x-amz-storage-class", "x-amz-meta-a", "x-amz-meta-\u00df", "x-amz-mfa",
    "x-amz-if-match-size", "x-amz-write-offset-bytes", "x-amz-security-token", "expect", "accept-encoding", "date",
)  # fmt: skip
_MODIFIERS = sorted(PARAMETERS - {"AWSAccessKeyId", "Signature", "Expires"})
_SUBS = sorted(SUBRESOURCES)
_LIKELY = {
    "range": ("bytes=0-9", "bytes=-4"), "if-none-match": ("*", '"x"'), "x-amz-metadata-directive": ("REPLACE", "COPY"),
    "x-amz-object-attributes": ("ETag,Checksum,ObjectParts,ObjectSize",), "x-amz-checksum-mode": ("ENABLED",),
    "x-amz-server-side-encryption": ("AES256",), "x-amz-storage-class": ("STANDARD",), "expect": ("100-continue",),
    "x-amz-checksum-algorithm": ("CRC32", "SHA256"), "x-amz-acl": ("private", "public-read"),
    "x-amz-tagging": ("a=b&c=d",), "content-encoding": ("aws-chunked", "gzip", "aws-chunked,gzip"),
}  # fmt: skip


def _header(chance: Chance) -> tuple[str, str]:
    name = chance.one(HEADERS)
    likely = _LIKELY.get(name)
    text = chance.one(likely) if likely and chance.maybe(0.4) else chance.odd()
    return name.encode("ascii", "ignore").decode(), value(text)


def _query(chance: Chance, operation: Operation) -> list[str]:
    parts = []
    if operation.query in ("uploadId",):
        parts.append("uploadId=" + escaped(chance.known("upload", "0")))
        if operation.method in ("PUT",) or chance.maybe(0.1):
            number = chance.one(("1", "2", "3", "10000")) if chance.maybe(0.8) else chance.odd()
            parts.append("partNumber=" + escaped(number))
    elif operation.query:
        parts.append(operation.query + chance.one(("", "=", "=2" if operation.query == "list-type" else "=")))
    if operation.on == "object" and chance.maybe(0.15):
        parts.append("versionId=" + escaped(chance.known("version", "null")))
    while chance.maybe(0.25):
        name = chance.one(_MODIFIERS) if chance.maybe(0.9) else chance.one(_SUBS)
        text = chance.one(("1", "2", "a", "/", "k1", "url")) if chance.maybe(0.3) else chance.odd()
        parts.append(f"{name}={escaped(text)[:1500]}")
    return parts


def _body(chance: Chance, operation: Operation, headers: list[tuple[str, str]]) -> bytes:
    if operation.name in ("PutObject", "UploadPart"):
        return _payload(chance, headers)
    if operation.name == "PostObject":
        return b""
    if operation.method not in ("PUT", "POST") or operation.copy:
        return b"" if chance.maybe(0.97) else b"surplus"
    if operation.query == "policy":
        return jsons(chance, POLICY)
    if operation.name == "CompleteMultipartUpload":
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{chance.known('etag', 'x')}</ETag></Part>"
            for number in range(1, chance.one((2, 2, 3, 4)))
        )
        return xml(chance, f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
    documents = DOCUMENTS.get(operation.query)
    if documents is None or (operation.query == "" and chance.maybe(0.7)):
        return b""
    return xml(chance, chance.one(documents))


def _payload(chance: Chance, headers: list[tuple[str, str]]) -> bytes:
    """An object's bytes, plain or aws-chunked, with or without checksums, right or wrong."""
    size = chance.one((0, 1, 4, 4, 10, 100, 1000, 5000, 70_000)) if chance.maybe(0.97) else 300_000
    payload = chance.dice.randbytes(min(size, 64)) * (size // 64 + 1)
    payload = payload[:size]
    roll = chance.dice.random()
    name = chance.one(("crc32", "sha256", "sha1", "crc64nvme", "crc32c"))
    right = checksum(name, payload) if chance.maybe(0.6) else value(chance.odd())
    if roll < 0.6:
        if chance.maybe(0.2):
            headers.append((f"x-amz-checksum-{name}", right))
        return payload
    if roll < 0.9:
        trailer = f"x-amz-checksum-{name}:{right}" if chance.maybe(0.8) else value(chance.odd())
        kind = "STREAMING-UNSIGNED-PAYLOAD-TRAILER" if chance.maybe(0.7) else "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        headers.append(("x-amz-content-sha256", kind))
        headers.append(("content-encoding", "aws-chunked"))
        length = str(len(payload)) if chance.maybe(0.8) else value(chance.odd())
        headers.append(("x-amz-decoded-content-length", length))
        if chance.maybe(0.8):
            headers.append(("x-amz-trailer", f"x-amz-checksum-{name}"))
        coded = aws_chunks(payload, chance.one((1 + size // 3, 8192, 65536)), trailer)
        if chance.maybe(0.3):
            spot = chance.dice.randrange(len(coded))
            coded = (
                coded[:spot] + chance.one((b"", b"\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b";x=y")) + coded[spot:]
            )
        return coded
    headers.append(("x-amz-content-sha256", value(chance.odd())))
    return payload


def _post_form(chance: Chance, bucket: str, to: Target, headers: list[tuple[str, str]]) -> bytes:
    fields = [("key", chance.one(("k1", "up/${filename}", chance.odd())))]
    conditions: list[object] = [{"bucket": bucket}, ["starts-with", "$key", ""], ["content-length-range", 0, 10_000]]
    if chance.maybe(0.3):
        conditions.append(
            chance.one((["eq", "$x", 1], {}, [], ["content-length-range", "a", None], ["x", "$", {}], None))
        )
    fields += post_policy(to.signers["own"], conditions, chance.one((1, 1, 1, -1, 10**5))).items()
    for name in ("success_action_status", "success_action_redirect", "acl", "tagging", "x-amz-meta-a", "Content-Type"):
        if chance.maybe(0.2):
            fields.append((name, chance.odd()))
    if chance.maybe(0.2):
        chance.dice.shuffle(fields)
    boundary = "xBOUNDx" if chance.maybe(0.95) else chance.one(("", "a b", "x" * 300, '"'))
    headers.append(("content-type", value(f"multipart/form-data; boundary={boundary}")))
    body = form(fields, b"file" * chance.one((0, 1, 100)), "xBOUNDx", "file" if chance.maybe(0.95) else "x")
    return body if chance.maybe(0.9) else body[: chance.dice.randrange(len(body))]


def ask(chance: Chance, to: Target, buckets: tuple[str, ...]) -> Ask:
    """A request to the S3 door."""
    operation = chance.one(OPERATIONS)
    if chance.maybe(0.4):
        operation = chance.one(_COMMON)
    bucket = chance.one(buckets) if chance.maybe(0.96) else escaped(chance.odd())[:80] or "x"
    key = chance.one(KEYS) if chance.maybe(0.93) else chance.odd()
    path = "/" if operation.on == "service" else f"/{bucket}"
    if operation.on == "object":
        path += "/" + escaped(key)
    if operation.name in ("DeleteBucket",) and chance.maybe(0.9):
        operation = chance.one(_COMMON)
    method = (
        operation.method
        if chance.maybe(0.97)
        else chance.one(("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "X"))
    )
    headers: list[tuple[str, str]] = []
    if operation.copy:
        source = f"/{bucket}/{escaped(chance.one(KEYS))}" if chance.maybe(0.85) else value(chance.odd())
        headers.append(("x-amz-copy-source", source))
    body = (
        _post_form(chance, bucket, to, headers) if operation.name == "PostObject" else _body(chance, operation, headers)
    )
    while chance.maybe(0.45):
        headers.append(_header(chance))
    if headers and chance.maybe(0.03):
        headers.append(headers[0])
    query = "&".join(_query(chance, operation))
    auth = "" if operation.name == "PostObject" else chance.one(_AUTHS)
    chunked = chance.one((1, 7, 1000)) if body and len(body) < 3000 and chance.maybe(0.08) else 0
    return Ask("s3", method, path + ("?" + query if query else ""), headers, body, auth, chunked, label=operation.name)


_AUTHS = ("v4",) * 17 + ("v4:other", "presigned", "")
_COMMON = [operation for operation in OPERATIONS if operation.name in (
    "PutObject", "GetObject", "HeadObject", "DeleteObject", "CopyObject", "CreateMultipartUpload", "UploadPart",
    "CompleteMultipartUpload", "ListObjectsV2", "ListObjectVersions", "DeleteObjects", "GetObjectAttributes",
    "PostObject",
)]  # fmt: skip
_UPLOAD = re.compile(rb"<UploadId>([^<]{1,200})</UploadId>")


def learn(chance: Chance, reply: Reply) -> None:
    """What an answer tells that later requests can use."""
    if reply.status != 200:
        return
    if b"x-amz-version-id" in reply.headers:
        chance.learn("version", reply.headers[b"x-amz-version-id"].decode("latin-1"))
    if b"etag" in reply.headers:
        chance.learn("etag", reply.headers[b"etag"].decode("latin-1"))
    if b"<UploadId>" in reply.body and (found := _UPLOAD.search(reply.body)):
        chance.learn("upload", found[1].decode("latin-1"))
