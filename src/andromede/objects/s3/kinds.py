"""Which kinds of header a request carries, found in one pass, so that a plain request asks for none of them; and
which every answer carries."""

from __future__ import annotations

from andromede.web.stream.message import Headers

ACL, SSE, LOCK, CHECKSUM, CONDITION, STORED, META, OTHER, RANGE, TOKEN, COPY = (1 << n for n in range(11))
ALL = (1 << 11) - 1

_NAMES = {
    "if-match": CONDITION,
    "if-none-match": CONDITION,
    "if-modified-since": CONDITION,
    "if-unmodified-since": CONDITION,
    "range": RANGE,
    "cache-control": STORED,
    "content-disposition": STORED,
    "content-encoding": STORED,
    "content-language": STORED,
    "expires": STORED,
    "content-md5": CHECKSUM,
    "x-amz-trailer": CHECKSUM,
    "x-amz-sdk-checksum-algorithm": CHECKSUM,
    "x-amz-acl": ACL,
    "x-amz-security-token": TOKEN,
    "x-amz-date": 0,
    "x-amz-content-sha256": 0,
    "x-amz-decoded-content-length": 0,
    "x-amz-user-agent": 0,
}
_KNOWN = {name.encode(): kind for name, kind in _NAMES.items()}
_PREFIXES = (
    (b"x-amz-meta-", META),
    (b"x-amz-checksum-", CHECKSUM),
    (b"x-amz-server-side-encryption", SSE),
    (b"x-amz-copy-source-server-side", SSE | COPY),
    (b"x-amz-copy-source", COPY),
    (b"x-amz-object-lock-", LOCK),
    (b"x-amz-bypass-", LOCK),
    (b"x-amz-grant-", ACL),
    (b"x-amz-if-match-", CONDITION),
)


def kinds_of(headers: Headers) -> int:
    """The union of the kinds; `OTHER` for any further `x-amz-` header."""
    found = 0
    for name, _ in headers.raw:
        kind = _KNOWN.get(name)
        if kind is not None:
            found |= kind
        elif name[:6] == b"x-amz-":
            found |= _by_prefix(name)
    return found


def identified(request_id: str) -> list[tuple[str, str | bytes]]:
    """The headers of every answer."""
    return [("x-amz-request-id", request_id), ("x-amz-id-2", request_id)]


def _by_prefix(name: bytes) -> int:
    for prefix, kind in _PREFIXES:
        if name.startswith(prefix):
            return kind
    return OTHER
