"""PutObject: headers to attributes, body to the core, one commit (API reference)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from andromede.errors import Invalid
from andromede.objects.access.ownership import upload_owner
from andromede.objects.model import (
    ETAG_SETTING,
    OPAQUE,
    Attributes,
    Conditions,
    Container,
    Receive,
    Stored,
    Version,
    Versioning,
)
from andromede.objects.s3 import acl, attributes, digest, encryption, kinds, lifecycle, locks, preconditions, sse
from andromede.objects.s3.operations import operation
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call
    from andromede.objects.s3.proof import BodyReader

OBJECT_MAX = 5 << 30
DEFAULT_CHECKSUM = "CRC64NVME"


@dataclass(frozen=True, slots=True)
class Wish:
    """A new object as its headers describe it."""

    attributes: Attributes
    keys: sse.Keys
    owner_id: str


def wish_of(call: S3Call, action: str = "s3:PutObject") -> Wish:
    """Read the headers of a put, copy or new upload and check the rights to each.

    Raises `Invalid` and `Denied`."""
    # rights first: a policy that demands certain headers refuses before anyone judges their values
    require_put(call, action)
    container = call.bucket
    default = encryption.default_encryption(container) if "encryption" in container.documents else None
    keys = sse.wanted(call, default)
    if call.kinds & kinds.ACL:
        owner, document = acl.for_upload(call, container)
    else:
        owner, document = upload_owner(container, call.actor, None), None
    about = attributes.of_request(call, keys, document, locks.of_request(call))
    call.owner_id = owner
    return Wish(about, keys, owner)


def require_put(call: S3Call, action: str) -> None:
    """The right to put (its tags are condition keys), and to set a lock."""
    call.require(action)
    if not call.kinds & kinds.LOCK:
        return
    if locks.MODE in call.headers:
        call.require("s3:PutObjectRetention")
    if locks.HOLD in call.headers:
        call.require("s3:PutObjectLegalHold")


@operation("PutObject", "PUT", on="object", action="s3:PutObject")
def put_object(call: S3Call) -> Commit[Version] | Response:
    """Store an object under a key."""
    if "content-length" not in call.headers and "transfer-encoding" not in call.headers:
        raise Invalid("you must provide the Content-Length HTTP header", "length")
    if call.version_id is not None:
        raise Invalid("a put makes a version of its own; leave out versionId", "invalid_argument")
    wish = wish_of(call)
    conditions = preconditions.of_write(call)
    claim = claim_of(call)
    locking = call.kinds & kinds.LOCK and (locks.MODE in call.headers or locks.HOLD in call.headers)
    if locking and claim.algorithm is None and "content-md5" not in call.headers:
        raise Invalid(
            "Content-MD5 or an x-amz-checksum- header is required for put object requests with lock parameters",
            "invalid_request",
        )
    if not call.request.body.buffered:
        call.objects.precheck(call.bucket, call.name, conditions, call.proof.length(call.request))
    stored = take(call, wish.keys, claim)
    return commit(call, wish, stored, conditions)


def claim_of(call: S3Call) -> digest.Claim:
    """The checksum that the request gives or announces."""
    return digest.claimed(call.headers) if call.kinds & kinds.CHECKSUM else digest.NOTHING


def take(call: S3Call, keys: sse.Keys, claim: digest.Claim, container: Container | None = None) -> Stored:
    """Receive the body, with its digests checked before it counts."""
    md5 = digest.content_md5(call.headers) if call.kinds & kinds.CHECKSUM else None
    body = call.proof.body(call.request)
    want = Receive(
        length=call.proof.length(call.request),
        max_length=OBJECT_MAX,
        algorithms=(claim.algorithm or DEFAULT_CHECKSUM,),
        encryption=keys.encryption,
        customer_key=keys.customer_key,
        verify=verifier(body, md5, claim),
        opaque=md5 is None and opaque(container or call.bucket),
    )
    if want.length is not None and want.length > OBJECT_MAX:
        raise Invalid("your proposed upload exceeds the maximum allowed size of 5 GiB; use multipart", "too_large")
    return call.objects.receive(container or call.bucket, body, want)


def opaque(container: Container) -> bool:
    """Whether uploads into the bucket get ETags that are no MD5. One that brings its MD5 along keeps it."""
    return container.settings.get(ETAG_SETTING) == OPAQUE


class verifier:
    """Checks what the client claimed, at the end of the body."""

    __slots__ = ("_body", "_claim", "_md5")

    def __init__(self, body: BodyReader, md5: str | None, claim: digest.Claim) -> None:
        self._body = body
        self._md5 = md5
        self._claim = claim

    def __call__(self, stored: Stored) -> None:
        self._body.finish()
        digest.compare_md5(self._md5, stored.md5)
        claim = self._claim
        if claim.algorithm is None:
            return
        given = claim.value
        if claim.trailer:
            given = self._body.trailers.get(digest.HEADER[claim.algorithm])
            if given is None:
                raise Invalid("the announced checksum trailer is missing", "malformed_trailer")
            digest.well_formed(claim.algorithm, given)
        if given is not None:
            digest.compare(claim.algorithm, given, stored.checksums[claim.algorithm])


def commit(call: S3Call, wish: Wish, stored: Stored, conditions: Conditions) -> Commit[Version]:
    """Make the object in the next group commit."""
    step = call.objects.put(call.bucket, call.name, stored, wish.attributes, conditions, call.trace())
    return step.then(lambda version: Response(200, written_headers(call, version)))


def made_headers(request_id: str, container: Container, version: Version) -> attributes.Pairs:
    """The headers of an answer to a write that say what was made."""
    pairs = kinds.identified(request_id)
    pairs.append(("ETag", attributes.shown_etag(version)))
    if container.versioning is Versioning.ENABLED:
        pairs.append(("x-amz-version-id", version.shown_id))
    return pairs + attributes.checksum_headers(version.checksum)


def written_headers(call: S3Call, version: Version) -> attributes.Pairs:
    """The answer's headers after a write."""
    pairs = made_headers(call.request.request_id, call.bucket, version)
    if version.attributes.encryption.mode != "default":
        pairs += sse.answer_headers(version.attributes.encryption)
    if "lifecycle" in call.bucket.documents:
        expires = lifecycle.expiration_header(call.bucket, version, call.context.config)
        if expires is not None:
            pairs.append(("x-amz-expiration", expires))
    return pairs
