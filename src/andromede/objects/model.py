"""The object model that both dialects share: values only, no behaviour beyond derivations.

Values are frozen dataclasses, except the few that every request or listing entry makes: `Version`, `Part`,
`Location`, `Checksum`, `Stored` and `Trace` are msgspec structs, made seven times faster
(`msgspec.structs.replace` alters one).

A Swift container is an S3 bucket of the same project. Keys and names are `str`; their order is code
point order, which equals the byte order of their UTF-8. Times are integer microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

import msgspec

from andromede.db import Row
from andromede.web.actor import ANONYMOUS_LABEL, Actor


class Versioning(StrEnum):
    """State of a container's versioning."""

    OFF = "off"
    ENABLED = "enabled"
    SUSPENDED = "suspended"


class Kind(StrEnum):
    """What a version row stands for."""

    DATA = "data"
    MARKER = "marker"
    SYMLINK = "symlink"
    SLO = "slo"
    DLO = "dlo"


@dataclass(frozen=True, slots=True)
class Container:
    """A container (bucket). `generation` rises with every change but the counters.

    `metadata`: Swift `X-Container-Meta-*` (lower-case names without the prefix).
    `settings`: what Swift keeps in other headers (read and write ACL, versions location, web, quota, ...),
    lower-case header names. `documents`: S3 sub-resources as given (`policy`, `cors`, `lifecycle`,
    `website`, `logging`, `encryption`, `ownership`, `public_access_block`, `tagging`, `acl`, `lock`, ...).
    `s3_name`: the installation-wide name, None when the container has none.
    """

    id: int
    project_id: str
    name: str
    s3_name: str | None
    owner_id: str
    created_us: int
    generation: int
    versioning: Versioning
    lock_enabled: bool
    metadata: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, bytes] = field(default_factory=dict)


ETAG_SETTING, OPAQUE = "x-container-etag", "opaque"
"""The setting of a container whose S3 uploads get ETags that are no MD5 (docs/decisions/0016)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters, exact at every commit. `objects` and `bytes` count current, visible objects."""

    objects: int
    bytes: int


class Checksum(msgspec.Struct, frozen=True, gc=False):
    """An S3 checksum. `algorithm`: CRC32, CRC32C, CRC64NVME, SHA1, SHA256. `value`: base64 (composite
    ones end in `-N`). `kind`: FULL_OBJECT or COMPOSITE."""

    algorithm: str
    value: str
    kind: str = "FULL_OBJECT"


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a version's data key is protected beyond the platform's default.

    `mode`: `default` (nothing asked), `AES256` (SSE-S3), `aws:kms` (with `key_id`), `SSE-C` (with
    `customer_key_md5`, base64). Bytes are sealed in every mode."""

    mode: str = "default"
    key_id: str | None = None
    customer_key_md5: str | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """Object lock of one version. `mode`: GOVERNANCE, COMPLIANCE or None."""

    mode: str | None = None
    until_us: int | None = None
    legal_hold: bool = False


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a client says of an object besides its bytes.

    `headers`: Cache-Control, Content-Disposition, Content-Encoding, Content-Language, Expires, X-Robots-Tag,
    by lower-case name. `metadata`: user metadata, lower-case names without prefix, values as received
    (latin-1 text of the raw bytes). `settings`: Swift's own system values (`x-object-manifest`,
    `x-symlink-target`, ...). `website_redirect` and the like live in `settings` too.
    """

    content_type: str = "binary/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    acl: bytes | None = None
    lock: Lock = Lock()
    storage_class: str = "STANDARD"
    delete_at_us: int | None = None
    encryption: Encryption = Encryption()
    kind: Kind = Kind.DATA


class Location(msgspec.Struct, frozen=True, gc=False):
    """Where sealed bytes are and what opens them: engine reference, identifier bound into every frame,
    the key that wraps the data key, and the wrapped data key."""

    blob_id: str
    ref: str
    kek: str
    wrapped: bytes


class Part(msgspec.Struct, frozen=True):
    """A part of an upload or of a finished multipart object. `etag` is bare MD5 hex."""

    number: int
    size: int
    etag: str
    checksum: Checksum | None
    created_us: int
    body: Location | None = None


