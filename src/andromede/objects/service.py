"""The object service: one model under both dialects.

Reads answer at once. Writes return a `Step`, which a handler hands to the edge (`step.then(render)`) or
a worker thread runs (`Objects.run`). Everything a step decides, it decides inside the group commit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from andromede.audit import Draft, Recorder
from andromede.clock import Clock, TrustedTime
from andromede.db import Database, Reach, Row, Tx
from andromede.errors import Error, Invalid, NotFound
from andromede.ids import Ids
from andromede.keys import KeyRing
from andromede.log import Log
from andromede.objects import (
    codec,
    container_store,
    containers,
    listing,
    placing,
    rules,
    trail,
    upload_store,
    uploads,
    version_store,
    versions,
)
from andromede.objects.batch import Batch
from andromede.objects.blobs import BlobEngine
from andromede.objects.buffers import PLAIN
from andromede.objects.commit import CommitLimits, Committer, CommitTools, Footprint, Step
from andromede.objects.concealed import conceal, reveal, reveal_upload
from andromede.objects.container_store import State
from andromede.objects.copying import Joined
from andromede.objects.heads import Heads
from andromede.objects.intake import Intake
from andromede.objects.lookup import Lookup
from andromede.objects.model import (
    HIDDEN,
    NO_CONDITIONS,
    Account,
    AccountUsage,
    Attributes,
    Checksum,
    Conditions,
    Container,
    ContainerChange,
    ContainerListing,
    CopySource,
    DeleteOptions,
    DeleteResult,
    Expected,
    Listing,
    ListQuery,
    NewContainer,
    Part,
    Readable,
    Receive,
    ShownListing,
    SmallRecord,
    Stored,
    Trace,
    Upload,
    UploadListing,
    Usage,
    Version,
    Versioning,
    VersionQuery,
)
from andromede.objects.outflow import Opener, Stretch
from andromede.objects.placing import Draught
from andromede.objects.replaced import Replaced

T = TypeVar("T")
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
REPEAT_SECONDS = 7 * 86_400
"""How long a completed upload is remembered, to answer a repeated Complete."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the service stands on; built by the composition root, once per process."""

    db: Database
    engine: BlobEngine
    keys: KeyRing
    recorder: Recorder
    clock: Clock
    ids: Ids
    log: Log
    limits: CommitLimits | None = None
    trusted: TrustedTime | None = None


