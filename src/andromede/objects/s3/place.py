"""What a request names: the bucket, the key, the query. Paths are decoded once and never normalised."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from andromede.config import Config
from andromede.errors import Invalid
from andromede.web.stream.message import Request

KEY_BYTES = 1024
RESERVED_BUCKETS = frozenset(("info", "v1.0", "healthcheck", "crossdomain.xml"))
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/")


@dataclass(frozen=True, slots=True)
class Place:
    """`project`: None for the caller's own project first, "" for the global table only, else a project id.
    `host_bucket`: the bucket's name came from the host, so that signatures cover the path alone."""

    bucket: str | None
    key: str | None
    project: str | None = None
    website: bool = False
    host_bucket: bool = False

    @property
    def on(self) -> str:
        """The row group of the operation table."""
        if self.website:
            return "website"
        if self.bucket is None:
            return "service"
        return "bucket" if self.key is None else "object"


def decoded(raw: bytes, what: str = "the path") -> str:
    """Percent-decoded UTF-8. Raises `Invalid` (400 InvalidURI) for anything else and for NUL."""
    try:
        text = (unquote_to_bytes(raw) if b"%" in raw else raw).decode()
    except UnicodeDecodeError as error:
        raise bad_uri(f"{what} is not percent-encoded UTF-8; encode it again") from error
    if "\0" in text:
        raise bad_uri(f"{what} holds a NUL character, which no name may")
    return text


def bad_uri(why: str) -> Invalid:
    """400 InvalidURI, with the message that clients know it by."""
    return Invalid("Couldn't parse the specified URI.", "invalid_uri", fields={"Reason": why})


def host_name(request: Request) -> str:
    """The host that the request names, in lower case, without a port."""
    host = (request.headers.get("host") or "").lower()
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host


def locate(request: Request, config: Config) -> Place:
    """Find bucket and key. The host decides first: `<bucket>.<domain>` for each configured domain."""
    path = decoded(request.path)
    settings = config.objects
    if settings.s3_domains or settings.website_domains:
        name = host_name(request)
        for domain in settings.website_domains:
            if name.endswith("." + domain.lower()):
                return Place(name[: -len(domain) - 1], path[1:] or None, "", website=True, host_bucket=True)
        for domain in settings.s3_domains:
            if name.endswith("." + domain.lower()):
                return Place(name[: -len(domain) - 1], checked_key(path[1:]) or None, host_bucket=True)
    bucket, slash, key = path[1:].partition("/")
    if not bucket:
        if slash:
            raise Invalid("the path has no bucket name before the key", "bucket_name")
        return Place(None, None)
    project: str | None = None
    if ":" in bucket:
        project, _, bucket = bucket.partition(":")
    return Place(bucket, checked_key(key) or None, project)


def checked_key(key: str) -> str:
    """Raises `Invalid` for a key beyond 1024 bytes, or with C1 control characters, which no XML tool shows
    faithfully."""
    if len(key) > KEY_BYTES or (not key.isascii() and len(key.encode()) > KEY_BYTES):
        raise Invalid(f"the key is longer than {KEY_BYTES} bytes of UTF-8", "key_too_long")
    if not key.isascii() and not key.isprintable() and any("\x80" <= char <= "\x9f" for char in key):
        raise bad_uri("the key holds a control character between U+0080 and U+009F; choose another")
    return key


def parse_query(raw: bytes) -> dict[str, str]:
    """Decoded parameters; the first of a repeated name counts. Raises `Invalid` for bad encoding."""
    if not raw:
        return {}
    found: dict[str, str] = {}
    for pair in raw.split(b"&"):
        if not pair:
            continue
        name, _, value = pair.partition(b"=")
        found.setdefault(plus(name), plus(value))
    return found


def plus(raw: bytes) -> str:
    """One query component: "+" is a space."""
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" not in raw and raw.isascii():
        return raw.decode()
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise bad_uri("the query is not percent-encoded UTF-8; encode it again") from error


def valid_bucket_name(name: str) -> bool:
    """S3's rules for names (user guide, "Bucket naming rules")."""
    if not 3 <= len(name) <= 63 or not name.isascii() or name in RESERVED_BUCKETS:
        return False
    if name.strip("abcdefghijklmnopqrstuvwxyz0123456789-.") or name[0] in "-." or name[-1] in "-.":
        return False
    labels = name.split(".")
    if "" in labels or any(label[0] == "-" or label[-1] == "-" for label in labels):
        return False
    if name.startswith("xn--"):
        return False
    return not (len(labels) == 4 and all(label.isdigit() for label in labels))
