"""Multipart uploads: create, parts, part copies, complete, abort (API reference)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from andromede.clock import iso_milli
from andromede.errors import Invalid, NotFound
from andromede.objects import joined
from andromede.objects.model import Checksum, Expected, Part, Receive, Upload, Version, Versioning
from andromede.objects.s3 import attributes, copying, digest, lifecycle, preconditions, sse
from andromede.objects.s3.operations import operation
from andromede.objects.s3.reading import part_number
from andromede.objects.s3.writing import DEFAULT_CHECKSUM, OBJECT_MAX, claim_of, take, wish_of
from andromede.objects.s3.xml import Node, element, elements, malformed
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

PARTS_MAX = 10_000
COMPLETE_BYTES = 4 << 20
_FULL_BY_DEFAULT = frozenset(("CRC64NVME",))
_COMPOSITE_ONLY = frozenset(("SHA1", "SHA256"))


@operation("CreateMultipartUpload", "POST", on="object", query="uploads", action="s3:PutObject")
def create_upload(call: S3Call) -> Commit[Upload]:
    """Begin an upload; what the object will be is fixed here."""
    wish = wish_of(call)
    algorithm, kind = checksum_plan(call)
    trace = call.trace()
    step = call.objects.create_upload(call.bucket, call.name, wish.attributes, algorithm, kind, trace)
    return step.then(lambda upload: _created(call, upload, algorithm, kind))


def checksum_plan(call: S3Call) -> tuple[str | None, str | None]:
    """Algorithm and kind of the whole object's checksum. Raises `Invalid` for a pair that cannot be."""
    named = call.header("x-amz-checksum-algorithm")
    kind = call.header("x-amz-checksum-type")
    if named is None:
        if kind is not None:
            raise Invalid("x-amz-checksum-type needs x-amz-checksum-algorithm", "invalid_request")
        return None, None
    algorithm = digest.known(named)
    if kind is None:
        kind = digest.FULL_OBJECT if algorithm in _FULL_BY_DEFAULT else digest.COMPOSITE
    kind = kind.upper()
    if kind not in (digest.FULL_OBJECT, digest.COMPOSITE):
        raise Invalid("x-amz-checksum-type must be FULL_OBJECT or COMPOSITE", "invalid_request")
    if (kind == digest.FULL_OBJECT and algorithm in _COMPOSITE_ONLY) or (
        kind == digest.COMPOSITE and algorithm in _FULL_BY_DEFAULT
    ):
        raise Invalid(f"the {kind} checksum type cannot be used with the {algorithm} algorithm", "invalid_request")
    return algorithm, kind


def _created(call: S3Call, upload: Upload, algorithm: str | None, kind: str | None) -> Response:
    names = (("Bucket", call.place.bucket), ("Key", call.name), ("UploadId", upload.id))
    answer = call.xml("InitiateMultipartUploadResult", elements(names))
    if algorithm is not None and kind is not None:
        answer.headers += [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)]
    if upload.attributes.encryption.mode != "default":
        answer.headers += sse.answer_headers(upload.attributes.encryption)
    answer.headers += lifecycle.abort_headers(call.bucket, upload, call.context.config)
    return answer


def opened(call: S3Call) -> Upload:
    """The upload of the request. Raises `NotFound` (NoSuchUpload)."""
    upload_id = call.query.get("uploadId", "")
    upload = call.objects.upload(call.bucket, call.name, upload_id)
    return upload


def part_keys(call: S3Call, upload: Upload) -> sse.Keys:
    """The keys for a part: as fixed at creation; a customer key must be given again, the same one."""
    encryption = upload.attributes.encryption
    given = sse.customer_key(call.headers, sse.CUSTOMER, sse.secure(call))
    if encryption.mode != sse.SSE_C:
        if given is not None:
            raise Invalid("the upload was begun without a customer key; leave it out", "invalid_argument")
        return sse.Keys(encryption)
    if given is None:
        raise Invalid("the upload was begun with a customer key; give it with each part", "invalid_request")
    key, md5 = given
    if md5 != encryption.customer_key_md5:
        raise Invalid("the customer key is not the one that the upload was begun with", "invalid_argument")
    return sse.Keys(encryption, key)