class Version(msgspec.Struct, frozen=True):
    """One version of one key. `id` is unique and internal; clients see `shown_id`.

    `etag` is bare (`md5hex`, `md5hex-N`, or an opaque `<hex>-0`). `parts` is the count of multipart parts, 0 otherwise.
    `seq` orders the versions of a key: higher is newer."""

    id: str
    container_id: int
    key: str
    seq: int
    is_null: bool
    is_latest: bool
    size: int
    etag: str
    checksum: Checksum | None
    parts: int
    owner_id: str
    created_us: int
    attributes: Attributes
    body: Location | None = None

    @property
    def kind(self) -> Kind:
        """Data, marker, symlink or manifest."""
        return self.attributes.kind

    @property
    def shown_id(self) -> str:
        """The version id that clients see."""
        return "null" if self.is_null else self.id

    @property
    def is_marker(self) -> bool:
        """A delete marker."""
        return self.attributes.kind is Kind.MARKER


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload in progress. `version_id` is reserved for the object that it becomes."""

    id: str
    container_id: int
    key: str
    version_id: str
    owner_id: str
    initiator_id: str
    created_us: int
    attributes: Attributes
    checksum_algorithm: str | None
    checksum_kind: str | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions of a write, checked before the body and again in the commit.

    `if_match` / `if_none_match`: the raw header ("*" or a list of quoted ETags), None when absent."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_match_last_modified_us: int | None = None
    if_match_size: int | None = None


NO_CONDITIONS = Conditions()


class Trace(msgspec.Struct, frozen=True):
    """Who does what in which request: becomes the audit event of the operation. `owner_id`: the project that
    owns what is stored, where it is not the actor's own (S3 object ownership)."""

    actor: Actor | None
    action: str
    request_id: str
    door: str = "s3"
    purpose: str = "CUSTOMER_ACCESS"
    label: str | None = None
    owner_id: str | None = None
    """The project that will own what is written, where the container's rules name another than the caller's."""

    @property
    def actor_label(self) -> str:
        """The `actor` of the audit event."""
        if self.label is not None:
            return self.label
        return self.actor.label() if self.actor else ANONYMOUS_LABEL


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A listing of current objects. `after` is exclusive (S3 marker, start-after, Swift marker);
    `before` is exclusive (Swift end_marker). With `reverse` the order is descending and the two
    keep their meaning as bounds in that order (after = larger). `inside`: an `after` within a common prefix
    does not hide that prefix, unless it is that very prefix (Swift; S3 hides it)."""

    prefix: str = ""
    delimiter: str = ""
    after: str = ""
    before: str = ""
    limit: int = 1000
    reverse: bool = False
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A page. `entries` mixes versions and common prefixes in order; `last` is the name to continue
    after (a key or a common prefix); `truncated` says whether anything follows."""

    entries: tuple[Version | str, ...]
    truncated: bool
    last: str


@dataclass(frozen=True, slots=True)
class ShownListing:
    """The same in the form of the hot path: an object is a row of `listing_store.SHOWN`."""

    entries: Sequence[Row | str]
    truncated: bool
    last: str


@dataclass(frozen=True, slots=True)
class VersionQuery:
    """A listing of versions, newest first within a key. `after_key` with `after_id` (a shown id)
    continues inside that key; `after_key` alone continues behind it."""

    prefix: str = ""
    delimiter: str = ""
    after_key: str = ""
    after_id: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """What a delete did: `version` was removed, or `marker` was laid over the key; both None: absent."""

    version: Version | None
    marker: Version | None


class Unset(Enum):
    """`UNSET` in a change means: keep what is there."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Account:
    """A Swift account, which is a project. `exists` is False until something is stored about it.

    `settings`: `quota-bytes`, `quota-count`, and whatever the Swift door keeps; lower-case names.
    `metadata`: `X-Account-Meta-*` without the prefix, lower-case names."""

    project_id: str
    exists: bool
    generation: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountUsage:
    """Sums over an account's containers, exact at every commit."""

    containers: int
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ContainerListing:
    """A page of containers with their counters; fields as in `Listing`."""

    entries: tuple[tuple[Container, Usage] | str, ...]
    truncated: bool
    last: str


