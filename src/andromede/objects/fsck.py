"""Proof that an installation is whole: rows against bytes, counters, keys, audit numbers, the database.

Runs beside a working installation: what changes meanwhile is looked at again before it is called wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from andromede.audit import store as audit_store
from andromede.clock import SystemClock
from andromede.db import Database
from andromede.errors import Error
from andromede.keys import KeyRing, State, sealed
from andromede.log import Log
from andromede.objects import codec, fsck_store, garbage_store
from andromede.objects.blobs import BlobEngine, BlobInfo, Extent, is_log
from andromede.objects.buffers import BufferPool
from andromede.objects.frames import sealed_size
from andromede.objects.model import Location, Version
from andromede.objects.outflow import Opener, Stretch

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong (`severity` error) or worth knowing (`notice`: collected or healed by itself).

    `kind`: database, counter, missing, length, reference, damage, key, audit, orphan, listing; the ledger's
    own check adds ledger."""

    severity: str
    kind: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look at. `deep` also decrypts and hashes every body; `step` is called once per version and part."""

    db: Database
    engine: BlobEngine
    keys: KeyRing
    deep: bool = False
    step: Callable[[], None] = lambda: None


def fsck(
    db: Database, engine: BlobEngine, keys: KeyRing, deep: bool = False, step: Callable[[], None] = lambda: None
) -> list[Finding]:
    """Every finding; empty when all is well."""
    scope = Scope(db, engine, keys, deep, step)
    found = [Finding("error", "database", "database", text) for text in db.check()]
    blobs = {info.name: info for info in engine.listing()}
    found += _audit(db)
    found += _keys(scope)
    found += _foreign(db)
    found += _counters(db)
    found += _listed(db)
    found += _versions(scope, blobs)
    found += _parts(scope, blobs)
    found += _orphans(db, blobs)
    return found


def _audit(db: Database) -> Iterator[Finding]:
    with db.read() as tx:
        for source, low, high, count in audit_store.gaps(tx):
            text = f"events {low} to {high} are {count} in number: some are missing"
            yield Finding("error", "audit", str(source), text)


def _keys(scope: Scope) -> Iterator[Finding]:
    for key in scope.keys.list():
        if key.state is not State.ACTIVE:
            continue
        try:
            scope.keys.newest(key.id)
        except Error as error:
            yield Finding("error", "key", key.id, error.public)
    with scope.db.read() as tx:
        for name, problem in sealed.check(tx, scope.keys):
            yield Finding("error", "key", name, problem)


def _foreign(db: Database) -> Iterator[Finding]:
    with db.read() as tx:
        for what, key_id in fsck_store.foreign_keys(tx):
            yield Finding("error", "key", what, f"stands under key {key_id} of another project; it is not opened")


def _counters(db: Database) -> Iterator[Finding]:
    with db.read() as tx:
        for container_id, objects, size, real_objects, real_size in fsck_store.counters(tx):
            text = f"counters say {objects} objects, {size} bytes; there are {real_objects}, {real_size}"
            yield Finding("error", "counter", f"container {container_id}", text)
        for project_id, *sums in fsck_store.accounts(tx):
            text = "sums say {} containers, {} objects, {} bytes; there are {}, {}, {}".format(*sums)
            yield Finding("error", "counter", f"account {project_id}", text)


def _listed(db: Database) -> Iterator[Finding]:
    with db.read() as tx:
        for container_id, key in fsck_store.wrongly_listed(tx):
            text = "not exactly one version is marked as the newest, or it is not the newest"
            yield Finding("error", "listing", f"container {container_id} {key!r}", text)


def _versions(scope: Scope, blobs: dict[str, BlobInfo]) -> Iterator[Finding]:
    at = (0, "", -1)
    while rows := fsck_store.versions(scope.db, at, PAGE):
        for row in rows:
            scope.step()
            at = (row[0], row[1], row[2])
            subject = f"container {row[0]} {row[1]!r} version {row[3]}"
            try:
                version = codec.version(row)
            except Error as error:
                yield Finding("error", "damage", subject, error.public)
                continue
            if version.parts:
                count, size = fsck_store.part_sums(scope.db, version.id)
                if (count, size) != (version.parts, version.size) and _still(scope.db, version):
                    text = f"{version.parts} parts of {version.size} bytes expected, {count} of {size} found"
                    yield Finding("error", "reference", subject, text)
            elif version.body is not None and version.size:
                told = version.attributes.encryption.mode != "SSE-C" and "-" not in version.etag  # else it is no MD5
                md5 = version.etag if told else ""
                for finding in _body(scope, blobs, subject, version.body, (version.size, md5)):
                    if _still(scope.db, version):
                        yield finding


def _still(db: Database, version: Version) -> bool:
    return fsck_store.still_there(db, version.container_id, version.key, version.seq)


def _parts(scope: Scope, blobs: dict[str, BlobInfo]) -> Iterator[Finding]:
    at = ("", -1)
    while rows := fsck_store.parts(scope.db, at, PAGE):
        for row in rows:
            scope.step()
            at = (row[0], row[1])
            part = codec.part(row[1:])
            subject = f"part {part.number} of {row[0]}"
            if part.body is not None and part.size:
                for finding in _body(scope, blobs, subject, part.body, (part.size, "")):
                    if fsck_store.part_still_there(scope.db, at):
                        yield finding


def _body(
    scope: Scope, blobs: dict[str, BlobInfo], subject: str, body: Location, expected: tuple[int, str]
) -> Iterator[Finding]:
    size, md5 = expected
    try:
        extent = Extent.parse(body.ref)
    except Error as error:
        yield Finding("error", "reference", subject, error.public)
        return
    if extent.length != sealed_size(size):
        text = f"{extent.length} sealed bytes cannot be {size} bytes of plaintext"
        yield Finding("error", "length", subject, text)
        return
    info = blobs.get(extent.name)
    if info is None:
        try:
            scope.engine.open(extent).close()  # written after the listing was taken?
        except Error as error:
            yield Finding("error", "missing", subject, error.public)
            return
    elif info.sealed and info.size < extent.offset + extent.length:
        yield Finding("error", "length", subject, f"{extent.name} has {info.size} bytes, too few for {body.ref}")
        return
    if not is_log(extent.name) and not garbage_store.has_file(scope.db, extent.name):
        yield Finding("error", "reference", subject, f"{extent.name} is in use but not in the table of files")
    try:
        if scope.deep:
            yield from _opened(scope, subject, body, size, md5)
        elif body.wrapped:
            scope.keys.open_data_key(body.kek, body.blob_id, body.wrapped)
    except Error as error:
        severity = "notice" if error.reason in ("kms_disabled", "kms_destroyed", "sse_c") else "error"
        yield Finding(severity, "damage" if error.kind == "fatal" else "key", subject, error.public)


def _opened(scope: Scope, subject: str, body: Location, size: int, md5: str) -> Iterator[Finding]:
    if len(body.wrapped) > fsck_store.PLAIN_WRAPPED:
        scope.keys.open_data_key(body.kek, body.blob_id, body.wrapped)  # sealed for a customer: no further
        return
    digest = hashlib.md5(usedforsecurity=False)
    opener = Opener(scope.engine, scope.keys, BufferPool(1), SystemClock(), Log(level="error"))
    for piece in opener.read([Stretch(body, size, 0, size)], None, False):
        digest.update(piece)
    if md5 and digest.hexdigest() != md5:
        yield Finding("error", "damage", subject, f"the bytes have the MD5 {digest.hexdigest()}, the row says {md5}")


def _orphans(db: Database, blobs: dict[str, BlobInfo]) -> Iterator[Finding]:
    known = garbage_store.files(db)
    for info in blobs.values():
        if not info.is_log and info.name not in known:
            text = f"{info.size} bytes that no row refers to; the collector removes them when they are old enough"
            yield Finding("notice", "orphan", info.name, text)
    for name in sorted(known - blobs.keys()):
        if not garbage_store.waits(db, name) and fsck_store.file_in_use(db, name):
            yield Finding("error", "missing", name, "the file is in use and not there")