class Objects:
    """One per process, shared by all its threads."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._db = tools.db
        self._clock = tools.clock
        self.trusted = tools.trusted or TrustedTime(tools.clock)
        self._lookup = Lookup(tools.db)
        commit = CommitTools(
            tools.db, tools.engine, tools.recorder, tools.keys, tools.clock, tools.log, self.trusted
        )  # fmt: skip
        self._heads = Heads(tools.db)
        self.committer = Committer(commit, tools.limits)
        self._intake = Intake(tools.engine, tools.keys, tools.clock, tools.ids)
        self._opener = Opener(tools.engine, tools.keys, self._intake.pool, tools.clock, tools.log)
        self.committer.oldest_read = self._opener.oldest

    def close(self) -> None:
        """Commit what is queued, then stop."""
        self.committer.close()
        self._intake.close()

    def run(self, step: Step[T], footprint: Footprint | None = None) -> T:
        """Do a write now and wait for it; `footprint` learns where its event lies. Worker threads only."""
        return self.committer.run(step, footprint)

    def run_all(self, steps: Sequence[Step[T]], footprint: Footprint | None = None) -> list[T | Error]:
        """Do many writes, sharing commits; each ends in its result or in its `Error`."""
        return self.committer.run_all(steps, footprint)

    def new_id(self) -> str:
        """A fresh version id."""
        return self._intake.new_id()

    # --- containers and accounts

    def container(self, project_id: str, name: str) -> Container:
        """NotFound reason `bucket`."""
        if name.startswith(HIDDEN):
            raise container_store.no_bucket(name)
        return self._lookup.named(project_id, name).container

    def hidden_container(self, project_id: str, purpose: str, trace: Trace) -> Container:
        """The container in which another service keeps a project's bytes (`images`, `backups`), under the project's
        keys; made when it is first wanted. No client lists or reaches it, and its bytes count in no account."""
        name = HIDDEN + purpose
        try:
            return self._lookup.named(project_id, name).container
        except NotFound:
            new = NewContainer(project_id, name, project_id, want_s3_name="no")
            return self.run(Step(lambda tx: containers.create(Batch.of(tx), new, trace)))[0]

    def bucket(self, s3_name: str, project_id: str | None = None) -> Container:
        """The project's own container of that name, else the one that holds the S3 name."""
        if s3_name.startswith(HIDDEN):
            raise container_store.no_bucket(s3_name)
        return self._lookup.bucket(s3_name, project_id).container

    def usage(self, container: Container) -> Usage:
        """Exact counters."""
        return container_store.usage(self._db, container.id)

    def account(self, project_id: str) -> Account:
        """Swift metadata and settings of a project."""
        return container_store.account(self._db, project_id)

    def account_usage(self, project_id: str) -> AccountUsage:
        """Exact sums."""
        return container_store.account_usage(self._db, project_id)

    def list_containers(self, project_id: str, query: ListQuery, s3_only: bool = False) -> ContainerListing:
        """A page of a project's containers in order of name."""
        if query.limit <= 0:
            return ContainerListing((), False, query.after)

        def scan(low: str, high: str | None, limit: int) -> list[Row]:
            return container_store.page(self._db, project_id, low, high, limit, (query.reverse, s3_only))

        found: list[tuple[Container, Usage] | str] = []
        last = ""
        for entry in listing.entries(scan, query, 2):
            if len(found) == query.limit:
                return ContainerListing(tuple(found), True, last)
            if isinstance(entry, str):
                found.append(entry)
                last = entry
            else:
                found.append((codec.container(entry), Usage(entry[14], entry[15])))
                last = entry[2]
        return ContainerListing(tuple(found), False, last)

    def containers_with(self, document: str, after: int, limit: int) -> list[Container]:
        """Containers that hold a document of this kind, in order of id, behind the id `after`."""
        return container_store.with_document(self._db, document, after, limit)

    def create_container(self, new: NewContainer, trace: Trace) -> Step[tuple[Container, bool]]:
        """Conflict reason `bucket_taken`; (existing, False) when the project has it already."""
        _refuse_hidden(new.name)
        return Step(lambda tx: containers.create(Batch.of(tx), new, trace))

    def put_container(
        self, new: NewContainer, change: ContainerChange, old: Container | None, trace: Trace
    ) -> Step[tuple[Container, bool]]:
        """The new container and True; or (changed, False) when the project has one of that name by then, be it `old`
        or not. Raises as `change_container`."""
        _refuse_hidden(new.name)
        prepared = old is not None and change.versioning not in (None, Versioning.OFF) and self._index(old)

        def work(tx: Tx) -> tuple[Container, bool]:
            batch = Batch.of(tx)
            found, created = containers.create(batch, new, trace)
            if created:
                return found, True
            ready = prepared and old is not None and found.id == old.id
            return containers.change(batch, found.id, change, trace, ready), False

        return Step(work)

    def change_container(self, container: Container, change: ContainerChange, trace: Trace) -> Step[Container]:
        """Conflict reason `bucket_state` when versioning and lock contradict each other. Before the first
        versioning of a large container its rows are indexed here, in many small commits."""
        prepared = change.versioning not in (None, Versioning.OFF) and self._index(container)
        return Step(lambda tx: containers.change(Batch.of(tx), container.id, change, trace, prepared))

    def _index(self, container: Container) -> bool:
        most = containers.INDEX_AT_ONCE
        if self._lookup.state(container).indexed or version_store.count_rows(self._db, container.id, most) < most:
            return False
        self.run(Step(lambda tx: containers.begin_indexing(Batch.of(tx), container.id)))
        after: str | None = ""
        while after is not None:
            after = self.run(self._indexing(container.id, after))
        return True

    def _indexing(self, container_id: int, after: str) -> Step[str | None]:
        return Step(lambda tx: containers.index_some(Batch.of(tx), container_id, after))

    def delete_container(self, container: Container, trace: Trace) -> Step[None]:
        """Conflict reason `bucket_not_empty`; unfinished uploads are aborted."""
        return Step(lambda tx: containers.delete(Batch.of(tx), container.id, trace))

    def change_account(
        self, project_id: str, metadata: Mapping[str, str | None], settings: Mapping[str, str | None], trace: Trace
    ) -> Step[Account]:
        """Merge; a None value removes."""

        def work(tx: Tx) -> Account:
            batch = Batch.of(tx)
            changed = containers.change_account(batch, project_id, metadata, settings)
            batch.drafts.append(trail.account_event(project_id, trace))
            return changed

        return Step(work)

    def delete_account(self, project_id: str, trace: Trace) -> Step[None]:
        """Forget the account's own metadata. Its containers must be gone: Conflict `account_not_empty`."""

        def work(tx: Tx) -> None:
            batch = Batch.of(tx)
            containers.delete_account(batch, project_id)
            batch.drafts.append(trail.account_event(project_id, trace))

        return Step(work)

    # --- reading

    def head(self, container: Container, key: str, version_id: str | None = None) -> Version:
        """A version by the id that clients see, or the current one. NotFound reason `object` (detail
        `marker` holds the delete marker, if one is current) or `version`; expired objects are absent."""
        if version_id is None:
            version = self._newest(container.id, key)
            if version.is_marker:
                raise NotFound(f"{key!r} is deleted; older versions of it may exist", "object", key=key, marker=version)
        else:
            row = version_store.by_shown_id(self._db, container.id, key, version_id)
            if row is None:
                raise _absent(key, version_id)
            self._tools.keys.sync(row[20])
            version = codec.version(row)
        if version.attributes.delete_at_us is not None and rules.expired(version, self._clock.now_us()):
            raise _absent(key, version_id)
        return reveal(self._tools.keys, version)

    def _newest(self, container_id: int, key: str) -> Version:
        version, shelf = self._heads.get(container_id, key)
        if version is None:
            row = version_store.newest(self._db, container_id, key)
            if row is None:
                raise _absent(key, None)
            self._tools.keys.sync(row[20])
            version = codec.version(row)
            if shelf is not None:
                shelf[(container_id, key)] = version
        return version

    def read(
        self, version: Version, start: int = 0, stop: int | None = None, *, customer_key: bytes | None = None
    ) -> Iterator[memoryview]:
        """The bytes [start, stop) in pieces; a piece is valid until the next one is asked for. Fatal reason
        `damage` or `missing`; Denied reason `sse_c`, `kms_disabled` or `kms_destroyed`."""
        stop = version.size if stop is None else min(stop, version.size)
        sse_c = version.attributes.encryption.mode == "SSE-C"
        if start >= stop:
            if sse_c and version.body is not None:
                self._opener.sealer(version.body, customer_key, True, self._lookup.tenant(version.container_id))
            return iter(())
        return self._opener.read(self._stretches(version, start, stop), customer_key, sse_c)

    def read_small(self, container: Container, version: Version) -> bytes | None:
        """All bytes of a version that lies in one frame and asks for no key of its own; None for any other.
        Errors as `read`."""
        body = version.body
        if body is None or version.size > PLAIN or version.attributes.encryption.mode == "SSE-C":
            return None
        return self._opener.read_one(body, version.size, container.project_id)

    def read_all(
        self, version: Version, start: int = 0, stop: int | None = None, *, customer_key: bytes | None = None
    ) -> bytes:
        """The same as one bytes value; the caller bounds its size."""
        whole = bytearray()
        for piece in self.read(version, start, stop, customer_key=customer_key):
            whole += piece
        return bytes(whole)

    def _stretches(self, version: Version, start: int, stop: int) -> list[Stretch]:
        tenant = self._lookup.tenant(version.container_id)
        if version.body is not None:
            return [Stretch(version.body, version.size, start, stop, tenant)]
        found, at = [], 0
        for part in version_store.parts(self._db, version.id):
            low, high = max(start - at, 0), min(stop - at, part.size)
            if low < high and part.body is not None:
                found.append(Stretch(part.body, part.size, low, high, tenant))
            at += part.size
        if at != version.size:
            raise Replaced(version.key)
        return found

    def check_customer_key(self, version: Version, customer_key: bytes | None) -> None:
        """For answers without a body: Denied reason `sse_c` unless the key opens the object."""
        if version.attributes.encryption.mode != "SSE-C":
            return
        body = version.body
        if body is None:
            first = version_store.parts(self._db, version.id, 0, 1)
            body = first[0].body if first else None
        if body is not None:
            self._opener.sealer(body, customer_key, True, self._lookup.tenant(version.container_id))

    def read_part(self, version: Version, number: int) -> tuple[Part, int]:
        """A part and the offset of its first byte. A plain object is its own part 1. NotFound reason `part`."""
        if not version.parts and number == 1:
            return Part(1, version.size, version.etag, version.checksum, version.created_us, version.body), 0
        part = version_store.one_part(self._db, version.id, number) if version.parts else None
        if part is None:
            if version.parts and not version_store.parts(self._db, version.id, 0, 1):
                raise Replaced(version.key)
            raise NotFound(f"{version.key!r} has no part {number}", "part", key=version.key)
        return part, version_store.part_start(self._db, version.id, number)

    def parts(self, version: Version, after: int = 0, limit: int = 1000) -> list[Part]:
        """Parts of a multipart object in order of number."""
        return version_store.parts(self._db, version.id, after, limit) if version.parts else []

    def touch_read(self, container: Container, trace: Trace, object_label: str, outcome: str = "success") -> None:
        """Queue the event of a read that no answer names, durable within `read_audit_seconds`: of data of another
        tenant than the answer's. Unavailable reason `audit` when too many wait."""
        self.committer.note(trail.read_event(container, trace, object_label, outcome))

    def place(self, draft: Draft) -> str | None:
        """Queue the event of a read or a refusal, durable within `read_audit_seconds`: what the answer's header
        says, or None when there is no place in stock (`trail.answered`). Unavailable as `touch_read`."""
        return self.committer.place(draft)

    def list_objects(self, container: Container, q: ListQuery) -> Listing:
        """A page of current objects."""
        return listing.objects(self._current(container), q)

    def show_objects(self, container: Container, q: ListQuery, owned: bool) -> ShownListing:
        """The same page with no more than what a listing of S3 shows, with owners or without."""
        return listing.shown(self._current(container), q, owned)

    def _current(self, container: Container) -> listing.Source:
        indexed = self._lookup.state(container).indexed
        return listing.Source(self._db, container.id, indexed, self._clock.now_us())

    def list_versions(self, container: Container, q: VersionQuery) -> Listing:
        """A page of versions and delete markers."""
        with self._db.read() as tx:
            return listing.versions(tx, container.id, q, self._clock.now_us())

    # --- writing

    def precheck(self, container: Container, key: str, conditions: Conditions, length: int | None) -> None:
        """Refuse early what `put` would refuse: conditions and quotas. Evaluated again in the commit."""
        state = self._lookup.state(container)
        limited = any(limit is not None for limit in rules.quotas(state))
        if conditions is NO_CONDITIONS and not limited:
            return
        row = version_store.newest(self._db, container.id, key)
        newest = codec.version(row) if row else None
        current = rules.visible(newest, self._clock.now_us()) if newest else None
        rules.check_put(current, conditions, key)
        if limited:
            used = current.size if current else 0
            rules.check_quota(self._db, state, 0 if current else 1, (length or 0) - used)

    def receive(self, container: Container, body: Readable, want: Receive) -> Stored:
        """Take bytes: hashed, sealed and, beyond 64 KiB, durable. They count once a step commits them."""
        return self._intake.receive(self._lookup.state(container), body, want)

    def receive_small(self, container: Container, data: bytes, algorithm: str, opaque: bool) -> Stored:
        """The same of bytes in memory, 1 to 64 KiB, under the container's own key; one checksum beside MD5."""
        return self._intake.receive_small(self._lookup.state(container), data, algorithm, opaque)

    def discard(self, stored: Stored) -> None:
        """Drop received bytes that no step will use."""
        self._intake.discard(stored)

    def put(
        self,
        container: Container,
        key: str,
        stored: Stored,
        attributes: Attributes,
        conditions: Conditions,
        trace: Trace,
    ) -> Step[Version]:
        """Make received bytes an object. Precondition `if_match`/`if_none_match`, OverQuota, Denied `locked`."""
        record = stored.record
        if record is not None:
            record.owner = placing.record_owner(container.id, key, stored.blob_id)
            record.target = container.id, key
        checksum = next((Checksum(name, value) for name, value in stored.checksums.items()), None)
        small = record is not None or not stored.ref
        kept = conceal(self._tools.keys, stored.kek, stored.blob_id, attributes)

        def work(tx: Tx) -> Version:
            batch = Batch.of(tx)
            placing.claim_file(batch, stored.ref, small)
            body = placing.location(stored)
            draught = Draught(
                stored.blob_id, container.id, key, stored.size, stored.md5, checksum, 0, _owner(trace, container),
                kept, body,
            )  # fmt: skip
            return reveal(self._tools.keys, versions.put(batch, draught, conditions, trace))

        return Step(work, record, Reach.OBJECTS)

    def put_empty(
        self, container: Container, key: str, attributes: Attributes, conditions: Conditions, trace: Trace
    ) -> Step[Version]:
        """An object without bytes."""
        new_id = self._intake.new_id()
        owner = _owner(trace, container)
        draught = Draught(new_id, container.id, key, 0, EMPTY_MD5, None, 0, owner, attributes, None)
        return Step(lambda tx: versions.put(Batch.of(tx), draught, conditions, trace), reach=Reach.OBJECTS)

    def copy(
        self,
        source: CopySource,
        container: Container,
        key: str,
        attributes: Attributes,
        conditions: Conditions,
        trace: Trace,
    ) -> Step[Version]:
        """Copy all bytes under a new data key; they are read and sealed again now, the row is put in the step."""
        version = source.version
        want = Receive(
            length=version.size, max_length=max(version.size, 5 << 30), algorithms=source.algorithms,
            encryption=attributes.encryption, customer_key=source.new_customer_key,
            source_customer_key=source.customer_key,
        )  # fmt: skip
        stored = self.copy_range(version, 0, version.size, container, want)
        return self.put(container, key, stored, attributes, conditions, trace)

    def copy_range(self, source: Version, start: int, stop: int, container: Container, want: Receive) -> Stored:
        """Receive the bytes [start, stop) of another object."""
        pieces = self.read(source, start, stop, customer_key=want.source_customer_key)
        return self.receive(container, Joined(pieces), want)

    def delete(
        self, container: Container, key: str, version_id: str | None, options: DeleteOptions, trace: Trace
    ) -> Step[DeleteResult]:
        """Delete a version, or the key as its container's versioning says. Denied reason `locked`."""
        marker_id = self._intake.new_id()

        def work(tx: Tx) -> DeleteResult:
            batch = Batch.of(tx)
            result = versions.delete(batch, container.id, key, version_id, options, marker_id)
            shown = result.version or result.marker
            label = trail.label(container, key, shown.shown_id if shown else version_id)
            batch.drafts.append(trail.event(container, trace, label))
            return result

        return Step(work, reach=Reach.OBJECTS)

    def change_object(self, version: Version, change: versions.Change, trace: Trace) -> Step[Version]:
        """Change metadata, tags, ACL, lock or expiry of one version. NotFound reason `version`. A function gives the
        change of the version that it gets: this one, or what has replaced it; reason `object` when nothing has."""
        return Step(lambda tx: versions.change(Batch.of(tx), version, change, trace), reach=Reach.OBJECTS)

    # --- multipart

    def create_upload(
        self,
        container: Container,
        key: str,
        attributes: Attributes,
        checksum_algorithm: str | None,
        checksum_kind: str | None,
        trace: Trace,
    ) -> Step[Upload]:
        """Begin an upload; its version id is reserved now."""
        version_id = self._intake.new_id()
        initiator = trace.actor.project_id or "" if trace.actor else ""
        upload = Upload(
            self._tools.ids.hex(), container.id, key, version_id, _owner(trace, container), initiator,
            self._clock.now_us(), attributes, checksum_algorithm, checksum_kind,
        )  # fmt: skip
        if attributes.encryption.customer_key_md5 is None:
            return Step(lambda tx: uploads.create(Batch.of(tx), upload, trace), reach=Reach.OBJECTS)
        keys, kek = self._tools.keys, self._lookup.state(container).kek
        kept = dataclasses.replace(upload, attributes=conceal(keys, kek, version_id, attributes))
        return Step(lambda tx: reveal_upload(keys, uploads.create(Batch.of(tx), kept, trace)), reach=Reach.OBJECTS)

    def upload(self, container: Container, key: str, upload_id: str) -> Upload:
        """NotFound reason `upload`; of a completed one detail `completed` holds the version (or None)."""
        found = upload_store.get(self._db, container.id, key, upload_id)
        if found is None:
            raise uploads.no_upload(upload_id)
        if found[1] is not None:
            done = version_store.by_internal_id(self._db, container.id, key, found[0].version_id)
            error = uploads.no_upload(upload_id)
            error.detail["completed"] = reveal(self._tools.keys, done[0]) if done else None
            error.detail["upload"] = reveal_upload(self._tools.keys, found[0])
            raise error
        return reveal_upload(self._tools.keys, found[0])

    def put_part(self, upload: Upload, number: int, stored: Stored, trace: Trace) -> Step[Part]:
        """Make received bytes a part; the last to finish of a number wins."""
        if stored.record is not None:
            stored.record.owner = placing.part_owner(upload.version_id, number, stored.blob_id)
        return Step(
            lambda tx: uploads.put_part(Batch.of(tx), upload, number, stored, trace), stored.record, Reach.OBJECTS
        )

    def list_parts(self, upload: Upload, after: int = 0, limit: int = 1000) -> list[Part]:
        """Parts so far, in order of number."""
        return version_store.parts(self._db, upload.version_id, after, limit)

    def list_uploads(
        self, container: Container, prefix: str, delimiter: str, key_marker: str, id_marker: str, limit: int
    ) -> UploadListing:
        """A page of unfinished uploads."""
        query = ListQuery(prefix, delimiter, key_marker, "", limit)
        return listing.uploads(self._db, container.id, query, id_marker)

    def complete_upload(
        self, upload: Upload, parts: uploads.PartList, conditions: Conditions, expected: Expected, trace: Trace
    ) -> Step[Version]:
        """Make the object of the listed parts; moves no bytes and may be repeated."""
        keys = self._tools.keys
        return Step(
            lambda tx: reveal(keys, uploads.complete(Batch.of(tx), upload, parts, conditions, expected, trace)),
            reach=Reach.OBJECTS,
        )

    def abort_upload(self, upload: Upload, trace: Trace) -> Step[None]:
        """Give an upload up."""
        return Step(lambda tx: uploads.abort(Batch.of(tx), upload, trace), reach=Reach.OBJECTS)


def _refuse_hidden(name: str) -> None:
    if name.startswith(HIDDEN):
        raise Invalid(f"{name!r} is no name for a container: it begins with {HIDDEN!r}", "bucket_name")


def _owner(trace: Trace, container: Container) -> str:
    """Who owns what is stored: in S3 the caller's project; else, and for anonymous callers, the container's owner."""
    if trace.owner_id is not None:
        return trace.owner_id
    if trace.door == "s3" and trace.actor is not None and trace.actor.project_id:
        return trace.actor.project_id
    return container.owner_id


def _absent(key: str, version_id: str | None) -> NotFound:
    if version_id is None:
        return NotFound(f"there is no object {key!r}", "object", key=key, marker=None)
    return NotFound(f"there is no version {version_id!r} of {key!r}", "version", key=key)


__all__ = ["REPEAT_SECONDS", "Objects", "SmallRecord", "State", "Step", "Tools"]