@operation("UploadPart", "PUT", on="object", query="uploadId", action="s3:PutObject")
def upload_part(call: S3Call) -> Commit[Part]:
    """Store one part; the last to finish under a number wins."""
    call.require()
    number = part_number(call.query.get("partNumber", ""))
    if "content-length" not in call.headers and "transfer-encoding" not in call.headers:
        raise Invalid("you must provide the Content-Length HTTP header", "length")
    upload = opened(call)
    keys = part_keys(call, upload)
    claim = claim_of(call)
    if upload.checksum_algorithm is not None:
        if claim.algorithm is not None and claim.algorithm != upload.checksum_algorithm:
            raise Invalid(
                f"the upload was created with {upload.checksum_algorithm}; the part gives {claim.algorithm}",
                "invalid_request",
            )
        claim = digest.Claim(upload.checksum_algorithm, claim.value, claim.trailer)
    stored = take(call, keys, claim)
    step = call.objects.put_part(upload, number, stored, call.trace())
    return step.then(lambda part: _part_answer(call, upload, part, claim.algorithm is not None))


def _part_answer(call: S3Call, upload: Upload, part: Part, show: bool) -> Response:
    pairs: attributes.Pairs = [("ETag", f'"{part.etag}"')]
    if part.checksum is not None and show:
        pairs.append((digest.HEADER[part.checksum.algorithm], part.checksum.value))
    if upload.attributes.encryption.mode != "default":
        pairs += sse.answer_headers(upload.attributes.encryption)
    return call.empty(200, pairs)


@operation("UploadPartCopy", "PUT", on="object", query="uploadId", action="s3:PutObject", form="copy")
def upload_part_copy(call: S3Call) -> Commit[Part]:
    """A part out of another object's bytes."""
    call.require()
    number = part_number(call.query.get("partNumber", ""))
    upload = opened(call)
    keys = part_keys(call, upload)
    source = copying.source_of(call)
    start, stop = copy_range(call.header("x-amz-copy-source-range"), source.version.size)
    if stop - start > OBJECT_MAX:
        raise Invalid("a part holds at most 5 GiB; give x-amz-copy-source-range", "invalid_request")
    algorithm = upload.checksum_algorithm or DEFAULT_CHECKSUM
    want = Receive(
        length=stop - start,
        algorithms=(algorithm,),
        encryption=keys.encryption,
        customer_key=keys.customer_key,
        source_customer_key=source.customer_key,
    )
    stored = joined.copy_range(call.objects, source.version, start, stop, call.bucket, want)
    step = call.objects.put_part(upload, number, stored, call.trace())
    return step.then(lambda part: _copy_answer(call, upload, source, part))


def _copy_answer(call: S3Call, upload: Upload, source: copying.Source, part: Part) -> Response:
    inner = elements((("LastModified", iso_milli(part.created_us)), ("ETag", f'"{part.etag}"')))
    if part.checksum is not None and upload.checksum_algorithm is not None:
        inner += element(digest.ELEMENT[part.checksum.algorithm], part.checksum.value)
    answer = call.xml("CopyPartResult", inner)
    answer.headers += copying.source_headers(source)
    if upload.attributes.encryption.mode != "default":
        answer.headers += sse.answer_headers(upload.attributes.encryption)
    return answer


def copy_range(text: str | None, size: int) -> tuple[int, int]:
    """[start, stop) of `bytes=first-last`, both needed and inside the source. Raises `Invalid`."""
    if text is None:
        return 0, size
    first, dash, last = text.removeprefix("bytes=").partition("-")
    good = text.startswith("bytes=") and dash and first.isdigit() and last.isdigit() and text.isascii()
    if not good or len(text) > 40 or int(last) < int(first):
        raise Invalid("x-amz-copy-source-range must be of the form bytes=first-last", "invalid_argument")
    if int(last) >= size:
        raise Invalid(
            f"the range {text} is not valid for a source of {size} bytes",
            "range",
            fields={"RangeRequested": text, "ActualObjectSize": str(size)},
        )
    return int(first), int(last) + 1


@operation("AbortMultipartUpload", "DELETE", on="object", query="uploadId", action="s3:AbortMultipartUpload")
def abort_upload(call: S3Call) -> Commit[None]:
    """Forget an upload and its parts."""
    call.require()
    upload = opened(call)
    return call.objects.abort_upload(upload, call.trace()).then(lambda _: call.empty(204))


