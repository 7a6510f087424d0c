"""Errors as S3 clients read them: one table from (kind, reason) to status and code, and the XML.

API reference, "Error responses". Reasons in snake case are raised by this dialect and the core;
`detail["fields"]` adds elements to the body, `detail["headers"]` adds headers to the answer.
"""

from __future__ import annotations

from andromede import errors
from andromede.objects.s3.xml import escape
from andromede.web.stream.message import Request, Response

_COMMON: dict[str, tuple[int, str]] = {
    # 400
    "invalid_argument": (400, "InvalidArgument"),
    "invalid_request": (400, "InvalidRequest"),
    "malformed_xml": (400, "MalformedXML"),
    "bad_digest": (400, "BadDigest"),
    "invalid_digest": (400, "InvalidDigest"),
    "bucket_name": (400, "InvalidBucketName"),
    "invalid_uri": (400, "InvalidURI"),
    "key_too_long": (400, "KeyTooLongError"),
    "invalid_part": (400, "InvalidPart"),
    "part": (400, "InvalidPart"),
    "part_order": (400, "InvalidPartOrder"),
    "too_small": (400, "EntityTooSmall"),
    "part_small": (400, "EntityTooSmall"),
    "part_list": (400, "MalformedXML"),
    "size": (400, "InvalidRequest"),
    "entity": (400, "EntityTooLarge"),
    "too_large": (400, "EntityTooLarge"),
    "metadata_too_large": (400, "MetadataTooLarge"),
    "invalid_tag": (400, "InvalidTag"),
    "retention_period": (400, "InvalidRetentionPeriod"),
    "malformed_policy": (400, "MalformedPolicy"),
    "grant_email": (400, "UnresolvableGrantByEmailAddress"),
    "malformed_acl": (400, "MalformedACLError"),
    "acl_not_supported": (400, "AccessControlListNotSupported"),
    "acl_ownership": (400, "InvalidBucketAclWithObjectOwnership"),
    "location": (400, "InvalidLocationConstraint"),
    "region": (400, "IllegalLocationConstraintException"),
    "auth_header": (400, "AuthorizationHeaderMalformed"),
    "auth_query": (400, "AuthorizationQueryParametersError"),
    "token": (400, "InvalidToken"),
    "content_sha256": (400, "XAmzContentSHA256Mismatch"),
    "incomplete_body": (400, "IncompleteBody"),
    "short_body": (400, "IncompleteBody"),
    "malformed_trailer": (400, "MalformedTrailerError"),
    "storage_class": (400, "InvalidStorageClass"),
    "encryption_algorithm": (400, "InvalidEncryptionAlgorithmError"),
    "target_bucket": (400, "InvalidTargetBucketForLogging"),
    "malformed_post": (400, "MalformedPOSTRequest"),
    "policy_document": (400, "InvalidPolicyDocument"),
    "kms_key": (400, "KMS.NotFoundException"),
    "kms_disabled": (400, "KMS.DisabledException"),
    "too_many_buckets": (400, "TooManyBuckets"),
    "request_timeout": (400, "RequestTimeout"),
    "missing_security_header": (400, "MissingSecurityHeader"),
    "http": (400, "BadRequest"),
    # 403
    "access": (403, "AccessDenied"),
    "access_key": (403, "InvalidAccessKeyId"),
    "signature": (403, "SignatureDoesNotMatch"),
    "skew": (403, "RequestTimeTooSkewed"),
    "object_state": (403, "InvalidObjectState"),
    "quota": (403, "QuotaExceeded"),
    # 404
    "bucket": (404, "NoSuchBucket"),
    "object": (404, "NoSuchKey"),
    "version": (404, "NoSuchVersion"),
    "upload": (404, "NoSuchUpload"),
    "tags": (404, "NoSuchTagSet"),
    "lifecycle": (404, "NoSuchLifecycleConfiguration"),
    "lock_configuration": (404, "ObjectLockConfigurationNotFoundError"),
    "retention": (404, "NoSuchObjectLockConfiguration"),
    "encryption_configuration": (404, "ServerSideEncryptionConfigurationNotFoundError"),
    "public_access_block": (404, "NoSuchPublicAccessBlockConfiguration"),
    "ownership": (404, "OwnershipControlsNotFoundError"),
    "cors": (404, "NoSuchCORSConfiguration"),
    "website": (404, "NoSuchWebsiteConfiguration"),
    "policy": (404, "NoSuchBucketPolicy"),
    "replication": (404, "ReplicationConfigurationNotFoundError"),
    "torrent": (404, "NoSuchKey"),
    # 405, 409, 411, 412, 416, 501, 503
    "method": (405, "MethodNotAllowed"),
    "marker": (405, "MethodNotAllowed"),
    "bucket_taken": (409, "BucketAlreadyExists"),
    "bucket_owned": (409, "BucketAlreadyOwnedByYou"),
    "bucket_not_empty": (409, "BucketNotEmpty"),
    "bucket_state": (409, "InvalidBucketState"),
    "conflict": (409, "OperationAborted"),
    "condition_race": (409, "ConditionalRequestConflict"),
    "length": (411, "MissingContentLength"),
    "range": (416, "InvalidRange"),
    "operation": (501, "NotImplemented"),
    "overload": (503, "SlowDown"),
}

