"""Multipart uploads: works that run inside a commit. Parts belong to the version id that the upload
reserved, so completing moves nothing."""

from __future__ import annotations

from collections.abc import Sequence

from andromede.errors import Invalid, NotFound
from andromede.objects import digests, placing, trail, upload_store, version_store, versions
from andromede.objects.batch import Batch
from andromede.objects.model import Checksum, Conditions, Expected, Part, Stored, Trace, Upload, Version
from andromede.objects.placing import Draught

LEAST_PART = 5 << 20
DEFAULT_ALGORITHM = "CRC64NVME"
PartList = Sequence[tuple[int, str, Checksum | None]]


def no_upload(upload_id: str) -> NotFound:
    """The error of an upload that is not there (any more)."""
    return NotFound(f"there is no upload {upload_id!r}: it was never begun, was aborted or is complete", "upload")


def create(batch: Batch, upload: Upload, trace: Trace) -> Upload:
    """Begin an upload."""
    container = batch.state(upload.container_id).container
    upload_store.insert(batch, upload)
    batch.drafts.append(trail.event(container, trace, trail.label(container, upload.key), upload=upload.id))
    return upload


def _open(batch: Batch, upload: Upload) -> Upload:
    found = upload_store.get(batch, upload.container_id, upload.key, upload.id)
    if found is None or found[1] is not None:
        raise no_upload(upload.id)
    return found[0]


def put_part(batch: Batch, upload: Upload, number: int, stored: Stored, trace: Trace) -> Part:
    """Add a part; one of the same number that finished earlier goes away."""
    _open(batch, upload)
    batch.check_key(stored.kek)
    container = batch.state(upload.container_id).container
    before = version_store.one_part(batch, upload.version_id, number)
    if before is not None and before.body is not None:
        batch.drop(before.body.ref, before.body.blob_id)
        version_store.delete_parts(batch, upload.version_id, [number])
    checksum = next((Checksum(name, value) for name, value in stored.checksums.items()), None)
    placing.claim_file(batch, stored.ref, stored.record is not None)
    part = Part(number, stored.size, stored.md5, checksum, batch.now_us, placing.location(stored))
    version_store.put_part(batch, upload.version_id, part)
    what = trail.label(container, upload.key)
    batch.drafts.append(trail.event(container, trace, what, upload=upload.id, part=number, bytes=part.size))
    return part


def complete(
    batch: Batch, upload: Upload, wanted: PartList, conditions: Conditions, expected: Expected, trace: Trace
) -> Version:
    """Make the object. Repeated after success it answers the same version.

    Invalid reasons: `part` (unknown, other ETag or checksum), `part_order`, `part_small`, `bad_digest`,
    `size`; NotFound reason `upload`."""
    found = upload_store.get(batch, upload.container_id, upload.key, upload.id)
    if found is None:
        raise no_upload(upload.id)
    if found[1] is not None:
        done = version_store.by_internal_id(batch, upload.container_id, upload.key, upload.version_id)
        if done is None:
            raise no_upload(upload.id)
        return done[0]
    upload = found[0]
    stored = {part.number: part for part in version_store.parts(batch, upload.version_id)}
    chosen = _chosen(stored, wanted)
    size = sum(part.size for part in chosen)
    checksum = _checksum(upload, chosen)
    _meets(expected, checksum, size)
    draught = Draught(
        upload.version_id, upload.container_id, upload.key, size, digests.combine_etags([p.etag for p in chosen]),
        checksum, len(chosen), upload.owner_id, upload.attributes, None,
    )  # fmt: skip
    version = versions.put(batch, draught, conditions, trace)
    unused = sorted(set(stored) - {part.number for part in chosen})
    for number in unused:
        body = stored[number].body
        if body is not None:
            batch.drop(body.ref, body.blob_id)
    version_store.delete_parts(batch, upload.version_id, unused)
    upload_store.complete(batch, upload, batch.now_us)
    return version


def _chosen(stored: dict[int, Part], wanted: PartList) -> list[Part]:
    chosen: list[Part] = []
    for number, etag, checksum in wanted:
        part = stored.get(number)
        if part is None or part.etag != etag.strip('"'):
            raise Invalid(f"part {number} was not uploaded with the ETag {etag}", "part", number=number)
        if checksum is not None and (part.checksum is None or part.checksum.value != checksum.value):
            raise Invalid(f"part {number} has another checksum than the list says", "part", number=number)
        if chosen and chosen[-1].number >= number:
            raise Invalid("the parts must be listed in ascending order", "part_order", number=number)
        if chosen and chosen[-1].size < LEAST_PART:
            raise Invalid(
                f"part {chosen[-1].number} is smaller than {LEAST_PART} bytes and not the last",
                "part_small",
                number=chosen[-1].number,
            )
        chosen.append(part)
    if not chosen:
        raise Invalid("the list of parts is empty", "part_list")
    return chosen


def _checksum(upload: Upload, chosen: list[Part]) -> Checksum | None:
    """The whole's checksum as the upload planned it; of the default algorithm when it planned none."""
    algorithm = upload.checksum_algorithm or DEFAULT_ALGORITHM
    found = [part.checksum for part in chosen if part.checksum is not None and part.checksum.algorithm == algorithm]
    if len(found) != len(chosen):
        return None
    if upload.checksum_kind == "COMPOSITE":
        value = digests.combine_composite(algorithm, [checksum.value for checksum in found])
        return Checksum(algorithm, value, "COMPOSITE")
    sizes = [(checksum.value, part.size) for checksum, part in zip(found, chosen, strict=True)]
    return Checksum(algorithm, digests.combine_full(algorithm, sizes))


def _meets(expected: Expected, checksum: Checksum | None, size: int) -> None:
    if expected.size is not None and expected.size != size:
        raise Invalid(f"the parts have {size} bytes together, not {expected.size}", "size")
    wanted = expected.checksum
    if wanted is not None and (
        checksum is None or checksum.algorithm != wanted.algorithm or checksum.value != wanted.value
    ):
        raise Invalid(f"the {wanted.algorithm} checksum of the whole does not match", "bad_digest")


def abort(batch: Batch, upload: Upload, trace: Trace) -> None:
    """Give an upload up: its data keys go with its rows, its bytes become garbage."""
    _open(batch, upload)
    container = batch.state(upload.container_id).container
    for part in version_store.parts(batch, upload.version_id):
        if part.body is not None:
            batch.drop(part.body.ref, part.body.blob_id)
    upload_store.delete_parts(batch, upload.version_id)
    upload_store.delete(batch, upload)
    batch.drafts.append(trail.event(container, trace, trail.label(container, upload.key), upload=upload.id))