@operation("CompleteMultipartUpload", "POST", on="object", query="uploadId", action="s3:PutObject")
def complete_upload(call: S3Call) -> Commit[Version] | Response:
    """Make the object out of its parts; the same call again gets the same answer."""
    call.require()
    root = call.read_xml("CompleteMultipartUpload", COMPLETE_BYTES, of_object=True)
    parts = part_list(root)
    try:
        upload = opened(call)
    except NotFound as missing:
        done = missing.detail.get("completed")
        if isinstance(done, Version):
            return _completed(call, done)
        raise
    _check_customer_key(call, upload)
    conditions = preconditions.of_write(call)
    step = call.objects.complete_upload(upload, parts, conditions, expected_of(call, upload), call.trace())
    return step.then(lambda version: _completed(call, version))


def _check_customer_key(call: S3Call, upload: Upload) -> None:
    """The completion repeats the customer key."""
    given = sse.customer_key(call.headers, sse.CUSTOMER, sse.secure(call))
    if upload.attributes.encryption.mode != sse.SSE_C:
        return
    if given is None:
        raise Invalid("the upload was begun with a customer key; give it with the completion too", "invalid_request")
    if given[1] != upload.attributes.encryption.customer_key_md5:
        raise Invalid("the customer key is not the one that the upload was begun with", "invalid_argument")


def part_list(root: Node) -> list[tuple[int, str, Checksum | None]]:
    """(number, bare ETag, checksum) of every part named. Raises `Invalid`."""
    root.only("Part")
    if not 0 < len(root.children) <= PARTS_MAX:
        raise malformed(f"a completion names 1 to {PARTS_MAX} parts")
    parts: list[tuple[int, str, Checksum | None]] = []
    last = 0
    for node in root.children:
        text = node.only("PartNumber", "ETag", *digest.ELEMENT.values()).need("PartNumber").text.strip()
        if not text.isdigit() or not text.isascii() or len(text) > 9:
            raise malformed("PartNumber must be a number")
        number = int(text)
        if number < last:
            raise Invalid(
                "the list of parts was not in ascending order; parts must be ordered by part number", "part_order"
            )
        if number == last:  # named twice: the later entry counts
            parts.pop()
        last = number
        parts.append((number, node.need("ETag").text.strip().strip('"'), _part_checksum(node)))
    return parts


def _part_checksum(node: Node) -> Checksum | None:
    for algorithm, name in digest.ELEMENT.items():
        value = node.value(name)
        if value:
            return Checksum(algorithm, value)
    return None


def expected_of(call: S3Call, upload: Upload) -> Expected:
    """Read the expected checksum (`-N` at the end of composite ones) and size. Raises `Invalid`."""
    size = None
    text = call.header("x-amz-mp-object-size")
    if text is not None:
        if not text.isdigit() or not text.isascii() or len(text) > 15:
            raise Invalid("x-amz-mp-object-size must be a number of bytes", "invalid_request")
        size = int(text)
    kind = call.header("x-amz-checksum-type")
    if kind is not None and upload.checksum_kind is not None and kind.upper() != upload.checksum_kind:
        raise Invalid(f"the upload was created with the checksum type {upload.checksum_kind}", "invalid_request")
    for algorithm, name in digest.HEADER.items():
        value = call.header(name)
        if value is not None:
            _well_formed(algorithm, value)
            return Expected(Checksum(algorithm, value, upload.checksum_kind or digest.FULL_OBJECT), size)
    return Expected(None, size)


def _well_formed(algorithm: str, value: str) -> None:
    plain, _, count = value.partition("-")
    try:
        raw = base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != digest.SIZES[algorithm] or (count and not count.isdigit()):
        raise Invalid(f"the value of {digest.HEADER[algorithm]} is not a checksum of that kind", "bad_digest")


def _completed(call: S3Call, version: Version) -> Response:
    host = call.header("host") or ""
    location = f"{call.request.scheme}://{host}{call.request.path.decode('latin-1')}"
    named = (("Location", location), ("Bucket", call.place.bucket), ("Key", call.name), ("ETag", f'"{version.etag}"'))
    inner = elements(named)
    if version.checksum is not None:
        inner += element(digest.ELEMENT[version.checksum.algorithm], version.checksum.value)
        inner += element("ChecksumType", version.checksum.kind)
    answer = call.xml("CompleteMultipartUploadResult", inner)
    if call.bucket.versioning is Versioning.ENABLED:
        answer.headers.append(("x-amz-version-id", version.shown_id))
    if version.attributes.encryption.mode != "default":
        answer.headers += sse.answer_headers(version.attributes.encryption)
    return answer
