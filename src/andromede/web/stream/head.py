"""Strict parsing of a request head (RFC 9112). Pure: bytes in, `Head` out or `BadRequest`.

Anything on which two parsers might disagree is refused, because a proxy in front could see another
request than we do: both framings, repeated or odd lengths, folded lines, bare CR or LF, blanks
around names, control characters.
"""

from __future__ import annotations

from dataclasses import dataclass

from andromede.web.stream.faults import BadRequest
from andromede.web.stream.limits import Limits
from andromede.web.stream.message import Headers

_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TEXT = bytes([9, *range(32, 127), *range(128, 256)])
_DIGITS = b"0123456789"
_METHOD_MAX = 32
_LENGTH_DIGITS = 18
_METHODS = {name.encode(): name for name in ("GET", "HEAD", "PUT", "POST", "DELETE", "COPY", "OPTIONS", "PATCH")}
_NAMES_MAX = 2048
_names: dict[bytes, tuple[bytes, str]] = {}


@dataclass(slots=True)
class Head:
    """A request head. `length` is None for a chunked body; `expects`: the client waits for 100 Continue."""

    method: str
    target: bytes
    path: bytes
    query: bytes
    headers: Headers
    http10: bool
    length: int | None
    keep_alive: bool
    expects: bool


def parse_head(block: bytes, limits: Limits) -> Head:
    """Parse the bytes before the empty line (without it)."""
    lines = block.split(b"\r\n")
    if block.translate(None, _TEXT) != b"\r\n" * (len(lines) - 1):
        raise BadRequest("the request head holds control characters or lines that do not end in CR LF")
    method, target, http10 = _request_line(lines[0])
    path, query = _split(target, method)
    if len(lines) - 1 > limits.head_lines:
        raise BadRequest(f"the request has more than {limits.head_lines} header lines; send fewer", 431)
    raw: list[tuple[bytes, bytes]] = []
    first: dict[str, bytes] = {}
    repeated: set[str] = set()
    del lines[0]
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise BadRequest("a header line has no colon")
        lower, text = _names.get(name) or _learn(name)
        value = value.strip(b" \t")
        raw.append((lower, value))
        if text in first:
            repeated.add(text)
        else:
            first[text] = value
    if ("host" not in first and not http10) or "host" in repeated:
        raise BadRequest("a request needs exactly one Host header")
    length: int | None = 0
    if "content-length" in first or "transfer-encoding" in first:
        length = _framing(first, repeated, http10)
    keep = not http10 and ("connection" not in first or not _closes(raw))
    expects = "expect" in first and not http10 and first["expect"].lower() == b"100-continue"
    return Head(method, target, path, query, Headers(tuple(raw), first), http10, length, keep, expects)


def early_fault(start: bytes) -> BadRequest | None:
    """What is wrong already with the beginning of a head that has not ended yet."""
    if start and start[0] not in _TOKEN and start != b"\r":
        return BadRequest("this is not an HTTP request")
    feed = start.find(b"\n")
    if feed >= 0 and start[max(0, feed - 1) : feed] != b"\r":
        return BadRequest("the request head holds control characters or lines that do not end in CR LF")
    return None


def _request_line(line: bytes) -> tuple[str, bytes, bool]:
    parts = line.split(b" ")
    if len(parts) != 3:
        raise BadRequest("the request line is not 'METHOD target HTTP/1.1'")
    method, target, version = parts
    known = _METHODS.get(method)
    if known is None and (not method or len(method) > _METHOD_MAX or method.translate(None, _TOKEN)):
        raise BadRequest("the request method is not a token")
    if version != b"HTTP/1.1" and version != b"HTTP/1.0":
        if len(version) == 8 and version.startswith(b"HTTP/") and version[5:6].isdigit() and version[6:7] == b".":
            raise BadRequest("only HTTP/1.1 and HTTP/1.0 are served here", 505)
        raise BadRequest("the request line does not end in an HTTP version")
    if not target or b"\t" in target:
        raise BadRequest("the request target is empty or holds a tab")
    return known or method.decode(), target, version == b"HTTP/1.0"


def _split(target: bytes, method: str) -> tuple[bytes, bytes]:
    """Path and query of an origin-form or absolute-form target; `*` only for OPTIONS (RFC 9112 3.2)."""
    local = target
    if not target.startswith(b"/"):
        if target == b"*" and method == "OPTIONS":
            return target, b""
        scheme, mark, rest = target.partition(b"://")
        if not mark or scheme.lower() not in (b"http", b"https") or not rest or rest[0] in b"/?":
            raise BadRequest("the request target must begin with '/'")
        authority = rest.partition(b"/")[0].partition(b"?")[0]
        local = rest[len(authority) :]
        if not local.startswith(b"/"):
            local = b"/" + local
    path, _, query = local.partition(b"?")
    return path, query


def _framing(first: dict[str, bytes], repeated: set[str], http10: bool) -> int | None:
    """Body length, or None when chunked (RFC 9112 6). One of the two headers is there."""
    length = first.get("content-length")
    coding = first.get("transfer-encoding")
    if coding is None:
        if length is None:
            return 0
        if "content-length" in repeated:
            raise BadRequest("Content-Length is given more than once")
        if not length or len(length) > _LENGTH_DIGITS or length.translate(None, _DIGITS):
            raise BadRequest("Content-Length is not a decimal number")
        return int(length)
    if length is not None:
        raise BadRequest("Content-Length and Transfer-Encoding exclude each other")
    if http10 or "transfer-encoding" in repeated or coding.lower() != b"chunked":
        raise BadRequest("Transfer-Encoding must be exactly 'chunked', in HTTP/1.1")
    return None


def _closes(raw: list[tuple[bytes, bytes]]) -> bool:
    options = b",".join(value for name, value in raw if name == b"connection").lower()
    return any(option.strip() == b"close" for option in options.split(b","))


def _learn(name: bytes) -> tuple[bytes, str]:
    """Check a field name and remember its lower case; the memory is bounded against hostile variety."""
    if not name or name.translate(None, _TOKEN):
        raise BadRequest("a header name is empty or holds characters that are not allowed there")
    lower = name.lower()
    known = (lower, lower.decode())
    if len(_names) < _NAMES_MAX and len(name) <= 64:
        _names[name] = known
    return known
