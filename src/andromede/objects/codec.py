"""Rows to values and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from andromede.db import Row
from andromede.errors import Fatal
from andromede.objects.model import (
    Account,
    Attributes,
    Checksum,
    Container,
    Encryption,
    Kind,
    Location,
    Lock,
    Part,
    Upload,
    Version,
    Versioning,
)

_EMPTY: dict[str, str] = {}
_NO_LOCK = Lock()
_NO_ENCRYPTION = Encryption()
_NOWHERE = Location("", "", "", b"")
_KINDS = {str(kind): kind for kind in Kind}


class Wide(msgspec.Struct, omit_defaults=True):
    """What a version row keeps as JSON: rarely all of it, so defaults are left out."""

    h: Mapping[str, str] = {}
    m: Mapping[str, str] = {}
    s: Mapping[str, str] = {}
    t: Mapping[str, str] = {}
    acl: str | None = None
    lock_mode: str | None = None
    lock_until: int | None = None
    hold: bool = False
    cls: str = "STANDARD"
    enc: str = "default"
    enc_key: str | None = None
    enc_md5: str | None = None


_encode = msgspec.json.Encoder().encode
_decode_wide = msgspec.json.Decoder(Wide).decode
_decode_map = msgspec.json.Decoder(dict[str, str]).decode

VERSION_COLUMNS = (
    "container_id, key, seq, id, is_null, listed, kind, size, etag, checksum, parts, owner_id, created, delete_at, "
    "content_type, wide, blob_id, ref, kek, wrapped"
)
PART_COLUMNS = "number, size, etag, checksum, created, blob_id, ref, kek, wrapped"
UPLOAD_COLUMNS = (
    "container_id, key, id, version_id, owner_id, initiator_id, created, completed, algorithm, kind, content_type, wide"
)
CONTAINER_COLUMNS = (
    "id, project_id, name, s3_name, owner_id, created, generation, versioning, lock_enabled, indexed, kek, "
    "metadata, settings, documents"
)


def pack_map(values: Mapping[str, str]) -> str:
    """A name-value map as JSON text."""
    return _encode(values).decode() if values else ""


def unpack_map(text: str) -> dict[str, str]:
    """Read `pack_map` back."""
    return _decode_map(text) if text else _EMPTY


def pack_documents(documents: Mapping[str, bytes]) -> str:
    """Documents as JSON text of base64 values."""
    return pack_map({name: base64.b64encode(value).decode() for name, value in documents.items()})


def _plain(a: Attributes) -> bool:
    lock = a.lock
    unlocked = lock.mode is None and not lock.legal_hold
    return unlocked and a.storage_class == "STANDARD" and a.encryption.mode == "default"


def pack_wide(a: Attributes) -> str:
    """The JSON column of a version or upload."""
    lock, enc = a.lock, a.encryption
    if a.acl is None and not a.metadata and not a.headers and not a.settings and not a.tags and _plain(a):
        return "{}"
    wide = Wide(
        a.headers, a.metadata, a.settings, a.tags,
        None if a.acl is None else base64.b64encode(a.acl).decode(),
        lock.mode, lock.until_us, lock.legal_hold, a.storage_class, enc.mode, enc.key_id, enc.customer_key_md5,
    )  # fmt: skip
    return _encode(wide).decode()


@lru_cache(maxsize=8192)
def unpack_wide(text: str, content_type: str, kind: str, delete_at: int | None) -> Attributes:
    """Read `pack_wide` back, with the attributes that have columns of their own. Values are never changed,
    and many objects share theirs: equal ones are made once. Raises `Fatal` reason `damage`."""
    try:
        return _attributes(_decode_wide(text), content_type, _KINDS[kind], delete_at)
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        told = f"the row of an object is damaged: {kind!r} {text[:200]!r} does not read; restore it from a backup"
        raise Fatal(told, "damage", cause=repr(error)) from error


def _attributes(w: Wide, content_type: str, kind: Kind, delete_at: int | None) -> Attributes:
    lock = Lock(w.lock_mode, w.lock_until, w.hold) if w.lock_mode or w.hold else _NO_LOCK
    enc = _NO_ENCRYPTION if w.enc == "default" else Encryption(w.enc, w.enc_key, w.enc_md5)
    acl = None if w.acl is None else base64.b64decode(w.acl)
    return Attributes(content_type, w.h, w.m, w.s, w.t, acl, lock, w.cls, delete_at, enc, kind)


def pack_checksum(checksum: Checksum | None) -> str | None:
    """`algorithm value kind`."""
    return None if checksum is None else f"{checksum.algorithm} {checksum.value} {checksum.kind}"


def unpack_checksum(text: str | None) -> Checksum | None:
    """Read `pack_checksum` back."""
    return None if text is None else Checksum(*text.split(" "))


def version_row(v: Version, listed: int) -> tuple[Any, ...]:
    """The values of VERSION_COLUMNS."""
    a, b = v.attributes, v.body or _NOWHERE
    return (
        v.container_id, v.key, v.seq, v.id, 1 if v.is_null else 0, listed, str(a.kind),
        v.size, v.etag, pack_checksum(v.checksum), v.parts, v.owner_id, v.created_us, a.delete_at_us, a.content_type,
        pack_wide(a), b.blob_id, b.ref, b.kek, b.wrapped,
    )  # fmt: skip


def version(row: Row) -> Version:
    """A version from VERSION_COLUMNS."""
    (cid, key, seq, vid, is_null, listed, kind, size, etag, check, parts, owner, created, delete_at, ctype, wide,
     blob_id, ref, kek, wrapped) = row[:20]  # fmt: skip
    body = Location(blob_id, ref, kek, wrapped) if blob_id else None
    attributes = unpack_wide(wide, ctype, kind, delete_at)
    found = None if check is None else unpack_checksum(check)
    return Version(
        vid, cid, key, seq, is_null == 1, listed > 0, size, etag, found, parts, owner, created, attributes, body
    )


def part(row: Row) -> Part:
    """A part from PART_COLUMNS."""
    number, size, etag, check, created, blob_id, ref, kek, wrapped = row
    return Part(number, size, etag, unpack_checksum(check), created, Location(blob_id, ref, kek, wrapped))


def upload(row: Row) -> Upload:
    """An upload from UPLOAD_COLUMNS."""
    cid, key, uid, version_id, owner, initiator, created, _, algorithm, kind, ctype, wide = row
    attributes = unpack_wide(wide, ctype, str(Kind.DATA), None)
    return Upload(uid, cid, key, version_id, owner, initiator, created, attributes, algorithm, kind)


def container(row: Row) -> Container:
    """A container from CONTAINER_COLUMNS (`indexed` and `kek` are the core's own)."""
    documents = {name: base64.b64decode(value) for name, value in unpack_map(row[13]).items()}
    return Container(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], Versioning(row[7]), row[8] == 1,
        unpack_map(row[11]), unpack_map(row[12]), documents,
    )  # fmt: skip


def account(row: Row) -> Account:
    """An account from (project_id, generation, metadata, settings)."""
    return Account(row[0], True, row[1], unpack_map(row[2]), unpack_map(row[3]))
