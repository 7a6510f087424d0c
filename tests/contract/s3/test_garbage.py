"""Whatever arrives at the S3 door, the answer is never an internal error."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from andromede.objects.s3.operations import SUBRESOURCES
from tests.contract.s3.client import Client

METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]
KEYS = ["", "/k", "/a/b", "/%C3%A9", "/..", "/%00", "/%ff"]
VALUES = [
    "",
    "1",
    "0",
    "-1",
    "x",
    "true",
    "\u00e9",
    "bytes=0-1",
    "bytes=9-",
    "99999999999999999999",
    "2026-01-01T00:00:00Z",
    "Thu, 01 Jan 2026 00:00:00 GMT",
    "*",
    '"x"',
    "REPLACE",
    "/box/k",
    "box/a?versionId=null",
    "AES256",
    "aws:kms",
    "GOVERNANCE",
    "ON",
    "private",
    "id=p1",
    "a=b&c=d",
    "SHA256",
    "ENABLED",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
]
HEADERS = [
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "content-md5",
    "content-type",
    "content-encoding",
    "x-amz-acl",
    "x-amz-grant-read",
    "x-amz-tagging",
    "x-amz-copy-source",
    "x-amz-copy-source-range",
    "x-amz-metadata-directive",
    "x-amz-tagging-directive",
    "x-amz-checksum-sha256",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-type",
    "x-amz-checksum-mode",
    "x-amz-trailer",
    "x-amz-decoded-content-length",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-attributes",
    "x-amz-max-parts",
    "x-amz-part-number-marker",
    "x-amz-mp-object-size",
    "origin",
    "x-amz-expected-bucket-owner",
    "x-amz-website-redirect-location",
    "x-amz-storage-class",
    "expect",
    "x-amz-if-match-size",
    "x-amz-if-match-last-modified-time",
    "x-amz-meta-a",
    "x-amz-bypass-governance-retention",
    "x-amz-bucket-object-lock-enabled",
    "x-amz-object-ownership",
    "access-control-request-method",
]
PARAMETERS = [
    "prefix",
    "delimiter",
    "marker",
    "max-keys",
    "encoding-type",
    "continuation-token",
    "start-after",
    "key-marker",
    "version-id-marker",
    "upload-id-marker",
    "max-uploads",
    "part-number-marker",
    "max-parts",
    "versionId",
    "partNumber",
    "uploadId",
    "response-expires",
    "max-buckets",
    "fetch-owner",
]
ROOTS = [
    "Delete",
    "Tagging",
    "VersioningConfiguration",
    "AccessControlPolicy",
    "CompleteMultipartUpload",
    "Retention",
    "LegalHold",
    "ObjectLockConfiguration",
    "CORSConfiguration",
    "LifecycleConfiguration",
    "WebsiteConfiguration",
    "CreateBucketConfiguration",
    "PublicAccessBlockConfiguration",
    "OwnershipControls",
    "BucketLoggingStatus",
    "ServerSideEncryptionConfiguration",
    "NotificationConfiguration",
    "RequestPaymentConfiguration",
]
INNER = [
    "Object",
    "Key",
    "Status",
    "Rule",
    "Part",
    "PartNumber",
    "ETag",
    "TagSet",
    "Tag",
    "Value",
    "Owner",
    "ID",
    "Days",
    "Mode",
    "Grant",
    "Grantee",
    "Permission",
    "AccessControlList",
    "CORSRule",
    "AllowedOrigin",
    "AllowedMethod",
    "Expiration",
    "Filter",
    "Prefix",
    "DefaultRetention",
    "RetainUntilDate",
    "IndexDocument",
    "Suffix",
]

texts = st.one_of(st.sampled_from(VALUES), st.text(max_size=8))


def trees(depth: int = 3) -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["", "1", "-1", "x", "ON", "Enabled", "<!-- -->", "&lt;", "&bad;"])
    node = st.sampled_from(INNER)
    inner = leaf if not depth else st.one_of(leaf, st.lists(trees(depth - 1), max_size=3).map("".join))
    return st.tuples(node, inner).map(lambda pair: f"<{pair[0]}>{pair[1]}</{pair[0]}>")


documents = st.tuples(st.sampled_from(ROOTS), st.lists(trees(), max_size=3)).map(
    lambda pair: f"<{pair[0]}>{''.join(pair[1])}</{pair[0]}>".encode()
)
bodies = st.one_of(st.just(b""), documents, st.binary(max_size=64), st.just(b'{"Statement": [{}]}'))
queries = st.lists(
    st.one_of(
        st.sampled_from(sorted(SUBRESOURCES)).map(lambda name: (name, "")),
        st.tuples(st.sampled_from(PARAMETERS), texts),
    ),
    max_size=3,
)


def readable(value: str) -> str:
    """A header value as the edge would let it through."""
    return "".join(char for char in value if " " <= char != "\x7f" and ord(char) < 256).strip()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(METHODS),
    key=st.sampled_from(KEYS),
    query=queries,
    headers=st.dictionaries(st.sampled_from(HEADERS), texts, max_size=4),
    body=bodies,
    who=st.sampled_from(["KEY1", "KEY2", None]),
)
def test_nothing_is_an_internal_error(
    s3: Client,
    method: str,
    key: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    who: str | None,
) -> None:
    s3("PUT", "/box", headers={"x-amz-bucket-object-lock-enabled": "true"})
    s3.put("k", b"data")
    target = f"/box{key}" + ("?" + "&".join(f"{name}={quote(value)}" for name, value in query) if query else "")
    fields = {name: readable(value) for name, value in headers.items()}
    answer = s3.acting(who)(method, target, body, fields)
    assert answer.status < 500 or answer.status == 501, (answer.status, answer.body)
    if method != "HEAD" and answer.status >= 400 and answer.body:
        assert answer.code
    if query:
        return
    shown = s3("GET", "/box?list-type=2")
    assert shown.status in (200, 404)