HIDDEN = "/"
"""First sign of the names of containers that other services keep for a project. No name of a client's container holds
it: Swift and S3 neither list nor reach them, and they count in no account."""


@dataclass(frozen=True, slots=True)
class NewContainer:
    """What to create. `want_s3_name`: `must` (else Conflict `bucket_taken`), `may` (if well-formed and
    free) or `no`; the caller checks the form of the name."""

    project_id: str
    name: str
    owner_id: str
    want_s3_name: str = "must"
    metadata: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, bytes] = field(default_factory=dict)
    versioning: Versioning = Versioning.OFF
    lock_enabled: bool = False


@dataclass(frozen=True, slots=True)
class ContainerChange:
    """Merged into what is there; a None value removes the name."""

    metadata: Mapping[str, str | None] = field(default_factory=dict)
    settings: Mapping[str, str | None] = field(default_factory=dict)
    documents: Mapping[str, bytes | None] = field(default_factory=dict)
    versioning: Versioning | None = None
    lock_enabled: bool | None = None
    owner_id: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """New values of one version's mutable attributes; `UNSET` keeps the old one.

    `bypass_governance`: the caller has the right and asked for it; needed to weaken a GOVERNANCE lock."""

    metadata: Mapping[str, str] | Unset = UNSET
    headers: Mapping[str, str] | Unset = UNSET
    settings: Mapping[str, str] | Unset = UNSET
    content_type: str | Unset = UNSET
    delete_at_us: int | Unset | None = UNSET
    tags: Mapping[str, str] | Unset = UNSET
    acl: bytes | Unset | None = UNSET
    lock: Lock | Unset = UNSET
    touched: bool = False
    """The change counts as a new modification time (Swift POST)."""
    bypass_governance: bool = False


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete. `bypass_governance` as in `ObjectChange`."""

    conditions: Conditions = NO_CONDITIONS
    bypass_governance: bool = False


class Readable(Protocol):
    """Where bytes come from: fills the view unless the body ends; 0 at the end."""

    def readinto(self, view: memoryview, /) -> int: ...


class SmallRecord:
    """Sealed bytes that go to the segment log with the group commit. `extent` is known once durable. `target`: the
    (container id, key) that an object is put over, so that the rows there can be read for a whole batch at once."""

    __slots__ = ("data", "extent", "owner", "target")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.owner = b""
        self.extent = ""
        self.target: tuple[int, str] | None = None


class Stored(msgspec.Struct, frozen=True):
    """Bytes received, hashed, sealed and (beyond 64 KiB) durable, not yet part of any object.

    `md5` is hex (or an opaque ETag, which is no hex MD5), `checksums` maps algorithm names to base64 values.
    The rest belongs to the core."""

    size: int
    md5: str
    checksums: Mapping[str, str]
    blob_id: str
    kek: str
    wrapped: bytes
    ref: str = ""
    record: SmallRecord | None = None


@dataclass(frozen=True, slots=True)
class Receive:
    """How to take a body. `length`: as declared, None when unknown; a body of another length is
    refused. `algorithms`: checksums to compute beside MD5. `verify` sees the result before it counts;
    when it raises, the bytes are dropped. `source_customer_key`: of the object that is being copied. `opaque`: no
    MD5 is promised, nor computed; the ETag is one of these bytes' own."""

    length: int | None = None
    max_length: int = 5 << 30
    algorithms: tuple[str, ...] = ()
    encryption: Encryption = Encryption()
    customer_key: bytes | None = field(default=None, repr=False)
    verify: Callable[[Stored], None] | None = None
    source_customer_key: bytes | None = field(default=None, repr=False)
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class CopySource:
    """What to copy, with the customer keys of source and target where they are SSE-C.
    `algorithms`: checksums to compute for the new object; the first becomes its checksum."""

    version: Version
    customer_key: bytes | None = field(default=None, repr=False)
    new_customer_key: bytes | None = field(default=None, repr=False)
    algorithms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UploadListing:
    """A page of uploads in order of (key, id), mixed with common prefixes."""

    entries: tuple[Upload | str, ...]
    truncated: bool
    last_key: str
    last_id: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What the client says a finished multipart object will be."""

    checksum: Checksum | None = None
    size: int | None = None