_KINDS: dict[str, tuple[int, str]] = {
    "not_found": (404, "NoSuchKey"),
    "conflict": (409, "OperationAborted"),
    "invalid": (400, "InvalidRequest"),
    "unauthenticated": (403, "AccessDenied"),
    "denied": (403, "AccessDenied"),
    "over_quota": (403, "QuotaExceeded"),
    "no_capacity": (503, "ServiceUnavailable"),
    "too_large": (400, "EntityTooLarge"),
    "precondition": (412, "PreconditionFailed"),
    "unavailable": (503, "ServiceUnavailable"),
    "unsupported": (501, "NotImplemented"),
    "fatal": (500, "InternalError"),
}

_BY_KIND: dict[tuple[str, str], tuple[int, str]] = {
    ("not_found", "part"): (400, "InvalidPart"),
    ("denied", "sse_c"): (400, "InvalidRequest"),
    ("invalid", "sse_c"): (400, "InvalidRequest"),
    ("denied", "kms_disabled"): (403, "KMS.DisabledException"),
    ("invalid", "policy"): (400, "MalformedPolicy"),
    ("denied", "policy"): (403, "AccessDenied"),
    ("denied", "token"): (403, "AccessDenied"),
    ("over_quota", "rate"): (429, "SlowDown"),
}

_PUBLIC_FATAL = "the stored object is damaged and was not sent; the operator has been alerted"
_PUBLIC_UNKNOWN = "an internal error occurred; retry, and give the operator the request id if it persists"


def status_and_code(error: BaseException) -> tuple[int, str]:
    """The HTTP status and S3 code of any failure."""
    if not isinstance(error, errors.Error):
        return 500, "InternalError"
    found = _BY_KIND.get((error.kind, error.reason))
    if found is None and error.kind not in ("denied", "precondition", "fatal"):
        found = _COMMON.get(error.reason)
    elif found is None and error.kind == "denied":
        denied = _COMMON.get(error.reason)
        found = denied if denied is not None and denied[0] == 403 else None
    if found is None:
        found = _KINDS.get(error.kind, (500, "InternalError"))
    status = getattr(error, "status", found[0])
    return (status, found[1]) if isinstance(status, int) else found


def message(error: BaseException) -> str:
    """What a client may read about it."""
    if isinstance(error, errors.Fatal):
        return _PUBLIC_FATAL
    return error.public if isinstance(error, errors.Error) else _PUBLIC_UNKNOWN


def render(request: Request | None, error: BaseException, named: str = "-") -> Response:
    """The error answer: XML with the request id, none of it for HEAD. `named`: the id when there is no request."""
    status, code = status_and_code(error)
    request_id = request.request_id if request is not None else named
    headers: list[tuple[str, str | bytes]] = [("x-amz-request-id", request_id), ("x-amz-id-2", request_id)]
    detail = error.detail if isinstance(error, errors.Error) else {}
    headers.extend(detail.get("headers", ()))
    if "retry_after" in detail or status == 503:
        headers.append(("Retry-After", str(detail.get("retry_after", errors.RETRY_SECONDS))))
    if status == 304:
        return Response(304, headers)
    body = error_body(code, message(error), resource(request), request_id, detail.get("fields"))
    headers.append(("Content-Type", "application/xml"))
    if request is not None and request.method == "HEAD":
        return Response(status, headers, b"", length=0)
    return Response(status, headers, body)


def resource(request: Request | None) -> str:
    """The path as received, for the answer."""
    return request.path.decode("latin-1") if request is not None else "/"


def error_body(code: str, text: str, path: str, request_id: str, fields: dict[str, str] | None = None) -> bytes:
    """`<Error>`: Code, Message, extra elements, Resource, RequestId, HostId."""
    extra = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in (fields or {}).items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(text)}</Message>{extra}"
        f"<Resource>{escape(path)}</Resource><RequestId>{request_id}</RequestId><HostId>{request_id}</HostId></Error>"
    ).encode()
